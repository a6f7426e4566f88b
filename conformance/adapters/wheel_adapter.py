"""ncnn itself, through its Python wheel."""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ncnn
import numpy as np
from numpy.typing import NDArray

from conformance.adapter import AdapterFault, Identity
from conformance.adapters.arrays import from_array, to_array
from conformance.case import Case
from conformance.tensor import Tensor

LAYERS = (
    "Cast",
    "Concat",
    "Convolution",
    "ConvolutionDepthWise",
    "Dequantize",
    "Embed",
    "Flatten",
    "GRU",
    "Gemm",
    "InnerProduct",
    "LSTM",
    "MultiHeadAttention",
    "Padding",
    "Permute",
    "Pooling",
    "Quantize",
    "RNN",
    "ReLU",
    "Requantize",
    "Reshape",
    "SDPA",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Split",
    "TanH",
)
"""What is asked of the wheel. (It has more.)"""


class WheelAdapter:
    """The PyPI wheel with its default options, or `plain`: without packing and Winograd. Binary16 is off in both."""

    def __init__(self, *, plain: bool = False) -> None:
        self.plain = plain

    @property
    def identity(self) -> Identity:
        """Exp and tanh come from the C library, or from vector approximations."""
        options = "use_packing_layout=0 use_winograd_convolution=0" if self.plain else ""
        return Identity("ncnn wheel", version("ncnn"), "C++", "other", LAYERS, options=options)

    def run(self, case: Case) -> dict[str, Tensor]:
        """Load from files, feed, extract."""
        net = self._load(case)
        extractor = net.create_extractor()
        for name, blob in case.inputs.items():
            array = to_array(
                blob
            )  # a Mat made of an array borrows its memory: the name keeps it until the clone is made
            if extractor.input(name, ncnn.Mat(array).clone()) != 0:
                raise AdapterFault(f"ncnn does not take the blob {name}")
        outputs: dict[str, Tensor] = {}
        for name in case.outputs:
            code, mat = extractor.extract(name)
            if code != 0:
                raise AdapterFault(f"ncnn returns {code} for the blob {name}")
            outputs[name] = from_array(_as_int8(case, name, np.array(mat)))
        return outputs

    def _load(self, case: Case) -> Any:
        net = ncnn.Net()
        net.opt.num_threads = 1
        for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
            setattr(net.opt, option, False)
        if self.plain:
            net.opt.use_packing_layout = net.opt.use_winograd_convolution = False
        with tempfile.TemporaryDirectory() as folder:
            param, data = Path(folder, "net.param"), Path(folder, "net.bin")
            param.write_text(case.param, encoding="utf-8")
            data.write_bytes(case.bin)
            if net.load_param(str(param)) != 0 or net.load_model(str(data)) != 0:
                raise AdapterFault("ncnn does not load the network")
        return net

    def close(self) -> None:
        """Nothing is held."""


def _as_int8(case: Case, name: str, values: NDArray[Any]) -> NDArray[Any]:
    """int8 blobs come out as float32 of the same numbers: extracting them as they are would leave them packed."""
    wanted = {result.dtype for result in case.expected[name].values()}
    codes = values.astype(np.int8)
    return codes if wanted == {"int8"} and np.array_equal(codes, values) else values
