"""What the detection layers share: boxes with scores, their order and the suppression of those that overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastpath.layers.common import Floats

COLUMNS = 6
"""class, score, xmin, ymin, xmax, ymax"""


@dataclass(frozen=True)
class Boxes:
    """Some boxes: classes, scores and corners (n, 4) as xmin, ymin, xmax, ymax."""

    labels: Floats
    scores: Floats
    corners: Floats

    def take(self, chosen: list[int]) -> Boxes:
        """Some of the boxes, in this order."""
        return Boxes(self.labels[chosen], self.scores[chosen], self.corners[chosen])

    def by_score(self) -> Boxes:
        """From the highest score to the lowest.

        Equal scores come out as upstream's quicksort leaves them, which is not stable: the pivot is the score in the
        middle; both ends run towards each other over what is on the right side already, and swap what they stop at.
        """
        scores = self.scores.tolist()
        order = list(range(len(scores)))
        pending = [(0, len(order) - 1)] if order else []
        while pending:
            left, right = pending.pop()
            i, j = left, right
            pivot = scores[order[(left + right) // 2]]
            while i <= j:
                while scores[order[i]] > pivot:
                    i += 1
                while scores[order[j]] < pivot:
                    j -= 1
                if i <= j:
                    order[i], order[j] = order[j], order[i]
                    i, j = i + 1, j - 1
            pending += [part for part in ((left, j), (i, right)) if part[0] < part[1]]
        return self.take(order)

    def first(self, count: int) -> Boxes:
        """As a slice up to `count` takes them."""
        return self.take(list(range(len(self.scores)))[:count])

    def suppressed(self, threshold: np.float32) -> Boxes:
        """The boxes that overlap none before them by more than the threshold: intersection / union."""
        corners, count = self.corners, len(self.scores)
        if count < 2:
            return self
        areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
        left = np.arange(count)
        picked: list[int] = []
        while left.size:
            index, left = int(left[0]), left[1:]
            picked.append(index)
            box, others = corners[index], corners[left]
            width = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0])
            height = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
            common = width * height
            overlap = common / (areas[left] + areas[index] - common)
            left = left[(overlap <= threshold) | (width <= 0) | (height <= 0)]
        return self.take(picked)

    def table(self) -> Floats:
        """A (boxes, 6) blob of class, score, corners; (0, 6) where nothing was found."""
        return np.column_stack([self.labels, self.scores, self.corners]).astype(np.float32).reshape(-1, COLUMNS)


def joined(parts: list[Boxes]) -> Boxes:
    """All boxes of the parts."""
    none = Boxes(np.zeros(0, np.float32), np.zeros(0, np.float32), np.zeros((0, 4), np.float32))
    every = [none, *parts]
    return Boxes(
        np.concatenate([part.labels for part in every]),
        np.concatenate([part.scores for part in every]),
        np.concatenate([part.corners for part in every]),
    )


def around(x: Floats, y: Floats, width: Floats, height: Floats) -> Floats:
    """Corners (n, 4) of boxes given by centre and size."""
    half_w, half_h = width * np.float32(0.5), height * np.float32(0.5)
    return np.stack([x - half_w, y - half_h, x + half_w, y + half_h], axis=-1)
