"""The layers without matrices give the same bits as the spec, and refuse what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.layers import PREPARE
from spec.layers import FORWARD
from tests.fastpath.compare import assert_agree, layer_of
from tests.strategies import ConvGeometry, activations, conv_geometry, float_tensors, int8_tensors, scales, shapes

FEW = settings(max_examples=25, deadline=None)
SOME = settings(max_examples=60, deadline=None)
MANY = settings(max_examples=150, deadline=None)

AXES = st.integers(-4, 4)


def test_every_layer_type_of_the_spec_runs_here() -> None:
    assert set(FORWARD) <= set(PREPARE)


# Pooling and sums.


@MANY
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 8), st.integers(1, 8)),
    st.tuples(*(st.integers(1, 3),) * 4),
    st.tuples(*(st.integers(0, 2),) * 4),
    st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(0, 1)),
    st.data(),
)
def test_windowed_pooling(
    shape: tuple[int, int, int],
    window: tuple[int, int, int, int],
    pads: tuple[int, int, int, int],
    kind: tuple[int, int, int],
    data: st.DataObject,
) -> None:
    params = dict(zip((1, 11, 2, 12), window)) | dict(zip((3, 13, 14, 15), pads)) | dict(zip((0, 5, 6), kind))
    assert_agree(layer_of("Pooling", params), [data.draw(float_tensors(shape))])
    assert_agree(layer_of("Pooling1D", params), [data.draw(float_tensors(shape[1:]))])


@SOME
@given(shapes((2, 3), largest=7), st.integers(0, 1), st.integers(1, 5), st.integers(1, 5), st.data())
def test_global_and_adaptive_pooling(
    shape: tuple[int, ...], average: int, out_w: int, out_h: int, data: st.DataObject
) -> None:
    type = "Pooling" if len(shape) == 3 else "Pooling1D"
    bottom = data.draw(float_tensors(shape))
    assert_agree(layer_of(type, {0: average, 4: 1}), [bottom])
    assert_agree(layer_of(type, {0: average, 7: 1, 8: out_w, 18: out_h}), [bottom])
    assert_agree(layer_of(type, {0: average, 7: 1, 8: -233}), [bottom])


@pytest.mark.parametrize("channels", [1, 15, 16, 40])
def test_long_sums_keep_their_order(channels: int) -> None:
    bottom = np.random.default_rng(channels).standard_normal((channels, 9, 31), np.float32) * np.float32(1e4)
    assert_agree(layer_of("Pooling", {0: 1, 4: 1}), [bottom])
    assert_agree(layer_of("Softmax", {0: 1, 1: 1}), [bottom])
    assert_agree(layer_of("Reduction", {0: 0, 1: 0, 3: [1, 2], 5: 1}), [bottom])
    assert_agree(layer_of("Reduction", {0: 3}), [bottom])


def test_max_pooling_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastpath.layers.pooling.BLOCK", 150)
    bottom = np.random.default_rng(1).standard_normal((7, 9, 8), np.float32)
    assert_agree(layer_of("Pooling", {1: 3, 2: 2}), [bottom])


@SOME
@given(shapes(), AXES, st.data())
def test_softmax(shape: tuple[int, ...], axis: int, data: st.DataObject) -> None:
    assert_agree(layer_of("Softmax", {0: axis, 1: 1}), [data.draw(float_tensors(shape, 90.0))])


@MANY
@given(
    shapes(),
    st.integers(0, 10),
    st.lists(st.integers(-4, 3), max_size=3, unique=True),
    st.integers(0, 1),
    st.integers(0, 1),
    st.data(),
)
def test_reduction(
    shape: tuple[int, ...], operation: int, axes: list[int], reduce_all: int, keepdims: int, data: st.DataObject
) -> None:
    bottom = data.draw(float_tensors(shape, 8.0))
    params = {0: operation, 1: reduce_all, 2: 1.5, 3: axes, 4: keepdims, 5: 1}
    assert_agree(layer_of("Reduction", params), [bottom])
    assert_agree(layer_of("CumulativeSum", {0: axes[0] if axes else 0}), [bottom])


# Elementwise.


@SOME
@given(shapes(), st.floats(-2, 2, width=32), st.floats(-2, 2, width=32), st.data())
def test_straight_functions(shape: tuple[int, ...], a: float, b: float, data: st.DataObject) -> None:
    bottom = data.draw(float_tensors(shape, 4.0))
    for type, params in (
        ("ReLU", {}),
        ("ReLU", {0: a}),
        ("Clip", {0: a, 1: b}),
        ("Threshold", {0: a}),
        ("AbsVal", {}),
        ("Shrink", {0: a, 1: abs(b)}),
        ("Dropout", {0: a}),
    ):
        assert_agree(layer_of(type, params), [bottom])
    for count in (1, shape[0]):
        slopes = data.draw(float_tensors((count,), 2.0))
        assert_agree(layer_of("PReLU", {0: count}, {"slope_data": slopes}), [bottom])


@FEW
@given(shapes(), st.data())
def test_relu_of_int8(shape: tuple[int, ...], data: st.DataObject) -> None:
    assert_agree(layer_of("ReLU"), [data.draw(int8_tensors(shape))])


@SOME
@given(shapes(), st.data())
def test_batch_norm_scale_and_bias(shape: tuple[int, ...], data: st.DataObject) -> None:
    bottom, channels = data.draw(float_tensors(shape)), shape[0]
    four = {
        name: data.draw(float_tensors((channels,))) for name in ("slope_data", "mean_data", "var_data", "bias_data")
    }
    four["var_data"] = np.abs(four["var_data"])
    assert_agree(layer_of("BatchNorm", {0: channels, 1: 1e-5}, four), [bottom])
    assert_agree(layer_of("BatchNorm", {0: channels}, four), [bottom])
    scale = {"scale_data": four["slope_data"], "bias_data": four["bias_data"]}
    assert_agree(layer_of("Scale", {0: channels, 1: 1}, scale), [bottom])
    assert_agree(layer_of("Scale", {0: -233}), [bottom, four["slope_data"]])
    assert_agree(layer_of("Bias", {0: channels}, {"bias_data": four["bias_data"]}), [bottom])


@MANY
@given(st.integers(-1, 19), shapes(largest=3), shapes(largest=3), st.data())
def test_binary_op(operation: int, left: tuple[int, ...], right: tuple[int, ...], data: st.DataObject) -> None:
    fitting = data.draw(st.sampled_from([right, left, left[:1], left[:-1] or left, (1,) * len(left), left[-1:]]))
    bottoms = [data.draw(float_tensors(left, 6.0)), data.draw(float_tensors(fitting, 6.0))]
    assert_agree(layer_of("BinaryOp", {0: operation}), bottoms)
    assert_agree(layer_of("BinaryOp", {0: operation, 1: 1, 2: data.draw(st.floats(-3, 3, width=32))}), bottoms[:1])


# Between float and integers.


@SOME
@given(shapes(), st.booleans(), activations(), st.data())
def test_quantize_dequantize_requantize(
    shape: tuple[int, ...], single: bool, activation: tuple[int, list[float]], data: st.DataObject
) -> None:
    count = 1 if single else shape[0]
    scale_in, scale_out, bias = (
        np.array(data.draw(st.lists(scales(), min_size=count, max_size=count)), np.float32) for _ in range(3)
    )
    assert_agree(layer_of("Quantize", {0: count}, {"scale_data": scale_in}), [data.draw(float_tensors(shape))])
    sums = np.array(data.draw(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=20)), np.int32)
    sums = np.resize(sums, shape)
    assert_agree(layer_of("Dequantize", {0: count}, {"scale_data": scale_in}), [sums])
    with_bias: dict[str, Any] = {"scale_data": scale_in, "bias_data": bias}
    assert_agree(layer_of("Dequantize", {0: count, 1: count}, with_bias), [sums])
    records: dict[str, Any] = {"scale_in_data": 1 / scale_in, "scale_out_data": scale_out, "bias_data": bias}
    params = {0: count, 1: count, 2: count, 3: activation[0], 4: activation[1]}
    assert_agree(layer_of("Requantize", params, records), [sums])


@pytest.mark.parametrize("pair", [(3, 1), (1, 1), (3, 3), (1, 3), (1, 2), (4, 1)])
def test_cast(pair: tuple[int, int]) -> None:
    for bottom in (np.array([1, -2], np.int8), np.array([1.5, -2], np.float32)):
        assert_agree(layer_of("Cast", {0: pair[0], 1: pair[1]}), [bottom])


# Data movement, of int8 as of float32.


@SOME
@given(shapes(), st.booleans(), st.data())
def test_moving_data(shape: tuple[int, ...], int8: bool, data: st.DataObject) -> None:
    bottom: Any = data.draw(int8_tensors(shape) if int8 else float_tensors(shape))
    axis = data.draw(AXES)
    axes = data.draw(st.lists(AXES, max_size=3, unique=True))
    assert_agree(layer_of("Permute", {0: data.draw(st.integers(-1, 24))}), [bottom])
    assert_agree(layer_of("Flip", {0: axes}), [bottom])
    assert_agree(layer_of("Flatten"), [bottom])
    assert_agree(layer_of("Squeeze", {3: axes}), [bottom])
    assert_agree(layer_of("Squeeze", {0: 1, 1: 0, 2: 1, 11: 1}), [bottom])
    assert_agree(layer_of("ExpandDims", {3: axes}), [bottom])
    assert_agree(layer_of("Split", tops=2), [bottom])
    assert_agree(layer_of("Concat", {0: axis}), [bottom, bottom])
    slices = data.draw(st.lists(st.sampled_from([-233, 1, 2]), min_size=1, max_size=3))
    assert_agree(layer_of("Slice", {0: slices, 1: axis}, tops=len(slices)), [bottom])
    cuts = data.draw(st.lists(st.integers(-3, 4), min_size=1, max_size=2))
    assert_agree(layer_of("Slice", {2: cuts, 1: axis}, tops=len(cuts) + 1), [bottom])


@SOME
@given(shapes(), st.lists(st.sampled_from([-233, -1, 0, 1, 2, 3, 4, 6]), min_size=4, max_size=4), st.data())
def test_reshape(shape: tuple[int, ...], extents: list[int], data: st.DataObject) -> None:
    bottom = data.draw(float_tensors(shape))
    assert_agree(layer_of("Reshape", dict(zip((0, 1, 11, 2), extents))), [bottom])
    for expression in ("*(0w,0h),0c", "-1,0w", "+(0w,0),max(0h,1),//(*(0c,2),2)", "/(0w,0)", "foo(0w)"):
        assert_agree(layer_of("Reshape", {6: expression}), [bottom])


@MANY
@given(shapes(), st.booleans(), st.data())
def test_crop_and_copy_to(shape: tuple[int, ...], int8: bool, data: st.DataObject) -> None:
    bottom: Any = data.draw(int8_tensors(shape) if int8 else float_tensors(shape))
    rank = len(shape)
    starts = data.draw(st.lists(st.integers(-3, 3) | st.just(-233), min_size=1, max_size=rank))
    ends = data.draw(st.lists(st.integers(-3, 5) | st.just(-233), min_size=len(starts), max_size=len(starts)))
    axes = data.draw(st.just([]) | st.permutations(range(rank)).map(lambda order: order[: len(starts)]))
    assert_agree(layer_of("Crop", {9: starts, 10: ends, 11: axes}), [bottom])
    numbers = st.integers(0, 2)
    params = {id: data.draw(numbers) for id in (0, 1, 13, 2, 6, 7, 15, 8)}
    params |= {id: data.draw(st.sampled_from([-233, 1, 2])) for id in (3, 4, 14, 5)}
    assert_agree(layer_of("Crop", params), [bottom])
    other = data.draw(shapes(largest=3))
    patch = np.ones(other, bottom.dtype)
    offsets = {id: data.draw(numbers) for id in (0, 1, 13, 2)}
    assert_agree(layer_of("Crop", offsets), [bottom, patch])
    assert_agree(layer_of("CopyTo", offsets), [bottom, patch])
    said = np.array(data.draw(st.lists(numbers, min_size=8, max_size=8)), np.int32)
    assert_agree(layer_of("Crop", {0: -233}), [bottom, said])


@SOME
@given(shapes(largest=4), st.booleans(), st.integers(-1, 3), st.tuples(*(st.integers(0, 2),) * 6), st.data())
def test_padding(shape: tuple[int, ...], int8: bool, kind: int, borders: tuple[int, ...], data: st.DataObject) -> None:
    bottom: Any = data.draw(int8_tensors(shape) if int8 else float_tensors(shape))
    params: dict[int, Any] = dict(zip((0, 1, 2, 3, 7, 8), borders)) | {
        4: kind,
        5: data.draw(st.floats(-200, 200, width=32)),
    }
    assert_agree(layer_of("Padding", params), [bottom])
    count = shape[0] + (borders[4] + borders[5] if len(shape) == 3 else 0)
    fills = data.draw(float_tensors((count,), 127.0))
    assert_agree(layer_of("Padding", params | {6: count}, {"per_channel_pad_data": fills}), [bottom])


def test_memory_data_is_a_constant() -> None:
    values = np.arange(24, dtype=np.float32)
    for params in ({0: 24}, {0: 6, 1: 4}, {0: 2, 1: 3, 2: 4}, {0: 2, 1: 3, 11: 2, 2: 2}, {0: 5}, {0: 24, 2: 1}):
        assert_agree(layer_of("MemoryData", params, {"data": values}), [])


# The other float layers.


@SOME
@given(shapes(), st.floats(0.125, 2, width=32), st.floats(-2, 2, width=32), st.data())
def test_bent_functions(shape: tuple[int, ...], a: float, b: float, data: st.DataObject) -> None:
    bottom = data.draw(float_tensors(shape, 100.0))
    for type in ("Sigmoid", "TanH", "Swish", "Mish", "Softplus", "BNLL", "Erf", "GELU"):
        assert_agree(layer_of(type), [bottom])
    for type, params in (
        ("GELU", {0: 1}),
        ("ELU", {0: a}),
        ("SELU", {0: a, 1: abs(b)}),
        ("CELU", {0: a}),
        ("HardSigmoid", {0: a, 1: b}),
        ("HardSwish", {0: a, 1: b}),
        ("GLU", {0: data.draw(AXES)}),
    ):
        assert_agree(layer_of(type, params), [bottom])


@SOME
@given(shapes(), st.floats(-2, 2, width=32), st.floats(-2, 2, width=32), st.data())
def test_functions_of_one_number(shape: tuple[int, ...], a: float, b: float, data: st.DataObject) -> None:
    bottom = data.draw(float_tensors(shape, 12.0))
    assert_agree(layer_of("UnaryOp", {0: data.draw(st.integers(-1, 28))}), [bottom])
    for base in (-1.0, 2.0, 0.5):
        assert_agree(layer_of("Exp", {0: base, 1: a, 2: b}), [bottom])
        assert_agree(layer_of("Log", {0: base, 1: a, 2: b}), [bottom])
    for power in (2.0, 0.5, -1.0, 3.0, b):
        assert_agree(layer_of("Power", {0: power, 1: a, 2: b}), [bottom])


@SOME
@given(shapes(), st.integers(-1, 3), st.integers(1, 4), st.booleans(), st.data())
def test_eltwise(shape: tuple[int, ...], operation: int, count: int, weighted: bool, data: st.DataObject) -> None:
    bottoms = [data.draw(float_tensors(shape)) for _ in range(count)]
    coeffs = data.draw(st.lists(st.floats(-2, 2, width=32), min_size=3, max_size=4)) if weighted else []
    assert_agree(layer_of("Eltwise", {0: operation, 1: coeffs}), bottoms)


@SOME
@given(shapes(), st.booleans(), st.integers(0, 4), st.integers(0, 1), st.data())
def test_shuffling_and_tiling(shape: tuple[int, ...], int8: bool, factor: int, mode: int, data: st.DataObject) -> None:
    bottom: Any = data.draw(int8_tensors(shape) if int8 else float_tensors(shape))
    assert_agree(layer_of("ShuffleChannel", {0: factor, 1: mode}), [bottom])
    assert_agree(layer_of("PixelShuffle", {0: factor, 1: mode}), [bottom])
    assert_agree(layer_of("Reorg", {0: factor, 1: mode}), [bottom])
    many = np.resize(bottom, (shape[0] * factor * factor or 1, 4, 6))
    assert_agree(layer_of("PixelShuffle", {0: factor, 1: mode}), [many])
    assert_agree(layer_of("Reorg", {0: 2, 1: mode}), [many])
    assert_agree(layer_of("ShuffleChannel", {0: factor, 1: mode}), [many])
    assert_agree(layer_of("Tile", {0: data.draw(AXES), 1: factor}), [bottom])
    repeats = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=5))
    assert_agree(layer_of("Tile", {2: repeats}), [bottom])


@SOME
@given(st.tuples(*(st.integers(1, 5),) * 3), st.integers(-1, 2), st.integers(0, 5), st.data())
def test_lrn(shape: tuple[int, ...], region: int, size: int, data: st.DataObject) -> None:
    params = {0: region, 1: size, 2: 0.75, 3: 0.6, 4: 1.25}
    assert_agree(layer_of("LRN", params), [data.draw(float_tensors(shape, 8.0))])


@SOME
@given(shapes(), st.integers(1, 4), st.data())
def test_norms(shape: tuple[int, ...], group: int, data: st.DataObject) -> None:
    bottom = data.draw(float_tensors(shape, 8.0))
    sizes = {shape[-1], int(np.prod(shape[-2:])), int(np.prod(shape[1:])), shape[0], 2}
    size = data.draw(st.sampled_from(sorted(sizes)))
    both = {"gamma_data": data.draw(float_tensors((size,), 4.0)), "beta_data": data.draw(float_tensors((size,), 4.0))}
    gamma = {"gamma_data": both["gamma_data"]}
    for affine, weights in ((1, both), (0, {})):
        assert_agree(layer_of("LayerNorm", {0: size, 1: 1e-3, 2: affine}, weights), [bottom])
        assert_agree(layer_of("GroupNorm", {0: group, 1: size, 2: 1e-3, 3: affine}, weights), [bottom])
        assert_agree(layer_of("InstanceNorm", {0: size, 1: 1e-3, 2: affine}, weights), [bottom])
        assert_agree(layer_of("RMSNorm", {0: size, 1: 1e-3, 2: affine}, gamma if affine else {}), [bottom])
    for flags in ((0, 0), (0, 1), (1, 0), (1, 1)):
        assert_agree(layer_of("MVN", {0: flags[0], 1: flags[1], 2: 1e-4}), [bottom])
        for mode in (0, 1, 2):
            params = {0: flags[0], 4: flags[1], 1: data.draw(st.integers(0, 1)), 2: 1e-3, 3: size, 9: mode}
            assert_agree(layer_of("Normalize", params, {"scale_data": both["gamma_data"]}), [bottom])


@MANY
@given(
    shapes((1, 2, 3), largest=7),
    st.integers(0, 4),
    st.integers(0, 1),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.floats(0.25, 3.0, width=32), st.floats(0.25, 3.0, width=32)),
    st.data(),
)
def test_interp(
    shape: tuple[int, ...],
    kind: int,
    align_corner: int,
    size: tuple[int, int],
    factors: tuple[float, float],
    data: st.DataObject,
) -> None:
    bottom = data.draw(float_tensors(shape))
    common = {0: kind, 6: align_corner}
    assert_agree(layer_of("Interp", common | {3: size[0], 4: size[1], 1: factors[0], 2: factors[1]}), [bottom])
    assert_agree(layer_of("Interp", common | {1: factors[0], 2: factors[1]}), [bottom])
    assert_agree(layer_of("Interp", common | {9: "*(0w,2),+(0h,1)"}), [bottom])
    assert_agree(layer_of("Interp", common | {5: 1}), [bottom, np.zeros((1, *(n + 1 for n in size)), np.float32)])


@FEW
@given(shapes((1, 2), largest=5), st.integers(-6, 6), st.data())
def test_diag(shape: tuple[int, ...], diagonal: int, data: st.DataObject) -> None:
    assert_agree(layer_of("Diag", {0: diagonal}), [data.draw(float_tensors(shape))])


@SOME
@given(st.integers(0, 1), st.integers(1, 5), st.integers(0, 2), st.integers(0, 2), st.data())
def test_mat_mul(transposed: int, count: int, rank_a: int, rank_b: int, data: st.DataObject) -> None:
    """Products of small whole numbers are exact in any order."""
    whole = st.integers(-50, 50).map(float)
    batch = data.draw(st.sampled_from([(), (2,), (1,)]))
    shape_a = (*batch, 3, count) if rank_a else (count,)
    shape_b = (*batch, count, 2) if rank_b else (count,)
    if transposed and rank_b:
        shape_b = (*batch, 2, count)
    a, b = (
        np.array(data.draw(st.lists(whole, min_size=n, max_size=n)), np.float32).reshape(shape)
        for shape in (shape_a, shape_b)
        for n in [int(np.prod(shape))]
    )
    assert_agree(layer_of("MatMul", {0: transposed}), [a, b])
    assert_agree(layer_of("MatMul", {0: transposed}), [a, b[..., :1]])


# Layers with matrices: whole numbers, whose sums are exact in any order.


def whole_tensors(shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    return int8_tensors(shape).map(lambda codes: codes.astype(np.float32))


@SOME
@given(conv_geometry(grouped=True), st.booleans(), st.data())
def test_convolution1d(geometry: ConvGeometry, grouped: bool, data: st.DataObject) -> None:
    groups = geometry.groups if grouped else 1
    count = geometry.num_output * (geometry.channels // groups) * geometry.kernel[1]
    params = {id: geometry.params[id] for id in (0, 1, 2, 3, 4, 15)}
    params |= {6: count, 5: 1, 7: groups, 9: 1, 18: -3.0}
    weights = {"weight_data": data.draw(whole_tensors((count,))), "bias_data": np.ones(geometry.num_output, np.float32)}
    type = "ConvolutionDepthWise1D" if grouped else "Convolution1D"
    if not grouped:
        del params[7]
    bottom = data.draw(whole_tensors((geometry.channels, geometry.size[1])))
    assert_agree(layer_of(type, params, weights), [bottom])
    shape = (geometry.num_output, geometry.channels // groups, geometry.kernel[1])
    dynamic = {id: value for id, value in params.items() if id not in (0, 1, 6)} | {19: 1}
    assert_agree(layer_of(type, dynamic), [bottom, weights["weight_data"].reshape(shape), weights["bias_data"]])


@SOME
@given(conv_geometry(grouped=True), st.booleans(), st.booleans(), st.tuples(*(st.integers(0, 9),) * 4), st.data())
def test_deconvolution(
    geometry: ConvGeometry, grouped: bool, rows: bool, sizes: tuple[int, int, int, int], data: st.DataObject
) -> None:
    groups = geometry.groups if grouped else 1
    shape = geometry.shape[::2] if rows else geometry.shape
    kernel = geometry.kernel[1:] if rows else geometry.kernel
    count = geometry.num_output * (geometry.channels // groups) * int(np.prod(kernel))
    ids = (0, 1, 2, 3, 4, 15) if rows else (0, 1, 11, 2, 12, 3, 13, 4, 14, 15, 16)
    params = {id: geometry.params[id] for id in ids} | {6: count, 5: 1, 9: 1, 18: sizes[2] % 3, 20: sizes[0]}
    if not rows:
        params |= {19: sizes[3] % 3, 21: sizes[1]}
    if grouped:
        params[7] = groups
    weights = {"weight_data": data.draw(whole_tensors((count,))), "bias_data": np.ones(geometry.num_output, np.float32)}
    type = f"Deconvolution{'DepthWise' if grouped else ''}{'1D' if rows else ''}"
    bottom = data.draw(whole_tensors(shape))
    assert_agree(layer_of(type, params, weights), [bottom])
    dynamic = {id: value for id, value in params.items() if id not in (0, 1, 11, 6)} | {28: 1}
    by_input = weights["weight_data"].reshape(geometry.channels, geometry.num_output // groups, *kernel)
    assert_agree(layer_of(type, dynamic), [bottom, by_input, weights["bias_data"]])


@SOME
@given(conv_geometry(), st.integers(1, 8), st.integers(1, 8), st.data())
def test_fold_and_unfold(geometry: ConvGeometry, output_h: int, output_w: int, data: st.DataObject) -> None:
    params = {id: geometry.params[id] for id in (1, 11, 2, 12, 3, 13, 4, 14, 15, 16)}
    assert_agree(layer_of("Unfold", params | {18: 0.5}), [data.draw(float_tensors(geometry.shape))])
    layer = layer_of("Fold", params | {20: output_w, 21: output_h})
    cells = int(np.prod(geometry.kernel))
    for windows in {data.draw(st.integers(1, 9)), output_h * output_w}:
        assert_agree(layer, [data.draw(float_tensors((2 * cells, windows)))])


# Grids and boxes.


@MANY
@given(
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 1),
    st.booleans(),
    st.sampled_from([(2, 3, 4), (1, 1, 5), (2, 2, 3, 4), (1, 3)]),
    st.data(),
)
def test_grid_sample(
    kind: int, padding: int, align_corner: int, fused: bool, shape: tuple[int, ...], data: st.DataObject
) -> None:
    places = tuple(data.draw(st.integers(1, 3)) for _ in shape[1:])
    grid = data.draw(float_tensors((*places, len(shape) - 1), 2.0))
    if fused:
        grid = np.moveaxis(grid, -1, 0)
    layer = layer_of("GridSample", {0: kind, 1: padding, 2: align_corner, 3: int(fused)})
    assert_agree(layer, [data.draw(float_tensors(shape)), np.ascontiguousarray(grid)])


def test_prior_box() -> None:
    feature, image = np.zeros((3, 2, 3), np.float32), np.zeros((3, 30, 40), np.float32)
    sizes: dict[int, Any] = {0: [10.0, 21.0], 2: [2.0, 3.0]}
    for params in (
        {},
        {1: [15.0, 30.0]},
        {1: [15.0, 30.0], 7: 0, 8: 0},
        {13: 0.5, 14: 1, 15: 1},
        {9: 50, 10: 60, 11: 8.0, 12: 16.0, 13: 0.5},
        {1: [15.0]},
    ):
        images: dict[int, Any] = {9: -233, 10: -233}
        assert_agree(layer_of("PriorBox", sizes | images | params), [feature, image])
        assert_agree(layer_of("PriorBox", sizes | images | params), [feature])


@FEW
@given(st.integers(1, 4), st.integers(1, 30), st.integers(0, 2**31), st.booleans())
def test_detection_output(classes: int, count: int, seed: int, mxnet: bool) -> None:
    random = np.random.default_rng(seed)
    corner = random.uniform(0, 0.7, (count, 2))
    prior = np.concatenate([corner, corner + random.uniform(0.05, 0.3, (count, 2))], 1).astype(np.float32)
    location = random.standard_normal(4 * count, np.float32)
    scores = (random.integers(0, 20, (classes, count)) / 20).astype(np.float32)
    params = {0: -233 if mxnet else classes, 1: 0.3, 2: 12, 3: 8, 4: 0.4}
    if mxnet:
        bottoms = [location, scores, prior]
    else:
        variances = random.uniform(0.1, 0.3, (count, 4)).astype(np.float32)
        bottoms = [location, np.ascontiguousarray(scores.T).reshape(-1), np.stack([prior, variances]).reshape(2, -1)]
    assert_agree(layer_of("DetectionOutput", params), bottoms)


@FEW
@given(st.integers(1, 3), st.integers(0, 2**31), st.sampled_from([0.05, 0.5, 1.5]), st.sampled_from([0.3, 0.9]))
def test_yolo(classes: int, seed: int, threshold: float, overlap: float) -> None:
    random = np.random.default_rng(seed)
    maps = [np.round(random.standard_normal((2 * (5 + classes), h, 3)) * 2, 1).astype(np.float32) for h in (2, 4)]
    biases = random.uniform(1, 9, 8).astype(np.float32).tolist()
    common = {0: classes, 1: 2, 2: threshold, 3: overlap, 4: biases}
    assert_agree(layer_of("YoloDetectionOutput", common), maps[:1])
    for mask in ([0.0, 1.0, 3.0, 2.0], [0, 1, 1077936128, 1073741824], [0.0, 1.0, 4.0, 2.0], [0.0]):
        assert_agree(layer_of("Yolov3DetectionOutput", common | {5: mask, 6: [8.0, 4.0]}), maps)
