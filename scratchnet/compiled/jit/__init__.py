"""Just-in-time compilation: @jit and @inline, how a function becomes a kernel, compiled kernels on disk, aligned memory."""
