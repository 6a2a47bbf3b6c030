"""Convolution kernels.

geometry                    the sizes of a convolution
direct                      any convolution: im2col without the copies
small_channels              the first layer: its weights stay in registers (`_intrinsics`: how; `_batchnorm`: with
                            BatchNorm, computed three times and never stored)
sparse_backward             behind a max-pool three quarters of the gradient are zeros: only the rest is multiplied
"""
