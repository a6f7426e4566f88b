"""The digits networks, quantized by the real tool and run by ncnn's portable layers or by the wheel."""

from __future__ import annotations

import pytest

from spec.formats.npy import read_npy
from spec.net import Net
from tests.models import DIGITS, model_folder


@pytest.mark.parametrize("name", DIGITS)
def test_the_first_inputs_give_the_real_outputs(name: str) -> None:
    folder = model_folder(name)
    net = Net()
    net.load_param(folder / "int8-kl.param")
    net.load_model(folder / "int8-kl.bin")
    for index in range(2):
        extractor = net.create_extractor()
        for path in folder.glob(f"input-{index}-*.npy"):
            extractor.input(path.stem.split("-", 2)[2], read_npy(path))
        (blob,) = net.output_names()
        portable = folder / f"output-int8naive-{index}-{blob}.npy"
        expected = read_npy(portable if portable.exists() else folder / f"output-int8-{index}-{blob}.npy")
        _, got = extractor.extract(blob)
        assert got.shape == expected.shape
        assert got.values == pytest.approx(expected.values, rel=0, abs=1e-6)
