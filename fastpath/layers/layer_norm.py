"""LayerNorm, RMSNorm, GroupNorm, InstanceNorm, MVN, Normalize: blobs scaled by their own statistics."""

from __future__ import annotations

import numpy as np

from fastpath.layers.common import (
    Array,
    Floats,
    Operator,
    Prepare,
    fault,
    float_bottom,
    require_rank,
    running_sum,
    weights,
)
from fastpath.layers.functions import ONE, sqrt
from spec.graph import Layer


def prepare_layer_norm(layer: Layer) -> Operator:
    """LayerNorm: each row or block to mean 0 and variance 1, then gamma and beta, value by value.

    Follows: ncnn src/layer/layernorm.cpp @ a4d2ea1d.
    """
    eps = np.float32(layer.get.number("eps"))

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        size = _block_size(layer, blob)
        gamma, beta = _affine(layer, "gamma_data", size), _affine(layer, "beta_data", size)
        normal = _to_unit(blob.reshape(-1, size), eps)
        if gamma is not None and beta is not None:
            normal = normal * gamma + beta
        return [normal.reshape(blob.shape)]

    return operator


def prepare_rms_norm(layer: Layer) -> Operator:
    """RMSNorm: each row or block divided by the root of its mean square, then gamma, value by value.

    Follows: ncnn src/layer/rmsnorm.cpp @ a4d2ea1d.
    """
    eps = np.float32(layer.get.number("eps"))

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        size = _block_size(layer, blob)
        gamma = _affine(layer, "gamma_data", size)
        blocks = blob.reshape(-1, size)
        mean_square = running_sum(blocks * blocks) / np.float32(size)
        normal = blocks * (ONE / sqrt(mean_square + eps))[:, np.newaxis]
        if gamma is not None:
            normal *= gamma
        return [normal.reshape(blob.shape)]

    return operator


def prepare_group_norm(layer: Layer) -> Operator:
    """GroupNorm: each group of outermost slices to mean 0 and variance 1, then gamma and beta, slice by slice.

    Follows: ncnn src/layer/groupnorm.cpp @ a4d2ea1d.
    """
    eps, group = np.float32(layer.get.number("eps")), layer.get.integer("group")

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        channels = blob.shape[0]
        if group < 1 or channels % group:
            raise fault(layer, f"cannot divide {channels} channels into {group} groups")
        gamma, beta = _affine(layer, "gamma_data", channels), _affine(layer, "beta_data", channels)
        normal = _to_unit(blob.reshape(group, -1), eps).reshape(channels, -1)
        if gamma is not None and beta is not None:
            normal = normal * gamma[:, np.newaxis] + beta[:, np.newaxis]
        return [normal.reshape(blob.shape)]

    return operator


def prepare_instance_norm(layer: Layer) -> Operator:
    """InstanceNorm: each channel to mean beta and deviation gamma. Follows: src/layer/instancenorm.cpp @ a4d2ea1d."""
    eps = np.float32(layer.get.number("eps"))

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        require_rank(layer, blob, 3, 4)
        channels = blob.shape[0]
        gamma, beta = _affine(layer, "gamma_data", channels), _affine(layer, "beta_data", channels)
        blocks = blob.reshape(channels, -1)
        mean, var = _moments(blocks)
        a = (ONE if gamma is None else gamma) / sqrt(var + eps)
        b = -mean * a + (np.float32(0) if beta is None else beta)
        return [(blocks * a[:, np.newaxis] + b[:, np.newaxis]).reshape(blob.shape)]

    return operator


def prepare_mvn(layer: Layer) -> Operator:
    """MVN: each channel, or all, minus the mean; with normalize_variance also divided by the deviation.

    Follows: ncnn src/layer/mvn.cpp @ a4d2ea1d.
    """
    eps, across = np.float32(layer.get.number("eps")), layer.get.integer("across_channels") != 0
    with_variance = layer.get.integer("normalize_variance") != 0

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        require_rank(layer, blob, 3)
        blocks = blob.reshape(blob.shape[0], -1)
        count = np.float32(blob.size if across else blocks.shape[1])
        centred = blocks - (_pooled(running_sum(blocks), across) / count)[:, np.newaxis]
        if with_variance:
            deviation = sqrt(_pooled(running_sum(centred * centred), across) / count)
            centred *= (ONE / (deviation + eps))[:, np.newaxis]
        return [centred.reshape(blob.shape)]

    return operator


def prepare_normalize(layer: Layer) -> Operator:
    """Normalize: values divided by their length over space, over channels or over both, then a scale.

    Follows: ncnn src/layer/normalize.cpp @ a4d2ea1d.
    """
    spatial, channel = layer.get.integer("across_spatial") != 0, layer.get.integer("across_channel") != 0
    shared, count = layer.get.integer("channel_shared") != 0, layer.get.integer("scale_data_size")

    def operator(bottoms: list[Array]) -> list[Array]:
        blob = float_bottom(layer, bottoms)
        require_rank(layer, blob, 3)
        if not spatial and not channel:
            return [blob]
        scale = weights(layer, "scale_data", count)
        if shared:
            scale = np.repeat(scale[:1], blob.shape[0])
        if scale.size != blob.shape[0]:
            raise fault(layer, f"has {scale.size} scales for {blob.shape[0]} channels")
        blocks = blob.reshape(blob.shape[0], -1)
        squares = blocks * blocks
        if spatial:
            factors = _reciprocal_length(layer, _pooled(running_sum(squares), channel))[:, np.newaxis]
        else:
            factors = _reciprocal_length(layer, running_sum(squares, 0))
        return [(blocks * factors * scale[:, np.newaxis]).reshape(blob.shape)]

    return operator


def _block_size(layer: Layer, blob: Floats) -> int:
    """How many neighbours LayerNorm and RMSNorm normalise together."""
    affine_size = layer.get.integer("affine_size")
    w: int = blob.shape[-1]
    if blob.ndim < 3 or affine_size == w:
        return w
    if blob.ndim == 4 and affine_size == blob.shape[-2] * w:
        return affine_size
    return int(blob.size // blob.shape[0])


def _affine(layer: Layer, name: str, count: int) -> Floats | None:
    """One number for each value or slice, or None for a layer without them."""
    return weights(layer, name, count) if layer.get.integer("affine") else None


def _moments(blocks: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of each block."""
    count = np.float32(blocks.shape[1])
    mean = running_sum(blocks) / count
    rest = blocks - mean[:, np.newaxis]
    return mean, running_sum(rest * rest) / count


def _to_unit(blocks: Floats, eps: np.float32) -> Floats:
    """Each block with mean 0 and variance 1, as x * a - mean * a."""
    mean, var = _moments(blocks)
    a = ONE / sqrt(var + eps)
    return blocks * a[:, np.newaxis] + (-mean * a)[:, np.newaxis]


def _pooled(sums: Floats, across: bool) -> Floats:
    """The sum of each channel, or that of all channels for each."""
    if not across:
        return sums
    return np.full(sums.size, running_sum(sums.reshape(1, -1))[0], np.float32)


def _reciprocal_length(layer: Layer, squares: Floats) -> Floats:
    eps, mode = np.float32(layer.get.number("eps")), layer.get.integer("eps_mode")
    if mode == 1:
        length: Floats = np.maximum(sqrt(squares), eps)
    else:
        length = sqrt(np.maximum(squares, eps) if mode == 2 else squares + eps)
    return ONE / length


PREPARE: dict[str, Prepare] = {
    "LayerNorm": prepare_layer_norm,
    "RMSNorm": prepare_rms_norm,
    "GroupNorm": prepare_group_norm,
    "InstanceNorm": prepare_instance_norm,
    "MVN": prepare_mvn,
    "Normalize": prepare_normalize,
}
