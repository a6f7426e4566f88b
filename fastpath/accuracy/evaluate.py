"""Figures of several networks on one set of samples, against labels, texts, and the first of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fastpath.accuracy.metrics import (
    NO_DIFFERENCE,
    Difference,
    Labels,
    difference,
    edit_distance,
    greedy_text,
    is_row,
    top_classes,
)
from fastpath.accuracy.network import Engine
from fastpath.accuracy.samples import Sample
from fastpath.layers.common import Array
from fastpath.parallel import in_order
from spec.errors import UsageError

TOP = 5
"""A label counts as nearly right among so many best classes."""


@dataclass(frozen=True)
class Evaluation:
    """The figures of one network; None for those that the samples do not give."""

    name: str
    difference: Difference
    """From the first network's outputs."""
    agreement: float | None
    """Share of samples with the first network's top-1 class; None where outputs are no rows of scores."""
    top1: float | None
    top5: float | None
    texts: list[str] | None
    same_text: float | None
    """Share of samples with the first network's text."""
    right_text: float | None
    characters: float | None
    """1 - edits / characters of the right texts; of the first network's, where no right texts are known."""
    milliseconds: float

    def record(self) -> dict[str, Any]:
        """The figures for a file."""
        return {
            "name": self.name,
            "snr_db": self.difference.snr,
            "psnr_db": self.difference.psnr,
            "cosine": self.difference.cosine,
            "max_error": self.difference.largest,
            "agreement": self.agreement,
            "top1": self.top1,
            "top5": self.top5,
            "texts": self.texts,
            "same_text": self.same_text,
            "right_text": self.right_text,
            "characters": self.characters,
            "milliseconds": self.milliseconds,
        }


@dataclass
class _Tally:
    """What one network has shown so far."""

    name: str
    difference: Difference = NO_DIFFERENCE
    agreeing: int = 0
    classified: int = 0
    right: int = 0
    nearly: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.texts: list[str] = []


def evaluate(
    networks: Sequence[tuple[str, Engine]],
    samples: Sequence[Sample],
    *,
    output: str | None = None,
    labels: Labels | None = None,
    characters: list[str] | None = None,
    texts: list[str] | None = None,
    workers: int = 1,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> list[Evaluation]:
    """Run all networks on all samples. The first network is the reference of the others, and of itself.

    `workers` processes share the samples; the figures do not depend on it, but for the milliseconds. UsageError for an
    output that does not exist, or another number of labels or texts than samples.
    """
    names = networks[0][1].output_names()
    wanted = output or names[0]
    if wanted not in names:
        raise UsageError(f"the networks have no output {wanted}, but {', '.join(names)}")
    for what, given in (("labels", labels), ("texts", texts)):
        if given is not None and len(given) != len(samples):
            raise UsageError(f"there are {len(given)} {what} for {len(samples)} samples")
    if texts is not None and characters is None:
        raise UsageError("texts need the characters of the network")
    tallies = [_Tally(name) for name, _ in networks]
    work = partial(_outputs, [network for _, network in networks], samples, wanted)
    for position, found in enumerate(in_order(work, range(len(samples)), workers)):
        _count(tallies, found, None if labels is None else int(labels[position]), characters)
        progress("evaluate", position, len(samples))
    reference = tallies[0]
    return [_figures(tally, reference, len(samples), labels is not None, characters, texts) for tally in tallies]


def _outputs(
    networks: Sequence[Engine], samples: Sequence[Sample], wanted: str, position: int
) -> list[tuple[Array, float]]:
    """What each network makes of a sample, and the seconds that it took."""
    feeds = samples[position].feeds()
    outputs = []
    for network in networks:
        start = time.perf_counter()
        found = network.run(feeds, [wanted])[wanted]
        outputs.append((found, time.perf_counter() - start))
    return outputs


def _count(
    tallies: Sequence[_Tally], outputs: Sequence[tuple[Array, float]], label: int | None, characters: list[str] | None
) -> None:
    """Add the outputs for one sample; that of the first network is expected of the others."""
    expected, _ = outputs[0]
    for tally, (found, seconds) in zip(tallies, outputs, strict=True):
        tally.seconds += seconds
        tally.difference += difference(expected, found)
        best = top_classes(found, TOP)
        tally.classified += is_row(found)
        tally.agreeing += best[0] == top_classes(expected, 1)[0]
        tally.right += label == best[0]
        tally.nearly += label in best
        if characters is not None:
            tally.texts.append(greedy_text(found, characters))


def _figures(
    tally: _Tally, reference: _Tally, count: int, labelled: bool, characters: list[str] | None, texts: list[str] | None
) -> Evaluation:
    read = characters is not None
    pairs = list(zip(texts or reference.texts, tally.texts, strict=False))
    length = sum(len(expected) for expected, _ in pairs)
    edits = sum(edit_distance(expected, found) for expected, found in pairs)
    same = float(np.mean([a == b for a, b in zip(reference.texts, tally.texts, strict=True)])) if read else None
    return Evaluation(
        name=tally.name,
        difference=tally.difference,
        agreement=tally.agreeing / count if tally.classified == count else None,
        top1=tally.right / count if labelled else None,
        top5=tally.nearly / count if labelled else None,
        texts=tally.texts if read else None,
        same_text=same,
        right_text=float(np.mean([a == b for a, b in pairs])) if texts is not None else None,
        characters=max(0.0, 1 - edits / max(length, 1)) if read else None,
        milliseconds=1000 * tally.seconds / count,
    )
