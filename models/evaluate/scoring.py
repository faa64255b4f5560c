"""Scores: matches between detected and true boxes, and the edit distance of two sequences. Plain Python and numpy."""

from typing import NamedTuple

import numpy as np

# The minimum intersection over union of a match. The usual value is a half, for boxes that follow one definition of a
# face. Here one detector frames brow to chin, and the other the whole head.
MIN_OVERLAP = 0.4


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


def matches(found: list[Box], true: list[Box], min_overlap: float = MIN_OVERLAP) -> int:
    """The number of true boxes with a match. Pairs with the largest overlap match first, and each box matches once: a
    second box on the same face is false."""
    pairs = sorted(((overlap(f, t), i, j) for i, f in enumerate(found) for j, t in enumerate(true)), reverse=True)
    used_found, used_true = set(), set()
    for shared, i, j in pairs:
        if shared >= min_overlap and i not in used_found and j not in used_true:
            used_found.add(i)
            used_true.add(j)
    return len(used_true)


def distance(found, expected) -> int:
    """The Levenshtein distance, computed row by row: the minimum number of deletions, insertions and substitutions."""
    codes = {item: i for i, item in enumerate({*found, *expected})}
    row = np.arange(len(expected) + 1)
    expected = np.array([codes[item] for item in expected], dtype=np.int64)
    steps = np.arange(len(row))
    for item in found:
        below = np.minimum(row[1:] + 1, row[:-1] + (expected != codes[item]))
        row = np.concatenate(([row[0] + 1], below))
        row = np.minimum.accumulate(row - steps) + steps
    return int(row[-1])
