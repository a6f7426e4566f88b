"""The engines that can run a model, behind one small interface: fastpath, spec, and the ncnn wheel where installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, Self

import numpy as np

import fastpath
import fastpath.net
import spec.net
from spec.errors import AssayError, UsageError

RUN_ENGINES = ("fastpath", "spec", "wheel")
"""fastpath and spec are ours; wheel is the PyPI package ncnn, the real runtime."""


class Engine(Protocol):
    """A loaded network."""

    def input_names(self) -> list[str]:
        """Names of the input blobs."""

    def output_names(self) -> list[str]:
        """Names of the output blobs."""

    def prepare(self, feeds: Mapping[str, np.ndarray]) -> None:
        """Make now what inferences of these shapes share, before processes are forked."""

    def run(self, feeds: Mapping[str, np.ndarray], wanted: Sequence[str]) -> dict[str, np.ndarray]:
        """Feed blobs by name and extract others."""


def open_engine(name: str, param: str, bin: str) -> Engine:
    """Load the model PARAM BIN into the engine `name`; UsageError for an engine that is not installed."""
    if name == "wheel":
        return WheelEngine(param, bin)
    return OwnEngine(fastpath.Net() if name == "fastpath" else spec.net.Net(), param, bin)


class OwnEngine:
    """fastpath.Net or spec.net.Net, which share one interface."""

    def __init__(self, net: fastpath.Net | spec.net.Net, param: str, bin: str) -> None:
        net.load_param(param)
        net.load_model(bin)
        self.net = net

    def prepare(self, feeds: Mapping[str, np.ndarray]) -> None:
        """Make the plan for these shapes, where there are plans."""
        if isinstance(self.net, fastpath.Net):
            self.net.prepare(feeds)

    def input_names(self) -> list[str]:
        """Names of the input blobs."""
        return list(self.net.input_names())

    def output_names(self) -> list[str]:
        """Names of the output blobs."""
        return list(self.net.output_names())

    def run(self, feeds: Mapping[str, np.ndarray], wanted: Sequence[str]) -> dict[str, np.ndarray]:
        """Feed blobs by name and extract others."""
        with self.net.create_extractor() as extractor:
            if isinstance(extractor, fastpath.net.Extractor):
                extractor.set_light_mode(len(wanted) == 1)  # what one blob needed serves the next
            for name, data in feeds.items():
                extractor.input(name, data)
            return {name: np.array(extractor.extract(name)[1]) for name in wanted}


class WheelEngine:
    """The real runtime on one thread, its binary16 shortcuts off so that results are comparable."""

    def __init__(self, param: str, bin: str) -> None:
        try:
            import ncnn
        except ImportError as error:
            raise UsageError("the engine wheel needs the package ncnn: pip install ncnn") from error
        self._ncnn = ncnn
        self._files = param, bin
        self._net = ncnn.Net()
        option = self._net.opt
        option.num_threads = 1
        option.use_fp16_packed = option.use_fp16_storage = option.use_fp16_arithmetic = False
        if self._net.load_param(param) != 0 or self._net.load_model(bin) != 0:
            raise AssayError(f"the ncnn wheel does not load {param} {bin}")

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        return type(self), self._files

    def prepare(self, feeds: Mapping[str, np.ndarray]) -> None:
        """Nothing is shared but the weights."""

    def input_names(self) -> list[str]:
        """Names of the input blobs."""
        return list(self._net.input_names())

    def output_names(self) -> list[str]:
        """Names of the output blobs."""
        return list(self._net.output_names())

    def run(self, feeds: Mapping[str, np.ndarray], wanted: Sequence[str]) -> dict[str, np.ndarray]:
        """Feed blobs by name and extract others."""
        extractor = self._net.create_extractor()
        extractor.set_light_mode(False)
        arrays = {name: np.ascontiguousarray(data) for name, data in feeds.items()}
        for name, array in arrays.items():  # a Mat borrows the array, which must live until it is cloned
            extractor.input(name, self._ncnn.Mat(array).clone())
        outputs = {}
        for name in wanted:
            status, out = extractor.extract(name)
            if status != 0:
                raise AssayError(f"the ncnn wheel cannot extract {name}: status {status}")
            outputs[name] = np.array(out)
        return outputs
