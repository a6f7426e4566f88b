"""Embed: rows of a table, looked up by number."""

from __future__ import annotations

from spec.binary32 import REFERENCE, Profile, f32, multiply_add
from spec.blob import Blob
from spec.graph import Layer
from spec.layers.common import fault, only_bottom, require_weights
from spec.layers.quantize import require_finite
from spec.layers.static_scales import split


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
    num_output, input_dim = layer.get.integer("num_output"), layer.get.integer("input_dim")
    bias = require_weights(layer, "bias_data", num_output) if layer.get["bias_term"] else None
    ids = [min(max(word, 0), input_dim - 1) for word in blob.ints()]
    if not layer.get["int8_scale_term"]:
        table = split(layer.weight("weight_data").floats().tolist(), input_dim)
        rows = [_plus(table[word], bias) for word in ids]
        return [Blob((len(ids), num_output), "float32", [value for row in rows for value in row])]

    # quantize input
    # accumulate
    codes = split(layer.weight("weight_data").int8().tolist(), input_dim)
    values: list[float] = []
    for word in ids:
        # descale
        # bias
        descale = f32(1.0 / layer.weight("weight_data_int8_scale").floats()[0])
        if bias is None:
            values.extend(f32(code * descale) for code in codes[word])
        else:
            values.extend(multiply_add(code, descale, b, profile) for code, b in zip(codes[word], bias, strict=True))

    # activation
    # requantize
    return [Blob((len(ids), num_output), "float32", values)]


def _plus(row: list[float], bias: list[float] | None) -> list[float]:
    if bias is None:
        return row
    return [f32(value + b) for value, b in zip(row, bias, strict=True)]


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
