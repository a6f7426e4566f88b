"""PriorBox and DetectionOutput: the boxes that a detector starts from, and those that it finds."""

from __future__ import annotations

import math

import numpy as np

from fastpath.layers.boxes import Boxes, around, joined
from fastpath.layers.common import Array, Floats, Operator, Prepare, fault, floats, require_rank
from fastpath.layers.functions import ONE, exp, sqrt
from spec.graph import Layer

FROM_BOTTOM = -233
"""An image size that is the second bottom's, a step that is image / feature, a class count of the mxnet layout."""

VARIANCES = ("variances[0]", "variances[1]", "variances[2]", "variances[3]")


def prepare_prior_box(layer: Layer) -> Operator:
    """PriorBox: boxes of several sizes around every cell of a feature map, as fractions of the image.

    (2, 4 * cells * sizes) with the variances in the second row; mxnet's rule gives one dim.
    Follows: ncnn src/layer/priorbox.cpp @ a4d2ea1d.
    """
    given_w, given_h = layer.get.integer("image_width"), layer.get.integer("image_height")
    clip = layer.get.integer("clip") != 0

    def operator(bottoms: list[Array]) -> list[Array]:
        if not bottoms:
            raise fault(layer, "takes at least one bottom blob")
        require_rank(layer, bottoms[0], 2, 3)
        h, w = bottoms[0].shape[-2:]
        if len(bottoms) == 1 and given_w == given_h == FROM_BOTTOM and not layer.get.numbers("max_sizes"):
            boxes = _mxnet_priors(layer, h, w)
            return [_clipped(boxes.reshape(-1), clip)]
        if FROM_BOTTOM in (given_w, given_h) and len(bottoms) < 2:
            raise fault(layer, "takes its image size from a second bottom, but has none")
        image_w = bottoms[1].shape[-1] if given_w == FROM_BOTTOM else given_w
        image_h = bottoms[1].shape[-2] if given_h == FROM_BOTTOM else given_h
        sizes = _caffe_sizes(layer)
        y = _centres(layer, _step(layer, "step_height", image_h, h), h)[:, np.newaxis, np.newaxis]
        x = _centres(layer, _step(layer, "step_width", image_w, w), w)[:, np.newaxis]
        image: Floats = np.array([image_w, image_h, image_w, image_h], np.float32)
        corners = around(*np.broadcast_arrays(x, y, sizes[:, 0], sizes[:, 1])) / image
        boxes = _clipped(corners.reshape(-1), clip)
        variances = np.array([layer.get.number(name) for name in VARIANCES], np.float32)
        return [np.stack([boxes, np.resize(variances, boxes.shape)])]

    return operator


def _clipped(boxes: Floats, clip: bool) -> Floats:
    return np.minimum(np.maximum(boxes, np.float32(0)), ONE) if clip else boxes


def _step(layer: Layer, name: str, image: int, cells: int) -> np.float32:
    step = np.float32(layer.get.number(name))
    if step != FROM_BOTTOM:
        return step
    step = np.float32(image) / np.float32(cells)
    return np.float32(math.ceil(step)) if layer.get.integer("step_mmdetection") else step


def _centres(layer: Layer, step: np.float32, cells: int) -> Floats:
    offset = np.float32(layer.get.number("offset"))
    first = offset * (step - ONE if layer.get.integer("center_mmdetection") else step)
    return first + np.arange(cells, dtype=np.float32) * step


def _caffe_sizes(layer: Layer) -> Floats:
    """Width and height of every box of a cell."""
    min_sizes = np.array(layer.get.numbers("min_sizes"), np.float32)
    max_sizes = np.array(layer.get.numbers("max_sizes"), np.float32)
    roots = sqrt(np.array(layer.get.numbers("aspect_ratios"), np.float32))
    if max_sizes.size and max_sizes.size != min_sizes.size:
        raise fault(layer, f"has {min_sizes.size} min_sizes, but {max_sizes.size} max_sizes")
    sides = sqrt(min_sizes * max_sizes) if max_sizes.size else max_sizes
    sizes: list[tuple[np.float32, np.float32]] = []
    for index, smallest in enumerate(min_sizes):
        sizes.append((smallest, smallest))
        if max_sizes.size:
            sizes.append((sides[index], sides[index]))
        for root in roots:
            sizes.append((smallest * root, smallest / root))
            if layer.get.integer("flip"):
                sizes.append((smallest / root, smallest * root))
    return np.array(sizes, np.float32).reshape(-1, 2)


def _mxnet_priors(layer: Layer, h: int, w: int) -> Floats:
    sizes = np.array(layer.get.numbers("min_sizes"), np.float32)
    roots = sqrt(np.array(layer.get.numbers("aspect_ratios"), np.float32))[1:]
    two, high, wide = np.float32(2), np.float32(h), np.float32(w)
    half_w = np.concatenate([sizes * high / wide / two, sizes[:1] * high / wide * roots / two])
    half_h = np.concatenate([sizes / two, sizes[:1] / roots / two])
    step_w, step_h = np.float32(layer.get.number("step_width")), np.float32(layer.get.number("step_height"))
    step_w = ONE / wide if step_w == FROM_BOTTOM else step_w
    step_h = ONE / high if step_h == FROM_BOTTOM else step_h
    offset = np.float32(layer.get.number("offset"))
    y = ((np.arange(h, dtype=np.float32) + offset) * step_h)[:, np.newaxis, np.newaxis]
    x = ((np.arange(w, dtype=np.float32) + offset) * step_w)[:, np.newaxis]
    return np.stack(np.broadcast_arrays(x - half_w, y - half_h, x + half_w, y + half_h), axis=-1)


def prepare_detection_output(layer: Layer) -> Operator:
    """DetectionOutput: the boxes with high scores, the best first, without those that overlap a better one.

    Locations, confidences and priors to (boxes, 6): class, score, xmin, ymin, xmax, ymax.
    Follows: ncnn src/layer/detectionoutput.cpp @ a4d2ea1d.
    """
    mxnet = layer.get.integer("num_class") == FROM_BOTTOM
    threshold = np.float32(layer.get.number("confidence_threshold"))
    nms_threshold = np.float32(layer.get.number("nms_threshold"))
    nms_top_k, keep_top_k = layer.get.integer("nms_top_k"), layer.get.integer("keep_top_k")

    def operator(bottoms: list[Array]) -> list[Array]:
        if len(bottoms) != 3:
            raise fault(layer, f"takes three bottom blobs, not {len(bottoms)}")
        location, confidence, prior = (floats(layer, blob).reshape(-1) for blob in bottoms)
        count = prior.size // (4 if mxnet else 8)
        classes = bottoms[1].shape[0] if mxnet else layer.get.integer("num_class")
        if count < 1 or location.size != 4 * count or confidence.size != classes * count:
            raise fault(layer, f"has {count} priors of {classes} classes, but bottoms of {[b.shape for b in bottoms]}")
        if mxnet:
            variances = np.array([layer.get.number(name) for name in VARIANCES], np.float32)
            scores = confidence.reshape(classes, count)
        else:
            variances = prior[4 * count : 8 * count].reshape(count, 4)
            scores = confidence.reshape(count, classes).T
        corners = _decoded(location.reshape(count, 4), prior[: 4 * count].reshape(count, 4), variances)
        found = []
        likely = (scores > threshold) & (scores[0] < ONE - threshold)
        for label in np.flatnonzero(likely[1:].any(axis=1)) + 1:
            chosen = np.flatnonzero(likely[label])
            boxes = Boxes(np.full(chosen.size, label, np.float32), scores[label][chosen], corners[chosen])
            found.append(boxes.by_score().first(nms_top_k).suppressed(nms_threshold))
        return [joined(found).by_score().first(keep_top_k).table()]

    return operator


def _decoded(location: Floats, prior: Floats, variances: Floats) -> Floats:
    """The corners of priors that are moved and stretched as their locations say."""
    half = np.float32(0.5)
    size_w, size_h = prior[:, 2] - prior[:, 0], prior[:, 3] - prior[:, 1]
    shifts = variances * location
    x = shifts[:, 0] * size_w + (prior[:, 0] + prior[:, 2]) * half
    y = shifts[:, 1] * size_h + (prior[:, 1] + prior[:, 3]) * half
    return around(x, y, exp(shifts[:, 2]) * size_w, exp(shifts[:, 3]) * size_h)


PREPARE: dict[str, Prepare] = {"PriorBox": prepare_prior_box, "DetectionOutput": prepare_detection_output}
