"""Max pooling on feature maps."""

from __future__ import annotations

from fastpath.kernels import Kernels
from fastpath.steps.calls import Action
from fastpath.steps.storage import Storage


def max_pool(
    kernels: Kernels,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    channels: int,
    bottom: Storage,
    top: Storage,
    pads: tuple[int, int],
) -> Action:
    """Max pooling from feature map to feature map."""
    window = kernels.records.Window(*kernel, 1, 1, *stride, top.h, top.w)
    source, target = bottom.feature(kernels, *pads), top.feature(kernels)
    run = kernels.pooling.max_pool
    return lambda: run(source, window, channels, target)
