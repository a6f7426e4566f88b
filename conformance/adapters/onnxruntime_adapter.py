"""ONNX Runtime, where its operators mean the same as ncnn's layers, and a plain word where they do not.

- LSTM, GRU and RNN with float weights: LSTM, GRU with linear_before_reset, RNN. Comparable; sums in another order, and
  exp and tanh of another quality.
- LSTM with int8 weights: com.microsoft DynamicQuantizeLSTM. Comparable by the noise only: codes and scales of weights
  are the same, but activations become uint8 with a zero point, and one scale serves all rows of a sequence.
- GRU and RNN with int8 weights, LSTM with projection: no operator.
- Quantize: Mul, QuantizeLinear. Comparable, but ties go to even and codes reach -128.
- Dequantize: DequantizeLinear, Add. Comparable bit for bit.

A case that has no equal raises NotApplicable with its reason, so it is counted apart. Other int8 layers are not
claimed: ConvInteger and MatMulInteger are only the sums inside of them, and QLinearConv requantizes by other rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from conformance.adapter import Identity, NotApplicable
from conformance.adapters.arrays import from_array, to_array
from conformance.case import Case
from conformance.tensor import Tensor
from spec.formats.param import parse_param
from spec.formats.weights import load_weights
from spec.graph import Graph, Layer

Array = NDArray[Any]

OPSET, IR_VERSION = 21, 10

GATES = {"RNN": [0], "LSTM": [0, 2, 1, 3], "GRU": [1, 0, 2]}
"""ONNX's order of gates, by ncnn's: i o f c of I F O G, z r h of R U N."""

DIRECTIONS = ("forward", "reverse", "bidirectional")

MOST_SPREAD = 2.0
"""Rows of one sequence share a scale: rows that are smaller than the largest by more than this lose codes."""

EXACT_SUMS, SATURATING_SUMS = "exact sums", "16-bit sums"
"""Without VNNI, x86 CPUs with AVX2 add two products in 16 bits, which saturate."""

NOTES = (
    "int8 LSTM is DynamicQuantizeLSTM: the codes and scales of the weights are the same, but activations are uint8 with"
    " a zero point, and one scale serves all rows of a sequence. Only the noise is comparable: level stat.",
    "CPUs with AVX2 but without VNNI add two products of codes in 16 bits, which saturate: int8 LSTM is then far off,"
    " unless weights have 7 bits.",
    "int8 GRU and RNN, and LSTM with projection, have no operator.",
    "Quantize is QuantizeLinear: halves go to the even code, and codes reach -128.",
    "float RNN, GRU (linear_before_reset) and LSTM mean the same, and so does Dequantize.",
)


class OnnxRuntimeAdapter:
    """Each case becomes an ONNX model of one operator."""

    @property
    def identity(self) -> Identity:
        """Claims statistics only, since the scheme of the int8 LSTM is another."""
        layers = ("RNN", "GRU", "LSTM", "Quantize", "Dequantize")
        formats = ("param", "bin", "float", "fp16")
        version = onnxruntime.__version__
        return Identity(
            "onnxruntime", version, "C++", "other", layers, ("infer",), formats, "stat", cpu=cpu(), notes=NOTES
        )

    def run(self, case: Case) -> dict[str, Tensor]:
        """Translate, run, name the outputs as ncnn does."""
        graph = parse_param(case.param, case.id)
        load_weights(graph, case.bin, case.id)
        layer = _only_layer(graph)
        inputs = {name: to_array(blob) for name, blob in case.inputs.items()}
        if layer.type in ("Quantize", "Dequantize"):
            outputs = _step(layer, next(iter(inputs.values())))
        else:
            outputs = _recurrent(layer, [inputs[name] for name in layer.bottoms])
        shapes = {name: next(iter(results.values())).shape for name, results in case.expected.items()}
        return {name: from_array(values.reshape(shapes[name])) for name, values in zip(case.outputs, outputs)}

    def close(self) -> None:
        """Nothing is held."""


@cache
def cpu() -> str:
    """How the CPU adds products of codes, which ONNX Runtime does not tell: asked by two products of 255 and 127."""
    codes, weights = np.full((1, 2), 255, np.uint8), np.full((2, 1), 127, np.int8)
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"])
    (total,) = _run([node], {"x": codes}, {"w": weights}, {"y": TensorProto.INT32})
    return EXACT_SUMS if int(total[0, 0]) == 2 * 255 * 127 else SATURATING_SUMS


def _only_layer(graph: Graph) -> Layer:
    layers = [layer for layer in graph if layer.type != "Input"]
    if len(layers) != 1:
        raise NotApplicable("networks of several layers are not translated")
    return layers[0]


def _step(layer: Layer, blob: Array) -> list[Array]:
    """Quantize as a product and a rounding; Dequantize with its bias."""
    scale = np.array(layer.weight("scale_data").floats(), np.float32)
    per_slice = (-1,) + (1,) * (blob.ndim - 1)
    if layer.type == "Quantize":
        constants = {"scale": scale.reshape(per_slice), "one": np.float32(1.0), "zero": np.int8(0)}
        nodes = [
            helper.make_node("Mul", ["x", "scale"], ["scaled"]),
            helper.make_node("QuantizeLinear", ["scaled", "one", "zero"], ["y"]),
        ]
        return _run(nodes, {"x": blob}, constants, {"y": TensorProto.INT8})
    bias = np.zeros(1, np.float32)
    if layer.get["bias_data_size"]:
        bias = np.array(layer.weight("bias_data").floats(), np.float32)
    whole = scale.size == 1
    constants = {"scale": scale[0] if whole else scale, "bias": bias.reshape(per_slice)}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "scale"], ["scaled"], **_options(axis=None if whole else 0)),
        helper.make_node("Add", ["scaled", "bias"], ["y"]),
    ]
    return _run(nodes, {"x": blob}, constants, {"y": TensorProto.FLOAT})


def _recurrent(layer: Layer, blobs: list[Array]) -> list[Array]:
    """The sequence, the final hidden state, and the final cell state of an LSTM."""
    units = layer.get.integer("num_output")
    quantized = "weight_xc_data_int8_scales" in layer.weights
    if layer.type == "LSTM" and "weight_hr_data" in layer.weights:
        raise NotApplicable("ONNX has no LSTM with projection")
    if quantized and layer.type != "LSTM":
        raise NotApplicable(f"ONNX Runtime has no dynamically quantized {layer.type}, only LSTM")
    direction = layer.get.integer("direction")
    count = 2 if direction == 2 else 1
    sequence = blobs[0].reshape(-1, 1, blobs[0].shape[-1]) if blobs[0].ndim > 1 else blobs[0].reshape(1, 1, -1)
    if quantized:
        _check_spread(sequence)
    feeds = {"x": sequence}
    states = ["", ""]
    for index, blob in enumerate(blobs[1:]):
        states[index] = f"state{index}"
        feeds[states[index]] = blob.reshape(count, 1, units)
    order = GATES[layer.type]
    constants = {"b": _biases(layer, count, units)}
    if quantized:
        node, extra = _dynamic(layer, count, units, order, states)
    else:
        node, extra = _float(layer, count, units, order, states)
    node.attribute.append(helper.make_attribute("direction", DIRECTIONS[direction]))
    node.attribute.append(helper.make_attribute("hidden_size", units))
    outputs: dict[str, int] = dict.fromkeys(node.output, TensorProto.FLOAT)
    values = _run([node], feeds, {**constants, **extra}, outputs)
    steps = values[0].shape[0]
    return [
        values[0].transpose(0, 2, 1, 3).reshape(steps, count * units),
        *(v.reshape(count, units) for v in values[1:]),
    ]


def _check_spread(sequence: Array) -> None:
    """NotApplicable where one scale for all rows is not what ncnn's one scale a row is."""
    sizes = np.abs(sequence).max(axis=(1, 2))
    if sizes.min() == 0.0 or sizes.max() > MOST_SPREAD * sizes.min():
        raise NotApplicable("one scale for all rows of a sequence: the rows differ too much in magnitude")


def _float(layer: Layer, count: int, units: int, order: list[int], states: list[str]) -> tuple[Any, dict[str, Array]]:
    weights = {
        name: _gates(_weight(layer, record), count, units, order)
        for name, record in (("w", "weight_xc_data"), ("r", "weight_hc_data"))
    }
    cell = [states[1], ""] if layer.type == "LSTM" else []
    options = _options(linear_before_reset=1 if layer.type == "GRU" else None)
    names = ["y", "h", *(["c"] if layer.type == "LSTM" else [])]
    node = helper.make_node(layer.type, ["x", "w", "r", "b", "", states[0], *cell], names, **options)
    return node, weights


def _dynamic(layer: Layer, count: int, units: int, order: list[int], states: list[str]) -> tuple[Any, dict[str, Array]]:
    constants: dict[str, Array] = {}
    for name, record in (("w", "weight_xc_data"), ("r", "weight_hc_data")):
        codes = np.array(layer.weight(record).int8(), np.int8)
        constants[name] = np.ascontiguousarray(_gates(codes, count, units, order).transpose(0, 2, 1))
        scales = np.array(layer.weight(f"{record}_int8_scales").floats(), np.float32)
        constants[f"{name}_scale"] = np.float32(1.0) / _gates(scales, count, units, order)[:, :, 0]
        constants[f"{name}_zero"] = np.zeros_like(constants[f"{name}_scale"], np.int8)
    inputs = ["x", "w", "r", "b", "", *states, "", "w_scale", "w_zero", "r_scale", "r_zero"]
    return helper.make_node("DynamicQuantizeLSTM", inputs, ["y", "h", "c"], domain="com.microsoft"), constants


def _weight(layer: Layer, record: str) -> Array:
    return np.array(layer.weight(record).floats(), np.float32)


def _gates(values: Array, count: int, units: int, order: list[int]) -> Array:
    """(directions, gates * units, width) with the gates in ONNX's order."""
    blocks = values.reshape(count, len(order), units, -1)[:, order]
    return np.ascontiguousarray(blocks.reshape(count, len(order) * units, -1))


def _biases(layer: Layer, count: int, units: int) -> Array:
    """ONNX has a bias for each of both products; ncnn adds one, but for N of a GRU."""
    values = _weight(layer, "bias_c_data").reshape(count, -1, units)
    if layer.type == "GRU":
        zeros = np.zeros_like(values[:, 0])
        parts = [values[:, 1], values[:, 0], values[:, 2], zeros, zeros, values[:, 3]]
        return np.concatenate(parts, axis=1)
    rows = values[:, GATES[layer.type]].reshape(count, -1)
    return np.concatenate([rows, np.zeros_like(rows)], axis=1)


def _options(**values: int | None) -> dict[str, Any]:
    """The attributes that have a value."""
    return {name: value for name, value in values.items() if value is not None}


def _run(
    nodes: list[Any], feeds: dict[str, Array], constants: dict[str, Any], outputs: Mapping[str, int]
) -> list[Array]:
    """The outputs of a model that is made of the nodes, on one thread."""
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in feeds.items()
    ]
    results = [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()]
    stored = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "case", inputs, results, stored)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(list(outputs), feeds))
