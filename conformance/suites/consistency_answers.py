"""The answers of the consistency cases, from the spec.

python -m conformance.suites.consistency_answers check     compare the stored file with what would be written
python -m conformance.suites.consistency_answers regen     write it
"""

from __future__ import annotations

import json
import sys

from conformance.adapters import open_adapter
from conformance.suites.consistency import FILE, layer_cases, recurrent_cases
from conformance.suites.regeneration import check_or_write

SCHEMA = "ncnn-assay-consistency-1"


def content() -> str:
    """The file: what the first case of each group gives."""
    spec = open_adapter("spec")
    answers: dict[str, str] = {}
    for case in (*recurrent_cases(), *layer_cases()):
        if case.group not in answers:
            blob = spec.run(case)["out0"]
            answers[case.group] = blob.data[: 1 if blob.dtype == "int8" else 4].hex()
    return json.dumps({"schema": SCHEMA, "count": len(answers), "answers": answers}, indent=1) + "\n"


if __name__ == "__main__":
    sys.exit(check_or_write(FILE, content(), __doc__))
