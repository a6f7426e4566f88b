"""LayerNorm, RMSNorm, GroupNorm, InstanceNorm, MVN, Normalize: blobs scaled by their own statistics."""

from __future__ import annotations

from spec.binary32 import REFERENCE, Profile, f32
from spec.blob import Blob, float_blob
from spec.functions import divide, sqrt
from spec.graph import Layer
from spec.layers.common import fault, float_bottom, require_rank, require_weights, rounded, running_sum


def layer_norm(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Each row or block is moved to mean 0 and scaled to variance 1; then gamma and beta, value by value.

    mean = sum(x) / n, var = sum((x - mean)^2) / n, a = 1 / sqrt(var + eps), y = (x * a - mean * a) * gamma + beta.
    Blocks are rows if affine_size is w or the blob has fewer than 3 dims, else channels (of a 4-D blob: h by w slices
    if affine_size is h * w).

    Follows: ncnn src/layer/layernorm.cpp @ a4d2ea1d.
    """
    blob = float_bottom(layer, bottoms)
    eps = f32(layer.get.number("eps"))
    size = _block_size(layer, blob)
    gamma, beta = (_affine(layer, name, size) for name in ("gamma_data", "beta_data"))
    result: list[float] = []
    for block in _blocks(blob, size):
        a, b = _to_unit(block, eps)
        normal = _line(block, a, b)
        if gamma is not None and beta is not None:
            products = rounded(y * g for y, g in zip(normal, gamma))
            normal = rounded(y + shift for y, shift in zip(products, beta))
        result += normal
    return [float_blob(blob.shape, result)]


def rms_norm(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Each row or block divided by the root of its mean square; then gamma, value by value.

    y = x * (1 / sqrt(sum(x^2) / n + eps)) * gamma, with the blocks of `layer_norm`.

    Follows: ncnn src/layer/rmsnorm.cpp @ a4d2ea1d.
    """
    blob = float_bottom(layer, bottoms)
    eps = f32(layer.get.number("eps"))
    size = _block_size(layer, blob)
    gamma = _affine(layer, "gamma_data", size)
    result: list[float] = []
    for block in _blocks(blob, size):
        mean_square = divide(running_sum(rounded(x * x for x in block)), float(size))
        factor = divide(1.0, sqrt(f32(mean_square + eps)))
        normal = rounded(x * factor for x in block)
        result += normal if gamma is None else rounded(y * g for y, g in zip(normal, gamma))
    return [float_blob(blob.shape, result)]


def group_norm(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Each group of slices along the outermost axis gets mean 0 and variance 1; then gamma and beta, slice by slice.

    y = (x * a - mean * a) * gamma + beta with a = 1 / sqrt(var + eps) of the group.

    Follows: ncnn src/layer/groupnorm.cpp @ a4d2ea1d.
    """
    blob = float_bottom(layer, bottoms)
    channels, group = blob.shape[0], layer.get.integer("group")
    if group < 1 or channels % group:
        raise fault(layer, f"cannot divide {channels} channels into {group} groups")
    eps = f32(layer.get.number("eps"))
    gamma, beta = (_affine(layer, name, channels) for name in ("gamma_data", "beta_data"))
    size = len(blob.values) // channels
    normal: list[float] = []
    for block in _blocks(blob, size * (channels // group)):
        normal += _line(block, *_to_unit(block, eps))
    if gamma is not None and beta is not None:
        slices = _blocks(float_blob(blob.shape, normal), size)
        normal = [y for line, g, shift in zip(slices, gamma, beta) for y in _line(line, g, shift)]
    return [float_blob(blob.shape, normal)]


def instance_norm(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Each channel is moved to mean beta and scaled to deviation gamma.

    a = gamma / sqrt(var + eps), y = x * a + (beta - mean * a); gamma is 1 and beta 0 if not affine.

    Follows: ncnn src/layer/instancenorm.cpp @ a4d2ea1d.
    """
    blob = float_bottom(layer, bottoms)
    require_rank(layer, blob, 3, 4)
    channels = blob.shape[0]
    eps = f32(layer.get.number("eps"))
    gamma = _affine(layer, "gamma_data", channels) or [1.0] * channels
    beta = _affine(layer, "beta_data", channels) or [0.0] * channels
    result: list[float] = []
    for block, g, shift in zip(_blocks(blob, len(blob.values) // channels), gamma, beta):
        mean, var = _moments(block)
        a = divide(g, sqrt(f32(var + eps)))
        result += _line(block, a, f32(f32(-mean * a) + shift))
    return [float_blob(blob.shape, result)]


def mvn(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """Each channel, or the whole blob, minus its mean; with normalize_variance also divided by its deviation.

    y = (x - mean) * (1 / (sqrt(var) + eps)).

    Follows: ncnn src/layer/mvn.cpp @ a4d2ea1d.

    >>> mvn(Layer("MVN", "m", [], []), [float_blob((1, 1, 2), [1.0, 3.0])])[0].tolist()
    [[[-1.0, 1.0]]]
    """
    blob = float_bottom(layer, bottoms)
    require_rank(layer, blob, 3)
    eps = f32(layer.get.number("eps"))
    size = len(blob.values) // blob.shape[0]
    across = layer.get.integer("across_channels")
    channels = _blocks(blob, size)
    count = float(len(blob.values) if across else size)
    sums = [running_sum(block) for block in channels]
    means = [divide(total, count) for total in _pooled(sums, bool(across))]
    centred = [rounded(x - mean for x in block) for block, mean in zip(channels, means)]
    if layer.get.integer("normalize_variance"):
        squares = [running_sum(rounded(x * x for x in block)) for block in centred]
        factors = [divide(1.0, f32(sqrt(divide(total, count)) + eps)) for total in _pooled(squares, bool(across))]
        centred = [rounded(x * factor for x in block) for block, factor in zip(centred, factors)]
    return [float_blob(blob.shape, [x for block in centred for x in block])]


def normalize(layer: Layer, bottoms: list[Blob], profile: Profile = REFERENCE) -> list[Blob]:
    """The values divided by their length over space, over channels or over both; then a scale.

    y = x * a * scale with a made from s, the sum of squares: 1 / sqrt(s + eps), 1 / max(sqrt(s), eps) or
    1 / sqrt(max(s, eps)) for eps_mode 0, 1, 2. The scale is one number, or one for each channel. With neither
    across_spatial nor across_channel the blob is unchanged.

    Follows: ncnn src/layer/normalize.cpp @ a4d2ea1d.
    """
    blob = float_bottom(layer, bottoms)
    require_rank(layer, blob, 3)
    across_spatial, across_channel = layer.get.integer("across_spatial"), layer.get.integer("across_channel")
    if not across_spatial and not across_channel:
        return [blob]
    channels, size = blob.shape[0], len(blob.values) // blob.shape[0]
    scale = require_weights(layer, "scale_data", layer.get.integer("scale_data_size"))
    if layer.get.integer("channel_shared"):
        scale = scale[:1] * channels
    if len(scale) != channels:
        raise fault(layer, f"has {len(scale)} scales for {channels} channels")
    blocks = _blocks(blob, size)
    squares = [rounded(x * x for x in block) for block in blocks]
    if across_spatial:
        sums = _pooled([running_sum(block) for block in squares], bool(across_channel))
        factors = [[_reciprocal_length(layer, total)] * size for total in sums]
    else:
        factors = [[_reciprocal_length(layer, running_sum(column)) for column in zip(*squares)]] * channels
    result: list[float] = []
    for block, factor, channel_scale in zip(blocks, factors, scale):
        products = rounded(x * a for x, a in zip(block, factor))
        result += rounded(x * channel_scale for x in products)
    return [float_blob(blob.shape, result)]


def _block_size(layer: Layer, blob: Blob) -> int:
    """How many neighbours LayerNorm and RMSNorm normalise together."""
    affine_size = layer.get.integer("affine_size")
    w = blob.shape[-1]
    if len(blob.shape) < 3 or affine_size == w:
        return w
    if len(blob.shape) == 4 and affine_size == blob.shape[-2] * w:
        return affine_size
    return len(blob.values) // blob.shape[0]


def _affine(layer: Layer, name: str, count: int) -> list[float] | None:
    """One number for each value or slice, or None for a layer without them."""
    return require_weights(layer, name, count) if layer.get.integer("affine") else None


def _blocks(blob: Blob, size: int) -> list[list[float]]:
    values = blob.floats()
    return [values[start : start + size] for start in range(0, len(values), size)]


def _moments(block: list[float]) -> tuple[float, float]:
    """Mean and variance; the variance is the mean square of what is left without the mean."""
    count = float(len(block))
    mean = divide(running_sum(block), count)
    squares = rounded(rest * rest for rest in rounded(x - mean for x in block))
    return mean, divide(running_sum(squares), count)


def _to_unit(block: list[float], eps: float) -> tuple[float, float]:
    """The line x * a + b that gives the block mean 0 and variance 1."""
    mean, var = _moments(block)
    a = divide(1.0, sqrt(f32(var + eps)))
    return a, f32(-mean * a)


def _line(block: list[float], a: float, b: float) -> list[float]:
    return rounded(product + b for product in rounded(x * a for x in block))


def _pooled(sums: list[float], across: bool) -> list[float]:
    """The sum of each channel, or that of all channels for each."""
    return [running_sum(sums)] * len(sums) if across else sums


def _reciprocal_length(layer: Layer, squares: float) -> float:
    eps, mode = f32(layer.get.number("eps")), layer.get.integer("eps_mode")
    if mode == 1:
        return divide(1.0, max(sqrt(squares), eps))
    return divide(1.0, sqrt(max(squares, eps) if mode == 2 else f32(squares + eps)))


FORWARD = {
    "LayerNorm": layer_norm,
    "RMSNorm": rms_norm,
    "GroupNorm": group_norm,
    "InstanceNorm": instance_norm,
    "MVN": mvn,
    "Normalize": normalize,
}
