"""Moving bytes: patches into panels, values into borders, channels between orders."""

from librt.vecs import vec
from mypy_extensions import i64, u8

from fastpath.kernels.source import spread
from fastpath.kernels.source.capacity import CHANNELS, FEATURES, PATCH
from fastpath.kernels.source.records import Feature, Window


def copy(source: vec[u8], a: i64, target: vec[u8], b: i64, n: i64) -> None:
    """Copy n bytes, rounded up to whole vectors of 32."""
    if len(source) < FEATURES + CHANNELS or len(target) < FEATURES + CHANNELS or n < 0 or n > CHANNELS - 32:
        raise ValueError("buffer too small")
    if a < 0 or a > FEATURES or b < 0 or b > FEATURES:
        raise ValueError("copy out of range")
    j: i64 = 0
    for j in range(((n + 31) >> 5) << 5):
        target[b + j] = source[a + j]


def fill(target: vec[u8], b: i64, n: i64, value: u8) -> None:
    """Set n bytes."""
    if len(target) < FEATURES or n < 0 or n > FEATURES or b < 0 or b > FEATURES or b + n > FEATURES:
        raise ValueError("fill out of range")
    j: i64 = 0
    for j in range(n):
        target[b + j] = value


def frame(feature: Feature, h: i64, w: i64, above: i64, below: i64, left: i64, right: i64, value: u8) -> None:
    """Set the border pixels around an h by w feature map."""
    data = feature.data
    y: i64 = 0
    width = (left + w + right) * feature.pixel
    for y in range(above):
        fill(data, feature.start - (y + 1) * feature.row - left * feature.pixel, width, value)
    for y in range(below):
        fill(data, feature.start + (h + y) * feature.row - left * feature.pixel, width, value)
    if left > 0:
        for y in range(h):
            fill(data, feature.start + y * feature.row - left * feature.pixel, left * feature.pixel, value)
    if right > 0:
        for y in range(h):
            fill(data, feature.start + y * feature.row + w * feature.pixel, right * feature.pixel, value)


def panel(bottom: Feature, window: Window, channels: i64, y: i64, target: vec[u8], at: i64) -> None:
    """Copy what the windows of output row y see so that every patch is contiguous: [column][kernel row][channel].

    The columns come in the order of their remainder by the dilation, so neighbouring taps are neighbours here. The
    patch of output column x begins at `at + column_slot(...) * kernel_h * channels`.
    """
    source = bottom.data
    if len(source) < FEATURES + CHANNELS or len(target) < FEATURES + CHANNELS:
        raise ValueError("buffer too small")
    if channels < 0 or channels > CHANNELS - 32:
        raise ValueError("layer too large")
    columns = panel_columns(window)
    rows = window.kernel_h
    dilation = window.dilation_w
    row_step = bottom.row * window.dilation_h
    first = bottom.start + y * window.stride_h * bottom.row
    vectors = (channels + 31) >> 5
    pixel = bottom.pixel
    b = at
    j: i64 = 0
    phase: i64 = 0
    _r: i64 = 0
    for phase in range(dilation):
        x = phase
        while x < columns:
            a = first + x * pixel
            for _r in range(rows):
                if a < 0 or a > FEATURES or b < 0 or b > FEATURES:
                    raise ValueError("panel out of range")
                if vectors == 1:
                    for j in range(i64(32)):
                        target[b + j] = source[a + j]
                elif vectors == 2:
                    for j in range(i64(64)):
                        target[b + j] = source[a + j]
                else:
                    for j in range(vectors << 5):
                        target[b + j] = source[a + j]
                a += row_step
                b += channels
            x += dilation


def runs(bottom: Feature, window: Window, n: i64, step: i64, y: i64, target: vec[u8], at: i64) -> None:
    """Copy what the windows of output row y see, patch after patch, `step` bytes apart: [kernel row][column, channel].

    The n bytes of each kernel row lie together in the feature map. Whole vectors are copied; what comes after them is
    written later, or nobody reads it.
    """
    source = bottom.data
    if len(source) < FEATURES + CHANNELS or len(target) < FEATURES + CHANNELS or n < 0 or n > 32:
        raise ValueError("buffer too small")
    a0 = bottom.start + y * window.stride_h * bottom.row
    row = bottom.row * window.dilation_h
    b0 = at
    j: i64 = 0
    _x: i64 = 0
    _r: i64 = 0
    for _x in range(window.out_w):
        a = a0
        b = b0
        for _r in range(window.kernel_h):
            if a < 0 or a > FEATURES or b < 0 or b > FEATURES:
                raise ValueError("panel out of range")
            for j in range(i64(32)):
                target[b + j] = source[a + j]
            a += row
            b += n
        a0 += window.stride_w * bottom.pixel
        b0 += step


def panel_columns(window: Window) -> i64:
    """How many columns of the feature map the windows of one row see, rounded up to a multiple of the dilation."""
    columns = (window.out_w - 1) * window.stride_w + window.dilation_w * (window.kernel_w - 1) + 1
    return (columns + window.dilation_w - 1) // window.dilation_w * window.dilation_w


def column_slot(window: Window, x: i64) -> i64:
    """Where column x lies among the columns of a panel."""
    if window.dilation_w == 1:
        return x
    return x % window.dilation_w * (panel_columns(window) // window.dilation_w) + x // window.dilation_w


def interleave(planes: vec[u8], start: i64, channels: i64, h: i64, w: i64, zero: u8, top: Feature) -> None:
    """Write planes (channels, h, w) of two's complement codes as pixels of a feature map, plus its zero point."""
    plane = h * w
    y: i64 = 0
    c: i64 = 0
    for y in range(h):
        a = start + y * w
        b = top.start + y * top.row
        if channels == 3 and top.pixel == 3:
            interleave_3(planes, a, plane, w, zero, top.data, b)
            continue
        c = 0
        while c + 8 <= channels:
            spread.spread_8(planes, a + c * plane, plane, w, zero, top.data, b + c, top.pixel)
            c += 8
        while c < channels:
            spread.spread_1(planes, a + c * plane, plane, w, zero, top.data, b + c, top.pixel)
            c += 1


def interleave_3(planes: vec[u8], a0: i64, plane: i64, n: i64, zero: u8, target: vec[u8], b: i64) -> None:
    """N pixels of three planes."""
    if len(planes) < FEATURES or len(target) < FEATURES or plane < 0 or plane > FEATURES:
        raise ValueError("buffer too small")
    a1 = a0 + plane
    a2 = a1 + plane
    if n < 0 or n > PATCH or a0 < 0 or a0 > FEATURES - PATCH or a1 < 0 or a1 > FEATURES - PATCH:
        raise ValueError("plane out of range")
    if a2 < 0 or a2 > FEATURES - PATCH or b < 0 or b > FEATURES - 3 * PATCH:
        raise ValueError("plane out of range")
    x: i64 = 0
    for x in range(n):
        target[b + 3 * x] = planes[a0 + x] ^ zero
        target[b + 3 * x + 1] = planes[a1 + x] ^ zero
        target[b + 3 * x + 2] = planes[a2 + x] ^ zero


def deliver(source: Feature, h: i64, w: i64, zoom: i64, n: i64, target: Feature) -> None:
    """Copy n channels of an h by w feature map into another, every pixel `zoom` times in both directions.

    Copies whole vectors of 32, so up to 31 bytes behind the n in every pixel change too.
    """
    data = source.data
    out = target.data
    if len(data) < FEATURES or len(out) < FEATURES:
        raise ValueError("buffer too small")
    vectors = (n + 31) >> 5
    pixel = target.pixel
    _x: i64 = 0
    y: i64 = 0
    _z: i64 = 0
    j: i64 = 0
    for y in range(h * zoom):
        a = source.start + y // zoom * source.row
        b = target.start + y * target.row
        for _x in range(w):
            for _z in range(zoom):
                if a < 0 or a > FEATURES - CHANNELS or b < 0 or b > FEATURES - CHANNELS or vectors > 127:
                    raise ValueError("pixel out of range")
                if vectors == 1:
                    for j in range(i64(32)):
                        out[b + j] = data[a + j]
                else:
                    for j in range(vectors << 5):
                        out[b + j] = data[a + j]
                b += pixel
            a += source.pixel


def deliver_each(source: Feature, h: i64, w: i64, zoom: i64, first: i64, places: vec[i64], target: Feature) -> None:
    """The same one channel after the other: channel `first + i` goes to channel places[i], and nothing else changes."""
    data = source.data
    out = target.data
    _x: i64 = 0
    y: i64 = 0
    _z: i64 = 0
    i: i64 = 0
    n: i64 = len(places)
    for y in range(h * zoom):
        a = source.start + y // zoom * source.row + first
        b = target.start + y * target.row
        for _x in range(w):
            for _z in range(zoom):
                for i in range(n):
                    out[b + places[i]] = data[a + i]
                b += target.pixel
            a += source.pixel
