"""Pictures of your own: a folder with a folder for each class becomes arrays, and a network that knows the classes.

python examples/own_data.py [FOLDER]       FOLDER/<class>/*.png or .jpg; by default ./letters is drawn
"""

import sys
from pathlib import Path

from PIL import Image

import scratchnet as sn
from scratchnet.data import load_labelled_images


def draw_letters(folder: Path) -> None:
    """60 pictures each of A, B, C and D, as PNG files."""
    (x, y), _ = sn.load_synthetic(n_train=60 * 14, n_test=14, classes=14)
    for k, name in enumerate("ABCD", start=10):  # the classes after the digits
        (folder / name).mkdir(parents=True)
        for i, image in enumerate(x[y == k]):
            Image.fromarray(image).save(folder / name / f"{i}.png")


folder = Path(sys.argv[1] if len(sys.argv) > 1 else "letters")
if not folder.exists():
    draw_letters(folder)
size = (28, 28, 1)  # height, width, and channels: 1 for grey, 3 for colour
images = load_labelled_images(folder, lambda path: sn.whole_image(path, size))
(x, y), test = images.dataset
print(f"{len(x)} images to train on, {len(test[0])} to test with, of the classes {', '.join(images.class_names)}")

layers = [sn.Rescale(), sn.Conv2D(16, 5), sn.ReLU(), sn.MaxPool2D(2), sn.Flatten(), sn.Dropout(0.3)]
model = sn.Sequential([*layers, sn.Dense(len(images.class_names))], size, class_names=images.class_names)
model.fit(x, y, epochs=12, batch_size=16, augment=sn.Augment.light())
print(f"{model.evaluate(*test)['accuracy']:.0%} of the test images are named rightly")
model.save("own.safetensors")  # the names of the classes are in it
