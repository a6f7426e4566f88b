"""Shapes that the spec infers, and those that it says cannot be inferred, with the reason."""

from __future__ import annotations

import pytest

from spec.formats.param import parse_param
from spec.graph import Layer, Shape
from spec.optimize.shape_inference import infer_shapes
from spec.optimize.shape_rules import RULES
from spec.optimize.shape_rules.common import ShapeUnknown

NAMES = "abcdef"


def layer(text: str, bottoms: int, tops: int) -> Layer:
    """A layer from its type and parameters."""
    kind, _, params = text.partition(" ")
    blobs = [*NAMES[:bottoms], *(f"t{i}" for i in range(tops))]
    inputs = "".join(f"Input {name} 0 1 {name}\n" for name in NAMES[:bottoms])
    line = f"{kind} layer {bottoms} {tops} {' '.join(blobs)} {params}".rstrip()
    return parse_param(f"7767517\n{bottoms + 1} {bottoms + tops}\n{inputs}{line}\n").layers[-1]


KNOWN = [
    ("Concat 0=0", [(1, 2), (3, 2)], [(4, 2)]),
    ("Permute 0=0", [(4,)], [(4,)]),
    ('Interp 0=1 9="+(0w,3)"', [(2, 3, 4)], [(2, 3, 7)]),
    ('Interp 0=1 9="+(0w,3),+(0h,5)"', [(2, 3, 4)], [(2, 8, 7)]),
    ("Interp 0=1 2=2.0", [(3, 4)], [(3, 8)]),
    ("Tile -23302=4,2,1,1,3", [(2, 3, 4)], [(4, 1, 3, 12)]),
    ("GridSample 0=1", [(2, 5, 6), (3, 4, 2)], [(2, 3, 4)]),
    ("GridSample 0=1 3=1", [(2, 5, 6), (2, 3, 4)], [(2, 3, 4)]),
    ("Embed 0=5 1=9 3=45", [(4,)], [(4, 5)]),
    ("Gemm 2=0 3=0", [(2, 3), (3, 4)], [(2, 4)]),
    ("Gemm 4=1 7=6 9=3", [(3, 4)], [(6, 4)]),
    ("MatMul", [(3,), (3,)], [(1,)]),
    ("MultiHeadAttention 0=4 1=2 2=16 7=1", [(3, 4), (4, 5), (4, 5)], [(3, 4), (4, 8), (4, 8)]),
    ("MultiHeadAttention 0=4 1=2 2=16 7=1", [(3, 4), (6, 4), (4, 5), (4, 5)], [(3, 4), (4, 5), (4, 5)]),
    ("SDPA", [(2, 3, 4), (1, 5, 4), (1, 5, 6)], [(2, 3, 6)]),
    (
        "SDPA 7=1",
        [(2, 3, 4), (1, 5, 4), (1, 5, 6), (1, 7, 4), (1, 7, 6)],
        [(2, 3, 6), (1, 12, 4), (1, 12, 6)],
    ),
    ("SDPA 7=1", [(2, 3, 4), (1, 5, 4), (1, 5, 6)], [(2, 3, 6), (1, 5, 4), (1, 5, 6)]),
    ("PriorBox -23300=2,1.0,2.0 -23302=2,0.5,2.0 9=-233 10=-233", [(8, 2, 3)], [(72,)]),
    ("Fold 1=2 20=3 21=3", [(8, 4)], [(2, 3, 3)]),
]


@pytest.mark.parametrize(("text", "bottoms", "tops"), KNOWN, ids=lambda value: str(value))
def test_known_shapes(text: str, bottoms: list[Shape], tops: list[Shape]) -> None:
    each = layer(text, len(bottoms), len(tops))
    assert RULES[each.type](each, bottoms) == tops


UNKNOWN = [
    ("Concat", [(1, 2), (3,)], 1, "its bottoms have shapes (1, 2), (3,)"),
    ("Slice -23300=1,2", [(4,)], 2, "it cuts 1 pieces for 2 tops"),
    ("Crop -23309=1,1 -23310=2,2,3", [(4, 4)], 1, "it has 1 starts, 2 ends and 1 axes"),
    ("Crop 0=-233", [(4,), (6,)], 1, "the values of its second bottom say what is cropped"),
    ("Permute 0=9", [(3, 4)], 1, "there is no order 9 of 2 axes"),
    ('Reshape 6="0w,1,1,1,1"', [(1,)], 1, "its expression has 5 values"),
    ('Reshape 6="0x,1"', [(1,)], 1, "cannot be evaluated"),
    ("Reshape 0=-1 1=-1", [(4,)], 1, "it asks for the shape (-1, -1)"),
    ("ExpandDims -23303=2,0,1", [(1, 2, 3)], 1, "its top would have 5 dims"),
    ("Tile -23302=5,1,1,1,1,1", [(1, 2)], 1, "it has 5 repeats"),
    ("GridSample 0=1", [(2, 5, 6)], 1, "its grid is missing"),
    ("Gemm", [(2, 3)], 1, "a matrix is missing among its bottoms"),
    ("MatMul", [(2, 3)], 1, "it wants two bottoms, but has 1"),
    ("MultiHeadAttention 0=4 1=2 2=16", [(3, 4)], 3, "it has 3 tops and 1 bottoms"),
    ("SDPA", [(1, 1, 1)], 1, "it wants query, key and value, but has 1 bottoms"),
    ("BinaryOp", [(2, 3), (4, 5)], 1, "shapes (2, 3) and (4, 5) do not broadcast"),
    ("Convolution 19=1", [(1, 2, 2)], 1, "its weight bottom is missing"),
    ("Deconvolution 28=1", [(1, 2, 2), (1, 1, 2, 2)], 1, "its weights are computed at run time"),
    ("ReLU", [], 1, "it has no bottom"),
]


@pytest.mark.parametrize(("text", "bottoms", "tops", "reason"), UNKNOWN, ids=lambda value: str(value))
def test_unknown_shapes(text: str, bottoms: list[Shape], tops: int, reason: str) -> None:
    each = layer(text, len(bottoms), tops)
    with pytest.raises(ShapeUnknown) as caught:
        RULES[each.type](each, bottoms)
    assert reason in str(caught.value)


def test_a_window_of_no_cells() -> None:
    """The reader refuses such a layer; one that was made otherwise has no shape."""
    with pytest.raises(ShapeUnknown, match="kernel, stride and dilation must be at least 1"):
        RULES["Unfold"](Layer("Unfold", "u", ["a"], ["b"], {1: 0}), [(1, 2, 2)])


def test_a_constant_without_extents() -> None:
    graph = parse_param("7767517\n2 2\nInput a 0 1 a 0=1\nMemoryData m 0 1 m\n")
    assert infer_shapes(graph).unknown == {"m": "the MemoryData gives no shape"}
