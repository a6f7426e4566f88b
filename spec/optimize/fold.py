"""Passes 1 to 14: BatchNorm, Scale, Dropout and constant operands become part of the weights.

Every float step is one binary32 operation, in the order written here.

Follows: ncnn tools/ncnnoptimize.cpp @ a4d2ea1d.
"""

from __future__ import annotations

from array import array

from spec.errors import GraphError
from spec.graph import Layer, float_weight
from spec.optimize.arithmetic import Floats, constant
from spec.optimize.rewriting import Rewriting

ADD = 0
MULTIPLY = 2
"""Operations of BinaryOp."""

ZERO_ROOT = 0.0001
"""What a BatchNorm layer divides by where var + eps is zero."""


# arithmetic


def fold_scale(net: Rewriting, norm: Layer, scale: Layer) -> None:
    """BatchNorm → Scale: slope and bias of the BatchNorm times the scale, plus the Scale's bias."""
    arithmetic = net.arithmetic
    factors = net.floats(scale, "scale_data")
    slope = arithmetic.multiply(net.floats(norm, "slope_data"), factors)
    bias = arithmetic.multiply(net.floats(norm, "bias_data"), factors)
    if scale.get.integer("bias_term"):
        bias = arithmetic.add(bias, net.floats(scale, "bias_data"))
    norm.weights["slope_data"] = float_weight("slope_data", slope, "raw")
    norm.weights["bias_data"] = float_weight("bias_data", bias, "raw")


def fold_batchnorm(net: Rewriting, layer: Layer, norm: Layer) -> None:
    """A weighted layer → BatchNorm.

    r = sqrt(var + eps); a = bias - (slope * mean) / r; b = slope / r; weights times b; bias * b + a.
    """
    arithmetic = net.arithmetic
    channels = norm.get.integer("channels")
    _require(layer, norm, channels == layer.get.integer("num_output"), f"has {channels} channels")
    slope = net.floats(norm, "slope_data")
    eps = constant(norm.get.number("eps"), channels)
    root = arithmetic.square_root(arithmetic.add(net.floats(norm, "var_data"), eps))
    if not net.upstream:
        root = array("f", [ZERO_ROOT if value == 0.0 else value for value in root])
    mean_part = arithmetic.divide(arithmetic.multiply(slope, net.floats(norm, "mean_data")), root)
    a = arithmetic.subtract(net.floats(norm, "bias_data"), mean_part)
    b = arithmetic.divide(slope, root)

    bias = _bias_or_zeros(net, layer, channels)
    _multiply_weights(net, layer, b)
    _set_bias(layer, arithmetic.add(arithmetic.multiply(bias, b), a))


def fold_multiply(net: Rewriting, layer: Layer, operation: Layer) -> None:
    """A weighted layer → times one constant per output channel: weights and bias, if there is one, times it."""
    factors = net.floats(constant_operand(net, operation), "data")
    _multiply_weights(net, layer, factors)
    if "bias_data" in layer.weights:
        _set_bias(layer, net.arithmetic.multiply(net.floats(layer, "bias_data"), factors))


def fold_add(net: Rewriting, layer: Layer, operation: Layer) -> None:
    """A weighted layer → plus one constant per output channel: added to the bias, or the new bias."""
    summand = net.floats(constant_operand(net, operation), "data")
    if "bias_data" in layer.weights:
        summand = net.arithmetic.add(net.floats(layer, "bias_data"), summand)
    _set_bias(layer, array("f", summand))


def fold_dropout(net: Rewriting, layer: Layer, dropout: Layer) -> None:
    """InnerProduct → Dropout: weights, and bias if there is one, times the Dropout's scale, whatever it is."""
    scale = dropout.get.number("scale")
    if scale == 1.0:
        return
    factors = constant(scale, layer.get.integer("num_output"))
    _multiply_weights(net, layer, factors)
    if "bias_data" in layer.weights:
        _set_bias(layer, net.arithmetic.multiply(net.floats(layer, "bias_data"), factors))


def _multiply_weights(net: Rewriting, layer: Layer, factors: Floats) -> None:
    if "weight_data" not in layer.weights:
        return
    if layer.weight("weight_data").dtype == "int8":
        raise GraphError(layer.name, "its weights are int8 codes, which cannot be multiplied by a float")
    weights = net.floats(layer, "weight_data")
    if not len(factors) or len(weights) % len(factors):
        raise GraphError(layer.name, f"its {len(weights)} weights do not divide into {len(factors)} output channels")
    net.arithmetic.multiply_rows(weights, factors)
    layer.weights["weight_data"] = float_weight("weight_data", weights, "tagged")


def _bias_or_zeros(net: Rewriting, layer: Layer, count: int) -> Floats:
    return net.floats(layer, "bias_data") if "bias_data" in layer.weights else constant(0.0, count)


def _set_bias(layer: Layer, bias: Floats) -> None:
    """Give a layer a bias; the record stands behind the weights, before any scales. Dynamic weights have no records."""
    layer.set("bias_term", 1)
    if "weight_data" not in layer.weights:
        return
    rest = {name: weight for name, weight in layer.weights.items() if name not in ("weight_data", "bias_data")}
    layer.weights = {
        "weight_data": layer.weights["weight_data"],
        "bias_data": float_weight("bias_data", bias, "raw"),
        **rest,
    }


def _require(layer: Layer, other: Layer, holds: bool, what: str) -> None:
    if not holds:
        raise GraphError(other.name, f"{what}, but {layer.name} makes {layer.get.integer('num_output')}")


# conditions


def constant_operand(net: Rewriting, operation: Layer) -> Layer:
    """The MemoryData that is a BinaryOp's second operand."""
    position = net.producer(operation.bottoms[1])
    assert position is not None
    return net.layers[position]


def multiplies_by_constant(net: Rewriting, layer: Layer, operation: Layer) -> bool:
    """BinaryOp multiplies by a MemoryData of shape (num_output,)."""
    return _is_constant_operation(net, operation, MULTIPLY) and constant_extents(
        constant_operand(net, operation)
    ) == _row(layer)


def adds_constant(net: Rewriting, layer: Layer, operation: Layer) -> bool:
    """BinaryOp adds a MemoryData of shape (num_output,) or (num_output, 1, 1)."""
    if not _is_constant_operation(net, operation, ADD):
        return False
    extents = constant_extents(constant_operand(net, operation))
    return extents in (_row(layer), (1, 1, layer.get.integer("num_output")))


def constant_extents(memory: Layer) -> tuple[int, int, int]:
    """The params w, h, c of a MemoryData."""
    return memory.get.integer("w"), memory.get.integer("h"), memory.get.integer("c")


def _row(layer: Layer) -> tuple[int, int, int]:
    return layer.get.integer("num_output"), 0, 0


def _is_constant_operation(net: Rewriting, operation: Layer, op_type: int) -> bool:
    if operation.get.integer("op_type") != op_type or operation.get.integer("with_scalar"):
        return False
    position, place = net.producer(operation.bottoms[1]), net.producer(operation.tops[0])
    if position is None or place is None:
        return False
    return net.layers[position].type == "MemoryData" and position < place


def is_static_scale(net: Rewriting, norm: Layer, scale: Layer) -> bool:
    """The Scale has its own factors, not a second bottom."""
    return scale.get.integer("scale_data_size") != -233


# faults


def activated(net: Rewriting, layer: Layer, other: Layer) -> str | None:
    """The layer has a fused activation, which comes before what would be folded."""
    activation = layer.get.integer("activation_type")
    return f"{layer.name} has activation {activation} already" if activation else None


def int8(net: Rewriting, layer: Layer, other: Layer) -> str | None:
    """The layer's weights are int8 codes."""
    term = "int8_scale_term"
    has_term = any(param.name == term for param in layer.layer_type.params) if layer.layer_type else False
    return f"{layer.name} is an int8 layer" if has_term and layer.get.integer(term) else None


def dynamic(net: Rewriting, layer: Layer, other: Layer) -> str | None:
    """The layer's weights are inputs of the network's run."""
    term = "dynamic_weight"
    has_term = any(param.name == term for param in layer.layer_type.params) if layer.layer_type else False
    return f"the weights of {layer.name} are computed at run time" if has_term and layer.get.integer(term) else None


def other_channel_count(net: Rewriting, layer: Layer, norm: Layer) -> str | None:
    """The BatchNorm is made for another number of channels."""
    channels, outputs = norm.get.integer("channels"), layer.get.integer("num_output")
    return f"{norm.name} has {channels} channels and {layer.name} makes {outputs}" if channels != outputs else None


def other_scale_count(net: Rewriting, norm: Layer, scale: Layer) -> str | None:
    """The Scale is made for another number of channels."""
    channels, factors = norm.get.integer("channels"), scale.get.integer("scale_data_size")
    return f"{norm.name} has {channels} channels and {scale.name} {factors}" if channels != factors else None


def negative_variance(net: Rewriting, layer: Layer, norm: Layer) -> str | None:
    """A variance plus eps has no square root."""
    eps = norm.get.number("eps")
    negative = any(value + eps < 0.0 for value in net.floats(norm, "var_data"))
    return f"a variance of {norm.name} plus eps is negative" if negative else None


def four_dimensional(net: Rewriting, layer: Layer, operation: Layer) -> str | None:
    """The constant has a depth, which the condition does not look at."""
    memory = constant_operand(net, operation)
    return f"{memory.name} has four dims" if memory.get.integer("d") else None


def other_rank(net: Rewriting, layer: Layer, operation: Layer) -> str | None:
    """An InnerProduct's (num_output,) plus a (num_output, 1, 1) is 3-D, which the folded layer is not."""
    memory = constant_operand(net, operation)
    return f"{memory.name} makes the sum 3-D" if memory.get.integer("c") else None


def by_rows(net: Rewriting, layer: Layer, other: Layer) -> str | None:
    """The InnerProduct may work row by row on a 2-D blob, of which the other layer takes the rows as channels."""
    rank = net.rank(layer.tops[0])
    if rank == 1:
        return None
    return (
        f"{layer.name} makes a 2-D blob" if rank else f"{layer.name} may make a 2-D blob: its input has no known shape"
    )
