"""What the real tool gets wrong: left alone by default with a line that says why, reproduced in the upstream mode."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import NamedTuple

import pytest

from fastpath.optimize import optimize
from spec.errors import AssayError, GraphError, UnsupportedError, UsageError
from spec.formats.param import format_param
from spec.formats.weights import write_model
from spec.graph import Graph
from spec.optimize.cut import cut_graph, find_cut, format_cut_as_upstream
from tests.optimize.nets import net, random_inputs
from tests.optimize.runtime import distance, run_wheel

IMAGE = "Input data 0 1 data 0=6 1=5 2=3"
CONV = "Convolution c 1 1 data c 0=4 1=3 4=1 5=1 6=108"
POOL = "Pooling p 1 1 data p 0=1 4=1"
ROWS = "Input data 0 1 data 0=8 1=5"
FC_ROWS = "InnerProduct f 1 1 data f 0=5 1=1 2=40"


class Fault(NamedTuple):
    """A network on which a pass fires upstream and must not here."""

    name: str
    rule: str
    reason: str
    lines: tuple[str, ...]
    runs: bool = True


FAULTS = (
    Fault(
        "batchnorm behind an activation",
        "fuse_convolution_batchnorm",
        "has activation 1 already",
        (IMAGE, f"{CONV} 9=1", "BatchNorm n 1 1 c n 0=4"),
    ),
    Fault(
        "factor behind an activation",
        "fuse_convolution_mul",
        "has activation 1 already",
        (IMAGE, "MemoryData m 0 1 m 0=4", f"{CONV} 9=1", "BinaryOp b 2 1 c m b 0=2"),
    ),
    Fault(
        "dropout behind an activation",
        "fuse_innerproduct_dropout",
        "has activation 5 already",
        (IMAGE, "InnerProduct f 1 1 data f 0=5 1=1 2=450 9=5", "Dropout d 1 1 f d 0=0.4"),
    ),
    Fault(
        "activation behind an activation",
        "fuse_convolution_activation",
        "has activation 1 already",
        (IMAGE, f"{CONV} 9=1", "Sigmoid s 1 1 c s"),
    ),
    Fault(
        "batchnorm of dynamic weights",
        "fuse_convolution_batchnorm",
        "computed at run time",
        (
            IMAGE,
            "MemoryData w 0 1 w 0=3 1=3 11=3 2=4",
            "Convolution c 2 1 data w c 0=4 1=3 4=1 19=1",
            "BatchNorm n 1 1 c n 0=4",
        ),
    ),
    Fault(
        "two readers without a Split",
        "fuse_convolution_activation",
        "blob c has 2 readers",
        (IMAGE, CONV, "ReLU r 1 1 c r", "Sigmoid s 1 1 c s"),
    ),
    Fault(
        "a Split with an unread top",
        "eliminate_split",
        "x would no longer be made",
        (IMAGE, "ReLU r 1 1 data r", "Split s 1 2 r x y", "Sigmoid t 1 1 y t"),
    ),
    Fault(
        "two Reductions in the old numbering",
        "replace_reduction_with_global_pooling",
        "no global mean in today's numbering",
        (IMAGE, "Reduction r 1 1 data r 0=3 1=0 -23303=1,2 4=1 5=1", "Reduction q 1 1 r q 0=3 1=0 -23303=1,2 5=1"),
    ),
    Fault(
        "a weighted sum that broadcasts",
        "fuse_binaryop_eltwise",
        "does not broadcast (3, 5, 6) and (3,)",
        (
            IMAGE,
            "Input other 0 1 other 0=3",
            "BinaryOp m 1 1 data m 0=2 1=1 2=0.5",
            "BinaryOp a 2 1 m other a 0=0",
        ),
    ),
    Fault(
        "a window behind a global pooling",
        "replace_convolution_with_innerproduct_after_global_pooling",
        "is no 1×1 convolution",
        (IMAGE, POOL, "Convolution c 1 1 p c 0=4 1=3 4=1 5=1 6=108"),
        runs=False,
    ),
    Fault(
        "a constant that is an output",
        "eliminate_orphaned_memorydata",
        "is an output of the network",
        (IMAGE, "MemoryData m 0 1 m 0=4", "ReLU r 1 1 data r"),
    ),
    Fault(
        "flattened rows",
        "eliminate_flatten_after_innerproduct",
        "not known to make a 1-D blob",
        (ROWS, FC_ROWS, "Flatten l 1 1 f l"),
    ),
    Fault(
        "batchnorm of rows",
        "fuse_innerproduct_batchnorm",
        "makes a 2-D blob",
        (ROWS, FC_ROWS, "BatchNorm n 1 1 f n 0=5"),
    ),
    Fault(
        "sum with a column of rows",
        "fuse_innerproduct_add",
        "makes a 2-D blob",
        (ROWS, "MemoryData m 0 1 m 0=5", FC_ROWS, "BinaryOp a 2 1 f m a"),
    ),
    Fault(
        "sum with a 3-D constant",
        "fuse_innerproduct_add",
        "makes the sum 3-D",
        (
            IMAGE,
            "MemoryData m 0 1 m 0=1 1=1 2=5",
            "InnerProduct f 1 1 data f 0=5 1=1 2=450",
            "BinaryOp a 2 1 f m a",
        ),
    ),
    Fault(
        "a Reshape that is not over channels",
        "eliminate_reshape_before_binaryop",
        "does not broadcast over the channels",
        (
            "Input data 0 1 data 0=6 1=5 2=1",
            "Input other 0 1 other 0=6",
            "Reshape r 1 1 other r 0=1 1=1 2=-1",
            "BinaryOp a 2 1 data r a",
        ),
        runs=False,
    ),
    Fault(
        "an adaptive Pooling of kernel 1",
        "eliminate_pooling1x1",
        "is adaptive",
        (IMAGE, "ReLU r 1 1 data r", "Pooling p 1 1 r p 0=1 1=1 7=1 8=2 18=2"),
    ),
    Fault(
        "an Input that is an output",
        "eliminate_dropout",
        "is a network output and its bottom data a network input",
        (IMAGE, "Dropout d 1 1 data d"),
    ),
)


def optimized(graph: Graph, *, upstream: bool = False) -> tuple[Graph, list[str]]:
    lines: list[str] = []
    result = copy.deepcopy(graph)
    optimize(result, upstream=upstream, report=lines.append)
    return result, lines


def same_results(before: Graph, after: Graph, folder: Path) -> float:
    """The largest relative distance between the outputs of two networks in the real runtime."""
    inputs = random_inputs(before)
    wanted = before.output_names()
    results = []
    for name, graph in (("before", before), ("after", after)):
        write_model(graph, folder / f"{name}.param", folder / f"{name}.bin", fp16=False)
        results.append(run_wheel(folder / f"{name}.param", folder / f"{name}.bin", inputs, wanted))
    return max(distance(results[1][name], results[0][name]) for name in wanted)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_left_alone_with_a_reason(fault: Fault, tmp_path: Path) -> None:
    graph = net(*fault.lines)
    after, lines = optimized(graph)
    said = [line for line in lines if line.startswith(fault.rule)]
    assert len(said) == 1
    assert "left alone: " in said[0] and fault.reason in said[0]
    assert [layer.type for layer in after] == [layer.type for layer in graph]
    if fault.runs:
        assert same_results(graph, after, tmp_path) < 1e-6


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_upstream_does_it_all_the_same(fault: Fault) -> None:
    graph = net(*fault.lines)
    after, lines = optimized(graph, upstream=True)
    fired = [line for line in lines if line.startswith(f"{fault.rule} ")]
    assert len(fired) == 1 and "left alone" not in fired[0]
    assert [layer.type for layer in after] != [layer.type for layer in graph]


INT8_CHAIN = (
    IMAGE,
    POOL,
    "Convolution a 1 1 p a 0=4 1=1 5=1 6=12 8=2",
    "Convolution b 1 1 a b 0=5 1=1 5=1 6=20 8=2",
)


def test_int8_convolutions_in_a_row_keep_their_scales(tmp_path: Path) -> None:
    """The judge is the network with InnerProducts from the start: the runtime takes a 1-D blob for rows here."""
    by_hand = net(*INT8_CHAIN[:2], "InnerProduct a 1 1 p a 0=4 1=1 2=12 8=2", "InnerProduct b 1 1 a b 0=5 1=1 2=20 8=2")
    graph = net(*INT8_CHAIN)
    after, _ = optimized(graph)
    assert [layer.type for layer in after] == ["Input", "Pooling", "InnerProduct", "InnerProduct"]
    assert same_results(by_hand, after, tmp_path) == 0.0


def test_int8_convolutions_in_a_row_crash_upstream() -> None:
    with pytest.raises(UnsupportedError, match="ncnnoptimize crashes"):
        optimized(net(*INT8_CHAIN), upstream=True)


INT8_NORM = (IMAGE, f"{CONV} 8=2", "BatchNorm n 1 1 c n 0=4")


def test_int8_weights_are_not_folded(tmp_path: Path) -> None:
    graph = net(*INT8_NORM)
    after, lines = optimized(graph)
    assert any("c is an int8 layer" in line for line in lines)
    assert same_results(graph, after, tmp_path) == 0.0


def test_int8_weights_cannot_be_folded_upstream() -> None:
    with pytest.raises(GraphError, match="int8 codes"):
        optimized(net(*INT8_NORM), upstream=True)


def test_a_batchnorm_for_other_channels() -> None:
    lines = (IMAGE, CONV, "BatchNorm n 1 1 c n 0=3")
    after, said = optimized(net(*lines))
    assert len(after.layers) == 3
    assert any("n has 3 channels and c makes 4" in line for line in said)
    with pytest.raises(GraphError, match="3 channels"):
        optimized(net(*lines), upstream=True)


def test_a_scale_for_other_channels() -> None:
    lines = (IMAGE, "BatchNorm n 1 1 data n 0=3", "Scale s 1 1 n s 0=4")
    after, said = optimized(net(*lines))
    assert len(after.layers) == 3
    assert any("n has 3 channels and s 4" in line for line in said)


def zero_variance() -> Graph:
    graph = net(IMAGE, CONV, "BatchNorm n 1 1 c n 0=4")
    graph.layer("n").weights["var_data"].values[1] = 0.0
    return graph


def test_zero_variance_follows_the_layers_own_rule(tmp_path: Path) -> None:
    after, _ = optimized(zero_variance())
    assert len(after.layers) == 2
    assert same_results(zero_variance(), after, tmp_path) < 1e-6


def test_zero_variance_gives_no_numbers_upstream() -> None:
    after, _ = optimized(zero_variance(), upstream=True)
    assert not all(map(math.isfinite, after.layer("c").weights["weight_data"].values))


def test_negative_variance_is_left_alone() -> None:
    graph = zero_variance()
    graph.layer("n").weights["var_data"].values[1] = -1.0
    after, said = optimized(graph)
    assert len(after.layers) == 3
    assert any("plus eps is negative" in line for line in said)


def test_noops_of_many_blobs_stay() -> None:
    two = "Input other 0 1 other 0=6"
    graph = net(IMAGE, two, "Noop n 2 2 data other x y", "ReLU r 1 1 x r", "ReLU q 1 1 y q")
    after, said = optimized(graph)
    assert len(after.layers) == 5
    assert any("it has 2 bottoms and 2 tops" in line for line in said)
    with pytest.raises(UnsupportedError, match="crashes"):
        optimized(graph, upstream=True)


def test_a_split_that_nobody_reads_stays() -> None:
    graph = net(IMAGE, "ReLU r 1 1 data r", "Split s 1 2 r x y")
    assert len(optimized(graph)[0].layers) == 3
    with pytest.raises(UnsupportedError, match="broken file"):
        optimized(graph, upstream=True)


def test_inputs_keep_their_names(tmp_path: Path) -> None:
    graph = net(IMAGE, "Dropout d 1 1 data d", "ReLU r 1 1 d r")
    after, _ = optimized(graph)
    assert after.input_names() == ["data"] and len(after.layers) == 2
    assert same_results(graph, after, tmp_path) == 0.0
    assert optimized(graph, upstream=True)[0].input_names() == ["d"]


def test_a_global_mean_in_todays_numbering(tmp_path: Path) -> None:
    graph = net(IMAGE, "Reduction r 1 1 data r 0=3 1=0 -23303=1,2 5=1", "Reduction q 1 1 r q 0=3 1=0 -23303=1,1 5=1")
    after, _ = optimized(graph)
    assert [(layer.type, layer.name) for layer in after] == [("Input", "data"), ("Pooling", "q")]
    assert same_results(graph, after, tmp_path) < 1e-6
    assert len(optimized(graph, upstream=True)[0].layers) == 3


@pytest.mark.parametrize(
    ("second", "shape"),
    [("-23303=1,1 4=1 5=1", "0=6 1=5 2=3"), ("-23303=1,1 5=1", "0=6 1=5 11=4 2=3"), ("-23303=1,1 5=1", "")],
    ids=["keepdims", "four dims", "unknown shape"],
)
def test_means_that_are_not_global_stay(second: str, shape: str) -> None:
    graph = net(
        f"Input data 0 1 data {shape}",
        "Reduction r 1 1 data r 0=3 1=0 -23303=1,2 5=1",
        f"Reduction q 1 1 r q 0=3 1=0 {second}",
    )
    assert len(optimized(graph)[0].layers) == 3


def test_stale_hints_are_recomputed() -> None:
    graph = net(f"{IMAGE} -23330=4,3,8,8,3".replace(" 0=6", "", 1) + " 0=6", CONV)
    assert optimized(graph)[0].blob_shapes() == {"data": (3, 5, 6), "c": (4, 5, 6)}
    assert optimized(graph, upstream=True)[0].blob_shapes() == {"data": (3, 8, 8), "c": (4, 8, 8)}


def test_without_input_shapes_rows_are_not_ruled_out() -> None:
    after, said = optimized(net("Input data 0 1 data", FC_ROWS, "BatchNorm n 1 1 f n 0=5"))
    assert len(after.layers) == 3
    assert any("its input has no known shape" in line for line in said)


def test_without_input_shapes_a_global_pooling_tells_the_rank() -> None:
    graph = net(
        "Input data 0 1 data", POOL, "ReLU r 1 1 p r", "InnerProduct f 1 1 r f 0=5 1=1 2=15", "Flatten l 1 1 f l"
    )
    assert [layer.type for layer in optimized(graph)[0]] == ["Input", "Pooling", "ReLU", "InnerProduct"]


CHAIN = (IMAGE, CONV, "ReLU r 1 1 c r", "Convolution e 1 1 r e 0=2 1=1 5=1 6=8", "Sigmoid s 1 1 e s")


def test_a_cut_piece_counts_itself_and_has_inputs() -> None:
    graph = net(*CHAIN)
    cut = find_cut(graph, "e", None, report=lambda line: None)
    after, _ = optimized(graph)
    piece = cut_graph(after, cut)
    assert format_param(piece).splitlines()[1:3] == [
        "2 2",
        f"{'Input':<24} {'r':<24} 0 1 r -23330=5,3,6,5,1,4 0=6 1=5 2=4",
    ]


def test_a_cut_piece_counts_everything_upstream() -> None:
    graph = net(*CHAIN)
    cut = find_cut(graph, "e", "s", upstream=True, report=lambda line: None)
    after, _ = optimized(graph, upstream=True)
    text = format_cut_as_upstream(after, cut_graph(after, cut, upstream=True)).splitlines()
    assert text[1] == "3 3" and len(text) == 3


def test_a_fused_layer_marks_the_place_of_a_cut() -> None:
    graph = net(*CHAIN)
    cut = find_cut(graph, "r", None, report=lambda line: None)
    piece = cut_graph(optimized(graph)[0], cut)
    assert [layer.name for layer in piece] == ["r", "e"]


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [("nope", None, "not find target cutstart layer nope"), ("e", "c", "stands before")],
)
def test_a_cut_that_cannot_be(start: str, end: str | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        find_cut(net(*CHAIN), start, end, report=lambda line: None)


def test_the_first_layer_can_be_named() -> None:
    graph = net(*CHAIN)
    assert len(find_cut(graph, "data", "data", report=lambda line: None).names) == 1
    with pytest.raises(UsageError):
        find_cut(graph, "data", None, upstream=True, report=lambda line: None)


def test_weights_that_do_not_divide() -> None:
    graph = net(IMAGE, CONV, "BatchNorm n 1 1 c n 0=4")
    graph.layer("c").weights["weight_data"].values.pop()
    with pytest.raises(AssayError, match="do not divide"):
        optimized(graph)
