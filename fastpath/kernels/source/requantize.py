"""From int32 accumulators to int8 codes, in integers only.

The float chain of a layer (descale, bias, activation, requantize) grows with the accumulator, so per channel it is a
staircase of at most 254 steps. `fastpath.planner` solves for the integers that reproduce it exactly.
"""

from librt.vecs import vec
from mypy_extensions import i32, i64, u8


def linear(
    acc: vec[i32], start: i64, rows: i64, n: i64, m: vec[i64], c: vec[i64], shift: i64,
    low: i64, out: vec[u8], out_start: i64, out_stride: i64,
) -> None:  # fmt: skip
    """`rows` rows of n accumulators: out = clamp((acc * m + c) >> shift) + 128 - low."""
    if len(acc) < 1048576 or len(out) < 1048576 or len(m) < 4096 or len(c) < 4096:
        raise ValueError
    if n < 0 or n > 4096 or shift < 0 or shift > 62:
        raise ValueError
    j: i64 = 0
    a = start
    b = out_start
    for _ in range(rows):
        if a < 0 or a > 1044480 or b < 0 or b > 1044480:
            raise ValueError
        for j in range(n):
            u = i32((i64(acc[a + j]) * m[j] + c[j]) >> shift)
            if u > 127:
                u = 127
            if u < 0:
                u = 0
            out[b + j] = u8(u)
        a += n
        b += out_stride
