"""Parameter values that no layer can work with: what ncnn's loaders reject, and what would divide by zero later.

Follows: ncnn src/layer/*.cpp (load_param) @ a4d2ea1d, and the stricter checks of the releases after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from spec.graph import Layer
from spec.layer_table import Params, block_quantization

ACTIVATION_ARGUMENTS = {0: 0, 1: 0, 2: 1, 3: 2, 4: 0, 5: 0, 6: 2}
"""Arguments that each fused activation needs: none, ReLU, leaky ReLU, clip, sigmoid, mish, hard-swish."""

_AXES = ("w", "h", "d")
_DIRECTIONS = (0, 1, 2)
_MOST_FLIP_AXES = 4
_FIRST_BLOCK_TERM = 400
_RESERVED_TERMS = (4, 5, 6)


def check_params(layer: Layer) -> None:
    """Raise ValueError, saying what was expected, if the parameters of a layer cannot work. Custom types pass."""
    if layer.layer_type is None:
        return
    params = layer.get
    for check in _CHECKS.get(layer.type, ()):
        check(params)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _at_least_one(params: Params, name: str) -> None:
    if name in params:
        value = params.integer(name)
        _require(value >= 1, f"expected {name} of at least 1, but got {value}")


def _is_dynamic(params: Params) -> bool:
    return "dynamic_weight" in params and params["dynamic_weight"] != 0


def _check_window(params: Params) -> None:
    """Kernel, dilation and stride."""
    for axis in _AXES:
        for name in ("kernel", "dilation", "stride"):
            if not (_is_dynamic(params) and name == "kernel"):
                _at_least_one(params, f"{name}_{axis}")


def _check_group(params: Params) -> None:
    _at_least_one(params, "group")
    outputs, group = params.integer("num_output"), params.integer("group")
    _require(outputs % group == 0, f"expected num_output to be a multiple of group {group}, but got {outputs}")


def _check_convolution_weights(params: Params) -> None:
    """The weights fill whole kernels for every output."""
    if _is_dynamic(params):
        return
    _at_least_one(params, "num_output")
    kernel = math.prod(params.integer(f"kernel_{axis}") for axis in _AXES if f"kernel_{axis}" in params)
    _check_multiple(params, params.integer("num_output") * kernel)


def _check_multiple(params: Params, unit: int) -> None:
    size = params.integer("weight_data_size")
    _require(size >= 1 and size % unit == 0, f"expected weight_data_size to be a multiple of {unit}, but got {size}")


def _check_rows(params: Params) -> None:
    _at_least_one(params, "num_output")
    _check_multiple(params, params.integer("num_output"))


def _check_activation(params: Params) -> None:
    kind, given = params.integer("activation_type"), len(params.numbers("activation_params"))
    _require(kind in ACTIVATION_ARGUMENTS, f"expected activation_type from 0 to 6, but got {kind}")
    needed = ACTIVATION_ARGUMENTS[kind]
    _require(given >= needed, f"activation_type {kind} needs {needed} activation_params, but got {given}")


def _check_pooling(params: Params) -> None:
    if params["global_pooling"] == 0 and params["adaptive_pooling"] == 0:
        _check_window(params)


def _check_recurrent(gates: int, hidden: str) -> Callable[[Params], None]:
    def check(params: Params) -> None:
        _at_least_one(params, "num_output")
        _at_least_one(params, hidden)
        direction = params.integer("direction")
        _require(direction in _DIRECTIONS, f"expected direction 0, 1 or 2, but got {direction}")
        _check_multiple(params, gates * params.integer(hidden) * (2 if direction == 2 else 1))

    return check


def _check_softmax(params: Params) -> None:
    _require(
        params["axis"] == 0 or params["fixbug0"] == 1, "expected 1=1 beside an axis other than 0: the file is too old"
    )


def _check_reduction(params: Params) -> None:
    _require(not params["axes"] or params["fixbug0"] == 1, "expected 5=1 beside axes: the file is too old")


def _one_of(name: str, low: int, high: int) -> Callable[[Params], None]:
    def check(params: Params) -> None:
        value = params.integer(name)
        _require(low <= value <= high, f"expected {name} from {low} to {high}, but got {value}")

    return check


def _check_flip(params: Params) -> None:
    count = len(params.integers("axes"))
    _require(count <= _MOST_FLIP_AXES, f"expected at most {_MOST_FLIP_AXES} axes, but got {count}")


def _check_quantize_term(params: Params) -> None:
    term = params.integer("quantize_term")
    is_wrong = term in _RESERVED_TERMS or (term >= _FIRST_BLOCK_TERM and block_quantization(params) is None)
    _require(not is_wrong, f"quantize_term {term} is no form of quantization")


def _check_gemm(params: Params) -> None:
    for switch, extents in (("constantA", ("constantM", "constantK")), ("constantB", ("constantN", "constantK"))):
        if params[switch] == 1:
            for extent in extents:
                _at_least_one(params, extent)
    kind = params.integer("constant_broadcast_type_C")
    if params["constantC"] == 1:
        _require(-1 <= kind <= 4, f"expected constant_broadcast_type_C from -1 to 4, but got {kind}")
    if block_quantization(params) is not None:
        zeros = ("constantA", "transA", "output_N1M", "output_elempack", "output_transpose")
        ones = ("constantB", "transB")
        is_plain = all(params[name] == 0 for name in zeros) and all(params[name] == 1 for name in ones)
        _require(
            is_plain and params["output_elemtype"] in (0, 1),
            "block quantization needs a constant, transposed B and a plain output",
        )


def _check_attention(params: Params) -> None:
    _at_least_one(params, "embed_dim")
    _at_least_one(params, "num_heads")
    width, heads = params.integer("embed_dim"), params.integer("num_heads")
    _require(width >= heads, f"expected num_heads of at most embed_dim {width}, but got {heads}")
    _check_multiple(params, width)


_CONVOLUTION = (_check_window, _check_convolution_weights, _check_activation)
_GROUPED = (_check_window, _check_group, _check_convolution_weights, _check_activation)

_CHECKS: dict[str, tuple[Callable[[Params], None], ...]] = {
    **dict.fromkeys(("Convolution", "Convolution1D", "Convolution3D", "DeformableConv2D"), _CONVOLUTION),
    **dict.fromkeys(("Deconvolution", "Deconvolution1D", "Deconvolution3D"), _CONVOLUTION),
    **dict.fromkeys(("ConvolutionDepthWise", "ConvolutionDepthWise1D", "ConvolutionDepthWise3D"), _GROUPED),
    **dict.fromkeys(("DeconvolutionDepthWise", "DeconvolutionDepthWise1D", "DeconvolutionDepthWise3D"), _GROUPED),
    **dict.fromkeys(("Pooling", "Pooling1D", "Pooling3D"), (_check_pooling,)),
    "InnerProduct": (_check_rows, _check_activation),
    "Embed": (_check_rows,),
    "RNN": (_check_recurrent(1, "num_output"),),
    "GRU": (_check_recurrent(3, "num_output"),),
    "LSTM": (_check_recurrent(4, "hidden_size"),),
    "Softmax": (_check_softmax,),
    "Reduction": (_check_reduction,),
    "Interp": (_one_of("resize_type", 0, 3),),
    "GridSample": (_one_of("sample_type", 1, 3), _one_of("padding_mode", 1, 3)),
    "ROIAlign": (_one_of("version", 0, 1),),
    "Flip": (_check_flip,),
    "Requantize": (_check_activation,),
    "Gemm": (_check_quantize_term, _check_gemm),
    "MultiHeadAttention": (_check_quantize_term, _check_attention),
}
