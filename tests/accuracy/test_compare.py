"""What compare says of networks whose faults are known."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from fastpath.accuracy.compare import cause, compare
from fastpath.accuracy.network import FastEngine
from fastpath.accuracy.report.charts import place
from fastpath.accuracy.tables import quantized
from fastpath.commands.command_line import invoke
from fastpath.commands.compare import command
from spec.errors import GraphError
from spec.formats.weights import read_model
from spec.graph import Graph, Layer
from tests.accuracy.nets import blobs, branching
from tests.models import CARRIED

DIGITS = CARRIED / "digits-cnn"

GOOD = {"first": 40.0, "left": 4.0, "right": 4.0, "classes": 2.0}


def table(bottoms: dict[str, float], weights: float = 25.0) -> str:
    counts = {"first": 6, "left": 4, "right": 4, "classes": 4}
    rows = [f"{name}_param_0 " + " ".join([str(weights)] * counts[name]) for name in bottoms]
    return "\n".join([*rows, *(f"{name} {scale}" for name, scale in bottoms.items())]) + "\n"


@pytest.mark.parametrize(
    ("bottoms", "weights", "name", "words"),
    [
        ({**GOOD, "first": 400.0}, 25.0, "first", "the input of first is clipped at 0.32 of its range"),
        ({**GOOD, "first": 2.0}, 25.0, "first", "the input of first uses codes up to"),
        ({**GOOD, "classes": 30.0}, 25.0, "classes", "the input of classes is clipped"),
        ({**GOOD, "left": 60.0, "right": 60.0}, 25.0, "first", "the output of first, which becomes codes"),
        (GOOD, 200.0, "", "of them saturate"),
        (GOOD, 1.0, "", "the weights of"),
    ],
)
def test_the_cause_is_named(bottoms: dict[str, float], weights: float, name: str, words: str) -> None:
    graph = branching()
    int8 = quantized(graph, table(bottoms, weights))
    found = compare("fastpath", graph, int8, FastEngine(graph), FastEngine(int8), [{"data": x} for x in blobs(3)])
    worst = found.worst()
    assert worst is not None
    if name:
        assert worst.layer.name == name
    assert words in cause(worst)


def test_errors_are_told_apart() -> None:
    """Only the first layer is bad: it inherits nothing, and what follows inherits nearly all of its error."""
    graph = branching()
    int8 = quantized(graph, table({**GOOD, "first": 400.0}))
    found = compare("fastpath", graph, int8, FastEngine(graph), FastEngine(int8), [{"data": x} for x in blobs(3)])
    traces = {trace.layer.name: trace for trace in found.traces}
    first, classes = traces["first"], traces["classes"]
    assert first.inherited.noise == 0
    assert first.own.noise == first.total.noise > 0
    assert classes.inherited.noise > 100 * classes.own.noise
    assert first.input is not None
    values = np.concatenate([np.abs(x).reshape(-1) for x in blobs(3)])
    assert first.input.saturated_share == pytest.approx(float((values * 400 >= 126.5).mean()), abs=1e-6)


def test_a_network_is_equal_to_itself() -> None:
    graph = branching()
    found = compare("fastpath", graph, graph, FastEngine(graph), FastEngine(graph), [{"data": x} for x in blobs(1)])
    assert found.worst() is None
    assert all(trace.total.noise == 0 for trace in found.traces)


def test_networks_that_are_not_one_model() -> None:
    graph, other = branching(), branching()
    other.layers[0].tops = other.layers[1].bottoms = ["image"]
    with pytest.raises(GraphError, match="different names"):
        compare("x", graph, other, FastEngine(graph), FastEngine(other), [{"data": blobs(1)[0]}])


def test_digits_by_kl_fail_at_their_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The real kl table clips the input of 17 grey levels at the first of them."""
    files = [str(DIGITS / name) for name in ("float.param", "float.bin", "int8-kl.param", "int8-kl.bin", "calib.txt")]
    page, figures = tmp_path / "page.html", tmp_path / "figures.json"
    assert invoke(command, [*files, "--html", str(page), "--json", str(figures), "--most", "8"]) == 0
    out = capsys.readouterr().out
    assert re.search(
        r"worst layer: the input of convrelu_0 is clipped at 0\.063 of its range 1: [45]\d% of values saturate", out
    )
    record = json.loads(figures.read_text())["engines"][0]
    assert record["worst"] == "convrelu_0"
    html = page.read_text()
    assert "convrelu_0 is clipped at 0.063" in html
    assert html.count("<svg") >= 6
    links = [link for link in re.findall(r'(?:https?:)?//[^\s"<]+', html) if "www.w3.org/2000/svg" not in link]
    assert not links, "the page needs nothing from elsewhere"
    assert not re.search(r"<(?:script|link|img)\b", html)


def test_the_wheel_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ncnn")
    files = [str(DIGITS / name) for name in ("float.param", "float.bin", "int8-kl.param", "int8-kl.bin", "calib.txt")]
    assert invoke(command, [*files, "--engines", "fastpath,spec,wheel", "--most", "1"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "worst layer" in line]
    assert len(lines) == 3
    assert len({line.split(": ", 1)[1] for line in lines}) == 1


def test_no_wire_runs_through_a_layer() -> None:
    """A layer's lane is its own until its last reader."""
    graph = read_model(str(DIGITS / "float.param"), str(DIGITS / "float.bin"))
    for net in (graph, branching()):
        nodes = place(net)
        for reader in nodes:
            for row in reader.bottoms:
                between = nodes[row + 1 : reader.row]
                assert all(node.lane != nodes[row].lane for node in between)


def test_lanes_of_a_branch() -> None:
    layers = [
        Layer("Input", "i", [], ["x"]),
        Layer("Split", "s", ["x"], ["y", "z"]),
        Layer("ReLU", "r", ["y"], ["u"]),
        Layer("Eltwise", "e", ["u", "z"], ["v"]),
    ]
    assert [(node.layer.name, node.lane, node.bottoms) for node in place(Graph(layers))] == [
        ("i", 0, []),
        ("r", 1, [0]),
        ("e", 0, [0, 1]),
    ]
