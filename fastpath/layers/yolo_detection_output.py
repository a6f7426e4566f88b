"""YoloDetectionOutput and Yolov3DetectionOutput: the boxes that a one-stage detector finds."""

from __future__ import annotations

import numpy as np

from fastpath.layers.boxes import Boxes, around, joined
from fastpath.layers.common import Array, Floats, Operator, Prepare, fault, floats, only_bottom, require_rank
from fastpath.layers.functions import ONE, exp, sigmoid
from fastpath.layers.softmax import softmax
from spec.graph import Layer

SMALLEST_NORMAL_BITS = 1 << 23
"""An int from here on in the mask is the bit pattern of a float, as upstream's writer stores it."""


def prepare_yolov3_detection_output(layer: Layer) -> Operator:
    """Yolov3DetectionOutput: the boxes of several feature maps whose confidence reaches the threshold.

    Each bottom is (boxes * (5 + classes), h, w); the top is (boxes, 6), sorted, overlaps of any class suppressed.
    Follows: ncnn src/layer/yolov3detectionoutput.cpp @ a4d2ea1d.
    """
    num_box, biases = layer.get.integer("num_box"), np.array(layer.get.numbers("biases"), np.float32)
    scales, mask = np.array(layer.get.numbers("anchors_scale"), np.float32), mask_of(layer)
    threshold = np.float32(layer.get.number("confidence_threshold"))
    nms_threshold = np.float32(layer.get.number("nms_threshold"))

    def operator(bottoms: list[Array]) -> list[Array]:
        if scales.size < len(bottoms) or len(mask) < len(bottoms) * num_box:
            raise fault(layer, f"has {scales.size} anchors_scale and a mask of {len(mask)} for {len(bottoms)} bottoms")
        found = []
        for number, blob in enumerate(bottoms):
            maps = _maps(layer, blob)
            h, w = maps.shape[2:]
            net = np.trunc(scales[number] * np.array([w, h], np.float32))
            for p in range(num_box):
                anchor = mask[p + number * num_box]
                if not 0 <= 2 * anchor + 1 < biases.size:
                    raise fault(layer, f"has anchor {anchor} in its mask, but {biases.size} biases")
                best = maps[p, 5:].max(axis=0)
                confidence = ONE / (ONE + exp(-maps[p, 4]) * (ONE + exp(-best)))
                sizes = [exp(maps[p, 2 + k]) * biases[2 * anchor + k] / net[k] for k in range(2)]
                found.append(_chosen(maps[p], sizes, confidence, maps[p, 5:].argmax(axis=0), threshold))
        return [joined(found).by_score().suppressed(nms_threshold).table()]

    return operator


def prepare_yolo_detection_output(layer: Layer) -> Operator:
    """YoloDetectionOutput: one feature map, softmax over the classes, anchors counted in cells.

    With nothing found the top is the bottom after its softmax.
    Follows: ncnn src/layer/yolodetectionoutput.cpp @ a4d2ea1d.
    """
    num_box, biases = layer.get.integer("num_box"), np.array(layer.get.numbers("biases"), np.float32)
    threshold = np.float32(layer.get.number("confidence_threshold"))
    nms_threshold = np.float32(layer.get.number("nms_threshold"))

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = only_bottom(layer, bottoms)
        maps = _maps(layer, blob).copy()
        if biases.size < 2 * num_box:
            raise fault(layer, f"has {biases.size} biases for {num_box} boxes")
        h, w = maps.shape[2:]
        found = []
        for p in range(num_box):
            maps[p, 5:] = softmax(maps[p, 5:], 0)
            confidence = sigmoid(maps[p, 4]) * maps[p, 5:].max(axis=0)
            sizes = [exp(maps[p, 2 + k]) * biases[2 * p + k] / np.float32((w, h)[k]) for k in range(2)]
            found.append(_chosen(maps[p], sizes, confidence, maps[p, 5:].argmax(axis=0), threshold))
        boxes = joined(found)
        if boxes.scores.size == 0:
            return [maps.reshape(blob.shape)]
        return [boxes.by_score().suppressed(nms_threshold).table()]

    return operator


def mask_of(layer: Layer) -> list[int]:
    """The anchors' numbers, which the file holds as floats, as bit patterns of floats, or as ints."""
    return [
        int(np.int32(number).view(np.float32)) if number >= SMALLEST_NORMAL_BITS else int(number)
        for number in layer.get.numbers("mask")
    ]


def _maps(layer: Layer, blob: Array) -> Floats:
    """The bottom as (boxes, 5 + classes, h, w)."""
    require_rank(layer, blob, 3)
    num_box, count = layer.get.integer("num_box"), 5 + layer.get.integer("num_class")
    if floats(layer, blob).shape[0] != num_box * count:
        raise fault(layer, f"needs {num_box * count} channels, but its bottom has shape {blob.shape}")
    return blob.reshape(num_box, count, *blob.shape[1:])


def _chosen(cells: Floats, sizes: list[Floats], confidence: Floats, best: Array, threshold: np.float32) -> Boxes:
    """The boxes of one anchor that are confident enough, row by row."""
    h, w = cells.shape[1:]
    x = (np.arange(w, dtype=np.float32) + sigmoid(cells[0])) / np.float32(w)
    y = (np.arange(h, dtype=np.float32)[:, np.newaxis] + sigmoid(cells[1])) / np.float32(h)
    where = confidence >= threshold
    return Boxes((best[where] + 1).astype(np.float32), confidence[where], around(x, y, *sizes)[where])


PREPARE: dict[str, Prepare] = {
    "Yolov3DetectionOutput": prepare_yolov3_detection_output,
    "YoloDetectionOutput": prepare_yolo_detection_output,
}
