"""JSON that a person can read and a diff can show: short things on one line, long things indented."""

from __future__ import annotations

import json
from typing import Any

WIDTH = 120


def layout(value: Any, depth: int = 0) -> str:
    """The JSON text of `value`; whatever fits into a line stays on it.

    >>> layout({"a": [1, 2], "b": "c"})
    '{"a": [1, 2], "b": "c"}'
    """
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if depth + len(line) <= WIDTH or not value or not isinstance(value, (dict, list)):
        return line
    if isinstance(value, dict):
        parts = [f"{json.dumps(key, ensure_ascii=False)}: {layout(entry, depth + 1)}" for key, entry in value.items()]
        opening, closing = "{", "}"
    else:
        parts = [layout(entry, depth + 1) for entry in value]
        opening, closing = "[", "]"
    indent = "\n" + " " * (depth + 1)
    return opening + indent + ("," + indent).join(parts) + "\n" + " " * depth + closing
