"""Depthwise convolution and max pooling of float planes, in binary64.

A plane is rows of `pitch` numbers with its padding in it. The caller rounds sums to binary32 once: products and sums
are exact to 53 bits, so the results lie closer to the true ones than sums in binary32 do. Products of binary32 numbers
are even exact, so instructions that fuse them with a sum give the same bits. Maxima need no rounding.
"""

from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

PLANES: Final = 262144
"""Numbers of planes in one buffer; `PLANES + PLANE_SLACK` more are allocated, for runs that begin anywhere."""

PLANE_SLACK: Final = 8192

TAPS: Final = 65536
"""Numbers in a table of weights or biases."""

WIDE_ROW: Final = 32
"""Shorter rows of sums are computed in one run, with the columns between them."""


def rows_3x3(
    x: vec[float],
    a0: i64,
    pitch: i64,
    w: vec[float],
    first: i64,
    bias: float,
    relu: bool,
    o: vec[float],
    b0: i64,
    out_pitch: i64,
    n: i64,
) -> None:
    """Two rows of n sums of 3 by 3 windows of stride 1: they share half of the numbers that they read."""
    if len(x) < 2 * PLANES + PLANE_SLACK or len(o) < 2 * PLANES + PLANE_SLACK or len(w) < TAPS:
        raise ValueError("buffer too small")
    b1 = b0 + out_pitch
    if first < 0 or first > TAPS - 9 or n < 0 or n > PLANES or b0 < 0 or b0 > PLANES or b1 < 0 or b1 > PLANES:
        raise ValueError("planes out of range")
    a1 = a0 + pitch
    a2 = a1 + pitch
    a3 = a2 + pitch
    if a0 < 0 or a0 > PLANES or a1 < 0 or a1 > PLANES or a2 < 0 or a2 > PLANES or a3 < 0 or a3 > PLANES:
        raise ValueError("planes out of range")
    w0 = w[first]
    w1 = w[first + 1]
    w2 = w[first + 2]
    w3 = w[first + 3]
    w4 = w[first + 4]
    w5 = w[first + 5]
    w6 = w[first + 6]
    w7 = w[first + 7]
    w8 = w[first + 8]
    i: i64 = 0
    for i in range(n):
        p = x[a1 + i]
        q = x[a1 + 1 + i]
        r = x[a1 + 2 + i]
        v = bias + x[a0 + i] * w0
        v += x[a0 + 1 + i] * w1
        v += x[a0 + 2 + i] * w2
        v += p * w3
        v += q * w4
        v += r * w5
        u = bias + p * w0
        u += q * w1
        u += r * w2
        p = x[a2 + i]
        q = x[a2 + 1 + i]
        r = x[a2 + 2 + i]
        v += p * w6
        v += q * w7
        v += r * w8
        u += p * w3
        u += q * w4
        u += r * w5
        u += x[a3 + i] * w6
        u += x[a3 + 1 + i] * w7
        u += x[a3 + 2 + i] * w8
        if relu:
            p = 0.0
            if v > 0.0:
                p = v
            v = p
            q = 0.0
            if u > 0.0:
                q = u
            u = q
        o[b0 + i] = v
        o[b1 + i] = u


def run_3x3(
    x: vec[float],
    a0: i64,
    pitch: i64,
    w: vec[float],
    first: i64,
    bias: float,
    relu: bool,
    o: vec[float],
    b: i64,
    n: i64,
) -> None:
    """N sums of 3 by 3 windows of stride 1, which follow each other in memory."""
    if len(x) < 2 * PLANES + PLANE_SLACK or len(o) < 2 * PLANES + PLANE_SLACK or len(w) < TAPS:
        raise ValueError("buffer too small")
    if first < 0 or first > TAPS - 9 or n < 0 or n > PLANES or b < 0 or b > PLANES or b + n > PLANES:
        raise ValueError("planes out of range")
    a1 = a0 + pitch
    a2 = a1 + pitch
    if a0 < 0 or a0 > PLANES or a1 < 0 or a1 > PLANES or a2 < 0 or a2 > PLANES or a2 + n > PLANES:
        raise ValueError("planes out of range")
    if a0 + n > PLANES or a1 + n > PLANES:
        raise ValueError("planes out of range")
    w0 = w[first]
    w1 = w[first + 1]
    w2 = w[first + 2]
    w3 = w[first + 3]
    w4 = w[first + 4]
    w5 = w[first + 5]
    w6 = w[first + 6]
    w7 = w[first + 7]
    w8 = w[first + 8]
    i: i64 = 0
    for i in range(n):
        v = bias + x[a0 + i] * w0
        v += x[a0 + 1 + i] * w1
        v += x[a0 + 2 + i] * w2
        v += x[a1 + i] * w3
        v += x[a1 + 1 + i] * w4
        v += x[a1 + 2 + i] * w5
        v += x[a2 + i] * w6
        v += x[a2 + 1 + i] * w7
        v += x[a2 + 2 + i] * w8
        if relu:
            r = 0.0
            if v > 0.0:
                r = v
            v = r
        o[b + i] = v


def run_3x3_by_2(
    x: vec[float],
    a0: i64,
    pitch: i64,
    w: vec[float],
    first: i64,
    bias: float,
    relu: bool,
    o: vec[float],
    b: i64,
    n: i64,
) -> None:
    """N sums of 3 by 3 windows of stride 2 in one row."""
    if len(x) < 2 * PLANES + PLANE_SLACK or len(o) < 2 * PLANES + PLANE_SLACK or len(w) < TAPS:
        raise ValueError("buffer too small")
    if first < 0 or first > TAPS - 9 or n < 0 or n > PLANE_SLACK // 2 - 2 or b < 0 or b > PLANES:
        raise ValueError("planes out of range")
    a1 = a0 + pitch
    a2 = a1 + pitch
    if a0 < 0 or a0 > PLANES or a1 < 0 or a1 > PLANES or a2 < 0 or a2 > PLANES:
        raise ValueError("planes out of range")
    w0 = w[first]
    w1 = w[first + 1]
    w2 = w[first + 2]
    w3 = w[first + 3]
    w4 = w[first + 4]
    w5 = w[first + 5]
    w6 = w[first + 6]
    w7 = w[first + 7]
    w8 = w[first + 8]
    i: i64 = 0
    for i in range(n):
        v = bias + x[a0 + 2 * i] * w0
        v += x[a0 + 1 + 2 * i] * w1
        v += x[a0 + 2 + 2 * i] * w2
        v += x[a1 + 2 * i] * w3
        v += x[a1 + 1 + 2 * i] * w4
        v += x[a1 + 2 + 2 * i] * w5
        v += x[a2 + 2 * i] * w6
        v += x[a2 + 1 + 2 * i] * w7
        v += x[a2 + 2 + 2 * i] * w8
        if relu:
            r = 0.0
            if v > 0.0:
                r = v
            v = r
        o[b + i] = v


def begin(o: vec[float], b: i64, n: i64, bias: float) -> None:
    """Let n sums begin with a bias."""
    if len(o) < 2 * PLANES + PLANE_SLACK or n < 0 or n > PLANES or b < 0 or b > PLANES or b + n > PLANES:
        raise ValueError("planes out of range")
    i: i64 = 0
    for i in range(n):
        o[b + i] = bias


def add_row_of_5(x: vec[float], a: i64, w: vec[float], first: i64, o: vec[float], b: i64, n: i64) -> None:
    """Add to n sums the products with five weights of one row, one after the other."""
    if len(x) < 2 * PLANES + PLANE_SLACK or len(o) < 2 * PLANES + PLANE_SLACK or len(w) < TAPS:
        raise ValueError("buffer too small")
    if a < 0 or a > PLANES or b < 0 or b > PLANES or n < 0 or n > PLANES or first < 0 or first > TAPS - 5:
        raise ValueError("planes out of range")
    w0 = w[first]
    w1 = w[first + 1]
    w2 = w[first + 2]
    w3 = w[first + 3]
    w4 = w[first + 4]
    i: i64 = 0
    for i in range(n):
        v = o[b + i] + x[a + i] * w0
        v += x[a + 1 + i] * w1
        v += x[a + 2 + i] * w2
        v += x[a + 3 + i] * w3
        o[b + i] = v + x[a + 4 + i] * w4


def add_tap(x: vec[float], a: i64, weight: float, o: vec[float], b: i64, n: i64) -> None:
    """Add to n sums the products with one weight."""
    if len(x) < 2 * PLANES + PLANE_SLACK or len(o) < 2 * PLANES + PLANE_SLACK or n < 0 or n > PLANES:
        raise ValueError("planes out of range")
    if a < 0 or a > PLANES or a + n > PLANES or b < 0 or b > PLANES or b + n > PLANES:
        raise ValueError("planes out of range")
    i: i64 = 0
    for i in range(n):
        o[b + i] += x[a + i] * weight


def add_tap_by(x: vec[float], a: i64, step: i64, weight: float, o: vec[float], b: i64, n: i64) -> None:
    """The same with x taken `step` apart."""
    if len(x) < 2 * PLANES + PLANE_SLACK or len(o) < 2 * PLANES + PLANE_SLACK or n < 0 or n > PLANE_SLACK:
        raise ValueError("planes out of range")
    if a < 0 or a > PLANES or b < 0 or b > PLANES or step < 1 or step > 64 or a + n * step > PLANES:
        raise ValueError("planes out of range")
    i: i64 = 0
    for i in range(n):
        o[b + i] += x[a + i * step] * weight


def rectify(o: vec[float], b: i64, n: i64) -> None:
    """ReLU of n numbers; NaN becomes 0."""
    if len(o) < 2 * PLANES + PLANE_SLACK or n < 0 or n > PLANES or b < 0 or b > PLANES:
        raise ValueError("planes out of range")
    i: i64 = 0
    for i in range(n):
        v = o[b + i]
        r = 0.0
        if v > 0.0:
            r = v
        o[b + i] = r


def blank(o: vec[float], b: i64, pitch: i64, n: i64, rows: i64) -> None:
    """Zeros after the first n numbers of rows that are `pitch` apart."""
    if len(o) < 2 * PLANES + PLANE_SLACK or n < 0 or rows < 0 or b < 0 or b + rows * pitch > PLANES:
        raise ValueError("planes out of range")
    y: i64 = 0
    i: i64 = 0
    for y in range(rows):
        for i in range(n, pitch):
            o[b + y * pitch + i] = 0.0


def max_2x2_by_2(x: vec[float], a0: i64, pitch: i64, o: vec[float], b: i64, n: i64) -> None:
    """N maxima of 2 by 2 windows of stride 2 in one row: of equal ones the first, as in the spec."""
    if len(x) < 2 * PLANES + PLANE_SLACK or len(o) < 2 * PLANES + PLANE_SLACK:
        raise ValueError("buffer too small")
    if n < 0 or n > PLANE_SLACK // 2 - 2 or b < 0 or b > PLANES:
        raise ValueError("planes out of range")
    a1 = a0 + pitch
    if a0 < 0 or a0 > PLANES or a1 < 0 or a1 > PLANES:
        raise ValueError("planes out of range")
    i: i64 = 0
    for i in range(n):
        m = x[a0 + 2 * i]
        v = x[a0 + 1 + 2 * i]
        if v > m:
            m = v
        r = x[a1 + 2 * i]
        v = x[a1 + 1 + 2 * i]
        if v > r:
            r = v
        if r > m:
            m = r
        o[b + i] = m


def max_3x3_by_2(x: vec[float], a0: i64, pitch: i64, o: vec[float], b: i64, n: i64) -> None:
    """N maxima of 3 by 3 windows of stride 2 in one row: of equal ones the first, as in the spec."""
    if len(x) < 2 * PLANES + PLANE_SLACK or len(o) < 2 * PLANES + PLANE_SLACK:
        raise ValueError("buffer too small")
    if n < 0 or n > PLANE_SLACK // 2 - 2 or b < 0 or b > PLANES:
        raise ValueError("planes out of range")
    a1 = a0 + pitch
    a2 = a1 + pitch
    if a0 < 0 or a0 > PLANES or a1 < 0 or a1 > PLANES or a2 < 0 or a2 > PLANES:
        raise ValueError("planes out of range")
    i: i64 = 0
    for i in range(n):
        m = x[a0 + 2 * i]
        v = x[a0 + 1 + 2 * i]
        if v > m:
            m = v
        v = x[a0 + 2 + 2 * i]
        if v > m:
            m = v
        r = x[a1 + 2 * i]
        v = x[a1 + 1 + 2 * i]
        if v > r:
            r = v
        v = x[a1 + 2 + 2 * i]
        if v > r:
            r = v
        if r > m:
            m = r
        r = x[a2 + 2 * i]
        v = x[a2 + 1 + 2 * i]
        if v > r:
            r = v
        v = x[a2 + 2 + 2 * i]
        if v > r:
            r = v
        if r > m:
            m = r
        o[b + i] = m


def max_pool(
    x: vec[float], plane: i64, pitch: i64, kernel: i64, channels: i64, o: vec[float], out_h: i64, out_w: i64
) -> None:
    """Max pooling of `channels` planes with stride 2 and a kernel of 2 by 2 or 3 by 3."""
    c: i64 = 0
    y: i64 = 0
    for c in range(channels):
        for y in range(out_h):
            a = c * plane + 2 * y * pitch
            b = (c * out_h + y) * out_w
            if kernel == 3:
                max_3x3_by_2(x, a, pitch, o, b, out_w)
            else:
                max_2x2_by_2(x, a, pitch, o, b, out_w)


def depthwise(
    x: vec[float],
    plane: i64,
    pitch: i64,
    w: vec[float],
    first: i64,
    kernel_h: i64,
    kernel_w: i64,
    dilation_h: i64,
    dilation_w: i64,
    stride_h: i64,
    stride_w: i64,
    bias: vec[float],
    channel: i64,
    channels: i64,
    relu: bool,
    o: vec[float],
    out_h: i64,
    out_w: i64,
    out_pitch: i64,
) -> None:
    """Sums of `channels` planes, which begin `plane` apart in x: out_h rows, `out_pitch` apart, with zeros after them.

    `channel` is the first one's place in `bias`; its weights begin at w[first].
    """
    if len(bias) < TAPS or channel < 0 or channels < 0 or channel + channels > TAPS or len(w) < TAPS:
        raise ValueError("buffer too small")
    taps = kernel_h * kernel_w
    if first < 0 or taps < 0 or first + channels * taps > TAPS or out_pitch < out_w:
        raise ValueError("weights out of range")
    c: i64 = 0
    y: i64 = 0
    ky: i64 = 0
    kx: i64 = 0
    out_plane = out_h * out_pitch
    plain = kernel_h == 3 and kernel_w == 3 and dilation_h == 1 and dilation_w == 1
    dense = stride_h == 1 and stride_w == 1
    for c in range(channels):
        start = bias[channel + c]
        at = first + c * taps
        a = c * plane
        b = c * out_plane
        if plain and dense and (out_w >= WIDE_ROW or out_pitch != pitch):
            for y in range(0, out_h - 1, 2):
                rows_3x3(x, a + y * pitch, pitch, w, at, start, relu, o, b + y * out_pitch, out_pitch, out_w)
            if out_h % 2 == 1:
                y = out_h - 1
                run_3x3(x, a + y * pitch, pitch, w, at, start, relu, o, b + y * out_pitch, out_w)
        elif plain and dense:
            run_3x3(x, a, pitch, w, at, start, relu, o, b, (out_h - 1) * pitch + out_w)
        elif plain and stride_w == 1:
            for y in range(out_h):
                run_3x3(x, a + y * stride_h * pitch, pitch, w, at, start, relu, o, b + y * out_pitch, out_w)
        elif plain and stride_w == 2:
            for y in range(out_h):
                run_3x3_by_2(x, a + y * stride_h * pitch, pitch, w, at, start, relu, o, b + y * out_pitch, out_w)
        else:
            begin(o, b, out_plane, start)
            run = (out_h - 1) * pitch + out_w if dense and out_pitch == pitch else out_w
            rows = 1 if dense and out_pitch == pitch else out_h
            for ky in range(kernel_h):
                row = a + ky * dilation_h * pitch
                if kernel_w == 5 and dilation_w == 1 and stride_w == 1:
                    for y in range(rows):
                        add_row_of_5(x, row + y * stride_h * pitch, w, at, o, b + y * out_pitch, run)
                    at += 5
                    continue
                for kx in range(kernel_w):
                    tap = row + kx * dilation_w
                    for y in range(rows):
                        if stride_w == 1:
                            add_tap(x, tap + y * stride_h * pitch, w[at], o, b + y * out_pitch, run)
                        else:
                            add_tap_by(x, tap + y * stride_h * pitch, stride_w, w[at], o, b + y * out_pitch, run)
                    at += 1
            if relu:
                rectify(o, b, out_plane)
        blank(o, b, out_pitch, out_w, out_h)
