"""The fast path: the same results as the spec, with numpy and, where they are built, compiled kernels.

One thread does the work. OpenBLAS would start one per core, and threads that wait for a core that a neighbour uses make
small matrix products up to a hundred times slower; so unless OPENBLAS_NUM_THREADS says otherwise before numpy is
imported, it is set to 1 here. `Net.map` and the commands' `--workers` use processes instead.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from fastpath.kernels import COMPILED
from fastpath.net import Extractor, Net
from fastpath.option import Option

__all__ = ["COMPILED", "Extractor", "Net", "Option"]
