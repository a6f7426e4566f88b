"""What loaders hold after they took a file: the values of `formats/parse`, from the spec.

    python -m conformance.suites.format_values check     compare the stored file with what would be written
    python -m conformance.suites.format_values regen     write it
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace

from conformance.adapters import open_adapter
from conformance.adapters.tools import EVERYTHING
from conformance.case import Case
from conformance.suites.carried import NOT_COMPARED, VALUES, formats

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


def main() -> int:
    """Exit status 1 where `check` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["check", "regen"])
    text = content()
    if parser.parse_args().command == "regen":
        VALUES.write_text(text, encoding="utf-8")
        return 0
    same = VALUES.exists() and VALUES.read_text(encoding="utf-8") == text
    print("nothing differs" if same else f"{VALUES.name} would change")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
