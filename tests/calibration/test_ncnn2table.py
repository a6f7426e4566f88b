"""The command on a small network that the tests make: what it writes, and what it refuses."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastpath.calibration.plots import plot_histogram
from fastpath.calibration.statistics import blob_histogram, blob_range
from fastpath.commands import ncnn2table
from fastpath.commands.verdicts import tables as verdicts
from spec.formats.weights import write_model
from spec.graph import Graph, Layer, float_weight

Run = Callable[..., tuple[int, str]]


def rows(path: str) -> dict[str, list[str]]:
    return verdicts.rows(Path(path).read_text())


def small_net() -> Graph:
    """3 x 6 x 6 -> Convolution of 4 outputs -> InnerProduct of 2 outputs."""
    random = np.random.default_rng(11)
    source = Layer("Input", "data", [], ["data"])
    conv = Layer("Convolution", "conv", ["data"], ["a"])
    fc = Layer("InnerProduct", "fc", ["a"], ["b"])
    for layer, params in (
        (conv, {"num_output": 4, "kernel_w": 3, "weight_data_size": 108, "activation_type": 1}),
        (fc, {"num_output": 2, "weight_data_size": 128}),
    ):
        for name, value in params.items():
            layer.set(name, value)
        values = array("f", random.normal(size=params["weight_data_size"]))
        layer.weights["weight_data"] = float_weight("weight_data", values, "tagged")
    return Graph([source, conv, fc])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command beside the network, five pictures and five npy files."""
    monkeypatch.chdir(tmp_path)
    write_model(small_net(), "net.param", "net.bin", fp16=False)
    random = np.random.default_rng(12)
    for i in range(5):
        picture = random.integers(0, 256, (7 + i, 9, 3), np.uint8)
        cv2.imwrite(f"{i}.png", picture)
        np.save(f"{i}.npy", random.normal(size=(3, 6, 6)).astype(np.float32))
    Path("pictures.txt").write_text("".join(f"{i}.png\n" for i in range(5)))
    Path("arrays.txt").write_text("".join(f"{i}.npy\n" for i in range(5)))

    def call(*words: str) -> tuple[int, str]:
        status = ncnn2table.main(words)
        return status, capsys.readouterr().err

    return call


NET = ("net.param", "net.bin")
NPY = ("shape=[6,6,3]", "type=1")
PICTURES = ("mean=[104,117,123]", "norm=[0.02,0.02,0.02]", "shape=[6,6]", "pixel=BGR")


def test_both_habits_give_the_same_table(run: Run) -> None:
    assert run(*NET, "pictures.txt", "a.table", *PICTURES, "method=aciq")[0] == 0
    options = [f"--{word}" for word in (*PICTURES, "method=aciq")]
    assert run(*options, *NET, "pictures.txt", "b.table")[0] == 0
    split = [part for word in (*PICTURES, "method=aciq") for part in (f"--{word.split('=')[0]}", word.split("=", 1)[1])]
    assert run(*NET, "pictures.txt", "c.table", *split)[0] == 0
    assert Path("a.table").read_bytes() == Path("b.table").read_bytes() == Path("c.table").read_bytes()
    assert list(rows("a.table")) == ["conv_param_0", "fc_param_0", "conv", "fc"]


@pytest.mark.parametrize("how", [("arrays.txt", NPY), ("pictures.txt", PICTURES)])
def test_both_engines_give_the_same_table(run: Run, how: tuple[str, tuple[str, ...]]) -> None:
    samples, words = how
    assert run(*NET, samples, "fast.table", *words, "method=aciq")[0] == 0
    assert run(*NET, samples, "spec.table", *words, "method=aciq", "engine=spec")[0] == 0
    fast, spec = rows("fast.table"), rows("spec.table")
    assert {key: spec[key] for key in list(spec)[:3]} == {key: fast[key] for key in list(fast)[:3]}
    assert float(fast["fc"][0]) == pytest.approx(float(spec["fc"][0]), rel=2e-6)


def test_eq_runs_to_the_end(run: Run) -> None:
    status, said = run(*NET, "arrays.txt", "eq.table", *NPY, "method=eq")
    assert status == 0
    assert "conv w 3  = " in said and "fc b 0  = " in said
    run(*NET, "arrays.txt", "kl.table", *NPY, "method=kl")
    eq, kl = rows("eq.table"), rows("kl.table")
    ratios = [float(a) / float(b) for key in eq for a, b in zip(eq[key], kl[key], strict=True)]
    assert all(0.499 < ratio < 2 for ratio in ratios) and any(ratio != 1 for ratio in ratios)


def test_without_lists_only_static_layers_get_rows(run: Run) -> None:
    status, said = run(*NET, "t.table", "method=kl")
    assert (status, Path("t.table").read_bytes()) == (0, b"")
    assert "calibration dataset not provided" in said


def test_a_table_path_with_an_equals_sign(run: Run) -> None:
    assert run(*NET, "arrays.txt", "run=1.table", *NPY)[0] == 0
    assert Path("run=1.table").exists()
    assert Path("arrays.txt").read_text().startswith("0.npy")


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert ncnn2table.main(["--help"]) == 0
    text = capsys.readouterr().out
    for word in ("--mean", "--shape", "--method", "--engine", "--upstream", "--plot"):
        assert word in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*PICTURES, "thread=0"), "malformed thread 0"),
        ((*PICTURES, "thread=many"), "malformed thread many"),
        ((*PICTURES, "pixle=BGR"), "unknown key pixle"),
        ((*PICTURES, "mean=[1,2]"), "mean of input data: BGR needs 3 numbers, but got 2"),
        ((*PICTURES, "norm=[1,2,x]"), "expected a number, but got 'x'"),
        ((*PICTURES, "shape=[6]"), "shape of input data: expected [w,h] or [w,h,c], but got [6]"),
        ((*PICTURES, "pixel=RAW"), "RAW is not implemented"),
        ((*PICTURES, "engine=gpu"), "unknown engine gpu"),
        ((*PICTURES, "type=1", "shape=[0,0]"), "expected 1 to 4 positive numbers"),
    ],
)
def test_arguments_that_cannot_be_used(run: Run, words: tuple[str, ...], message: str) -> None:
    Path("t.table").write_text("as it was")
    status, said = run(*NET, "pictures.txt", "t.table", *words)
    assert status == 255
    assert message in said
    assert Path("t.table").read_text() == "as it was"


@pytest.mark.parametrize("engine", ["fastpath", "spec"])
@pytest.mark.parametrize(
    ("list_text", "content", "message"),
    [
        ("0.png\n\nbad.png\n", None, "bad.png: named in list.txt, line 3: cannot be read"),
        ("0.png\nbad.png\n", b"GIF?", "bad.png: named in list.txt, line 2: expected a"),
        ("0.png\nbad.png\n", b"\x89PNG\r\n\x1a\n" + bytes(40), "bad.png: named in list.txt, line 2:"),
        ("bad.png\n", b"P6 300 1 255\n" + bytes(900), "300 x 1 pixels become 6 x 0: nothing is left"),
    ],
)
def test_samples_that_cannot_be_used(
    run: Run, engine: str, list_text: str, content: bytes | None, message: str
) -> None:
    Path("list.txt").write_text(list_text)
    if content is not None:
        Path("bad.png").write_bytes(content)
    Path("t.table").write_text("as it was")
    status, said = run(*NET, "list.txt", "t.table", *PICTURES, "shape=[6,0]", "method=aciq", f"engine={engine}")
    assert status == 1
    assert message in said
    assert Path("t.table").read_text() == "as it was"


@pytest.mark.parametrize("engine", ["fastpath", "spec"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_activations_without_a_scale_name_sample_and_layer(run: Run, engine: str, bad: float) -> None:
    values = np.zeros((3, 6, 6), np.float32)
    values[1, 2, 3] = bad
    np.save("3.npy", values)
    status, said = run(*NET, "arrays.txt", "t.table", *NPY, f"engine={engine}")
    assert status == 1
    assert "3.npy (arrays.txt, line 4): layer conv: the activations hold" in said
    assert not Path("t.table").exists()


def test_lists_of_different_lengths(run: Run) -> None:
    graph = small_net()
    graph.layers.insert(1, Layer("Input", "second", [], ["other"]))
    write_model(graph, "two.param", "two.bin", fp16=False)
    Path("short.txt").write_text("0.npy\n")
    words = ("shape=[6,6,3],[6,6,3]", "type=1")
    status, said = run("two.param", "two.bin", "arrays.txt,short.txt", "t.table", *words)
    assert (status, "short.txt names 1 samples, but arrays.txt names 5" in said) == (255, True)
    status, said = run("two.param", "two.bin", "short.txt,arrays.txt", "t.table", *words)
    assert status == 255
    assert run("two.param", "two.bin", "short.txt,arrays.txt", "t.table", *words, "--upstream")[0] == 0


def test_an_unwritable_table_is_a_failure(run: Run) -> None:
    status, said = run(*NET, "arrays.txt", "absent/t.table", *NPY)
    assert (status, "fopen absent/t.table failed" in said) == (255, True)
    Path("folder").mkdir()
    assert run(*NET, "arrays.txt", "folder", *NPY)[0] == 1


def test_advice(run: Run) -> None:
    for i in range(5):
        levels = np.minimum(np.random.default_rng(i).geometric(0.5, (3, 6, 6)), 17) / 17
        np.save(f"{i}.npy", levels.astype(np.float32))
    assert "few distinct magnitudes" in run(*NET, "arrays.txt", "t.table", *NPY)[1]
    assert "aciq clips nothing in conv, fc" in run(*NET, "arrays.txt", "t.table", *NPY, "method=aciq")[1]
    for i in range(5):
        np.save(f"{i}.npy", np.full((3, 6, 6), 1e9, np.float32))
    assert "six decimals" in run(*NET, "arrays.txt", "t.table", *NPY, "method=aciq")[1]
    for i in range(5):
        np.save(f"{i}.npy", np.zeros((3, 6, 6), np.float32))
    status, said = run(*NET, "arrays.txt", "t.table", *NPY)
    assert (status, "conv: the activations are always zero" in said) == (0, True)
    assert rows("t.table")["conv"] == ["inf"]


def test_pictures_of_what_was_found(run: Run) -> None:
    status, _ = run(*NET, "arrays.txt", "t.table", *NPY, "plot=drawn")
    assert status == 0
    assert sorted(path.name for path in Path("drawn").iterdir()) == ["1-conv.png", "2-fc.png", "overview.png"]
    for path in Path("drawn").iterdir():
        picture = cv2.imread(str(path))
        assert picture is not None and picture.shape[0] > 200 and picture.shape[1] > 500


def test_processes_and_checkpoints_change_nothing(run: Run) -> None:
    assert run(*NET, "arrays.txt", "a.table", *NPY)[0] == 0
    assert run(*NET, "arrays.txt", "b.table", *NPY, "--workers", "2")[0] == 0
    assert run(*NET, "arrays.txt", "c.table", *NPY, "--checkpoint", "state")[0] == 0
    assert Path("a.table").read_bytes() == Path("b.table").read_bytes() == Path("c.table").read_bytes()
    assert not Path("state").exists()


def test_a_checkpoint_stays_until_the_table_is_there(run: Run) -> None:
    good = Path("4.npy").read_bytes()
    Path("4.npy").unlink()
    assert run(*NET, "arrays.txt", "t.table", *NPY, "--checkpoint", "state")[0] == 1
    assert Path("state").exists()
    Path("4.npy").write_bytes(good)
    status, said = run(*NET, "arrays.txt", "t.table", *NPY, "--checkpoint", "state")
    assert (status, "another model, other samples or other settings" in said) == (1, True)


@pytest.mark.parametrize(
    "words",
    [
        ("--executor", "serial", "--workers", "2"),
        ("--executor", "dask"),
        ("--scheduler", "tcp://127.0.0.1:1"),
        ("--executor", "dask", "--scheduler", "tcp://127.0.0.1:1", "--workers", "2"),
        ("--memory", "much"),
        ("--workers", "2", "engine=spec"),
        ("--checkpoint", "state", "engine=spec"),
    ],
)
def test_ways_that_do_not_go_together(run: Run, words: tuple[str, ...]) -> None:
    assert run(*NET, "arrays.txt", "t.table", *NPY, *words)[0] == 255


@pytest.mark.parametrize("engine", ["fastpath", "spec"])
def test_ids_for_embed(run: Run, engine: str) -> None:
    """Whole numbers, int32, and the bits of int32 name the same rows."""
    random = np.random.default_rng(3)
    embed = Layer("Embed", "embed", ["ids"], ["words"])
    fc = Layer("InnerProduct", "fc", ["words"], ["b"])
    for layer, params in (
        (embed, {"num_output": 4, "input_dim": 9, "weight_data_size": 36}),
        (fc, {"num_output": 2, "weight_data_size": 8}),
    ):
        for name, value in params.items():
            layer.set(name, value)
        values = array("f", random.normal(size=params["weight_data_size"]))
        layer.weights["weight_data"] = float_weight("weight_data", values, "tagged")
    write_model(Graph([Layer("Input", "ids", [], ["ids"]), embed, fc]), "words.param", "words.bin", fp16=False)
    ids = np.array([3, 8, 0, 5, 3], np.int32)
    tables = []
    for name, stored in {"whole": ids.astype(np.float32), "int": ids, "bits": ids.view(np.float32)}.items():
        np.save("ids.npy", stored)
        Path("ids.txt").write_text("ids.npy\n")
        words = ("shape=[5]", "type=1", "method=aciq", f"engine={engine}")
        status, said = run("words.param", "words.bin", "ids.txt", f"{name}.table", *words)
        assert status == 0, said
        tables.append(rows(f"{name}.table"))
    assert tables[0] == tables[1] == tables[2]
    absmax = np.abs(np.array(embed.weight("weight_data").floats()).reshape(9, 4)[ids]).max()
    count = 20
    spread = 0.175 * (1 + np.sqrt(np.pi * np.log(4))) * 2 * absmax / np.sqrt(2 * np.log(count))
    assert float(tables[0]["fc"][0]) == pytest.approx(127 / (3.92403714 * spread), rel=1e-5)


def test_a_single_histogram(tmp_path: Path) -> None:
    values = np.random.default_rng(5).normal(size=1000).astype(np.float32)
    histogram = blob_histogram(values, blob_range(values, 0).absmax)
    path = plot_histogram(histogram, {"kl": 2.0, "absmax": histogram.absmax}, tmp_path / "one.png", title="conv1")
    picture = cv2.imread(str(path))
    assert picture is not None and len(np.unique(picture.reshape(-1, 3), axis=0)) > 10
