"""What the detection layers share: boxes with scores, their order and the suppression of those that overlap."""

from __future__ import annotations

from dataclasses import dataclass

from spec.binary32 import f32
from spec.blob import Blob, float_blob
from spec.functions import divide


@dataclass(frozen=True)
class Box:
    """A rectangle with a score, a class and its area."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float
    score: float
    label: int
    area: float


def plain_area(xmin: float, ymin: float, xmax: float, ymax: float) -> float:
    """The product of width and height, rounded after every step."""
    return f32(f32(xmax - xmin) * f32(ymax - ymin))


def by_score(boxes: list[Box]) -> list[Box]:
    """The boxes from the highest score to the lowest.

    Equal scores come out as upstream's quicksort leaves them, which is not stable: the pivot is the score in the
    middle; both ends run towards each other over what is on the right side already, and swap what they stop at.
    """
    ordered = list(boxes)
    pending = [(0, len(ordered) - 1)] if ordered else []
    while pending:
        left, right = pending.pop()
        i, j = left, right
        pivot = ordered[(left + right) // 2].score
        while i <= j:
            while ordered[i].score > pivot:
                i += 1
            while ordered[j].score < pivot:
                j -= 1
            if i <= j:
                ordered[i], ordered[j] = ordered[j], ordered[i]
                i, j = i + 1, j - 1
        pending += [part for part in ((left, j), (i, right)) if part[0] < part[1]]
    return ordered


def suppressed(boxes: list[Box], threshold: float) -> list[Box]:
    """The boxes that overlap none before them by more than the threshold.

    The overlap is intersection / union; boxes that touch do not overlap.
    """
    picked: list[Box] = []
    for box in boxes:
        if all(_overlap(box, other) <= threshold for other in picked):
            picked.append(box)
    return picked


def _overlap(a: Box, b: Box) -> float:
    width = f32(min(a.xmax, b.xmax) - max(a.xmin, b.xmin))
    height = f32(min(a.ymax, b.ymax) - max(a.ymin, b.ymin))
    if width <= 0.0 or height <= 0.0:
        return 0.0
    common = f32(width * height)
    return divide(common, f32(f32(a.area + b.area) - common))


def box_table(boxes: list[Box]) -> Blob:
    """A (boxes, 6) blob of class, score, xmin, ymin, xmax, ymax; (0, 6) where nothing was found."""
    rows = [(float(box.label), box.score, box.xmin, box.ymin, box.xmax, box.ymax) for box in boxes]
    return float_blob((len(boxes), 6), [value for row in rows for value in row])
