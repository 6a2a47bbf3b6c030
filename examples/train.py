"""The whole thing: images, a network, a training, a measurement, a file.

python examples/train.py
"""

import scratchnet as sn

(x, y), test = sn.load_synthetic(n_train=4000, n_test=1000)  # sn.load_mnist() has 60,000 digits written by hand
train, val = sn.train_val_split(y, 500, seed=0)

model = sn.Sequential(
    [
        sn.Rescale(),  # bytes to numbers from 0 to 1
        sn.Conv2D(16, 3), sn.ReLU(), sn.MaxPool2D(2),
        sn.Conv2D(32, 3), sn.ReLU(), sn.MaxPool2D(2),
        sn.Flatten(), sn.Dense(64), sn.ReLU(), sn.Dense(10),
    ],
    input_shape=(28, 28, 1),
)  # fmt: skip
model.summary()
model.fit(x[train], y[train], epochs=3, optimizer=sn.Adam(3e-3), validation_data=(x[val], y[val]))
print("on images it has never seen:", model.evaluate(*test))
model.save("digits.safetensors")
