"""Just-in-time compilation: decorators, how a function becomes a kernel, compiled kernels on disk, aligned memory."""
