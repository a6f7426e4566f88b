"""Which compiled level of the kernels this CPU can run.

setup.py compiles the levels; the features that each of them needs are the same there.
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path

INTERPRETED = "interpreted"

_V3 = frozenset({"avx2", "fma", "bmi2"})
_V4_VNNI = _V3 | {"avx512bw", "avx512vl", "avx512dq", "avx512cd", "avx512_vnni"}

NEEDS: dict[str, frozenset[str]] = {
    "vnni512": _V4_VNNI,
    "vnni256": _V4_VNNI,
    "avxvnni": _V3 | {"avx_vnni"},
    "avx2": _V3,
    "base": frozenset(),
}
"""The features each level needs, by their names in /proc/cpuinfo; the best level first."""


@cache
def cpu_features() -> frozenset[str]:
    """The features of this CPU as far as `NEEDS` names them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return _features_by_numpy()
    return next((frozenset(line.split()) for line in lines if line.startswith("flags")), frozenset())


def runnable(level: str) -> bool:
    """Whether this CPU can run a compiled level."""
    return NEEDS[level] <= cpu_features()


def _features_by_numpy() -> frozenset[str]:
    """What numpy's own dispatch found, where the system has no /proc/cpuinfo."""
    found: dict[str, bool] = importlib.import_module("numpy._core._multiarray_umath").__cpu_features__
    features: set[str] = set()
    if found.get("AVX2") and found.get("FMA3"):
        features |= _V3
    if found.get("AVX512_SKX") and found.get("AVX512VNNI"):
        features |= _V4_VNNI
    return frozenset(features)
