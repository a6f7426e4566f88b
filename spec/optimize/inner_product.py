"""Passes 31 and 32: a convolution of a 1-D blob is an InnerProduct.

Follows: ncnn tools/ncnnoptimize.cpp @ a4d2ea1d.
"""

from __future__ import annotations

from dataclasses import dataclass

from spec.errors import UnsupportedError
from spec.graph import Layer
from spec.optimize.matcher import Condition, always, find_fault, read_elsewhere
from spec.optimize.rewriting import Rewriting

_CARRIED = (
    *("num_output", "bias_term", "weight_data_size", "int8_scale_term"),
    *("activation_type", "activation_params"),
)
"""Parameters that a Convolution and an InnerProduct share."""

_RECORDS = ("weight_data", "bias_data", "weight_data_int8_scales", "bottom_blob_int8_scales")
"""Weight records that they share."""


@dataclass(frozen=True)
class ConvolutionToInnerProduct:
    """`first` → Convolution: the Convolution becomes an InnerProduct with the same name, bottoms and tops.

    With `repeated`, whole sweeps follow one another until one changes nothing.
    """

    name: str
    first: str
    when: Condition = always
    repeated: bool = False

    def run(self, net: Rewriting) -> None:
        """Go over the network, once or until nothing changes."""
        while self._sweep(net) and self.repeated:
            pass

    def _sweep(self, net: Rewriting) -> bool:
        changed = False
        for position in net.positions_of((self.first,)):
            first = net.layers[position]
            place = net.first_reader(first.tops[0], ("Convolution",), 1, position)
            if place is None or not self.when(net, first, net.layers[place]):
                continue
            convolution = net.layers[place]
            fault = find_fault(net, (read_elsewhere, _is_no_dot_product), first, convolution)
            if fault is not None:
                net.refused(self.name, (first, convolution), fault)
                continue
            if net.upstream and self.repeated and convolution.get.integer("int8_scale_term"):
                raise UnsupportedError(
                    convolution.name,
                    f"ncnnoptimize crashes here: it gives the int8 scales of this layer to {first.name}",
                )
            net.fired(self.name, first, convolution)
            net.replace(place, _as_inner_product(convolution))
            changed = True
        return changed


def _as_inner_product(convolution: Layer) -> Layer:
    layer = Layer("InnerProduct", convolution.name, convolution.bottoms, convolution.tops, hints=convolution.hints)
    for name in _CARRIED:
        layer.set(name, convolution.get[name])
    layer.weights = {name: convolution.weights[name] for name in _RECORDS if name in convolution.weights}
    return layer


def _is_no_dot_product(net: Rewriting, first: Layer, convolution: Layer) -> str | None:
    get = convolution.get
    if any(get.integer(name) != 1 for name in ("kernel_w", "kernel_h", "stride_w", "stride_h")):
        return f"{convolution.name} is no 1×1 convolution with stride 1"
    if any(get.integer(name) > 0 for name in ("pad_left", "pad_top", "pad_right", "pad_bottom")):
        return f"{convolution.name} pads"
    if get.integer("dynamic_weight"):
        return f"the weights of {convolution.name} are computed at run time"
    return None
