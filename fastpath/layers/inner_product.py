"""InnerProduct: a fully connected layer.

int8 layers equal the spec bit for bit. Float layers sum their products in whatever order BLAS prefers. Only one float
output of a vector has an order of its own, `in_four_sums`: the eq method decides by its last bits, and BLAS chooses the
order by the CPU.
"""

from __future__ import annotations

import numpy as np

from fastpath.layers import recycle
from fastpath.layers.activation import Activation
from fastpath.layers.common import Array, Floats, Operator, Prepare, fault, floats, only_bottom, weights
from fastpath.layers.epilogue import (
    Epilogue,
    descales,
    read_bias,
    read_bottom_scale,
    read_int8_weights,
    read_weight_scales,
)
from fastpath.layers.integer_product import FloatMatrix, IntegerMatrix
from fastpath.rounding import BLOCK, quantize_to_floats
from spec.graph import Layer


def prepare_inner_product(layer: Layer) -> Operator:
    """InnerProduct: a blob of num_input values to (num_output,), or rows of num_input, (h, w), to (h, num_output).

    The output is float32, whatever `int8_scale_term`. Follows: ncnn src/layer/innerproduct.cpp @ a4d2ea1d.
    """
    num_output, count = layer.get.integer("num_output"), layer.get.integer("weight_data_size")
    if num_output < 1 or count < 1 or count % num_output:
        raise fault(layer, f"has weight_data_size {count}, which is no multiple of num_output {num_output}")
    num_input = count // num_output
    activation, bias = Activation(layer), read_bias(layer)
    matrix: FloatMatrix | IntegerMatrix
    bottom_scale: np.float32 | None = None
    if layer.get.integer("int8_scale_term") == 0:
        if layer.weight("weight_data").dtype == "int8":
            raise fault(layer, "has int8 weights, but int8_scale_term 0 says float")
        matrix = FloatMatrix(weights(layer, "weight_data", count).reshape(1, num_output, num_input))
        epilogue = Epilogue(layer, activation, bias)
    else:
        scales = read_weight_scales(layer, num_output)
        bottom_scale = read_bottom_scale(layer)
        matrix = IntegerMatrix(read_int8_weights(layer, scales, count).reshape(1, num_output, num_input))
        epilogue = Epilogue(layer, activation, bias, descales(bottom_scale, scales))

    def codes(blob: Array) -> Floats:
        if bottom_scale is None:
            return floats(layer, blob)
        if blob.dtype == np.int8:
            return blob.astype(np.float32)
        scaled = np.empty(blob.shape, np.float32)
        try:
            quantize_to_floats(floats(layer, blob), bottom_scale, scaled)
        except ValueError as error:
            raise fault(layer, f"cannot quantize: {error}") from None
        return scaled

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = only_bottom(layer, bottoms)
        by_row = blob.ndim == 2 and blob.shape[1] == num_input
        if not by_row and blob.size != num_input:
            raise fault(layer, f"has weights for {num_input} values, but its bottom blob has shape {blob.shape}")
        columns = np.ascontiguousarray(codes(blob).reshape(-1, num_input)).T
        if num_output * columns.shape[1] == 1 and isinstance(matrix, FloatMatrix):
            sums = np.array([[in_four_sums(matrix.weights.reshape(-1), columns.reshape(-1))]])
            epilogue(sums)
            return [sums if by_row else sums.reshape(-1)]
        if by_row:
            return [rows_of(matrix, columns, epilogue)]
        sums = recycle.blob((num_output, 1))
        matrix.multiply(columns[np.newaxis], sums[np.newaxis])
        epilogue(sums)
        return [sums.reshape(-1)]

    return operator


def rows_of(matrix: FloatMatrix | IntegerMatrix, columns: Floats, epilogue: Epilogue) -> Floats:
    """The float steps of sums, (n, num_output) for numbers (K, n): whole rows at a time, which stay in cache."""
    top = recycle.blob((columns.shape[1], matrix.weights.shape[1]))
    matrix.multiply(columns[np.newaxis], top.T[np.newaxis])
    step = max(BLOCK // top.shape[1], 1)
    for first in range(0, len(top), step):
        epilogue(top[first : first + step].T)
    return top


def in_four_sums(a: Floats, b: Floats) -> np.float32:
    """The sum of the products a[i] * b[i], each rounded: every fourth goes to the same of four sums, one after another.

    So does a vector of four binary32 numbers. At last the four are added in pairs: (0 + 2) + (1 + 3).
    """
    products = np.zeros((-(-a.size // 4), 4), np.float32)
    np.multiply(a, b, out=products.reshape(-1)[: a.size])
    sums = np.add.accumulate(products, axis=0)[-1]
    halves = sums[:2] + sums[2:]
    return np.float32(halves[0] + halves[1])


PREPARE: dict[str, Prepare] = {"InnerProduct": prepare_inner_product}
