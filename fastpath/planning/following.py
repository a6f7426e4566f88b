"""Which layers between maps of floats run row after row, as soon as the layer before them has made the rows."""

from __future__ import annotations

from fastpath.planning.code_flow import CodeFlow
from fastpath.planning.layer_kinds import is_normalization, is_relu


class Following:
    """LRN and max pooling of maps: `behind` has, for each that follows a layer, that layer."""

    def __init__(self, flow: CodeFlow, joined: dict[int, int]) -> None:
        """`joined` has, for each layer that the step of a convolution runs too, the convolution."""
        self.flow, self.joined = flow, joined
        self.behind: dict[int, int] = {}
        for index, layer in enumerate(flow.layers):
            if self._works_by_rows(index):
                maker = self.maker(layer.bottoms[0])
                if maker is not None:
                    self.behind[index] = maker

    def maker(self, name: str) -> int | None:
        """The layer whose step makes a map, row after row, and leaves it as it is; None where there is none."""
        index = self.flow.producers[self.flow.before_splits(name)]
        layer = self.flow.layers[index]
        if is_relu(layer):
            index = self.flow.producers[layer.bottoms[0]]
            return self.joined.get(index) if self.flow.is_sum(self.flow.layers[index]) else None
        if index in self.flow.convolutions or self._works_by_rows(index):
            return index
        return self.joined.get(index)

    def root(self, index: int) -> int:
        """The layer whose step runs this one, too."""
        while index in self.behind:
            index = self.behind[index]
        return self.joined.get(index, index)

    def _works_by_rows(self, index: int) -> bool:
        layer = self.flow.layers[index]
        if index in self.joined or not (layer.type == "Pooling" or is_normalization(layer)):
            return False
        return self.flow.maps.issuperset((*layer.bottoms, *layer.tops))
