"""Embed, Gemm, SDPA and MultiHeadAttention against the spec, and what they refuse."""

from __future__ import annotations

import importlib
from array import array
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.layers import embed, gemm, multi_head_attention, sdpa
from spec.binary32 import REFERENCE
from spec.blob import as_blob
from spec.errors import GraphError, UnsupportedError
from spec.graph import Layer
from spec.layer_table import BY_NAME
from tests.fastpath_recurrent.build import Floats, put_codes, put_floats

PREPARE = {**embed.PREPARE, **gemm.PREPARE, **sdpa.PREPARE, **multi_head_attention.PREPARE}
MODULES = {"Embed": "embed", "Gemm": "gemm", "SDPA": "sdpa", "MultiHeadAttention": "multi_head_attention"}


def fill(layer: Layer, random: np.random.Generator) -> Layer:
    """Random weights as the layer table asks for them."""
    layer_type = BY_NAME[layer.type]
    quantized = bool(layer.params.get(18))
    for spec in layer_type.weights:
        if not spec.when(layer.get):
            continue
        count = spec.count(layer.get)
        if spec.name.endswith(("scale", "scales")):
            put_floats(layer, spec.name, 2.0 ** random.uniform(4, 8, count), raw=True)
        elif quantized and spec.kind == "tagged" and spec.name != "C_data":
            put_codes(layer, spec.name, random.integers(-127, 128, count))
        else:
            put_floats(layer, spec.name, random.normal(0, 0.5, count), raw=spec.kind == "raw")
    return layer


def same(layer: Layer, blobs: list[Any], *, exact: bool) -> None:
    forward = importlib.import_module(f"spec.layers.{MODULES[layer.type]}").FORWARD[layer.type]
    theirs = [np.array(top) for top in forward(layer, [as_blob(blob) for blob in blobs], REFERENCE)]
    ours = PREPARE[layer.type](layer)(blobs)
    assert [top.shape for top in ours] == [top.shape for top in theirs]
    for our, their in zip(ours, theirs, strict=True):
        if exact:
            assert our.tobytes() == their.tobytes()
        else:
            np.testing.assert_allclose(our, their, rtol=0, atol=1e-5 * max(1.0, float(np.abs(their).max())))


@st.composite
def embeds(draw: st.DrawFn, int8: bool) -> tuple[Layer, list[Any]]:
    width, count = draw(st.integers(1, 9)), draw(st.integers(1, 7))
    params: dict[int, Any] = {0: width, 1: count, 2: draw(st.integers(0, 1)), 3: width * count, 18: 2 * int8}
    layer = Layer("Embed", "layer", ["x"], ["y"], params)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ids = draw(st.lists(st.integers(-3, count + 3), min_size=1, max_size=8))
    return fill(layer, random), [np.array(ids, np.int32)]


@st.composite
def gemms(draw: st.DrawFn, int8: bool) -> tuple[Layer, list[Any]]:
    m, n, k = (draw(st.integers(1, 5)) for _ in range(3))
    constant_a, constant_b, trans_a, trans_b, transpose, n1m = (draw(st.integers(0, 1)) for _ in range(6))
    kind = draw(st.sampled_from([None, -1, 0, 1, 2, 3, 4]))
    params: dict[int, Any] = {
        0: draw(st.sampled_from([1.0, 0.75])),
        1: draw(st.sampled_from([1.0, -2.0])),
        2: trans_a,
        3: trans_b,
        4: constant_a,
        5: constant_b,
        7: m,
        8: n,
        9: k,
        11: n1m,
        14: transpose,
        18: 2 * int8,
    }
    if kind is not None:
        params |= {6: 1, 10: kind}
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    blobs: list[Any] = []
    if not constant_a:
        blobs.append(random.normal(0, 1, (k, m) if trans_a else (m, k)).astype(np.float32))
        blobs[-1][random.integers(0, len(blobs[-1]))] = 0.0
    if not constant_b:
        blobs.append(random.normal(0, 1, (n, k) if trans_b else (k, n)).astype(np.float32))
        blobs[-1] *= draw(st.sampled_from([np.float32(0.0), np.float32(3.0)]))
    if kind is None and draw(st.booleans()):
        shape = draw(st.sampled_from([(1,), (m,), (n,), (m, 1), (m, n), (1, n)]))
        blobs.append(random.normal(0, 1, shape).astype(np.float32))
    layer = Layer("Gemm", "layer", [f"b{i}" for i in range(len(blobs))], ["y"], params)
    return fill(layer, random), blobs


@st.composite
def sdpas(draw: st.DrawFn, int8: bool) -> tuple[Layer, list[Any]]:
    groups, each = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    length, keys, width, value_width = (draw(st.integers(1, 4)) for _ in range(4))
    past = draw(st.sampled_from([0, 0, 2]))
    mask_kind = draw(st.sampled_from([0, 0, 2, 3]))
    cache = 1 if past else draw(st.integers(0, 1))
    params: dict[int, Any] = {5: int(mask_kind > 0), 6: draw(st.sampled_from([0.0, 0.3])), 7: cache, 18: 2 * int8}
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def normal(*shape: int) -> Floats:
        return random.normal(0, 1.5, shape).astype(np.float32)

    heads = groups * each
    blobs = [normal(heads, length, width), normal(groups, keys, width), normal(groups, keys, value_width)]
    if mask_kind:
        scores = (length, keys + past)
        blobs.append(normal(*scores) if mask_kind == 2 else normal(draw(st.sampled_from([1, heads])), *scores))
    if cache:
        blobs += [normal(groups, past, width), normal(groups, past, value_width)]
    tops = ["y", "k", "v"] if cache else ["y"]
    return Layer("SDPA", "layer", [f"b{i}" for i in range(len(blobs))], tops, params), blobs


@st.composite
def attentions(draw: st.DrawFn, int8: bool) -> tuple[Layer, list[Any]]:
    heads, width = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    embed_dim = heads * width
    inputs = draw(st.integers(1, 3))
    qdim = draw(st.integers(1, 5))
    kdim, vdim = (qdim, qdim) if inputs == 1 else (draw(st.integers(1, 5)),) * 2
    if inputs == 3:
        vdim = draw(st.integers(1, 5))
    length = draw(st.integers(1, 4))
    keys = length if inputs == 1 else draw(st.integers(1, 4))
    mask_kind = draw(st.sampled_from([0, 2, 3]))
    params: dict[int, Any] = {0: embed_dim, 1: heads, 2: embed_dim * qdim, 3: kdim, 4: vdim, 5: int(mask_kind > 0)}
    params[18] = 2 * int8
    if draw(st.booleans()):
        params[6] = 0.5
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def normal(*shape: int) -> Floats:
        return random.normal(0, 1.5, shape).astype(np.float32)

    blobs = [normal(length, qdim), normal(keys, kdim), normal(keys, vdim)][:inputs]
    if mask_kind:
        blobs.append(normal(length, keys) if mask_kind == 2 else normal(heads, length, keys))
    layer = Layer("MultiHeadAttention", "layer", [f"b{i}" for i in range(len(blobs))], ["y"], params)
    return fill(layer, random), blobs


STRATEGIES = {"Embed": embeds, "Gemm": gemms, "SDPA": sdpas, "MultiHeadAttention": attentions}


@pytest.mark.parametrize("int8", [True, False], ids=["int8", "float"])
@pytest.mark.parametrize("kind", list(STRATEGIES))
def test_equals_the_spec(kind: str, int8: bool) -> None:
    pytest.importorskip(f"spec.layers.{MODULES[kind]}")

    @settings(max_examples=100, deadline=None, derandomize=True, database=None)
    @given(STRATEGIES[kind](int8))
    def compare(case: tuple[Layer, list[Any]]) -> None:
        same(*case, exact=int8)

    compare()


def test_long_gemm_rows_are_summed_exactly() -> None:
    """2000 products of 127 and 127 pass 2**24."""
    layer = Layer("Gemm", "layer", ["a", "b"], ["y"], {18: 2})
    a = np.where(np.arange(2000) % 3, 1.0, 0.999).astype(np.float32)[np.newaxis]
    b = np.where(np.arange(2000) % 5, 1.0, 0.37).astype(np.float32)[:, np.newaxis]
    codes = [np.floor(values.astype(np.float64) * 127 + 0.5) for values in (a, b)]
    total = np.float32(int((codes[0] @ codes[1])[0, 0]))
    descale = np.float32(1.0) / (np.float32(127.0) * np.float32(127.0))
    assert gemm.prepare(layer)([a, b])[0][0, 0] == total * descale


def caches(layout: str, rows: Floats, heads: int) -> Floats:
    if layout == "commit":
        return np.ascontiguousarray(rows.T)
    return np.ascontiguousarray(rows.reshape(len(rows), heads, -1).transpose(1, 0, 2))


@pytest.mark.parametrize("layout", ["commit", "wheel"])
def test_self_attention_with_a_cache_continues_where_it_stopped(layout: str) -> None:
    """Float: three rows at once, or two rows and then one with the cache, give the third row the same result."""
    random = np.random.default_rng(3)
    layer = Layer(
        "MultiHeadAttention", "layer", ["x", "k0", "v0"], ["y", "k", "v"], {0: 4, 1: 2, 2: 20, 3: 5, 4: 5, 7: 1}
    )
    operator = multi_head_attention.prepare(fill(layer, random))
    x = random.normal(0, 1, (3, 5)).astype(np.float32)
    empty = np.empty((2, 0, 2) if layout == "wheel" else (4, 0), np.float32)
    whole = operator([x, empty, empty])
    first = operator([x[:2], empty, empty])
    second = operator([x[2:], first[1], first[2]])
    np.testing.assert_allclose(second[0][0], whole[0][2], atol=1e-6)
    for ours, theirs in zip(second[1:], whole[1:], strict=True):
        assert ours.shape == ((2, 3, 2) if layout == "wheel" else (4, 3))
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "blobs", "error", "message"),
    [
        (Layer("Gemm", "g", ["a", "b"], ["y"], {18: 4}), None, GraphError, "quantize_term 4"),
        (Layer("Gemm", "g", ["a", "b"], ["y"], {18: 801}), None, UnsupportedError, "block"),
        (Layer("Gemm", "g", ["a"], ["y"], {5: 1}), None, GraphError, "constant B"),
        (
            Layer("Gemm", "g", ["a", "b"], ["y"], {}),
            [np.ones((2, 3), np.float32), np.ones((2, 3), np.float32)],
            GraphError,
            "do not multiply",
        ),
        (
            Layer("Gemm", "g", ["a", "b", "c"], ["y"], {}),
            [np.ones((2, 3), np.float32), np.ones((3, 4), np.float32), np.ones(7, np.float32)],
            GraphError,
            "broadcast",
        ),
        (Layer("SDPA", "s", ["q", "k", "v"], ["y"], {}), [np.ones((1, 2, 3), np.float32)] * 2, GraphError, "3 bottom"),
        (Layer("MultiHeadAttention", "m", ["q"], ["y"], {0: 4, 1: 3, 2: 4}), None, GraphError, "heads"),
    ],
)
def test_refuses(layer: Layer, blobs: list[Any] | None, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        PREPARE[layer.type](layer)(blobs or [])


def test_embed_reads_ids_only() -> None:
    layer = Layer("Embed", "layer", ["x"], ["y"], {0: 2, 1: 2, 3: 4})
    put_floats(layer, "weight_data", array("f", [1.0, 2.0, 3.0, 4.0]))
    with pytest.raises(GraphError, match="int32"):
        embed.prepare(layer)([np.ones(2, np.float32)])
