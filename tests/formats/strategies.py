"""Random networks, tables and numbers."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from spec.graph import Graph, Layer, Shape
from spec.layer_table import BY_NAME, LAYER_TYPES, ParamSpec, ParamValue

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
INTS = st.integers(-(2**31), 2**31 - 1)
SMALL_INTS = st.integers(-240, 240)

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1, max_size=12).filter(
    lambda text: len(text.split()) == 1
)
"""Names: any characters that do not separate words."""

STRINGS = st.text(st.characters(codec="ascii", exclude_characters='"\n\r\0', exclude_categories=["Cc"]), max_size=40)

FREE_TYPES = sorted(
    layer_type.name
    for layer_type in LAYER_TYPES
    if not layer_type.weights
    and layer_type.name not in ("Softmax", "Reduction", "Interp", "GridSample", "ROIAlign", "Flip", "Gemm")
    and not layer_type.name.startswith("Pooling")
)
"""Types that take any parameters of the right kinds."""


def param_values(spec: ParamSpec) -> st.SearchStrategy[ParamValue]:
    """Values of the kind that a parameter has."""
    return {
        "int": INTS,
        "float": FLOATS,
        "ints": st.lists(SMALL_INTS, min_size=1, max_size=4),
        "floats": st.lists(FLOATS, min_size=1, max_size=4),
        "string": STRINGS,
    }[spec.kind]  # type: ignore[return-value]


@st.composite
def params(draw: st.DrawFn, type_name: str) -> dict[int, ParamValue]:
    """Some of a type's parameters, in the table's order."""
    chosen = [spec for spec in BY_NAME[type_name].params if draw(st.booleans())]
    return {spec.id: draw(param_values(spec)) for spec in chosen}


@st.composite
def hints(draw: st.DrawFn, count: int) -> list[Shape | None]:
    """Shapes of all tops, of some, or of none."""
    shape = st.none() | st.lists(st.integers(0, 300), min_size=1, max_size=4).map(tuple)
    shapes = draw(st.lists(shape, min_size=count, max_size=count))
    return shapes if any(item is not None for item in shapes) else []


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Networks wired as the format demands: each bottom is made before, each top once."""
    names = iter(draw(st.lists(WORDS, min_size=40, max_size=40, unique=True)))
    layers: list[Layer] = []
    made: list[str] = []
    for _ in range(draw(st.integers(1, 6))):
        type_name = draw(st.sampled_from(FREE_TYPES))
        bottoms = draw(st.lists(st.sampled_from(made), max_size=3)) if made else []
        tops = [next(names) for _ in range(draw(st.integers(0 if made else 1, 3)))]
        made += tops
        layer = Layer(type_name, next(names), bottoms, tops, draw(params(type_name)), draw(hints(len(tops))))
        layers.append(layer)
    return Graph(layers)


def same_float(a: float, b: float) -> bool:
    """Equal, or both zero, sign included, or both NaN."""
    return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1.0, a) == math.copysign(1.0, b))
