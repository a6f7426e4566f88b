"""Binary32 numbers as 32-bit integers: moved, and compared where none is negative, but never computed with.

Numbers that are not negative, and no NaN, have the order of their bits. Planes of feature maps stand in one array of
at least `CELLS` integers; in it the rows of a plane are `pitch` apart.
"""

from typing import Final

from librt.vecs import vec
from mypy_extensions import i32, i64

CELLS: Final = 8388608
"""Numbers of an array, at least."""

CELL_ROW: Final = 4096
"""Numbers of a row, at most, with the steps between them."""

LAST_ROW: Final = CELLS - CELL_ROW
"""Where the last row may begin."""


def copy_row(x: vec[i32], a: i64, b: i64, n: i64) -> None:
    """Copy n numbers that follow each other."""
    if len(x) < CELLS or n < 0 or n > CELL_ROW or a < 0 or a > LAST_ROW or b < 0 or b > LAST_ROW:
        raise ValueError("row out of range")
    i: i64 = 0
    for i in range(n):
        x[b + i] = x[a + i]


def copy_every_second(x: vec[i32], a: i64, b: i64, n: i64) -> None:
    """Copy n numbers, leaving out one after each."""
    if len(x) < CELLS or n < 0 or n > CELL_ROW // 2 or a < 0 or a > LAST_ROW or b < 0 or b > LAST_ROW:
        raise ValueError("row out of range")
    i: i64 = 0
    for i in range(n):
        x[b + i] = x[a + 2 * i]


def copy_apart(x: vec[i32], a: i64, step: i64, b: i64, n: i64) -> None:
    """Copy n numbers that stand `step` apart."""
    if len(x) < CELLS or n < 0 or n > CELL_ROW or step < 1 or step > CELL_ROW or n * step > CELL_ROW:
        raise ValueError("row out of range")
    if a < 0 or a > LAST_ROW or b < 0 or b > LAST_ROW:
        raise ValueError("row out of range")
    i: i64 = 0
    for i in range(n):
        x[b + i] = x[a + i * step]


def columns(
    x: vec[i32],
    start: i64,
    plane: i64,
    pitch: i64,
    channels: i64,
    kernel_h: i64,
    kernel_w: i64,
    dilation_h: i64,
    dilation_w: i64,
    stride_h: i64,
    stride_w: i64,
    target: i64,
    length: i64,
    rows: i64,
    out_pitch: i64,
    out_w: i64,
) -> None:
    """What every tap of a kernel sees of `rows` output rows: for each tap and channel a row of `length` numbers.

    The first tap of the first output pixel is at x[start]. Output rows stand `out_pitch` apart.
    """
    ky: i64 = 0
    kx: i64 = 0
    c: i64 = 0
    y: i64 = 0
    b = target
    down = stride_h * pitch
    for ky in range(kernel_h):
        for kx in range(kernel_w):
            for c in range(channels):
                a = start + c * plane + ky * dilation_h * pitch + kx * dilation_w
                for y in range(rows):
                    if stride_w == 1:
                        copy_row(x, a + y * down, b + y * out_pitch, out_w)
                    elif stride_w == 2:
                        copy_every_second(x, a + y * down, b + y * out_pitch, out_w)
                    else:
                        copy_apart(x, a + y * down, stride_w, b + y * out_pitch, out_w)
                b += length


def largest_3x3_by_2(x: vec[i32], a0: i64, pitch: i64, b: i64, n: i64) -> None:
    """N maxima of 3 by 3 windows of stride 2 in one row."""
    if len(x) < CELLS or n < 0 or n > CELL_ROW // 2 - 1 or b < 0 or b > LAST_ROW or a0 < 0:
        raise ValueError("row out of range")
    a1 = a0 + pitch
    a2 = a1 + pitch
    if a0 > LAST_ROW or a1 < 0 or a1 > LAST_ROW or a2 < 0 or a2 > LAST_ROW:
        raise ValueError("row out of range")
    i: i64 = 0
    for i in range(n):
        m = x[a0 + 2 * i]
        m = max(m, x[a0 + 1 + 2 * i])
        m = max(m, x[a0 + 2 + 2 * i])
        m = max(m, x[a1 + 2 * i])
        m = max(m, x[a1 + 1 + 2 * i])
        m = max(m, x[a1 + 2 + 2 * i])
        m = max(m, x[a2 + 2 * i])
        m = max(m, x[a2 + 1 + 2 * i])
        x[b + i] = max(m, x[a2 + 2 + 2 * i])


def largest_2x2_by_2(x: vec[i32], a0: i64, pitch: i64, b: i64, n: i64) -> None:
    """N maxima of 2 by 2 windows of stride 2 in one row."""
    if len(x) < CELLS or n < 0 or n > CELL_ROW // 2 - 1 or b < 0 or b > LAST_ROW or a0 < 0:
        raise ValueError("row out of range")
    a1 = a0 + pitch
    if a0 > LAST_ROW or a1 < 0 or a1 > LAST_ROW:
        raise ValueError("row out of range")
    i: i64 = 0
    for i in range(n):
        m = max(x[a0 + 2 * i], x[a0 + 1 + 2 * i])
        m = max(m, x[a1 + 2 * i])
        x[b + i] = max(m, x[a1 + 1 + 2 * i])


def largest(
    x: vec[i32],
    start: i64,
    plane: i64,
    pitch: i64,
    kernel: i64,
    channels: i64,
    target: i64,
    out_plane: i64,
    out_pitch: i64,
    out_h: i64,
    out_w: i64,
) -> None:
    """Max pooling with stride 2 and a kernel of 2 by 2 or 3 by 3, of numbers that are not negative.

    The first window begins at x[start], the maxima at x[target].
    """
    c: i64 = 0
    y: i64 = 0
    for c in range(channels):
        for y in range(out_h):
            a = start + c * plane + 2 * y * pitch
            b = target + c * out_plane + y * out_pitch
            if kernel == 3:
                largest_3x3_by_2(x, a, pitch, b, out_w)
            else:
                largest_2x2_by_2(x, a, pitch, b, out_w)
