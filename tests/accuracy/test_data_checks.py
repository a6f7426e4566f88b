"""Advice about samples: each mistake is made on purpose, and good samples get none."""

from __future__ import annotations

import numpy as np
import pytest

from fastpath.accuracy.data_checks import check_data
from fastpath.accuracy.samples import open_samples
from fastpath.commands.inputs import ImageOptions, load_input
from fastpath.layers.common import Array
from spec.formats.weights import read_model
from spec.graph import Graph
from tests.accuracy.nets import blobs, branching
from tests.accuracy.test_tune import _Blobs
from tests.models import model_folder, optimized_files


def advice(found: list[Array]) -> str:
    return "\n".join(check_data(branching(), _Blobs.of(found)))  # type: ignore[arg-type]


def test_good_samples_get_no_advice() -> None:
    assert advice(blobs(20)) == ""


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (blobs(3), "only 3 samples"),
        ([blobs(1)[0] + 1e-3 * noise for noise in blobs(20)], "16 of 16 samples nearly equal another one"),
        ([1e4 * blob for blob in blobs(20)], "fit no usual preparation"),
        ([1e-4 * blob for blob in blobs(20)], "applied twice"),
        ([np.zeros((2, 8, 8), np.float32)] * 20, "all values are 0"),
    ],
)
def test_mistakes_are_found(found: list[Array], words: str) -> None:
    assert words in advice(found)


def test_no_samples() -> None:
    assert advice([]) == "there are no samples"


def pictures(name: str, image: ImageOptions) -> str:
    folder = model_folder(name)
    graph: Graph = read_model(*(str(path) for path in optimized_files(folder)))
    samples = open_samples([str(folder / "calib.txt")], graph.input_names(), lambda path: load_input(path, image))
    return "\n".join(check_data(graph, samples))


RIGHT = {
    "squeezenet_v1.1": ImageOptions((227, 227), "BGR", (104.0, 117.0, 123.0), (1.0, 1.0, 1.0)),
    "rfb320": ImageOptions((320, 240), "RGB", (127.0,) * 3, (0.0078125,) * 3),
    "fastestdet": ImageOptions((224, 224), "BGR", (0.0,) * 3, (0.003921568,) * 3),
}


@pytest.mark.parametrize("name", RIGHT)
def test_real_networks_with_the_right_preparation_get_no_advice(name: str) -> None:
    assert pictures(name, RIGHT[name]) == ""


@pytest.mark.parametrize("name", ["rfb320", "fastestdet"])
def test_raw_pixels_are_found(name: str) -> None:
    right = RIGHT[name]
    assert "look like raw pixels" in pictures(name, ImageOptions(right.size, right.pixel, (0.0,) * 3, (1.0,) * 3))


@pytest.mark.parametrize("name", ["squeezenet_v1.1", "fastestdet"])
def test_exchanged_colours_are_suspected(name: str) -> None:
    right = RIGHT[name]
    assert "check --pixel" in pictures(name, ImageOptions(right.size, "RGB", right.mean, right.norm))
