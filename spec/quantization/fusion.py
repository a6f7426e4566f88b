"""Requantize fusion: an int8 convolution that feeds int8 convolutions hands them int8 codes."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator

from spec.graph import Graph, Layer, float_weight

CONVOLUTIONS = ("Convolution", "ConvolutionDepthWise")
"""The types that take part. InnerProduct never does."""


def fuse_requantize(graph: Graph, *, upstream: bool, report: Callable[[str], None]) -> None:
    """Give every int8 convolution that only feeds int8 convolutions a top scale and an int8 output.

    First the pairs that are wired directly, then those through one Split whose tops all go to int8 convolutions. Fusing
    adds 100 to int8_scale_term and stores the consumer's bottom scale as top scale. Behind a Split all consumers must
    agree on their bottom scale. With `upstream` the first branch decides for all, the report names pairs before it is
    known whether they are int8, and a layer that is fused already is fused again.

    Follows: ncnn tools/quantize/ncnn2int8.cpp (fuse_requantize) @ a4d2ea1d.
    """
    for position, producer in _convolutions(graph):
        consumer = _reader(graph, position, producer.tops[0], CONVOLUTIONS)
        if consumer is None:
            continue
        if upstream or (_is_int8(producer) and _is_int8(consumer)):
            report(f"fuse_requantize {producer.name} {consumer.name}")
        if _is_int8(producer) and _is_int8(consumer):
            _hand_over(producer, consumer)
    for position, producer in _convolutions(graph):
        split = _reader(graph, position, producer.tops[0], ("Split",))
        if split is None:
            continue
        readers = [_reader(graph, position, top, CONVOLUTIONS) for top in split.tops]
        consumers = [reader for reader in readers if reader is not None and _is_int8(reader)]
        if len(consumers) != len(split.tops):
            continue
        if not _is_int8(producer):
            if upstream:
                report(f"fuse_requantize {producer.name} {split.name}")
            continue
        scales = {_bottom_scale(consumer) for consumer in consumers}
        if len(scales) > 1 and not upstream:
            report(
                f"{producer.name} keeps its float output: behind {split.name} the bottom scales differ "
                f"({', '.join(f'{scale:g}' for scale in sorted(scales))})"
            )
            continue
        report(f"fuse_requantize {producer.name} {split.name}")
        _hand_over(producer, consumers[0])


def _convolutions(graph: Graph) -> Iterator[tuple[int, Layer]]:
    return ((i, layer) for i, layer in enumerate(graph.layers) if layer.type in CONVOLUTIONS)


def _reader(graph: Graph, position: int, blob: str, types: tuple[str, ...]) -> Layer | None:
    """The first layer behind `position` of one of `types` whose only bottom is `blob`."""
    for layer in graph.layers[position + 1 :]:
        if layer.type in types and layer.bottoms == [blob]:
            return layer
    return None


def _is_int8(layer: Layer) -> bool:
    weight = layer.weights.get("weight_data")
    return weight is not None and weight.dtype == "int8"


def _bottom_scale(layer: Layer) -> float:
    return float(layer.weight("bottom_blob_int8_scales").floats()[0])


def _hand_over(producer: Layer, consumer: Layer) -> None:
    producer.set("int8_scale_term", producer.get.integer("int8_scale_term") + 100)
    scale = array("f", consumer.weight("bottom_blob_int8_scales").floats())
    producer.weights["top_blob_int8_scales"] = float_weight("top_blob_int8_scales", scale, "raw")
