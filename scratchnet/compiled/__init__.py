"""The compiled engine: the textbook's layers again, made for the machine. Imported when a model first asks for it.

The idea in one paragraph. A CPU core can do some fifty billion multiply-adds a second, but only on numbers that are
already in its registers; from memory it can fetch a hundredth of that. So everything here is arranged around one thing:
a small tile of results that stays in registers while the numbers it is made of stream past. What makes the kernels
fast is on one page (`simd`); what makes them right is the textbook, to which tests hold every twin.

Read it in this order.

    target          how many floats a register holds on this machine, and the tile that follows from it
    simd            the vocabulary: registers and tiles as values; each word with its NumPy definition
    registers, lowering, operators      how such a word becomes one machine instruction (skip them at first)
    jit             the decorator of all kernels, and a cache of machine code that can only help
    matmul          the tile at work: a matrix product at the speed of the multiply-add units
    convolution     the same loop, reading the patches of an image where they lie: im2col without the copies
    winograd        a 3×3 convolution with 16 products where 36 are expected, or 49 where 225 are;
                    winograd_points  why,  winograd_transforms, winograd_tiles  how,  winograd_gradients  back
    taps, first     the first layer: one channel in, weights in registers
    sets, pooled    backward behind a max-pool: three quarters of the work is multiplying by zero; don't
    gate            the way back through ReLU and max-pool where a dense gradient is wanted after all
    batchnorm, batchnorm_sums, normalise        two passes each way, and what chunks tell each other between them;
                    first_norm  a convolution so cheap that it is computed three times and never written
    dense, dropout, cropping, losses, rescale, optimizers      the other twins
    randomness, augment     a number for every pixel, whoever draws it; and the pictures that come of it
    conv            a convolution and what follows it as one step;  conv_ways, conv_winograd  which kernels do it
    prediction      for those who will not ask for gradients: BatchNorm is folded away, larger tiles behind a pool
    factors         the gradient of a dense layer's weights, multiplied where it is used up
    plan, context   which twin stands for which layers; the memory they work in
    tape, jobs      calls of kernels noted once, and played by all threads without Python;  recorded  a whole training
                    step,  recorded_prediction  thousands of images,  watched  what both take for granted
"""
