"""How accurate are the recipes on Fashion-MNIST?

Its own presets, chosen on held-out images of its training set alone, and the default, which was chosen for digits.
Each is trained once per seed with `scripts/train.py --dataset fashion-mnist --preset NAME`; the test set is used once
per seed, at the end. `reference_systems.py` says more: runs that are finished are not repeated.

    python benchmarks/fashion_mnist.py                                  all of them, three seeds each
    python benchmarks/fashion_mnist.py --only fashion --seeds 0
    python benchmarks/table.py --into README.md                         the table between its markers
"""

import sys

from reference_systems import COLUMNS, OURS, Published, Question, answer

REFERENCE = {name: Published(OURS) for name in ("default", "fashion", "fashion-best")}


def main() -> int:
    left_out = ("published", "published_loss", "drawn")
    columns = {key: title for key, title in COLUMNS.items() if key not in left_out}
    return answer(Question("fashion-mnist", __doc__, REFERENCE, columns, "fashion-mnist"))


if __name__ == "__main__":
    sys.exit(main())
