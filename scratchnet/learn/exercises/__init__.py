"""The exercises, by number. Exercises 1 to 10 belong to the lessons 1 to 10; 11 to 14 go deeper into one of them."""

from scratchnet.learn.exercise import Exercise
from scratchnet.learn.exercises import (
    adam,
    batchnorm,
    centre,
    col2im,
    conv_backward,
    convolution,
    dense_backward,
    dropout,
    idx,
    im2col,
    loss,
    maxpool,
    mean_gradient,
    winograd,
)

_ALL = (
    idx, loss, convolution, im2col, dense_backward, maxpool, adam, winograd, centre, mean_gradient, col2im,
    conv_backward, batchnorm, dropout,
)  # fmt: skip
EXERCISES: dict[int, Exercise] = {module.EXERCISE.number: module.EXERCISE for module in _ALL}
