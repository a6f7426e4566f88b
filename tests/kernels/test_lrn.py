"""The kernels of LRN: powers against the C library's, and whole layers against the spec."""

from __future__ import annotations

import math

import numpy as np
import pytest
from librt.vecs import vec
from numpy.typing import NDArray

from fastpath.arena import Buffer
from fastpath.cpu_level import INTERPRETED
from fastpath.kernels.source.capacity import NUMBERS
from fastpath.kernels.source.lrn import PART, RESULTS, ROOM
from fastpath.layers.compiled_lrn import CompiledLrn, Numbers, compiled_lrn
from fastpath.layers.lrn import pixel_normalizer, prepare_lrn
from spec.blob import float_blob
from spec.graph import Layer
from spec.layers import lrn as spec_lrn
from tests.kernels.levels import COMPILED_LEVELS, every_compiled_level, every_level, forced, kernels_of

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

BETAS = (0.75, 0.5, 1 / 3, 1.0, 0.01)

HARDEST = {
    0.75: ["0x1.a9caap+0", "0x1.b7a424p+1", "0x1.a9caap+4", "0x1.a9caap+8", "0x1.a9caap+12"],
    0.5: ["0x1.7431c6p+1", "0x1.13e07p+1"],
    1 / 3: ["0x1.861c3ep+0", "0x1.adbd16p+0", "0x1.d741eap+0", "0x1.45a9acp+0"],
}
"""By beta, bases whose powers lie nearest to a tie of binary32: 2**-51.7 to 2**-47.6 of themselves away."""

FEW = 300
"""Numbers that interpreted kernels and the spec are tried on."""

NO_SUMS = np.float32(0)


class Bench:
    """Powers of some bases, by the kernels one after the other."""

    def __init__(self, level: str, beta: float, bias: float = 1.0) -> None:
        self.lrn = kernels_of(level).lrn
        self.law = Numbers(0, NO_SUMS, np.float32(bias), np.float32(beta)).law(kernels_of(level))
        self.room = Buffer(vec[float](np.zeros(ROOM, np.float64)), np.float64, ROOM - 64)
        places = [self.room.items[place : place + PART] for place in range(0, 6 * PART, PART)]
        self.ones, self.bases, _, _, self.results, self.doubt = places
        self.ones[:] = 1.0

    def compute(self, bases: Floats) -> tuple[Doubles, NDArray[np.bool_]]:
        """The powers, and which of them were in doubt."""
        w, start = self.room.data, self.room.start
        ones, base, rests, powers, results, doubt = range(start, start + 6 * PART, PART)
        n = bases.size
        self.bases[:n] = bases
        self.lrn.shrink(w, base, n, self.law, rests, powers)
        self.lrn.power(w, rests, self.law.middle, self.law.series, n, powers)
        doubts = self.lrn.multiply(w, ones, powers, n, results, doubt)
        in_doubt = self.doubt[:n] != 0
        assert doubts == in_doubt.sum()
        self.lrn.settle(w, ones, base, self.law.exponent, n, results, doubt)
        return self.results[:n].copy(), in_doubt


def expected(bases: Floats, beta: float) -> Doubles:
    """What the C library gives in binary64, rounded to binary32."""
    exponent = -float(np.float32(beta))
    return np.array([math.pow(base, exponent) for base in bases.tolist()]).astype(np.float32).astype(np.float64)


def some_bases(count: int, bias: float) -> Floats:
    """Bases near the bias, near the limits, and up to 65536 times the bias."""
    random = np.random.default_rng(5)
    limits = bias * 2.0 ** (2.0 ** np.arange(8) / 16)
    near = (limits[:, np.newaxis] * (1.0 + np.arange(-3, 4) * 2.0**-23)).reshape(-1)
    far = bias * 2.0 ** random.uniform(0, 15.99, count)
    calm = bias * (1.0 + 10.0 ** random.uniform(-7, 0, count))
    bases = np.concatenate([near, far, calm]).astype(np.float32)
    return bases[bases >= np.float32(bias)]


@every_level()
@pytest.mark.parametrize("bias", [1.0, 2.0, 0.3])
@pytest.mark.parametrize("beta", BETAS)
def test_powers_are_those_of_the_c_library(level: str, beta: float, bias: float) -> None:
    bench, doubts = Bench(level, beta, bias), 0
    bases = some_bases(FEW if level == INTERPRETED else 2000, bias)
    for first in range(0, bases.size, PART):
        part = bases[first : first + PART]
        powers, in_doubt = bench.compute(part)
        assert powers.tobytes() == expected(part, beta).tobytes()
        doubts += int(in_doubt.sum())
    assert doubts <= 8


@every_level()
@pytest.mark.parametrize("beta", list(HARDEST))
def test_the_hardest_bases_are_doubted_and_settled(level: str, beta: float) -> None:
    bases = np.array([float.fromhex(text) for text in HARDEST[beta]], np.float32)
    powers, in_doubt = Bench(level, beta).compute(bases)
    assert in_doubt.all()
    assert powers.tobytes() == expected(bases, beta).tobytes()


def test_powers_of_all_bases_from_one_to_two() -> None:
    """Against numpy, whose power is off by a few units of binary64; near a tie the C library decides."""
    if not COMPILED_LEVELS:
        pytest.skip("the kernels of this installation are not compiled")
    bench = Bench(COMPILED_LEVELS[0], 0.75)
    for first in range(0, 2**23, PART):
        bases = (np.arange(first, first + PART, dtype=np.int32) + (127 << 23)).view(np.float32)
        powers, in_doubt = bench.compute(bases)
        near = np.power(bases.astype(np.float64), np.full(PART, -0.75))
        certain = ((near * (1 - 2.0**-49)).astype(np.float32) == (near * (1 + 2.0**-49)).astype(np.float32)) & ~in_doubt
        assert np.array_equal(powers[certain], near.astype(np.float32)[certain])
        others = ~certain
        if others.any():
            assert np.array_equal(powers[others], expected(bases[others], 0.75))


def layer_of(n: int, alpha: float, beta: float, bias: float) -> Layer:
    return Layer("LRN", "lrn", ["a"], ["b"], {1: n, 2: alpha, 3: beta, 4: bias})


def by_spec(layer: Layer, blob: Floats) -> Floats:
    (top,) = spec_lrn.forward(layer, [float_blob(blob.shape, blob.reshape(-1).tolist())])
    return np.array(top.floats(), np.float32).reshape(blob.shape)


def both_ways(layer: Layer, blob: Floats) -> tuple[Floats, Floats]:
    """The layer of a blob, and of a map of its pixels."""
    by_pixel = np.ascontiguousarray(blob.reshape(blob.shape[0], -1).T)
    top = np.full_like(by_pixel, 7)
    with np.errstate(all="ignore"):
        pixel_normalizer(layer, *by_pixel.shape)(by_pixel, top)
        (direct,) = prepare_lrn(layer)([blob])
    return direct, np.ascontiguousarray(top.T).reshape(blob.shape)


MAGNITUDES = (1e-30, 1e-20, 1e-3, 1.0, 300.0, 1e12, 1e25)
"""From squares that vanish to squares that leave binary32."""


@every_level()
@pytest.mark.parametrize(
    ("beta", "bias", "alpha"), [(0.75, 1.0, 1e-4), (0.5, 2.0, 3.0), (2.0, 1.0, 0.1), (0.75, 0.0, 1.0)]
)
@pytest.mark.parametrize("n", [1, 4, 5, 7])
def test_layers_have_the_bits_of_the_spec(level: str, n: int, beta: float, bias: float, alpha: float) -> None:
    random = np.random.default_rng(n)
    layer = layer_of(n, alpha, beta, bias)
    with forced(level):
        for magnitude in MAGNITUDES:
            blob = (random.standard_normal((6, 3, 5)) * magnitude * 10.0 ** random.uniform(-2, 0, (6, 3, 5))).astype(
                np.float32
            )
            wanted = by_spec(layer, blob)
            for got in both_ways(layer, blob):
                np.testing.assert_array_equal(got, wanted)


@every_compiled_level()
@pytest.mark.parametrize("shape", [(3, 70, 90), (200, 13, 17), (16380, 1, 3), (17000, 1, 2)])
def test_large_blobs_have_the_bits_of_numpy(level: str, shape: tuple[int, int, int]) -> None:
    """Blobs of several parts, with a pixel of numbers too large for the kernels in one of them."""
    layer = layer_of(5, 1e-4, 0.75, 1.0)
    blob = (np.random.default_rng(1).standard_normal(shape) * 50).astype(np.float32)
    blob[0, -1, -1] = 1e9
    with forced(INTERPRETED):
        wanted, _ = both_ways(layer, blob)
    with forced(level):
        for got in both_ways(layer, blob):
            assert got.tobytes() == wanted.tobytes()


def compiled(numbers: Numbers, pixels: int = 4) -> CompiledLrn | None:
    return compiled_lrn(numbers, 3, pixels, by_pixel=False)


@every_compiled_level()
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, 1e9])
def test_kernels_refuse_what_they_cannot_tell(level: str, value: float) -> None:
    with forced(level):
        kernel = compiled(Numbers(1, np.float32(0.1), np.float32(1), np.float32(0.75)))
        assert kernel is not None
        blob, top = np.ones((3, 4), np.float32), np.full((3, 4), 7, np.float32)
        assert kernel(blob, top)
        assert top.max() < 1
        blob[1, 2], before = value, top.copy()
        assert not kernel(blob, top)
        assert np.array_equal(top, before)


@every_compiled_level()
def test_kernels_are_for_usual_numbers(level: str) -> None:
    with forced(level):
        for factor, bias, beta, usual in [
            (1e-5, 1.0, 0.75, True),
            (0.0, 1.0, 1.0, True),
            (-1e-5, 1.0, 0.75, False),
            (1e-30, 1.0, 0.75, False),
            (1e-5, 0.0, 0.75, False),
            (1e-5, math.nan, 0.75, False),
            (math.inf, 1.0, 0.75, False),
            (1e-5, 1.0, 1.5, False),
            (1e-5, 1.0, -0.5, False),
        ]:
            found = compiled(Numbers(2, np.float32(factor), np.float32(bias), np.float32(beta)))
            assert (found is not None) == usual
        assert compiled(Numbers(NUMBERS, np.float32(1), np.float32(1), np.float32(0.75))) is None
        assert compiled(Numbers(2, np.float32(1), np.float32(1), np.float32(0.75)), pixels=0) is None


@every_level()
def test_places_outside_the_room_are_refused(level: str) -> None:
    lrn = kernels_of(level).lrn
    law = Numbers(2, NO_SUMS, np.float32(1), np.float32(0.75)).law(kernels_of(level))
    small, room = vec[float](np.zeros(8)), Buffer(vec[float](np.zeros(ROOM)), np.float64, ROOM, aligned=False)
    for w, x, n, distance in [
        (room.data, 0, NUMBERS + 1, 1),
        (room.data, 0, NUMBERS - 3, 1),
        (room.data, 0, -1, 1),
        (room.data, -1, 8, 1),
        (room.data, 0, 8, 0),
        (room.data, 0, 8, NUMBERS),
        (small, 0, 8, 1),
    ]:
        with pytest.raises(ValueError, match=r"room|range"):
            lrn.normalize(w, x, n, distance, law)
    assert lrn.normalize(room.data, 0, NUMBERS - 4, 1, law)
    assert not room.items[RESULTS : RESULTS + NUMBERS].any()
