"""`ncnn-assay table`: lint, explain and diff."""

from __future__ import annotations

from array import array
from pathlib import Path

import cv2
import pytest

from fastpath.commands.command_line import invoke
from fastpath.commands.table import command, diff_tables, explain_layer, lint_table
from spec.formats.table import parse_table
from spec.formats.weights import write_model
from spec.graph import Graph, Layer, float_weight


def layer_of(kind: str, name: str, bottom: str, top: str, values: list[float], **params: int) -> Layer:
    layer = Layer(kind, name, [bottom], [top])
    for key, value in params.items():
        layer.set(key, value)
    layer.set("weight_data_size", len(values))
    layer.weights["weight_data"] = float_weight("weight_data", array("f", values), "tagged")
    return layer


def model() -> Graph:
    """A 3x3 convolution of one output, an InnerProduct of two, another of one."""
    return Graph(
        [
            Layer("Input", "data", [], ["data"]),
            layer_of("Convolution", "conv", "data", "a", [0.5] * 8 + [-1.0], num_output=1, kernel_w=3),
            layer_of("InnerProduct", "fc", "a", "b", [1.0, 2.0, -4.0, 0.0], num_output=2),
            layer_of("InnerProduct", "last", "b", "c", [1.0, 1.0], num_output=1),
        ]
    )


GOOD = "conv_param_0 31.000000 \nfc_param_0 63.500000 31.750000 \nlast_param_0 127.0 \nconv 2.0 \nfc 3.0 \nlast 4.0 \n"


def messages(text: str, graph: Graph | None = None) -> list[str]:
    return [str(finding).partition("\n")[0] for finding in lint_table(text, graph)]


def fixes(text: str, graph: Graph | None = None) -> list[str]:
    return [finding.fix for finding in lint_table(text, graph)]


def test_a_good_table_has_no_findings() -> None:
    assert messages(GOOD, model()) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("conv 2.0", "\nconv 2.0", "error: line 4: the real ncnn2int8 stops reading at this blank line"),
        (
            "conv 2.0",
            "conv\t2.0",
            "error: line 4: the real ncnn2int8 separates by blanks only, and crashes on this tab",
        ),
        ("conv 2.0", "conv 2.0\nconv 3.0", "error: line 5: conv: replaces the row of the same name in line 4"),
        ("conv 2.0", "conv 2,0", "error: line 4: conv: '2,0' is no number: the one before it would be repeated"),
        ("conv 2.0", "conv", "error: line 4: conv: there is no scale"),
        ("conv 2.0", "conv 0.000000", "error: line 4: conv: 1 scales are 0: all values they quantize become 0"),
        ("conv 2.0", "conv -2.0", "error: line 4: conv: a scale is negative or not a number"),
        ("conv 2.0", "conv inf", "error: line 4: conv: the scale is inf, as of samples that are all zero"),
        ("conv 2.0", "conv 0.000123", "warning: line 4: conv: 1 scales keep fewer than four digits"),
        ("conv 2.0", "conv 2.0 3.0", "error: line 4: conv: 2 scales, but the layer needs 1"),
        ("conv 2.0", "conv 2.0\nold 1.0", "warning: line 5: old: the model has no layer that reads this row"),
        ("63.500000 31.750000", "63.500000", "error: line 2: fc_param_0: 1 scales, but the layer needs 2"),
        ("63.500000", "inf", "error: line 2: fc_param_0: a scale is inf, but its weights are not zero"),
        ("31.000000", "127.0", "warning: line 1: conv_param_0: 1 groups exceed the six bits"),
        (
            "fc_param_0",
            "#fc_param_0",
            "error: fc_param_0: is commented out while fc is there: the layer stays float, and",
        ),
        ("fc 3.0", "# fc 3.0", "error: fc: is commented out while fc_param_0 is there: the layer stays float"),
        ("conv 2.0 \nfc 3.0 \nlast 4.0", "", "error: conv: is missing while conv_param_0 is there"),
    ],
)
def test_what_is_found(old: str, new: str, expected: str) -> None:
    assert old in GOOD
    found = messages(GOOD.replace(old, new), model())
    assert any(message.startswith(expected) for message in found), found


def test_fixes() -> None:
    assert fixes(GOOD.replace("conv 2.0", "\nconv 2.0"), model()) == ["delete the line"]
    assert fixes(GOOD.replace("conv 2.0", "conv 2,0"), model()) == ["write 2.0"]
    assert "delete it, or write last" in fixes(GOOD.replace("last 4.0", "lest 4.0"), model())
    assert fixes(GOOD.replace("fc_param_0", "#fc_param_0"), model()) == ["write # before fc as well, or take both away"]
    assert "the scales are 63.500000 31.750000" in fixes(GOOD.replace("63.500000", "inf"), model())


def test_a_layer_without_any_row_is_a_warning_only() -> None:
    text = GOOD.replace("last", "#last")
    assert messages(text, model()) == ["warning: last: its rows are commented out: the layer stays float"]


def test_a_layer_name_that_looks_like_a_weight_row() -> None:
    graph = Graph([layer_of("InnerProduct", "x_param_0y", "a", "b", [1.0], num_output=1)])
    found = messages("x_param_0y_param_0 127.0\nx_param_0y 1.0\n", graph)
    assert found == [
        "error: x_param_0y: the real ncnn2int8 takes its activation row for weights, and leaves the layer float"
    ]


def test_what_rows_mean() -> None:
    table = parse_table(GOOD.replace("63.500000", "254.0"))
    conv, fc = model().layers[1:3]
    text = "\n".join(explain_layer(table, conv))
    assert "code 1 is 0.5, and beyond +-63.5 all is clipped" in text
    assert "keeps to 31" in text
    assert "50.000% of the weights are clipped" in "\n".join(explain_layer(table, fc))
    assert "the layer stays float" in "\n".join(explain_layer(parse_table("x 1.0\n"), conv))


def test_differences() -> None:
    a = parse_table(GOOD)
    b = parse_table(GOOD.replace("fc 3.0", "fc 3.3").replace("63.500000", "63.500004").replace("last 4.0", "new 4.0"))
    found = {difference.key: difference.message for difference in diff_tables(a, b)}
    assert set(found) == {"fc", "last", "new"}
    assert "+10.000%" in found["fc"]
    assert diff_tables(a, a) == []
    assert [difference.key for difference in diff_tables(a, b, tolerance=0.0)].count("fc_param_0") == 1


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_model(model(), "net.param", "net.bin", fp16=False)
    Path("good.table").write_text(GOOD)
    Path("bad.table").write_text(GOOD.replace("fc 3.0", "fc 0.0"))
    assert invoke(command, ["lint", "good.table", "net.param", "net.bin"]) == 0
    assert invoke(command, ["lint", "bad.table"]) == 1
    assert invoke(command, ["diff", "good.table", "bad.table"]) == 1
    assert invoke(command, ["diff", "good.table", "good.table"]) == 0
    assert invoke(command, ["explain", "good.table", "net.param", "net.bin", "fc"]) == 0
    assert invoke(command, ["explain", "good.table", "net.param", "net.bin", "data"]) == 1
    assert invoke(command, ["lint", "good.table", "net.param"]) == 1
    assert invoke(command, ["plot", "good.table", "bad.table", "-o", "tables.png"]) == 0
    picture = cv2.imread("tables.png")
    assert picture is not None and picture.shape[1] > 1000
    assert "good.table: 0 errors, 0 warnings" in capsys.readouterr().out
