"""The pseudo-random weights that ncnn's tools write for a `null` model.

A lagged Fibonacci generator on 64-bit words, always with the same seed, so that every build writes the same file.

Follows: ncnn tools/modelwriter.h (prng, Randomize) @ a4d2ea1d.
"""

from __future__ import annotations

from array import array

from spec.binary32 import f32
from spec.graph import Weight
from spec.layer_table import LayerType

SEED = 7767517
"""What the tools seed the generator with."""

WARM_UP_DRAWS = 10000
"""Draws that are thrown away at the start."""

_STATES = 64
_SHORT_LAG = 24
_LONG_LAG = 55
_JUMP = 496
_MASK = 2**64 - 1

_CONVOLUTION_TYPES = ("Convolution", "ConvolutionDepthWise", "InnerProduct")

FLOAT_RANGE = (-1.2, 1.2)
"""Range of all floats but scales."""

WEIGHT_SCALE_RANGE = (90.0, 100.0)
"""Range of int8 weight scales."""

BLOB_SCALE_RANGE = (0.001, 1.0)
"""Range of the scales of a convolution's bottom and top."""

INT8_RANGE = (-127.0, 127.0)
"""Range of int8 weights, truncated toward zero."""


class RandomWeights:
    """The generator; `fill` takes the draws that ncnn's writer takes for a record.

    >>> weights = RandomWeights()
    >>> hex(weights.draw())
    '0x4ced790238048515'
    """

    def __init__(self, seed: int = SEED) -> None:
        self._states = [seed] + [(i * 2147483647 + seed) & _MASK for i in range(1, _STATES)]
        self._position = 0
        self._countdown = _LONG_LAG
        for _ in range(WARM_UP_DRAWS):
            self.draw()

    def draw(self) -> int:
        """The next 64-bit word. Every 55th time 496 words are produced and only the last one is given."""
        if self._countdown == 0:
            self._countdown = _LONG_LAG - 1
            for _ in range(_JUMP - 1):
                self._produce()
        else:
            self._countdown -= 1
        return self._produce()

    def uniform(self, low: float, high: float) -> float:
        """A binary32 number from low to high."""
        low, high = f32(low), f32(high)
        share = f32(rounded_word(self.draw()) / f32(_MASK))
        return f32(low + f32(share * f32(high - low)))

    def fill(self, weight: Weight, layer_type: LayerType) -> Weight:
        """The record with its values replaced. A record takes draws in multiples of 16 bytes."""
        count = len(weight)
        if weight.dtype == "int8":
            codes = [int(self.uniform(*INT8_RANGE)) for _ in range(_rounded_up(count, 16))]
            return Weight(weight.name, weight.kind, "int8", array("b", codes[:count]))
        low, high = float_range(weight.name, layer_type)
        floats = [self.uniform(low, high) for _ in range(_rounded_up(count, 4))]
        return Weight(weight.name, weight.kind, "float32", array("f", floats[:count]))

    def _produce(self) -> int:
        i = self._position % _STATES
        value = (self._states[(i - _SHORT_LAG) % _STATES] + self._states[(i - _LONG_LAG) % _STATES]) & _MASK
        self._states[i] = value
        self._position = i + 1
        return value


def rounded_word(word: int) -> float:
    """A 64-bit word as binary32, rounded once: 32 leading bits, the last one telling whether more follow, decide it.

    >>> rounded_word(2**40 + 2**16 + 1) == 2**40 + 2**17
    True
    """
    dropped = max(0, word.bit_length() - 32)
    leading = word >> dropped << dropped
    return f32(leading if leading == word else leading | 1 << dropped)


def _rounded_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def float_range(name: str, layer_type: LayerType) -> tuple[float, float]:
    """Between which numbers the values of a float record lie."""
    if layer_type.name in _CONVOLUTION_TYPES and name in ("bottom_blob_int8_scales", "top_blob_int8_scales"):
        return BLOB_SCALE_RANGE
    if "int8_scale" in name:
        return WEIGHT_SCALE_RANGE
    return FLOAT_RANGE
