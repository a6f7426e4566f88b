"""The vectorised generator of `null` weights gives what the spec's gives."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from fastpath.formats.random_weights import Draws, fill_null_weights
from spec.formats.random_weights import RandomWeights, rounded_word
from spec.formats.weights import format_weights, zero_weights
from tests.optimize.nets import net


def test_words_are_the_same_in_any_portions() -> None:
    spec, fast = RandomWeights(), Draws()
    for count in (1, 54, 55, 56, 0, 1000, 3):
        assert fast.take(count).tolist() == [spec.draw() for _ in range(count)]


def test_lanes_follow_one_another() -> None:
    """Chunks of the generator join without a seam: p[n] = p[n - 24] + p[n - 55] holds inside every window."""
    words = Draws().take(3_000_000 + 45)[45:]
    whole = len(words) // 55 * 55
    windows = words[:whole].reshape(-1, 55)
    spec = RandomWeights()
    for _ in range(45):
        spec.draw()
    assert windows[:200].reshape(-1).tolist() == [spec.draw() for _ in range(200 * 55)]
    assert len({row.tobytes() for row in windows}) == len(windows)


@pytest.mark.parametrize("word", [0, 1, 2**24 + 1, 2**40 + 2**16 + 1, 2**64 - 1, 2**63 + 2**39, 2**63 + 2**39 + 1])
def test_words_are_rounded_once(word: int) -> None:
    assert rounded_word(word) == float(np.uint64(word).astype(np.float32))


def test_words_are_rounded_once_everywhere() -> None:
    words = np.random.default_rng(0).integers(0, 2**64, 2000, dtype=np.uint64)
    ties = (words & ~np.uint64(2**41 - 1)) | np.uint64(2**39) | (words & np.uint64(1))
    for word in (*words.tolist(), *ties.tolist()):
        assert rounded_word(word) == float(np.uint64(word).astype(np.float32))


def test_null_networks_get_the_same_weights() -> None:
    graph = net(
        "Input data 0 1 data 0=4 1=4 2=3",
        "MemoryData m 0 1 m 0=4 1=4 2=5",
        "Convolution c 1 1 data c 0=5 1=3 4=1 5=1 6=135",
        "ConvolutionDepthWise d 1 1 c d 0=5 1=3 4=1 6=45 7=5 8=101",
        "BinaryOp b 2 1 d m b",
        "InnerProduct f 1 1 b f 0=7 1=1 2=560 8=2",
    )
    zero_weights(graph)
    fast = copy.deepcopy(graph)
    fill_null_weights(fast)
    for fp16 in (False, True):
        assert format_weights(fast, fp16=fp16) == format_weights(graph, fp16=fp16)
