"""Compiled layers: what kernels a layer calls, forward directly above backward, in files named as the textbook's.

`base` says what a compiled layer is. `conv` chooses its kernels from `conv_algorithms` and `conv_winograd`;
`conv_batchnorm` and `conv_batchnorm_recompute` fuse it with a BatchNorm; `conv_inference` is for prediction.
"""
