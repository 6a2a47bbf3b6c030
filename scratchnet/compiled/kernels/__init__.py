"""Kernels: arrays in, arrays out, serial, without allocation. Tests hold each to its textbook layer.

gemm                 a matrix product at the speed of the multiply-add units: the loop of nearly all other kernels
deferred_gradient    a dense layer's weight gradient, multiplied where the optimizer uses it
conv                 convolution: the same loop on the patches of an image
winograd             3×3 convolution with 16 products where 36 are expected, or 49 where 225 are
batchnorm            two passes in each direction
relu_pool, window, copy, splitmix      ReLU and max-pool; a window's maximum in registers; copies; random numbers
"""
