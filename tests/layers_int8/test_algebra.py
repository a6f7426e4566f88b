"""What must hold of every input: checked against plain sums of products, and against the layer itself, rearranged."""

from __future__ import annotations

import math
import random
import struct
from array import array
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spec.binary32 import X86, f32, fma
from spec.blob import Blob, int8_blob, int32_blob
from spec.graph import Layer
from spec.layers import gru, lstm, rnn
from tests.layers_int8.build import blob, codes, make, run

scales = st.floats(0.5, 200.0, width=32)
values = st.floats(-4.0, 4.0, width=32)
seeds = st.integers(0, 2**32 - 1)


def bits(numbers: Sequence[float]) -> bytes:
    return struct.pack(f"{len(numbers)}f", *numbers)


class Numbers:
    """Reproducible data of any size from one drawn seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def codes(self, count: int) -> array[int]:
        return codes([self.random.randint(-127, 127) for _ in range(count)])

    def floats(self, count: int, low: float = -4.0, high: float = 4.0) -> list[float]:
        return [f32(self.random.uniform(low, high)) for _ in range(count)]


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Layer, Blob]:
    """A convolution with groups and an int8 image that its kernel fits: the kernel is drawn first, then the image."""
    numbers = Numbers(draw(seeds))
    group = draw(st.integers(1, 3))
    inputs, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    kernel_h, kernel_w = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    dilation, stride_h, stride_w = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 3))
    h = dilation * (kernel_h - 1) + 1 + draw(st.integers(0, 3))
    w = dilation * (kernel_w - 1) + 1 + draw(st.integers(0, 3))
    pads = [draw(st.integers(0, 2)) for _ in range(4)]
    num_output = group * outputs
    count = num_output * inputs * kernel_h * kernel_w
    layer = make(
        "ConvolutionDepthWise",
        {
            "num_output": num_output,
            "group": group,
            "kernel_w": kernel_w,
            "kernel_h": kernel_h,
            "dilation_w": dilation,
            "stride_w": stride_w,
            "stride_h": stride_h,
            "pad_left": pads[0],
            "pad_right": pads[1],
            "pad_top": pads[2],
            "pad_bottom": pads[3],
            "bias_term": 1,
            "weight_data_size": count,
            "int8_scale_term": 1,
        },
        {
            "weight_data": numbers.codes(count),
            "bias_data": numbers.floats(num_output),
            "weight_data_int8_scales": numbers.floats(group, 1.0, 100.0),
            "bottom_blob_int8_scales": numbers.floats(1, 1.0, 100.0),
        },
    )
    return layer, int8_blob((group * inputs, h, w), numbers.codes(group * inputs * h * w).tolist())


@given(convolutions())
def test_convolution_by_the_definition(case: tuple[Layer, Blob]) -> None:
    """Every output is recomputed from its own sum, with the image read through its borders instead of padded."""
    layer, image = case
    (out,) = run(layer, image)
    get = layer.get
    channels, h, w = image.shape
    group, num_output = get.integer("group"), get.integer("num_output")
    kernel_h, kernel_w = get.integer("kernel_h"), get.integer("kernel_w")
    inputs, outputs = channels // group, num_output // group
    weights = layer.weight("weight_data").int8()
    bottom_scale = layer.weight("bottom_blob_int8_scales").floats()[0]
    expected_h = h + get.integer("pad_top") + get.integer("pad_bottom") - get.integer("dilation_h") * (kernel_h - 1) - 1
    expected_w = w + get.integer("pad_left") + get.integer("pad_right") - get.integer("dilation_w") * (kernel_w - 1) - 1
    assert out.shape == (
        num_output,
        expected_h // get.integer("stride_h") + 1,
        expected_w // get.integer("stride_w") + 1,
    )
    position = 0
    for o in range(num_output):
        descale = f32(1.0 / f32(bottom_scale * layer.weight("weight_data_int8_scales").floats()[o // outputs]))
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                total = 0
                for c in range(inputs):
                    for i in range(kernel_h):
                        for j in range(kernel_w):
                            row = y * get.integer("stride_h") + i * get.integer("dilation_h") - get.integer("pad_top")
                            column = (
                                x * get.integer("stride_w") + j * get.integer("dilation_w") - get.integer("pad_left")
                            )
                            if 0 <= row < h and 0 <= column < w:
                                channel = o // outputs * inputs + c
                                weight = weights[((o * inputs + c) * kernel_h + i) * kernel_w + j]
                                total += weight * image.ints()[(channel * h + row) * w + column]
                wanted = f32(f32(f32(total) * descale) + layer.weight("bias_data").floats()[o])
                assert bits([out.floats()[position]]) == bits([wanted])
                position += 1


@given(convolutions())
def test_the_fused_profile_fuses_the_bias(case: tuple[Layer, Blob]) -> None:
    layer, image = case
    layer.weights["bias_data"].values[:] = array("f", [0.0] * len(layer.weights["bias_data"]))
    (plain,) = run(layer, image)
    (fused,) = run(layer, image, profile=X86)
    assert plain.values == fused.values


@given(convolutions(), seeds)
def test_permuting_the_kernels_of_one_group_permutes_the_outputs(case: tuple[Layer, Blob], seed: int) -> None:
    layer, image = case
    if layer.get.integer("group") != 1:
        return
    (out,) = run(layer, image)
    num_output = layer.get.integer("num_output")
    order = random.Random(seed).sample(range(num_output), num_output)
    for name in ("weight_data", "bias_data"):
        record = layer.weights[name]
        size = len(record) // num_output
        record.values[:] = array(
            record.values.typecode, [v for o in order for v in record.values[o * size : (o + 1) * size]]
        )
    (moved,) = run(layer, image)
    size = len(out.values) // num_output
    assert moved.values == [v for o in order for v in out.values[o * size : (o + 1) * size]]


def inner_product(num_input: int, num_output: int, numbers: Numbers, **params: Any) -> Layer:
    return make(
        "InnerProduct",
        {"num_output": num_output, "weight_data_size": num_input * num_output, "bias_term": 1, "int8_scale_term": 2}
        | params,
        {
            "weight_data": numbers.codes(num_input * num_output),
            "bias_data": numbers.floats(num_output),
            "weight_data_int8_scales": numbers.floats(num_output, 1.0, 100.0),
            "bottom_blob_int8_scales": numbers.floats(1, 1.0, 100.0),
        },
    )


@given(seeds, st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(0, 3))
def test_inner_product_of_a_batch_is_that_of_each_row(seed: int, size: int, outputs: int, rows: int, kind: int) -> None:
    numbers = Numbers(seed)
    layer = inner_product(size, outputs, numbers, activation_type=kind, activation_params=[-0.5, 0.5])
    data = numbers.floats(rows * size)
    (batch,) = run(layer, blob((rows, size), data))
    single = [run(layer, blob((size,), data[row * size : (row + 1) * size]))[0].values for row in range(rows)]
    assert batch.shape == (rows, outputs)
    assert batch.values == [value for row in single for value in row]


@given(seeds, st.integers(1, 6), st.integers(1, 4))
def test_int8_input_is_what_quantize_makes(seed: int, size: int, outputs: int) -> None:
    numbers = Numbers(seed)
    layer = inner_product(size, outputs, numbers)
    data = blob((size,), numbers.floats(size))
    quantize = make("Quantize", {}, {"scale_data": layer.weight("bottom_blob_int8_scales").floats()})
    assert run(layer, data)[0].values == run(layer, run(quantize, data)[0])[0].values


@given(seeds, st.integers(1, 6), st.integers(1, 4))
def test_float_weights_are_quantized_at_load(seed: int, size: int, outputs: int) -> None:
    numbers = Numbers(seed)
    layer = inner_product(size, outputs, numbers)
    data = blob((size,), numbers.floats(size))
    (expected,) = run(layer, data)
    weight_scales = layer.weight("weight_data_int8_scales").floats()
    record = layer.weight("weight_data").int8()
    as_floats = [f32(code / weight_scales[index // size]) for index, code in enumerate(record)]
    layer.weights |= make("InnerProduct", {}, {"weight_data": as_floats}).weights
    assert run(layer, data)[0].values == expected.values


@given(seeds, st.integers(1, 4), st.sampled_from([[], [1], [2, 3], [2, 2, 3]]))
def test_per_slice_scales_are_one_scale_each(seed: int, first: int, rest: list[int]) -> None:
    numbers = Numbers(seed)
    shape = (first, *rest)
    count = math.prod(shape)
    data, per_slice = numbers.floats(count), numbers.floats(first, 1.0, 100.0)
    (together,) = run(make("Quantize", {"scale_data_size": first}, {"scale_data": per_slice}), blob(shape, data))
    size = count // first
    expected: list[float] = []
    for index in range(first):
        scale = per_slice[index] if rest else per_slice[0]
        part = blob((size,), data[index * size : (index + 1) * size])
        expected += run(make("Quantize", {}, {"scale_data": [scale]}), part)[0].values
    assert together.values == expected


@given(st.lists(st.integers(-(2**24), 2**24), min_size=1, max_size=6), scales, scales, values)
def test_requantize_is_dequantize_then_quantize(
    sums: list[int], scale_in: float, scale_out: float, bias: float
) -> None:
    small = f32(scale_in / 2.0**16)
    data = int32_blob((len(sums),), sums)
    dequantize = make("Dequantize", {"bias_data_size": 1}, {"scale_data": [small], "bias_data": [bias]})
    requantize = make(
        "Requantize",
        {"bias_data_size": 1},
        {"scale_in_data": [small], "scale_out_data": [scale_out], "bias_data": [bias]},
    )
    quantize = make("Quantize", {}, {"scale_data": [scale_out]})
    assert run(requantize, data)[0].values == run(quantize, run(dequantize, data)[0])[0].values


@given(st.integers(-(2**24), 2**24), scales, values)
def test_dequantize_fuses_on_x86(total: int, scale: float, bias: float) -> None:
    layer = make("Dequantize", {"bias_data_size": 1}, {"scale_data": [scale], "bias_data": [bias]})
    data = int32_blob((1,), [total])
    assert run(layer, data, profile=X86)[0].values == [fma(f32(total), scale, bias)]
    assert run(layer, data)[0].values == [f32(f32(f32(total) * scale) + bias)]


GATES = {"RNN": (1, 1), "LSTM": (4, 4), "GRU": (3, 4)}
TRACES = {"RNN": rnn.trace, "LSTM": lstm.trace, "GRU": gru.trace}


def recurrent(type: str, direction: int, int8: bool, numbers: Numbers, tops: int = 1, hidden_size: int = 0) -> Layer:
    """Three inputs, two outputs."""
    gates, bias_rows = GATES[type]
    units, directions = hidden_size or 2, 2 if direction == 2 else 1
    rows = directions * gates * units
    weights: dict[str, Sequence[float]] = {
        "weight_xc_data": numbers.codes(rows * 3) if int8 else numbers.floats(rows * 3),
        "bias_c_data": numbers.floats(directions * bias_rows * units, -1.0, 1.0),
        "weight_hc_data": numbers.codes(rows * 2) if int8 else numbers.floats(rows * 2),
        "weight_xc_data_int8_scales": numbers.floats(rows, 50.0, 200.0),
        "weight_hc_data_int8_scales": numbers.floats(rows, 50.0, 200.0),
    }
    params = {"num_output": 2, "weight_data_size": rows * 3, "direction": direction, "int8_scale_term": 2 * int8}
    if hidden_size:
        params["hidden_size"] = hidden_size
        weights["weight_hr_data"] = numbers.floats(directions * 2 * units)
    return make(type, params, weights, tops=tops)


@pytest.mark.parametrize("type", GATES)
@given(seeds, st.booleans(), st.integers(1, 4))
def test_reverse_is_forward_of_the_reversed_rows(type: str, seed: int, int8: bool, length: int) -> None:
    numbers = Numbers(seed)
    layer = recurrent(type, 0, int8, numbers)
    rows = [numbers.floats(3) for _ in range(length)]
    (forward,) = run(layer, blob((length, 3), [v for row in rows for v in row]))
    layer.set("direction", 1)
    (backward,) = run(layer, blob((length, 3), [v for row in reversed(rows) for v in row]))
    assert backward.tolist() == forward.tolist()[::-1]


@pytest.mark.parametrize("type", GATES)
@given(seeds, st.booleans(), st.integers(1, 4))
def test_both_directions_are_one_beside_the_other(type: str, seed: int, int8: bool, length: int) -> None:
    numbers = Numbers(seed)
    both = recurrent(type, 2, int8, numbers)
    data = blob((length, 3), numbers.floats(length * 3))
    (out,) = run(both, data)
    halves = []
    for index in (0, 1):
        half = make(
            type, {**both.get, "direction": index, "weight_data_size": both.get.integer("weight_data_size") // 2}
        )
        for name, record in both.weights.items():
            size = len(record) // 2
            values = record.values[index * size : (index + 1) * size]
            half.weights |= make(type, {}, {name: values}).weights
        halves.append(run(half, data)[0].tolist())
    assert out.tolist() == [first + second for first, second in zip(*halves, strict=True)]


@pytest.mark.parametrize("type", GATES)
@given(seeds, st.booleans(), st.integers(1, 3), st.integers(1, 3), st.sampled_from([0, 3]))
def test_a_sequence_may_be_cut_at_its_states(
    type: str, seed: int, int8: bool, before: int, after: int, hidden_size: int
) -> None:
    numbers = Numbers(seed)
    tops = 3 if type == "LSTM" else 2
    layer = recurrent(type, 0, int8, numbers, tops, hidden_size if type == "LSTM" else 0)
    data = numbers.floats((before + after) * 3)
    whole = run(layer, blob((before + after, 3), data))
    first = run(layer, blob((before, 3), data[: before * 3]))
    second = run(layer, blob((after, 3), data[before * 3 :]), *first[1:])
    assert whole[0].values == [*first[0].values, *second[0].values]
    assert [state.values for state in whole[1:]] == [state.values for state in second[1:]]


@pytest.mark.parametrize("type", GATES)
@given(seeds, st.integers(0, 2), st.integers(-20, 20))
def test_the_size_of_an_input_row_does_not_change_its_codes(type: str, seed: int, direction: int, power: int) -> None:
    """A power of two times the row divides the scale by as much; the codes stay."""
    numbers = Numbers(seed)
    layer = recurrent(type, direction, True, numbers)
    factor = 2.0**power
    data = numbers.floats(6)
    plain = list(TRACES[type](layer, [blob((2, 3), data)]))
    scaled = list(TRACES[type](layer, [blob((2, 3), [value * factor for value in data])]))
    assert [step.input_codes for step in plain] == [step.input_codes for step in scaled]
    assert [step.input_scale for step in plain] == [step.input_scale * factor for step in scaled]


@pytest.mark.parametrize("type", GATES)
def test_the_trace_shows_every_step(type: str) -> None:
    layer = recurrent(type, 2, True, Numbers(7))
    data = blob((3, 3), [1.0, -2.0, 0.5, 0.0, 0.0, 0.0, 3.0, 1.5, -0.75])
    steps = list(TRACES[type](layer, [data]))
    (out,) = run(layer, data)
    assert [(step.direction, step.time) for step in steps] == [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0)]
    assert steps[0].input_codes == [64, -127, 32]
    assert steps[0].input_scale == 63.5
    assert steps[0].hidden_codes == [0, 0]
    assert steps[1].input_codes == [0, 0, 0]
    assert steps[3].input_codes == steps[2].input_codes
    assert len(steps[0].gates) == GATES[type][0]
    for step in steps:
        assert out.tolist()[step.time][2 * step.direction : 2 * step.direction + 2] == step.hidden


@pytest.mark.parametrize("type", GATES)
@given(seeds)
def test_rows_of_zeros_and_of_next_to_nothing_are_the_same(type: str, seed: int) -> None:
    layer = recurrent(type, 0, True, Numbers(seed))
    zeros, nothing = blob((2, 3), [0.0] * 6), blob((2, 3), [1e-38, -1e-38, 0.0] * 2)
    assert run(layer, zeros)[0].values == run(layer, nothing)[0].values


def gemm(numbers: Numbers, m: int, n: int, k: int, **params: Any) -> tuple[Layer, Blob, Blob]:
    layer = make("Gemm", {"quantize_term": 2} | params)
    return layer, blob((m, k), numbers.floats(m * k)), blob((k, n), numbers.floats(k * n))


def flipped(data: Blob) -> Blob:
    h, w = data.shape
    return blob((w, h), [data.floats()[y * w + x] for x in range(w) for y in range(h)])


extents = st.integers(1, 4)


@given(seeds, extents, extents, extents, st.booleans())
def test_gemm_orientations_agree(seed: int, m: int, n: int, k: int, int8: bool) -> None:
    layer, a, b = gemm(Numbers(seed), m, n, k, quantize_term=2 * int8)
    (plain,) = run(layer, a, b)
    layer.set("transA", 1)
    assert run(layer, flipped(a), b)[0] == plain
    layer.set("transB", 1)
    assert run(layer, flipped(a), flipped(b))[0] == plain
    layer.set("output_transpose", 1)
    assert run(layer, flipped(a), flipped(b))[0] == flipped(plain)
    layer.set("output_N1M", 1)
    assert run(layer, flipped(a), flipped(b))[0].shape == (n, 1, m)


@given(seeds, extents, extents, extents, st.booleans())
def test_gemm_of_a_batch_is_that_of_each_row(seed: int, m: int, n: int, k: int, int8: bool) -> None:
    layer, a, b = gemm(Numbers(seed), m, n, k, quantize_term=2 * int8, alpha=0.5)
    rows = [run(layer, blob((k,), a.floats()[i * k : (i + 1) * k]), b)[0].values for i in range(m)]
    assert run(layer, a, b)[0].values == [value for row in rows for value in row]


@given(seeds, extents, extents, extents)
def test_gemm_spreads_c(seed: int, m: int, n: int, k: int) -> None:
    numbers = Numbers(seed)
    layer, a, b = gemm(numbers, m, n, k, beta=-0.5)
    column, row = numbers.floats(m), numbers.floats(n)
    per_row = blob((m, n), [value for value in column for _ in range(n)])
    per_column = blob((m, n), row * m)
    assert run(layer, a, b, blob((m, 1), column)) == run(layer, a, b, per_row)
    assert run(layer, a, b, blob((1, n), row))[0].values == run(layer, a, b, per_column)[0].values
    assert run(layer, a, b, blob((n,), row))[0].values == run(layer, a, b, per_column)[0].values
    if m != n:
        assert run(layer, a, b, blob((m,), column)) == run(layer, a, b, per_row)
    assert run(layer, a, b, blob((1,), [0.25])) == run(layer, a, b, blob((m, n), [0.25] * (m * n)))


@given(seeds, st.booleans(), st.integers(1, 3), st.integers(1, 3))
def test_a_mask_that_leaves_one_key_gives_its_value(seed: int, int8: bool, queries: int, keys: int) -> None:
    """That key has weight 1, whatever the scores; in int8 its value is rounded to a code."""
    numbers = Numbers(seed)
    layer = make("SDPA", {"attn_mask": 1, "int8_scale_term": int8})
    chosen = numbers.random.randrange(keys)
    mask = [0.0 if key == chosen else -1e30 for _ in range(queries) for key in range(keys)]
    query, key = blob((1, queries, 2), numbers.floats(queries * 2)), blob((1, keys, 2), numbers.floats(keys * 2))
    value = blob((1, keys, 2), numbers.floats(keys * 2))
    (out,) = run(layer, query, key, value, blob((queries, keys), mask))
    largest = max(map(abs, value.floats()))
    for row in out.tolist()[0]:
        assert row == pytest.approx(value.tolist()[0][chosen], rel=0, abs=largest / 250 if int8 else 0)


@given(seeds, st.booleans(), st.integers(1, 3), st.integers(1, 2))
def test_a_cache_of_sdpa_is_more_keys(seed: int, int8: bool, past: int, new: int) -> None:
    numbers = Numbers(seed)
    query = blob((2, 2, 3), numbers.floats(12))
    old = [blob((1, past, 3), numbers.floats(past * 3)) for _ in range(2)]
    fresh = [blob((1, new, 3), numbers.floats(new * 3)) for _ in range(2)]
    joined = [blob((1, past + new, 3), [*o.floats(), *f.floats()]) for o, f in zip(old, fresh, strict=True)]
    layer = make("SDPA", {"kv_cache": 1, "int8_scale_term": int8}, tops=3)
    empty = Blob((0,), "float32", [])
    cached = run(layer, query, *fresh, *old)
    assert cached == run(layer, query, *joined, empty, empty)
    assert cached[1:] == joined


def attention(numbers: Numbers, int8: bool, **params: Any) -> Layer:
    """Embedding width 4, two heads."""
    weights: dict[str, Sequence[float]] = {}
    for part in ("q", "k", "v", "out"):
        weights[f"{part}_weight_data"] = numbers.codes(16) if int8 else numbers.floats(16, -1.0, 1.0)
        weights[f"{part}_bias_data"] = numbers.floats(4)
        suffix = "scale" if part == "out" else "scales"
        weights[f"{part}_weight_data_int8_{suffix}"] = numbers.floats(1 if part == "out" else 4, 60.0, 200.0)
    shape = {"embed_dim": 4, "num_heads": 2, "weight_data_size": 16, "quantize_term": 2 * int8}
    return make("MultiHeadAttention", shape | params, weights, tops=3 if "kv_cache" in params else 1)


@given(seeds, st.booleans(), st.integers(1, 3))
def test_self_attention_is_cross_attention_with_itself(seed: int, int8: bool, length: int) -> None:
    numbers = Numbers(seed)
    layer = attention(numbers, int8)
    data = blob((length, 4), numbers.floats(length * 4))
    assert run(layer, data) == run(layer, data, data) == run(layer, data, data, data)


@given(seeds, st.booleans(), st.integers(1, 3), st.integers(1, 2))
def test_both_layouts_of_the_attention_cache_hold_the_same(seed: int, int8: bool, past: int, new: int) -> None:
    numbers = Numbers(seed)
    layer = attention(numbers, int8, kv_cache=1)
    data, old = blob((new, 4), numbers.floats(new * 4)), [numbers.floats(past * 4) for _ in range(2)]
    flat = [blob((4, past), values) for values in old]
    by_head = [
        blob((2, past, 2), [values[(2 * h + i) * past + t] for h in range(2) for t in range(past) for i in range(2)])
        for values in old
    ]
    first, second = run(layer, data, *flat), run(layer, data, *by_head)
    length = past + new
    assert first[0] == second[0]
    for a, b in zip(first[1:], second[1:], strict=True):
        assert (a.shape, b.shape) == ((4, length), (2, length, 2))
        moved = [a.values[(2 * h + i) * length + t] for h in range(2) for t in range(length) for i in range(2)]
        assert b.values == moved


@given(seeds, st.integers(1, 2), st.integers(1, 2))
def test_cross_attention_with_a_cache_ignores_its_key_blob(seed: int, past: int, new: int) -> None:
    numbers = Numbers(seed)
    layer = attention(numbers, True, kv_cache=1)
    query = blob((1, 4), numbers.floats(4))
    caches = [blob((4, past), numbers.floats(4 * past)) for _ in range(2)]
    results = [run(layer, query, blob((new, 4), numbers.floats(new * 4)), *caches) for _ in range(2)]
    assert results[0] == results[1]
    assert results[0][1:] == caches


@given(seeds, st.sampled_from([(3,), (2, 3), (2, 3, 2), (1, 2, 2, 2)]), st.integers(0, 2), st.booleans())
def test_padding_and_cutting_gives_the_blob_back(seed: int, shape: tuple[int, ...], kind: int, int8: bool) -> None:
    numbers = Numbers(seed)
    count = math.prod(shape)
    data = int8_blob(shape, numbers.codes(count).tolist()) if int8 else blob(shape, numbers.floats(count))
    fits = kind != 2
    layer = make(
        "Padding",
        {"left": 1, "right": 1, "top": fits, "bottom": 1, "front": fits, "behind": 0, "type": kind, "value": 3.0},
    )
    rows_before = int(fits) if len(shape) > 1 else 0
    (out,) = run(layer, data)
    nested, original = out.tolist(), data.tolist()
    if len(shape) == 3 and fits:
        nested = nested[1:]
    if len(shape) == 4:
        nested = [channel[int(fits) :] for channel in nested]

    def cut(rows: Any, like: Any, rank: int) -> Any:
        if rank == 1:
            return rows[1 : 1 + len(like)]
        start = rows_before if rank == 2 else 0
        return [cut(row, item, rank - 1) for row, item in zip(rows[start:], like, strict=False)]

    assert cut(nested, original, len(shape)) == original
    assert out.dtype == data.dtype
