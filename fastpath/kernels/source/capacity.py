"""How large the buffers of the kernels are.

A C compiler drops the bounds check of an indexed load, and so makes vector code of a loop, only where constants prove
the index in range. So every buffer has at least a fixed size, and every kernel compares its offsets and lengths with
constants before it loops.
"""

from typing import Final

FEATURES: Final = 4194304
"""Bytes of feature maps in one arena; `SLACK` more are allocated, so that whole vectors may be read past the end."""

SLACK: Final = 32768

ACCUMULATORS: Final = 1048576
"""int32 sums of one tile of output pixels, or of one layer where they leave as floats."""

ACCUMULATOR_SLACK: Final = 65536

FLOATS: Final = 262144
"""Floats of one tile; as many more are allocated, so that a run may begin anywhere."""

SUM_ROW: Final = 65536
"""Sums of one row of a feature map whose sums are pooled."""

POINTS: Final = 16384
"""Offsets of the patches of one tile."""

CHANNELS: Final = 4096
"""Entries of a table with one number per output channel."""

PATCH: Final = 16384
"""Bytes of one patch: kernel height times width times channels, rounded up to whole vectors."""

BLOCK: Final = 131072
"""Weights in one block; `PATCH` more are allocated."""

LAST_PIXEL: Final = FEATURES - CHANNELS
"""Where the last pixel of a feature map may begin."""

LAST_SUMS: Final = ACCUMULATORS - CHANNELS
"""Where the sums of the last pixel may begin."""

STEPS: Final = 1048576
"""Entries of a table of steps, 256 to a channel; as many as `CHANNELS` need are allocated more."""

WORD_ROW: Final = SLACK
"""16-bit words of one row of a feature map that is widened."""

WORDS: Final = 3 * WORD_ROW
"""16-bit words of the rows that 3 by 3 windows see; `WORD_ROW` more are allocated."""

NUMBERS: Final = 16384
"""binary64 numbers of one vector."""

STATES: Final = 8192
"""The largest number of gate rows of a recurrent layer."""

CHUNK: Final = 262144
"""Numbers of the input part, and of the output, of the steps that run in one call; `STATES` more are allocated."""
