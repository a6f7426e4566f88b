"""What shape the tops of a layer have, from its parameters and the shapes of its bottoms.

A rule is a pure function; one module holds one family of layer types. `RULES` maps every type that has a rule. A rule
raises `ShapeUnknown` where the shape depends on the data, or where the bottoms do not fit the layer.
"""

from __future__ import annotations

from spec.optimize.shape_rules import axes, matrix, prior_box, same, window
from spec.optimize.shape_rules.common import Rule, ShapeUnknown

RULES: dict[str, Rule] = {
    **same.RULES,
    **axes.RULES,
    **window.RULES,
    **matrix.RULES,
    **prior_box.RULES,
}
"""The rule of every layer type that has one; Input and MemoryData have no bottoms."""

__all__ = ["RULES", "Rule", "ShapeUnknown"]
