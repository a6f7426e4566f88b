"""Write the kernels that are unrolled by hand in C: source/{activations,dot,lanes,short,spread}.py.

`python -m fastpath.kernels.write_source` writes them; with `--check` it only says whether they are current.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from fastpath.kernels.write_activations import activations_module

SOURCE = Path(__file__).parent / "source"

DOT_HEAD = '''"""Dot products of patches with weight rows, in blocks of a few pixels by a few output channels.

Written by fastpath/kernels/write_source.py; change it there.

Patches are unsigned bytes: a code plus the zero point of its feature map. `bytes_*` take weights as unsigned bytes too,
128 plus the code: with both operands unsigned the C compiler finds the instruction that multiplies four pairs of bytes
and adds them to a 32-bit lane. `words_*` take weights as 16-bit codes, for CPUs without it.

All of them compute acc[start + pixel * pixel_step + channel] for `pixels` patches, which begin at x[points[0]],
x[points[1]] and so on, and `channels` rows of k weights, which begin at w[first]; `*_planes` compute
acc[start + pixel * pixel_step + channel * channel_step]. k is a multiple of 32, for bytes_4x4 of 64, so that vectors of
64 bytes leave no rest; pixels and channels are rounded up to whole blocks, so `points` and `acc` hold that many more.
"""

# fmt: off
# ruff: noqa
from librt.vecs import vec
from mypy_extensions import i16, i32, i64, u8

from fastpath.kernels.source.capacity import ACCUMULATORS, BLOCK, FEATURES, PATCH, POINTS
'''

LANES_HEAD = '''"""Products of short patches: lanes are output channels, and sums of a few products stay in 16 bits.

Written by fastpath/kernels/write_source.py; change it there.

Where a patch has 32 values or fewer, adding up the lanes of a dot product takes longer than the product. Here no lane
is ever added to another. Codes 0 to 127 less 64 are at most 64 in magnitude, so four products with weights from -127 to
127 fit 16 bits; what 64 times the weights makes is put back where the sums are requantized. Of signed codes two
products fit.
"""

# fmt: off
# ruff: noqa
from librt.vecs import vec
from mypy_extensions import i16, i32, i64, u8

from fastpath.kernels.source.capacity import ACCUMULATORS, BLOCK, CHANNELS, FEATURES, POINTS
'''


def any_of(conditions: Iterable[str]) -> str:
    """Conditions joined by `or`."""
    return " or ".join(conditions)


def outside(names: Iterable[str], limit: str) -> str:
    """The condition that one of several offsets is negative or above a limit."""
    return any_of(f"{name} < 0 or {name} > {limit}" for name in names)


def dot(item: str, pixels: int, channels: int, *, planes: bool = False) -> str:
    """The function for weights of type u8 or i16 and one size of block; with `planes` channels lie apart."""
    name = "bytes" if item == "u8" else "words"
    decode = "i32(w[{}]) - 128" if item == "u8" else "i32(w[{}])"
    rows, columns = range(pixels), range(channels)
    vector = LONG_VECTOR if (pixels, channels) == (4, 4) and not planes else VECTOR
    where = "channels `channel_step` apart" if planes else "channels side by side"
    lines = [
        f"def {name}_{pixels}x{channels}{'_planes' if planes else ''}(",
        "    x: vec[u8],",
        "    points: vec[i64],",
        "    pixels: i64,",
        f"    w: vec[{item}],",
        "    first: i64,",
        "    channels: i64,",
        "    k: i64,",
        "    acc: vec[i32],",
        "    start: i64,",
        "    pixel_step: i64,",
        *(["    channel_step: i64,"] if planes else []),
        ") -> None:",
        f'    """Blocks of {pixels} pixels by {channels} channels, {where}."""',
        "    if len(x) < FEATURES or len(points) < POINTS or len(w) < BLOCK + PATCH or len(acc) < ACCUMULATORS:",
        '        raise ValueError("buffer too small")',
        "    if k < 0 or k > PATCH or pixels > POINTS - 8 or pixel_step < 0 or pixel_step > ACCUMULATORS:",
        '        raise ValueError("layer too large")',
    ]
    if planes:
        lines += [
            "    if channel_step < 0 or channel_step > ACCUMULATORS:",
            '        raise ValueError("layer too large")',
        ]
    lines += [
        f"    vectors: i64 = k >> {vector.bit_length() - 1}",
        "    i: i64 = 0",
        "    channel: i64 = 0",
        "    b0 = first",
        "    while channel < channels:",
        *(f"        b{j} = b{j - 1} + k" for j in columns[1:]),
        f"        if {outside((f'b{j}' for j in columns), 'BLOCK')}:",
        '            raise ValueError("weights out of range")',
        f"        o0 = start + channel{' * channel_step' if planes else ''}",
        "        p: i64 = 0",
        "        while p < pixels:",
        *(f"            a{i} = points[p + {i}]" for i in rows),
        f"            if {outside((f'a{i}' for i in rows), 'FEATURES - PATCH')}:",
        '                raise ValueError("patch out of range")',
        *([] if planes else places(pixels, channels)),
        *(f"            s{i}{j}: i32 = 0" for i in rows for j in columns),
        f"            for i in range(vectors << {vector.bit_length() - 1}):",
        *(f"                x{i} = i32(x[a{i} + i])" for i in rows),
        *(f"                y{j} = {decode.format(f'b{j} + i')}" for j in columns),
        *(f"                s{i}{j} += x{i} * y{j}" for i in rows for j in columns),
        *(store_planes(pixels, channels) if planes else store_pixels(pixels, channels)),
        f"            p += {pixels}",
        f"        b0 = b{channels - 1} + k",
        f"        channel += {channels}",
    ]
    return "\n".join(lines) + "\n"


def places(pixels: int, channels: int) -> list[str]:
    """Where the sums of the pixels of a block go."""
    rows = range(pixels)
    return [
        *(f"            o{i} = o{i - 1} + pixel_step" for i in rows[1:]),
        f"            if {outside((f'o{i}' for i in rows), f'ACCUMULATORS - {channels}')}:",
        '                raise ValueError("sums out of range")',
    ]


def store_pixels(pixels: int, channels: int) -> list[str]:
    """Write the sums of a block, those of a pixel next to each other."""
    rows = range(pixels)
    return [
        *(f"            acc[o{i}{f' + {j}' if j else ''}] = s{i}{j}" for i in rows for j in range(channels)),
        f"            o0 = o{pixels - 1} + pixel_step",
    ]


def store_planes(pixels: int, channels: int) -> list[str]:
    """Write the sums of a block, those of a channel `pixel_step` apart and channels `channel_step` apart."""
    columns = range(channels)
    lines = []
    for i in range(pixels):
        lines += [
            *(f"            o{j} = o{j - 1} + channel_step" for j in columns[1:]),
            f"            if {outside((f'o{j}' for j in columns), 'ACCUMULATORS - 1')}:",
            '                raise ValueError("sums out of range")',
            *(f"            acc[o{j}] = s{i}{j}" for j in columns),
            "            o0 += pixel_step",
        ]
    return lines


def lanes(name: str, k: int, zero: int, together: int, what: str) -> str:
    """The function for patches of k bytes less `zero`, of which so many products fit 16 bits together.

    Weights are [channels / 32][k][32].
    """
    values, groups = range(k), range(0, k, together)
    block = k * 32
    lines = [
        f"def {name}(",
        "    x: vec[u8],",
        "    points: vec[i64],",
        "    pixels: i64,",
        "    w: vec[i16],",
        "    first: i64,",
        "    channels: i64,",
        "    acc: vec[i32],",
        "    start: i64,",
        "    pixel_step: i64,",
        ") -> None:",
        f'    """acc[start + pixel * pixel_step + channel] for patches of {k} {what}."""',
        "    if len(x) < FEATURES or len(w) < BLOCK or len(acc) < ACCUMULATORS or len(points) < POINTS:",
        '        raise ValueError("buffer too small")',
        "    if channels < 32 or channels > CHANNELS or pixels > POINTS:",
        '        raise ValueError("layer too large")',
        f"    end = first + (channels >> 5) * {block}",
        "    j: i64 = 0",
        "    p: i64 = 0",
        "    out = start",
        "    for p in range(pixels):",
        "        a = points[p]",
        f"        if a < 0 or a > FEATURES - {k}:",
        '            raise ValueError("patch out of range")',
        *(f"        x{i} = i16(x[a + {i}]) - {zero}" for i in values),
        "        b = first",
        "        r = out",
        "        while True:",
        f"            if b < 0 or b > BLOCK - {block} or r < 0 or r > ACCUMULATORS - 32:",
        '                raise ValueError("sums out of range")',
        "            for j in range(i64(32)):",
    ]
    for g in groups:
        terms = (f"x{i} * w[b + {i * 32} + j]" for i in range(g, g + together))
        lines.append(f"                t{g // together} = {' + '.join(terms)}")
    sums = [f"t{g // together}" for g in groups]
    lines += add_sums(sums) if together == 2 else [f"                acc[r + j] = {' + '.join(map(widened, sums))}"]
    lines += [
        f"            b += {block}",
        "            r += 32",
        "            if b >= end:",
        "                break",
        "        out += pixel_step",
    ]
    return "\n".join(lines) + "\n"


def widened(name: str) -> str:
    """A word as 32 bits."""
    return f"i32({name})"


def add_sums(sums: list[str]) -> list[str]:
    """Add up many sums in words, which is cheaper than to widen each: their upper bytes, and apart from that the rest.

    The rest is what the sum of all, which may leave 16 bits, exceeds the upper bytes by; it does fit.
    """
    return [
        f"                low = {' + '.join(sums)}",
        f"                high = {' + '.join(f'({name} >> 8)' for name in sums)}",
        "                rest = low - (high << 8)",
        "                acc[r + j] = (i32(high) << 8) + i32(rest)",
    ]


SPREAD_HEAD = '''"""Planes of codes to pixels, several channels at a time.

Written by fastpath/kernels/write_source.py; change it there.
"""

# fmt: off
# ruff: noqa
from librt.vecs import vec
from mypy_extensions import i64, u8

from fastpath.kernels.source.capacity import CHANNELS, FEATURES, LAST_PIXEL, PATCH
'''


def spread(channels: int) -> str:
    """The function for so many planes."""
    planes = range(channels)
    lines = [
        f"def spread_{channels}(",
        "    planes: vec[u8], a0: i64, plane: i64, n: i64, zero: u8, out: vec[u8], b: i64, step: i64",
        ") -> None:",
        f'    """Write n codes of {channels} planes, `plane` bytes apart, into pixels `step` bytes apart."""',
        "    if len(planes) < FEATURES or len(out) < FEATURES or n < 0 or n > PATCH or step < 0 or step > CHANNELS:",
        '        raise ValueError("buffer too small")',
        *(f"    a{i} = a{i - 1} + plane" for i in planes[1:]),
        f"    if {outside((f'a{i}' for i in planes), 'FEATURES - PATCH')}:",
        '        raise ValueError("plane out of range")',
        "    x: i64 = 0",
        "    for x in range(n):",
        "        if b < 0 or b > LAST_PIXEL:",
        '            raise ValueError("pixel out of range")',
        *(f"        c{i} = planes[a{i} + x]" for i in planes),
        *(f"        out[b + {i}] = c{i} ^ zero" for i in planes),
        "        b += step",
    ]
    return "\n".join(lines) + "\n"


def spread_module() -> str:
    """The text of source/spread.py."""
    return "\n\n".join([SPREAD_HEAD, spread(8), spread(1)])


SHORT_HEAD = '''"""Products of a vector of codes with rows of weights so short that their length is worth a constant.

Written by fastpath/kernels/write_source.py; change it there.

Half of the work is to add up the lanes of the sums, and that is quicker on vectors of 256 bits than of 512.
"""

# fmt: off
# ruff: noqa
from librt.vecs import vec
from mypy_extensions import i32, i64, u8

from fastpath.kernels.source.capacity import ACCUMULATORS, BLOCK, PATCH, STATES
'''

SHORT_ROWS = 8
"""Rows of weights that a kernel for short rows reads at a time."""


def short_dot(k: int) -> str:
    """The function for rows of k weights."""
    rows = range(SHORT_ROWS)
    lines = [
        f"def dot_{k}(x: vec[u8], a: i64, w: vec[u8], first: i64, rows: i64, acc: vec[i32], out: i64) -> None:",
        f'    """acc[out + row] = sum of (x[a + i] - 128) * w[first + {k} * row + i], for rows in groups of 8."""',
        "    if len(x) < PATCH + 64 or len(w) < BLOCK + PATCH or len(acc) < ACCUMULATORS or a < 0 or a > 64:",
        '        raise ValueError("buffer too small")',
        "    if rows < 0 or rows > STATES or out < 0:",
        '        raise ValueError("layer too large")',
        "    i: i64 = 0",
        "    row: i64 = 0",
        "    b = first",
        "    while row < rows:",
        "        o = out + row",
        f"        if b < 0 or b > BLOCK or o < 0 or o > ACCUMULATORS - {SHORT_ROWS}:",
        '            raise ValueError("weights out of range")',
        *(f"        s{j}: i32 = 0" for j in rows),
        f"        for i in range(i64({k})):",
        "            v = i32(x[a + i]) - 128",
        *(f"            s{j} += i32(w[b + {j * k} + i]) * v" for j in rows),
        *(f"        acc[o + {j}] = s{j}" for j in rows),
        f"        b += {SHORT_ROWS * k}",
        f"        row += {SHORT_ROWS}",
    ]
    return "\n".join(lines) + "\n"


def short_module() -> str:
    """The text of source/short.py."""
    return "\n\n".join([SHORT_HEAD, short_dot(64), short_dot(128)])


VECTOR, LONG_VECTOR = 32, 64
"""What the length of a patch is a multiple of: of the latter for the blocks that are best on vectors of 512 bits."""

BLOCKS = (("u8", 4), ("u8", 2), ("i16", 2))
"""The blocks of dense layers with 4 channels: type of the weights, pixels."""

MIDDLE = 64
"""What the lane kernels take off codes from 0 to 127."""


def dot_module() -> str:
    """The text of source/dot.py."""
    return "\n\n".join(
        [
            DOT_HEAD,
            *(dot(item, pixels, 4, planes=planes) for item, pixels in BLOCKS for planes in (False, True)),
            dot("u8", 2, 8),
            *(dot(item, 1, 4) for item in ("u8", "i16")),
        ]
    )


def lanes_module() -> str:
    """The text of source/lanes.py."""
    signed, unsigned = "signed codes, zero point 128", f"codes from 0 to 127, less {MIDDLE}"
    return "\n\n".join(
        [
            LANES_HEAD,
            *(lanes(f"lanes_{k}", k, MIDDLE, 4, unsigned) for k in (16, 32)),
            lanes("pairs_28", 28, 128, 2, signed),
        ]
    )


MODULES: dict[str, Callable[[], str]] = {
    "activations.py": activations_module,
    "dot.py": dot_module,
    "lanes.py": lanes_module,
    "short.py": short_module,
    "spread.py": spread_module,
}


def outdated() -> list[str]:
    """The names of the modules whose files differ from what this script writes."""
    return [
        name for name, text in MODULES.items() if not (SOURCE / name).is_file() or (SOURCE / name).read_text() != text()
    ]


def main(arguments: list[str]) -> int:
    """Write the modules, or with --check report those that are not current."""
    stale = outdated()
    if arguments == ["--check"]:
        for name in stale:
            print(f"fastpath/kernels/source/{name} is not what write_source.py writes", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (SOURCE / name).write_text(MODULES[name]())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
