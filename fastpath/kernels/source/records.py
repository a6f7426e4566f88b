"""What the kernels work on: feature maps, windows, packed weights, staircases and scratch space.

Plain records, filled in once by the planner. Compiled, their attributes are read without any Python object in between.
"""

from typing import final

from librt.vecs import vec
from mypy_extensions import i16, i32, i64, u8


@final
class Feature:
    """A feature map as unsigned bytes, code plus zero point: rows of pixels, the channels of a pixel together.

    `start` is the place of channel 0 of pixel (0, 0) in the arena; `row` and `pixel` are the steps from row to row and
    from pixel to pixel. Border pixels lie before and after at the same steps.
    """

    def __init__(self, data: vec[u8], start: i64, row: i64, pixel: i64) -> None:
        self.data: vec[u8] = data
        self.start: i64 = start
        self.row: i64 = row
        self.pixel: i64 = pixel


@final
class Window:
    """How a kernel steps over a feature map, and how many outputs that gives."""

    def __init__(
        self,
        kernel_h: i64,
        kernel_w: i64,
        dilation_h: i64,
        dilation_w: i64,
        stride_h: i64,
        stride_w: i64,
        out_h: i64,
        out_w: i64,
    ) -> None:
        self.kernel_h: i64 = kernel_h
        self.kernel_w: i64 = kernel_w
        self.dilation_h: i64 = dilation_h
        self.dilation_w: i64 = dilation_w
        self.stride_h: i64 = stride_h
        self.stride_w: i64 = stride_w
        self.out_h: i64 = out_h
        self.out_w: i64 = out_w


@final
class Weights:
    """Weight rows of a dense layer, in blocks.

    `form` says which kernel reads them: 0 bytes_4x4, 1 bytes_2x4, 2 bytes_2x8 (all `byte_blocks`), 3 words_2x4,
    4 lanes_16, 5 lanes_32, 6 pairs_28 (all `word_blocks`). Block i begins at `starts[i]` of its vec and holds
    `counts[i]` output channels. `channels` is the number of input channels, `k` the length of a row.

    The values of a row come in the order of a panel; or, where `run` is not 0, in that of `move.runs`, as so many bytes
    of each kernel row.
    """

    def __init__(
        self,
        form: i64,
        byte_blocks: list[vec[u8]],
        word_blocks: list[vec[i16]],
        starts: vec[i64],
        counts: vec[i64],
        channels: i64,
        k: i64,
        run: i64,
    ) -> None:
        self.form: i64 = form
        self.byte_blocks: list[vec[u8]] = byte_blocks
        self.word_blocks: list[vec[i16]] = word_blocks
        self.starts: vec[i64] = starts
        self.counts: vec[i64] = counts
        self.channels: i64 = channels
        self.k: i64 = k
        self.run: i64 = run


@final
class DepthwiseWeights:
    """Weights of a depthwise layer, and what the kernels take off the bytes of its feature map.

    They are [kernel_h * kernel_w][repeat * channels]. The weights of a kernel position stand there `repeat` times, so
    that so many neighbouring pixels are one run of lanes; more than once only where the stride is 1 and the feature map
    has nothing between its pixels.

    With `in_lanes` they are [channels / 32][9][32], and rows of the feature map are widened to words first.
    """

    def __init__(self, data: vec[i16], start: i64, channels: i64, repeat: i64, zero: i16, in_lanes: bool) -> None:
        self.data: vec[i16] = data
        self.start: i64 = start
        self.channels: i64 = channels
        self.repeat: i64 = repeat
        self.zero: i16 = zero
        self.in_lanes: bool = in_lanes


@final
class Staircase:
    """What turns sums into codes, for `channels` output channels.

    byte = (acc * m + c) >> shift, held between `low` and `high`. In some channels the byte is right or one too small,
    and the smallest sum whose byte is larger decides: with `stepped` in all of them, `steps[first + channel * 256 +
    byte]`; otherwise in the channels odd[i], `steps[first + i * 256 + byte]`. `m`, `c` and, with `stepped`, `steps`
    hold the numbers of all channels `repeat` times.

    Where the line has a bend (`bent`), sums below `bend` take `lower_m` and `lower_c` instead. There the bytes may fall
    as the sum grows: `turn` is then -1, else 1. Steps of such channels are 256 for the sums above the bend, and 256 for
    sum * turn below it.

    With `halved`, the same bytes come by 32 bits (see `fastpath.kernels.halves`): from `parts_start` on, `parts` holds
    floor, width, fine, coarse and offset, each of all channels `repeat` times.
    """

    def __init__(
        self,
        m: vec[i64],
        c: vec[i64],
        shift: i64,
        low: i32,
        high: i32,
        stepped: bool,
        steps: vec[i32],
        first: i64,
        odd: vec[i64],
        channels: i64,
        repeat: i64,
        bent: bool,
        bend: vec[i64],
        lower_m: vec[i64],
        lower_c: vec[i64],
        turn: vec[i64],
        halved: bool,
        parts: vec[i32],
        parts_start: i64,
        fine_shift: i32,
        coarse_shift: i32,
    ) -> None:
        self.m: vec[i64] = m
        self.c: vec[i64] = c
        self.shift: i64 = shift
        self.low: i32 = low
        self.high: i32 = high
        self.stepped: bool = stepped
        self.steps: vec[i32] = steps
        self.first: i64 = first
        self.odd: vec[i64] = odd
        self.channels: i64 = channels
        self.repeat: i64 = repeat
        self.bent: bool = bent
        self.bend: vec[i64] = bend
        self.lower_m: vec[i64] = lower_m
        self.lower_c: vec[i64] = lower_c
        self.turn: vec[i64] = turn
        self.halved: bool = halved
        self.parts: vec[i32] = parts
        self.parts_start: i64 = parts_start
        self.fine_shift: i32 = fine_shift
        self.coarse_shift: i32 = coarse_shift


@final
class Scratch:
    """Buffers: a panel of patches, the sums, the offsets of the patches of one tile, the codes of one pixel, words."""

    def __init__(
        self,
        panel: vec[u8],
        panel_start: i64,
        acc: vec[i32],
        acc_start: i64,
        points: vec[i64],
        codes: vec[i16],
        words: vec[i16],
        words_start: i64,
    ) -> None:
        self.panel: vec[u8] = panel
        self.panel_start: i64 = panel_start
        self.acc: vec[i32] = acc
        self.acc_start: i64 = acc_start
        self.points: vec[i64] = points
        self.codes: vec[i16] = codes
        self.words: vec[i16] = words
        self.words_start: i64 = words_start
