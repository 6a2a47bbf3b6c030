"""What `fit` does, by hand: forward, loss, backward, update.

python examples/own_training_loop.py
"""

import numpy as np

import scratchnet as sn

(x, y), test = sn.load_synthetic(n_train=2000, n_test=1000)
layers = [sn.Rescale(), sn.Conv2D(8, 5, stride=2), sn.ReLU(), sn.Flatten(), sn.Dense(64), sn.ReLU(), sn.Dense(10)]
model = sn.Sequential(layers, input_shape=(28, 28, 1), engine="numpy")
loss, optimizer = sn.SoftmaxCrossEntropy(), sn.Adam(4e-3)
rng, batch_size = np.random.default_rng(0), 50

for epoch in range(4):
    losses = []
    for rows in rng.permutation(len(x)).reshape(-1, batch_size):
        logits, caches = model.forward_cached(x[rows], model.context(training=True))
        value, dlogits = loss(logits, y[rows])  # dlogits: the gradient of the loss with respect to the logits
        _, grads = model.backward(dlogits, caches)
        optimizer.step(model.parameters(), grads)  # in place
        losses.append(value)
    print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}")

for name, p in model.parameters().items():
    print(f"{name:<10} {p.shape!s:<14} {np.linalg.norm(grads[name]) / np.linalg.norm(p):.4f} = |dL/dp| / |p|")
print(f"{model.evaluate(*test)['accuracy']:.1%} of the test images")
