"""Every layer type that ncnn knows: its parameters, in the writer's order, and its weights, in file order.

One declarative table, shared by the readers, the writers, the optimizer, the quantizer and the documentation. Nothing
here computes with weights; `Params` only resolves defaults.

Follows: ncnn src/layer/*.cpp (load_param, load_model) and tools/modelwriter.h at commit a4d2ea1d.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

ParamKind = Literal["int", "float", "ints", "floats", "string"]
"""What a parameter holds: an int, a float, an array of either, or a string."""

ParamValue = int | float | str | list[int] | list[float]
"""A parameter's value as stored in `Layer.params` (floats are already rounded to binary32)."""

SHAPE_HINT_ID = 30
"""Parameter id, common to all types, that holds the shapes of the tops."""

FEATURE_MASK_ID = 31
"""Parameter id, common to all types, that switches runtime features off bit by bit."""

FIRST_CUSTOM_INDEX = 256
"""Type index of the first custom layer type in a binary param file."""


@dataclass(frozen=True)
class ParamSpec:
    """One parameter of a layer type.

    `default` is the value when the key is absent: a number, the name of another parameter of the same layer (its value
    is used), or a function of the layer's `Params`. The writer prints a scalar when it differs from the value in a
    layer that was given no parameters at all; `unless_same_as` names the parameter it is compared with instead;
    `forced_when` prints the value 1 exactly when the condition holds; `lost` marks what the real writer forgets.
    """

    id: int
    name: str
    kind: ParamKind
    default: int | float | str | Callable[[Params], float] | None
    unless_same_as: str | None = None
    forced_when: Callable[[Params], bool] | None = None
    lost: bool = False
    doc: str = ""


@dataclass(frozen=True)
class WeightSpec:
    """One record of a layer in the .bin file: `tagged` (four bytes say how it is stored) or `raw` (binary32)."""

    name: str
    kind: Literal["tagged", "raw"]
    count: Callable[[Params], int]
    when: Callable[[Params], bool]


@dataclass(frozen=True)
class LayerType:
    """One layer type: type index, parameters in writer order, weight records in file order."""

    index: int
    name: str
    params: tuple[ParamSpec, ...]
    weights: tuple[WeightSpec, ...]
    compiled_out: bool = False
    """True for the two types that default builds of ncnn reject."""

    def param_by_id(self, id: int) -> ParamSpec | None:
        """The parameter with this id, or None."""
        return next((param for param in self.params if param.id == id), None)

    def param_by_name(self, name: str) -> ParamSpec:
        """The parameter with this name; KeyError if the type has none."""
        for param in self.params:
            if param.name == name:
                return param
        raise KeyError(f"{self.name} has no parameter {name!r}")


class Params(Mapping[str, ParamValue]):
    """The parameters of one layer by name, defaults resolved: `params["kernel_h"]` is kernel_w's value when absent.

    `explicit` maps ids to values, as in `Layer.params`.
    """

    def __init__(self, layer_type: LayerType, explicit: Mapping[int, ParamValue]) -> None:
        self.layer_type = layer_type
        self.explicit = explicit

    def __getitem__(self, name: str) -> ParamValue:
        spec = self.layer_type.param_by_name(name)
        if spec.id in self.explicit:
            return self.explicit[spec.id]
        if spec.kind == "string":
            return ""
        if spec.kind in ("ints", "floats"):
            return []
        if isinstance(spec.default, str):
            return self[spec.default]
        if callable(spec.default):
            return spec.default(self)
        assert spec.default is not None
        return spec.default

    def __iter__(self) -> Iterator[str]:
        return (spec.name for spec in self.layer_type.params)

    def __len__(self) -> int:
        return len(self.layer_type.params)

    def integer(self, name: str) -> int:
        """The int parameter `name`."""
        value = self[name]
        if not isinstance(value, int):
            raise TypeError(f"{self.layer_type.name}: parameter {name} should be an int, but is {value!r}")
        return value

    def number(self, name: str) -> float:
        """The float parameter `name`."""
        value = self[name]
        if not isinstance(value, (int, float)):
            raise TypeError(f"{self.layer_type.name}: parameter {name} should be a float, but is {value!r}")
        return float(value)

    def integers(self, name: str) -> list[int]:
        """The int array parameter `name` (empty when absent)."""
        value = self[name]
        if not isinstance(value, list) or not all(isinstance(item, int) for item in value):
            raise TypeError(f"{self.layer_type.name}: parameter {name} should be an int array, but is {value!r}")
        return [item for item in value if isinstance(item, int)]

    def numbers(self, name: str) -> list[float]:
        """The float array parameter `name` (empty when absent)."""
        value = self[name]
        if not isinstance(value, list):
            raise TypeError(f"{self.layer_type.name}: parameter {name} should be a float array, but is {value!r}")
        return [float(item) for item in value]

    def text(self, name: str) -> str:
        """The string parameter `name` (empty when absent)."""
        value = self[name]
        if not isinstance(value, str):
            raise TypeError(f"{self.layer_type.name}: parameter {name} should be a string, but is {value!r}")
        return value


_Count = int | str | Callable[[Params], int]
_When = str | Callable[[Params], bool] | None


def _number(count: _Count) -> Callable[[Params], int]:
    if isinstance(count, int):
        return lambda params: count
    if isinstance(count, str):
        return lambda params: params.integer(count)
    return count


def _condition(when: _When) -> Callable[[Params], bool]:
    if when is None:
        return lambda params: True
    if isinstance(when, str):
        return lambda params: params[when] != 0
    return when


def _tagged(name: str, count: _Count, when: _When = None) -> WeightSpec:
    return WeightSpec(name, "tagged", _number(count), _condition(when))


def _raw(name: str, count: _Count, when: _When = None) -> WeightSpec:
    return WeightSpec(name, "raw", _number(count), _condition(when))


def _int(
    id: int,
    name: str,
    default: int | str | Callable[[Params], int],
    unless_same_as: str | None = None,
    forced_when: Callable[[Params], bool] | None = None,
    lost: bool = False,
    doc: str = "",
) -> ParamSpec:
    return ParamSpec(id, name, "int", default, unless_same_as, forced_when, lost, doc)


def _f32(value: float) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]  # type: ignore[no-any-return]


def _float(
    id: int, name: str, default: float | str | Callable[[Params], float], lost: bool = False, doc: str = ""
) -> ParamSpec:
    rounded = _f32(default) if isinstance(default, float) else default
    return ParamSpec(id, name, "float", rounded, None, None, lost, doc)


def _ints(id: int, name: str, lost: bool = False, doc: str = "") -> ParamSpec:
    return ParamSpec(id, name, "ints", None, None, None, lost, doc)


def _floats(id: int, name: str, lost: bool = False, doc: str = "") -> ParamSpec:
    return ParamSpec(id, name, "floats", None, None, None, lost, doc)


def _string(id: int, name: str, lost: bool = False, doc: str = "") -> ParamSpec:
    return ParamSpec(id, name, "string", None, None, None, lost, doc)


def _layer(
    index: int,
    name: str,
    weights: tuple[WeightSpec, ...],
    params: tuple[ParamSpec, ...],
    compiled_out: bool = False,
) -> LayerType:
    return LayerType(index, name, params, weights, compiled_out)


# Weight records that several types share, or that need more than a name and a count.


def _static(params: Params) -> bool:
    return params["dynamic_weight"] == 0


def _static_with(condition: Callable[[Params], bool]) -> Callable[[Params], bool]:
    return lambda params: _static(params) and condition(params)


def _has_bias(params: Params) -> bool:
    return params["bias_term"] != 0


def _int8(params: Params) -> bool:
    return params["int8_scale_term"] != 0


def _int8_output(params: Params) -> bool:
    return params.integer("int8_scale_term") > 100


_CONVOLUTION_INT8 = (
    _tagged("weight_data", "weight_data_size", when=_static),
    _raw("bias_data", "num_output", when=_static_with(_has_bias)),
    _raw("weight_data_int8_scales", "num_output", when=_static_with(_int8)),
    _raw("bottom_blob_int8_scales", 1, when=_static_with(_int8)),
    _raw("top_blob_int8_scales", 1, when=_static_with(_int8_output)),
)


def _depthwise_scale_count(params: Params) -> int:
    return params.integer("group") if params.integer("int8_scale_term") in (1, 101) else 1


def _depthwise_scaled(params: Params) -> bool:
    return params.integer("int8_scale_term") in (1, 2, 101, 102)


_DEPTHWISE_INT8 = (
    _tagged("weight_data", "weight_data_size", when=_static),
    _raw("bias_data", "num_output", when=_static_with(_has_bias)),
    _raw("weight_data_int8_scales", _depthwise_scale_count, when=_static_with(_depthwise_scaled)),
    _raw("bottom_blob_int8_scales", 1, when=_static_with(_depthwise_scaled)),
    _raw("top_blob_int8_scales", 1, when=_static_with(_int8_output)),
)

_DYNAMIC_CONVOLUTION = (
    _tagged("weight_data", "weight_data_size", when=_static),
    _raw("bias_data", "num_output", when=_static_with(_has_bias)),
)

_STATIC_CONVOLUTION = (
    _tagged("weight_data", "weight_data_size"),
    _raw("bias_data", "num_output", when="bias_term"),
)


def _memory_size(params: Params) -> int:
    extents = [params.integer(name) for name in ("w", "h", "d", "c")]
    return math.prod(extent for extent in extents if extent) if any(extents) else 0


_MEMORY_DATA = (
    _tagged("data", _memory_size, when=lambda params: _memory_size(params) != 0 and params["load_type"] == 0),
    _raw("data", _memory_size, when=lambda params: _memory_size(params) != 0 and params["load_type"] != 0),
)

_SCALE = (
    _raw("scale_data", "scale_data_size", when=lambda params: params["scale_data_size"] != -233),
    _raw(
        "bias_data",
        "scale_data_size",
        when=lambda params: params["scale_data_size"] != -233 and _has_bias(params),
    ),
)


def _affine(count: str) -> tuple[WeightSpec, ...]:
    return (_raw("gamma_data", count, when="affine"), _raw("beta_data", count, when="affine"))


def _directions(params: Params) -> int:
    return 2 if params["direction"] == 2 else 1


def _recurrent(gates: int, hidden: str, bias_rows: int) -> tuple[WeightSpec, ...]:
    """Records of RNN (1 gate), GRU (3) and LSTM (4): `hidden` names the parameter that counts the rows of one gate."""

    def rows(params: Params) -> int:
        return _directions(params) * gates * params.integer(hidden)

    return (
        _tagged("weight_xc_data", "weight_data_size"),
        _tagged("bias_c_data", lambda params: _directions(params) * bias_rows * params.integer(hidden)),
        _tagged("weight_hc_data", lambda params: rows(params) * params.integer("num_output")),
        *(
            (
                _tagged(
                    "weight_hr_data",
                    lambda params: _directions(params) * params.integer("num_output") * params.integer("hidden_size"),
                    when=lambda params: params["num_output"] != params["hidden_size"],
                ),
            )
            if hidden == "hidden_size"
            else ()
        ),
        _raw("weight_xc_data_int8_scales", rows, when=_int8),
        _raw("weight_hc_data_int8_scales", rows, when=_int8),
    )


_RNN = _recurrent(gates=1, hidden="num_output", bias_rows=1)
_GRU = _recurrent(gates=3, hidden="num_output", bias_rows=4)
_LSTM = _recurrent(gates=4, hidden="hidden_size", bias_rows=4)


def block_quantization(params: Params) -> tuple[int, bool, int] | None:
    """(bits, input scales stored, block size) of a block-quantized Gemm or MultiHeadAttention; None for the others."""
    term = params.integer("quantize_term")
    bits, rest = divmod(term, 100)
    has_input_scales, code = divmod(rest, 10)
    if bits not in (4, 6, 8) or has_input_scales not in (0, 1) or code not in (0, 1, 2):
        return None
    return bits, has_input_scales == 1, 32 << code


def _quantized(params: Params) -> bool:
    return params["quantize_term"] != 0


def _per_tensor(params: Params) -> bool:
    return _quantized(params) and block_quantization(params) is None


def _packed(params: Params, rows: int, columns: int) -> int:
    """Elements of a weight record: one per weight, or the bytes of the packed rows when block-quantized."""
    block = block_quantization(params)
    return rows * columns if block is None else rows * -(-columns * block[0] // 8)


def _blocks(params: Params, rows: int, columns: int) -> int:
    block = block_quantization(params)
    return 0 if block is None else rows * -(-columns // block[2])


def _gemm_c_count(params: Params) -> int:
    m, n = params.integer("constantM"), params.integer("constantN")
    return {0: 1, 1: m, 2: m, 3: m * n, 4: n}.get(params.integer("constant_broadcast_type_C"), 0)


def _constant(name: str, *, int8: bool) -> Callable[[Params], bool]:
    return lambda params: params[name] == 1 and (not int8 or _per_tensor(params))


def _has_input_scales(params: Params) -> bool:
    block = block_quantization(params)
    return block is not None and block[1]


_GEMM = (
    _tagged(
        "A_data", lambda p: p.integer("constantM") * p.integer("constantK"), when=_constant("constantA", int8=False)
    ),
    _tagged(
        "B_data",
        lambda p: _packed(p, p.integer("constantN"), p.integer("constantK")),
        when=_constant("constantB", int8=False),
    ),
    _tagged("C_data", _gemm_c_count, when=lambda p: p["constantC"] == 1 and p["constant_broadcast_type_C"] != -1),
    _raw("A_data_int8_scales", "constantM", when=_constant("constantA", int8=True)),
    _raw("B_data_int8_scale", 1, when=_constant("constantB", int8=True)),
    _raw(
        "B_data_block_scales",
        lambda p: _blocks(p, p.integer("constantN"), p.integer("constantK")),
        when=lambda p: block_quantization(p) is not None,
    ),
    _raw("input_scales", "constantK", when=_has_input_scales),
)


def _qdim(params: Params) -> int:
    embed_dim = params.integer("embed_dim")
    return params.integer("weight_data_size") // embed_dim if embed_dim else 0


def _attention_matrix(name: str, dim: Callable[[Params], int]) -> WeightSpec:
    return _tagged(f"{name}_weight_data", lambda p: _packed(p, p.integer("embed_dim"), dim(p)))


def _kdim(params: Params) -> int:
    return params.integer("kdim")


def _vdim(params: Params) -> int:
    return params.integer("vdim")


def _blockwise(params: Params) -> bool:
    return block_quantization(params) is not None


_MULTI_HEAD_ATTENTION = (
    _attention_matrix("q", _qdim),
    _raw("q_bias_data", "embed_dim"),
    _attention_matrix("k", _kdim),
    _raw("k_bias_data", "embed_dim"),
    _attention_matrix("v", _vdim),
    _raw("v_bias_data", "embed_dim"),
    _tagged("out_weight_data", lambda p: _packed(p, _qdim(p), p.integer("embed_dim"))),
    _raw("out_bias_data", _qdim),
    _raw("q_weight_data_int8_scales", "embed_dim", when=_per_tensor),
    _raw("k_weight_data_int8_scales", "embed_dim", when=_per_tensor),
    _raw("v_weight_data_int8_scales", "embed_dim", when=_per_tensor),
    _raw("out_weight_data_int8_scale", 1, when=_per_tensor),
    _raw("q_weight_data_block_scales", lambda p: _blocks(p, p.integer("embed_dim"), _qdim(p)), when=_blockwise),
    _raw("k_weight_data_block_scales", lambda p: _blocks(p, p.integer("embed_dim"), _kdim(p)), when=_blockwise),
    _raw("v_weight_data_block_scales", lambda p: _blocks(p, p.integer("embed_dim"), _vdim(p)), when=_blockwise),
    _raw("out_weight_data_block_scales", lambda p: _blocks(p, _qdim(p), p.integer("embed_dim")), when=_blockwise),
    _raw("q_input_scales", _qdim, when=_has_input_scales),
    _raw("k_input_scales", _kdim, when=_has_input_scales),
    _raw("v_input_scales", _vdim, when=_has_input_scales),
    _raw("out_input_scales", "embed_dim", when=_has_input_scales),
)


def _attention_scale(params: Params) -> float:
    """1 / sqrt(embed_dim div num_heads), each step in binary32; infinite for a head of no width."""
    heads = params.integer("num_heads")
    width = params.integer("embed_dim") // heads if heads else 0
    if width <= 0:
        return math.inf
    return _f32(1.0 / _f32(math.sqrt(width)))


LAYER_TYPES: tuple[LayerType, ...] = (
    _layer(0, "AbsVal", weights=(), params=()),
    _layer(
        1,
        "ArgMax",
        weights=(),
        compiled_out=True,
        params=(
            _int(0, "out_max_val", 0, lost=True, doc="1 = also values"),
            _int(1, "topk", 1, lost=True, doc="k"),
        ),
    ),
    _layer(
        2,
        "BatchNorm",
        weights=(
            _raw("slope_data", "channels"),
            _raw("mean_data", "channels"),
            _raw("var_data", "channels"),
            _raw("bias_data", "channels"),
        ),
        params=(
            _int(0, "channels", 0, doc="number of channels"),
            _float(1, "eps", 0.0, doc="added to the variance"),
        ),
    ),
    _layer(
        3,
        "Bias",
        weights=(_raw("bias_data", "bias_data_size"),),
        params=(_int(0, "bias_data_size", 0, doc="length of the bias blob"),),
    ),
    _layer(4, "BNLL", weights=(), params=()),
    _layer(
        5,
        "Concat",
        weights=(),
        params=(_int(0, "axis", 0, doc="axis index (0 = outermost; negative counts from the end)"),),
    ),
    _layer(
        6,
        "Convolution",
        weights=_CONVOLUTION_INT8,
        params=(
            _int(0, "num_output", 0, doc="number of output channels / features"),
            _int(1, "kernel_w", 0, doc="kernel width"),
            _int(11, "kernel_h", "kernel_w", unless_same_as="kernel_w", doc="kernel height"),
            _int(2, "dilation_w", 1, doc="dilation along w"),
            _int(12, "dilation_h", "dilation_w", unless_same_as="dilation_w", doc="dilation along h"),
            _int(3, "stride_w", 1, doc="stride along w"),
            _int(13, "stride_h", "stride_w", unless_same_as="stride_w", doc="stride along h"),
            _int(4, "pad_left", 0, doc="padding before w (-233 / -234 = automatic)"),
            _int(14, "pad_top", "pad_left", unless_same_as="pad_left", doc="padding before h"),
            _int(15, "pad_right", "pad_left", unless_same_as="pad_left", doc="padding after w"),
            _int(16, "pad_bottom", "pad_top", unless_same_as="pad_top", doc="padding after h"),
            _float(18, "pad_value", 0.0, doc="constant used for padding"),
            _int(5, "bias_term", 0, doc="1 = a bias blob follows in the .bin"),
            _int(6, "weight_data_size", 0, doc="number of scalar elements of the weight blob"),
            _int(8, "int8_scale_term", 0, doc="int8 switch"),
            _int(9, "activation_type", 0, doc="fused activation"),
            _floats(10, "activation_params", doc="arguments of the fused activation"),
            _int(19, "dynamic_weight", 0, doc="1 = weight (and bias) arrive as extra bottoms, nothing in the .bin"),
        ),
    ),
    _layer(
        7,
        "Crop",
        weights=(),
        params=(
            _int(0, "woffset", 0, doc="start w (-233 with two bottoms: the second one holds the region as ints)"),
            _int(1, "hoffset", 0, doc="start h"),
            _int(13, "doffset", 0, doc="start d"),
            _int(2, "coffset", 0, doc="start c"),
            _int(3, "outw", 0, doc="output w, 0 = from reference blob or offset2, -233 = rest"),
            _int(4, "outh", 0, doc="output h, likewise"),
            _int(14, "outd", 0, doc="output d, likewise"),
            _int(5, "outc", 0, doc="output c, likewise"),
            _int(6, "woffset2", 0, doc="amount cut at the far end of w"),
            _int(7, "hoffset2", 0, doc="likewise h"),
            _int(15, "doffset2", 0, doc="likewise d"),
            _int(8, "coffset2", 0, doc="likewise c"),
            _ints(9, "starts", doc="numpy-style slice starts (-233 = from beginning)"),
            _ints(10, "ends", doc="slice ends (-233 = to end)"),
            _ints(11, "axes", doc="axes of starts/ends"),
            _string(19, "starts_expr", doc="expression giving starts"),
            _string(20, "ends_expr", doc="expression giving ends"),
            _string(21, "axes_expr", doc="expression giving axes"),
        ),
    ),
    _layer(
        8,
        "Deconvolution",
        weights=_DYNAMIC_CONVOLUTION,
        params=(
            _int(0, "num_output", 0, doc="number of output channels / features"),
            _int(1, "kernel_w", 0, doc="kernel width"),
            _int(11, "kernel_h", "kernel_w", unless_same_as="kernel_w", doc="kernel height"),
            _int(2, "dilation_w", 1, doc="dilation along w"),
            _int(12, "dilation_h", "dilation_w", unless_same_as="dilation_w", doc="dilation along h"),
            _int(3, "stride_w", 1, doc="stride along w"),
            _int(13, "stride_h", "stride_w", unless_same_as="stride_w", doc="stride along h"),
            _int(4, "pad_left", 0, doc="padding before w (-233 / -234 = automatic)"),
            _int(14, "pad_top", "pad_left", unless_same_as="pad_left", doc="padding before h"),
            _int(15, "pad_right", "pad_left", unless_same_as="pad_left", doc="padding after w"),
            _int(16, "pad_bottom", "pad_top", unless_same_as="pad_top", doc="padding after h"),
            _int(18, "output_pad_right", 0, doc="extra output columns"),
            _int(
                19, "output_pad_bottom", "output_pad_right", unless_same_as="output_pad_right", doc="extra output rows"
            ),
            _int(20, "output_w", 0, doc="forced output width, 0 = computed"),
            _int(21, "output_h", "output_w", unless_same_as="output_w", doc="forced output height"),
            _int(5, "bias_term", 0, doc="1 = a bias blob follows in the .bin"),
            _int(6, "weight_data_size", 0, doc="number of scalar elements of the weight blob"),
            _int(9, "activation_type", 0, doc="fused activation"),
            _floats(10, "activation_params", doc="arguments of the fused activation"),
            _int(28, "dynamic_weight", 0, doc="1 = weight (and bias) arrive as extra bottoms, nothing in the .bin"),
        ),
    ),
    _layer(9, "Dropout", weights=(), params=(_float(0, "scale", 1.0, doc="multiplier (1 = identity)"),)),
    _layer(
        10,
        "Eltwise",
        weights=(),
        params=(
            _int(0, "op_type", 0, doc="0 product 1 sum 2 max"),
            _floats(1, "coeffs", doc="per-input weights for sum"),
        ),
    ),
    _layer(11, "ELU", weights=(), params=(_float(0, "alpha", 0.1, doc="alpha"),)),
    _layer(
        12,
        "Embed",
        weights=(
            _tagged("weight_data", "weight_data_size"),
            _raw("bias_data", "num_output", when="bias_term"),
            _raw("weight_data_int8_scale", 1, when="int8_scale_term"),
        ),
        params=(
            _int(0, "num_output", 0, doc="embedding width"),
            _int(1, "input_dim", 0, doc="vocabulary size"),
            _int(2, "bias_term", 0, doc="1 = a bias blob follows in the .bin"),
            _int(3, "weight_data_size", 0, doc="number of scalar elements of the weight blob"),
            _int(18, "int8_scale_term", 0, doc="int8 switch"),
        ),
    ),
    _layer(
        13,
        "Exp",
        weights=(),
        params=(
            _float(0, "base", -1.0, doc="base, -1 = natural"),
            _float(1, "scale", 1.0, doc="multiplier"),
            _float(2, "shift", 0.0, doc="addend"),
        ),
    ),
    _layer(14, "Flatten", weights=(), params=()),
    _layer(
        15,
        "InnerProduct",
        weights=(
            _tagged("weight_data", "weight_data_size"),
            _raw("bias_data", "num_output", when="bias_term"),
            _raw("weight_data_int8_scales", "num_output", when="int8_scale_term"),
            _raw("bottom_blob_int8_scales", 1, when="int8_scale_term"),
        ),
        params=(
            _int(0, "num_output", 0, doc="number of output channels / features"),
            _int(1, "bias_term", 0, doc="1 = a bias blob follows in the .bin"),
            _int(2, "weight_data_size", 0, doc="num_output x num_input"),
            _int(8, "int8_scale_term", 0, doc="int8 switch"),
            _int(9, "activation_type", 0, doc="fused activation"),
            _floats(10, "activation_params", doc="arguments of the fused activation"),
        ),
    ),
    _layer(
        16,
        "Input",
        weights=(),
        params=(
            _int(0, "w", 0, doc="width, 0 = unknown"),
            _int(1, "h", 0, doc="height"),
            _int(2, "c", 0, doc="channels"),
            _int(11, "d", 0, lost=True, doc="depth"),
        ),
    ),
    _layer(
        17,
        "Log",
        weights=(),
        params=(
            _float(0, "base", -1.0, doc="base, -1 = natural"),
            _float(1, "scale", 1.0, doc="multiplier"),
            _float(2, "shift", 0.0, doc="addend"),
        ),
    ),
    _layer(
        18,
        "LRN",
        weights=(),
        params=(
            _int(0, "region_type", 0, doc="0 across channels 1 within channel"),
            _int(1, "local_size", 5, doc="window"),
            _float(2, "alpha", 1.0, doc="alpha"),
            _float(3, "beta", 0.75, doc="beta"),
            _float(4, "bias", 1.0, doc="k"),
        ),
    ),
    _layer(
        19,
        "MemoryData",
        weights=_MEMORY_DATA,
        params=(
            _int(0, "w", 0, doc="width"),
            _int(1, "h", 0, doc="height"),
            _int(2, "c", 0, doc="channels"),
            _int(11, "d", 0, doc="depth"),
            _int(21, "load_type", 1, lost=True, doc="0 = tagged blob, 1 = raw fp32 blob"),
        ),
    ),
    _layer(
        20,
        "MVN",
        weights=(),
        params=(
            _int(0, "normalize_variance", 0, doc="1 = divide by deviation"),
            _int(1, "across_channels", 0, doc="1 = over the whole blob"),
            _float(2, "eps", 0.0001, doc="epsilon"),
        ),
    ),
    _layer(
        21,
        "Pooling",
        weights=(),
        params=(
            _int(0, "pooling_type", 0, doc="0 max 1 average"),
            _int(1, "kernel_w", 0, doc="kernel width"),
            _int(11, "kernel_h", "kernel_w", unless_same_as="kernel_w", doc="kernel height"),
            _int(2, "stride_w", 1, doc="stride along w"),
            _int(12, "stride_h", "stride_w", unless_same_as="stride_w", doc="stride along h"),
            _int(3, "pad_left", 0, doc="padding before w"),
            _int(13, "pad_top", "pad_left", unless_same_as="pad_left", doc="padding before h"),
            _int(14, "pad_right", "pad_left", unless_same_as="pad_left", doc="padding after w"),
            _int(15, "pad_bottom", "pad_top", unless_same_as="pad_top", doc="padding after h"),
            _int(4, "global_pooling", 0, doc="1 = whole plane"),
            _int(5, "pad_mode", 0, doc="0 full 1 valid 2 SAME_UPPER 3 SAME_LOWER"),
            _int(6, "avgpool_count_include_pad", 0, doc="count padding in the average"),
            _int(7, "adaptive_pooling", 0, doc="1 = adaptive"),
            _int(8, "out_w", 0, doc="adaptive output w (-233 = same as input)"),
            _int(18, "out_h", "out_w", unless_same_as="out_w", doc="adaptive output h"),
        ),
    ),
    _layer(
        22,
        "Power",
        weights=(),
        params=(
            _float(0, "power", 1.0, doc="exponent"),
            _float(1, "scale", 1.0, doc="multiplier"),
            _float(2, "shift", 0.0, doc="addend"),
        ),
    ),
    _layer(
        23,
        "PReLU",
        weights=(_raw("slope_data", "num_slope"),),
        params=(_int(0, "num_slope", 0, doc="1 or number of channels"),),
    ),
    _layer(
        24,
        "Proposal",
        weights=(),
        params=(
            _int(0, "feat_stride", 16, doc="stride"),
            _int(1, "base_size", 16, doc="anchor base"),
            _int(2, "pre_nms_topN", 6000, doc="kept before NMS"),
            _int(3, "after_nms_topN", 300, doc="kept after NMS"),
            _float(4, "nms_thresh", 0.7, doc="IoU threshold"),
            _int(5, "min_size", 16, doc="minimum box"),
        ),
    ),
    _layer(
        25,
        "Reduction",
        weights=(),
        params=(
            _int(
                0, "operation", 0, doc="0 sum 1 asum 2 sumsq 3 mean 4 max 5 min 6 prod 7 L1 8 L2 9 logsum 10 logsumexp"
            ),
            _int(1, "reduce_all", 1, doc="1 = all axes"),
            _float(2, "coeff", 1.0, doc="multiplier"),
            _ints(3, "axes", doc="axis list"),
            _int(4, "keepdims", 0, doc="keep reduced dims"),
            _int(
                5,
                "fixbug0",
                0,
                forced_when=lambda params: params["axes"] != [],
                doc="must be 1 when axes given, else load error",
            ),
        ),
    ),
    _layer(26, "ReLU", weights=(), params=(_float(0, "slope", 0.0, doc="negative slope"),)),
    _layer(
        27,
        "Reshape",
        weights=(),
        params=(
            _int(0, "w", -233, doc="0 copy, -1 infer, -233 absent"),
            _int(1, "h", -233, doc="same"),
            _int(11, "d", -233, doc="same"),
            _int(2, "c", -233, doc="same"),
            _string(6, "shape_expr", doc="expression giving the shape"),
            _int(12, "input_batch_axis", 233, lost=True, doc="batch axis in, 233 = none"),
            _int(13, "output_batch_axis", 233, lost=True, doc="batch axis out, 233 = none"),
        ),
    ),
    _layer(
        28,
        "ROIPooling",
        weights=(),
        params=(
            _int(0, "pooled_width", 0, doc="output width"),
            _int(1, "pooled_height", 0, doc="output height"),
            _float(2, "spatial_scale", 1.0, doc="ROI coordinate scale"),
        ),
    ),
    _layer(
        29,
        "Scale",
        weights=_SCALE,
        params=(
            _int(0, "scale_data_size", 0, doc="length, -233 = scale is the second bottom and nothing is stored"),
            _int(1, "bias_term", 0, doc="1 = bias blob follows"),
        ),
    ),
    _layer(30, "Sigmoid", weights=(), params=()),
    _layer(
        31,
        "Slice",
        weights=(),
        params=(
            _ints(0, "slices", doc="slice sizes, -233 = equal share of the rest"),
            _int(1, "axis", 0, doc="axis index (0 = outermost; negative counts from the end)"),
            _ints(2, "indices", lost=True, doc="split positions (alternative to slices)"),
        ),
    ),
    _layer(
        32,
        "Softmax",
        weights=(),
        params=(
            _int(0, "axis", 0, doc="axis index (0 = outermost; negative counts from the end)"),
            _int(
                1,
                "fixbug0",
                0,
                forced_when=lambda params: params["axis"] != 0,
                doc="must be 1 when axis != 0, else load error",
            ),
        ),
    ),
    _layer(33, "Split", weights=(), params=()),
    _layer(
        34,
        "SPP",
        weights=(),
        compiled_out=True,
        params=(
            _int(0, "pooling_type", 0, lost=True, doc="0 max 1 avg"),
            _int(1, "pyramid_height", 1, lost=True, doc="levels"),
        ),
    ),
    _layer(35, "TanH", weights=(), params=()),
    _layer(36, "Threshold", weights=(), params=(_float(0, "threshold", 0.0, doc="threshold"),)),
    _layer(
        37,
        "Tile",
        weights=(),
        params=(
            _int(0, "axis", 0, doc="axis index (0 = outermost; negative counts from the end)"),
            _int(1, "tiles", 1, doc="repeat count"),
            _ints(2, "repeats", doc="per-axis repeats"),
        ),
    ),
    _layer(
        38,
        "RNN",
        weights=_RNN,
        params=(
            _int(0, "num_output", 0, doc="number of output channels / features"),
            _int(1, "weight_data_size", 0, doc="size_of_input x num_output x directions"),
            _int(2, "direction", 0, doc="0 forward, 1 reverse, 2 bidirectional"),
            _int(8, "int8_scale_term", 0, doc="int8 switch"),
        ),
    ),
    _layer(
        39,
        "LSTM",
        weights=_LSTM,
        params=(
            _int(0, "num_output", 0, doc="number of output channels / features"),
            _int(1, "weight_data_size", 0, doc="size_of_input x hidden_size x 4 x directions"),
            _int(2, "direction", 0, doc="0 forward, 1 reverse, 2 bidirectional"),
            _int(3, "hidden_size", "num_output", doc="hidden width (!= num_output = projection)"),
            _int(8, "int8_scale_term", 0, doc="int8 switch"),
        ),
    ),
    _layer(
        40,
        "BinaryOp",
        weights=(),
        params=(
            _int(
                0,
                "op_type",
                0,
                doc=(
                    "0 add 1 sub 2 mul 3 div 4 max 5 min 6 pow 7 rsub 8 rdiv 9 rpow 10 atan2 11 ratan2 12 fmod 13 "
                    "rfmod 14 logaddexp 15 floor_divide 16 rfloor_divide 17 remainder 18 rremainder"
                ),
            ),
            _int(1, "with_scalar", 0, doc="1 = second operand is the scalar b"),
            _float(2, "b", 0.0, doc="the scalar"),
        ),
    ),
    _layer(
        41,
        "UnaryOp",
        weights=(),
        params=(
            _int(
                0,
                "op_type",
                0,
                doc=(
                    "0 abs 1 neg 2 floor 3 ceil 4 square 5 sqrt 6 rsqrt 7 exp 8 log 9 sin 10 cos 11 tan 12 asin 13 "
                    "acos 14 atan 15 reciprocal 16 tanh 17 log10 18 round 19 trunc 20 sign 21 expm1 22 sinh 23 asinh "
                    "24 cosh 25 acosh 26 atanh 27 log1p"
                ),
            ),
        ),
    ),
    _layer(
        42,
        "ConvolutionDepthWise",
        weights=_DEPTHWISE_INT8,
        params=(
            _int(0, "num_output", 0, doc="number of output channels / features"),
            _int(1, "kernel_w", 0, doc="kernel width"),
            _int(11, "kernel_h", "kernel_w", unless_same_as="kernel_w", doc="kernel height"),
            _int(2, "dilation_w", 1, doc="dilation along w"),
            _int(12, "dilation_h", "dilation_w", unless_same_as="dilation_w", doc="dilation along h"),
            _int(3, "stride_w", 1, doc="stride along w"),
            _int(13, "stride_h", "stride_w", unless_same_as="stride_w", doc="stride along h"),
            _int(4, "pad_left", 0, doc="padding before w (-233 / -234 = automatic)"),
            _int(14, "pad_top", "pad_left", unless_same_as="pad_left", doc="padding before h"),
            _int(15, "pad_right", "pad_left", unless_same_as="pad_left", doc="padding after w"),
            _int(16, "pad_bottom", "pad_top", unless_same_as="pad_top", doc="padding after h"),
            _float(18, "pad_value", 0.0, doc="constant used for padding"),
            _int(5, "bias_term", 0, doc="1 = a bias blob follows in the .bin"),
            _int(6, "weight_data_size", 0, doc="number of scalar elements of the weight blob"),
            _int(7, "group", 1, doc="number of groups"),
            _int(8, "int8_scale_term", 0, doc="int8 switch"),
            _int(9, "activation_type", 0, doc="fused activation"),
            _floats(10, "activation_params", doc="arguments of the fused activation"),
            _int(19, "dynamic_weight", 0, doc="1 = weight (and bias) arrive as extra bottoms, nothing in the .bin"),
        ),
    ),
    _layer(
        43,
        "Padding",
        weights=(_raw("per_channel_pad_data", "per_channel_pad_data_size", when="per_channel_pad_data_size"),),
        params=(
            _int(0, "top", 0, doc="rows before"),
            _int(1, "bottom", 0, doc="rows after"),
            _int(2, "left", 0, doc="columns before"),
            _int(3, "right", 0, doc="columns after"),
            _int(4, "type", 0, doc="0 constant 1 replicate 2 reflect"),
            _float(5, "value", 0.0, doc="constant"),
            _int(6, "per_channel_pad_data_size", 0, doc="length of the per-channel constant blob"),
            _int(7, "front", 0, doc="channels (or depth) before"),
            _int(8, "behind", 0, doc="channels (or depth) after"),
        ),
    ),
    _layer(
        44,
        "Squeeze",
        weights=(),
        params=(
            _int(0, "squeeze_w", 0, doc="drop w"),
            _int(1, "squeeze_h", 0, doc="drop h"),
            _int(11, "squeeze_d", 0, doc="drop d"),
            _int(2, "squeeze_c", 0, doc="drop c"),
            _ints(3, "axes", doc="axis list"),
        ),
    ),
    _layer(45, "ExpandDims", weights=(), params=(_ints(3, "axes", doc="axis list"),)),
    _layer(
        46,
        "Normalize",
        weights=(_raw("scale_data", "scale_data_size"),),
        params=(
            _int(0, "across_spatial", 0, doc="1 = over wxh"),
            _int(1, "channel_shared", 0, doc="1 = one scale"),
            _float(2, "eps", 0.0001, doc="epsilon"),
            _int(3, "scale_data_size", 0, doc="length of scale blob"),
            _int(4, "across_channel", 1, doc="1 = over channels"),
            _int(9, "eps_mode", 0, doc="0 caffe/mxnet 1 pytorch 2 tensorflow"),
        ),
    ),
    _layer(47, "Permute", weights=(), params=(_int(0, "order_type", 0, doc="permutation code 0...23"),)),
    _layer(
        48,
        "PriorBox",
        weights=(),
        params=(
            _floats(0, "min_sizes", doc="min sizes"),
            _floats(1, "max_sizes", doc="max sizes"),
            _floats(2, "aspect_ratios", doc="aspect ratios"),
            _float(3, "variances[0]", 0.1, doc="variance 0"),
            _float(4, "variances[1]", 0.1, doc="variance 1"),
            _float(5, "variances[2]", 0.2, doc="variance 2"),
            _float(6, "variances[3]", 0.2, doc="variance 3"),
            _int(7, "flip", 1, doc="also reciprocal ratios"),
            _int(8, "clip", 0, doc="clip to image"),
            _int(9, "image_width", 0, doc="image w, 0 = from blob"),
            _int(10, "image_height", 0, doc="image h"),
            _float(11, "step_width", -233.0, doc="step, -233 = automatic"),
            _float(12, "step_height", -233.0, doc="step, -233 = automatic"),
            _float(13, "offset", 0.0, doc="centre offset"),
            _int(14, "step_mmdetection", 0, lost=True, doc="mmdetection step mode"),
            _int(15, "center_mmdetection", 0, lost=True, doc="mmdetection centre mode"),
        ),
    ),
    _layer(
        49,
        "DetectionOutput",
        weights=(),
        params=(
            _int(0, "num_class", 0, doc="number of classes"),
            _float(1, "nms_threshold", 0.05, doc="NMS IoU threshold"),
            _int(2, "nms_top_k", 300, doc="candidates kept before NMS"),
            _int(3, "keep_top_k", 100, doc="detections kept"),
            _float(4, "confidence_threshold", 0.5, doc="score threshold"),
            _float(5, "variances[0]", 0.1, doc="box variance 0"),
            _float(6, "variances[1]", 0.1, doc="box variance 1"),
            _float(7, "variances[2]", 0.2, doc="box variance 2"),
            _float(8, "variances[3]", 0.2, doc="box variance 3"),
        ),
    ),
    _layer(
        50,
        "Interp",
        weights=(),
        params=(
            _int(0, "resize_type", 0, doc="0 none 1 nearest 2 bilinear 3 bicubic (else load error)"),
            _float(1, "height_scale", 1.0, doc="scale h"),
            _float(2, "width_scale", 1.0, doc="scale w"),
            _int(3, "output_height", 0, doc="fixed h, 0 = use scale"),
            _int(4, "output_width", 0, doc="fixed w"),
            _int(5, "dynamic_target_size", 0, doc="1 = size from second bottom"),
            _int(6, "align_corner", 0, doc="align corners"),
            _string(9, "size_expr", doc="expression giving the output size"),
        ),
    ),
    _layer(
        51,
        "DeconvolutionDepthWise",
        weights=_DYNAMIC_CONVOLUTION,
        params=(
            _int(0, "num_output", 0, doc="number of output channels / features"),
            _int(1, "kernel_w", 0, doc="kernel width"),
            _int(11, "kernel_h", "kernel_w", unless_same_as="kernel_w", doc="kernel height"),
            _int(2, "dilation_w", 1, doc="dilation along w"),
            _int(12, "dilation_h", "dilation_w", unless_same_as="dilation_w", doc="dilation along h"),
            _int(3, "stride_w", 1, doc="stride along w"),
            _int(13, "stride_h", "stride_w", unless_same_as="stride_w", doc="stride along h"),
            _int(4, "pad_left", 0, doc="padding before w (-233 / -234 = automatic)"),
            _int(14, "pad_top", "pad_left", unless_same_as="pad_left", doc="padding before h"),
            _int(15, "pad_right", "pad_left", unless_same_as="pad_left", doc="padding after w"),
            _int(16, "pad_bottom", "pad_top", unless_same_as="pad_top", doc="padding after h"),
            _int(18, "output_pad_right", 0, doc="extra output columns"),
            _int(
                19, "output_pad_bottom", "output_pad_right", unless_same_as="output_pad_right", doc="extra output rows"
            ),
            _int(20, "output_w", 0, doc="forced output width, 0 = computed"),
            _int(21, "output_h", "output_w", unless_same_as="output_w", doc="forced output height"),
            _int(5, "bias_term", 0, doc="1 = a bias blob follows in the .bin"),
            _int(6, "weight_data_size", 0, doc="number of scalar elements of the weight blob"),
            _int(7, "group", 1, doc="number of groups"),
            _int(9, "activation_type", 0, doc="fused activation"),
            _floats(10, "activation_params", doc="arguments of the fused activation"),
            _int(28, "dynamic_weight", 0, doc="1 = weight (and bias) arrive as extra bottoms, nothing in the .bin"),
        ),
    ),
    _layer(
        52,
        "ShuffleChannel",
        weights=(),
        params=(
            _int(0, "group", 1, doc="number of groups"),
            _int(1, "reverse", 0, doc="1 = inverse shuffle"),
        ),
    ),
    _layer(
        53,
        "InstanceNorm",
        weights=_affine("channels"),
        params=(
            _int(0, "channels", 0, doc="number of channels"),
            _float(1, "eps", 0.001, doc="epsilon"),
            _int(2, "affine", 1, doc="1 = affine blobs follow in the .bin"),
        ),
    ),
    _layer(
        54,
        "Clip",
        weights=(),
        params=(
            _float(0, "min", -3.40282347e38, doc="lower bound"),
            _float(1, "max", 3.40282347e38, doc="upper bound"),
        ),
    ),
    _layer(
        55,
        "Reorg",
        weights=(),
        params=(
            _int(0, "stride", 1, doc="factor"),
            _int(1, "mode", 0, doc="channel order"),
        ),
    ),
    _layer(
        56,
        "YoloDetectionOutput",
        weights=(),
        params=(
            _int(0, "num_class", 20, doc="number of classes"),
            _int(1, "num_box", 5, doc="boxes per cell"),
            _float(2, "confidence_threshold", 0.01, doc="score threshold"),
            _float(3, "nms_threshold", 0.45, doc="NMS IoU threshold"),
            _floats(4, "biases", doc="anchor sizes"),
        ),
    ),
    _layer(
        57,
        "Quantize",
        weights=(_raw("scale_data", "scale_data_size"),),
        params=(_int(0, "scale_data_size", 1, doc="1 or number of channels"),),
    ),
    _layer(
        58,
        "Dequantize",
        weights=(_raw("scale_data", "scale_data_size"), _raw("bias_data", "bias_data_size", when="bias_data_size")),
        params=(
            _int(0, "scale_data_size", 1, doc="1 or number of channels"),
            _int(1, "bias_data_size", 0, doc="0, 1 or number of channels"),
        ),
    ),
    _layer(
        59,
        "Yolov3DetectionOutput",
        weights=(),
        params=(
            _int(0, "num_class", 20, doc="number of classes"),
            _int(1, "num_box", 5, doc="boxes per cell"),
            _float(2, "confidence_threshold", 0.01, doc="score threshold"),
            _float(3, "nms_threshold", 0.45, doc="NMS IoU threshold"),
            _floats(4, "biases", doc="anchor sizes"),
            _ints(5, "mask", doc="anchor index per scale"),
            _floats(6, "anchors_scale", doc="per-scale stride"),
        ),
    ),
    _layer(
        60,
        "PSROIPooling",
        weights=(),
        params=(
            _int(0, "pooled_width", 7, doc="output width"),
            _int(1, "pooled_height", 7, doc="output height"),
            _float(2, "spatial_scale", 0.0625, doc="ROI coordinate scale"),
            _int(3, "output_dim", 0, doc="output channels"),
        ),
    ),
    _layer(
        61,
        "ROIAlign",
        weights=(),
        params=(
            _int(0, "pooled_width", 0, doc="output width"),
            _int(1, "pooled_height", 0, doc="output height"),
            _float(2, "spatial_scale", 1.0, doc="ROI coordinate scale"),
            _int(3, "sampling_ratio", 0, doc="samples per bin, 0 = auto"),
            _int(4, "aligned", 0, doc="half-pixel shift"),
            _int(5, "version", 0, doc="0 original, 1 detectron2"),
        ),
    ),
    _layer(
        62,
        "Packing",
        weights=(),
        params=(
            _int(0, "out_elempack", 1, lost=True, doc="target packing"),
            _int(1, "use_padding", 0, lost=True, doc="pad to packing"),
            _int(2, "cast_type_from", 0, lost=True, doc="element type in"),
            _int(3, "cast_type_to", 0, lost=True, doc="element type out"),
        ),
    ),
    _layer(
        63,
        "Requantize",
        weights=(
            _raw("scale_in_data", "scale_in_data_size"),
            _raw("scale_out_data", "scale_out_data_size"),
            _raw("bias_data", "bias_data_size", when="bias_data_size"),
        ),
        params=(
            _int(0, "scale_in_data_size", 1, doc="1 or number of channels"),
            _int(1, "scale_out_data_size", 1, doc="1 or number of channels"),
            _int(2, "bias_data_size", 0, doc="0, 1 or number of channels"),
            _int(3, "activation_type", 0, doc="fused activation"),
            _floats(4, "activation_params", doc="arguments of the fused activation"),
        ),
    ),
    _layer(
        64,
        "Cast",
        weights=(),
        params=(
            _int(0, "type_from", 0, lost=True, doc="0 auto 1 fp32 2 fp16 3 int8 4 bf16"),
            _int(1, "type_to", 0, lost=True, doc="same codes"),
        ),
    ),
    _layer(
        65,
        "HardSigmoid",
        weights=(),
        params=(
            _float(0, "alpha", 0.2, doc="slope"),
            _float(1, "beta", 0.5, doc="offset"),
        ),
    ),
    _layer(
        66,
        "SELU",
        weights=(),
        params=(
            _float(0, "alpha", 1.67326324, lost=True, doc="alpha"),
            _float(1, "lambda", 1.050700987, lost=True, doc="lambda"),
        ),
    ),
    _layer(
        67,
        "HardSwish",
        weights=(),
        params=(
            _float(0, "alpha", 0.2, doc="slope"),
            _float(1, "beta", 0.5, doc="offset"),
        ),
    ),
    _layer(68, "Noop", weights=(), params=()),
    _layer(
        69,
        "PixelShuffle",
        weights=(),
        params=(
            _int(0, "upscale_factor", 1, doc="factor"),
            _int(1, "mode", 0, doc="0 sw-sh-outc, 1 outc-sw-sh channel order"),
        ),
    ),
    _layer(70, "DeepCopy", weights=(), params=()),
    _layer(71, "Mish", weights=(), params=()),
    _layer(
        72,
        "StatisticsPooling",
        weights=(),
        params=(_int(0, "include_stddev", 0, lost=True, doc="1 = also standard deviation"),),
    ),
    _layer(73, "Swish", weights=(), params=()),
    _layer(
        74,
        "Gemm",
        weights=_GEMM,
        params=(
            _float(0, "alpha", 1.0, doc="result multiplier"),
            _float(1, "beta", 1.0, doc="C multiplier"),
            _int(2, "transA", 0, doc="1 = A stored transposed"),
            _int(3, "transB", 0, doc="1 = B stored transposed"),
            _int(4, "constantA", 0, doc="1 = A comes from the .bin"),
            _int(5, "constantB", 0, doc="1 = B comes from the .bin"),
            _int(6, "constantC", 0, doc="1 = C comes from the .bin"),
            _int(7, "constantM", 0, doc="M when known"),
            _int(8, "constantN", 0, doc="N when known"),
            _int(9, "constantK", 0, doc="K when known"),
            _int(10, "constant_broadcast_type_C", 0, doc="-1 no C, 0 scalar, 1 [M], 2 [Mx1], 3 [MxN], 4 [1xN]"),
            _int(11, "output_N1M", 0, doc="1 = 3-d output with h = 1"),
            _int(12, "output_elempack", 0, doc="forced packing, 0 = auto"),
            _int(13, "output_elemtype", 0, doc="0 auto, 1 fp32"),
            _int(14, "output_transpose", 0, doc="1 = transposed output"),
            _int(
                18,
                "quantize_term",
                0,
                doc="0 none; other < 400 int8; 4xx/6xx/8xx block weights (>= 400 of another form: load error)",
            ),
            _int(20, "constant_TILE_M", 0, doc="tile size override"),
            _int(21, "constant_TILE_N", 0, doc="tile size override"),
            _int(22, "constant_TILE_K", 0, doc="tile size override"),
        ),
    ),
    _layer(
        75,
        "GroupNorm",
        weights=_affine("channels"),
        params=(
            _int(0, "group", 1, doc="number of groups"),
            _int(1, "channels", 0, doc="number of channels"),
            _float(2, "eps", 0.001, doc="epsilon"),
            _int(3, "affine", 1, doc="1 = affine blobs follow in the .bin"),
        ),
    ),
    _layer(
        76,
        "LayerNorm",
        weights=_affine("affine_size"),
        params=(
            _int(0, "affine_size", 0, doc="length of gamma/beta"),
            _float(1, "eps", 0.001, doc="epsilon"),
            _int(2, "affine", 1, doc="1 = affine blobs follow in the .bin"),
        ),
    ),
    _layer(77, "Softplus", weights=(), params=()),
    _layer(
        78,
        "GRU",
        weights=_GRU,
        params=(
            _int(0, "num_output", 0, doc="number of output channels / features"),
            _int(1, "weight_data_size", 0, doc="size_of_input x num_output x 3 x directions"),
            _int(2, "direction", 0, doc="0 forward, 1 reverse, 2 bidirectional"),
            _int(8, "int8_scale_term", 0, doc="int8 switch"),
        ),
    ),
    _layer(
        79,
        "MultiHeadAttention",
        weights=_MULTI_HEAD_ATTENTION,
        params=(
            _int(0, "embed_dim", 0, doc="embedding width"),
            _int(1, "num_heads", 1, doc="heads"),
            _int(2, "weight_data_size", 0, doc="embed_dim x qdim; qdim is derived from it"),
            _int(3, "kdim", "embed_dim", doc="key width"),
            _int(4, "vdim", "embed_dim", doc="value width"),
            _int(5, "attn_mask", 0, doc="1 = mask bottom present"),
            _float(6, "scale", _attention_scale, doc="score multiplier"),
            _int(7, "kv_cache", 0, doc="1 = cached k/v bottoms"),
            _int(18, "quantize_term", 0, doc="as Gemm"),
        ),
    ),
    _layer(80, "GELU", weights=(), params=(_int(0, "fast_gelu", 0, doc="1 = tanh approximation"),)),
    _layer(
        81,
        "Convolution1D",
        weights=_DYNAMIC_CONVOLUTION,
        params=(
            _int(0, "num_output", 0, doc="number of output channels / features"),
            _int(1, "kernel_w", 0, doc="kernel width"),
            _int(2, "dilation_w", 1, doc="dilation along w"),
            _int(3, "stride_w", 1, doc="stride along w"),
            _int(4, "pad_left", 0, doc="padding before w (-233 / -234 = automatic)"),
            _int(15, "pad_right", "pad_left", unless_same_as="pad_left", doc="padding after w"),
            _float(18, "pad_value", 0.0, doc="constant used for padding"),
            _int(5, "bias_term", 0, doc="1 = a bias blob follows in the .bin"),
            _int(6, "weight_data_size", 0, doc="number of scalar elements of the weight blob"),
            _int(9, "activation_type", 0, doc="fused activation"),
            _floats(10, "activation_params", doc="arguments of the fused activation"),
            _int(19, "dynamic_weight", 0, doc="1 = weight (and bias) arrive as extra bottoms, nothing in the .bin"),
        ),
    ),
    _layer(
        82,
        "Pooling1D",
        weights=(),
        params=(
            _int(0, "pooling_type", 0, doc="0 max 1 average"),
            _int(1, "kernel_w", 0, doc="kernel width"),
            _int(2, "stride_w", 1, doc="stride along w"),
            _int(3, "pad_left", 0, doc="padding before w"),
            _int(14, "pad_right", "pad_left", unless_same_as="pad_left", doc="padding after w"),
            _int(4, "global_pooling", 0, doc="1 = whole plane"),
            _int(5, "pad_mode", 0, doc="0 full 1 valid 2 SAME_UPPER 3 SAME_LOWER"),
            _int(6, "avgpool_count_include_pad", 0, doc="count padding in the average"),
            _int(7, "adaptive_pooling", 0, doc="1 = adaptive"),
            _int(8, "out_w", 0, doc="adaptive output w (-233 = same as input)"),
        ),
    ),
    _layer(
        83,
        "ConvolutionDepthWise1D",
        weights=_DYNAMIC_CONVOLUTION,
        params=(
            _int(0, "num_output", 0, doc="number of output channels / features"),
            _int(1, "kernel_w", 0, doc="kernel width"),
            _int(2, "dilation_w", 1, doc="dilation along w"),
            _int(3, "stride_w", 1, doc="stride along w"),
            _int(4, "pad_left", 0, doc="padding before w (-233 / -234 = automatic)"),
            _int(15, "pad_right", "pad_left", unless_same_as="pad_left", doc="padding after w"),
            _float(18, "pad_value", 0.0, doc="constant used for padding"),
            _int(5, "bias_term", 0, doc="1 = a bias blob follows in the .bin"),
            _int(6, "weight_data_size", 0, doc="number of scalar elements of the weight blob"),
            _int(7, "group", 1, doc="number of groups"),
            _int(9, "activation_type", 0, doc="fused activation"),
            _floats(10, "activation_params", doc="arguments of the fused activation"),
            _int(19, "dynamic_weight", 0, doc="1 = weight (and bias) arrive as extra bottoms, nothing in the .bin"),
        ),
    ),
    _layer(
        84,
        "Convolution3D",
        weights=_STATIC_CONVOLUTION,
        params=(
            _int(0, "num_output", 0, doc="number of output channels / features"),
            _int(1, "kernel_w", 0, doc="kernel width"),
            _int(11, "kernel_h", "kernel_w", unless_same_as="kernel_w", doc="kernel height"),
            _int(21, "kernel_d", "kernel_w", unless_same_as="kernel_w", doc="kernel depth"),
            _int(2, "dilation_w", 1, doc="dilation along w"),
            _int(12, "dilation_h", "dilation_w", unless_same_as="dilation_w", doc="dilation along h"),
            _int(22, "dilation_d", "dilation_w", unless_same_as="dilation_w", doc="dilation along d"),
            _int(3, "stride_w", 1, doc="stride along w"),
            _int(13, "stride_h", "stride_w", unless_same_as="stride_w", doc="stride along h"),
            _int(23, "stride_d", "stride_w", unless_same_as="stride_w", doc="stride along d"),
            _int(4, "pad_left", 0, doc="padding before w (-233 / -234 = automatic)"),
            _int(14, "pad_top", "pad_left", unless_same_as="pad_left", doc="padding before h"),
            _int(24, "pad_front", "pad_left", unless_same_as="pad_left", doc="padding before d"),
            _int(15, "pad_right", "pad_left", unless_same_as="pad_left", doc="padding after w"),
            _int(16, "pad_bottom", "pad_top", unless_same_as="pad_top", doc="padding after h"),
            _int(17, "pad_behind", "pad_front", unless_same_as="pad_front", doc="padding after d"),
            _float(18, "pad_value", 0.0, doc="constant used for padding"),
            _int(5, "bias_term", 0, doc="1 = a bias blob follows in the .bin"),
            _int(6, "weight_data_size", 0, doc="number of scalar elements of the weight blob"),
            _int(9, "activation_type", 0, doc="fused activation"),
            _floats(10, "activation_params", doc="arguments of the fused activation"),
        ),
    ),
    _layer(
        85,
        "ConvolutionDepthWise3D",
        weights=_STATIC_CONVOLUTION,
        params=(
            _int(0, "num_output", 0, doc="number of output channels / features"),
            _int(1, "kernel_w", 0, doc="kernel width"),
            _int(11, "kernel_h", "kernel_w", unless_same_as="kernel_w", doc="kernel height"),
            _int(21, "kernel_d", "kernel_w", unless_same_as="kernel_w", doc="kernel depth"),
            _int(2, "dilation_w", 1, doc="dilation along w"),
            _int(12, "dilation_h", "dilation_w", unless_same_as="dilation_w", doc="dilation along h"),
            _int(22, "dilation_d", "dilation_w", unless_same_as="dilation_w", doc="dilation along d"),
            _int(3, "stride_w", 1, doc="stride along w"),
            _int(13, "stride_h", "stride_w", unless_same_as="stride_w", doc="stride along h"),
            _int(23, "stride_d", "stride_w", unless_same_as="stride_w", doc="stride along d"),
            _int(4, "pad_left", 0, doc="padding before w (-233 / -234 = automatic)"),
            _int(14, "pad_top", "pad_left", unless_same_as="pad_left", doc="padding before h"),
            _int(24, "pad_front", "pad_left", unless_same_as="pad_left", doc="padding before d"),
            _int(15, "pad_right", "pad_left", unless_same_as="pad_left", doc="padding after w"),
            _int(16, "pad_bottom", "pad_top", unless_same_as="pad_top", doc="padding after h"),
            _int(17, "pad_behind", "pad_front", unless_same_as="pad_front", doc="padding after d"),
            _float(18, "pad_value", 0.0, doc="constant used for padding"),
            _int(5, "bias_term", 0, doc="1 = a bias blob follows in the .bin"),
            _int(6, "weight_data_size", 0, doc="number of scalar elements of the weight blob"),
            _int(7, "group", 1, doc="number of groups"),
            _int(9, "activation_type", 0, doc="fused activation"),
            _floats(10, "activation_params", doc="arguments of the fused activation"),
        ),
    ),
    _layer(
        86,
        "Pooling3D",
        weights=(),
        params=(
            _int(0, "pooling_type", 0, doc="0 max 1 average"),
            _int(1, "kernel_w", 0, doc="kernel width"),
            _int(11, "kernel_h", "kernel_w", unless_same_as="kernel_w", doc="kernel height"),
            _int(21, "kernel_d", "kernel_w", unless_same_as="kernel_w", doc="kernel depth"),
            _int(2, "stride_w", 1, doc="stride along w"),
            _int(12, "stride_h", "stride_w", unless_same_as="stride_w", doc="stride along h"),
            _int(22, "stride_d", "stride_w", unless_same_as="stride_w", doc="stride along d"),
            _int(3, "pad_left", 0, doc="padding before w"),
            _int(13, "pad_top", "pad_left", unless_same_as="pad_left", doc="padding before h"),
            _int(23, "pad_front", "pad_left", unless_same_as="pad_left", doc="padding before d"),
            _int(14, "pad_right", "pad_left", unless_same_as="pad_left", doc="padding after w"),
            _int(15, "pad_bottom", "pad_top", unless_same_as="pad_top", doc="padding after h"),
            _int(16, "pad_behind", "pad_front", unless_same_as="pad_front", doc="padding after d"),
            _int(4, "global_pooling", 0, doc="1 = whole plane"),
            _int(5, "pad_mode", 0, doc="0 full 1 valid 2 SAME_UPPER 3 SAME_LOWER"),
            _int(6, "avgpool_count_include_pad", 0, doc="count padding in the average"),
            _int(7, "adaptive_pooling", 0, doc="1 = adaptive"),
            _int(8, "out_w", 0, doc="adaptive output w (-233 = same as input)"),
            _int(18, "out_h", "out_w", unless_same_as="out_w", doc="adaptive output h"),
            _int(28, "out_d", "out_w", unless_same_as="out_w", doc="adaptive output d"),
        ),
    ),
    _layer(87, "MatMul", weights=(), params=(_int(0, "transB", 0, doc="1 = B transposed"),)),
    _layer(
        88,
        "Deconvolution1D",
        weights=_DYNAMIC_CONVOLUTION,
        params=(
            _int(0, "num_output", 0, doc="number of output channels / features"),
            _int(1, "kernel_w", 0, doc="kernel width"),
            _int(2, "dilation_w", 1, doc="dilation along w"),
            _int(3, "stride_w", 1, doc="stride along w"),
            _int(4, "pad_left", 0, doc="padding before w (-233 / -234 = automatic)"),
            _int(15, "pad_right", "pad_left", unless_same_as="pad_left", doc="padding after w"),
            _int(18, "output_pad_right", 0, doc="extra output columns"),
            _int(20, "output_w", 0, doc="forced output width, 0 = computed"),
            _int(5, "bias_term", 0, doc="1 = a bias blob follows in the .bin"),
            _int(6, "weight_data_size", 0, doc="number of scalar elements of the weight blob"),
            _int(9, "activation_type", 0, doc="fused activation"),
            _floats(10, "activation_params", doc="arguments of the fused activation"),
            _int(28, "dynamic_weight", 0, doc="1 = weight (and bias) arrive as extra bottoms, nothing in the .bin"),
        ),
    ),
    _layer(
        89,
        "DeconvolutionDepthWise1D",
        weights=_DYNAMIC_CONVOLUTION,
        params=(
            _int(0, "num_output", 0, doc="number of output channels / features"),
            _int(1, "kernel_w", 0, doc="kernel width"),
            _int(2, "dilation_w", 1, doc="dilation along w"),
            _int(3, "stride_w", 1, doc="stride along w"),
            _int(4, "pad_left", 0, doc="padding before w (-233 / -234 = automatic)"),
            _int(15, "pad_right", "pad_left", unless_same_as="pad_left", doc="padding after w"),
            _int(18, "output_pad_right", 0, doc="extra output columns"),
            _int(20, "output_w", 0, doc="forced output width, 0 = computed"),
            _int(5, "bias_term", 0, doc="1 = a bias blob follows in the .bin"),
            _int(6, "weight_data_size", 0, doc="number of scalar elements of the weight blob"),
            _int(7, "group", 1, doc="number of groups"),
            _int(9, "activation_type", 0, doc="fused activation"),
            _floats(10, "activation_params", doc="arguments of the fused activation"),
            _int(28, "dynamic_weight", 0, doc="1 = weight (and bias) arrive as extra bottoms, nothing in the .bin"),
        ),
    ),
    _layer(
        90,
        "Deconvolution3D",
        weights=_STATIC_CONVOLUTION,
        params=(
            _int(0, "num_output", 0, doc="number of output channels / features"),
            _int(1, "kernel_w", 0, doc="kernel width"),
            _int(11, "kernel_h", "kernel_w", unless_same_as="kernel_w", doc="kernel height"),
            _int(21, "kernel_d", "kernel_w", unless_same_as="kernel_w", doc="kernel depth"),
            _int(2, "dilation_w", 1, doc="dilation along w"),
            _int(12, "dilation_h", "dilation_w", unless_same_as="dilation_w", doc="dilation along h"),
            _int(22, "dilation_d", "dilation_w", unless_same_as="dilation_w", doc="dilation along d"),
            _int(3, "stride_w", 1, doc="stride along w"),
            _int(13, "stride_h", "stride_w", unless_same_as="stride_w", doc="stride along h"),
            _int(23, "stride_d", "stride_w", unless_same_as="stride_w", doc="stride along d"),
            _int(4, "pad_left", 0, doc="padding before w (-233 / -234 = automatic)"),
            _int(14, "pad_top", "pad_left", unless_same_as="pad_left", doc="padding before h"),
            _int(24, "pad_front", "pad_left", unless_same_as="pad_left", doc="padding before d"),
            _int(15, "pad_right", "pad_left", unless_same_as="pad_left", doc="padding after w"),
            _int(16, "pad_bottom", "pad_top", unless_same_as="pad_top", doc="padding after h"),
            _int(17, "pad_behind", "pad_front", unless_same_as="pad_front", doc="padding after d"),
            _int(18, "output_pad_right", 0, doc="extra output columns"),
            _int(
                19, "output_pad_bottom", "output_pad_right", unless_same_as="output_pad_right", doc="extra output rows"
            ),
            _int(
                20,
                "output_pad_behind",
                "output_pad_right",
                unless_same_as="output_pad_right",
                doc="extra output depth slices",
            ),
            _int(25, "output_w", 0, doc="forced output width, 0 = computed"),
            _int(26, "output_h", "output_w", unless_same_as="output_w", doc="forced output height"),
            _int(27, "output_d", "output_w", unless_same_as="output_w", doc="forced output depth"),
            _int(5, "bias_term", 0, doc="1 = a bias blob follows in the .bin"),
            _int(6, "weight_data_size", 0, doc="number of scalar elements of the weight blob"),
            _int(9, "activation_type", 0, doc="fused activation"),
            _floats(10, "activation_params", doc="arguments of the fused activation"),
        ),
    ),
    _layer(
        91,
        "DeconvolutionDepthWise3D",
        weights=_STATIC_CONVOLUTION,
        params=(
            _int(0, "num_output", 0, doc="number of output channels / features"),
            _int(1, "kernel_w", 0, doc="kernel width"),
            _int(11, "kernel_h", "kernel_w", unless_same_as="kernel_w", doc="kernel height"),
            _int(21, "kernel_d", "kernel_w", unless_same_as="kernel_w", doc="kernel depth"),
            _int(2, "dilation_w", 1, doc="dilation along w"),
            _int(12, "dilation_h", "dilation_w", unless_same_as="dilation_w", doc="dilation along h"),
            _int(22, "dilation_d", "dilation_w", unless_same_as="dilation_w", doc="dilation along d"),
            _int(3, "stride_w", 1, doc="stride along w"),
            _int(13, "stride_h", "stride_w", unless_same_as="stride_w", doc="stride along h"),
            _int(23, "stride_d", "stride_w", unless_same_as="stride_w", doc="stride along d"),
            _int(4, "pad_left", 0, doc="padding before w (-233 / -234 = automatic)"),
            _int(14, "pad_top", "pad_left", unless_same_as="pad_left", doc="padding before h"),
            _int(24, "pad_front", "pad_left", unless_same_as="pad_left", doc="padding before d"),
            _int(15, "pad_right", "pad_left", unless_same_as="pad_left", doc="padding after w"),
            _int(16, "pad_bottom", "pad_top", unless_same_as="pad_top", doc="padding after h"),
            _int(17, "pad_behind", "pad_front", unless_same_as="pad_front", doc="padding after d"),
            _int(18, "output_pad_right", 0, doc="extra output columns"),
            _int(
                19, "output_pad_bottom", "output_pad_right", unless_same_as="output_pad_right", doc="extra output rows"
            ),
            _int(
                20,
                "output_pad_behind",
                "output_pad_right",
                unless_same_as="output_pad_right",
                doc="extra output depth slices",
            ),
            _int(25, "output_w", 0, doc="forced output width, 0 = computed"),
            _int(26, "output_h", "output_w", unless_same_as="output_w", doc="forced output height"),
            _int(27, "output_d", "output_w", unless_same_as="output_w", doc="forced output depth"),
            _int(5, "bias_term", 0, doc="1 = a bias blob follows in the .bin"),
            _int(6, "weight_data_size", 0, doc="number of scalar elements of the weight blob"),
            _int(7, "group", 1, doc="number of groups"),
            _int(9, "activation_type", 0, doc="fused activation"),
            _floats(10, "activation_params", doc="arguments of the fused activation"),
        ),
    ),
    _layer(
        92,
        "Einsum",
        weights=(),
        params=(_ints(0, "equation", lost=True, doc="equation text, one character code per int element"),),
    ),
    _layer(
        93,
        "DeformableConv2D",
        weights=_STATIC_CONVOLUTION,
        params=(
            _int(0, "num_output", 0, doc="number of output channels / features"),
            _int(1, "kernel_w", 0, doc="kernel width"),
            _int(11, "kernel_h", "kernel_w", unless_same_as="kernel_w", doc="kernel height"),
            _int(2, "dilation_w", 1, doc="dilation along w"),
            _int(12, "dilation_h", "dilation_w", unless_same_as="dilation_w", doc="dilation along h"),
            _int(3, "stride_w", 1, doc="stride along w"),
            _int(13, "stride_h", "stride_w", unless_same_as="stride_w", doc="stride along h"),
            _int(4, "pad_left", 0, doc="padding before w (-233 / -234 = automatic)"),
            _int(14, "pad_top", "pad_left", unless_same_as="pad_left", doc="padding before h"),
            _int(15, "pad_right", "pad_left", unless_same_as="pad_left", doc="padding after w"),
            _int(16, "pad_bottom", "pad_top", unless_same_as="pad_top", doc="padding after h"),
            _int(5, "bias_term", 0, doc="1 = a bias blob follows in the .bin"),
            _int(6, "weight_data_size", 0, doc="number of scalar elements of the weight blob"),
            _int(9, "activation_type", 0, doc="fused activation"),
            _floats(10, "activation_params", doc="arguments of the fused activation"),
        ),
    ),
    _layer(
        94,
        "GLU",
        weights=(),
        params=(_int(0, "axis", 0, doc="axis index (0 = outermost; negative counts from the end)"),),
    ),
    _layer(
        95,
        "Fold",
        weights=(),
        params=(
            _int(1, "kernel_w", 0, doc="kernel width"),
            _int(11, "kernel_h", "kernel_w", unless_same_as="kernel_w", doc="kernel height"),
            _int(2, "dilation_w", 1, doc="dilation along w"),
            _int(12, "dilation_h", "dilation_w", unless_same_as="dilation_w", doc="dilation along h"),
            _int(3, "stride_w", 1, doc="stride along w"),
            _int(13, "stride_h", "stride_w", unless_same_as="stride_w", doc="stride along h"),
            _int(4, "pad_left", 0, doc="padding before w (-233 / -234 = automatic)"),
            _int(14, "pad_top", "pad_left", unless_same_as="pad_left", doc="padding before h"),
            _int(15, "pad_right", "pad_left", unless_same_as="pad_left", doc="padding after w"),
            _int(16, "pad_bottom", "pad_top", unless_same_as="pad_top", doc="padding after h"),
            _int(20, "output_w", 0, doc="forced output width, 0 = computed"),
            _int(21, "output_h", "output_w", unless_same_as="output_w", doc="forced output height"),
        ),
    ),
    _layer(
        96,
        "Unfold",
        weights=(),
        params=(
            _int(1, "kernel_w", 0, doc="kernel width"),
            _int(11, "kernel_h", "kernel_w", unless_same_as="kernel_w", doc="kernel height"),
            _int(2, "dilation_w", 1, doc="dilation along w"),
            _int(12, "dilation_h", "dilation_w", unless_same_as="dilation_w", doc="dilation along h"),
            _int(3, "stride_w", 1, doc="stride along w"),
            _int(13, "stride_h", "stride_w", unless_same_as="stride_w", doc="stride along h"),
            _int(4, "pad_left", 0, doc="padding before w (-233 / -234 = automatic)"),
            _int(14, "pad_top", "pad_left", unless_same_as="pad_left", doc="padding before h"),
            _int(15, "pad_right", "pad_left", unless_same_as="pad_left", doc="padding after w"),
            _int(16, "pad_bottom", "pad_top", unless_same_as="pad_top", doc="padding after h"),
            _float(18, "pad_value", 0.0, doc="constant used for padding"),
        ),
    ),
    _layer(
        97,
        "GridSample",
        weights=(),
        params=(
            _int(0, "sample_type", 1, doc="1 nearest 2 bilinear 3 bicubic (else load error)"),
            _int(1, "padding_mode", 1, doc="1 zeros 2 border 3 reflection (else load error)"),
            _int(2, "align_corner", 0, doc="align corners"),
            _int(3, "permute_fusion", 0, doc="1 = grid already permuted"),
        ),
    ),
    _layer(
        98,
        "CumulativeSum",
        weights=(),
        params=(_int(0, "axis", 0, doc="axis index (0 = outermost; negative counts from the end)"),),
    ),
    _layer(
        99,
        "CopyTo",
        weights=(),
        params=(
            _int(0, "woffset", 0, doc="destination offset w"),
            _int(1, "hoffset", 0, doc="offset h"),
            _int(13, "doffset", 0, doc="offset d"),
            _int(2, "coffset", 0, doc="offset c"),
            _ints(9, "starts", doc="numpy-style starts"),
            _ints(11, "axes", doc="axes the starts refer to"),
        ),
    ),
    _layer(100, "Erf", weights=(), params=()),
    _layer(101, "Diag", weights=(), params=(_int(0, "diagonal", 0, doc="diagonal offset"),)),
    _layer(102, "CELU", weights=(), params=(_float(0, "alpha", 1.0, doc="alpha"),)),
    _layer(
        103,
        "Shrink",
        weights=(),
        params=(
            _float(0, "bias", 0.0, lost=True, doc="bias"),
            _float(1, "lambd", 0.5, lost=True, doc="threshold"),
        ),
    ),
    _layer(
        104,
        "RMSNorm",
        weights=(_raw("gamma_data", "affine_size", when="affine"),),
        params=(
            _int(0, "affine_size", 0, doc="length of gamma"),
            _float(1, "eps", 0.001, doc="epsilon"),
            _int(2, "affine", 1, doc="1 = affine blobs follow in the .bin"),
        ),
    ),
    _layer(
        105,
        "Spectrogram",
        weights=(),
        params=(
            _int(0, "n_fft", 0, lost=True, doc="FFT size"),
            _int(1, "power", 0, lost=True, doc="0 complex 1 magnitude 2 power"),
            _int(2, "hoplen", lambda params: params.integer("n_fft") // 4, lost=True, doc="hop"),
            _int(3, "winlen", "n_fft", lost=True, doc="window length"),
            _int(4, "window_type", 0, lost=True, doc="0 ones 1 hann 2 hamming"),
            _int(5, "center", 1, lost=True, doc="centre padding"),
            _int(6, "pad_type", 2, lost=True, doc="0 constant 1 replicate 2 reflect"),
            _int(7, "normalized", 0, lost=True, doc="0 no 1 by n_fft 2 by window energy"),
            _int(8, "onesided", 1, lost=True, doc="1 = half spectrum"),
        ),
    ),
    _layer(
        106,
        "InverseSpectrogram",
        weights=(),
        params=(
            _int(0, "n_fft", 0, lost=True, doc="FFT size"),
            _int(1, "returns", 0, lost=True, doc="0 complex 1 real 2 imag"),
            _int(2, "hoplen", lambda params: params.integer("n_fft") // 4, lost=True, doc="hop"),
            _int(3, "winlen", "n_fft", lost=True, doc="window length"),
            _int(4, "window_type", 0, lost=True, doc="0 ones 1 hann 2 hamming"),
            _int(5, "center", 1, lost=True, doc="centre padding"),
            _int(7, "normalized", 0, lost=True, doc="0 no 1 by n_fft 2 by window energy"),
        ),
    ),
    _layer(
        107,
        "Flip",
        weights=(),
        params=(_ints(0, "axes", lost=True, doc="axes to flip, at most 4 (more → load error)"),),
    ),
    _layer(
        108,
        "SDPA",
        weights=(),
        params=(
            _int(5, "attn_mask", 0, doc="1 = mask bottom present"),
            _float(6, "scale", 0.0, doc="score multiplier, 0 = automatic"),
            _int(7, "kv_cache", 0, doc="cache mode"),
            _int(18, "int8_scale_term", 0, doc="non-zero = int8 with dynamic scales (no blobs)"),
        ),
    ),
    _layer(109, "RotaryEmbed", weights=(), params=(_int(0, "interleaved", 0, doc="pair layout"),)),
)

BY_NAME: Mapping[str, LayerType] = {layer_type.name: layer_type for layer_type in LAYER_TYPES}
"""Layer types by name."""

BY_INDEX: Mapping[int, LayerType] = {layer_type.index: layer_type for layer_type in LAYER_TYPES}
"""Layer types by the index that binary param files use."""
