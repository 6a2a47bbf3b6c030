"""How well an exported page reads written digits, and how fast it is.

    scratchnet export MODEL --to html --out digits.html
    python -m tests.page.read_by_page digits.html                   20 digits of each class, drawn with the mouse
    python -m tests.page.read_by_page digits.html --seeds 10        further sets of 200, through the page's arithmetic
    python -m tests.page.read_by_page digits.html --model MODEL     also as pictures, through digit_from_image

The digits are those of `pen_digits`: skeletons in several hands, of varied size, place, slant and width, drawn by a
script and not taken from MNIST. With the mouse, every point is an event of the browser. As pictures they are drawn in
280 × 280 pixels with a round pen of 8 to 28 pixels.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

import scratchnet as sn
from tests.page.conftest import FLAGS, chromium_path
from tests.page.pen_digits import drawn_digits

READ = """(drawings) => drawings.map((strokes) => {
  const p = scratchnet.predictStrokes(strokes);
  return p.indexOf(Math.max(...p));
})"""
TIMES = """async (strokes) => {
  const times = [];
  for (let k = 0; k < 60; k++) {
    const start = performance.now();
    scratchnet.predictStrokes(strokes);
    times.push(performance.now() - start);
  }
  return times.slice(10).sort((a, b) => a - b);
}"""

LISTEN = """() => {
  window.latencies = [];
  document.getElementById("field").addEventListener("pointermove", (event) => requestAnimationFrame(() => {
    const painted = new MessageChannel();
    painted.port1.onmessage = () => window.latencies.push(performance.now() - event.timeStamp);
    painted.port2.postMessage(0);
  }));
}"""


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description="Let an exported page read written digits.")
    parser.add_argument("page", type=Path)
    parser.add_argument("--per-class", type=int, default=20, help="digits drawn with the mouse")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--model", type=Path)
    args = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        page = browser.new_context(offline=True).new_page()
        start = time.perf_counter()
        page.goto(args.page.resolve().as_uri())
        page.wait_for_selector("html[data-ready=yes]")
        ready = page.evaluate("performance.getEntriesByName('ready')[0].startTime")
        print(f"the page is ready after {ready:.0f} ms ({time.perf_counter() - start:.2f} s with the browser's tab)")
        times = page.evaluate(TIMES, drawn_digits(1)[8][1])
        slow = times[int(0.95 * len(times))]
        print(f"from strokes to probabilities: median {np.median(times):.1f} ms, 95 % within {slow:.1f} ms")
        page.evaluate(LISTEN)
        digits = drawn_digits(args.per_class)
        print(score("drawn with the mouse", digits, [with_mouse(page, strokes) for _, strokes in digits]))
        waits = page.evaluate("window.latencies")
        middle, slow = np.percentile(waits, (50, 99))
        print(f"from a movement of the pen to the painted answer: median {middle:.0f} ms, 99 % within {slow:.0f} ms")
        for seed in range(args.seeds):
            digits = drawn_digits(20, seed)
            print(score(f"set {seed}, by the page's arithmetic", digits, page.evaluate(READ, [s for _, s in digits])))
        browser.close()
    if args.model:
        model = sn.load_model(args.model / "model.safetensors" if args.model.is_dir() else args.model)
        digits = drawn_digits(20)
        print(score("as pictures, with pens of 8 to 28 pixels of 280", digits, as_pictures(model, digits)))


def score(name: str, digits: list, answers: list[int]) -> str:
    """A line: how many were read, and which were not."""
    labels = [label for label, _ in digits]
    wrong = [f"{label} as {answer}" for label, answer in zip(labels, answers, strict=True) if label != answer]
    return f"{name}: {1 - len(wrong) / len(labels):.1%} of {len(labels)} read" + (
        f"; {', '.join(wrong)}" if wrong else ""
    )


def with_mouse(page, strokes: list) -> int:
    """The class that the page shows after the strokes were drawn in its field."""
    page.click("#clear")
    box = page.locator("#field").bounding_box()
    for stroke in strokes:
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    p = page.evaluate("[...scratchnet.context.probabilities]")
    return int(np.argmax(p))


def as_pictures(model: sn.Sequential, digits: list) -> list[int]:
    """Black ink on white, another round pen for each digit; what the model reads through digit_from_image."""
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(1)
    answers = []
    for _, strokes in digits:
        paper = Image.new("L", (280, 280), 255)
        draw, pen = ImageDraw.Draw(paper), rng.uniform(8, 28)
        for stroke in strokes:
            points = [(280 * x, 280 * y) for x, y in stroke]
            draw.line(points, fill=0, width=round(pen), joint="curve")
            for x, y in points:
                draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=0)
        try:
            answers.append(int(model.predict(sn.digit_from_image(paper)[None]).argmax()))
        except ValueError as error:
            print(error, file=sys.stderr)
            answers.append(-1)
    return answers


if __name__ == "__main__":
    main()
