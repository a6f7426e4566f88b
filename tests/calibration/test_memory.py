"""Many pictures: memory does not grow with their number, and the table does not depend on who works."""

from __future__ import annotations

import os
import subprocess
import sys
from array import array
from pathlib import Path

import cv2
import numpy as np
import pytest

from spec.formats.weights import write_model
from spec.graph import Graph, Layer, float_weight
from tests.calibration.test_ncnn2table import small_net

LARGE = os.environ.get("CALIBRATE_LARGE") == "1"

PICTURES = 5000
FEW = 500
SIDE = 32

CALIBRATE = r"""
import re, resource, sys
from pathlib import Path
from fastpath.commands.ncnn2table import main
status = main(sys.argv[1:])
own = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]
print("peaks", own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""
"""Runs the command, and prints how much memory this process and the largest of its workers had, in KiB.

What `getrusage` says of the process itself would be that of the process which started it, if that is larger.
"""


def net() -> Graph:
    """The small network for larger pictures."""
    graph = small_net()
    inner_product: Layer = graph.layers[2]
    size = 4 * (SIDE - 2) ** 2
    inner_product.set("weight_data_size", 2 * size)
    weights = np.random.default_rng(1).normal(size=2 * size).astype(np.float32)
    inner_product.weights["weight_data"] = float_weight("weight_data", array("f", weights), "tagged")
    return graph


def calibrate(pictures: str, table: str, workers: int, memory: str) -> tuple[int, int]:
    """Run the command in the working folder; the peaks of its memory in KiB, and of the largest worker's."""
    words = ["net.param", "net.bin", pictures, table, "mean=[127,127,127]", "norm=[0.01,0.01,0.01]", "pixel=BGR"]
    words += [f"shape=[{SIDE},{SIDE},3]", "method=kl", "--workers", str(workers), "--memory", memory]
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CALIBRATE, *words]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    main, worker = said.splitlines()[-1].split()[1:]
    return int(main), int(worker)


@pytest.mark.skipif(not LARGE, reason="makes 5000 pictures: set CALIBRATE_LARGE=1")
def test_memory_does_not_grow_with_the_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_model(net(), "net.param", "net.bin", fp16=False)
    random = np.random.default_rng(2)
    for i in range(PICTURES):
        coarse = random.integers(0, 256, (5, 5, 3), np.uint8)
        cv2.imwrite(f"{i}.png", cv2.resize(coarse, (40, 36), interpolation=cv2.INTER_CUBIC))
    Path("few.txt").write_text("".join(f"{i}.png\n" for i in range(FEW)))
    Path("all.txt").write_text("".join(f"{i}.png\n" for i in range(PICTURES)))
    few = calibrate("few.txt", "few.table", 2, "8MiB")
    everything = calibrate("all.txt", "all.table", 2, "8MiB")
    calibrate("all.txt", "serial.table", 1, "2GiB")
    print(f"KiB of the process and of a worker: {FEW} pictures {few}, {PICTURES} pictures {everything}")
    assert Path("all.table").read_bytes() == Path("serial.table").read_bytes() != Path("few.table").read_bytes()
    assert all(late <= 1.06 * early for early, late in zip(few, everything, strict=True))
