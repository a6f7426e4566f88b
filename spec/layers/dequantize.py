"""Dequantize: int32 sums become binary32 values."""

from __future__ import annotations

from spec.binary32 import REFERENCE, Profile, f32, multiply_add
from spec.blob import Blob
from spec.graph import Layer
from spec.layers.common import fault, only_bottom
from spec.layers.quantize import outermost


def forward(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Each sum is multiplied by the scale, then the bias is added.

    y = f32(f32(x) * scale) + bias, int32 of 1 to 4 dims to float32 of the same shape. Scale and bias are each one
    number or one for each slice along the outermost axis; a 1-D blob always uses the first. Without a bias 0 is added,
    which makes 0 of -0.

    Follows: ncnn src/layer/dequantize.cpp @ a4d2ea1d.
    Unspecified: overflow gives infinities. Raises GraphError for a blob that is not int32, and when the numbers of
    scales or biases are neither 1 nor the outermost extent.

    >>> from array import array
    >>> from spec.blob import int32_blob
    >>> from spec.graph import float_weight
    >>> scale = float_weight("scale_data", array("f", [0.25]), "raw")
    >>> layer = Layer("Dequantize", "d", ["x"], ["y"], {}, [], {"scale_data": scale})
    >>> forward(layer, [int32_blob((3,), [2, -1, 1000])])[0].tolist()
    [0.5, -0.25, 250.0]
    """
    blob = int32_bottom(layer, bottoms)
    extent = blob.shape[0] if len(blob.shape) > 1 else 1
    size = len(blob.values) // extent
    scales = per_slice(layer, "scale_data", blob)
    biases = per_slice(layer, "bias_data", blob) if layer.get["bias_data_size"] else [0.0] * extent

    # quantize input
    # accumulate
    values: list[float] = []
    for index in range(extent):
        sums = blob.ints()[index * size : (index + 1) * size]

        # descale
        # bias
        values.extend(multiply_add(f32(total), scales[index], biases[index], profile) for total in sums)

    # activation
    # requantize
    return [Blob(blob.shape, "float32", values)]


def int32_bottom(layer: Layer, bottoms: list[Blob]) -> Blob:
    """The one bottom of a layer that reads int32 sums. GraphError otherwise."""
    blob = only_bottom(layer, bottoms)
    if blob.dtype != "int32":
        raise fault(layer, f"reads int32 sums, but its bottom blob is {blob.dtype}")
    return blob


def per_slice(layer: Layer, name: str, blob: Blob) -> list[float]:
    """The numbers of a weight record, one for each slice of the blob along the outermost axis (one slice if 1-D)."""
    extent = blob.shape[0] if len(blob.shape) > 1 else 1
    values = outermost(layer, layer.weight(name).floats(), blob.shape, f"numbers in {name}")
    return values * extent if len(values) == 1 else values


FORWARD = {"Dequantize": forward}
