"""The tests of plans at every level in turn: `python -m tests.kernels.every_level`.

The other tests of kernels try all levels by themselves; a plan takes the best that it finds, unless it is told.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.kernels.levels import COMPILED_LEVELS, summary

TESTS = ("tests/kernels/test_plan.py", "tests/fastpath_recurrent/test_against_spec.py")


def main() -> int:
    """Run them; the exit status is 1 where they fail at a level."""
    failed = []
    for level in COMPILED_LEVELS:
        print(f"level {level}:", flush=True)
        environment = {**os.environ, "NCNN_ASSAY_LEVEL": level, "HYPOTHESIS_PROFILE": "ci"}
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", *TESTS]
        if subprocess.run(command, env=environment, check=False).returncode:
            failed.append(level)
    print(summary())
    print(f"failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
