"""The layers: one family a module, each with its rule, its formula and nothing else.

A module defines `FORWARD`, from layer type to `forward(layer, bottoms, profile) -> tops`, and may define `CHECK`, from
layer type to a function that raises GraphError for a layer that can never run. This package merges them.

Modules and their types, the same file names as in `fastpath.layers`:

=====================  ================================================================================================
input                  Input, MemoryData
identity               Split, Noop, DeepCopy
relu                   ReLU, PReLU, Clip, Threshold, AbsVal, Shrink
sigmoid                Sigmoid, TanH, Swish, HardSigmoid, HardSwish, Mish, Softplus, BNLL, GELU, Erf, ELU, SELU, CELU,
                       GLU
unary_op               UnaryOp, Power, Exp, Log
binary_op              BinaryOp
eltwise                Eltwise
softmax                Softmax
pooling                Pooling, Pooling1D
concat                 Concat
slice                  Slice
crop                   Crop, CopyTo
permute                Permute, Flip
pixel_shuffle          PixelShuffle, Reorg, ShuffleChannel
reshape                Reshape, Flatten, Squeeze, ExpandDims
tile                   Tile
batch_norm             BatchNorm, Scale, Bias, Dropout
layer_norm             LayerNorm, RMSNorm, GroupNorm, InstanceNorm, MVN, Normalize
lrn                    LRN
interp                 Interp
reduction              Reduction, CumulativeSum
mat_mul                MatMul
convolution1d          Convolution1D, ConvolutionDepthWise1D
deconvolution          Deconvolution, DeconvolutionDepthWise, Deconvolution1D, DeconvolutionDepthWise1D
fold                   Fold, Unfold
grid_sample            GridSample
diag                   Diag
detection_output       PriorBox, DetectionOutput
yolo_detection_output  YoloDetectionOutput, Yolov3DetectionOutput
convolution            Convolution
convolution_depthwise  ConvolutionDepthWise
inner_product          InnerProduct
rnn, lstm, gru         RNN, LSTM, GRU
embed                  Embed
gemm                   Gemm
multi_head_attention   MultiHeadAttention
sdpa                   SDPA
quantize, dequantize,  Quantize, Dequantize, Requantize
requantize
cast                   Cast
padding                Padding
=====================  ================================================================================================

Modules without types: `common` (what a layer asks of its bottoms), `strided` (index arithmetic), `window` (sizes and
padding of sliding windows), `activation` (fused),
`static_scales` and `dynamic_scales` (the int8 steps of layers with calibrated and with run-time scales), `recurrent`
(RNN, LSTM, GRU), `attention` (MultiHeadAttention, SDPA), `boxes` (scored rectangles).

Types of ncnn that have no module raise UnsupportedError when a network is made: the volumes (Convolution3D,
Deconvolution3D, their depthwise forms, Pooling3D), regions (Proposal, ROIPooling, ROIAlign, PSROIPooling), spectra
(Spectrogram, InverseSpectrogram), DeformableConv2D, Einsum, RotaryEmbed, StatisticsPooling and Packing; and ArgMax and
SPP, which ncnn itself leaves out of its builds.
"""

from __future__ import annotations

from types import ModuleType

from spec.layers import (
    batch_norm,
    binary_op,
    cast,
    concat,
    convolution,
    convolution1d,
    convolution_depthwise,
    crop,
    deconvolution,
    dequantize,
    detection_output,
    diag,
    eltwise,
    embed,
    fold,
    gemm,
    grid_sample,
    gru,
    identity,
    inner_product,
    input,
    interp,
    layer_norm,
    lrn,
    lstm,
    mat_mul,
    multi_head_attention,
    padding,
    permute,
    pixel_shuffle,
    pooling,
    quantize,
    reduction,
    relu,
    requantize,
    reshape,
    rnn,
    sdpa,
    sigmoid,
    slice,
    softmax,
    tile,
    unary_op,
    yolo_detection_output,
)
from spec.layers.common import Check, Forward

MODULES: tuple[ModuleType, ...] = (
    batch_norm,
    binary_op,
    cast,
    concat,
    convolution,
    convolution1d,
    convolution_depthwise,
    crop,
    deconvolution,
    dequantize,
    detection_output,
    diag,
    eltwise,
    embed,
    fold,
    gemm,
    grid_sample,
    gru,
    identity,
    inner_product,
    input,
    interp,
    layer_norm,
    lrn,
    lstm,
    mat_mul,
    multi_head_attention,
    padding,
    permute,
    pixel_shuffle,
    pooling,
    quantize,
    reduction,
    relu,
    requantize,
    reshape,
    rnn,
    sdpa,
    sigmoid,
    slice,
    softmax,
    tile,
    unary_op,
    yolo_detection_output,
)
"""Every module with layer types, alphabetically."""

FORWARD: dict[str, Forward] = {name: forward for module in MODULES for name, forward in module.FORWARD.items()}
"""The forward function of every layer type that the spec implements."""

CHECK: dict[str, Check] = {name: check for module in MODULES for name, check in getattr(module, "CHECK", {}).items()}
"""For some layer types, what must hold before the layer can run."""
