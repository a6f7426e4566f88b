"""What ncnn2int8 does to a model: quantize layer type by layer type, then fuse requantization."""

from __future__ import annotations

from collections.abc import Callable

from spec.errors import GraphError, UnsupportedError, UsageError
from spec.formats.table import Table
from spec.graph import Graph, Layer
from spec.layer_table import block_quantization
from spec.quantization.arithmetic import SPEC_ARITHMETIC, Arithmetic
from spec.quantization.attention import quantize_multi_head_attention, quantize_sdpa
from spec.quantization.convolution import quantize_convolution
from spec.quantization.embed import quantize_embed
from spec.quantization.fusion import fuse_requantize
from spec.quantization.gemm import quantize_gemm
from spec.quantization.recurrent import quantize_recurrent
from spec.quantization.scales import MissingRowError, ScaleSource

PASSES: dict[str, Callable[[Layer, ScaleSource], None]] = {
    "Convolution": quantize_convolution,
    "ConvolutionDepthWise": quantize_convolution,
    "InnerProduct": quantize_convolution,
    "RNN": quantize_recurrent,
    "LSTM": quantize_recurrent,
    "GRU": quantize_recurrent,
    "Embed": quantize_embed,
    "Gemm": quantize_gemm,
    "MultiHeadAttention": quantize_multi_head_attention,
    "SDPA": quantize_sdpa,
}
"""Layer types that become int8, in the order in which the real tool takes them."""

STATIC_TYPES = ("Embed", "MultiHeadAttention", "RNN", "LSTM", "GRU")
"""Types whose weight scales need no samples: computed in process when there is no table."""

_TERM_NAMES = {"Gemm": "quantize_term", "MultiHeadAttention": "quantize_term"}


def quantize_model(
    graph: Graph,
    table: Table | None,
    *,
    arithmetic: Arithmetic = SPEC_ARITHMETIC,
    upstream: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> None:
    """Quantize `graph` in place by `table`; without a table, those layers whose scales need no samples.

    A layer whose row is commented out or missing stays float, and so does nothing else; `report` gets a line for every
    layer that was quantized, stayed float, or was fused. Layers that are int8 already are refused.

    With `upstream` the real tool's choices are made instead: a missing weight row leaves all later layers of the type
    float, recurrent, Embed and attention layers need a table, and an int8 model may be fused again.

    Raises: FormatError for a bad row, GraphError for a layer that cannot be quantized, UsageError as said above.
    Follows: ncnn tools/quantize/ncnn2int8.cpp @ a4d2ea1d.
    """
    _refuse_int8(graph, table, upstream)
    if upstream and table is None:
        _refuse_static(graph)
    source = ScaleSource(table, arithmetic, upstream)
    for layer_type, quantize in PASSES.items():
        for layer in graph.layers:
            if layer.type != layer_type or (upstream and _term(layer)):
                continue
            try:
                quantize(layer, source)
            except MissingRowError as missing:
                if not upstream:
                    report(f"{layer.name} ({layer.type}) stays float: {missing.reason}")
                elif missing.kind == "weight" and table is not None:
                    report("this layer need to be quantized, but no scale param!")
                    break
            except UnsupportedError as unsupported:
                report(f"{layer.name} ({layer.type}) stays float: {unsupported.message}")
            else:
                report(f"quantize_{layer_type.lower()} {layer.name}")
    fuse_requantize(graph, upstream=upstream, report=report)


def _term(layer: Layer) -> int:
    return layer.get.integer(_TERM_NAMES.get(layer.type, "int8_scale_term"))


def _refuse_int8(graph: Graph, table: Table | None, upstream: bool) -> None:
    for layer in graph.layers:
        if layer.type not in PASSES or not _term(layer):
            continue
        if layer.type in _TERM_NAMES and block_quantization(layer.get) is not None:
            raise GraphError(layer.name, f"{layer.type} is block-quantized already: start from the float model")
        if not upstream:
            raise GraphError(layer.name, f"{layer.type} is int8 already: start from the float model")
        if table is not None:
            raise GraphError(layer.name, f"{layer.type} is int8 already: the real tool would read its codes as floats")


def _refuse_static(graph: Graph) -> None:
    for layer in graph.layers:
        if layer.type in STATIC_TYPES:
            raise UsageError(
                f"{layer.name} ({layer.type}): calibration table is required for static weight quantization\n"
                "run ncnn2table to generate weight scales and pass the table to ncnn2int8"
            )
