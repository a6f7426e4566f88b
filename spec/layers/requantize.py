"""Requantize: int32 sums become int8 codes of another scale."""

from __future__ import annotations

from spec.binary32 import REFERENCE, Profile, f32, multiply_add
from spec.blob import Blob, int8_blob
from spec.graph import Layer
from spec.layers.activation import activate, activation_of, check_activation
from spec.layers.dequantize import int32_bottom, per_slice
from spec.layers.quantize import int8_codes, require_finite


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Each sum is descaled, biased, activated, and quantized again.

    y = float_to_int8(f32(activation(f32(f32(x) * scale_in) + bias) * scale_out)), int32 of 1 to 4 dims to int8 of the
    same shape. The two scales are not multiplied beforehand. Scales and bias are each one number or one for each slice
    along the outermost axis; a 1-D blob always uses the first.

    Follows: ncnn src/layer/requantize.cpp @ a4d2ea1d.
    Unspecified: raises GraphError for a blob that is not int32, for values that overflow binary32, and when the numbers
    of scales or biases are neither 1 nor the outermost extent.

    >>> from array import array
    >>> from spec.blob import int32_blob
    >>> from spec.graph import float_weight
    >>> layer = Layer("Requantize", "r", ["x"], ["y"], {3: 1}, [], {
    ...     "scale_in_data": float_weight("scale_in_data", array("f", [0.5]), "raw"),
    ...     "scale_out_data": float_weight("scale_out_data", array("f", [3.0]), "raw"),
    ... })
    >>> forward(layer, [int32_blob((3,), [5, -5, 1000])])[0].tolist()
    [8, 0, 127]
    """
    blob = int32_bottom(layer, bottoms)
    extent = blob.shape[0] if len(blob.shape) > 1 else 1
    size = len(blob.values) // extent
    scales_in = per_slice(layer, "scale_in_data", blob)
    scales_out = per_slice(layer, "scale_out_data", blob)
    biases = per_slice(layer, "bias_data", blob) if layer.get["bias_data_size"] else [0.0] * extent
    activation_type, activation_params = activation_of(layer)

    # quantize input
    # accumulate
    codes: list[int] = []
    for index in range(extent):
        sums = blob.ints()[index * size : (index + 1) * size]

        # descale
        # bias
        values = [multiply_add(f32(total), scales_in[index], biases[index], profile) for total in sums]

        # activation
        values = activate(values, activation_type, activation_params)

        # requantize
        codes.extend(int8_codes(layer, values, scales_out[index], profile))
    return [int8_blob(blob.shape, codes)]


def check(layer: Layer) -> None:
    """GraphError for an unknown activation and for scales that are not finite."""
    check_activation(layer)
    require_finite(layer, "scale_in_data", "scale_out_data")


FORWARD = {"Requantize": forward}
CHECK = {"Requantize": check}
