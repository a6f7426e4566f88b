"""YoloDetectionOutput and Yolov3DetectionOutput: the boxes that a one-stage detector finds."""

from __future__ import annotations

import struct

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob, float_blob
from spec.functions import divide, exp, sigmoid
from spec.graph import Layer
from spec.layers.boxes import Box, box_table, by_score, plain_area, suppressed
from spec.layers.common import fault, floats, only_bottom, require_rank, rounded
from spec.layers.softmax import softmax

SMALLEST_NORMAL_BITS = 1 << 23
"""An int from here on in the mask is the bit pattern of a float, as upstream's writer stores it."""

Cell = tuple[int, int, list[float]]
"""Row, column, and the values of one box there: x, y, width, height, objectness, classes."""


def yolov3_detection_output(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The boxes of several feature maps whose confidence reaches the threshold, sorted, overlaps suppressed.

    Each bottom is (boxes * (5 + classes), h, w). The class is the first largest score; the confidence is
    1 / (1 + exp(-objectness) * (1 + exp(-score))). Centre x = (column + logistic(tx)) / w, width = exp(tw) * anchor
    width / net width, where the net's width is the map's times anchors_scale; likewise y and height. Suppression takes
    all classes together. The result is (boxes, 6): class + 1, confidence, xmin, ymin, xmax, ymax; (0, 6) for none.

    Follows: ncnn src/layer/yolov3detectionoutput.cpp @ a4d2ea1d.
    """
    num_box, biases = layer.get.integer("num_box"), rounded(layer.get.numbers("biases"))
    scales, mask = rounded(layer.get.numbers("anchors_scale")), mask_of(layer)
    if len(scales) < len(bottoms) or len(mask) < len(bottoms) * num_box:
        raise fault(layer, f"has {len(scales)} anchors_scale and a mask of {len(mask)} for {len(bottoms)} bottoms")
    threshold = f32(layer.get.number("confidence_threshold"))
    found: list[Box] = []
    for number, blob in enumerate(bottoms):
        h, w = _map_extents(layer, blob)
        net_w, net_h = float(int(f32(scales[number] * w))), float(int(f32(scales[number] * h)))
        for p in range(num_box):
            anchor = mask[p + number * num_box]
            if not 0 <= 2 * anchor + 1 < len(biases):
                raise fault(layer, f"has anchor {anchor} in its mask, but {len(biases)} biases")
            for i, j, values in _cells(layer, blob, p):
                best = max(values[5:])
                confidence = divide(1.0, f32(1.0 + f32(exp(-values[4]) * f32(1.0 + exp(-best)))))
                if confidence >= threshold:
                    width = divide(f32(exp(values[2]) * biases[2 * anchor]), net_w)
                    height = divide(f32(exp(values[3]) * biases[2 * anchor + 1]), net_h)
                    found.append(_box((i, j, values), (h, w), (width, height), confidence, values[5:].index(best)))
    return [box_table(suppressed(by_score(found), f32(layer.get.number("nms_threshold"))))]


def yolo_detection_output(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The boxes of one feature map: as Yolov3, but the classes go through softmax and the anchors count cells.

    The confidence is logistic(objectness) * the largest softmax, and the width exp(tw) * bias / w. With nothing found
    the result is the bottom after its softmax.

    Follows: ncnn src/layer/yolodetectionoutput.cpp @ a4d2ea1d.
    """
    blob = only_bottom(layer, bottoms)
    h, w = _map_extents(layer, blob)
    num_box, biases = layer.get.integer("num_box"), rounded(layer.get.numbers("biases"))
    if len(biases) < 2 * num_box:
        raise fault(layer, f"has {len(biases)} biases for {num_box} boxes")
    threshold = f32(layer.get.number("confidence_threshold"))
    size, channels = h * w, blob.shape[0] // num_box
    in_place = list(blob.floats())
    found: list[Box] = []
    for p in range(num_box):
        for i, j, values in _cells(layer, blob, p):
            classes = softmax(values[5:])
            first = (p * channels + 5) * size + i * w + j
            in_place[first : first + len(classes) * size : size] = classes
            best = max(classes)
            confidence = f32(sigmoid(values[4]) * best)
            if confidence >= threshold:
                width = divide(f32(exp(values[2]) * biases[2 * p]), float(w))
                height = divide(f32(exp(values[3]) * biases[2 * p + 1]), float(h))
                found.append(_box((i, j, values), (h, w), (width, height), confidence, classes.index(best)))
    if not found:
        return [float_blob(blob.shape, in_place)]
    return [box_table(suppressed(by_score(found), f32(layer.get.number("nms_threshold"))))]


def mask_of(layer: Layer) -> list[int]:
    """The anchors' numbers, which the file holds as floats, as bit patterns of floats, or as ints."""
    numbers = layer.get.numbers("mask")
    return [
        int(struct.unpack("<f", struct.pack("<i", int(number)))[0]) if number >= SMALLEST_NORMAL_BITS else int(number)
        for number in numbers
    ]


def _map_extents(layer: Layer, blob: Blob) -> tuple[int, int]:
    require_rank(layer, blob, 3)
    floats(layer, blob)
    wanted = layer.get.integer("num_box") * (5 + layer.get.integer("num_class"))
    if blob.shape[0] != wanted:
        raise fault(layer, f"needs {wanted} channels, but its bottom has shape {blob.shape}")
    return blob.shape[1], blob.shape[2]


def _cells(layer: Layer, blob: Blob, p: int) -> list[Cell]:
    """What box p says at every place."""
    h, w = blob.shape[1:]
    count = 5 + layer.get.integer("num_class")
    values = blob.floats()[p * count * h * w : (p + 1) * count * h * w]
    return [(i, j, values[i * w + j :: h * w]) for i in range(h) for j in range(w)]


def _box(cell: Cell, extents: tuple[int, int], size: tuple[float, float], confidence: float, label: int) -> Box:
    i, j, values = cell
    h, w = extents
    x, y = divide(f32(j + sigmoid(values[0])), float(w)), divide(f32(i + sigmoid(values[1])), float(h))
    half_w, half_h = f32(size[0] * 0.5), f32(size[1] * 0.5)
    corners = (f32(x - half_w), f32(y - half_h), f32(x + half_w), f32(y + half_h))
    return Box(*corners, confidence, label + 1, plain_area(*corners))


FORWARD = {"Yolov3DetectionOutput": yolov3_detection_output, "YoloDetectionOutput": yolo_detection_output}
