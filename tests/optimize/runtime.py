"""The real runtime, as the judge of whether a rewrite keeps a network's results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

Floats = npt.NDArray[Any]


def run_wheel(param: Path, weights: Path, inputs: Mapping[str, Floats], wanted: Sequence[str]) -> dict[str, Floats]:
    """The wanted blobs of a network; skips where the ncnn wheel is not installed."""
    ncnn = pytest.importorskip("ncnn")
    net = ncnn.Net()
    option = net.opt
    option.num_threads = 1
    option.lightmode = False
    option.use_fp16_packed = option.use_fp16_storage = option.use_fp16_arithmetic = False
    option.use_bf16_storage = False
    option.use_packing_layout = option.use_winograd_convolution = option.use_sgemm_convolution = False
    assert net.load_param(str(param)) == 0
    assert net.load_model(str(weights)) == 0
    extractor = net.create_extractor()
    arrays = {name: np.ascontiguousarray(values) for name, values in inputs.items()}
    for name, values in arrays.items():  # a Mat borrows the array, which must live until it is cloned
        extractor.input(name, ncnn.Mat(values).clone())
    outputs = {}
    for name in wanted:
        status, mat = extractor.extract(name)
        assert status == 0, name
        outputs[name] = np.array(mat)
    return outputs


def distance(left: Floats, right: Floats) -> float:
    """The largest difference, relative to the largest magnitude; infinite for other shapes."""
    if left.shape != right.shape:
        return float("inf")
    largest = float(np.abs(right[np.isfinite(right)]).max(initial=0.0)) or 1.0
    with np.errstate(invalid="ignore"):
        gaps = np.abs(left - right)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    return float(np.where(same, 0.0, gaps).max(initial=0.0)) / largest
