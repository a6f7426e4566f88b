"""Options under ncnn's names: those that mean something, and those that say that they do not."""

from __future__ import annotations

import warnings
from dataclasses import fields

import pytest

from fastpath import Net, Option
from fastpath.option import OTHER_NUMBERS
from spec.formats.param import parse_param

PARAM = "7767517\n2 2\nInput in 0 1 in\nReLU relu 1 1 in out\n"


def test_every_option_of_the_binding_is_accepted() -> None:
    ncnn = pytest.importorskip("ncnn")
    theirs = {name for name in dir(ncnn.Option()) if not name.startswith("_")}
    assert theirs - {field.name for field in fields(Option)} == set()


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError):
        Option().use_fp16 = True  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", OTHER_NUMBERS)
def test_an_option_that_would_change_results_is_told(name: str) -> None:
    net = Net.from_graph(parse_param(PARAM))
    setattr(net.opt, name, True)
    with pytest.warns(UserWarning, match=f"opt.{name} is on, but every number is binary32 here, on the CPU"):
        net._prepare(net.graph)


def test_options_that_only_choose_implementations_are_silent() -> None:
    net = Net.from_graph(parse_param(PARAM))
    net.opt.use_winograd_convolution = net.opt.use_packing_layout = False
    net.opt.num_threads = 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net._prepare(net.graph)
