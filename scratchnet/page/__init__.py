"""The page: draw a digit, and walk through your own model, forward and backward, number by number.

Its core is a ledger: every number of a training step, from a pixel to an updated weight, is a sum of terms, and each
term is made of other numbers, which have terms of their own. Following them is the walk.

    addresses      what the numbers are called: "dW/4.conv2d/1,2,0,7"
    describe       a model as plain data, for the page
    static/net/    the layers once more, in JavaScript: one module a layer, under the name of its Python file
"""
