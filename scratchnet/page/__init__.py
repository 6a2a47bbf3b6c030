"""The page: draw a digit, and walk through your own model, forward and backward, number by number.

Its core is a ledger: every number of a training step, from a pixel to an updated weight, is a sum of terms, and each
term is made of other numbers, which have terms of their own. Following them is the walk. It is useful without a
browser, too:

    sn.explain(model, x, label, "dW/4.conv2d/1,2,0,7")

    addresses      what the numbers are called
    passes         one image forward and backward, every number kept
    terms/         for each kind of layer, what its numbers are made of
    ledger         explain            printing      in a terminal and in a notebook
    describe       a model as plain data, for the page            golden      numbers that the page checks itself with
    static/net/    the layers once more, in JavaScript: one module a layer, under the name of its Python file
"""

PORT = 8000  # of the server, where no other is given
