"""Integer patterns: how stored cases describe inputs and weights in a few numbers instead of many.

P(a, b, m)[i] = ((a·i + b) mod m) - m div 2. A fill is one of

- `[a, b, m, d]`: the numbers P(a, b, m)[i] / d;
- `{"p": [a, b, m, d], "plus": c, "times": f, "rowtimes": {rows: f}, "rows": {rows: value or list}}`: (P / d + c)·f,
  some rows times another factor, some rows replaced at last;
- `{"v": [...]}`: the numbers themselves.

`rows` is an index or a range `first-last`. Numbers are JSON numbers or hexadecimal floats in strings. Everything is
computed in binary64; the array that receives the numbers rounds once to binary32.
"""

from __future__ import annotations

from typing import Any

Fill = Any
"""A fill, as JSON gives it."""


def number(value: float | str) -> float:
    """A number of a fill."""
    return float.fromhex(value) if isinstance(value, str) else value


def pattern(count: int, a: int, b: int, modulus: int) -> list[int]:
    """P(a, b, modulus), `count` numbers.

    >>> pattern(5, 5, 2, 13)
    [-4, 1, 6, -2, 3]
    """
    half = modulus // 2
    return [(a * i + b) % modulus - half for i in range(count)]


def expand(fill: Fill, count: int, width: int) -> list[float]:
    """The `count` numbers of a fill, in rows of `width`. ValueError for explicit numbers of another count."""
    if isinstance(fill, list):
        fill = {"p": fill}
    if "v" in fill:
        values = [number(value) for value in fill["v"]]
    else:
        a, b, modulus, divisor = fill["p"]
        plus, factor = number(fill.get("plus", 0)), number(fill.get("times", 1))
        period = [(value / divisor + plus) * factor for value in pattern(min(count, modulus), a, b, modulus)]
        values = (period * (count // modulus + 1))[:count]
    for rows, factor_text in fill.get("rowtimes", {}).items():
        factor = number(factor_text)
        for row in _rows(rows):
            values[row * width : (row + 1) * width] = [v * factor for v in values[row * width : (row + 1) * width]]
    for rows, content in fill.get("rows", {}).items():
        for row in _rows(rows):
            values[row * width : (row + 1) * width] = (
                [number(value) for value in content] if isinstance(content, list) else [number(content)] * width
            )
    if len(values) != count:
        raise ValueError(f"a fill gives {len(values)} numbers where {count} are needed")
    return values


def _rows(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)
