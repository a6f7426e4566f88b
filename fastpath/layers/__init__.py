"""The layers of the fast path: one file a family, each with `PREPARE`, merged here."""

from __future__ import annotations

from fastpath.layers import (
    batch_norm,
    binary_op,
    cast,
    concat,
    convolution,
    convolution_depthwise,
    crop,
    dequantize,
    embed,
    gemm,
    gru,
    identity,
    inner_product,
    input,
    lstm,
    multi_head_attention,
    padding,
    permute,
    pooling,
    quantize,
    reduction,
    relu,
    requantize,
    reshape,
    rnn,
    sdpa,
    slice,
    softmax,
)
from fastpath.layers.common import Prepare

MODULES = (
    batch_norm,
    binary_op,
    cast,
    concat,
    convolution,
    convolution_depthwise,
    crop,
    dequantize,
    embed,
    gemm,
    gru,
    identity,
    inner_product,
    input,
    lstm,
    multi_head_attention,
    padding,
    permute,
    pooling,
    quantize,
    reduction,
    relu,
    requantize,
    reshape,
    rnn,
    sdpa,
    slice,
    softmax,
)
"""Every module with layer types, alphabetically."""

PREPARE: dict[str, Prepare] = {name: prepare for module in MODULES for name, prepare in module.PREPARE.items()}
"""What prepares a layer, by layer type."""
