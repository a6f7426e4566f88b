"""Whole networks: float outputs of the spec against those of the real runtime."""

from __future__ import annotations

import re

import numpy as np
import pytest

from spec.net import Net
from tests.models import DIGITS, model_folder

SMALL = ("mtcnn-pnet", "mtcnn-rnet", "dtln1", "g2p-en-decoder")
"""Networks of others that run within a second."""

TOLERANCE = 2e-6
"""Of the largest magnitude: the runtime reorders sums, fuses multiplications with additions, and approximates exp."""

WINOGRAD_TOLERANCE = 2e-5
"""The same for networks whose 3 x 3 convolutions the runtime computes by Winograd's transform."""

WINOGRAD = ("mtcnn-pnet",)


@pytest.mark.parametrize("name", [*DIGITS, *SMALL])
def test_outputs_are_those_of_the_runtime(name: str) -> None:
    folder = model_folder(name)
    net = Net()
    net.load_param(folder / "float.param")
    net.load_model(folder / "float.bin")
    extractor = net.create_extractor()
    for path in sorted(folder.glob("input-0-*.npy")):
        extractor.input(blob_of(path.stem, "input"), np.load(path))
    expected = {blob_of(path.stem, "output-float"): np.load(path) for path in folder.glob("output-float-0-*.npy")}
    assert expected
    tolerance = WINOGRAD_TOLERANCE if name in WINOGRAD else TOLERANCE
    for blob, want in expected.items():
        got = np.array(extractor.extract(blob)[1])
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * max(1.0, float(np.abs(want).max())))


def blob_of(stem: str, prefix: str) -> str:
    match = re.fullmatch(prefix + r"-\d+-(.*)", stem)
    assert match is not None
    return match[1]
