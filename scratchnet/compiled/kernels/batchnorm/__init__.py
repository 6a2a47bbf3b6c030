"""BatchNorm kernels: `statistics` of the batch and of its gradient, and `apply`, the passes over the images."""
