"""The layers of the fast path: one file a family, each with `PREPARE`, merged here."""

from __future__ import annotations

from fastpath.layers import (
    concat,
    convolution,
    convolution_depthwise,
    embed,
    gemm,
    gru,
    identity,
    inner_product,
    input,
    lstm,
    multi_head_attention,
    permute,
    rnn,
    sdpa,
    softmax,
)
from fastpath.layers.common import Prepare

_MODULES = (
    concat,
    convolution,
    convolution_depthwise,
    embed,
    gemm,
    gru,
    identity,
    inner_product,
    input,
    lstm,
    multi_head_attention,
    permute,
    rnn,
    sdpa,
    softmax,
)

PREPARE: dict[str, Prepare] = {name: prepare for module in _MODULES for name, prepare in module.PREPARE.items()}
"""What prepares a layer, by layer type."""
