"""Cases whose results a reader can work out: orders of sums, defaults, integer blobs, and what must be refused."""

from __future__ import annotations

import doctest
import importlib
import math
from array import array
from pathlib import Path
from typing import Any

import pytest

from spec.binary32 import FLT_MAX, REFERENCE
from spec.blob import Blob, float_blob, int8_blob, int32_blob
from spec.errors import GraphError
from spec.graph import Layer, float_weight
from spec.layer_table import ParamValue
from spec.layers import CHECK, FORWARD
from spec.layers.boxes import Box, by_score
from spec.layers.yolo_detection_output import mask_of
from spec.shape_expression import evaluate

TINY = 2.0**-24
"""Half a unit in the last place of 1: a sum that starts from 1 loses it, one that ends with 1 does not."""

SPEC_LAYERS = Path(importlib.import_module("spec.layers").__file__ or "").parent

OWN_MODULES = sorted(path.stem for path in SPEC_LAYERS.glob("*.py") if path.stem != "__init__")


def run(
    type: str,
    params: dict[str, ParamValue],
    *bottoms: Blob,
    tops: int = 1,
    weights: dict[str, list[float]] | None = None,
) -> list[Blob]:
    layer = Layer(type, "under-test", [], [f"top{index}" for index in range(tops)])
    for name, value in params.items():
        layer.set(name, value)
    for name, numbers in (weights or {}).items():
        layer.weights[name] = float_weight(name, array("f", numbers), "raw")
    if type in CHECK:
        CHECK[type](layer)
    return FORWARD[type](layer, list(bottoms), REFERENCE)


def one(type: str, params: dict[str, ParamValue], *bottoms: Blob, **rest: Any) -> Blob:
    tops = run(type, params, *bottoms, **rest)
    assert len(tops) == 1
    return tops[0]


@pytest.mark.parametrize("name", OWN_MODULES)
def test_examples_in_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"spec.layers.{name}")).failed == 0


# orders of sums


def test_global_average_adds_from_the_first_value() -> None:
    image = float_blob((2, 1, 4), [1.0, TINY, TINY, 0.0, TINY, TINY, 1.0, 0.0])
    assert one("Pooling", {"pooling_type": 1, "global_pooling": 1}, image).values == [0.25, 0.25 * (1.0 + 2 * TINY)]


def test_adaptive_average_divides_twice() -> None:
    """A sum of 5 over 3 rows of 5: f32(f32(5 / 3) / 5) is one unit below f32(5 / 15)."""
    image = float_blob((1, 3, 5), [5.0] + [0.0] * 14)
    (average,) = one("Pooling", {"pooling_type": 1, "adaptive_pooling": 1, "out_w": 1}, image).values
    assert float(average).hex() == "0x1.5555540000000p-2"
    assert array("f", [5.0 / 15.0])[0].hex() == "0x1.5555560000000p-2"


def test_full_reduction_adds_the_sums_of_the_channels() -> None:
    values = [1.0, TINY, TINY, 0.0]
    assert one("Reduction", {}, float_blob((4,), values)).values == [1.0]
    assert one("Reduction", {}, float_blob((2, 2), [TINY, TINY, TINY, 1.0])).values == [1.0 + 2 * TINY]
    assert one("Reduction", {}, float_blob((2, 2), [1.0, 0.0, TINY, TINY])).values == [1.0 + 2 * TINY]
    rows: dict[str, ParamValue] = {"reduce_all": 0, "axes": [0], "fixbug0": 1}
    assert one("Reduction", rows, float_blob((4, 1), values)).values == [1.0]


def test_softmax_adds_in_order() -> None:
    smallest = math.log(TINY)
    values = one("Softmax", {}, float_blob((3,), [0.0, smallest, smallest])).floats()
    assert values[0] == 1.0
    values = one("Softmax", {}, float_blob((3,), [smallest, smallest, 0.0])).floats()
    assert values[2] < 1.0


def test_eltwise_rounds_products_before_adding() -> None:
    """(1 + 2**-12) squared is 1 + 2**-11 + 2**-24, whose last term binary32 cannot hold."""
    square = float_blob((1,), [1.0 + 2.0**-12])
    total = one("Eltwise", {"op_type": 1, "coeffs": [1.0 + 2.0**-12, -1.0]}, square, float_blob((1,), [1.0 + 2.0**-11]))
    assert total.values == [0.0]


def test_small_lengths_are_zero() -> None:
    assert one("Reduction", {"operation": 8}, float_blob((1,), [2.0**-64])).values == [0.0]
    assert one("Reduction", {"operation": 7}, float_blob((1,), [2.0**-64])).values == [2.0**-64]


# defaults that surprise


def test_defaults() -> None:
    x = float_blob((1,), [-1.0])
    assert one("ELU", {}, x).floats()[0] == pytest.approx(0.1 * (math.exp(-1.0) - 1.0), rel=1e-6)
    assert one("ReLU", {}, x).values == [0.0]
    assert one("HardSigmoid", {}, x).floats()[0] == pytest.approx(0.3, rel=1e-6)
    assert one("Softplus", {}, float_blob((1,), [89.0])).values == [math.inf]


def test_pooling_pads_to_full_windows_by_default() -> None:
    image = float_blob((1, 1, 4), [1.0, 2.0, 3.0, 4.0])
    wide: dict[str, ParamValue] = {"kernel_w": 3, "kernel_h": 1, "stride_w": 2}
    assert one("Pooling", wide, image).tolist() == [[[3.0, 4.0]]]
    assert one("Pooling", {**wide, "pad_mode": 1}, image).tolist() == [[[3.0]]]
    assert one("Pooling", {**wide, "pooling_type": 1}, image).tolist() == [[[2.0, 3.5]]]
    included: dict[str, ParamValue] = {**wide, "pooling_type": 1, "avgpool_count_include_pad": 1}
    assert one("Pooling", included, image).floats()[1] == array("f", [7.0 / 3.0])[0]


def test_windows_wholly_in_the_padding() -> None:
    far: dict[str, ParamValue] = {"kernel_w": 1, "pad_left": 1, "pad_mode": 1}
    image = float_blob((1, 1, 1), [5.0])
    assert one("Pooling", far, image).tolist()[0][0] == [-FLT_MAX, -FLT_MAX, -FLT_MAX]
    assert math.isnan(one("Pooling", {**far, "pooling_type": 1}, image).floats()[0])


def test_bias_takes_rows_for_one_channel() -> None:
    weights = {"bias_data": [1.0, 10.0]}
    rows = one("Bias", {"bias_data_size": 2}, float_blob((2, 1), [0.0, 0.0]), weights=weights)
    assert rows.values == [1.0, 1.0]
    channels = one("Bias", {"bias_data_size": 2}, float_blob((2, 1, 1), [0.0, 0.0]), weights=weights)
    assert channels.values == [1.0, 10.0]


def test_batch_norm_of_no_variance() -> None:
    weights = {"slope_data": [1.0], "mean_data": [1.0], "var_data": [0.0], "bias_data": [0.0]}
    blob = one("BatchNorm", {"channels": 1}, float_blob((1,), [2.0]), weights=weights)
    assert blob.floats()[0] == pytest.approx(1e4, rel=1e-6)


def test_lrn_of_even_size_sums_one_channel_more() -> None:
    blob = float_blob((3, 1, 1), [1.0, 1.0, 1.0])
    params: dict[str, ParamValue] = {"local_size": 2, "alpha": 2.0, "beta": 1.0, "bias": 0.0}
    assert one("LRN", params, blob).floats() == [0.5, array("f", [1.0 / 3.0])[0], 0.5]


def test_crop_ends_of_zero_and_sizes_of_zero() -> None:
    row = float_blob((4,), [1.0, 2.0, 3.0, 4.0])
    assert one("Crop", {"starts": [1], "ends": [0]}, row).values == [2.0, 3.0, 4.0]
    assert one("Crop", {"woffset": 1, "outw": -233}, row).values == [2.0, 3.0, 4.0]
    with pytest.raises(GraphError, match="cannot take"):
        one("Crop", {"woffset": 1}, row)


def test_crop_by_the_numbers_of_a_second_bottom() -> None:
    image = float_blob((2, 2, 3), [float(k) for k in range(12)])
    numbers = int32_blob((6,), [1, 0, 1, 2, 1, 1])
    assert one("Crop", {"woffset": -233}, image, numbers).tolist() == [[[7.0, 8.0]]]


def test_broadcasting_is_not_numpys() -> None:
    square = float_blob((2, 2), [0.0, 0.0, 0.0, 0.0])
    row = float_blob((2,), [1.0, 2.0])
    assert one("BinaryOp", {}, square, row).tolist() == [[1.0, 1.0], [2.0, 2.0]]
    assert one("BinaryOp", {}, float_blob((1, 2), [0.0, 0.0]), row).tolist() == [[1.0, 2.0]]


def test_binary_functions_at_their_edges() -> None:
    def op(number: int, x: float, y: float) -> float:
        return one("BinaryOp", {"op_type": number}, float_blob((1,), [x]), float_blob((1,), [y])).floats()[0]

    assert op(3, 1.0, 0.0) == math.inf
    assert op(6, -2.0, 3.0) == -8.0
    assert op(6, 0.0, 0.5) == 0.0
    assert op(12, -5.0, 3.0) == -2.0
    assert op(15, -5.0, 3.0) == -2.0
    assert op(17, 5.0, 2.0) == 1.0
    assert op(17, 7.0, 2.0) == -1.0
    assert op(18, 3.0, 7.0) == 1.0
    assert op(14, 0.0, 0.0) == array("f", [math.log(2.0)])[0]
    assert math.isnan(op(12, 1.0, 0.0))
    assert math.isnan(op(17, 1.0, 0.0))
    assert math.isnan(op(0, math.inf, -math.inf))


def test_prior_boxes_are_clipped_to_the_image() -> None:
    """A square of side 6 around the middle of an image of 4 by 4 reaches over all its borders."""
    sizes: dict[str, ParamValue] = {"min_sizes": [6.0], "image_width": 4, "image_height": 4, "offset": 0.5}
    cell = float_blob((1, 1, 1), [0.0])
    assert one("PriorBox", sizes, cell).floats()[:4] == [-0.25, -0.25, 1.25, 1.25]
    assert one("PriorBox", {**sizes, "clip": 1}, cell).floats()[:4] == [0.0, 0.0, 1.0, 1.0]


OF_SEVEN_AND_TWO = (
    *(9.0, 5.0, 14.0, 3.5, 7.0, 2.0, 49.0, -5.0, 2.0 / 7.0, 128.0),
    *(math.atan2(7.0, 2.0), math.atan2(2.0, 7.0), 1.0, 2.0, math.log(math.exp(7.0) + math.exp(2.0))),
    *(3.0, 0.0, -1.0, 2.0),
)
"""What each binary operation makes of 7 and 2."""


@pytest.mark.parametrize(("op", "want"), list(enumerate(OF_SEVEN_AND_TWO)))
def test_binary_operations(op: int, want: float) -> None:
    seven, two = float_blob((1,), [7.0]), float_blob((1,), [2.0])
    assert one("BinaryOp", {"op_type": op}, seven, two).floats() == [pytest.approx(want, rel=2e-7)]
    assert one("BinaryOp", {"op_type": op, "with_scalar": 1, "b": 2.0}, seven).floats() == [
        pytest.approx(want, rel=2e-7)
    ]


OF_A_NUMBER = (
    *((-0.75, 0.75), (0.75, -0.75), (-0.75, -1.0), (-0.75, -0.0), (-0.75, 0.5625), (2.25, 1.5), (0.25, 2.0)),
    *((0.75, math.exp(0.75)), (0.75, math.log(0.75)), (0.75, math.sin(0.75)), (0.75, math.cos(0.75))),
    *((0.75, math.tan(0.75)), (0.75, math.asin(0.75)), (0.75, math.acos(0.75)), (0.75, math.atan(0.75)), (4.0, 0.25)),
    *((0.75, math.tanh(0.75)), (0.01, -2.0), (2.5, 2.0), (-2.75, -2.0), (-0.75, -1.0), (0.75, math.exp(0.75) - 1.0)),
    *((0.75, math.sinh(0.75)), (0.75, math.asinh(0.75)), (0.75, math.cosh(0.75)), (1.75, math.acosh(1.75))),
    *((0.75, math.atanh(0.75)), (0.75, math.log(1.75))),
)
"""For each unary operation, a number and what becomes of it."""


@pytest.mark.parametrize(("op", "x", "want"), [(op, x, want) for op, (x, want) in enumerate(OF_A_NUMBER)])
def test_unary_operations(op: int, x: float, want: float) -> None:
    assert one("UnaryOp", {"op_type": op}, float_blob((1,), [x])).floats() == [pytest.approx(want, rel=2e-7)]


@pytest.mark.parametrize(("op", "x", "want"), [(5, -1.0, math.nan), (8, 0.0, -math.inf), (6, 0.0, math.inf)])
def test_unary_functions_outside_their_domain(op: int, x: float, want: float) -> None:
    (got,) = one("UnaryOp", {"op_type": op}, float_blob((1,), [x])).floats()
    assert got == want or (math.isnan(got) and math.isnan(want))


def test_tiles_of_four_repeats_keep_the_channels_outermost() -> None:
    image = float_blob((2, 1, 1), [1.0, 2.0])
    tiled = one("Tile", {"repeats": [1, 2, 1, 1]}, image)
    assert tiled.shape == (2, 2, 1, 1)
    assert tiled.values == [1.0, 1.0, 2.0, 2.0]


def test_nothing_found_is_an_empty_table() -> None:
    prior = float_blob((2, 4), [0.0, 0.0, 1.0, 1.0, 0.1, 0.1, 0.2, 0.2])
    scores = float_blob((2,), [0.9, 0.1])
    found = one("DetectionOutput", {"num_class": 2}, float_blob((4,), [0.0] * 4), scores, prior)
    assert found.shape == (0, 6)


def test_equal_scores_come_out_as_the_quicksort_leaves_them() -> None:
    boxes = [Box(float(k), 0.0, 0.0, 0.0, 1.0, 0, 0.0) for k in range(3)]
    # pivot 1: 0 and 2 are swapped, then 1 with itself; nothing is left to sort
    assert [box.xmin for box in by_score(boxes)] == [2.0, 1.0, 0.0]


def test_masks_are_numbers_or_their_bits() -> None:
    layer = Layer("Yolov3DetectionOutput", "yolo", [], [], {5: [1077936128, 1065353216, 0]})
    assert mask_of(layer) == [3, 1, 0]
    assert mask_of(Layer("Yolov3DetectionOutput", "yolo", [], [], {5: [3, 1, 0]})) == [3, 1, 0]


# shape expressions


@pytest.mark.parametrize(
    ("expression", "want"),
    [
        ("0w,0h,0c", [5, 4, 6]),
        ("*(0w,0h)", [20]),
        ("-(0h,0w)", [-1]),
        ("//(0w,2)", [2]),
        ("//(-7,2)", [-3]),
        ("//(-7.5,2)", [-4]),
        ("/(0w,2)", [2]),
        ("ceil(/(0w,2))", [3]),
        ("round(2.5),round(-2.5),trunc(-2.7),floor(-2.5)", [3, -3, -2, -3]),
        ("max(1w,min(0w,3))", [7]),
        ("sqrt(16),square(3),abs(-2),neg(2),sign(-9)", [4, 9, 2, -2, -1]),
        ("lshift(1,4),and(6,3),or(6,3),xor(6,3),rshift(9,1)", [16, 2, 7, 5, 4]),
        ("2.0", [2]),
        ("remainder(-7,3),fmod(-7,3)", [2, -1]),
    ],
)
def test_expressions(expression: str, want: list[int]) -> None:
    assert evaluate(Layer("Reshape", "shape", [], []), expression, [(6, 4, 5), (7,)]) == want


@pytest.mark.parametrize("expression", ["//(1,0)", "+(1)", "2w", "what(1)", "/(1,0)", "and(1.5,2)", "1e999"])
def test_expressions_that_cannot_be_evaluated(expression: str) -> None:
    with pytest.raises(GraphError, match="layer shape: Reshape has the expression"):
        evaluate(Layer("Reshape", "shape", [], []), expression, [(6, 4, 5), (7,)])


# integer blobs

CODES = int8_blob((2, 1, 4), [1, -2, 3, -4, 5, -6, 7, -8])

MOVES: list[tuple[str, dict[str, ParamValue], list[int]]] = [
    ("Split", {}, [1, -2, 3, -4, 5, -6, 7, -8]),
    ("Noop", {}, [1, -2, 3, -4, 5, -6, 7, -8]),
    ("Flatten", {}, [1, -2, 3, -4, 5, -6, 7, -8]),
    ("Reshape", {"w": -1}, [1, -2, 3, -4, 5, -6, 7, -8]),
    ("Squeeze", {"axes": [1]}, [1, -2, 3, -4, 5, -6, 7, -8]),
    ("Concat", {}, [1, -2, 3, -4, 5, -6, 7, -8]),
    ("Slice", {"slices": [-233]}, [1, -2, 3, -4, 5, -6, 7, -8]),
    ("Crop", {"starts": [1], "ends": [2]}, [5, -6, 7, -8]),
    ("Permute", {"order_type": 4}, [1, 5, -2, -6, 3, 7, -4, -8]),
    ("Flip", {"axes": [0]}, [5, -6, 7, -8, 1, -2, 3, -4]),
    ("ShuffleChannel", {"group": 2}, [1, -2, 3, -4, 5, -6, 7, -8]),
    ("Tile", {"tiles": 1}, [1, -2, 3, -4, 5, -6, 7, -8]),
    ("ReLU", {}, [1, 0, 3, 0, 5, 0, 7, 0]),
]


@pytest.mark.parametrize(("type", "params", "want"), MOVES, ids=[move[0] for move in MOVES])
def test_layers_that_move_keep_int8(type: str, params: dict[str, ParamValue], want: list[int]) -> None:
    blob = one(type, params, CODES)
    assert blob.dtype == "int8"
    assert blob.values == want


COMPUTING: list[tuple[str, dict[str, ParamValue]]] = [
    ("ReLU", {"slope": 0.5}),
    ("Pooling", {"kernel_w": 1}),
    ("Sigmoid", {}),
    ("Softmax", {}),
    ("HardSwish", {}),
    ("UnaryOp", {}),
    ("Dropout", {}),
    ("Clip", {}),
    ("Reduction", {}),
    ("Interp", {"resize_type": 1, "output_height": 2, "output_width": 2}),
    ("LRN", {}),
    ("MVN", {}),
    ("LayerNorm", {"affine": 0}),
    ("InstanceNorm", {"affine": 0}),
    ("BinaryOp", {"with_scalar": 1}),
    ("Unfold", {"kernel_w": 1}),
    ("CumulativeSum", {}),
    ("GLU", {}),
]


@pytest.mark.parametrize(("type", "params"), COMPUTING, ids=[case[0] for case in COMPUTING])
def test_layers_that_compute_refuse_int8(type: str, params: dict[str, ParamValue]) -> None:
    with pytest.raises(GraphError, match=f"layer under-test: {type} computes in float32, but its bottom blob is int8"):
        one(type, params, CODES)


def test_two_blobs_of_int8_are_refused_too() -> None:
    for type in ("BinaryOp", "Eltwise", "MatMul"):
        with pytest.raises(GraphError, match=f"{type} computes in float32"):
            one(type, {}, CODES, CODES)


# what must be refused

X = float_blob((2, 2, 2), [1.0] * 8)

REFUSED: list[tuple[str, dict[str, ParamValue], list[Blob], str]] = [
    ("Concat", {}, [X, float_blob((2, 3, 2), [1.0] * 12)], "cannot join"),
    ("Concat", {}, [X, int8_blob((2, 2, 2), [1] * 8)], "one dtype"),
    ("Concat", {"axis": 3}, [X], "axis 3"),
    ("Slice", {"slices": [1]}, [X], r"pieces of \[1\]"),
    ("Slice", {"slices": [1, 1]}, [X], "1 tops"),
    ("Permute", {"order_type": 6}, [X], "order_type 6"),
    ("Reshape", {}, [X], "no extents"),
    ("Reshape", {"w": 3}, [X], "cannot give 8 values"),
    ("Reshape", {"w": -1, "h": -1}, [X], "cannot give 8 values"),
    ("Reshape", {"w": -1, "input_batch_axis": 0}, [X], "batch axis"),
    ("ExpandDims", {"axes": [0, 1]}, [X], "would make 5 dims"),
    ("Pooling", {"kernel_w": 5, "pad_mode": 1}, [X], "no window"),
    ("Pooling", {"kernel_w": 0}, [X], "above 0"),
    ("Pooling", {"kernel_w": 1, "pad_mode": 4}, [X], "pad_mode 4"),
    ("Pooling", {"kernel_w": 1, "pooling_type": 2}, [X], "pooling_type 2"),
    ("Pooling", {"kernel_w": 1}, [float_blob((2, 2), [1.0] * 4)], "3 dims"),
    ("Softmax", {"axis": 1}, [X], "1=1"),
    ("Reduction", {"reduce_all": 0, "axes": [0]}, [X], "5=1"),
    ("Reduction", {"operation": 11}, [X], "operation 11"),
    ("BinaryOp", {"op_type": 19}, [X, X], "op_type 19"),
    ("BinaryOp", {}, [X], "two bottom blobs"),
    ("BinaryOp", {}, [X, float_blob((3,), [1.0] * 3)], "cannot combine"),
    ("UnaryOp", {"op_type": 28}, [X], "op_type 28"),
    ("Eltwise", {}, [X, float_blob((2,), [1.0] * 2)], "one shape"),
    ("PixelShuffle", {"upscale_factor": 2}, [X], "squares of side 2"),
    ("Reorg", {"stride": 3}, [X], "squares of side 3"),
    ("ShuffleChannel", {"group": 3}, [X], "3 groups"),
    ("GroupNorm", {"group": 3, "affine": 0}, [X], "3 groups"),
    ("GLU", {"axis": 1}, [float_blob((2, 3), [1.0] * 6)], "extent 3"),
    ("MatMul", {}, [X, float_blob((3, 2), [1.0] * 6)], "cannot multiply"),
    ("Interp", {"resize_type": 3, "output_width": 4, "output_height": 4}, [X], "4 and more"),
    ("Interp", {"resize_type": 4}, [X], "resize_type 4"),
    ("Diag", {"diagonal": 2}, [float_blob((2, 2), [1.0] * 4)], "no diagonal"),
    ("CopyTo", {"woffset": 1}, [X, X], "cannot write"),
    ("Tile", {"tiles": 0}, [X], "cannot repeat"),
    ("Split", {}, [X, X], "one bottom blob"),
]


@pytest.mark.parametrize(("type", "params", "bottoms", "message"), REFUSED)
def test_refused(type: str, params: dict[str, ParamValue], bottoms: list[Blob], message: str) -> None:
    with pytest.raises(GraphError, match=f"layer under-test: {type} .*{message}"):
        one(type, params, *bottoms)
