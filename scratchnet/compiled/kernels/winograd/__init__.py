"""Winograd's algorithm: `matrices` says why it works, `tiling` where the tiles are, `transforms` their transforms in
registers; `forward` and `backward` are the convolution and its gradients."""
