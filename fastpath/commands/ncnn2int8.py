"""The command ncnn2int8: quantize a float model by a calibration table."""

from __future__ import annotations

from collections.abc import Sequence

import click

from fastpath.commands.command_line import engine_option, invoke, report, upstream_option
from fastpath.formats.weights import write_model as fast_write_model
from fastpath.quantization import quantize_model as fast_quantize_model
from spec.formats.param import read_param
from spec.formats.table import read_table
from spec.formats.weights import read_weights
from spec.formats.weights import write_model as spec_write_model
from spec.optimize.mac_estimate import mac_count, mac_line
from spec.quantization.quantize_model import quantize_model as spec_quantize_model


@click.command("ncnn2int8")
@click.argument("inparam")
@click.argument("inbin")
@click.argument("outparam")
@click.argument("outbin")
@click.argument("table", required=False)
@engine_option
@upstream_option
def command(
    inparam: str, inbin: str, outparam: str, outbin: str, table: str | None, engine: str, upstream: bool
) -> None:
    """Quantize INPARAM INBIN to int8 and write OUTPARAM OUTBIN.

    TABLE comes from ncnn2table. Layers without rows in it stay float, and the command says which and why. Without a
    TABLE the layers whose scales need no samples are quantized: RNN, LSTM, GRU, Embed, MultiHeadAttention, Gemm, SDPA.
    INBIN may be the word null: weights are zeros, and random numbers are written. Weights that stay float are stored as
    binary16.
    """
    scales = None if table is None else read_table(table, upstream=upstream)
    graph = read_param(inparam)
    read_weights(graph, inbin)
    if engine == "spec":
        spec_quantize_model(graph, scales, upstream=upstream, report=report)
        spec_write_model(graph, outparam, outbin, fp16=True, upstream=upstream)
    else:
        fast_quantize_model(graph, scales, upstream=upstream, report=report)
        fast_write_model(graph, outparam, outbin, fp16=True, upstream=upstream)
    count = mac_count(graph, graph.blob_shapes())
    if count:
        report(mac_line(count))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return invoke(command, argv)
