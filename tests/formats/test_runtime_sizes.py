"""How much of a model file each layer takes, by the real runtime.

A MemoryData layer stands behind the layer in question; the runtime hands out its numbers only if the layer before it
took exactly what we wrote for it.
"""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy
import pytest

from spec.formats.param import parse_param
from spec.formats.weights import write_model
from spec.graph import Graph, Weight
from spec.layer_table import LAYER_TYPES

LINES = [
    "Convolution {} 0=4 1=3 5=1 6=72",
    "Convolution {} 0=4 1=3 6=72 19=1",
    "Convolution {} 0=4 1=3 5=1 6=72 8=2",
    "Convolution {} 0=4 1=3 5=1 6=72 8=102",
    "ConvolutionDepthWise {} 0=4 1=3 5=1 6=36 7=4",
    "ConvolutionDepthWise {} 0=4 1=3 5=1 6=36 7=4 8=1",
    "ConvolutionDepthWise {} 0=4 1=3 5=1 6=36 7=4 8=2",
    "ConvolutionDepthWise {} 0=4 1=3 5=1 6=36 7=4 8=101",
    "ConvolutionDepthWise {} 0=4 1=3 5=1 6=36 7=4 8=102",
    "Convolution1D {} 0=3 1=3 5=1 6=18",
    "ConvolutionDepthWise1D {} 0=4 1=3 5=1 6=12 7=4",
    "Convolution3D {} 0=3 1=3 5=1 6=162",
    "ConvolutionDepthWise3D {} 0=3 1=3 5=1 6=81 7=3",
    "Deconvolution {} 0=3 1=3 5=1 6=54",
    "Deconvolution1D {} 0=3 1=3 5=1 6=18",
    "Deconvolution3D {} 0=3 1=3 5=1 6=162",
    "DeconvolutionDepthWise {} 0=3 1=3 5=1 6=27 7=3",
    "DeconvolutionDepthWise1D {} 0=3 1=3 5=1 6=9 7=3",
    "DeconvolutionDepthWise3D {} 0=3 1=3 5=1 6=81 7=3",
    "DeformableConv2D {} 0=3 1=3 5=1 6=54",
    "InnerProduct {} 0=3 1=1 2=15",
    "InnerProduct {} 0=3 1=1 2=15 8=2",
    "Embed {} 0=3 1=5 2=1 3=15",
    "Embed {} 0=3 1=5 2=1 3=15 18=2",
    "BatchNorm {} 0=5",
    "Bias {} 0=5",
    "Scale {} 0=5 1=1",
    "Scale {} 0=-233",
    "PReLU {} 0=5",
    "InstanceNorm {} 0=5",
    "InstanceNorm {} 0=5 2=0",
    "GroupNorm {} 0=1 1=5",
    "LayerNorm {} 0=5",
    "RMSNorm {} 0=5",
    "Normalize {} 3=5",
    "Padding {} 6=5",
    "MemoryData {} 0=5 1=3",
    "MemoryData {} 0=5 21=0",
    "RNN {} 0=3 1=15",
    "RNN {} 0=3 1=30 2=2 8=2",
    "GRU {} 0=3 1=45",
    "GRU {} 0=3 1=90 2=2 8=2",
    "LSTM {} 0=3 1=60",
    "LSTM {} 0=3 1=120 2=2 8=2",
    "LSTM {} 0=3 1=40 3=2",
    "LSTM {} 0=3 1=80 2=2 3=2 8=2",
    "MultiHeadAttention {} 0=4 1=2 2=12 3=5 4=6",
    "MultiHeadAttention {} 0=4 1=2 2=12 3=5 4=6 18=2",
    "Gemm {} 4=1 5=1 6=1 7=3 8=4 9=5 10=3 2=0 3=1",
    "Gemm {} 5=1 6=1 8=4 9=5 10=4 3=1 18=2",
    "Gemm {} 4=1 5=1 7=3 8=4 9=5 10=-1 3=1 18=2",
    "Quantize {} 0=5",
    "Dequantize {} 0=5 1=5",
    "Requantize {} 0=5 1=5 2=5",
]
"""Layers with weights; the braces take name and wiring."""

SENTINEL = [1.25, -2.5, 3.75]

INT8 = {
    *("weight_data", "weight_xc_data", "weight_hc_data", "A_data", "B_data"),
    *("q_weight_data", "k_weight_data", "v_weight_data", "out_weight_data"),
}
"""Records that hold int8 codes in quantized layers."""


def test_that_every_type_with_weights_is_here() -> None:
    assert {line.split()[0] for line in LINES} == {layer_type.name for layer_type in LAYER_TYPES if layer_type.weights}


def _network(line: str) -> Graph:
    """The layer, unused, between an Input and the sentinel."""
    bottoms = "0 1 x" if line.startswith("MemoryData") else "1 1 a x"
    text = f"7767517\n3 3\nInput in 0 1 a\n{line.format('under_test ' + bottoms)}\nMemoryData s 0 1 s 0=3\n"
    graph = parse_param(text)
    layer, sentinel = graph.layers[1:]
    params = layer.get
    quantized = any(name in params and params[name] != 0 for name in ("int8_scale_term", "quantize_term"))
    assert layer.layer_type is not None
    for spec in layer.layer_type.weights:
        if spec.when(params):
            count = spec.count(params)
            is_int8 = quantized and spec.name in INT8
            values = array("b", [1] * count) if is_int8 else array("f", [1.0] * count)
            layer.weights[spec.name] = Weight(spec.name, spec.kind, "int8" if is_int8 else "float32", values)
    sentinel.weights["data"] = Weight("data", "raw", "float32", array("f", SENTINEL))
    return graph


@pytest.mark.parametrize("fp16", [False, True])
@pytest.mark.parametrize("line", LINES)
def test_that_the_runtime_takes_what_we_write(line: str, fp16: bool, tmp_path: Path) -> None:
    ncnn = pytest.importorskip("ncnn")
    param, model = tmp_path / "net.param", tmp_path / "net.bin"
    write_model(_network(line), param, model, fp16=fp16)
    net = ncnn.Net()
    net.opt.num_threads = 1
    assert net.load_param(str(param)) == 0
    assert net.load_model(str(model)) == 0
    ret, out = net.create_extractor().extract("s")
    assert ret == 0
    assert numpy.array(out).tolist() == SENTINEL
