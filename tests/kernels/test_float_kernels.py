"""The kernels in binary64: exp and tanh against many more digits, rounding to 24 bits, planes against plain loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, getcontext

import numpy as np
import pytest
from numpy.typing import NDArray

from fastpath.arena import byte_buffer, double_buffer, long_vec
from fastpath.kernels import Kernels
from fastpath.kernels.source.activations import EXP_ABOVE, TANH_ABOVE
from fastpath.kernels.source.capacity import FEATURES, NUMBERS, STATES
from fastpath.kernels.source.functions import SPLIT
from fastpath.kernels.source.planes import PLANE_SLACK, PLANES, TAPS
from fastpath.layers.compiled_steps import _Workshop
from tests.kernels.levels import every_level, kernels_of

getcontext().prec = 60

Doubles = NDArray[np.float64]

BAND = {"exp": EXP_ABOVE - 1.0, "tanh": TANH_ABOVE - 1.0}

COUNT = 400
"""Numbers that interpreted kernels are tried on."""


FUNCTIONS: dict[str, Callable[[float], float]] = {"exp": math.exp, "tanh": math.tanh}

HARDEST = {
    "exp": [
        "-0x1.d2259ap+3", "-0x1.e1dbe2p-8", "-0x1.c1c4b8p-10", "-0x1p-25", "0x1.fdff02p-17", "0x1.62b666p+1",
        "0x1.036492p+1", "0x1.8d7cb6p-12", "0x1.cd3982p-14", "0x1.747de2p-15", "-0x1.548c34p-7", "0x1.344e9cp-5",
    ],
    "tanh": [
        "0x1.86fbc4p-10", "-0x1.dc0accp-2", "0x1.5969ap+2", "-0x1.a83722p-6", "0x1.8bd194p+2", "0x1.f860aap-5",
        "-0x1.4ddf04p+2", "0x1.f178fcp+0", "0x1.279b08p+1", "0x1.2d5c5cp-6", "0x1.2ff78ep+0", "-0x1.916c0ap-8",
    ],
}  # fmt: skip
"""Of all binary32 arguments those whose results lie nearest to a tie: 2**-52.6 to 2**-47.8 of themselves away."""


def count_of(level: Kernels) -> int:
    return COUNT if level.name == "interpreted" else NUMBERS // 2


def arguments(count: int, limit: float) -> NDArray[np.float32]:
    """Numbers of all magnitudes up to the limit, both signs."""
    random = np.random.default_rng(11)
    magnitudes = np.concatenate(
        [random.uniform(0, limit, count // 2), 10.0 ** random.uniform(-30, 1, count - count // 2)]
    )
    return np.array(magnitudes.clip(0, limit) * random.choice([-1.0, 1.0], count), np.float32)


class Bench:
    """A function's buffers, and the function of some numbers in them."""

    def __init__(self, level: str, name: str) -> None:
        self.level = kernels_of(level)
        self.name = name
        self.source, self.result, self.doubt = (double_buffer(NUMBERS) for _ in range(3))

    def compute(self, values: NDArray[np.float32]) -> int:
        """Run the function; returns how many results are in doubt."""
        n = values.size
        self.source.items[:n] = values
        sign = [1.0] if self.name == "exp" else []
        function = getattr(self.level.activations, self.name)
        return int(function(self.source.data, 0, n, *sign, self.result.data, self.doubt.data))

    def settle(self, n: int) -> bool:
        """Compute again what is in doubt."""
        sign = [1.0] if self.name == "exp" else []
        function = getattr(self.level.functions, f"settle_{self.name}")
        return bool(function(self.source.data, 0, n, *sign, self.result.data, self.doubt.data))


def expected(name: str, values: NDArray[np.float32]) -> Doubles:
    """What the C library gives in binary64, rounded to binary32."""
    exact = np.array([FUNCTIONS[name](value) for value in values.tolist()])
    return exact.astype(np.float32).astype(np.float64)


def test_split_rounds_to_24_bits_with_ties_to_even() -> None:
    random = np.random.default_rng(3)
    ties = (random.integers(2**23, 2**24, 50000) + 0.5) * 2.0 ** random.integers(-60, 60, 50000)
    products = random.standard_normal(50000).astype(np.float32).astype(np.float64) * random.standard_normal(
        50000
    ).astype(np.float32)
    for values in (ties, -ties, products):
        shifted = values * SPLIT
        assert np.array_equal(shifted - (shifted - values), values.astype(np.float32).astype(np.float64))


@every_level()
@pytest.mark.parametrize(("name", "limit"), [("exp", 87.0), ("tanh", 20.0)])
def test_certain_results_are_those_of_the_c_library(level: str, name: str, limit: float) -> None:
    bench = Bench(level, name)
    values = arguments(count_of(kernels_of(level)), limit)
    doubts = bench.compute(values)
    certain = bench.doubt.items[: values.size] == 0
    assert doubts == values.size - certain.sum() < values.size / 500 + 2
    got, wanted = bench.result.items[: values.size], expected(name, values)
    assert got[certain].tobytes() == wanted[certain].tobytes()
    assert bench.settle(values.size)
    assert got.tobytes() == wanted.tobytes()


@every_level()
@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_the_hardest_arguments_are_doubted_and_settled(level: str, name: str) -> None:
    bench = Bench(level, name)
    values = np.array([float.fromhex(text) for text in HARDEST[name]], np.float32)
    assert bench.compute(values) == values.size
    assert bench.settle(values.size)
    assert bench.result.items[: values.size].tobytes() == expected(name, values).tobytes()


@every_level()
@pytest.mark.parametrize(("name", "limit"), [("exp", 87.0), ("tanh", 10.0)])
def test_the_band_of_doubt_covers_the_error(level: str, name: str, limit: float) -> None:
    """Results are rounded after they were taken smaller and larger, so their error shows near ties alone.

    Arguments whose results lie just outside the band, by digits enough, must be certain; those well inside it must not.
    """
    bench = Bench(level, name)
    n = count_of(kernels_of(level))
    values = arguments(n, limit)
    bench.compute(values)
    for x, doubt in list(zip(values.tolist(), bench.doubt.items[:n].tolist(), strict=True))[:: n // COUNT]:
        power = (2 * Decimal(x)).exp() if name == "tanh" else Decimal(x).exp()
        exact = (power - 1) / (power + 1) if name == "tanh" else power
        if exact:
            below, above = (float(exact * (1 + sign * 3 * Decimal(BAND[name]))) for sign in (-1, 1))
            assert doubt == 0 or np.float32(below) != np.float32(above)


@every_level()
@pytest.mark.parametrize("value", [87.5, -87.5, 1e30, math.inf, -math.inf, math.nan])
def test_exp_out_of_range_stays_in_doubt(level: str, value: float) -> None:
    bench = Bench(level, "exp")
    assert bench.compute(np.array([value], np.float32)) == 1
    assert not bench.settle(1)


@every_level()
def test_tanh_of_what_is_no_number_stays_in_doubt(level: str) -> None:
    bench = Bench(level, "tanh")
    assert bench.compute(np.array([math.nan, math.inf, -math.inf, -0.0, 9.02], np.float32)) == 1
    assert not bench.settle(1)
    assert bench.result.items[1:5].tolist() == [1.0, -1.0, 0.0, 1.0]
    assert math.copysign(1.0, bench.result.items[3]) == -1.0


def narrowed(values: Doubles) -> Doubles:
    """Rounded to binary32."""
    return values.astype(np.float32).astype(np.float64)


def sigmoid_expected(values: Doubles) -> Doubles:
    powers = np.array([math.exp(-value) for value in values.tolist()])
    return narrowed(1.0 / narrowed(1.0 + narrowed(powers)))


class LstmStep:
    """One step of an LSTM of n states, from gates without an input part and a cell state."""

    def __init__(self, level: str, gates: NDArray[np.float32], cell: NDArray[np.float32]) -> None:
        self.level, self.shop = kernels_of(level), _Workshop()
        self.n = cell.size
        self.gates, self.cell = gates.astype(np.float64).reshape(4, self.n), cell.astype(np.float64)
        self.shop.gates.items[: 4 * self.n] = self.gates.reshape(-1)
        self.shop.cell.items[: self.n] = self.cell

    def run(self) -> bool:
        """The step by the kernels."""
        return bool(self.level.recurrent.lstm_step(self.shop.record(self.level), self.n, 0))

    def check(self) -> None:
        """The kernels' states against those by the functions of the C library, every step rounded to binary32."""
        assert self.run()
        enter, forget, leave = (sigmoid_expected(gate) for gate in self.gates[:3])
        candidate = expected("tanh", self.gates[3].astype(np.float32))
        cell = narrowed(narrowed(forget * self.cell) + narrowed(enter * candidate))
        hidden = narrowed(leave * expected("tanh", cell.astype(np.float32)))
        assert self.shop.cell.items[: self.n].tobytes() == cell.tobytes()
        assert self.shop.hidden.items[: self.n].tobytes() == hidden.tobytes()


@every_level()
@pytest.mark.parametrize("scale", [0.01, 1.0, 7.0])
def test_a_step_of_lstm(level: str, scale: float) -> None:
    random = np.random.default_rng(21)
    n = 100 if level == "interpreted" else STATES // 4
    gates = random.normal(0, scale, (4, n)).clip(-60, 90).astype(np.float32)
    LstmStep(level, gates, random.normal(0, 1, n).astype(np.float32)).check()


@every_level()
def test_gates_of_lstm_beside_ties_and_beyond_the_range_of_vector_code(level: str) -> None:
    """Also states of zero, which come of a candidate of zero, and negative zero."""
    hardest = [float.fromhex(text) for text in (*HARDEST["exp"], *HARDEST["tanh"])]
    values = np.array([*hardest, 19.99, 20.0, 20.01, 87.0, 1e30, -20.0, -20.01, -60.0, 0.0, -0.0], np.float32)
    random = np.random.default_rng(22)
    for row in range(4):
        gates = random.normal(0, 1, (4, values.size)).astype(np.float32)
        gates[row] = values
        cell = random.normal(0, 1, values.size).astype(np.float32)
        LstmStep(level, gates, cell).check()
        LstmStep(level, gates, np.zeros_like(cell)).check()


@every_level()
@pytest.mark.parametrize(("row", "value"), [(0, -90.0), (1, math.inf), (2, math.nan), (3, math.nan), (3, 1e-40)])
def test_gates_of_lstm_that_the_caller_must_compute(level: str, row: int, value: float) -> None:
    gates = np.zeros((4, 3), np.float32)
    gates[row, 1] = value
    assert not LstmStep(level, gates, np.zeros(3, np.float32)).run()


@every_level()
@pytest.mark.parametrize("scale", [1.0, 2.0, 0.73])
def test_codes_are_rounded_half_away_from_zero(level: str, scale: float) -> None:
    recurrent = kernels_of(level).recurrent
    halves = np.arange(-127.5, 127.6, 0.5).astype(np.float32)
    values = np.concatenate([halves, np.nextafter(halves, np.float32(0)), np.nextafter(halves, np.float32(200))])
    values = (values / np.float32(scale)).astype(np.float32)[np.abs(values) < 127.4]
    k = -(-values.size // 64) * 64
    source, work = double_buffer(NUMBERS), double_buffer(NUMBERS)
    source.items[: values.size] = values
    packed, octets = long_vec(np.zeros(0, np.int64), STATES), byte_buffer(FEATURES)
    recurrent.pack_codes(source.data, float(np.float32(scale)), k // 4, work.data)
    recurrent.whole_numbers(work.data, k // 4, packed)
    total = recurrent.bytes_of(packed, k // 4, octets.data, octets.start)
    products = (values * np.float32(scale)).astype(np.float64)
    codes = np.copysign(np.floor(np.abs(products) + 0.5), products)
    assert np.array_equal(octets.items[: values.size], codes + 128)
    assert total == octets.items[:k].sum(dtype=np.int64)


@every_level()
def test_the_largest_magnitude(level: str) -> None:
    random = np.random.default_rng(12)
    values, work = double_buffer(NUMBERS), double_buffer(NUMBERS)
    for k in (64, 128, 448):
        values.items[:k] = random.normal(0, 1, k)
        for place in range(0, k, 37):
            values.items[place] = -9.0 - place
            assert kernels_of(level).recurrent.largest_magnitude(values.data, k, work.data) == 9.0 + place


@every_level()
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 3), (2, 1)])
@pytest.mark.parametrize("kernel", [(3, 3), (2, 5), (5, 5), (1, 1)])
@pytest.mark.parametrize(("w", "more"), [(11, 0), (11, 3), (37, 0), (37, 1)])
def test_depthwise_sums(level: str, kernel: tuple[int, int], stride: tuple[int, int], w: int, more: int) -> None:
    random = np.random.default_rng(7)
    channels, h = 3, 9
    planes, weights, bias = (
        random.normal(size=shape).astype(np.float32).astype(np.float64)
        for shape in ((channels, h, w), (channels, *kernel), channels)
    )
    out_h, out_w = (h - kernel[0]) // stride[0] + 1, (w - kernel[1]) // stride[1] + 1
    out_pitch = (w if stride == (1, 1) else out_w) + more
    x, o = double_buffer(2 * PLANES + PLANE_SLACK), double_buffer(2 * PLANES + PLANE_SLACK)
    table, biases = double_buffer(TAPS), double_buffer(TAPS)
    x.items[: planes.size], table.items[: weights.size] = planes.reshape(-1), weights.reshape(-1)
    biases.items[:channels] = bias
    kernels_of(level).planes.depthwise(
        x.data,
        h * w,
        w,
        table.data,
        0,
        *kernel,
        1,
        1,
        *stride,
        biases.data,
        0,
        channels,
        True,
        o.data,
        out_h,
        out_w,
        out_pitch,
    )
    rows = o.items[: channels * out_h * out_pitch].reshape(channels, out_h, out_pitch)
    got = rows[:, :, :out_w]
    assert not rows[:, :, out_w:].any()
    for c in range(channels):
        for y in range(out_h):
            for column in range(out_w):
                top, left = y * stride[0], column * stride[1]
                window = planes[c, top : top + kernel[0], left : left + kernel[1]]
                terms = np.append(bias[c], window * weights[c])
                assert got[c, y, column] == max(np.add.accumulate(terms)[-1], 0)


@every_level()
@pytest.mark.parametrize("kernel", [2, 3])
def test_maxima(level: str, kernel: int) -> None:
    random = np.random.default_rng(8)
    channels, h, w = 2, 9, 13
    planes = random.integers(-5, 5, (channels, h, w)).astype(np.float64)
    out_h, out_w = (h - kernel) // 2 + 1, (w - kernel) // 2 + 1
    x, o = double_buffer(2 * PLANES + PLANE_SLACK), double_buffer(2 * PLANES + PLANE_SLACK)
    x.items[: planes.size] = planes.reshape(-1)
    kernels_of(level).planes.max_pool(x.data, h * w, w, kernel, channels, o.data, out_h, out_w)
    got = o.items[: channels * out_h * out_w].reshape(channels, out_h, out_w)
    for c in range(channels):
        for y in range(out_h):
            for column in range(out_w):
                assert got[c, y, column] == planes[c, 2 * y : 2 * y + kernel, 2 * column : 2 * column + kernel].max()
