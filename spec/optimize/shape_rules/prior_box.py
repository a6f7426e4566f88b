"""Detection layers: prior boxes have a shape, detections depend on the data.

Follows: ncnn src/layer/priorbox.cpp @ a4d2ea1d.
"""

from __future__ import annotations

from collections.abc import Sequence

from spec.graph import Layer, Shape
from spec.optimize.shape_rules.common import Rule, ShapeUnknown, first, of_rank

FROM_IMAGE = -233


def prior_box(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """PriorBox: four numbers a box and a row of variances; in mxnet's style one row of boxes."""
    get = layer.get
    _, h, w = of_rank(first(bottoms), 3)
    minima, maxima, ratios = (len(get.numbers(name)) for name in ("min_sizes", "max_sizes", "aspect_ratios"))
    sized = (get.integer("image_width"), get.integer("image_height")) != (FROM_IMAGE, FROM_IMAGE)
    if len(bottoms) == 1 and not sized and not maxima:
        return [(4 * w * h * (minima + max(0, ratios - 1)),)]
    per_cell = minima * (1 + ratios * (2 if get.integer("flip") else 1)) + maxima
    return [(2, 4 * w * h * per_cell)]


def detections(layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
    """As many rows as are detected."""
    raise ShapeUnknown("the number of detections depends on the data")


RULES: dict[str, Rule] = {
    "DetectionOutput": detections,
    "PriorBox": prior_box,
    "Proposal": detections,
    "YoloDetectionOutput": detections,
    "Yolov3DetectionOutput": detections,
}
