"""The eq search of a whole network against the literal one: the same scales, in much less time."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import pytest

from fastpath.calibration.bottoms import net_activations
from fastpath.calibration.calibrate import calibrate
from fastpath.calibration.eq import best_candidate, candidates, search_scales, similarity
from fastpath.calibration.eq_form import Pair
from fastpath.calibration.samples import blob_of
from fastpath.net import Net
from spec.formats.image_list import read_image_list
from spec.formats.samples import ImageInput, listed_samples
from spec.formats.weights import read_model
from spec.graph import Layer
from tests.shared import require_shared

LARGE = os.environ.get("CALIBRATE_LARGE") == "1"

SAMPLES = 20


def literal_search(
    layer: Layer, pairs: Sequence[Pair], weight_scales: Sequence[float], bottom_scale: float
) -> tuple[list[float], float]:
    """Every candidate of every scale by a forward of the whole layer for every sample."""
    scales = list(weight_scales)
    for j, start in enumerate(weight_scales):
        tries = candidates(start)
        totals = [similarity(layer, pairs, [*scales[:j], each, *scales[j + 1 :]], bottom_scale) for each in tries]
        best = best_candidate(totals)
        scales[j] = start if best is None else tries[best]
    tries = candidates(bottom_scale)
    best = best_candidate([similarity(layer, pairs, scales, each) for each in tries])
    return scales, bottom_scale if best is None else tries[best]


@pytest.mark.skipif(not LARGE, reason="takes minutes: set CALIBRATE_LARGE=1")
def test_the_search_of_a_network_is_the_literal_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(require_shared("models", "mtcnn-pnet"))
    graph = read_model("float.param", "float.bin")
    activations = net_activations(Net.from_graph(graph))
    how = ImageInput((80, 60), "RGB", (127.5,) * 3, (0.0078125,) * 3)
    samples = listed_samples([list(read_image_list("calib.txt"))[:SAMPLES]], [how], blob_of)
    ours, literal = 0.0, 0.0
    for found in calibrate(graph, samples, activations, "kl", report=lambda line: None).layers:
        names = [found.layer.bottoms[0], found.layer.tops[0]]
        pairs: list[Pair] = []
        for sample in samples:
            bottom, top = activations(sample.load(), names)
            pairs.append((bottom, top))
        start = time.process_time()
        fast = search_scales(found.layer, pairs, found.weight_scales, found.bottom_scale, report=lambda line: None)
        middle = time.process_time()
        assert fast == literal_search(found.layer, pairs, found.weight_scales, found.bottom_scale)
        ours, literal = ours + middle - start, literal + time.process_time() - middle
    print(f"literal {literal:.1f} s, ours {ours:.2f} s: {literal / ours:.0f} times faster")
    assert literal > 45 * ours
