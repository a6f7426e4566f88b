"""Gemm: constant A by rows, constant B as a whole; scales come from the weights, never from the table."""

from __future__ import annotations

from array import array

from spec.graph import Layer, float_weight, int8_weight
from spec.quantization.scales import ScaleSource


def quantize_gemm(layer: Layer, source: ScaleSource) -> None:
    """Bring constant operands to the layouts (M, K) and (N, K) and quantize them; others are quantized at run time.

    A gets one scale for each of its M rows, B one for the whole matrix, C stays float. The real tool looks at the first
    row of B only where B is stored as (N, K) already, so that other rows may saturate: so does `upstream`.

    Follows: ncnn tools/quantize/ncnn2int8.cpp @ a4d2ea1d; the first-row rule was observed.
    """
    m, n, k = (layer.get.integer(name) for name in ("constantM", "constantN", "constantK"))
    arithmetic = source.arithmetic
    if layer.get.integer("constantA"):
        a = layer.weight("A_data").floats()
        if layer.get.integer("transA"):
            a = arithmetic.transpose(a, k, m)
            layer.unset("transA")
        scales = arithmetic.static_scales(a, m)
        layer.weights["A_data"] = int8_weight("A_data", arithmetic.quantize(a, scales, upstream=source.upstream))
        layer.weights["A_data_int8_scales"] = float_weight("A_data_int8_scales", array("f", scales), "raw")
    if layer.get.integer("constantB"):
        b = layer.weight("B_data").floats()
        seen = b
        if layer.get.integer("transB"):
            seen = b[:k] if source.upstream else b
        else:
            seen = b = arithmetic.transpose(b, k, n)
            layer.set("transB", 1)
        scales = arithmetic.static_scales(seen, 1)
        layer.weights["B_data"] = int8_weight("B_data", arithmetic.quantize(b, scales, upstream=source.upstream))
        layer.weights["B_data_int8_scale"] = float_weight("B_data_int8_scale", array("f", scales), "raw")
    layer.set("quantize_term", 2)
