"""Scores: boxes found beside the true ones, and edits between two sequences. Plain Python and numpy."""

from typing import NamedTuple

import numpy as np

# A box is found when it shares this much of its union with a true one. Half is usual where all follow one rule of what
# belongs to a face; a detector that frames brow to chin and one that frames the whole head follow two.
LEAST_OVERLAP = 0.4


class Box(NamedTuple):
    """Left and top edge, width and height, in pixels."""

    x: float
    y: float
    width: float
    height: float


def overlap(a: Box, b: Box) -> float:
    """Intersection over union, 0 to 1."""
    across = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    down = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    shared = max(across, 0) * max(down, 0)
    union = a.width * a.height + b.width * b.height - shared
    return shared / union if union > 0 else 0.0


def matches(found: list[Box], true: list[Box], least: float = LEAST_OVERLAP) -> int:
    """How many boxes are found. Each pairs with one at most, those that overlap most first: a second box on the same
    face is a false one."""
    pairs = sorted(((overlap(f, t), i, j) for i, f in enumerate(found) for j, t in enumerate(true)), reverse=True)
    used_found, used_true = set(), set()
    for shared, i, j in pairs:
        if shared >= least and i not in used_found and j not in used_true:
            used_found.add(i)
            used_true.add(j)
    return len(used_true)


def distance(found, expected) -> int:
    """Levenshtein's, a row at a time: items left out, put in or exchanged, at the least."""
    codes = {item: i for i, item in enumerate({*found, *expected})}
    row = np.arange(len(expected) + 1)
    expected = np.array([codes[item] for item in expected], dtype=np.int64)
    steps = np.arange(len(row))
    for item in found:
        below = np.minimum(row[1:] + 1, row[:-1] + (expected != codes[item]))
        row = np.concatenate(([row[0] + 1], below))
        row = np.minimum.accumulate(row - steps) + steps
    return int(row[-1])
