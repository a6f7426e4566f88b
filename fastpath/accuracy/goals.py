"""What an int8 network shall reach, and how near a candidate comes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fastpath.accuracy.metrics import NO_DIFFERENCE, Difference, Labels, difference, is_row, top_classes
from fastpath.accuracy.network import Blobs, Engine
from fastpath.accuracy.sensitivity import worst_snr
from spec.errors import GraphError, UsageError

Kind = Literal["dB", "top1", "labels"]

_GOAL = re.compile(r"([0-9]+(?:\.[0-9]*)?)\s*(dB|%\s*top1|%\s*labels)", re.IGNORECASE)


@dataclass(frozen=True)
class Score:
    """How an int8 network did on the samples that judge."""

    by_output: dict[str, Difference]
    disagreement: float | None
    """Share of samples whose top-1 class differs from the float network's; None without scores of classes."""
    accuracy: float | None
    """Share of samples with the right class, where labels are known."""

    @property
    def snr(self) -> float:
        """The signal-to-noise ratio in dB of the worst output, over all samples together."""
        return worst_snr(self.by_output)

    def text(self) -> str:
        """The score in words."""
        words = [f"{self.snr:.2f} dB"]
        if self.disagreement is not None:
            words.append(f"{self.disagreement:.2%} of the top-1 classes differ")
        if self.accuracy is not None:
            words.append(f"{self.accuracy:.2%} right")
        return ", ".join(words)


@dataclass(frozen=True)
class Goal:
    """At least so many dB, at most so many percent of other top-1 classes, or at least so many percent right."""

    kind: Kind
    value: float

    def reached(self, score: Score) -> bool:
        """Whether a score is good enough."""
        if self.kind == "dB":
            return score.snr >= self.value
        if self.kind == "top1":
            return score.disagreement is not None and 100 * score.disagreement <= self.value + 1e-9
        return score.accuracy is not None and 100 * score.accuracy >= self.value - 1e-9

    def rank(self, score: Score) -> tuple[bool, float, float]:
        """Larger is better: a goal reached, then what the goal asks for; beyond that, the signal-to-noise ratio."""
        if self.reached(score) or self.kind == "dB":
            return self.reached(score), score.snr, 0.0
        wanted = -(score.disagreement or 0.0) if self.kind == "top1" else score.accuracy or 0.0
        return False, wanted, score.snr

    def text(self) -> str:
        """The goal in words."""
        if self.kind == "dB":
            return f"at least {self.value:g} dB"
        if self.kind == "top1":
            return f"at most {self.value:g} % other top-1 classes than the float network"
        return f"at least {self.value:g} % right"


def parse_goal(text: str) -> Goal:
    """A goal: `40dB`, `0.5%top1` or `98%labels`. UsageError for anything else.

    >>> parse_goal("0.5%top1")
    Goal(kind='top1', value=0.5)
    """
    match = _GOAL.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"expected a goal like 40dB, 0.5%top1 or 98%labels, but got {text!r}")
    unit = match[2].lower().lstrip("% ")
    kinds: dict[str, Kind] = {"db": "dB", "top1": "top1", "labels": "labels"}
    return Goal(kinds[unit], float(match[1]))


class Judge:
    """The samples that scores are measured on, with the float network's outputs."""

    def __init__(self, network: Engine, samples: Sequence[Blobs], labels: Labels | None = None) -> None:
        """GraphError for a network without outputs, UsageError for another number of labels than samples."""
        if labels is not None and len(labels) != len(samples):
            raise UsageError(f"there are {len(labels)} labels for {len(samples)} samples")
        self.outputs = network.output_names()
        if not self.outputs:
            raise GraphError("", "the network has no outputs")
        self.samples = samples
        self.labels = labels
        self.references = [network.run(sample, self.outputs) for sample in samples]
        self.classifies = all(is_row(reference[self.outputs[0]]) for reference in self.references)

    def score(self, network: Engine) -> Score:
        """How the outputs of `network` differ. Classes are those of the first output."""
        by_output = dict.fromkeys(self.outputs, NO_DIFFERENCE)
        classes: list[int] = []
        for sample, reference in zip(self.samples, self.references, strict=True):
            found = network.run(sample, self.outputs)
            classes.append(top_classes(found[self.outputs[0]], 1)[0])
            for name in self.outputs:
                by_output[name] += difference(reference[name], found[name])
        expected = [top_classes(reference[self.outputs[0]], 1)[0] for reference in self.references]
        differing = float(np.mean(np.array(classes) != np.array(expected)))
        disagreement = differing if self.classifies else None
        accuracy = None if self.labels is None else float(np.mean(np.array(classes) == self.labels))
        return Score(by_output, disagreement, accuracy)
