"""ncnn itself, through its Python wheel."""

from __future__ import annotations

import faulthandler
import os
import platform
import resource
import signal
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ncnn
import numpy as np
from numpy.typing import NDArray

from conformance.adapter import AdapterBroken, AdapterFault, Identity, Refused
from conformance.adapters.arrays import from_array, to_array
from conformance.case import Case, Operation
from conformance.tensor import Tensor
from spec.layer_table import BY_NAME

LAYERS = tuple(sorted(BY_NAME))
"""All layer types of ncnn."""

OPERATIONS: tuple[Operation, ...] = ("infer", "parse") if hasattr(os, "fork") else ("infer",)
"""Calibration and quantization are programs beside the library; the wheel has none of them."""

FORMATS = ("param", "bin", "param.bin", "threads", "nets", "float", "fp16")

MEMORY_LIMIT = 4 * 2**30
SECONDS_LIMIT = 20
"""What a loader may take; damaged files make it ask for more."""

THROWN = (MemoryError, ValueError, IndexError, OverflowError, RuntimeError)
"""What pybind11 makes of C++ exceptions: bad_alloc, length_error and its like, out_of_range, overflow_error, others."""

BROKEN = 3
"""Exit status of a child that failed before ncnn had its say."""


class WheelAdapter:
    """The PyPI wheel with its default options, or `plain`: without packing and Winograd. Binary16 is off in both."""

    def __init__(self, *, plain: bool = False) -> None:
        self.plain = plain

    @property
    def identity(self) -> Identity:
        """Exp and tanh come from the C library, or from vector approximations."""
        options = "use_packing_layout=0 use_winograd_convolution=0" if self.plain else ""
        return Identity(
            "ncnn wheel", version("ncnn"), "C++", "other", LAYERS, OPERATIONS, FORMATS, cpu=cpu(), options=options
        )

    def run(self, case: Case) -> dict[str, Tensor]:
        """Load from files, feed, extract; or only load, in a process of its own, for it may crash."""
        if case.operation == "parse":
            return _parse(case)
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
        net.opt.num_threads = int(case.options.get("threads", "1"))
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


def cpu() -> str:
    """What ncnn chooses its forms of a layer by; it tells no finer levels, and none were seen to matter here."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return ""
    return "avx2" if ncnn.cpu_support_x86_avx2() else "avx" if ncnn.cpu_support_x86_avx() else "sse2"


def _parse(case: Case) -> dict[str, Tensor]:
    """Load in a child process; Refused where ncnn returns an error, AdapterFault where it crashes."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(_load_status(case))
        finally:  # whatever else is raised must not run on in a second copy of this process
            os._exit(BROKEN)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0:
        raise AdapterFault(f"ncnn was ended by signal {-status}")
    if status == BROKEN:
        raise AdapterBroken("the process that loads could not do its work")
    if status:
        raise Refused(f"ncnn returns -1 for the {'weights' if status == 2 else 'network'}")
    return {}


def _load_status(case: Case) -> int:
    """0, or 1 for a network that does not load, or 2 for its weights."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    signal.alarm(SECONDS_LIMIT)
    faulthandler.disable()
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    try:
        with tempfile.TemporaryDirectory() as name:
            for file, data in case.files.items():
                Path(name, file).write_bytes(data)
            net = ncnn.Net()
            net.opt.num_threads = 1
            binary = "net.param.bin" in case.files
            load = net.load_param_bin if binary else net.load_param
            if load(str(Path(name, "net.param.bin" if binary else "net.param"))) != 0:
                return 1
            return 0 if net.load_model(str(Path(name, "net.bin"))) == 0 else 2
    except THROWN:
        return 1


def _as_int8(case: Case, name: str, values: NDArray[Any]) -> NDArray[Any]:
    """int8 blobs come out as float32 of the same numbers: extracting them as they are would leave them packed."""
    wanted = {result.dtype for result in case.expected[name].values()}
    codes = values.astype(np.int8)
    return codes if wanted == {"int8"} and np.array_equal(codes, values) else values
