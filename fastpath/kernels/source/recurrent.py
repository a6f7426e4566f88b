"""The steps of RNN, LSTM and GRU: quantize the hidden state, multiply it with the recurrent weights, run the gates.

Floats are binary64 here, and every value that the spec rounds to binary32 is rounded to 24 bits by Veltkamp's method,
`t = x * SPLIT; x = t - (t - x)`. Where a value leaves the range in which 24 bits are what binary32 has, the functions
return False, and the caller computes the steps in another way.
"""

import math
from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i16, i32, i64, u8

from fastpath.kernels.source.activations import exp, lstm_cell, lstm_output, lstm_powers, tanh
from fastpath.kernels.source.capacity import ACCUMULATORS, BLOCK, CHUNK, FEATURES, NUMBERS, PATCH, STATES
from fastpath.kernels.source.functions import EXP_LIMIT, settle_exp, settle_tanh
from fastpath.kernels.source.short import dot_64, dot_128

RNN: Final = 0
GRU: Final = 1
LSTM: Final = 2

SPLIT: Final = 536870913.0
"""2**29 + 1: what splits 24 bits off 53."""

PAIRED: Final = 1024
"""Sums of so many products have 24 bits, so two of them fit the 53 bits of one conversion from int to float."""

TINY: Final = 1e-37
"""Products of smaller magnitude, other than 0, may need fewer bits than 24 in binary32."""

SMALLEST: Final = 1e-20
LARGEST: Final = 1e10
"""Between them 127 / x and its reciprocal are plain numbers of binary32."""

HUGE: Final = 1e30
"""States of larger magnitude may leave binary32; the cell state grows by 1 a step at most."""

AWAY: Final = 1.0000000000009095
"""1 + 2**-40: moves a half of 24 bits away from zero, and past no other half."""

WHOLE: Final = 6755399441055744.0
"""1.5 * 2**52: added and taken off again it leaves the nearest whole number."""


@final
class Recurrence:
    """The weights of one direction.

    `words` says that weights and codes are 16-bit codes; else they are bytes, 128 plus the code. Weight blocks hold
    whole groups of 8 rows of k weights. The other vectors have `NUMBERS` entries. GRU reads `bias`: those of the
    input, then those of the hidden part of its new gate.
    """

    def __init__(
        self,
        hidden: i64,
        k: i64,
        words: bool,
        byte_blocks: list[vec[u8]],
        word_blocks: list[vec[i16]],
        starts: vec[i64],
        counts: vec[i64],
        reciprocals: vec[float],
        bias: vec[float],
    ) -> None:
        self.hidden: i64 = hidden
        self.k: i64 = k
        self.words: bool = words
        self.byte_blocks: list[vec[u8]] = byte_blocks
        self.word_blocks: list[vec[i16]] = word_blocks
        self.starts: vec[i64] = starts
        self.counts: vec[i64] = counts
        self.reciprocals: vec[float] = reciprocals
        self.bias: vec[float] = bias


@final
class RecurrentInput:
    """What turns sums of input codes into the input part of the gates of one direction.

    A row of codes has k bytes. Sums are too large by `excess`. The vectors have `NUMBERS` entries.
    """

    def __init__(self, k: i64, rows: i64, excess: vec[float], reciprocals: vec[float], bias: vec[float]) -> None:
        self.k: i64 = k
        self.rows: i64 = rows
        self.excess: vec[float] = excess
        self.reciprocals: vec[float] = reciprocals
        self.bias: vec[float] = bias


@final
class RecurrentScratch:
    """Buffers of one thread: codes, sums, gates, states, activated gates, doubts, rows, inputs and outputs of a chunk.

    `hidden` holds zeros between the end of the hidden state and k, the length of a row of weights. `inverses` has the
    reciprocal scale of every row of the chunk.
    """

    def __init__(
        self,
        bytes_: vec[u8],
        bytes_start: i64,
        words: vec[i16],
        words_start: i64,
        packed: vec[i64],
        acc: vec[i32],
        acc_start: i64,
        gates: vec[float],
        hidden: vec[float],
        cell: vec[float],
        work: vec[float],
        doubt: vec[float],
        inverses: vec[float],
        rows: vec[float],
        inputs: vec[float],
        outputs: vec[float],
    ) -> None:
        self.bytes_: vec[u8] = bytes_
        self.bytes_start: i64 = bytes_start
        self.words: vec[i16] = words
        self.words_start: i64 = words_start
        self.packed: vec[i64] = packed
        self.acc: vec[i32] = acc
        self.acc_start: i64 = acc_start
        self.gates: vec[float] = gates
        self.hidden: vec[float] = hidden
        self.cell: vec[float] = cell
        self.work: vec[float] = work
        self.doubt: vec[float] = doubt
        self.inverses: vec[float] = inverses
        self.rows: vec[float] = rows
        self.inputs: vec[float] = inputs
        self.outputs: vec[float] = outputs


def dot_bytes(x: vec[u8], a: i64, w: vec[u8], first: i64, rows: i64, k: i64, acc: vec[i32], out: i64) -> None:
    """acc[out + row] = sum of (x[a + i] - 128) * w[first + row * k + i], for rows in groups of 8.

    The one operand that is not a plain byte is the one that is decoded once for eight rows.
    """
    if len(x) < PATCH + 64 or len(w) < BLOCK + PATCH or len(acc) < ACCUMULATORS or a < 0 or a > 64:
        raise ValueError("buffer too small")
    if k < 0 or k > PATCH or out < 0 or rows < 0:
        raise ValueError("layer too large")
    vectors: i64 = k >> 6
    i: i64 = 0
    row: i64 = 0
    b0 = first
    while row < rows:
        b1 = b0 + k
        b2 = b1 + k
        b3 = b2 + k
        b4 = b3 + k
        b5 = b4 + k
        b6 = b5 + k
        b7 = b6 + k
        o = out + row
        if (
            b0 < 0 or b0 > BLOCK or b1 < 0 or b1 > BLOCK or b2 < 0 or b2 > BLOCK or b3 < 0 or b3 > BLOCK
            or b4 < 0 or b4 > BLOCK or b5 < 0 or b5 > BLOCK or b6 < 0 or b6 > BLOCK or b7 < 0 or b7 > BLOCK
            or o < 0 or o > ACCUMULATORS - 8
        ):  # fmt: skip
            raise ValueError("weights out of range")
        s0: i32 = 0
        s1: i32 = 0
        s2: i32 = 0
        s3: i32 = 0
        s4: i32 = 0
        s5: i32 = 0
        s6: i32 = 0
        s7: i32 = 0
        for i in range(vectors << 6):
            v = i32(x[a + i]) - 128
            s0 += i32(w[b0 + i]) * v
            s1 += i32(w[b1 + i]) * v
            s2 += i32(w[b2 + i]) * v
            s3 += i32(w[b3 + i]) * v
            s4 += i32(w[b4 + i]) * v
            s5 += i32(w[b5 + i]) * v
            s6 += i32(w[b6 + i]) * v
            s7 += i32(w[b7 + i]) * v
        acc[o] = s0
        acc[o + 1] = s1
        acc[o + 2] = s2
        acc[o + 3] = s3
        acc[o + 4] = s4
        acc[o + 5] = s5
        acc[o + 6] = s6
        acc[o + 7] = s7
        b0 = b7 + k
        row += 8


def dot_words(x: vec[i16], a: i64, w: vec[i16], first: i64, rows: i64, k: i64, acc: vec[i32], out: i64) -> None:
    """acc[out + row] = sum of x[a + i] * w[first + row * k + i], for rows in groups of 8, four at a time."""
    if len(x) < PATCH + 64 or len(w) < BLOCK + PATCH or len(acc) < ACCUMULATORS or a < 0 or a > 64:
        raise ValueError("buffer too small")
    if k < 0 or k > PATCH or out < 0 or rows < 0:
        raise ValueError("layer too large")
    vectors: i64 = k >> 6
    i: i64 = 0
    row: i64 = 0
    b0 = first
    while row < rows:
        b1 = b0 + k
        b2 = b1 + k
        b3 = b2 + k
        o = out + row
        if (
            b0 < 0 or b0 > BLOCK or b1 < 0 or b1 > BLOCK or b2 < 0 or b2 > BLOCK or b3 < 0 or b3 > BLOCK
            or o < 0 or o > ACCUMULATORS - 4
        ):  # fmt: skip
            raise ValueError("weights out of range")
        s0: i32 = 0
        s1: i32 = 0
        s2: i32 = 0
        s3: i32 = 0
        for i in range(vectors << 6):
            v = i32(x[a + i])
            s0 += v * i32(w[b0 + i])
            s1 += v * i32(w[b1 + i])
            s2 += v * i32(w[b2 + i])
            s3 += v * i32(w[b3 + i])
        acc[o] = s0
        acc[o + 1] = s1
        acc[o + 2] = s2
        acc[o + 3] = s3
        b0 = b3 + k
        row += 4


def largest_magnitude(values: vec[float], k: i64, work: vec[float]) -> float:
    """The largest magnitude of k finite numbers, a multiple of 64."""
    if len(values) < NUMBERS or len(work) < NUMBERS or k < 0 or k > STATES:
        raise ValueError("buffer too small")
    i: i64 = 0
    block: i64 = 64
    for i in range(i64(64)):
        work[i] = abs(values[i])
    while block < k:
        for i in range(i64(64)):
            m = work[i]
            v = abs(values[block + i])
            if v > m:
                m = v
            work[i] = m
        block += 64
    for i in range(i64(8)):
        m = work[i]
        for block in range(i64(1), i64(8)):
            v = work[8 * block + i]
            if v > m:
                m = v
        work[i] = m
    m = work[0]
    for i in range(i64(1), i64(8)):
        v = work[i]
        if v > m:
            m = v
    return m


def pack_codes(values: vec[float], scale: float, quarter: i64, out: vec[float]) -> None:
    """128 plus the codes of four quarters of the values, as the four bytes of one number each.

    A code is a value times the scale, rounded half away from zero.
    """
    if len(values) < NUMBERS or len(out) < NUMBERS or quarter < 0 or quarter > STATES // 4:
        raise ValueError("buffer too small")
    i: i64 = 0
    for i in range(quarter):
        v = values[i] * scale
        t = v * SPLIT
        v = t - (t - v)
        total = ((v * AWAY + 128.0) + WHOLE) - WHOLE
        v = values[quarter + i] * scale
        t = v * SPLIT
        v = t - (t - v)
        total = total + (((v * AWAY + 128.0) + WHOLE) - WHOLE) * 256.0
        v = values[2 * quarter + i] * scale
        t = v * SPLIT
        v = t - (t - v)
        total = total + (((v * AWAY + 128.0) + WHOLE) - WHOLE) * 65536.0
        v = values[3 * quarter + i] * scale
        t = v * SPLIT
        v = t - (t - v)
        out[i] = total + (((v * AWAY + 128.0) + WHOLE) - WHOLE) * 16777216.0


def whole_numbers(values: vec[float], n: i64, out: vec[i64]) -> None:
    """From float to int, one by one: no vector code does that here."""
    if len(values) < NUMBERS or len(out) < STATES or n < 0 or n > STATES:
        raise ValueError("buffer too small")
    i: i64 = 0
    for i in range(n):
        out[i] = i64(int(values[i]))


def bytes_of(packed: vec[i64], quarter: i64, out: vec[u8], start: i64) -> i64:
    """The four quarters of the codes as bytes; returns the sum of all bytes."""
    if len(packed) < STATES or len(out) < FEATURES or quarter < 0 or quarter > STATES // 4:
        raise ValueError("buffer too small")
    if start < 0 or start > FEATURES - PATCH:
        raise ValueError("codes out of range")
    i: i64 = 0
    total: i64 = 0
    for i in range(quarter):
        c = packed[i]
        total += (c & 255) + ((c >> 8) & 255) + ((c >> 16) & 255) + (c >> 24)
        out[start + i] = u8(c & 255)
        out[start + quarter + i] = u8((c >> 8) & 255)
        out[start + 2 * quarter + i] = u8((c >> 16) & 255)
        out[start + 3 * quarter + i] = u8(c >> 24)
    return total


def words_of(packed: vec[i64], quarter: i64, out: vec[i16], start: i64) -> None:
    """The four quarters of the codes as 16-bit codes."""
    if len(packed) < STATES or len(out) < PATCH + 64 or quarter < 0 or quarter > STATES // 4:
        raise ValueError("buffer too small")
    if start < 0 or start > 64:
        raise ValueError("codes out of range")
    i: i64 = 0
    for i in range(quarter):
        c = packed[i]
        out[start + i] = i16((c & 255) - 128)
        out[start + quarter + i] = i16(((c >> 8) & 255) - 128)
        out[start + 2 * quarter + i] = i16(((c >> 16) & 255) - 128)
        out[start + 3 * quarter + i] = i16((c >> 24) - 128)


def float_sums(acc: vec[i32], start: i64, excess: i32, n: i64, out: vec[float]) -> None:
    """Sums, less their excess, as floats."""
    if len(acc) < ACCUMULATORS or len(out) < NUMBERS or n < 0 or n > STATES:
        raise ValueError("buffer too small")
    if start < 0 or start > ACCUMULATORS - STATES:
        raise ValueError("sums out of range")
    i: i64 = 0
    for i in range(n):
        out[i] = float(i64(acc[start + i]) - i64(excess))


def float_pairs(acc: vec[i32], start: i64, half: i64, out: vec[float]) -> None:
    """Sum i plus 2**26 times sum half + i as one float: one conversion serves two sums."""
    if len(acc) < ACCUMULATORS or len(out) < NUMBERS or half < 0 or half > STATES // 2:
        raise ValueError("buffer too small")
    if start < 0 or start > ACCUMULATORS - STATES:
        raise ValueError("sums out of range")
    i: i64 = 0
    for i in range(half):
        out[i] = float(i64(acc[start + i]) + (i64(acc[start + half + i]) << 26))


def descale(gates: vec[float], reciprocals: vec[float], inverse: float, n: i64) -> None:
    """Sums to floats: round, times (inverse * reciprocal), every step rounded."""
    if len(gates) < NUMBERS or len(reciprocals) < NUMBERS or n < 0 or n > STATES:
        raise ValueError("buffer too small")
    i: i64 = 0
    for i in range(n):
        f = reciprocals[i] * inverse
        t = f * SPLIT
        f = t - (t - f)
        v = gates[i]
        t = v * SPLIT
        v = t - (t - v)
        v = v * f
        t = v * SPLIT
        gates[i] = t - (t - v)


def descale_pairs(gates: vec[float], excess: float, reciprocals: vec[float], inverse: float, half: i64) -> None:
    """The same for pairs: from a + b * 2**26 to as many times a and then as many times b.

    First the excess of both is taken off; then they are whole numbers below 2**24, whose bits need no rounding.
    """
    if len(gates) < NUMBERS or len(reciprocals) < NUMBERS or half < 0 or half > STATES // 2:
        raise ValueError("buffer too small")
    i: i64 = 0
    both = excess * 67108865.0
    for i in range(half):
        v = gates[i] - both
        # Beside 1.5 * 2**78 a number keeps only its multiples of 2**26.
        high = (v + 4.533471823554859e23) - 4.533471823554859e23
        f = reciprocals[i] * inverse
        t = f * SPLIT
        v = (v - high) * (t - (t - f))
        t = v * SPLIT
        gates[i] = t - (t - v)
        f = reciprocals[half + i] * inverse
        t = f * SPLIT
        v = (high * 1.4901161193847656e-08) * (t - (t - f))
        t = v * SPLIT
        gates[half + i] = t - (t - v)


def clear(values: vec[float], n: i64) -> None:
    """Set n values to 0."""
    if len(values) < NUMBERS or n < 0 or n > STATES:
        raise ValueError("buffer too small")
    i: i64 = 0
    for i in range(n):
        values[i] = 0.0


def rounded(v: float) -> float:
    """To 24 bits."""
    t = v * SPLIT
    return t - (t - v)


def can_scale(largest: float) -> bool:
    """Whether 127 / largest and its reciprocal are plain numbers of binary32."""
    return largest >= SMALLEST and largest <= LARGEST


def load(rows: vec[float], start: i64, n: i64, out: vec[float]) -> bool:
    """Copy n values out of a chunk; False where one of them is too large for `can_scale`, or not finite."""
    if len(rows) < CHUNK + STATES or len(out) < NUMBERS or n < 0 or n > STATES or start < 0 or start > CHUNK:
        raise ValueError("buffer too small")
    i: i64 = 0
    known: i64 = 0
    for i in range(n):
        v = rows[start + i]
        out[i] = v
        if abs(v) <= LARGEST:
            known += 1
    return known == n


def input_codes(p: RecurrentInput, s: RecurrentScratch, count: i64) -> bool:
    """The codes of `count` rows, and the reciprocals of their scales; False where binary32 may need care."""
    inverses = s.inverses
    row: i64 = 0
    for row in range(count):
        if not load(s.rows, row * p.k, p.k, s.gates):
            return False
        largest = largest_magnitude(s.gates, p.k, s.work)
        scale = 0.0
        inverses[row] = 0.0
        if largest != 0.0:
            if not can_scale(largest):
                return False
            scale = rounded(127.0 / largest)
            inverses[row] = rounded(1.0 / scale)
        pack_codes(s.gates, scale, p.k >> 2, s.work)
        whole_numbers(s.work, p.k >> 2, s.packed)
        bytes_of(s.packed, p.k >> 2, s.bytes_, s.bytes_start + row * p.k)
    return True


def round_sums(p: RecurrentInput, inputs: vec[float], start: i64, n: i64) -> None:
    """Take off the excess of sums, and round them."""
    excess = p.excess
    if len(excess) < NUMBERS or len(inputs) < CHUNK + STATES:
        raise ValueError("buffer too small")
    if n < 0 or n > STATES or start < 0 or start > CHUNK:
        raise ValueError("part out of range")
    i: i64 = 0
    for i in range(n):
        v = inputs[start + i] - excess[i]
        t = v * SPLIT
        inputs[start + i] = (t - (t - v)) + excess[i]


def descale_inputs(p: RecurrentInput, inputs: vec[float], start: i64, inverse: float, n: i64) -> None:
    """Sums of 24 bits to the input part of gates: less the excess, times (inverse * reciprocal), plus bias."""
    excess = p.excess
    reciprocals = p.reciprocals
    bias = p.bias
    if len(excess) < NUMBERS or len(reciprocals) < NUMBERS or len(bias) < NUMBERS or len(inputs) < CHUNK + STATES:
        raise ValueError("buffer too small")
    if n < 0 or n > STATES or start < 0 or start > CHUNK:
        raise ValueError("part out of range")
    i: i64 = 0
    for i in range(n):
        f = reciprocals[i] * inverse
        t = f * SPLIT
        f = t - (t - f)
        v = (inputs[start + i] - excess[i]) * f
        t = v * SPLIT
        v = (t - (t - v)) + bias[i]
        t = v * SPLIT
        inputs[start + i] = t - (t - v)


def input_gates(p: RecurrentInput, s: RecurrentScratch, count: i64) -> None:
    """The input part of the gates of `count` rows, from sums to floats."""
    row: i64 = 0
    for row in range(count):
        if p.k > PAIRED:
            round_sums(p, s.inputs, row * p.rows, p.rows)
        descale_inputs(p, s.inputs, row * p.rows, s.inverses[row], p.rows)


def quantize(r: Recurrence, s: RecurrentScratch, scale: float) -> i32:
    """The codes of the hidden state; returns by how much every sum of products will be too large."""
    quarter = r.k >> 2
    pack_codes(s.hidden, scale, quarter, s.work)
    whole_numbers(s.work, quarter, s.packed)
    if r.words:
        words_of(s.packed, quarter, s.words, s.words_start)
        return 0
    return i32((bytes_of(s.packed, quarter, s.bytes_, s.bytes_start) - 128 * r.k) * 128)


def multiply(r: Recurrence, s: RecurrentScratch) -> bool:
    """The recurrent product of the hidden state, dequantized, into `gates`; False where binary32 may need care."""
    i: i64 = 0
    rows: i64 = 0
    largest = largest_magnitude(s.hidden, r.k, s.work)
    if largest == 0.0:
        for i in range(len(r.counts)):
            rows += r.counts[i]
        clear(s.gates, rows)
        return True
    if not can_scale(largest):
        return False
    scale = rounded(127.0 / largest)
    excess = quantize(r, s, scale)
    for i in range(len(r.counts)):
        out = s.acc_start + rows
        if r.words:
            dot_words(s.words, s.words_start, r.word_blocks[i], r.starts[i], r.counts[i], r.k, s.acc, out)
        elif r.k == 64:
            dot_64(s.bytes_, s.bytes_start, r.byte_blocks[i], r.starts[i], r.counts[i], s.acc, out)
        elif r.k == 128:
            dot_128(s.bytes_, s.bytes_start, r.byte_blocks[i], r.starts[i], r.counts[i], s.acc, out)
        else:
            dot_bytes(s.bytes_, s.bytes_start, r.byte_blocks[i], r.starts[i], r.counts[i], r.k, s.acc, out)
        rows += r.counts[i]
    if r.k <= PAIRED:
        float_pairs(s.acc, s.acc_start, rows >> 1, s.gates)
        descale_pairs(s.gates, float(excess), r.reciprocals, rounded(1.0 / scale), rows >> 1)
    else:
        float_sums(s.acc, s.acc_start, excess, rows, s.gates)
        descale(s.gates, r.reciprocals, rounded(1.0 / scale), rows)
    return True


def add(a: vec[float], b: vec[float], b0: i64, n: i64) -> None:
    """A += b, where b has `CHUNK` entries."""
    if len(a) < NUMBERS or len(b) < CHUNK + STATES or n < 0 or n > STATES or b0 < 0 or b0 > CHUNK:
        raise ValueError("part out of range")
    i: i64 = 0
    for i in range(n):
        v = a[i] + b[b0 + i]
        t = v * SPLIT
        a[i] = t - (t - v)


def exponentials(s: RecurrentScratch, n: i64) -> bool:
    """exp(-x) of the first n gates into `work`."""
    if exp(s.gates, 0, n, -1.0, s.work, s.doubt) == 0:
        return True
    return settle_exp(s.gates, 0, n, -1.0, s.work, s.doubt)


def tangents(s: RecurrentScratch, x: vec[float], first: i64, n: i64, out: vec[float]) -> bool:
    """Tanh of n numbers from `first` on, to the same places of `out`."""
    if tanh(x, first, n, out, s.doubt) == 0:
        return True
    return settle_tanh(x, first, n, out, s.doubt)


def sigmoid_exactly(x: float) -> float:
    """1 / (1 + exp(-x)) for x above minus `EXP_LIMIT`."""
    if x > EXP_LIMIT:
        return 1.0
    return rounded(1.0 / rounded(1.0 + rounded(math.exp(-x))))


def is_plain(product: float) -> bool:
    """Whether a product of two numbers has 24 bits in binary32, or is 0."""
    return product == 0.0 or abs(product) >= TINY


def lstm_exactly(s: RecurrentScratch, n: i64, i: i64) -> bool:
    """One state of a step again, by the functions of the C library; False where binary32 may need care."""
    gates = s.gates
    if n < 0 or n > STATES // 4 or i < 0 or i >= n:
        raise ValueError("part out of range")
    if not (gates[i] >= -EXP_LIMIT and gates[n + i] >= -EXP_LIMIT and gates[2 * n + i] >= -EXP_LIMIT):
        return False
    kept = sigmoid_exactly(gates[n + i]) * s.work[n + i]
    entered = sigmoid_exactly(gates[i]) * rounded(math.tanh(gates[3 * n + i]))
    if not (is_plain(kept) and is_plain(entered)):
        return False
    s.cell[i] = rounded(rounded(kept) + rounded(entered))
    s.hidden[i] = sigmoid_exactly(gates[2 * n + i]) * rounded(math.tanh(s.cell[i]))
    if not is_plain(s.hidden[i]):
        return False
    s.hidden[i] = rounded(s.hidden[i])
    return True


def lstm_step(s: RecurrentScratch, n: i64, at: i64) -> bool:
    """A step from the recurrent product in `gates`; False where the caller has to compute it in another way."""
    lstm_powers(s.gates, s.inputs, at, s.work, s.doubt, n)
    lstm_cell(s.gates, s.inputs, at, s.work, s.cell, s.doubt, n)
    if lstm_output(s.work, s.cell, s.hidden, s.doubt, n) == 0:
        return True
    i: i64 = 0
    settled = True
    for i in range(n):
        if not s.doubt[i] >= 0.0:
            settled = lstm_exactly(s, n, i) and settled
    return settled


def gru_new(gates: vec[float], work: vec[float], bias: vec[float], inputs: vec[float], start: i64, n: i64) -> bool:
    """The argument of the new gate: (bWN + r * (bBN + Wh h)) + Wx x; and u in place of its exponential.

    `work` has exp(-x) of r and u; one division serves both, as in `activations.lstm_cell`.
    """
    if len(gates) < NUMBERS or len(bias) < NUMBERS or len(inputs) < CHUNK + STATES or len(work) < NUMBERS:
        raise ValueError("buffer too small")
    if n < 0 or n > STATES // 3 or start < 0 or start > CHUNK:
        raise ValueError("part out of range")
    i: i64 = 0
    known: i64 = 0
    for i in range(n):
        a = work[i] + 1.0
        t = a * SPLIT
        a = t - (t - a)
        b = work[n + i] + 1.0
        t = b * SPLIT
        b = t - (t - b)
        d = a * b
        if d == 0.0:
            d = 1.0
        r = 1.0 / d
        v = r * a
        t = v * SPLIT
        work[n + i] = t - (t - v)
        r = r * b
        t = r * SPLIT
        r = t - (t - r)
        v = bias[n + i] + gates[2 * n + i]
        t = v * SPLIT
        v = r * (t - (t - v))
        t = v * SPLIT
        v = t - (t - v)
        if abs(v) * (abs(v) - TINY) >= 0.0:
            known += 1
        v = bias[i] + v
        t = v * SPLIT
        v = (t - (t - v)) + inputs[start + i]
        t = v * SPLIT
        gates[2 * n + i] = t - (t - v)
    return known == n


def gru_mix(work: vec[float], hidden: vec[float], n: i64) -> bool:
    """H = (1 - u) * n + u * h; `work` has u and n after the room of r."""
    if len(work) < NUMBERS or len(hidden) < NUMBERS or n < 0 or n > STATES // 3:
        raise ValueError("layer too large")
    i: i64 = 0
    kept: i64 = 0
    entered: i64 = 0
    for i in range(n):
        update = work[n + i]
        v = 1.0 - update
        t = v * SPLIT
        v = (t - (t - v)) * work[2 * n + i]
        t = v * SPLIT
        v = t - (t - v)
        u = update * hidden[i]
        t = u * SPLIT
        u = t - (t - u)
        if abs(u) * (abs(u) - TINY) >= 0.0:
            kept += 1
        if abs(v) * (abs(v) - TINY) >= 0.0:
            entered += 1
        v = v + u
        t = v * SPLIT
        hidden[i] = t - (t - v)
    return kept + entered == 2 * n


def store(values: vec[float], out: vec[float], start: i64, n: i64) -> None:
    """Copy n values into a chunk."""
    if len(values) < NUMBERS or len(out) < CHUNK + STATES or n < 0 or n > STATES or start < 0 or start > CHUNK:
        raise ValueError("buffer too small")
    i: i64 = 0
    for i in range(n):
        out[start + i] = values[i]


def within(values: vec[float], n: i64, limit: float) -> bool:
    """Whether the magnitudes of n numbers are no larger than the limit; a NaN is."""
    if len(values) < NUMBERS or n < 0 or n > STATES:
        raise ValueError("buffer too small")
    i: i64 = 0
    known: i64 = 0
    for i in range(n):
        if abs(values[i]) <= limit:
            known += 1
    return known == n


def can_begin(kind: i64, r: Recurrence, s: RecurrentScratch) -> bool:
    """Whether the states are numbers from which steps stay within binary32."""
    return within(s.hidden, r.hidden, HUGE) and (kind != LSTM or within(s.cell, r.hidden, HUGE))


def gate_step(kind: i64, r: Recurrence, s: RecurrentScratch, index: i64, rows: i64) -> bool:
    """Step `index` of the chunk, from the recurrent product in `gates` to the new state and the output."""
    n = r.hidden
    at = index * rows
    if kind == LSTM:
        if not lstm_step(s, n, at):
            return False
    elif kind == GRU:
        add(s.gates, s.inputs, at, 2 * n)
        if not (exponentials(s, 2 * n) and gru_new(s.gates, s.work, r.bias, s.inputs, at + 2 * n, n)):
            return False
        if not (tangents(s, s.gates, 2 * n, n, s.work) and gru_mix(s.work, s.hidden, n)):
            return False
    else:
        add(s.gates, s.inputs, at, n)
        if not tangents(s, s.gates, 0, n, s.hidden):
            return False
    store(s.hidden, s.outputs, index * n, n)
    return True


def int8_steps(kind: i64, r: Recurrence, s: RecurrentScratch, count: i64, rows: i64) -> bool:
    """`count` steps; False where the caller has to compute them in another way."""
    index: i64 = 0
    if not can_begin(kind, r, s):
        return False
    for index in range(count):
        if not multiply(r, s):
            return False
        if not gate_step(kind, r, s, index, rows):
            return False
    return True
