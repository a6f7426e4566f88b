"""The steps of RNN, LSTM and GRU: quantize the hidden state, multiply it with the recurrent weights, run the gates.

Floats are binary64 here, and every value that the spec rounds to binary32 is rounded to 24 bits by Veltkamp's method,
`t = x * SPLIT; x = t - (t - x)`. exp and tanh come out of exp(x / 256) - 1, eight times doubled. Where that leaves open
how a result rounds, or a value leaves the range in which 24 bits are what binary32 has, `doubt` becomes other than 0,
and the caller computes the steps again in another way.
"""

from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i16, i32, i64, u8

from fastpath.kernels.source.capacity import BLOCK, PATCH

STATES: Final = 8192
"""The largest number of gate rows; vectors with one number a row have twice as many entries."""

CHUNK: Final = 262144
"""Numbers of the input part, and of the output, of the steps that run in one call; `STATES` more are allocated."""

RNN: Final = 0
GRU: Final = 1
LSTM: Final = 2

SPLIT: Final = 536870913.0
"""2**29 + 1: what splits 24 bits off 53."""

PAIRED: Final = 1024
"""Sums of so many products stay below 2**25, so two of them fit the 53 bits of one conversion from int to float."""

TINY: Final = 1e-37
"""Products of smaller magnitude, other than 0, may need fewer bits than 24 in binary32."""

HUGE: Final = 1e30
"""Cell states of larger magnitude may leave binary32."""

EXP_BAND: Final = 1.7763568394002505e-15
"""2**-49; times 2 + |x| it is three times what exp(x) can be off by, relative to 1 + exp(x)."""

BAND: Final = 1.4210854715202004e-14
"""2**-46, ten times what tanh can be off by, relative to itself."""

EXP_LIMIT: Final = 40.0
"""Arguments of exp of larger magnitude are left to the caller."""

TANH_LIMIT: Final = 20.0
"""From here on tanh is 1 in binary32."""


@final
class Recurrence:
    """The weights of one direction and the buffers that it shares with others.

    `words` says that weights and codes are 16-bit codes; else they are bytes, 128 plus the code. Weight blocks hold
    whole groups of 8 rows of k weights; `excess` is what the sums of a row are too large by. The other vectors have
    `STATES` entries, or `CHUNK`. GRU reads `bias`: those of the input, then those of the hidden part of its new gate.
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
        excess: vec[i32],
        excess_start: i64,
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
        self.excess: vec[i32] = excess
        self.excess_start: i64 = excess_start
        self.reciprocals: vec[float] = reciprocals
        self.bias: vec[float] = bias


@final
class RecurrentScratch:
    """Buffers of one thread: codes, sums, gates, states, divisors, doubts, inputs and outputs of a chunk."""

    def __init__(
        self,
        bytes_: vec[u8],
        bytes_start: i64,
        words: vec[i16],
        words_start: i64,
        acc: vec[i32],
        gates: vec[float],
        hidden: vec[float],
        cell: vec[float],
        work: vec[float],
        doubt: vec[float],
        inputs: vec[float],
        outputs: vec[float],
    ) -> None:
        self.bytes_: vec[u8] = bytes_
        self.bytes_start: i64 = bytes_start
        self.words: vec[i16] = words
        self.words_start: i64 = words_start
        self.acc: vec[i32] = acc
        self.gates: vec[float] = gates
        self.hidden: vec[float] = hidden
        self.cell: vec[float] = cell
        self.work: vec[float] = work
        self.doubt: vec[float] = doubt
        self.inputs: vec[float] = inputs
        self.outputs: vec[float] = outputs


def dot_bytes(x: vec[u8], a: i64, w: vec[u8], first: i64, rows: i64, k: i64, acc: vec[i32], out: i64) -> None:
    """acc[out + row] = sum of x[a + i] * (w[first + row * k + i] - 128), for rows in groups of 8."""
    if len(x) < PATCH + 64 or len(w) < BLOCK + PATCH or len(acc) < STATES or a < 0 or a > 64:
        raise ValueError("buffer too small")
    if k < 0 or k > PATCH or out < 0 or rows < 0 or out + rows > STATES:
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
            or o < 0 or o > STATES - 8
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
            v = i32(x[a + i])
            s0 += v * (i32(w[b0 + i]) - 128)
            s1 += v * (i32(w[b1 + i]) - 128)
            s2 += v * (i32(w[b2 + i]) - 128)
            s3 += v * (i32(w[b3 + i]) - 128)
            s4 += v * (i32(w[b4 + i]) - 128)
            s5 += v * (i32(w[b5 + i]) - 128)
            s6 += v * (i32(w[b6 + i]) - 128)
            s7 += v * (i32(w[b7 + i]) - 128)
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
    if len(x) < PATCH + 64 or len(w) < BLOCK + PATCH or len(acc) < STATES or a < 0 or a > 64:
        raise ValueError("buffer too small")
    if k < 0 or k > PATCH or out < 0 or rows < 0 or out + rows > STATES:
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
            or o < 0 or o > STATES - 4
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


def largest_magnitude(values: vec[float], n: i64) -> float:
    """The largest magnitude of n values, NaN if one is not finite; entries past the end up to a group of 4 are 0."""
    if len(values) < 2 * STATES or n < 0 or n > STATES - 4:
        raise ValueError("buffer too small")
    m0 = 0.0
    m1 = 0.0
    m2 = 0.0
    m3 = 0.0
    lost = 0.0
    i: i64 = 0
    while i < n:
        v0 = values[i]
        v1 = values[i + 1]
        v2 = values[i + 2]
        v3 = values[i + 3]
        lost += (v0 + v1 + v2 + v3) * 0.0
        if v0 < 0.0:
            v0 = -v0
        if v1 < 0.0:
            v1 = -v1
        if v2 < 0.0:
            v2 = -v2
        if v3 < 0.0:
            v3 = -v3
        if v0 > m0:
            m0 = v0
        if v1 > m1:
            m1 = v1
        if v2 > m2:
            m2 = v2
        if v3 > m3:
            m3 = v3
        i += 4
    if m1 > m0:
        m0 = m1
    if m2 > m0:
        m0 = m2
    if m3 > m0:
        m0 = m3
    return m0 + lost


def scaled_codes(values: vec[float], n: i64, scale: float, out: vec[float]) -> None:
    """Values times scale, and a half away from zero for truncation to complete the rounding."""
    if len(values) < 2 * STATES or len(out) < 2 * STATES or n < 0 or n > STATES:
        raise ValueError("buffer too small")
    i: i64 = 0
    for i in range(n):
        v = values[i] * scale
        t = v * SPLIT
        v = t - (t - v)
        h = 0.5
        if v < 0.0:
            h = -0.5
        out[i] = v + h


def multiply(r: Recurrence, s: RecurrentScratch) -> bool:
    """The recurrent product of the hidden state, dequantized, into `gates`; False where binary32 may need care."""
    n = r.hidden
    i: i64 = 0
    rows: i64 = 0
    largest = largest_magnitude(s.hidden, n)
    if largest == 0.0:
        for i in range(len(r.counts)):
            rows += r.counts[i]
        clear(s.gates, rows)
        return True
    if not (largest >= 1e-20 and largest <= 1e10):
        return False
    scale = 127.0 / largest
    t = scale * SPLIT
    scale = t - (t - scale)
    inverse = 1.0 / scale
    t = inverse * SPLIT
    inverse = t - (t - inverse)
    scaled_codes(s.hidden, n, scale, s.gates)
    gates = s.gates
    if r.words:
        words = s.words
        for i in range(n):
            code = int(gates[i])
            words[s.words_start + i] = i16(i64(code))
    else:
        octets = s.bytes_
        for i in range(n):
            code = int(gates[i])
            octets[s.bytes_start + i] = u8(i64(code) + 128)
    for i in range(len(r.counts)):
        if r.words:
            dot_words(s.words, s.words_start, r.word_blocks[i], r.starts[i], r.counts[i], r.k, s.acc, rows)
        else:
            dot_bytes(s.bytes_, s.bytes_start, r.byte_blocks[i], r.starts[i], r.counts[i], r.k, s.acc, rows)
        rows += r.counts[i]
    acc = s.acc
    excess = r.excess
    start = r.excess_start
    if r.k <= PAIRED:
        half = rows >> 1
        for i in range(half):
            high = i64(acc[half + i] - excess[start + half + i])
            gates[i] = float(i64(acc[i] - excess[start + i]) + (high << 26))
        split_pairs(gates, half)
    else:
        for i in range(rows):
            gates[i] = float(acc[i] - excess[start + i])
    descale(gates, r.reciprocals, inverse, rows)
    return True


def split_pairs(values: vec[float], n: i64) -> None:
    """From n numbers a + b * 2**26, with a and b below 2**25, to n times a and then n times b."""
    if len(values) < 2 * STATES or n < 0 or n > STATES:
        raise ValueError("buffer too small")
    i: i64 = 0
    for i in range(n):
        v = values[i]
        # Beside 1.5 * 2**78 a number keeps only its multiples of 2**26.
        high = (v + 4.533471823554859e23) - 4.533471823554859e23
        values[i] = v - high
        values[n + i] = high * 1.4901161193847656e-08


def clear(values: vec[float], n: i64) -> None:
    """Set n values to 0."""
    if len(values) < 2 * STATES or n < 0 or n > STATES:
        raise ValueError("buffer too small")
    i: i64 = 0
    for i in range(n):
        values[i] = 0.0


def descale(gates: vec[float], reciprocals: vec[float], inverse: float, n: i64) -> None:
    """Sums to floats: round, times (inverse * reciprocal), every step rounded."""
    if len(gates) < 2 * STATES or len(reciprocals) < 2 * STATES or n < 0 or n > STATES:
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


def add(a: vec[float], a0: i64, b: vec[float], b0: i64, n: i64) -> None:
    """A += b, where b has `CHUNK` entries."""
    if len(a) < 2 * STATES or len(b) < CHUNK + STATES or n < 0 or n > STATES:
        raise ValueError("buffer too small")
    if a0 < 0 or a0 > STATES or b0 < 0 or b0 > CHUNK:
        raise ValueError("part out of range")
    i: i64 = 0
    for i in range(n):
        v = a[a0 + i] + b[b0 + i]
        t = v * SPLIT
        a[a0 + i] = t - (t - v)


def exp_plus_one(gates: vec[float], n: i64, doubt: vec[float]) -> None:
    """1 + exp(-gates) of the first n, in place.

    Below 1 only the absolute error of exp counts, since 1 is added to it.
    """
    if len(gates) < 2 * STATES or len(doubt) < 2 * STATES or n < 0 or n > STATES:
        raise ValueError("buffer too small")
    i: i64 = 0
    for i in range(n):
        g = gates[i]
        x = -g
        if x > EXP_LIMIT:
            x = EXP_LIMIT
        if x < -EXP_LIMIT:
            x = -EXP_LIMIT
        d = g + x
        a = x
        if a < 0.0:
            a = -a
        y = x * 0.00390625
        e = y * (1.0 + y * (0.5 + y * (0.16666666666666666 + y * (0.041666666666666664 + y * (
            0.008333333333333333 + y * (0.001388888888888889 + y * (0.0001984126984126984 + y * (
                2.48015873015873e-05 + y * (2.7557319223985893e-06 + y * (
                    2.755731922398589e-07 + y * 2.505210838544172e-08))))))))))  # fmt: skip
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e + 1.0
        b = EXP_BAND * (2.0 + a) * (e + 1.0)
        low = e - b
        t = low * SPLIT
        low = t - (t - low) + 1.0
        t = low * SPLIT
        low = t - (t - low)
        high = e + b
        t = high * SPLIT
        high = t - (t - high) + 1.0
        t = high * SPLIT
        high = t - (t - high)
        doubt[i] += d * d + (high - low)
        gates[i] = high


def exp_minus_one(source: vec[float], source_start: i64, out: vec[float], start: i64, n: i64) -> None:
    """exp(2 x) - 1 of n values, to full relative precision."""
    if len(source) < 2 * STATES or len(out) < 2 * STATES or n < 0 or n > STATES:
        raise ValueError("buffer too small")
    if source_start < 0 or source_start > STATES or start < 0 or start > STATES:
        raise ValueError("part out of range")
    i: i64 = 0
    for i in range(n):
        x = source[source_start + i]
        if x > TANH_LIMIT:
            x = TANH_LIMIT
        if x < -TANH_LIMIT:
            x = -TANH_LIMIT
        y = x * 0.0078125
        e = y * (1.0 + y * (0.5 + y * (0.16666666666666666 + y * (0.041666666666666664 + y * (
            0.008333333333333333 + y * (0.001388888888888889 + y * (0.0001984126984126984 + y * (
                2.48015873015873e-05 + y * (2.7557319223985893e-06 + y * (
                    2.755731922398589e-07 + y * 2.505210838544172e-08))))))))))  # fmt: skip
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        e = e * (e + 2.0)
        out[start + i] = e * (e + 2.0)


def reciprocals_of(values: vec[float], n: i64) -> None:
    """1 / values in place. A loop of its own: the check for a divisor of 0 keeps it from becoming vector code."""
    if len(values) < 2 * STATES or n < 0 or n > STATES:
        raise ValueError("buffer too small")
    i: i64 = 0
    for i in range(n):
        values[i] = 1.0 / values[i]


def lstm_divisors(gates: vec[float], work: vec[float], n: i64) -> None:
    """The product of the four divisors of every cell: one division serves them all."""
    if len(gates) < 2 * STATES or len(work) < 2 * STATES or n < 0 or n > STATES // 4:
        raise ValueError("buffer too small")
    i: i64 = 0
    for i in range(n):
        work[i] = (gates[i] * gates[n + i]) * (gates[2 * n + i] * (gates[3 * n + i] + 2.0))


def lstm_cell(gates: vec[float], work: vec[float], cell: vec[float], n: i64, doubt: vec[float]) -> None:
    """C = F * C + I * G, and O in place of its divisor.

    `gates` has the divisors of I, F and O and exp(2 x) - 1 of the candidate, `work` the reciprocal of all divisors.
    The quotients 1 / v are off by up to 5 roundings of binary64, 2**-50.7, before they are rounded to 24 bits. As v has
    24 bits, 1 / v never comes nearer to a tie than 2**-49.
    """
    if len(gates) < 2 * STATES or len(work) < 2 * STATES or len(cell) < 2 * STATES or len(doubt) < 2 * STATES:
        raise ValueError("buffer too small")
    if n < 0 or n > STATES // 4:
        raise ValueError("layer too large")
    i: i64 = 0
    for i in range(n):
        g = gates[3 * n + i]
        first = gates[i] * gates[n + i]
        second = gates[2 * n + i] * (g + 2.0)
        r = work[i] * second
        s = work[i] * first
        input_gate = r * gates[n + i]
        t = input_gate * SPLIT
        input_gate = t - (t - input_gate)
        forget_gate = r * gates[i]
        t = forget_gate * SPLIT
        forget_gate = t - (t - forget_gate)
        output_gate = s * (g + 2.0)
        t = output_gate * SPLIT
        g = g * (s * gates[2 * n + i])
        gates[2 * n + i] = t - (t - output_gate)
        low = g * (1.0 - BAND)
        t = low * SPLIT
        low = t - (t - low)
        g = g * (1.0 + BAND)
        t = g * SPLIT
        g = t - (t - g)
        d = g - low
        v = forget_gate * cell[i]
        t = v * SPLIT
        v = t - (t - v)
        u = input_gate * g
        t = u * SPLIT
        u = t - (t - u)
        a = v
        if a < 0.0:
            a = -a
        b = u
        if b < 0.0:
            b = -b
        c = TINY - a
        if c < 0.0:
            c = 0.0
        e = TINY - b
        if e < 0.0:
            e = 0.0
        h = a - HUGE
        if h < 0.0:
            h = 0.0
        doubt[i] += d * d + a * c + b * e + h
        v = v + u
        t = v * SPLIT
        cell[i] = t - (t - v)


def divisors_of_tanh(values: vec[float], start: i64, work: vec[float], n: i64) -> None:
    """What exp(2 x) - 1 has to be divided by for tanh."""
    if len(values) < 2 * STATES or len(work) < 2 * STATES or n < 0 or n > STATES or start < 0 or start > STATES:
        raise ValueError("buffer too small")
    i: i64 = 0
    for i in range(n):
        work[i] = values[start + i] + 2.0


def tanh(values: vec[float], start: i64, work: vec[float], out: vec[float], n: i64, doubt: vec[float]) -> None:
    """Tanh from exp(2 x) - 1 and the reciprocal of its divisor."""
    if len(values) < 2 * STATES or len(work) < 2 * STATES or len(out) < 2 * STATES or len(doubt) < 2 * STATES:
        raise ValueError("buffer too small")
    if n < 0 or n > STATES or start < 0 or start > STATES:
        raise ValueError("layer too large")
    i: i64 = 0
    for i in range(n):
        v = values[start + i] * work[i]
        low = v * (1.0 - BAND)
        t = low * SPLIT
        low = t - (t - low)
        v = v * (1.0 + BAND)
        t = v * SPLIT
        v = t - (t - v)
        d = v - low
        doubt[i] += d * d
        out[i] = v


def product(a: vec[float], a0: i64, out: vec[float], n: i64, doubt: vec[float]) -> None:
    """Out *= a."""
    if len(a) < 2 * STATES or len(out) < 2 * STATES or len(doubt) < 2 * STATES or n < 0 or n > STATES:
        raise ValueError("buffer too small")
    if a0 < 0 or a0 > STATES:
        raise ValueError("part out of range")
    i: i64 = 0
    for i in range(n):
        v = a[a0 + i] * out[i]
        t = v * SPLIT
        v = t - (t - v)
        m = v
        if m < 0.0:
            m = -m
        c = TINY - m
        if c < 0.0:
            c = 0.0
        doubt[i] += m * c
        out[i] = v


def store(values: vec[float], out: vec[float], start: i64, n: i64) -> None:
    """Copy n values into a chunk."""
    if len(values) < 2 * STATES or len(out) < CHUNK + STATES or n < 0 or n > STATES or start < 0 or start > CHUNK:
        raise ValueError("buffer too small")
    i: i64 = 0
    for i in range(n):
        out[start + i] = values[i]


def gru_divisors(gates: vec[float], work: vec[float], n: i64) -> None:
    """The product of the two divisors of every cell."""
    if len(gates) < 2 * STATES or len(work) < 2 * STATES or n < 0 or n > STATES // 3:
        raise ValueError("buffer too small")
    i: i64 = 0
    for i in range(n):
        work[i] = gates[i] * gates[n + i]


def gru_new(
    gates: vec[float], work: vec[float], bias: vec[float], inputs: vec[float], start: i64, n: i64, doubt: vec[float]
) -> None:
    """The argument of the new gate: (bWN + r * (bBN + Wh h)) + Wx x; and u in place of its divisor."""
    if len(gates) < 2 * STATES or len(bias) < 2 * STATES or len(inputs) < CHUNK + STATES or len(doubt) < 2 * STATES:
        raise ValueError("buffer too small")
    if len(work) < 2 * STATES or n < 0 or n > STATES // 3 or start < 0 or start > CHUNK:
        raise ValueError("part out of range")
    i: i64 = 0
    for i in range(n):
        reset = work[i] * gates[n + i]
        t = reset * SPLIT
        reset = t - (t - reset)
        update = work[i] * gates[i]
        t = update * SPLIT
        gates[n + i] = t - (t - update)
        v = bias[n + i] + gates[2 * n + i]
        t = v * SPLIT
        v = t - (t - v)
        v = reset * v
        t = v * SPLIT
        v = t - (t - v)
        m = v
        if m < 0.0:
            m = -m
        c = TINY - m
        if c < 0.0:
            c = 0.0
        doubt[i] += m * c
        v = bias[i] + v
        t = v * SPLIT
        v = t - (t - v)
        v = v + inputs[start + i]
        t = v * SPLIT
        gates[2 * n + i] = t - (t - v)


def gru_mix(gates: vec[float], new: vec[float], hidden: vec[float], n: i64, doubt: vec[float]) -> None:
    """H = (1 - u) * n + u * h."""
    if len(gates) < 2 * STATES or len(hidden) < 2 * STATES or len(doubt) < 2 * STATES or len(new) < 2 * STATES:
        raise ValueError("buffer too small")
    if n < 0 or n > STATES // 3:
        raise ValueError("layer too large")
    i: i64 = 0
    for i in range(n):
        update = gates[n + i]
        v = 1.0 - update
        t = v * SPLIT
        v = t - (t - v)
        v = v * new[i]
        t = v * SPLIT
        v = t - (t - v)
        u = update * hidden[i]
        t = u * SPLIT
        u = t - (t - u)
        a = v
        if a < 0.0:
            a = -a
        b = u
        if b < 0.0:
            b = -b
        c = TINY - a
        if c < 0.0:
            c = 0.0
        d = TINY - b
        if d < 0.0:
            d = 0.0
        doubt[i] += a * c + b * d
        v = v + u
        t = v * SPLIT
        hidden[i] = t - (t - v)


def gate_step(kind: i64, r: Recurrence, s: RecurrentScratch, index: i64, rows: i64) -> None:
    """Step `index` of the chunk, from the recurrent product in `gates` to the new state and the output."""
    n = r.hidden
    at = index * rows
    if kind == LSTM:
        add(s.gates, 0, s.inputs, at, 4 * n)
        exp_plus_one(s.gates, 3 * n, s.doubt)
        exp_minus_one(s.gates, 3 * n, s.gates, 3 * n, n)
        lstm_divisors(s.gates, s.work, n)
        reciprocals_of(s.work, n)
        lstm_cell(s.gates, s.work, s.cell, n, s.doubt)
        exp_minus_one(s.cell, 0, s.hidden, 0, n)
        divisors_of_tanh(s.hidden, 0, s.work, n)
        reciprocals_of(s.work, n)
        tanh(s.hidden, 0, s.work, s.hidden, n, s.doubt)
        product(s.gates, 2 * n, s.hidden, n, s.doubt)
    elif kind == GRU:
        add(s.gates, 0, s.inputs, at, 2 * n)
        exp_plus_one(s.gates, 2 * n, s.doubt)
        gru_divisors(s.gates, s.work, n)
        reciprocals_of(s.work, n)
        gru_new(s.gates, s.work, r.bias, s.inputs, at + 2 * n, n, s.doubt)
        exp_minus_one(s.gates, 2 * n, s.gates, 2 * n, n)
        divisors_of_tanh(s.gates, 2 * n, s.work, n)
        reciprocals_of(s.work, n)
        tanh(s.gates, 2 * n, s.work, s.cell, n, s.doubt)
        gru_mix(s.gates, s.cell, s.hidden, n, s.doubt)
    else:
        add(s.gates, 0, s.inputs, at, n)
        exp_minus_one(s.gates, 0, s.gates, 0, n)
        divisors_of_tanh(s.gates, 0, s.work, n)
        reciprocals_of(s.work, n)
        tanh(s.gates, 0, s.work, s.hidden, n, s.doubt)
    store(s.hidden, s.outputs, index * n, n)


def int8_steps(kind: i64, r: Recurrence, s: RecurrentScratch, count: i64, rows: i64) -> bool:
    """`count` steps; False where the caller has to compute them in another way."""
    index: i64 = 0
    for index in range(count):
        if not multiply(r, s):
            return False
        gate_step(kind, r, s, index, rows)
    return True
