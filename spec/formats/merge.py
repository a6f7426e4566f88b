"""Several networks side by side in one: their layers in a row, each name behind the name of its network.

Follows: ncnn tools/ncnnmerge.cpp @ a4d2ea1d.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from spec.errors import GraphError
from spec.graph import Graph, Layer


def namespace_of(param_file: str) -> str:
    """The base name of a param file up to its last dot.

    >>> namespace_of("models/squeezenet.v2.param")
    'squeezenet.v2'
    """
    return param_file.rsplit("/", 1)[-1].rpartition(".")[0]


def merge_graphs(networks: Iterable[tuple[str, Graph]]) -> Graph:
    """One network from several, given with their namespaces; layers and blobs become `namespace/name`.

    Its model file is the concatenation of theirs. Raises GraphError if two namespaces are the same.
    """
    layers: list[Layer] = []
    namespaces: set[str] = set()
    for namespace, graph in networks:
        if namespace in namespaces:
            raise GraphError("", f"two networks would both be called {namespace}")
        namespaces.add(namespace)
        layers += [_renamed(layer, f"{namespace}/") for layer in graph]
    return Graph(layers)


def _renamed(layer: Layer, prefix: str) -> Layer:
    bottoms = [prefix + name for name in layer.bottoms]
    return replace(layer, name=prefix + layer.name, bottoms=bottoms, tops=[prefix + name for name in layer.tops])
