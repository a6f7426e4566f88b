"""The table of layer types: its shape, and the rules that the real files do not reach."""

from __future__ import annotations

import math
import struct

import pytest

from spec.layer_table import BY_INDEX, BY_NAME, LAYER_TYPES, LayerType, Params, block_quantization

INDICES = """
AbsVal ArgMax BatchNorm Bias BNLL Concat Convolution Crop Deconvolution Dropout Eltwise ELU Embed Exp Flatten
InnerProduct Input Log LRN MemoryData MVN Pooling Power PReLU Proposal Reduction ReLU Reshape ROIPooling Scale Sigmoid
Slice Softmax Split SPP TanH Threshold Tile RNN LSTM BinaryOp UnaryOp ConvolutionDepthWise Padding Squeeze ExpandDims
Normalize Permute PriorBox DetectionOutput Interp DeconvolutionDepthWise ShuffleChannel InstanceNorm Clip Reorg
YoloDetectionOutput Quantize Dequantize Yolov3DetectionOutput PSROIPooling ROIAlign Packing Requantize Cast
HardSigmoid SELU HardSwish Noop PixelShuffle DeepCopy Mish StatisticsPooling Swish Gemm GroupNorm LayerNorm Softplus
GRU MultiHeadAttention GELU Convolution1D Pooling1D ConvolutionDepthWise1D Convolution3D ConvolutionDepthWise3D
Pooling3D MatMul Deconvolution1D DeconvolutionDepthWise1D Deconvolution3D DeconvolutionDepthWise3D Einsum
DeformableConv2D GLU Fold Unfold GridSample CumulativeSum CopyTo Erf Diag CELU Shrink RMSNorm Spectrogram
InverseSpectrogram Flip SDPA RotaryEmbed
"""
"""Types by their index, from ncnn's list."""


def test_indices() -> None:
    assert [layer_type.name for layer_type in LAYER_TYPES] == INDICES.split()
    assert [layer_type.index for layer_type in LAYER_TYPES] == list(range(110))
    assert BY_INDEX[74] is BY_NAME["Gemm"]
    assert [layer_type.name for layer_type in LAYER_TYPES if layer_type.compiled_out] == ["ArgMax", "SPP"]


@pytest.mark.parametrize("layer_type", LAYER_TYPES, ids=lambda layer_type: layer_type.name)
def test_rows(layer_type: LayerType) -> None:
    ids = [spec.id for spec in layer_type.params]
    names = [spec.name for spec in layer_type.params]
    assert len(set(ids)) == len(ids)
    assert len(set(names)) == len(names)
    assert all(0 <= id <= 29 for id in ids)
    params = Params(layer_type, {})
    assert list(params) == names
    assert len(params) == len(names)
    for spec in layer_type.params:
        value = params[spec.name]
        kinds = {"int": int, "float": float, "ints": list, "floats": list, "string": str}
        assert isinstance(value, kinds[spec.kind])
        if isinstance(value, float) and math.isfinite(value):
            assert struct.unpack("f", struct.pack("f", value))[0] == value
        if spec.unless_same_as is not None:
            assert spec.default == spec.unless_same_as


def test_getters() -> None:
    params = Params(BY_NAME["Convolution"], {10: [0.5], 0: 3})
    assert params.integer("num_output") == 3
    assert params.numbers("activation_params") == [0.5]
    for getter in (params.integers, params.number, params.text, params.integer):
        with pytest.raises(TypeError, match="activation_params"):
            getter("activation_params")
    with pytest.raises(TypeError, match="float array"):
        params.numbers("num_output")


@pytest.mark.parametrize(
    ("term", "block"),
    [
        (0, None),
        (2, None),
        (400, (4, False, 32)),
        (601, (6, False, 64)),
        (812, (8, True, 128)),
        (403, None),
        (420, None),
        (500, None),
    ],
)
def test_block_quantization(term: int, block: tuple[int, bool, int] | None) -> None:
    assert block_quantization(Params(BY_NAME["Gemm"], {18: term})) == block


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (400, {"B_data": 3 * 35, "B_data_block_scales": 3 * 3}),
        (611, {"B_data": 3 * 53, "B_data_block_scales": 3 * 2, "input_scales": 70}),
        (802, {"B_data": 3 * 70, "B_data_block_scales": 3 * 1}),
    ],
)
def test_block_quantized_sizes(term: int, expected: dict[str, int]) -> None:
    """Three rows of 70 weights: 35, 52.5 rounded up, or 70 bytes each, in blocks of 32, 64 or 128."""
    params = Params(BY_NAME["Gemm"], {5: 1, 3: 1, 8: 3, 9: 70, 18: term})
    assert {spec.name: spec.count(params) for spec in BY_NAME["Gemm"].weights if spec.when(params)} == expected


@pytest.mark.parametrize(("width", "heads", "scale"), [(4, 2, "3f3504f3"), (64, 1, "3e000000"), (7, 2, "3f13cd3a")])
def test_the_scale_of_attention(width: int, heads: int, scale: str) -> None:
    """1 / sqrt(width div heads): of 2, 64 and 3, by hand."""
    params = Params(BY_NAME["MultiHeadAttention"], {0: width, 1: heads})
    assert struct.pack(">f", params.number("scale")).hex() == scale


def test_the_scale_of_attention_without_width() -> None:
    assert Params(BY_NAME["MultiHeadAttention"], {0: 1, 1: 2}).number("scale") == math.inf
