"""The vectors of `recurrent_nets`: what nets there are, with expected values from the spec.

python -m conformance.suites.recurrent_net_cases check     compare the stored file with what would be written
python -m conformance.suites.recurrent_net_cases regen     write it
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from conformance.adapters import open_adapter
from conformance.suites.recurrent import Sizes
from conformance.suites.recurrent_cases import DIRECTIONS, KINDS, SEED, random_fill, sizes_of
from conformance.suites.recurrent_nets import FILE, Part, build
from conformance.suites.regeneration import check_or_write

SCHEMA = "ncnn-assay-recurrent-nets-1"
SPEC = "python -m conformance.suites.recurrent_net_cases, spec, reference profile, seed 20261020"
BETWEEN = ("TanH", "Sigmoid", "ReLU")
STACK_SIZES = ((5, 3, 4, 3), (4, 6, 5, 2))
"""(steps, size, outputs of the first layer, outputs of the second)."""

GROUPS = {
    "stacked": ("exact", "nets"),
    "mixed": ("exact", "nets"),
    "float": ("near:float-recurrent", "float-recurrent"),
}
"""Topic to level and tolerance. Float sums may be added in any order, so no two engines have the same bits."""

Entry = dict[str, Any]


def recurrent(seed: str, kind: str, size: int, num_output: int, direction: int) -> tuple[Part, int]:
    """A recurrent layer with patterns of its own, and the width of its rows."""
    sizes = sizes_of(kind, 1, size, num_output, direction)
    fill = random_fill(f"{seed}/{kind}/{size}/{num_output}", sizes)
    del fill["x"]
    part = {"type": sizes.type, "num_output": num_output, "direction": direction, "hidden_size": sizes.hidden_size}
    return {"net": {name: value for name, value in part.items() if value}, "fill": fill}, sizes.directions * num_output


def entry(topic: str, name: str, note: str, parts: list[Part], steps: int, size: int) -> Entry:
    """The stored form of a chain."""
    rng = random.Random(f"{SEED}/{topic}/{name}")
    x = [rng.randrange(2, 4098), rng.randrange(4099), 4099, 1024]
    return {
        "id": f"recurrent/nets/{topic}/{name}",
        "note": note,
        "flags": [topic],
        "parts": parts,
        "steps": steps,
        "size": size,
        "x": x,
    }


def stacked() -> Iterator[Entry]:
    """Two layers of all kinds, and three."""
    for first in KINDS:
        for second in KINDS:
            for number, (steps, size, inner, outer) in enumerate(STACK_SIZES):
                for directions in ((0, 0), (2, 1), (1, 2)):
                    name = f"{first}-{second}-d{directions[0]}{directions[1]}-{number}"
                    one, width = recurrent(f"{name}/0", first, size, inner, directions[0])
                    two, _ = recurrent(f"{name}/1", second, width, outer, directions[1])
                    yield entry(
                        "stacked", name, "The second layer quantizes what the first gives.", [one, two], steps, size
                    )
    for kind in KINDS:
        parts, width = [], 3
        for index, direction in enumerate((2, 0, 1)):
            part, width = recurrent(f"three-{kind}/{index}", kind, width, 3 + index, direction)
            parts.append(part)
        yield entry("stacked", f"three-{kind}", "Three layers, in three directions.", parts, 6, 3)


def mixed() -> Iterator[Entry]:
    """A static int8 product and an activation between and behind recurrent layers."""
    for index, first in enumerate(KINDS):
        for second in KINDS:
            name = f"{first}-{second}"
            one, _ = recurrent(f"{name}/0", first, 4, 3, index % 3)
            product = {"product": 5, "fill": {"wx": [37, 11, 255, 1], "b": [7, 3, 11, 16]}}
            step = {"activation": BETWEEN[index % len(BETWEEN)]}
            two, _ = recurrent(f"{name}/1", second, 5, 4, 0)
            last = {"product": 3, "fill": {"wx": [29, 5, 255, 1], "b": [3, 2, 11, 16]}}
            note = "An int8 InnerProduct and an activation between two recurrent layers, and a product behind."
            yield entry("mixed", name, note, [one, product, step, two, last], 5, 4)


def floats() -> Iterator[Entry]:
    """Every layer with float weights."""
    for kind in KINDS:
        for direction in DIRECTIONS:
            for states in ((0, 0), (1, 1)):
                for steps, size, num_output in ((3, 3, 2), (6, 5, 4)):
                    sizes: Sizes = sizes_of(kind, steps, size, num_output, direction, states)
                    name = f"d{direction}-{'states-' if states[0] else ''}t{steps}-n{num_output}"
                    case_id = f"recurrent/{kind}/float/{name}"
                    fill = {key: value for key, value in random_fill(case_id, sizes).items() if key[0] != "s"}
                    yield {
                        "id": case_id,
                        "note": "The float layer, which calibration and quantizing start from.",
                        "flags": ["float"],
                        "net": {key: value for key, value in asdict(sizes).items() if value or key == "direction"},
                        "fill": fill,
                    }


def content() -> str:
    """The file: a line for each case."""
    spec = open_adapter("spec")
    groups, total = [], 0
    for topic, entries in (("stacked", stacked()), ("mixed", mixed()), ("float", floats())):
        level, tolerance = GROUPS[topic]
        group = {"source": {"kind": "derived", "detail": SPEC}, "level": level, "tolerance": tolerance}
        lines = []
        for record in entries:
            outputs = spec.run(build(record, group))
            expected = {name: value.to_json() for name, value in outputs.items()}
            lines.append(json.dumps({**record, "expected": expected}, separators=(",", ":")))
        total += len(lines)
        groups.append(f' {json.dumps(group)[:-1]}, "cases": [\n' + ",\n".join(lines) + "\n ]}")
    header = json.dumps({"schema": SCHEMA, "suite": "recurrent", "count": total})
    return header[:-1] + ', "groups": [\n' + ",\n".join(groups) + "\n]}\n"


if __name__ == "__main__":
    sys.exit(check_or_write(FILE, content(), __doc__))
