"""Digits written with a round pen: skeletons in several hands, bent, slanted, turned, of any size and place.

A skeleton is a list of strokes, a stroke a list of smooth pieces, a piece the points that a Catmull-Rom curve passes
through. Pieces of a stroke meet in a corner. x is from 0 to 0.7, y downwards from 0 to 1.
"""

from __future__ import annotations

import numpy as np

Strokes = list[list[tuple[float, float]]]

# fmt: off
SKELETONS: list[list[list[list[list[tuple[float, float]]]]]] = [
    [  # 0: an ellipse from the top, anticlockwise, closed or nearly so
        [[[(.38, 0), (.12, .15), (0, .5), (.1, .86), (.34, 1), (.6, .84), (.7, .48), (.58, .13), (.36, 0)]]],
        [[[(.48, .03), (.2, .07), (.02, .4), (.07, .82), (.32, 1), (.6, .8), (.68, .4), (.55, .08), (.34, .04)]]],
        [[[(.3, 0), (.07, .2), (.03, .55), (.14, .9), (.36, .99), (.52, .8), (.57, .45), (.48, .12), (.28, .02)]]],
    ],
    [  # 1: a bar; with a flag; with a flag and a foot
        [[[(.35, 0), (.35, .5), (.35, 1)]]],
        [[[(.45, 0), (.38, .45), (.3, 1)]]],
        [[[(.16, .22), (.28, .13), (.38, 0)], [(.38, 0), (.37, .5), (.37, 1)]]],
        [[[(.18, .2), (.3, .1), (.38, 0)], [(.38, 0), (.38, .5), (.38, 1)]], [[(.14, 1), (.38, 1), (.62, .99)]]],
    ],
    [  # 2: a neck and a straight base; a loop at the base; a round base
        [[[(.04, .25), (.15, .06), (.38, 0), (.6, .12), (.62, .34), (.42, .62), (.2, .84), (.02, 1)],
          [(.02, 1), (.35, .98), (.7, .97)]]],
        [[[(.06, .2), (.2, .02), (.45, .02), (.6, .2), (.52, .46), (.3, .75), (.12, .97), (.02, .92), (.08, .8),
           (.24, .84), (.44, .97), (.7, .92)]]],
        [[[(.05, .18), (.25, 0), (.52, .06), (.6, .28), (.42, .58), (.15, .84), (.02, .98)],
          [(.02, .98), (.22, .9), (.45, .98), (.68, .9)]]],
    ],
    [  # 3: two bows; a flat top and a bow; two bows that meet in a loop
        [[[(.06, .12), (.28, 0), (.54, .08), (.58, .28), (.42, .44), (.24, .48)],
          [(.24, .48), (.48, .5), (.65, .68), (.56, .92), (.3, 1), (.03, .88)]]],
        [[[(.07, .03), (.32, .02), (.6, .02)], [(.6, .02), (.44, .22), (.3, .4)],
          [(.3, .4), (.56, .48), (.64, .72), (.48, .95), (.22, 1), (.03, .9)]]],
        [[[(.05, .1), (.3, 0), (.55, .12), (.5, .36), (.3, .46), (.22, .44), (.3, .43), (.55, .55), (.6, .8),
           (.36, 1), (.05, .9)]]],
    ],
    [  # 4: open, of two strokes; closed; open, of one stroke and a bar
        [[[(.18, 0), (.1, .3), (.03, .56)], [(.03, .56), (.35, .56), (.68, .54)]],
         [[(.52, .12), (.5, .55), (.48, 1)]]],
        [[[(.48, 0), (.26, .3), (.01, .64)], [(.01, .64), (.35, .64), (.7, .63)]], [[(.48, 0), (.48, .5), (.47, 1)]]],
        [[[(.06, .03), (.04, .3), (.1, .5), (.3, .53), (.52, .44)]], [[(.56, 0), (.53, .5), (.5, 1)]]],
    ],
    [  # 5: the top bar last; in one stroke; with a round back
        [[[(.12, .04), (.1, .24), (.08, .44)], [(.08, .44), (.34, .36), (.58, .5), (.62, .75), (.42, .96), (.05, .95)]],
         [[(.12, .04), (.38, .03), (.64, .02)]]],
        [[[(.64, 0), (.4, .02), (.14, .03)], [(.14, .03), (.11, .25), (.08, .46)],
          [(.08, .46), (.36, .4), (.6, .55), (.6, .82), (.36, 1), (.03, .93)]]],
        [[[(.62, .02), (.4, .0), (.2, .05), (.12, .25), (.2, .42), (.44, .5), (.58, .7), (.45, .94), (.2, 1),
           (.02, .9)]]],
    ],
    [  # 6: a back and a loop
        [[[(.5, 0), (.25, .2), (.06, .52), (.06, .82), (.26, 1), (.52, .92), (.58, .7), (.42, .56), (.2, .6),
           (.07, .76)]]],
        [[[(.36, 0), (.12, .3), (.02, .65), (.12, .95), (.38, 1), (.58, .82), (.5, .6), (.28, .55), (.08, .68)]]],
        [[[(.58, .03), (.3, .12), (.1, .4), (.04, .75), (.22, .98), (.48, .95), (.6, .75), (.5, .58), (.3, .56),
           (.1, .7)]]],
    ],
    [  # 7: a bar and a stem; with a stroke across; with a hook
        [[[(.02, .03), (.32, .02), (.66, .01)], [(.66, .01), (.46, .45), (.28, 1)]]],
        [[[(.03, .04), (.34, .03), (.65, .02)], [(.65, .02), (.45, .42), (.26, 1)]],
         [[(.2, .52), (.4, .5), (.6, .48)]]],
        [[[(.04, .18), (.05, .08), (.06, .02)], [(.06, .02), (.36, .03), (.66, .0)],
          [(.66, 0), (.5, .3), (.36, .62), (.3, 1)]]],
        [[[(.02, .08), (.25, .02), (.5, .06), (.66, .02)], [(.66, .02), (.52, .4), (.44, 1)]]],
    ],
    [  # 8: one line that crosses itself; two rings
        [[[(.55, .1), (.34, 0), (.1, .12), (.12, .32), (.36, .48), (.58, .66), (.58, .9), (.34, 1), (.08, .9),
           (.08, .68), (.32, .48), (.54, .3), (.56, .12)]]],
        [[[(.34, .46), (.1, .34), (.1, .1), (.34, 0), (.57, .1), (.56, .34), (.34, .46), (.06, .62), (.06, .9),
           (.34, 1), (.63, .9), (.62, .62), (.34, .46)]]],
        [[[(.6, .06), (.4, 0), (.18, .1), (.2, .3), (.4, .48), (.52, .7), (.42, .95), (.18, .98), (.05, .82),
           (.16, .62), (.4, .42), (.58, .22), (.6, .06)]]],
    ],
    [  # 9: a ring and a straight or bent stem
        [[[(.6, .16), (.4, 0), (.14, .06), (.04, .28), (.16, .48), (.42, .44), (.58, .24), (.6, .14)],
          [(.6, .14), (.58, .55), (.54, 1)]]],
        [[[(.56, .2), (.36, .02), (.1, .1), (.06, .34), (.26, .48), (.5, .36), (.57, .18)],
          [(.57, .18), (.56, .55), (.44, .9), (.22, 1), (.06, .92)]]],
        [[[(.55, .12), (.32, 0), (.08, .16), (.1, .42), (.34, .46), (.54, .24), (.56, .1)],
          [(.56, .1), (.5, .5), (.36, 1)]]],
    ],
]
# fmt: on


def drawn_digits(per_class: int = 20, seed: int = 0) -> list[tuple[int, Strokes]]:
    """(class, strokes) of `per_class` digits of each class, in all hands in turn; points are shares of the field."""
    rng = np.random.default_rng(seed)
    return [
        (label, written(hands[k % len(hands)], rng)) for label, hands in enumerate(SKELETONS) for k in range(per_class)
    ]


def written(skeleton: list, rng: np.random.Generator) -> Strokes:
    """A skeleton as a person might write it this time.

    Height 15 to 90 % of the field, at any place; 0.75 to 1.3 times as wide; slanted by -0.15 to 0.45; turned by up to
    10 degrees; each of its points moved by about 2 % of the height; with a tremor of 0.4 %.
    """
    height, width = rng.uniform(0.15, 0.9), rng.uniform(0.75, 1.3)
    slant, turn = rng.uniform(-0.15, 0.45), np.deg2rad(rng.uniform(-10, 10))
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = height * np.array([[cos, -sin], [sin, cos]]) @ np.array([[width, -slant], [0, 1]])
    moved: dict[tuple[float, float], np.ndarray] = {}  # where two pieces meet, they still meet
    strokes = []
    for stroke in skeleton:
        pieces = []
        for piece in stroke:
            through = np.array([moved.setdefault(point, point + rng.normal(0, 0.02, 2)) for point in piece])
            pieces.append(curve(through) @ matrix.T)
        points = np.concatenate(pieces)
        strokes.append(points + rng.normal(0, 0.004 * height, points.shape))
    everything = np.concatenate(strokes)
    low, high = everything.min(axis=0), everything.max(axis=0)
    scale = min(1, 0.96 / (high - low).max())
    room = 1 - (high - low) * scale
    corner = rng.uniform(0.02, 0.98, 2) * room
    return [[(float(x), float(y)) for x, y in (points - low) * scale + corner] for points in strokes]


def curve(through: np.ndarray, steps: int = 8) -> np.ndarray:
    """The Catmull-Rom curve through points (n, 2) -> (steps · (n - 1) + 1, 2)."""
    ends = np.concatenate([2 * through[:1] - through[1:2], through, 2 * through[-1:] - through[-2:-1]])
    t = np.arange(steps)[:, None] / steps
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False)
    ]
    return np.concatenate([*pieces, through[-1:]])
