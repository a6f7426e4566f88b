"""The fast path."""

from __future__ import annotations

import numpy as np

from conformance.adapter import Identity
from conformance.adapters.arrays import from_array, to_array
from conformance.adapters.spec_adapter import package_version
from conformance.adapters.tools import FORMATS, perform
from conformance.case import OPERATIONS, Case
from conformance.tensor import Tensor
from fastpath.layers import PREPARE
from fastpath.net import Net
from spec.formats.param import parse_param
from spec.formats.weights import load_weights


class FastpathAdapter:
    """The fast path: claims the same bits as the spec."""

    @property
    def identity(self) -> Identity:
        """Claims every layer that the fast path has."""
        layers = tuple(sorted(PREPARE))
        return Identity(
            "fastpath", package_version(), "Python, numpy", "reference", layers, OPERATIONS, (*FORMATS, "threads")
        )

    def run(self, case: Case) -> dict[str, Tensor]:
        """Load, feed, extract; or what else is asked."""
        if case.operation != "infer":
            return perform(case, "fastpath")
        graph = parse_param(case.param, case.id)
        load_weights(graph, case.bin, case.id)
        net = Net.from_graph(graph)
        net.opt.num_threads = int(case.options.get("threads", "1"))
        with net.create_extractor() as extractor:
            for name, blob in case.inputs.items():
                extractor.input(name, to_array(blob))
            return {name: from_array(np.array(extractor.extract(name, 1)[1])) for name in case.outputs}

    def close(self) -> None:
        """Nothing is held."""
