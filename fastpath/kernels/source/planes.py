"""Depthwise convolution and max pooling of float planes, in binary64.

A plane is rows of `pitch` numbers with its padding in it. The caller rounds sums to binary32 once: products and sums
are exact to 53 bits, so the results lie closer to the true ones than sums in binary32 do. Maxima need no rounding.
"""

from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

PLANES: Final = 262144
"""Numbers of planes in one buffer; `PLANES + PLANE_SLACK` more are allocated, for runs that begin anywhere."""

PLANE_SLACK: Final = 8192

TAPS: Final = 65536
"""Numbers in a table of weights or biases."""


def run_3x3(
    x: vec[float], a0: i64, pitch: i64, w: vec[float], first: i64, bias: float, o: vec[float], b: i64, n: i64
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
        o[b + i] = v + x[a2 + 2 + i] * w8


def run_3x3_by_2(
    x: vec[float], a0: i64, pitch: i64, w: vec[float], first: i64, bias: float, o: vec[float], b: i64, n: i64
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
        o[b + i] = v + x[a2 + 2 + 2 * i] * w8


def begin(o: vec[float], b: i64, n: i64, bias: float) -> None:
    """Let n sums begin with a bias."""
    if len(o) < 2 * PLANES + PLANE_SLACK or n < 0 or n > PLANES or b < 0 or b > PLANES or b + n > PLANES:
        raise ValueError("planes out of range")
    i: i64 = 0
    for i in range(n):
        o[b + i] = bias


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


def rectify(o: vec[float], n: i64) -> None:
    """ReLU of n numbers; NaN becomes 0."""
    if len(o) < 2 * PLANES + PLANE_SLACK or n < 0 or n > PLANES:
        raise ValueError("planes out of range")
    i: i64 = 0
    for i in range(n):
        v = o[i]
        r = 0.0
        if v > 0.0:
            r = v
        o[i] = r


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
    o: vec[float],
    out_h: i64,
    relu: bool,
    out_w: i64,
) -> None:
    """Sums of `channels` planes, which begin `plane` apart in x: out_h rows, `pitch` apart if the stride is 1.

    For other strides the rows of `o` are `out_w` apart. `channel` is the first one's place in `bias`; its weights
    begin at w[first].
    """
    if len(bias) < TAPS or channel < 0 or channels < 0 or channel + channels > TAPS or len(w) < TAPS:
        raise ValueError("buffer too small")
    taps = kernel_h * kernel_w
    if first < 0 or taps < 0 or first + channels * taps > TAPS:
        raise ValueError("weights out of range")
    c: i64 = 0
    y: i64 = 0
    ky: i64 = 0
    kx: i64 = 0
    out_pitch = pitch if stride_w == 1 and stride_h == 1 else out_w
    out_plane = out_h * out_pitch
    run = (out_h - 1) * pitch + out_w
    plain = kernel_h == 3 and kernel_w == 3 and dilation_h == 1 and dilation_w == 1
    for c in range(channels):
        start = bias[channel + c]
        at = first + c * taps
        a = c * plane
        b = c * out_plane
        if stride_w == 1 and stride_h == 1 and plain:
            run_3x3(x, a, pitch, w, at, start, o, b, run)
        elif stride_w == 2 and plain:
            for y in range(out_h):
                run_3x3_by_2(x, a + y * stride_h * pitch, pitch, w, at, start, o, b + y * out_w, out_w)
        elif stride_w == 1 and stride_h == 1:
            begin(o, b, run, start)
            for ky in range(kernel_h):
                for kx in range(kernel_w):
                    add_tap(x, a + ky * dilation_h * pitch + kx * dilation_w, w[at], o, b, run)
                    at += 1
        else:
            begin(o, b, out_plane, start)
            for ky in range(kernel_h):
                for kx in range(kernel_w):
                    for y in range(out_h):
                        place = a + (y * stride_h + ky * dilation_h) * pitch + kx * dilation_w
                        add_tap_by(x, place, stride_w, w[at], o, b + y * out_w, out_w)
                    at += 1
    if relu:
        rectify(o, channels * out_plane)
