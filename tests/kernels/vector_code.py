"""What the C compiler must have made of every kernel: an instruction on whole vectors, or a reason why there is none.

One check too many in a loop stops vectorisation, and the kernel runs up to 30 times slower without a word. So every
function of `fastpath.kernels.source` stands in one of the two tables here; a test sees to that.
"""

from __future__ import annotations

REGISTER = {"base": "xmm", "avx2": "ymm", "avxvnni": "ymm", "vnni256": "ymm", "vnni512": "zmm"}
"""The registers that a level is compiled for."""

BYTE_PRODUCTS = ("avxvnni", "vnni256", "vnni512")
"""Levels with the instruction that multiplies bytes and adds them up; the others use the kernels for words."""

BYTES_ON_YMM = ("avxvnni", "vnni256")
"""Those of them whose vectors have 256 bits, for kernels that use no longer ones at the others."""

HALVES = ("base", "avx2", "avxvnni", "vnni256")
"""Levels whose vectors have 32 bytes or fewer."""

SHUFFLES = ("avx2", "avxvnni", "vnni256", "vnni512")
"""Levels that can move any byte of a vector, or multiply and compare numbers of 64 bits."""

EXACT_SUMS = "(mulpd|fmadd[0-9]*pd)"
"""Exact products, which may be fused with their sums."""

VECTOR_CODE: dict[str, str] = {
    "activations.exp": "mulpd",
    "activations.tanh": "divpd",
    "activations.lstm_powers": "mulpd",
    "activations.lstm_cell": "divpd",
    "activations.lstm_output": "divpd",
    "cells.copy_row": "movdqu",
    "cells.copy_every_second": "(shufps|pshufd|permt2d|permd|permq|vpermi2d)",
    "cells.largest_2x2_by_2": "(pmaxsd|pcmpgtd)",
    "cells.largest_3x3_by_2": "(pmaxsd|pcmpgtd)",
    "chains.add_one_by_one": "mulpd",
    "chains.add_run": "mulpd",
    "counting.largest": "(pmaxsd|pcmpgtd)",
    "depthwise.row_3x3": "pmullw",
    "depthwise.lanes_3x3": "pmullw",
    "depthwise.row_of_5": "pmullw",
    "depthwise.widen": "(pmovzxbw|punpcklbw)",
    "depthwise.add_tap": "pmullw",
    "dot.bytes_4x4": "pdpbusd",
    "dot.bytes_2x4": "pdpbusd",
    "dot.bytes_1x4": "pdpbusd",
    "dot.bytes_2x8": "pdpbusd",
    "dot.words_2x4": "(pmaddwd|pdpwssd)",
    "dot.words_1x4": "(pmaddwd|pdpwssd)",
    "dot.bytes_4x4_planes": "pdpbusd",
    "dot.bytes_2x4_planes": "pdpbusd",
    "dot.words_2x4_planes": "(pmaddwd|pdpwssd)",
    "encode.rectify": "(pmaxsd|pand)",
    "encode.run": "psr[al]vd",
    "lanes.lanes_16": "pmullw",
    "lanes.lanes_32": "pmullw",
    "lanes.pairs_28": "pmullw",
    "lrn.square": "mulpd",
    "lrn.sum_of_5": "addpd",
    "lrn.copy": "movup[sd]",
    "lrn.fill": "movup[sd]",
    "lrn.add": "addpd",
    "lrn.find_bases": "mulpd",
    "lrn.beyond": "cmp[a-z]*pd",
    "lrn.shrink": "mulpd",
    "lrn.power": "mulpd",
    "lrn.multiply": "mulpd",
    "move.copy": "movdqu",
    "move.panel": "movdqu",
    "move.runs": "movdqu",
    "move.deliver": "movdqu",
    "move.interleave_3": "(pshufb|permt2w)",
    "planes.begin": "movup[sd]",
    "planes.rows_3x3": EXACT_SUMS,
    "planes.run_3x3": EXACT_SUMS,
    "planes.run_3x3_by_2": EXACT_SUMS,
    "planes.add_row_of_5": EXACT_SUMS,
    "planes.add_tap": EXACT_SUMS,
    "planes.rectify": "cmpltpd",
    "planes.max_2x2_by_2": "maxpd",
    "planes.max_3x3_by_2": "maxpd",
    "pooling.highest": "pmaxub",
    "pooling.highest_row": "(pmaxsd|pcmpgtd)",
    "recurrent.dot_bytes": "pdpbusd",
    "recurrent.dot_words": "(pmaddwd|pdpwssd)",
    "recurrent.largest_magnitude": "(andpd|andps|maxpd|pand)",
    "recurrent.pack_codes": "mulpd",
    "recurrent.bytes_of": "psr[al]q",
    "recurrent.words_of": "psr[al]q",
    "recurrent.load": "movup[sd]",
    "recurrent.clear": "movup[sd]",
    "recurrent.descale": "mulpd",
    "recurrent.descale_pairs": "mulpd",
    "recurrent.descale_inputs": "mulpd",
    "recurrent.round_sums": "mulpd",
    "recurrent.add": "addpd",
    "recurrent.store": "movup[sd]",
    "recurrent.within": "(andpd|andps|pand)",
    "recurrent.gru_new": "divpd",
    "recurrent.gru_mix": "mulpd",
    "short.dot_64": "pdpbusd",
    "short.dot_128": "pdpbusd",
    "requantize.linear": "(pmullq|pmuludq)",
    "requantize.halves": "(pmulld|pmuludq)",
    "requantize.bent": "(pmullq|pmuludq)",
    "requantize.stepped": "(pmullq|pmuludq)",
    "requantize.bent_stepped": "(packuswb|pmovwb)",
    "search.quantize": "mulpd",
    "similarity.compare_samples": "mulpd",
    "similarity.compare_scales": "mulpd",
    "taps.clear": "movup[sd]",
    "taps.add_products": EXACT_SUMS,
    "taps.add_four_products": EXACT_SUMS,
    "taps.add": "addpd",
    "taps.subtract": "(addpd|subpd)",
    "taps.split": "mulpd",
    "taps.split_lanes": "mulpd",
}
"""For each kernel an operation that its loop must have, without the v of the newer encodings."""

LEVELS_OF: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("dot.bytes_4x4", "dot.bytes_2x4", "dot.bytes_2x8", "dot.bytes_1x4"), BYTE_PRODUCTS),
    **dict.fromkeys(("dot.bytes_4x4_planes", "dot.bytes_2x4_planes", "recurrent.dot_bytes"), BYTE_PRODUCTS),
    **dict.fromkeys(("short.dot_64", "short.dot_128"), BYTES_ON_YMM),
    **dict.fromkeys(
        ("encode.run", "activations.exp", "move.interleave_3", "requantize.bent", "requantize.stepped"), SHUFFLES
    ),
    "move.runs": HALVES,
}
"""The levels at which a kernel is vector code, where that is not all of them."""

CALLS_KERNELS = "calls other kernels for rows and tiles"
COPIES_BY_C = "the C compiler calls memset"
FEW_IN_DOUBT = "asks the C library for the few results that are in doubt"
INT_AND_FLOAT = "mypyc converts between int and float one by one"
ONE_SUM = "one sum after the other"
ONE_PIXEL_APART = "its bytes lie a pixel apart"

PLAIN_CODE: dict[str, str] = {
    "cells.copy_apart": "its numbers lie several apart",
    "cells.columns": CALLS_KERNELS,
    "cells.largest": CALLS_KERNELS,
    "chains.measure_runs": ONE_SUM,
    "chains.join_runs": ONE_SUM,
    "chains.is_odd": "no loop",
    "chains.least_of": ONE_SUM,
    "chains.most_of": ONE_SUM,
    "chains.stays": "no loop",
    "chains.go_on": CALLS_KERNELS,
    "counting.pack": "where a number goes depends on those before it",
    "counting.count_bins": "the data say which place is counted up",
    "dense.find_patches": "computes one address for each pixel",
    "dense.multiply": CALLS_KERNELS,
    "dense.multiply_block": CALLS_KERNELS,
    "dense.multiply_block_planes": CALLS_KERNELS,
    "dense.product": CALLS_KERNELS,
    "dense.convolve": CALLS_KERNELS,
    "dense.accumulate": CALLS_KERNELS,
    "depthwise.clear": COPIES_BY_C,
    "depthwise.sums": CALLS_KERNELS,
    "depthwise.sums_in_lanes": CALLS_KERNELS,
    "depthwise.widen_rows": CALLS_KERNELS,
    "depthwise.convolve": CALLS_KERNELS,
    "depthwise.accumulate": CALLS_KERNELS,
    "encode.rows": CALLS_KERNELS,
    "lrn.settle": FEW_IN_DOUBT,
    "lrn.normalize": CALLS_KERNELS,
    "move.fill": COPIES_BY_C,
    "move.frame": CALLS_KERNELS,
    "move.panel_columns": "no loop",
    "move.column_slot": "no loop",
    "move.interleave": ONE_PIXEL_APART,
    "move.deliver_each": ONE_PIXEL_APART,
    "planes.blank": "borders are a few numbers",
    "planes.add_tap_by": "its numbers lie several apart",
    "planes.max_pool": CALLS_KERNELS,
    "planes.depthwise": CALLS_KERNELS,
    "pooling.max_pool": CALLS_KERNELS,
    "pooling.pool_sums": CALLS_KERNELS,
    "functions.settle_exp": FEW_IN_DOUBT,
    "functions.settle_tanh": FEW_IN_DOUBT,
    "recurrent.whole_numbers": INT_AND_FLOAT,
    "recurrent.float_sums": INT_AND_FLOAT,
    "recurrent.float_pairs": INT_AND_FLOAT,
    "recurrent.rounded": "no loop",
    "recurrent.can_scale": "no loop",
    "recurrent.can_begin": CALLS_KERNELS,
    "recurrent.input_codes": CALLS_KERNELS,
    "recurrent.input_gates": CALLS_KERNELS,
    "recurrent.quantize": CALLS_KERNELS,
    "recurrent.exponentials": CALLS_KERNELS,
    "recurrent.tangents": CALLS_KERNELS,
    "recurrent.lstm_exactly": FEW_IN_DOUBT,
    "recurrent.lstm_step": CALLS_KERNELS,
    "recurrent.sigmoid_exactly": FEW_IN_DOUBT,
    "recurrent.is_plain": "no loop",
    "recurrent.multiply": CALLS_KERNELS,
    "recurrent.gate_step": CALLS_KERNELS,
    "recurrent.int8_steps": CALLS_KERNELS,
    "requantize.mend": "computes the few channels whose steps are not on a line",
    "requantize.pixels": CALLS_KERNELS,
    "requantize.row": CALLS_KERNELS,
    "search.add_all": CALLS_KERNELS,
    "search.change": CALLS_KERNELS,
    "search.compare_candidates": CALLS_KERNELS,
    "search.compare_output": CALLS_KERNELS,
    "search.compare_sums": CALLS_KERNELS,
    "search.sums_side_by_side": CALLS_KERNELS,
    "spread.spread_8": "8 bytes at a time, and the check of each pixel's place leaves the loop",
    "spread.spread_1": ONE_PIXEL_APART,
}
"""The functions that are no vector code, and why that does no harm."""
