"""Networks: against the spec bit for bit, against the real runtime within tolerances, and how extractors behave."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastpath
import spec.net
from fastpath.layers.common import Array
from spec.errors import GraphError, UnsupportedError, UsageError
from spec.formats.param import parse_param
from spec.formats.weights import read_model
from spec.graph import float_weight
from tests.models import DIGITS, model_folder

RELATIVE = {
    "float": 1e-5,
    "int8-kl": 2e-6,
}
"""Largest difference to the real runtime's output, as a fraction of the output's largest magnitude.

Float: BLAS and the runtime sum in different orders; over the depth of these networks that stays a small multiple of
the binary32 step (6e-8). int8: the plain C++ layers give the same codes, so only exp of the last Softmax differs, by up
to 2 units in the last place; networks that were run through vector code round their last dequantization differently.
"""

OF_RUNTIME = ("squeezenet_v1.1", "rfb320", *DIGITS)


@dataclass(frozen=True)
class Case:
    """One input of a shipped network and what the real runtime made of it."""

    name: str
    kind: str
    number: str

    def load(self) -> tuple[fastpath.Net, dict[str, Array], dict[str, Array]]:
        folder = model_folder(self.name)
        net = fastpath.Net()
        net.load_param(folder / f"{self.kind}.param")
        net.load_model(folder / f"{self.kind}.bin")
        inputs = {path.stem.split("-", 2)[2]: np.load(path) for path in folder.glob(f"input-{self.number}-*.npy")}
        return net, inputs, {blob: np.load(_expected(folder, self, blob)) for blob in net.output_names()}


def _expected(folder: Path, case: Case, blob: str) -> Path:
    naive = folder / f"output-int8naive-{case.number}-{blob}.npy"
    if case.kind != "float" and naive.exists():
        return naive
    return folder / f"output-{'float' if case.kind == 'float' else 'int8'}-{case.number}-{blob}.npy"


CASES = [Case(name, kind, "0") for name in OF_RUNTIME for kind in RELATIVE]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.kind}")
def test_outputs_of_the_real_runtime(case: Case) -> None:
    net, inputs, expected = case.load()
    with net.create_extractor() as extractor:
        for name, blob in inputs.items():
            extractor.input(name, blob)
        for name, wanted in expected.items():
            got = extractor.extract(name)[1]
            assert got.shape == wanted.shape
            difference = np.abs(got - wanted)
            relative = difference.max() / np.abs(wanted).max()
            print(
                f"{case.name:17} {case.kind:8} {name:8} max {difference.max():9.2e}  of the largest {relative:9.2e}  "
                f"differing {np.mean(difference > 0):6.1%}"
            )
            assert relative <= RELATIVE[case.kind]


@pytest.mark.parametrize("name", DIGITS)
def test_int8_networks_equal_the_spec_blob_by_blob(name: str) -> None:
    folder = model_folder(name)
    graph = read_model(folder / "int8-kl.param", folder / "int8-kl.bin")
    slow, fast = spec.net.Net.from_graph(graph).create_extractor(), fastpath.Net.from_graph(graph).create_extractor()
    fast.set_light_mode(False)
    for path in folder.glob("input-0-*.npy"):
        data = np.load(path)
        assert slow.input(path.stem.split("-", 2)[2], data) == fast.input(path.stem.split("-", 2)[2], data) == 0
    for layer in graph:
        for blob in layer.tops:
            expected, got = np.array(slow.extract(blob, 1)[1]), fast.extract(blob, 1)[1]
            assert (expected.shape, expected.dtype) == (got.shape, got.dtype), layer.name
            assert expected.tobytes() == got.tobytes(), layer.name


# The extractor.

BRANCHES = b"""7767517
6 7
Input x 0 1 x
Split split 1 2 x a b
ReLU relu 1 1 a c
Sigmoid sigmoid 1 1 b d
BinaryOp add 2 1 c d e
Quantize codes 1 1 e f 0=1
"""


@pytest.fixture
def net() -> fastpath.Net:
    graph = parse_param(BRANCHES)
    graph.layer("codes").weights["scale_data"] = float_weight("scale_data", array("f", [10.0]), "raw")
    return fastpath.Net.from_graph(graph)


def test_names_and_indexes(net: fastpath.Net) -> None:
    assert (net.input_names(), net.output_names()) == (["x"], ["f"])
    extractor = net.create_extractor()
    assert extractor.input(0, [[1.0, -2.0]]) == 0
    ret, out = extractor.extract(3)
    assert (ret, out.tolist()) == (0, [[1.0, 0.0]])
    assert extractor.extract("c")[1].tolist() == [[1.0, 0.0]]
    for wrong in ("nothing", 99, -1):
        with pytest.raises(GraphError):
            extractor.extract(wrong)
        with pytest.raises(GraphError):
            extractor.input(wrong, [1.0])


def test_extract_types_and_copies(net: fastpath.Net) -> None:
    extractor = net.create_extractor()
    extractor.input("e", np.array([0.25, -0.25]))
    assert extractor.extract("f")[1].dtype == np.float32
    assert extractor.extract("f", 0)[1].tolist() == [3.0, -3.0]
    assert extractor.extract("f", type=1)[1].dtype == np.int8
    extractor.extract("f", 1)[1][:] = 99
    assert extractor.extract("f", 1)[1].tolist() == [3, -3]


@pytest.mark.parametrize("light", [True, False])
def test_any_order_of_extraction(net: fastpath.Net, light: bool) -> None:
    extractor = net.create_extractor()
    extractor.set_light_mode(light)
    extractor.input("x", [1.0, -1.0])
    last = extractor.extract("e")[1]
    first = extractor.extract("c")[1]
    assert first.tolist() == [1.0, 0.0]
    assert extractor.extract("e")[1].tolist() == last.tolist()


def test_only_what_is_needed_runs_and_any_blob_may_be_fed(net: fastpath.Net) -> None:
    extractor = net.create_extractor()
    extractor.input("a", [2.0])
    assert extractor.extract("c")[1].tolist() == [2.0]
    with pytest.raises(GraphError, match="layer x: Input blob x was not fed"):
        extractor.extract("e")
    extractor.input("d", [0.5])
    assert extractor.extract("e")[1].tolist() == [2.5]
    extractor.input("a", [3.0])
    assert extractor.extract("e")[1].tolist() == [3.5], "what came from earlier inputs is forgotten"


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        ([1, 2], np.float32),
        (np.array([1.5]), np.float32),
        (np.array([1], np.int8), np.int8),
        (np.array([1], np.int64), np.int32),
        (np.ones((2, 3), np.float32)[:, ::2], np.float32),
    ],
)
def test_inputs_of_many_kinds(net: fastpath.Net, data: Any, dtype: type) -> None:
    extractor = net.create_extractor()
    extractor.input("x", data)
    blob = extractor.extract("x", 1)[1]
    assert blob.dtype == dtype
    assert blob.tolist() == np.array(data).tolist()


@pytest.mark.parametrize("data", [np.ones(2, np.uint8), np.ones((1,) * 5, np.float32), 1.0])
def test_inputs_that_are_no_blobs(net: fastpath.Net, data: Any) -> None:
    with pytest.raises(UsageError):
        net.create_extractor().input("x", data)


def test_life_of_a_net() -> None:
    folder = model_folder("digits-cnn")
    with fastpath.Net() as net:
        with pytest.raises(UsageError):
            net.create_extractor()
        assert net.load_param(str(folder / "int8-kl.param")) == 0
        with pytest.raises(UsageError):
            net.create_extractor()
        assert net.load_model(str(folder / "int8-kl.bin")) == 0
        net.create_extractor()
        net.clear()
        with pytest.raises(UsageError):
            net.input_names()


def test_int8_weights_without_int8_inference_are_refused() -> None:
    folder = model_folder("digits-cnn")
    net = fastpath.Net()
    net.opt.use_int8_inference = False
    net.load_param(folder / "int8-kl.param")
    with pytest.raises(GraphError, match="use_int8_inference is off"):
        net.load_model(folder / "int8-kl.bin")


def test_unknown_layers_are_refused() -> None:
    graph = parse_param(b"7767517\n1 1\nInput x 0 1 x\n")
    graph.layers[0].type = "Packing"
    with pytest.raises(UnsupportedError, match="layer x: Packing is a layer type of ncnn that cannot run here"):
        fastpath.Net.from_graph(graph)


def test_one_net_serves_several_shapes_and_extractors() -> None:
    folder = model_folder("digits-cnn")
    net = fastpath.Net.from_graph(read_model(folder / "int8-kl.param", folder / "int8-kl.bin"))
    name, inputs = net.input_names()[0], [np.load(path) for path in sorted(folder.glob("input-*.npy"))]

    def run(data: Array) -> bytes:
        extractor = net.create_extractor()
        extractor.input(name, data)
        return extractor.extract("3")[1].tobytes()

    alone = [run(data) for data in inputs]
    wide = np.concatenate([inputs[0], inputs[1]], axis=2)
    assert [run(data) for data in (wide, *inputs)][1:] == alone
