"""What the spec's calibration refuses, and its corners that no recorded table reaches."""

from __future__ import annotations

import math
import struct
import zlib
from array import array

import pytest

from spec.binary32 import f32
from spec.blob import float_blob
from spec.calibration.calibrate import (
    aciq_calibration,
    calibrate,
    check_upstream_search,
    kl_calibration,
    net_activations,
    scale_of,
)
from spec.calibration.eq import search_scales
from spec.calibration.images import decode_image
from spec.calibration.statistics import Range, empty_histogram
from spec.calibration.weight_scales import weight_scales
from spec.errors import CalibrationError, FormatError, GraphError
from spec.graph import Graph, Layer, float_weight
from spec.layers.inner_product import forward
from spec.net import Net
from tests.golden_room.fast_search import fast_search


def inner_product(name: str = "fc", bottom: str = "x", weight: float = 1.0) -> Layer:
    """One input, one output."""
    record = float_weight("weight_data", array("f", [weight]), "tagged")
    return Layer("InnerProduct", name, [bottom], [f"{name}_out"], {0: 1, 2: 1}, [], {"weight_data": record})


def silent(line: str) -> None:
    pass


class Sample:
    """A sample of one value."""

    name = "sample"

    def load(self) -> list:  # type: ignore[type-arg]
        return [float_blob((1,), [1.0])]


def test_no_samples() -> None:
    graph = Graph([Layer("Input", "x", [], ["x"]), inner_product()])
    with pytest.raises(CalibrationError, match="there are no samples"):
        calibrate(graph, [], lambda inputs, names: list(inputs), report=silent)


def test_a_layer_without_outputs() -> None:
    layer = inner_product()
    layer.set("num_output", 0)
    with pytest.raises(GraphError, match="0 weight groups cannot be calibrated"):
        weight_scales(layer, "kl", report=silent)


def test_weights_that_are_not_numbers_have_no_scale() -> None:
    layer = inner_product(weight=math.nan)
    assert all(map(math.isnan, weight_scales(layer, "aciq", upstream=True, report=silent)))
    assert math.isnan(scale_of(math.nan))


def test_one_value_keeps_its_magnitude_unless_upstream() -> None:
    """The real tool divides by the logarithm of 1, gets an infinite threshold and the scale 0."""
    extent = Range(2.0, 1, 0)
    assert aciq_calibration(inner_product(), [1.0], extent, None, upstream=False).bottom_scale == 63.5
    assert aciq_calibration(inner_product(), [1.0], extent, None, upstream=True).bottom_scale == 0.0


def test_activations_that_are_always_zero_have_an_infinite_scale() -> None:
    found = kl_calibration(inner_product(), [1.0], Range(0.0, 4, 0), empty_histogram(0.0))
    assert (found.threshold, found.bottom_scale) == (0.0, math.inf)


def test_what_the_real_search_cannot_do() -> None:
    first, second = inner_product("a"), inner_product("b", "a_out")
    graph = Graph([Layer("Input", "x", [], ["x"]), first, second])
    found = [kl_calibration(layer, [1.0], Range(0.0, 1, 0), empty_histogram(0.0)) for layer in (first, second)]
    check_upstream_search(found, graph, [Sample(), Sample()])
    with pytest.raises(CalibrationError, match="needs 2 samples, one for each layer"):
        check_upstream_search(found, graph, [Sample()])
    second.set("num_output", 2)
    with pytest.raises(CalibrationError, match="needs one input and layers with one weight scale each"):
        check_upstream_search(found, graph, [Sample(), Sample()])


def test_by_default_the_search_looks_at_all_samples_of_each_layer() -> None:
    """One weight, one input: every candidate gives a cosine of 1 or -1, and the first of the best is half the scale."""
    graph = Graph([Layer("Input", "x", [], ["x"]), inner_product(weight=2.0)])
    with fast_search(), Net.from_graph(graph) as network:
        found = calibrate(graph, [Sample(), Sample()], net_activations(network), "eq", report=silent)
    (layer,) = found.layers
    assert layer.weight_scales == [0.5 * 127 / 2.0]
    assert layer.bottom_scale == f32(0.5 * f32(127 / f32(f32(128.5) / 2048)))


def test_infinite_scales_are_left_alone() -> None:
    layer = inner_product()
    pairs = [(blob, forward(layer, [blob])[0]) for blob in [float_blob((1,), [0.5])]]
    said: list[str] = []
    assert search_scales(layer, pairs, [math.inf], math.inf, report=said.append) == ([math.inf], math.inf)
    assert said == ["fc w 0  = inf -> inf", "fc b 0  = inf -> inf"]


def png(rows: bytes, width: int, height: int, *, interlaced: bool = False) -> bytes:
    """A grey picture of 8 bits; `rows` begin with the number of their filter."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", len(content), kind) + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlaced)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_the_filters_of_png() -> None:
    """None, left, above, mean and Paeth, each from rows that a reader can undo by hand."""
    rows = bytes([0, 10, 20, 30, 1, 5, 1, 1, 2, 1, 1, 1, 3, 4, 0, 1, 4, 1, 2, 3])
    grey = decode_image(png(rows, 3, 5), "a.png").pixels[::3]
    assert list(grey) == [10, 20, 30, 5, 6, 7, 6, 7, 8, 7, 7, 8, 8, 10, 13]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png(b"\0\1", 1, 1, interlaced=True), "interlaced PNG is for the fast path"),
        (png(b"\0\1", 1, 2), "the picture is damaged: row 1 is missing"),
        (b"P5\n2 2\n255\n\0", "the picture is damaged: pixels are missing"),
        (b"P5\n# no end", "the picture is damaged"),
        (
            b"BM" + struct.pack("<IHHI", 60, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 1, 2, 1, 24, 0, 0, 0, 0, 0, 0),
            "the picture is damaged: row 0 is missing",
        ),
    ],
)
def test_pictures_that_cannot_be_read(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=r"a\.picture") as caught:
        decode_image(data, "a.picture")
    assert message in str(caught.value)


def test_comments_in_pnm() -> None:
    assert decode_image(b"P6 # made by hand\n1 1\n255\n\1\2\3", "a.ppm").pixels == b"\3\2\1"
