"""InnerProduct: a full connection of every input to every output, in binary32 and in int8."""

from __future__ import annotations

from array import array

from spec.binary32 import REFERENCE, Profile, add_products
from spec.blob import Blob
from spec.graph import Layer, Shape
from spec.layers.activation import activate, activation_of, check_activation
from spec.layers.common import fault, floats, only_bottom, require_weights
from spec.layers.static_scales import (
    bias_of,
    check_int8,
    descale_of,
    descaled,
    int8_weights,
    optional_bias_of,
    quantize_input,
    split,
)
from spec.rounding import dot


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Connect every input to every output, in int8 if the layer has an int8_scale_term, else in binary32.

    y[o] = activation(bias[o] + sum of W[o, i] * x[i]). A 2-D blob (h, num_input) is h samples and gives
    (h, num_output); any other blob of num_input values is flattened in C order and gives (num_output,).

    Follows: ncnn src/layer/innerproduct.cpp @ a4d2ea1d.
    Unspecified: see `forward_float` and `forward_int8`.

    >>> from spec.blob import float_blob
    >>> from spec.graph import float_weight
    >>> weight = float_weight("weight_data", array("f", [1.0, 2.0, 3.0, -1.0]), "tagged")
    >>> layer = Layer("InnerProduct", "fc", ["x"], ["y"], {0: 2, 2: 4}, [], {"weight_data": weight})
    >>> forward(layer, [float_blob((2,), [10.0, 1.0])])[0].tolist()
    [12.0, 29.0]
    """
    blob = only_bottom(layer, bottoms)
    if layer.get["int8_scale_term"]:
        return [forward_int8(layer, blob, profile)]
    return [forward_float(layer, blob)]


def forward_float(layer: Layer, blob: Blob) -> Blob:
    """Connect in binary32: each sum starts from the bias and takes one rounded product after the other.

    Follows: ncnn src/layer/innerproduct.cpp (forward) @ a4d2ea1d.
    Unspecified: NaN, infinities and overflow follow IEEE 754. Raises GraphError for a blob of other than num_input
    values.
    """
    num_output = layer.get.integer("num_output")
    weights = require_weights(layer, "weight_data", layer.get.integer("weight_data_size"))
    num_input = len(weights) // num_output
    bias = bias_of(layer, num_output)
    activation_type, activation_params = activation_of(layer)
    columns = [weights[i::num_input] for i in range(num_input)]
    out_shape = _output_shape(layer, blob.shape, len(blob.values), num_input, num_output)
    values: list[float] = []
    for sample in split(floats(layer, blob), len(blob.values) // num_input):
        totals = array("f", bias)
        for x, column in zip(sample, columns, strict=True):
            totals = add_products(totals, column, x)
        values.extend(activate(totals, activation_type, activation_params))
    return Blob(out_shape, "float32", values)


def forward_int8(layer: Layer, blob: Blob, profile: Profile) -> Blob:
    """Sum products of int8 codes exactly, then return to binary32; there is no int8 output, whatever the term.

    y[o] = activation(f32(f32(sum) * descale[o]) + bias[o]) with descale[o] = 1 / (bottom_scale * weight_scale[o]), or 0
    for weight_scale 0. float32 or int8 of num_input values, or (h, num_input), to float32. Float weights are quantized
    first, output by output.

    Follows: ncnn src/layer/innerproduct.cpp (forward_int8) @ a4d2ea1d.
    Unspecified: an int8 input is taken as it is, with bottom_scale believed. An infinite weight scale makes the output
    the bias, and so does an infinite bottom scale, which calibration gives to a blob of zeros. Raises GraphError for
    NaN and infinities in the input and for a blob of other than num_input values.

    >>> from spec.blob import float_blob
    >>> from spec.graph import float_weight, int8_weight
    >>> layer = Layer("InnerProduct", "fc", ["x"], ["y"], {0: 1, 2: 2, 8: 2}, [], {
    ...     "weight_data": int8_weight("weight_data", array("b", [10, -20])),
    ...     "weight_data_int8_scales": float_weight("weight_data_int8_scales", array("f", [5.0]), "raw"),
    ...     "bottom_blob_int8_scales": float_weight("bottom_blob_int8_scales", array("f", [2.0]), "raw"),
    ... })
    >>> forward_int8(layer, float_blob((2,), [3.0, 1.0]), REFERENCE).tolist()
    [2.0]
    """
    num_output = layer.get.integer("num_output")
    weight_scales = require_weights(layer, "weight_data_int8_scales", num_output)
    bottom_scale = layer.weight("bottom_blob_int8_scales").floats()[0]
    bias = optional_bias_of(layer, num_output)
    activation_type, activation_params = activation_of(layer)
    rows = int8_weights(layer, weight_scales)
    num_input = len(rows[0])
    out_shape = _output_shape(layer, blob.shape, len(blob.values), num_input, num_output)

    # quantize input
    codes = quantize_input(layer, blob, bottom_scale, profile)

    # accumulate
    samples = split(codes, len(codes) // num_input)
    sums = [[dot(sample, row) for sample in samples] for row in rows]

    # descale
    # bias
    outputs = [
        descaled(sums[o], descale_of(bottom_scale, weight_scales[o]), bias[o], profile) for o in range(num_output)
    ]

    # activation
    values = [value for sample in zip(*outputs, strict=True) for value in sample]
    values = activate(values, activation_type, activation_params)

    # requantize
    return Blob(out_shape, "float32", values)


def _output_shape(layer: Layer, shape: Shape, count: int, num_input: int, num_output: int) -> Shape:
    if len(shape) == 2 and shape[1] == num_input:
        return (shape[0], num_output)
    if count != num_input:
        raise fault(layer, f"has weights for {num_input} inputs, but its bottom blob of shape {shape} has {count}")
    return (num_output,)


def check(layer: Layer) -> None:
    """GraphError for parameters and weights of an InnerProduct that can never run."""
    check_activation(layer)
    num_output, count = layer.get.integer("num_output"), len(layer.weight("weight_data"))
    if num_output < 1 or count == 0 or count % num_output:
        raise fault(layer, f"has {count} weights, which are not whole rows for {num_output} outputs")
    check_int8(layer)


FORWARD = {"InnerProduct": forward}
CHECK = {"InnerProduct": check}
