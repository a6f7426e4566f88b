"""From int32 sums to bytes of a feature map, in integers only.

The float chain of a layer (descale, bias, activation, requantize) never falls as the sum grows, so per channel it is a
staircase of at most 254 steps. `fastpath.kernels.staircase` finds the integers that reproduce it exactly.
"""

from librt.vecs import vec
from mypy_extensions import i16, i32, i64, u8

from fastpath.kernels.source.capacity import ACCUMULATORS, CHANNELS, FEATURES, LAST_PIXEL, LAST_SUMS, STEPS
from fastpath.kernels.source.records import Feature, Scratch, Staircase


def linear(
    acc: vec[i32],
    start: i64,
    step: i64,
    count: i64,
    channels: i64,
    m: vec[i64],
    c: vec[i64],
    shift: i64,
    low: i32,
    high: i32,
    out: vec[u8],
    out_start: i64,
    out_step: i64,
) -> None:
    """The bytes of `count` rows of sums, where the linear form alone is exact."""
    if len(acc) < ACCUMULATORS or len(out) < FEATURES or len(m) < CHANNELS or len(c) < CHANNELS:
        raise ValueError("buffer too small")
    if channels < 0 or channels > CHANNELS or shift < 0 or shift > 62:
        raise ValueError("layer too large")
    j: i64 = 0
    _p: i64 = 0
    a = start
    b = out_start
    for _p in range(count):
        if a < 0 or a > LAST_SUMS or b < 0 or b > LAST_PIXEL:
            raise ValueError("row out of range")
        for j in range(channels):
            u = i32((i64(acc[a + j]) * m[j] + c[j]) >> shift)
            if u > high:
                u = high
            if u < low:
                u = low
            out[b + j] = u8(u)
        a += step
        b += out_step


def halves(
    acc: vec[i32],
    start: i64,
    step: i64,
    count: i64,
    channels: i64,
    parts: vec[i32],
    first: i64,
    pitch: i64,
    fine_shift: i32,
    coarse_shift: i32,
    out: vec[u8],
    out_start: i64,
    out_step: i64,
) -> None:
    """The same in 32 bits: `parts` holds five rows, `pitch` apart: floor, width, fine, coarse, offset."""
    if len(acc) < ACCUMULATORS or len(out) < FEATURES or len(parts) < 6 * CHANNELS:
        raise ValueError("buffer too small")
    if channels < 0 or channels > CHANNELS or first < 0 or first > CHANNELS or pitch < 0 or pitch > CHANNELS:
        raise ValueError("layer too large")
    if fine_shift < 0 or fine_shift > 31 or coarse_shift < 0 or coarse_shift > 31:
        raise ValueError("layer too large")
    widths = first + pitch
    fines = widths + pitch
    coarses = fines + pitch
    offsets = coarses + pitch
    j: i64 = 0
    _p: i64 = 0
    a = start
    b = out_start
    for _p in range(count):
        if a < 0 or a > LAST_SUMS or b < 0 or b > LAST_PIXEL:
            raise ValueError("row out of range")
        for j in range(channels):
            way = acc[a + j] - parts[first + j]
            width = parts[widths + j]
            if way < 0:
                way = 0
            if way > width:
                way = width
            fine = (way * parts[fines + j]) >> fine_shift
            out[b + j] = u8((fine + way * parts[coarses + j] + parts[offsets + j]) >> coarse_shift)
        a += step
        b += out_step


def bent(
    acc: vec[i32],
    start: i64,
    step: i64,
    count: i64,
    channels: i64,
    m: vec[i64],
    c: vec[i64],
    bend: vec[i64],
    lower_m: vec[i64],
    lower_c: vec[i64],
    shift: i64,
    low: i32,
    high: i32,
    out: vec[u8],
    out_start: i64,
    out_step: i64,
) -> None:
    """The same where the line has a bend."""
    if len(acc) < ACCUMULATORS or len(out) < FEATURES or len(m) < CHANNELS or len(c) < CHANNELS:
        raise ValueError("buffer too small")
    if len(bend) < CHANNELS or len(lower_m) < CHANNELS or len(lower_c) < CHANNELS:
        raise ValueError("buffer too small")
    if channels < 0 or channels > CHANNELS or shift < 0 or shift > 62:
        raise ValueError("layer too large")
    j: i64 = 0
    _p: i64 = 0
    a = start
    b = out_start
    for _p in range(count):
        if a < 0 or a > LAST_SUMS or b < 0 or b > LAST_PIXEL:
            raise ValueError("row out of range")
        for j in range(channels):
            total = i64(acc[a + j])
            slope = m[j]
            offset = c[j]
            lower_slope = lower_m[j]
            lower_offset = lower_c[j]
            if total < bend[j]:
                slope = lower_slope
                offset = lower_offset
            u = i32((total * slope + offset) >> shift)
            if u > high:
                u = high
            if u < low:
                u = low
            out[b + j] = u8(u)
        a += step
        b += out_step


def stepped(
    acc: vec[i32],
    start: i64,
    step: i64,
    count: i64,
    channels: i64,
    m: vec[i64],
    c: vec[i64],
    shift: i64,
    low: i32,
    high: i32,
    steps: vec[i32],
    first: i64,
    codes: vec[i16],
    out: vec[u8],
    out_start: i64,
    out_step: i64,
) -> None:
    """The bytes of `count` rows of sums, where a table decides between two neighbours.

    They go through `codes`: a byte store might change any table for all the C compiler knows, and it would not gather.
    """
    if len(acc) < ACCUMULATORS or len(out) < FEATURES or len(m) < CHANNELS or len(c) < CHANNELS:
        raise ValueError("buffer too small")
    if len(steps) < STEPS + CHANNELS * 256 or len(codes) < CHANNELS or channels < 0 or channels > CHANNELS:
        raise ValueError("buffer too small")
    if shift < 0 or shift > 62 or first < 0 or first > STEPS:
        raise ValueError("layer too large")
    last = high - 1
    j: i64 = 0
    _p: i64 = 0
    a = start
    b = out_start
    for _p in range(count):
        if a < 0 or a > LAST_SUMS or b < 0 or b > LAST_PIXEL:
            raise ValueError("row out of range")
        for j in range(channels):
            total = acc[a + j]
            u = i32((i64(total) * m[j] + c[j]) >> shift)
            if u > last:
                u = last
            if u < low:
                u = low
            v = u & 255
            if total >= steps[first + j * 256 + i64(u & 255)]:
                v += 1
            codes[j] = i16(v)
        for j in range(channels):
            out[b + j] = u8(codes[j])
        a += step
        b += out_step


def bent_stepped(
    acc: vec[i32],
    start: i64,
    step: i64,
    count: i64,
    channels: i64,
    m: vec[i64],
    c: vec[i64],
    bend: vec[i64],
    lower_m: vec[i64],
    lower_c: vec[i64],
    turn: vec[i64],
    shift: i64,
    low: i32,
    high: i32,
    steps: vec[i32],
    first: i64,
    codes: vec[i16],
    out: vec[u8],
    out_start: i64,
    out_step: i64,
) -> None:
    """The same where the line has a bend."""
    if len(acc) < ACCUMULATORS or len(out) < FEATURES or len(m) < CHANNELS or len(c) < CHANNELS:
        raise ValueError("buffer too small")
    if len(steps) < STEPS + CHANNELS * 256 or len(codes) < CHANNELS or channels < 0 or channels > CHANNELS:
        raise ValueError("buffer too small")
    if shift < 0 or shift > 62 or first < 0 or first > STEPS:
        raise ValueError("layer too large")
    last = high - 1
    j: i64 = 0
    _p: i64 = 0
    a = start
    b = out_start
    for _p in range(count):
        if a < 0 or a > LAST_SUMS or b < 0 or b > LAST_PIXEL:
            raise ValueError("row out of range")
        for j in range(channels):
            wide = i64(acc[a + j])
            slope = m[j]
            offset = c[j]
            lower_slope = lower_m[j]
            lower_offset = lower_c[j]
            turned = wide * turn[j]
            value = wide
            side: i64 = 0
            if wide < bend[j]:
                slope = lower_slope
                offset = lower_offset
                value = turned
                side = 256
            u = i32((wide * slope + offset) >> shift)
            if u > last:
                u = last
            if u < low:
                u = low
            v = u & 255
            if value >= i64(steps[first + j * 512 + side + i64(u & 255)]):
                v += 1
            codes[j] = i16(v)
        for j in range(channels):
            out[b + j] = u8(codes[j])
        a += step
        b += out_step


def mend(scratch: Scratch, start: i64, step: i64, count: i64, stairs: Staircase, top: Feature, at: i64) -> None:
    """Write the bytes of the odd channels of `count` pixels again, by their steps."""
    acc = scratch.acc
    out = top.data
    last = stairs.high - 1
    i: i64 = 0
    p: i64 = 0
    channel: i64 = 0
    entries: i64 = 512 if stairs.bent else 256
    for i in range(len(stairs.odd)):
        channel = stairs.odd[i]
        for p in range(count):
            total = i64(acc[start + p * step + channel])
            value = total
            slope = stairs.m[channel]
            offset = stairs.c[channel]
            first = stairs.first + i * entries
            if stairs.bent and total < stairs.bend[channel]:
                value = total * stairs.turn[channel]
                slope = stairs.lower_m[channel]
                offset = stairs.lower_c[channel]
                first += 256
            u = i32((total * slope + offset) >> stairs.shift)
            if u > last:
                u = last
            if u < stairs.low:
                u = stairs.low
            if value >= i64(stairs.steps[first + i64(u)]):
                u += 1
            out[at + p * top.pixel + channel] = u8(u)


def pixels(
    scratch: Scratch,
    start: i64,
    step: i64,
    count: i64,
    channels: i64,
    stairs: Staircase,
    top: Feature,
    at: i64,
    out: i64,
) -> None:
    """Write `count` runs of `channels` bytes, `out` apart from place `at` on."""
    n = stairs.channels * stairs.repeat
    if stairs.stepped and stairs.bent:
        bent_stepped(
            scratch.acc, start, step, count, channels, stairs.m, stairs.c, stairs.bend, stairs.lower_m, stairs.lower_c,
            stairs.turn, stairs.shift, stairs.low, stairs.high, stairs.steps, stairs.first, scratch.codes, top.data, at,
            out,
        )  # fmt: skip
    elif stairs.bent:
        bent(
            scratch.acc, start, step, count, channels, stairs.m, stairs.c, stairs.bend, stairs.lower_m, stairs.lower_c,
            stairs.shift, stairs.low, stairs.high, top.data, at, out,
        )  # fmt: skip
    elif stairs.stepped:
        stepped(
            scratch.acc, start, step, count, channels, stairs.m, stairs.c, stairs.shift, stairs.low, stairs.high,
            stairs.steps, stairs.first, scratch.codes, top.data, at, out,
        )  # fmt: skip
    elif stairs.halved:
        halves(
            scratch.acc, start, step, count, channels, stairs.parts, stairs.parts_start, n, stairs.fine_shift,
            stairs.coarse_shift, top.data, at, out,
        )  # fmt: skip
    else:
        linear(
            scratch.acc, start, step, count, channels, stairs.m, stairs.c, stairs.shift, stairs.low, stairs.high,
            top.data, at, out,
        )  # fmt: skip


def row(scratch: Scratch, start: i64, step: i64, count: i64, stairs: Staircase, top: Feature, y: i64) -> None:
    """Write output row y of `top` from `count` rows of sums, which begin at `start` and lie `step` apart."""
    at = top.start + y * top.row
    n = stairs.channels
    repeat = stairs.repeat
    if step != n or top.pixel != n or repeat == 1:
        pixels(scratch, start, step, count, n, stairs, top, at, top.pixel)
    else:
        runs = count // repeat
        run = n * repeat
        pixels(scratch, start, run, runs, run, stairs, top, at, run)
        done = runs * run
        rest = (count - runs * repeat) * n
        if rest > 0:
            pixels(scratch, start + done, run, 1, rest, stairs, top, at + done, run)
    if not stairs.stepped:
        mend(scratch, start, step, count, stairs, top, at)
