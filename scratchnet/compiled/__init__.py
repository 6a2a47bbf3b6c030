"""The compiled engine: the textbook's layers again, made for the machine. Imported when a model first asks for it.

The idea in one paragraph. A CPU core does some fifty billion multiply-adds a second, but only on numbers that are
already in its registers; from memory it fetches a hundredth of that. So everything here is arranged around one thing:
a small tile of results that stays in registers while the numbers it is made of stream past. What makes the kernels
fast is on one page (`simd`); what makes them right is the textbook, to which tests hold every compiled layer.

Read the rooms in this order; each needs only the ones above it.

    jit          the decorator of all kernels, and a cache of machine code
    simd         registers and tiles as values; each intrinsic with its NumPy definition
    kernels      arrays in, arrays out: the matrix product, convolutions, Winograd, BatchNorm
    layers       what kernels a layer calls, forward and backward: named as the textbook's files
    training     the loss, the optimizers, augmentation
    execution    a training step, or a prediction, as a program of kernel calls, and who runs it

`print(model.backend.training_program(loss, optimizer, x, y))` shows every call of a training step.
"""
