"""PriorBox and DetectionOutput: the boxes that a detector starts from, and those that it finds."""

from __future__ import annotations

import math

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob, float_blob
from spec.functions import divide, exp, sqrt
from spec.graph import Layer
from spec.layers.boxes import Box, box_table, by_score, plain_area, suppressed
from spec.layers.common import fault, floats, require_rank, rounded

FROM_BOTTOM = -233
"""An image size that is the second bottom's, a step that is image / feature, a class count of the mxnet layout."""

VARIANCES = ("variances[0]", "variances[1]", "variances[2]", "variances[3]")

Size = tuple[float, float]
"""Width and height."""


def prior_box(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Boxes of several sizes around every cell of a feature map, as fractions of the image.

    The bottoms are the feature map and the image, of which only the extents count. The result is (2, 4 * cells *
    sizes): xmin, ymin, xmax, ymax of each box, then the variances as often. Sizes come in this order, for each of
    min_sizes: the square; the square of side sqrt(min * max) if there are max_sizes; for each aspect ratio r the box of
    min * sqrt(r) by min / sqrt(r), and with `flip` that box turned. Without a second bottom, max_sizes and image sizes
    the rule is mxnet's: squares of every size, then the first size in the other ratios; the result is 1-D, without
    variances.

    Follows: ncnn src/layer/priorbox.cpp @ a4d2ea1d.
    """
    if not bottoms:
        raise fault(layer, "takes at least one bottom blob")
    feature = bottoms[0]
    require_rank(layer, feature, 2, 3)
    h, w = feature.shape[-2:]
    image_w, image_h = layer.get.integer("image_width"), layer.get.integer("image_height")
    if len(bottoms) == 1 and image_w == image_h == FROM_BOTTOM and not layer.get.numbers("max_sizes"):
        return [_mxnet_priors(layer, h, w)]
    if FROM_BOTTOM in (image_w, image_h) and len(bottoms) < 2:
        raise fault(layer, "takes its image size from a second bottom, but has none")
    image_w = bottoms[1].shape[-1] if image_w == FROM_BOTTOM else image_w
    image_h = bottoms[1].shape[-2] if image_h == FROM_BOTTOM else image_h
    step_w, step_h = _step(layer, "step_width", image_w, w), _step(layer, "step_height", image_h, h)
    sizes = _caffe_sizes(layer)
    boxes: list[float] = []
    for i in range(h):
        centre_y = _centre(layer, step_h, i)
        for j in range(w):
            centre_x = _centre(layer, step_w, j)
            for width, height in sizes:
                half_w, half_h = f32(width * 0.5), f32(height * 0.5)
                boxes += [
                    divide(f32(centre_x - half_w), float(image_w)),
                    divide(f32(centre_y - half_h), float(image_h)),
                    divide(f32(centre_x + half_w), float(image_w)),
                    divide(f32(centre_y + half_h), float(image_h)),
                ]
    if layer.get.integer("clip"):
        boxes = [min(max(value, 0.0), 1.0) for value in boxes]
    variances = [layer.get.number(name) for name in VARIANCES] * (len(boxes) // 4)
    return [float_blob((2, len(boxes)), boxes + variances)]


def detection_output(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The boxes with high scores, the best first, without those that overlap a better one of their class.

    The bottoms are locations (4 a prior), confidences (the classes of each prior; 0 is the background) and the priors
    with their variances. centre = variance * location * prior size + prior centre, size = exp(variance * location) *
    prior size. For each class: scores above the threshold, sorted, the first nms_top_k, suppressed by overlap; then all
    classes together, sorted, the first keep_top_k. The result is (boxes, 6): class, score, xmin, ymin, xmax, ymax;
    nothing found is (0, 6). With num_class -233 the layout is mxnet's: confidences (classes, priors), priors (priors,
    4), variances from the parameters.

    Follows: ncnn src/layer/detectionoutput.cpp @ a4d2ea1d.
    """
    if len(bottoms) != 3:
        raise fault(layer, f"takes three bottom blobs, not {len(bottoms)}")
    location, confidence, prior = (floats(layer, blob) for blob in bottoms)
    mxnet = layer.get.integer("num_class") == FROM_BOTTOM
    count = len(prior) // (4 if mxnet else 8)
    classes = bottoms[1].shape[0] if mxnet else layer.get.integer("num_class")
    if count < 1 or len(location) != 4 * count or len(confidence) != classes * count:
        raise fault(layer, f"has {count} priors of {classes} classes, but bottoms of {[b.shape for b in bottoms]}")
    if mxnet:
        variances = [f32(layer.get.number(name)) for name in VARIANCES] * count
        scores = [confidence[label * count : (label + 1) * count] for label in range(classes)]
    else:
        variances = prior[4 * count :]
        scores = [confidence[label::classes] for label in range(classes)]
    corners = [_decoded(location[k : k + 4], prior[k : k + 4], variances[k : k + 4]) for k in range(0, 4 * count, 4)]
    threshold = f32(layer.get.number("confidence_threshold"))
    nms_threshold = f32(layer.get.number("nms_threshold"))
    background = f32(1.0 - threshold)
    found: list[Box] = []
    for label in range(1, classes):
        boxes = [
            Box(*corner, score, label, plain_area(*corner))
            for corner, score, empty in zip(corners, scores[label], scores[0])
            if score > threshold and empty < background
        ]
        found += suppressed(by_score(boxes)[: layer.get.integer("nms_top_k")], nms_threshold)
    return [box_table(by_score(found)[: layer.get.integer("keep_top_k")])]


def _step(layer: Layer, name: str, image: int, cells: int) -> float:
    step = f32(layer.get.number(name))
    if step != FROM_BOTTOM:
        return step
    step = divide(float(image), float(cells))
    return float(math.ceil(step)) if layer.get.integer("step_mmdetection") else step


def _centre(layer: Layer, step: float, index: int) -> float:
    offset = f32(layer.get.number("offset"))
    first = f32(offset * (f32(step - 1.0) if layer.get.integer("center_mmdetection") else step))
    return f32(first + f32(index * step))


def _caffe_sizes(layer: Layer) -> list[Size]:
    min_sizes, max_sizes = rounded(layer.get.numbers("min_sizes")), rounded(layer.get.numbers("max_sizes"))
    if max_sizes and len(max_sizes) != len(min_sizes):
        raise fault(layer, f"has {len(min_sizes)} min_sizes, but {len(max_sizes)} max_sizes")
    sizes: list[Size] = []
    for index, smallest in enumerate(min_sizes):
        sizes.append((smallest, smallest))
        if max_sizes:
            side = sqrt(f32(smallest * max_sizes[index]))
            sizes.append((side, side))
        for ratio in rounded(layer.get.numbers("aspect_ratios")):
            width, height = f32(smallest * sqrt(ratio)), divide(smallest, sqrt(ratio))
            sizes.append((width, height))
            if layer.get.integer("flip"):
                sizes.append((height, width))
    return sizes


def _mxnet_priors(layer: Layer, h: int, w: int) -> Blob:
    sizes = rounded(layer.get.numbers("min_sizes"))
    ratios = [sqrt(ratio) for ratio in rounded(layer.get.numbers("aspect_ratios"))]
    step_w, step_h = f32(layer.get.number("step_width")), f32(layer.get.number("step_height"))
    step_w = divide(1.0, float(w)) if step_w == FROM_BOTTOM else step_w
    step_h = divide(1.0, float(h)) if step_h == FROM_BOTTOM else step_h
    halves = [(f32(divide(f32(size * h), float(w)) / 2.0), f32(size / 2.0)) for size in sizes]
    for root in ratios[1:]:
        narrow = divide(f32(sizes[0] * h), float(w))
        halves.append((f32(f32(narrow * root) / 2.0), f32(divide(sizes[0], root) / 2.0)))
    offset = f32(layer.get.number("offset"))
    boxes: list[float] = []
    for i in range(h):
        y = f32(f32(i + offset) * step_h)
        for j in range(w):
            x = f32(f32(j + offset) * step_w)
            for half_w, half_h in halves:
                boxes += [f32(x - half_w), f32(y - half_h), f32(x + half_w), f32(y + half_h)]
    if layer.get.integer("clip"):
        boxes = [min(max(value, 0.0), 1.0) for value in boxes]
    return float_blob((len(boxes),), boxes)


def _decoded(location: list[float], prior: list[float], variances: list[float]) -> tuple[float, float, float, float]:
    """The corners of a prior that is moved and stretched as its location says."""
    prior_w, prior_h = f32(prior[2] - prior[0]), f32(prior[3] - prior[1])
    prior_x, prior_y = f32(f32(prior[0] + prior[2]) * 0.5), f32(f32(prior[1] + prior[3]) * 0.5)
    shifts = rounded(variance * value for variance, value in zip(variances, location))
    x, y = f32(f32(shifts[0] * prior_w) + prior_x), f32(f32(shifts[1] * prior_h) + prior_y)
    half_w, half_h = f32(f32(exp(shifts[2]) * prior_w) * 0.5), f32(f32(exp(shifts[3]) * prior_h) * 0.5)
    return f32(x - half_w), f32(y - half_h), f32(x + half_w), f32(y + half_h)


FORWARD = {"PriorBox": prior_box, "DetectionOutput": detection_output}
