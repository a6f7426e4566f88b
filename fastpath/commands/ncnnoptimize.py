"""The command ncnnoptimize: fold, fuse and drop layers, infer shapes, choose how weights are stored."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from fastpath.commands.command_line import engine_option, invoke, report, upstream_option
from fastpath.formats.weights import format_weights as fast_format_weights
from fastpath.optimize import optimize as fast_optimize
from spec.errors import UsageError
from spec.formats.files import write_files
from spec.formats.param import format_param, read_param
from spec.formats.weights import format_weights as spec_format_weights
from spec.formats.weights import read_weights
from spec.graph import Graph
from spec.optimize.cut import cut_graph, find_cut, format_cut_as_upstream
from spec.optimize.mac_estimate import mac_count, mac_line
from spec.optimize.pipeline import optimize as spec_optimize
from spec.optimize.rewriting import Firing

if TYPE_CHECKING:
    from fastpath.optimize.explain import Explanation

FP16_FLAGS = (1, 65536)
"""Values of FLAG that store weights as binary16; every other value stores binary32."""


@click.command("ncnnoptimize", context_settings={"ignore_unknown_options": True})
@click.argument("inparam")
@click.argument("inbin")
@click.argument("outparam")
@click.argument("outbin")
@click.argument("flag")
@click.argument("cutstart", required=False)
@click.argument("cutend", required=False)
@engine_option
@upstream_option
@click.option("--explain", is_flag=True, help="Print which pass did what, and draw the network before and after.")
def command(
    inparam: str,
    inbin: str,
    outparam: str,
    outbin: str,
    flag: str,
    cutstart: str | None,
    cutend: str | None,
    engine: str,
    upstream: bool,
    explain: bool,
) -> None:
    """Optimize INPARAM INBIN and write OUTPARAM OUTBIN.

    FLAG 0 stores weights as binary32, 1 or 65536 as binary16. INBIN may be the word null: weights are zeros, and random
    numbers are written. CUTSTART and CUTEND name the first and last layer to keep. Rewrites that would change what the
    network computes are left alone, with a line that says why.
    """
    graph = read_param(inparam, allow_custom=True)
    for custom in dict.fromkeys(layer.type for layer in graph if layer.layer_type is None):
        report(f"create_custom_layer {custom}")
    read_weights(graph, inbin)
    cut = find_cut(graph, cutstart, cutend, upstream=upstream, report=report)
    explanation = _explanation(graph) if explain else None
    firings: list[Firing] = []
    if engine == "spec":
        spec_optimize(graph, upstream=upstream, report=report, firings=firings)
    else:
        fast_optimize(graph, upstream=upstream, report=report, firings=firings)
    shapes = graph.blob_shapes()
    piece = graph if cutstart is None and cutend is None else cut_graph(graph, cut, upstream=upstream)
    _write(graph, piece, outparam, outbin, flag, engine, upstream)
    count = mac_count(piece, shapes)
    if count:
        report(mac_line(count))
    if explanation is not None:
        drawing = os.path.splitext(outparam)[0] + ".svg"
        explanation.show(piece, firings, drawing)


def _explanation(graph: Graph) -> Explanation:
    """The drawing library takes longer to load than most networks to optimize: only on demand."""
    try:
        from fastpath.optimize.explain import Explanation
    except ImportError as error:
        raise UsageError(f"--explain needs the package {error.name}: pip install {error.name}") from error
    return Explanation(graph)


def _write(graph: Graph, piece: Graph, outparam: str, outbin: str, flag: str, engine: str, upstream: bool) -> None:
    """Write both files, or none."""
    fp16 = flag_number(flag) in FP16_FLAGS
    format_weights = spec_format_weights if engine == "spec" else fast_format_weights
    cut_as_upstream = upstream and piece is not graph
    text = format_cut_as_upstream(graph, piece) if cut_as_upstream else format_param(piece, upstream=upstream)
    data = format_weights(piece, fp16=fp16, upstream=upstream)
    write_files({outparam: text.encode("utf-8", "surrogateescape"), outbin: data})


def flag_number(text: str) -> int:
    """FLAG as C's atoi reads it: the number at the start, or 0."""
    number = re.match(r"\s*[+-]?[0-9]+", text)
    return int(number[0]) if number else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return invoke(command, argv)
