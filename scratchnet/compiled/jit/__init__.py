"""Just-in-time compilation: `decorators` (@jit, @inline), `cache` (compiled kernels on disk), `aligned` (memory)."""
