"""Build the compiled kernels; everything else of the build stands in pyproject.toml.

The modules of fastpath/kernels/source are compiled by mypyc and a C compiler, once for every level of CPU: a level is a
package fastpath.kernels.<level> with the same modules in it, of which one is chosen at import. Without a suitable
compiler the package installs all the same; the kernels are then not used, and numpy computes.

NCNN_ASSAY_COMPILE=0 compiles nothing. NCNN_ASSAY_CPU limits the levels: native (what the building machine runs) or one
of x86-64-v2, x86-64-v3, x86-64-v4 (what that class of machines runs).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCE = Path("fastpath/kernels/source")
COPIES = Path("build/kernels")

COMMON_FLAGS = [
    "-g0",
    "-ffp-contract=off",  # gcc would fuse a * b + c under -march, and the results would depend on the level
    "-fno-trapping-math",  # lets gcc compute both sides of a condition; numbers are the same, flags of faults are not
    "-fno-semantic-interposition",  # gcc may then inline what turns ints into floats
    "--param=vect-max-version-for-alias-checks=64",  # the depthwise kernel reads ten streams and writes one
]

EXACT_PRODUCTS = ("planes", "taps")
"""Modules whose products, of binary32 or whole numbers, are exact in binary64: fused with a sum they are the same."""

FUSED = "-ffp-contract=fast"

SHORT_SUMS = ("short",)
"""Modules that add up the lanes of many short sums, which vectors of 256 bits do best at every level."""


# A function that Python calls takes a reference to each vec among its arguments, and mypyc never gives it back: no
# plan would ever free its memory. The argument itself keeps the vec alive while the function runs.
KEPT_REFERENCE = re.compile(
    r"^ *(arg_\w+) = Vec(\w+)Api\.unbox\(obj_\w+\);\n *if \(VEC_IS_ERROR\(\1\)\) \{\n.*\n *\}\n(?! *VEC_)", re.MULTILINE
)


@dataclass(frozen=True)
class Level:
    """A kind of CPU to compile for: flags, the oldest gcc that makes good code of them, and the class it belongs to."""

    name: str
    flags: list[str]
    gcc: int
    cpu_class: int
    needs: frozenset[str]


# fastpath/cpu_level.py chooses among these by the same features. gcc learnt the dot instructions on unsigned bytes in
# version 12. 256-bit vectors win where sums are short, 512-bit vectors where they are long: a plan uses both.
LEVELS = [
    Level("base", [], 9, 1, frozenset()),
    Level("avx2", ["-march=x86-64-v3", "-mtune=haswell"], 11, 3, frozenset({"avx2", "fma", "bmi2"})),
    Level(
        "avxvnni",
        ["-march=x86-64-v3", "-mtune=alderlake", "-mtune-ctrl=use_gather", "-mavxvnni"],
        12,
        3,
        frozenset({"avx2", "fma", "bmi2", "avx_vnni"}),
    ),
    Level(
        "vnni256",
        ["-march=x86-64-v4", "-mtune=icelake-server", "-mavx512vnni", "-mprefer-vector-width=256"],
        12,
        4,
        frozenset({"avx512bw", "avx512vl", "avx512dq", "avx512cd", "avx512_vnni"}),
    ),
    Level(
        "vnni512",
        ["-march=x86-64-v4", "-mtune=icelake-server", "-mavx512vnni", "-mprefer-vector-width=512"],
        12,
        4,
        frozenset({"avx512bw", "avx512vl", "avx512dq", "avx512cd", "avx512_vnni"}),
    ),
]

# clang reads the item addresses that mypyc emits as unrelated and gathers byte by byte, 20 times slower than numpy.
PROBE = """
#include <Python.h>
#if !defined(__GNUC__) || defined(__clang__) || __GNUC__ < {gcc}
#error "this level needs gcc {gcc} or newer"
#endif
int main(void) {{ return 0; }}
"""


def compiles(level: Level) -> bool:
    """Whether the C compiler that setuptools will call takes the flags of this level."""
    command = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder, "probe.c")
        probe.write_text(PROBE.format(gcc=level.gcc))
        include = f"-I{sysconfig.get_path('include')}"
        arguments = [
            *command,
            *COMMON_FLAGS,
            *level.flags,
            include,
            "-c",
            str(probe),
            "-o",
            str(probe.with_suffix(".o")),
        ]
        try:
            return subprocess.run(arguments, capture_output=True, timeout=60, check=False).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False


def native_features() -> set[str]:
    """The feature flags of the building machine, in the names of Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def wanted(level: Level, cpu: str) -> bool:
    """Whether NCNN_ASSAY_CPU asks for this level."""
    if cpu == "":
        return True
    if cpu == "native":
        return level.needs <= native_features()
    classes = {f"x86-64-v{version}": version for version in (2, 3, 4)}
    if cpu not in classes:
        raise SystemExit(f"NCNN_ASSAY_CPU={cpu}: expected native, x86-64-v2, x86-64-v3 or x86-64-v4")
    return level.cpu_class <= classes[cpu]


def levels_to_build() -> list[Level]:
    """The levels that are asked for and that the compiler can make; says in one line which, or why none."""
    if os.environ.get("NCNN_ASSAY_COMPILE", "1") == "0":
        print("ncnn-assay: NCNN_ASSAY_COMPILE=0, nothing is compiled: numpy computes, more slowly", file=sys.stderr)
        return []
    asked = [level for level in LEVELS if wanted(level, os.environ.get("NCNN_ASSAY_CPU", ""))]
    levels = [level for level in asked if compiles(level)]
    if levels:
        print(f"ncnn-assay: compiling kernels for {', '.join(level.name for level in levels)}", file=sys.stderr)
    else:
        print(
            "ncnn-assay: no suitable C compiler (gcc 9 or newer), nothing is compiled: numpy computes, more slowly",
            file=sys.stderr,
        )
    return levels


def copy_source(level: Level) -> dict[str, list[str]]:
    """Write the kernel modules again as package fastpath.kernels.<level>; returns the files of each group."""
    folder = COPIES / "fastpath" / "kernels" / level.name
    folder.mkdir(parents=True)
    for package in (folder, *folder.parents[:2]):
        (package / "__init__.py").touch()
    groups: dict[str, list[str]] = {}
    for module in sorted(SOURCE.glob("*.py")):
        if module.name != "__init__.py":
            copy = folder / module.name
            copy.write_text(module.read_text().replace("fastpath.kernels.source", f"fastpath.kernels.{level.name}"))
            group = "fused" if module.stem in EXACT_PRODUCTS else "narrow" if module.stem in SHORT_SUMS else "group"
            groups.setdefault(f"fastpath.kernels.{level.name}.{group}", []).append(str(copy))
    return groups


def give_references_back(file: Path) -> None:
    """Mend a generated C file, once."""
    text = file.read_text()
    file.write_text(KEPT_REFERENCE.sub(lambda found: f"{found[0]}VEC_{found[2].upper()}_DECREF({found[1]});\n", text))


def kernel_extensions() -> list[Extension]:
    """Groups of extension modules for each level, with the flags of that level."""
    levels = levels_to_build()
    if not levels:
        return []
    from mypyc.build import mypycify

    shutil.rmtree(COPIES, ignore_errors=True)
    groups = {group: files for level in levels for group, files in copy_source(level).items()}
    extensions: list[Extension] = mypycify(
        [file for files in groups.values() for file in files],
        opt_level="3",
        separate=[(files, group) for group, files in groups.items()],
    )
    for file in sorted({Path(name) for extension in extensions for name in extension.sources}):
        give_references_back(file)
    for extension in extensions:
        (level,) = (level for level in levels if extension.name.split(".")[2] == level.name)
        # All extensions share one list of arguments: make a new one, never extend it.
        extension.extra_compile_args = [*extension.extra_compile_args, *COMMON_FLAGS, *level.flags]
        if extension.name.split(".")[3].startswith("fused"):
            extension.extra_compile_args.append(FUSED)
        if extension.name.split(".")[3].startswith("narrow"):
            extension.extra_compile_args = [flag.replace("=512", "=256") for flag in extension.extra_compile_args]
    return extensions


class BuildKernels(build_ext):
    """build_ext for levels: their packages hold nothing but extension modules. Two compilers run side by side."""

    def finalize_options(self) -> None:
        """An installation in place would forget what `setup` is told."""
        super().finalize_options()
        self.parallel = self.parallel or 2

    def run(self) -> None:
        """Build, after levels of an earlier build that are not wanted now are out of the way."""
        wanted = {extension.name.split(".")[2] for extension in self.extensions}
        for level in LEVELS:
            if level.name not in wanted:
                shutil.rmtree(Path(self.build_lib, "fastpath", "kernels", level.name), ignore_errors=True)
        super().run()

    def copy_extensions_to_source(self) -> None:
        """Make the folders of the levels first."""
        for extension in self.extensions:
            Path(*extension.name.split(".")[:-1]).mkdir(exist_ok=True)
        super().copy_extensions_to_source()


setup(ext_modules=kernel_extensions(), cmdclass={"build_ext": BuildKernels})
