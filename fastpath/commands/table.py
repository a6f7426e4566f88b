"""`ncnn-assay table`: what is wrong with a calibration table, what its rows mean, how tables differ."""

from __future__ import annotations

import difflib
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import click
import numpy as np

from fastpath.calibration.weight_scales import (
    CONVOLUTION_TYPES,
    INT8_MAX,
    SIX_BIT_MAX,
    STATIC_TYPES,
    convolution_layers,
    is_six_bit,
    static_rows,
    weight_groups,
)
from spec.errors import FormatError, GraphError, UsageError
from spec.formats.files import read_bytes
from spec.formats.table import MAX_KEY_BYTES, Table, read_table
from spec.formats.weights import read_model
from spec.graph import Graph, Layer

FEW_DIGITS = 0.001
"""Scales below this keep fewer than four digits in the six decimals of a table."""

COMMENT = "#"
"""What the real tool takes for the beginning of a comment, if it begins a row."""

ZERO_FIX = "calibrate again without --upstream: then such a group keeps its magnitude"
DIGITS_FIX = "the values are very large: rescale the layer, or keep it float"

MOST_SHOWN = 4
"""Scales that a message shows."""

SAME = 2e-6
"""Scales that differ by less than this, relatively, differ by the last bits of a float layer."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf|[+-]?nan")
_WEIGHT_KEY = re.compile(r"(.*)_param_(\d)")


@dataclass(frozen=True)
class Finding:
    """One thing to know about a table. `line` is 0 where a row is missing; an `error` breaks or changes the network."""

    line: int
    error: bool
    key: str
    message: str
    fix: str = ""

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        text = f"{'error' if self.error else 'warning'}: {place}{self.key + ': ' if self.key else ''}{self.message}"
        return f"{text}\n    fix: {self.fix}" if self.fix else text


@dataclass(frozen=True)
class _Row:
    line: int
    key: str
    words: list[str]
    commented: bool

    def values(self) -> list[float]:
        return [float(np.float32(float(word))) for word in self.words if _NUMBER.fullmatch(word)]


def lint_table(text: str, graph: Graph | None = None) -> list[Finding]:
    """What is wrong with the text of a table: by itself, and for the float model `graph` if there is one."""
    findings = list(_lint_lines(text))
    rows = [row for row in _rows(text) if not row.commented]
    for row in rows:
        findings += _lint_row(row)
    findings += _lint_duplicates(rows)
    if graph is not None:
        findings += _lint_model(rows, {row.key for row in _rows(text) if row.commented}, graph)
    return sorted(findings, key=lambda finding: (finding.line == 0, finding.line))


def _rows(text: str) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split()
        if words and words[0].startswith("#"):
            key, *values = " ".join(words).lstrip("#").split() or [""]
            if values and all(_NUMBER.fullmatch(value) for value in values):
                yield _Row(number, key, values, commented=True)
        elif words:
            yield _Row(number, words[0], words[1:], commented=False)


def _lint_lines(text: str) -> Iterator[Finding]:
    """What the C++ tool's reader takes otherwise than one would think."""
    lines = text.rstrip().split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            yield Finding(number, True, "", "the real ncnn2int8 stops reading at this blank line", "delete the line")
            break
    for number, line in enumerate(lines, start=1):
        if "\t" in line:
            yield Finding(
                number,
                True,
                "",
                "the real ncnn2int8 separates by blanks only, and crashes on this tab",
                "write a blank",
            )


def _lint_row(row: _Row) -> Iterator[Finding]:
    if len(row.key.encode()) > MAX_KEY_BYTES:
        yield Finding(
            row.line,
            True,
            row.key[:40],
            f"the key is longer than {MAX_KEY_BYTES} bytes, and will be cut",
            "give the layer a shorter name in the .param",
        )
    if not row.words:
        yield Finding(
            row.line, True, row.key, "there is no scale", f"write {COMMENT} before it, or its scales after it"
        )
    for word in row.words:
        if not _NUMBER.fullmatch(word):
            yield Finding(
                row.line,
                True,
                row.key,
                f"{word!r} is no number: the one before it would be repeated",
                _number_fix(word),
            )
    values = row.values()
    if any(math.isnan(value) or value < 0 for value in values):
        yield Finding(row.line, True, row.key, "a scale is negative or not a number", _comment_fix(row.key))
    if zeros := values.count(0.0):
        yield Finding(row.line, True, row.key, f"{zeros} scales are 0: all values they quantize become 0", ZERO_FIX)
    infinite = sum(map(math.isinf, values))
    if infinite and _WEIGHT_KEY.fullmatch(row.key):
        yield Finding(
            row.line,
            False,
            row.key,
            f"{infinite} scales are inf, which stands for weights of zero",
            "1.000000 gives the same int8 weights",
        )
    elif infinite:
        yield Finding(
            row.line,
            True,
            row.key,
            "the scale is inf, as of samples that are all zero: ncnn2int8 leaves the layer float",
            f"calibrate with other samples, or {_comment_fix(row.key)}",
        )
    small = [value for value in values if 0 < value < FEW_DIGITS]
    if small:
        message = f"{len(small)} scales keep fewer than four digits, the smallest is {min(small):f}"
        yield Finding(row.line, False, row.key, message, DIGITS_FIX)


def _lint_duplicates(rows: Sequence[_Row]) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for row in rows:
        if row.key in seen:
            yield Finding(
                row.line,
                True,
                row.key,
                f"replaces the row of the same name in line {seen[row.key]}",
                f"delete line {seen[row.key]} or this one",
            )
        seen[row.key] = row.line


def expected_rows(graph: Graph) -> dict[str, int]:
    """The rows that a table for a float model can have, and how many scales each needs."""
    rows: dict[str, int] = {}
    for layer in convolution_layers(graph):
        rows[f"{layer.name}_param_0"] = weight_groups(layer)
        rows[layer.name] = 1
    rows.update((key, len(scales)) for key, scales in static_rows(graph))
    return rows


def _lint_model(rows: Sequence[_Row], commented: set[str], graph: Graph) -> Iterator[Finding]:
    expected = expected_rows(graph)
    present = {row.key: row for row in rows}
    for key, row in present.items():
        if key not in expected:
            yield Finding(
                row.line, False, key, "the model has no layer that reads this row", _unknown_fix(key, expected)
            )
        elif len(row.words) != expected[key]:
            message = (
                f"{len(row.words)} scales, but the layer needs {expected[key]}: the int8 model would be unreadable"
            )
            yield Finding(row.line, True, key, message, f"calibrate this model again, or {_comment_fix(key)}")
    for layer in graph:
        if layer.type in (*CONVOLUTION_TYPES, *STATIC_TYPES):
            yield from _lint_layer(layer, present, commented, expected)


def _lint_layer(
    layer: Layer, present: Mapping[str, _Row], commented: set[str], expected: Mapping[str, int]
) -> Iterator[Finding]:
    if "_param_" in layer.name:
        message = "the real ncnn2int8 takes its activation row for weights, and leaves the layer float"
        yield Finding(0, True, layer.name, message, "rename the layer in the .param")
    needed = [key for key in expected if key == layer.name or _owner(key) == layer.name]
    missing = [key for key in needed if key not in present]
    if missing and len(missing) < len(needed):
        alone = next(key for key in needed if key in present)
        why = "commented out" if missing[0] in commented else "missing"
        message = f"is {why} while {alone} is there: the layer stays float"
        fix = f"write {COMMENT} before {alone} as well, or take both away"
        if missing[0] != layer.name:
            message += f", and in the real ncnn2int8 so does every later {layer.type}"
        yield Finding(0, True, missing[0], message, fix)
    elif missing:
        why = "commented out" if set(missing) & commented else "missing"
        yield Finding(0, False, layer.name, f"its rows are {why}: the layer stays float")
    weights = present.get(f"{layer.name}_param_0")
    if weights is not None and layer.type in CONVOLUTION_TYPES and len(weights.values()) == weight_groups(layer):
        yield from _lint_weight_scales(layer, weights)


def _lint_weight_scales(layer: Layer, row: _Row) -> Iterator[Finding]:
    largest = weight_absmax(layer)
    scales = np.array(row.values())
    with np.errstate(invalid="ignore"):
        codes = np.nan_to_num(largest * scales, nan=0.0, posinf=np.inf)
    if np.any(np.isinf(scales) & (largest > 0)):
        yield Finding(
            row.line,
            True,
            row.key,
            "a scale is inf, but its weights are not zero",
            f"the scales are {_right_scales(layer)}",
        )
    # Half a code is lost to rounding anyway.
    if is_six_bit(layer) and np.any(codes > SIX_BIT_MAX + 0.5):
        groups = int((codes > SIX_BIT_MAX + 0.5).sum())
        message = f"{groups} groups exceed the six bits of 3x3 stride-1 convolutions: int8 Winograd may overflow"
        yield Finding(
            row.line, False, row.key, message, f"scales of at most {SIX_BIT_MAX} / absmax, as method=kl makes them"
        )


def _number_fix(word: str) -> str:
    """What to write in place of a word that is no number."""
    repaired = word.replace(",", ".")
    return f"write {repaired}" if _NUMBER.fullmatch(repaired) else "write a number"


def _comment_fix(key: str) -> str:
    """How to leave the layer of a row float."""
    owner = _owner(key)
    return f"write {COMMENT} before {owner} and {owner}_param_0: the layer stays float"


def _unknown_fix(key: str, expected: Mapping[str, int]) -> str:
    """The row that may have been meant."""
    similar = difflib.get_close_matches(key, expected, n=1)
    return f"delete it, or write {similar[0]}" if similar else "delete it"


def _right_scales(layer: Layer) -> str:
    """The scales that clip nothing, as many as fit a message."""
    code = SIX_BIT_MAX if is_six_bit(layer) else INT8_MAX
    with np.errstate(divide="ignore"):
        scales = [f"{scale:f}" for scale in np.float32(code) / weight_absmax(layer)]
    return " ".join(scales[:MOST_SHOWN]) + (" ..." if len(scales) > MOST_SHOWN else "")


def _owner(key: str) -> str:
    match = _WEIGHT_KEY.fullmatch(key)
    return match[1] if match else key


def weight_absmax(layer: Layer) -> np.ndarray:
    """The largest magnitude in each weight group."""
    values = np.frombuffer(layer.weight("weight_data").floats(), np.float32)
    largest: np.ndarray = np.abs(values.reshape(weight_groups(layer), -1)).max(axis=1)
    return largest


def explain_layer(table: Table, layer: Layer) -> list[str]:
    """What the rows of one layer mean, in lines of text."""
    lines = [f"{layer.name} ({layer.type})"]
    scales = table.bottom_scales.get(layer.name)
    if scales:
        lines.append(_explain_bottom(scales[0]))
    elif layer.type in CONVOLUTION_TYPES:
        lines.append("  no activation row: the layer stays float")
    for key, values in table.weight_scales.items():
        if _owner(key) == layer.name:
            lines += _explain_weights(key, values, layer)
    if layer.type in CONVOLUTION_TYPES and f"{layer.name}_param_0" not in table.weight_scales:
        lines.append("  no weight row: the layer stays float")
    return lines


def _explain_bottom(scale: float) -> str:
    if not (math.isfinite(scale) and scale > 0):
        return f"  activations: scale {scale:f}, which quantizes nothing"
    step, end = 1 / scale, INT8_MAX / scale
    return f"  activations: scale {scale:f}, so code 1 is {step:.6g}, and beyond +-{end:.6g} all is clipped"


def _explain_weights(key: str, scales: Sequence[float], layer: Layer) -> list[str]:
    finite = [scale for scale in scales if math.isfinite(scale) and scale > 0]
    if not finite:
        return [f"  {key}: {len(scales)} scales, none of them finite"]
    text = f"  {key}: {len(scales)} scales from {min(finite):f} to {max(finite):f}, median {np.median(finite):f}"
    lines = [text + (f", {len(scales) - len(finite)} not finite" if len(finite) < len(scales) else "")]
    if layer.type in CONVOLUTION_TYPES and len(scales) == weight_groups(layer):
        with np.errstate(invalid="ignore"):
            codes = weight_absmax(layer) * np.array(scales)
        lines.append(f"    largest codes of the groups: {np.nanmin(codes):.1f} to {np.nanmax(codes):.1f}")
        if is_six_bit(layer):
            lines.append(f"    a 3x3 convolution of stride 1 keeps to {SIX_BIT_MAX}, as int8 Winograd needs")
        if np.nanmax(codes) > INT8_MAX + 0.5:
            values = np.frombuffer(layer.weight("weight_data").floats(), np.float32).reshape(len(scales), -1)
            clipped = np.abs(values * np.array(scales, np.float32)[:, None]) > INT8_MAX + 0.5
            lines.append(f"    {clipped.mean():.3%} of the weights are clipped")
    return lines


@dataclass(frozen=True)
class Difference:
    """How a row differs between two tables. `ratio` is the largest change of a scale, b / a; None for a missing row."""

    key: str
    changed: int
    count: int
    ratio: float | None
    message: str


def diff_tables(a: Table, b: Table, tolerance: float = SAME) -> list[Difference]:
    """The rows of two tables that differ by more than `tolerance`, relatively."""
    ours, others = ({**table.weight_scales, **table.bottom_scales} for table in (a, b))
    differences = [
        Difference(key, 0, 0, None, f"only in {table.file}")
        for rows, rest, table in ((ours, others, a), (others, ours, b))
        for key in rows
        if key not in rest
    ]
    for key, values in ours.items():
        if key in others:
            differences += _row_difference(key, values, others[key], tolerance)
    return differences


def _row_difference(key: str, a: Sequence[float], b: Sequence[float], tolerance: float) -> Iterator[Difference]:
    if len(a) != len(b):
        yield Difference(key, 0, 0, None, f"{len(a)} scales against {len(b)}")
        return
    changes = [
        (x, y) for x, y in zip(a, b, strict=True) if x != y and not abs(x - y) <= tolerance * max(abs(x), abs(y))
    ]
    if not changes:
        return
    x, y = max(changes, key=lambda pair: abs(math.log(pair[1] / pair[0])) if min(pair) > 0 else math.inf)
    ratio = y / x if x else math.inf
    text = f"{x:f} -> {y:f} ({ratio - 1:+.3%})"
    if len(a) > 1:
        text = f"{len(changes)} of {len(a)} scales differ, most of all {text}"
    yield Difference(key, len(changes), len(a), ratio, text)


@click.group()
def command() -> None:
    """Judge, explain, compare and draw calibration tables."""


@command.command()
@click.argument("table")
@click.argument("model", nargs=-1, metavar="[PARAM BIN]")
def lint(table: str, model: tuple[str, ...]) -> int:
    """Say what is wrong with TABLE, by itself or for the float model PARAM BIN. Exit status 1 if there are errors."""
    findings = lint_table(_text(table), _model(model))
    for finding in findings:
        print(finding)
    errors = sum(finding.error for finding in findings)
    print(f"{table}: {errors} errors, {len(findings) - errors} warnings")
    return 1 if errors else 0


@command.command()
@click.argument("table")
@click.argument("param")
@click.argument("bin")
@click.argument("layers", nargs=-1)
def explain(table: str, param: str, bin: str, layers: tuple[str, ...]) -> None:
    """Say what the rows of LAYERS (default: all) in TABLE mean for the float model PARAM BIN."""
    graph = read_model(param, bin)
    rows = read_table(table)
    wanted = [graph.layer(name) for name in layers] or [
        layer for layer in graph if layer.type in (*CONVOLUTION_TYPES, *STATIC_TYPES)
    ]
    for layer in wanted:
        if layer.type not in (*CONVOLUTION_TYPES, *STATIC_TYPES):
            raise GraphError(layer.name, f"{layer.type} layers have no rows in a table")
        print("\n".join(explain_layer(rows, layer)))


@command.command()
@click.argument("a")
@click.argument("b")
@click.option("--tolerance", default=SAME, show_default=True, help="Relative difference of scales that does not count.")
def diff(a: str, b: str, tolerance: float) -> int:
    """Compare the tables A and B row by row. Exit status 1 if they differ."""
    differences = diff_tables(read_table(a), read_table(b), tolerance)
    for difference in differences:
        print(f"{difference.key}: {difference.message}")
    print(f"{len(differences)} rows differ")
    return 1 if differences else 0


@command.command()
@click.argument("tables", nargs=-1, required=True, metavar="TABLE...")
@click.option("--output", "-o", default="", help="The PNG to write; by default beside the first table.")
def plot(tables: tuple[str, ...], output: str) -> None:
    """Draw what TABLEs say of each layer: where activations are clipped, and how far weight scales spread."""
    from fastpath.calibration.plots import plot_tables  # matplotlib takes a second to import

    path = output or f"{tables[0]}.png"
    plot_tables([read_table(name) for name in tables], path)
    print(f"wrote {path}")


def _text(path: str) -> str:
    try:
        return read_bytes(path).decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise FormatError(path, f"byte {error.start}", "expected text") from error


def _model(paths: Sequence[str]) -> Graph | None:
    if not paths:
        return None
    if len(paths) != 2:
        raise UsageError(f"expected PARAM BIN, but got {len(paths)} files")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_model(*paths)
