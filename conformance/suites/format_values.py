"""What loaders hold after they took a file: the values of `formats/parse`, from the spec.

python -m conformance.suites.format_values check     compare the stored file with what would be written
python -m conformance.suites.format_values regen     write it
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

from conformance.adapters import open_adapter
from conformance.adapters.tools import EVERYTHING
from conformance.case import Case
from conformance.suites.carried import NOT_COMPARED, VALUES, formats
from conformance.suites.regeneration import check_or_write

SCHEMA = "ncnn-assay-format-values-1"
MOST_BYTES = 1024
"""Longer records are left out: what is in them is told by the results of inference."""


def content() -> str:
    """The file: a line for each case."""
    spec = open_adapter("spec")
    lines = []
    for case in formats():
        if case.operation == "parse" and case.refusal == "wrong" and _name(case) not in NOT_COMPARED:
            asked = replace(case, expected={EVERYTHING: {}})
            values = {name: value.to_json() for name, value in spec.run(asked).items() if len(value.data) <= MOST_BYTES}
            lines.append(f"{json.dumps('formats/' + _name(case))}: {json.dumps(values, separators=(',', ':'))}")
    header = json.dumps({"schema": SCHEMA, "suite": "formats", "count": len(lines)})
    return header[:-1] + ', "cases": {\n' + ",\n".join(lines) + "\n}}\n"


def _name(case: Case) -> str:
    return case.id.rpartition("/")[2]


if __name__ == "__main__":
    sys.exit(check_or_write(VALUES, content(), __doc__))
