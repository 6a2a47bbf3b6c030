"""A picture file, and what a saved model sees in it.

python examples/predict.py                           draws a digit and trains a model first
python examples/predict.py digits.safetensors photo.jpg
"""

import subprocess
import sys
from pathlib import Path

from PIL import Image, ImageDraw

import scratchnet as sn


def draw_seven(path: str) -> None:
    """A 7 with dark ink on grey paper, larger than the model's images and not in the middle."""
    paper = Image.new("L", (200, 150), 190)
    ImageDraw.Draw(paper).line([(30, 30), (90, 30), (55, 120)], fill=40, width=11, joint="curve")
    paper.save(path)


if len(sys.argv) == 3:
    file, picture = sys.argv[1:]
else:
    file, picture = "digits.safetensors", "seven.png"
    draw_seven(picture)
    if not Path(file).exists():
        subprocess.run([sys.executable, Path(__file__).with_name("train.py")], check=True)  # it saves this file

model = sn.load_model(file)
image = sn.digit_from_image(picture)  # found, white on black, scaled and centred as MNIST's: uint8 (28, 28)
for row in image[::2]:
    print("".join(" .:*#"[pixel // 52] * 2 for pixel in row[::2]).rstrip())
probabilities = model.predict(image[None])[0]
for digit in probabilities.argsort()[:-4:-1]:
    print(f"{digit}: {probabilities[digit]:6.1%}  {'=' * round(40 * probabilities[digit])}")
