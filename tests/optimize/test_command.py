"""The command: what it says, what it writes, how it fails."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from fastpath.commands.ncnnoptimize import flag_number, main
from spec.formats.param import read_param
from spec.formats.weights import read_model, write_model
from tests.optimize.nets import net

LINES = (
    "Input data 0 1 data 0=6 1=5 2=3",
    "Convolution conv$1 1 1 data a 0=4 1=3 4=1 5=1 6=108",
    "BatchNorm norm 1 1 a b 0=4",
    "ReLU relu 1 1 b c",
    "Split split 1 2 c d e",
    "Convolution right 1 1 e f 0=4 1=1 6=16",
    "BinaryOp sum 2 1 d f g",
)


@pytest.fixture
def model(tmp_path: Path) -> list[str]:
    """The arguments of a run on a small network."""
    names = [str(tmp_path / name) for name in ("in.param", "in.bin", "out.param", "out.bin")]
    write_model(net(*LINES), names[0], names[1], fp16=False)
    return names


def outputs(model: list[str]) -> tuple[bytes, bytes]:
    return Path(model[2]).read_bytes(), Path(model[3]).read_bytes()


def test_both_engines_write_the_same(model: list[str]) -> None:
    results = []
    for flag in ("0", "65536"):
        for upstream in ([], ["--upstream"]):
            for engine in ("spec", "fastpath"):
                assert main([*model, flag, "--engine", engine, *upstream]) == 0
                results.append(outputs(model))
            assert results[-1] == results[-2]
    assert len({data for _, data in results}) >= 2


def test_nothing_goes_to_stdout(model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*model, "0"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "fuse_convolution_batchnorm conv$1 norm",
        "fuse_convolution_activation conv$1 relu",
        "shape_inference",
        "input = data",
        "extract = g",
        "estimated memory footprint = 1.41 KB = 0.00 MB",
        f"mac = {9 * 30 * 12 + 30 * 16} = 0.00 M",
    ]


def test_explain_says_and_draws(model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*model, "0", "--explain"]) == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    assert ["fuse_convolution_batchnorm", "1", "conv$1", "←", "norm"] in rows
    assert ["layers", "7", "5"] in rows
    assert ["multiply-accumulates", "3,720", "3,720"] in rows
    drawing = ElementTree.parse(Path(model[2]).with_suffix(".svg")).getroot()
    words = "".join(drawing.itertext())
    assert "before: 7 layers" in words and "after: 5 layers" in words and "conv$1" in words


def test_explain_when_there_is_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(tmp_path / name) for name in ("in.param", "in.bin", "out.param", "out.bin")]
    write_model(net("Input data 0 1 data", "ReLU r 1 1 data r"), names[0], names[1], fp16=False)
    assert main([*names, "0", "--explain"]) == 0
    assert "no pass was applied" in capsys.readouterr().out


def test_a_cut_piece_can_be_read_again(model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*model, "0", "split", "right"]) == 0
    assert "cutstart layer 4:split\ncutend layer 5:right\n" in capsys.readouterr().err
    piece = read_model(model[2], model[3])
    assert [layer.name for layer in piece] == ["c", "split", "right"]
    assert piece.blob_shapes() == dict.fromkeys("cdef", (4, 5, 6))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({0: "missing.param"}, "missing.param: cannot be read"),
        ({1: "missing.bin"}, "missing.bin: cannot be read"),
        ({3: "missing/out.bin"}, "cannot be written"),
        ({5: "nobody"}, "not find target cutstart layer nobody"),
    ],
)
def test_failures_leave_nothing_behind(
    change: dict[int, str], words: str, model: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [*model, "0"]
    for place, name in change.items():
        argv[place:] = [str(tmp_path / name) if place < 5 else name, *argv[place + 1 :]]
    before = sorted(tmp_path.iterdir())
    assert main(argv) != 0
    assert words in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_a_failing_pass_leaves_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(tmp_path / name) for name in ("in.param", "in.bin", "out.param", "out.bin")]
    lines = ("Input data 0 1 data 0=4", "ReLU r 1 1 data r", "Split s 1 1 r t")
    write_model(net(*lines), names[0], names[1], fp16=False)
    assert main([*names, "0", "--upstream"]) != 0
    assert "layer s: ncnnoptimize writes a broken file here" in capsys.readouterr().err
    assert not Path(names[2]).exists() and not Path(names[3]).exists()


def test_null_weights_come_out_random(model: list[str]) -> None:
    assert main([model[0], "null", *model[2:], "0"]) == 0
    folded = read_model(model[2], model[3]).layer("conv$1").weights["weight_data"].values
    assert len(set(folded)) > 100 and max(map(abs, folded)) < 1.2


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("65536", 65536), ("-1", -1), ("+1", 1), (" 1x", 1), ("abc", 0), ("", 0), ("1.5", 1)]
)
def test_flags_are_read_as_c_does(text: str, number: int) -> None:
    assert flag_number(text) == number


def test_float_parameters_keep_their_digits(tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("in.param", "in.bin", "out.param", "out.bin")]
    write_model(net("Input data 0 1 data 0=4", "Clip c 1 1 data c 0=-0.123456789"), names[0], names[1], fp16=False)
    kept = read_param(names[0]).layer("c").get.number("min")
    assert main([*names, "0"]) == 0
    assert read_param(names[2]).layer("c").get.number("min") == kept
    assert main([*names, "0", "--upstream"]) == 0
    assert read_param(names[2]).layer("c").get.number("min") != kept
