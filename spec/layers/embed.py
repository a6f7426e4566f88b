"""Embed: rows of a table, looked up by number."""

from __future__ import annotations

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob
from spec.graph import Layer
from spec.layers.common import fault, only_bottom, require_weights
from spec.layers.quantize import require_finite
from spec.layers.static_scales import descaled, optional_bias_of, split


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Each id is replaced by its row of the table, plus the bias.

    y[i] = table[id[i]] + bias, int32 (words,) to float32 (words, num_output). Ids are clamped to [0, input_dim - 1].
    With an int8_scale_term the table holds codes with one scale: y[i] = f32(code) * (1 / scale) + bias.

    Follows: ncnn src/layer/embed.cpp @ a4d2ea1d.
    Unspecified: raises GraphError for ids that are not int32.

    >>> from array import array
    >>> from spec.blob import int32_blob
    >>> from spec.graph import float_weight, int8_weight
    >>> layer = Layer("Embed", "e", ["x"], ["y"], {0: 1, 1: 2, 3: 2, 18: 2}, [], {
    ...     "weight_data": int8_weight("weight_data", array("b", [10, -20])),
    ...     "weight_data_int8_scale": float_weight("weight_data_int8_scale", array("f", [4.0]), "raw"),
    ... })
    >>> forward(layer, [int32_blob((3,), [1, 0, 7])])[0].tolist()
    [[-5.0], [2.5], [-5.0]]
    """
    blob = only_bottom(layer, bottoms)
    if blob.dtype != "int32" or len(blob.shape) != 1:
        raise fault(layer, f"looks up int32 ids of shape (words,), not {blob.dtype} of shape {blob.shape}")
    ids = [min(max(word, 0), layer.get.integer("input_dim") - 1) for word in blob.ints()]
    rows = forward_int8(layer, ids, profile) if layer.get["int8_scale_term"] else forward_float(layer, ids)
    shape = (len(ids), layer.get.integer("num_output"))
    return [Blob(shape, "float32", [value for row in rows for value in row])]


def forward_float(layer: Layer, ids: list[int]) -> list[list[float]]:
    """The rows of a binary32 table, each plus the bias.

    Follows: ncnn src/layer/embed.cpp @ a4d2ea1d.
    """
    table = split(layer.weight("weight_data").floats().tolist(), layer.get.integer("input_dim"))
    if not layer.get["bias_term"]:
        return [table[word] for word in ids]
    bias = require_weights(layer, "bias_data", layer.get.integer("num_output"))
    return [[f32(value + b) for value, b in zip(table[word], bias, strict=True)] for word in ids]


def forward_int8(layer: Layer, ids: list[int], profile: Profile) -> list[list[float]]:
    """The rows of a table of codes: y = f32(code) * (1 / scale) + bias.

    Follows: ncnn src/layer/embed.cpp @ a4d2ea1d.
    Unspecified: a scale of 0 is refused when the network is loaded.
    """
    # quantize input
    # accumulate
    table = split(layer.weight("weight_data").int8().tolist(), layer.get.integer("input_dim"))

    # descale
    descale = f32(1.0 / layer.weight("weight_data_int8_scale").floats()[0])

    # bias
    bias = optional_bias_of(layer, layer.get.integer("num_output"))

    # activation
    # requantize
    return [
        [descaled([code], descale, b, profile)[0] for code, b in zip(table[word], bias, strict=True)] for word in ids
    ]


def check(layer: Layer) -> None:
    """GraphError for an empty table, a table of another size, and codes without a scale or with the scale 0."""
    num_output, input_dim = layer.get.integer("num_output"), layer.get.integer("input_dim")
    record = layer.weight("weight_data")
    if num_output < 1 or input_dim < 1 or len(record) != num_output * input_dim:
        raise fault(layer, f"has {len(record)} weights for a table of {input_dim} rows of {num_output}")
    int8 = layer.get["int8_scale_term"] != 0
    if int8 != (record.dtype == "int8"):
        raise fault(layer, f"has {record.dtype} weights, but int8_scale_term {layer.get['int8_scale_term']}")
    if int8:
        require_finite(layer, "weight_data_int8_scale")
        if layer.weight("weight_data_int8_scale").floats()[0] == 0.0:
            raise fault(layer, "has a weight scale of 0")


FORWARD = {"Embed": forward}
CHECK = {"Embed": check}
