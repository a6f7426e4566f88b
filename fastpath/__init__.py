"""The fast path: the same results as the spec, with numpy and, where they are built, compiled kernels."""

from __future__ import annotations

from fastpath.kernels import COMPILED
from fastpath.net import Extractor, Net
from fastpath.option import Option

__all__ = ["COMPILED", "Extractor", "Net", "Option"]
