"""Max pooling on feature maps."""

from __future__ import annotations

from fastpath.kernels import Kernels
from fastpath.steps.calls import Action
from fastpath.steps.storage import Storage
from fastpath.steps.workshop import Workshop


def max_pool(
    kernels: Kernels,
    workshop: Workshop,
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
    scratch, run = workshop.scratch(kernels), kernels.pooling.max_pool
    whole = top.pixel if top.spare and top.pixel == bottom.pixel else channels
    return lambda: run(source, window, whole, target, scratch)
