"""The cheapest int8 network that reaches a goal.

Everything in int8 is cheapest, so that comes first: the tables of kl and aciq, and tables whose scales were searched.
Where none reaches the goal, layers go back to float, those first that do most harm for each multiplication; as many as
the goal needs, and no more multiplications than allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fastpath.accuracy.goals import Goal, Judge, Score
from fastpath.accuracy.network import FastEngine, blob_shapes, quantizable
from fastpath.accuracy.samples import Sample, counted, spread
from fastpath.accuracy.search import Choices, Search, Statistics, int8_operator, static_operator
from fastpath.accuracy.sensitivity import noise_share, replaced_one_by_one
from fastpath.accuracy.tables import later_of_type, quantized, table_text
from fastpath.calibration.calibrate import (
    Bottoms,
    Calibration,
    aciq_calibration,
    build_histograms,
    kl_calibration,
    measure_ranges,
    net_activations,
)
from fastpath.calibration.weight_scales import Row, convolution_layers, static_rows, weight_scales
from fastpath.layers.common import Operator
from fastpath.net import Net
from fastpath.profile import layer_costs
from spec.errors import CalibrationError
from spec.graph import Graph

SEARCH_SAMPLES = 8
"""Samples that scales are searched on: they are all in memory at once."""

SEARCH_BYTES = 768 << 20
"""The activations of the samples that scales are searched on, at most."""

SENSITIVITY_SAMPLES = 4
"""Samples that the harm of single layers is measured on."""

ROUNDS = 3
"""How often all exceptions are weighed and dropped again."""

LEAST_COST = 1e-5
"""Layers that cost less than this share of the multiplications count as this."""

SEARCHED_AGAIN = "searched again"
"""What candidates are called whose scales were searched with their exceptions in place."""

BASELINES = ("kl", "aciq")
"""The methods of ncnn2table that every outcome is held against."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Candidate:
    """A table, and how it did."""

    name: str
    table: str
    floats: tuple[str, ...]
    score: Score
    int8_share: float
    """Share of the multiplications that run in int8."""


@dataclass(frozen=True)
class LayerException:
    """A layer that stays float: the dB that this buys, and its share of the multiplications."""

    layer: str
    type: str
    gain: float
    cost: float


@dataclass(frozen=True)
class Outcome:
    """The table chosen, everything measured on the way, and why."""

    chosen: Candidate
    goal: Goal
    reached: bool
    candidates: list[Candidate]
    exceptions: list[LayerException]
    choices: Choices | None
    """The scales behind the table; None for a table of kl or aciq."""

    def baseline(self, name: str) -> Candidate:
        """The candidate of one of `BASELINES`."""
        return next(candidate for candidate in self.candidates if candidate.name == name)


@dataclass(frozen=True)
class Limits:
    """What a choice must respect."""

    least_int8: float = 0.9
    """Share of the multiplications that must stay in int8."""
    keep_six_bits: bool = False
    """Whether 3x3 convolutions of stride 1 keep to six bits, as ncnn2table has it."""
    never_int8: Collection[str] = ()
    """Layers that stay float in any case."""


@dataclass
class _Tuning:
    """The state of one run."""

    graph: Graph
    samples: Sequence[Sample]
    judge: Judge
    goal: Goal
    limits: Limits
    report: Callable[[str], None]
    progress: Progress
    candidates: list[Candidate] = field(default_factory=list)
    choices: dict[str, Choices] = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=dict)

    def prepare(self) -> None:
        """Statistics of the activations, the samples to search on, and what each layer costs."""
        self.layers = convolution_layers(self.graph)
        if not self.samples:
            raise CalibrationError("there are no samples to tune with")
        bottoms = Bottoms(self.layers, self.samples, net_activations(Net.from_graph(self.graph)))
        ranges = measure_ranges(self.layers, bottoms, progress=self.progress)
        histograms = build_histograms(ranges, bottoms, progress=self.progress)
        self.statistics = {
            layer.name: Statistics(extent, histogram)
            for layer, extent, histogram in zip(self.layers, ranges, histograms, strict=True)
        }
        first = self.samples[0].feeds()
        names = [name for name in self.graph.blob_names() if name not in first]
        blobs = {**first, **FastEngine(self.graph).run(first, names)}
        size = sum(blob.nbytes for blob in blobs.values())
        self.searched = [s.feeds() for s in spread(self.samples, min(max(SEARCH_BYTES // size, 1), SEARCH_SAMPLES))]
        self.costs = layer_costs(quantizable(self.graph), blob_shapes(blobs))
        self.total = max(sum(self.costs.values()), 1)

    def measure(self, name: str, rows: list[Row], floats: Collection[str]) -> Candidate:
        """The candidate of a table, measured."""
        return self.candidate(name, rows, floats, self.score(rows, floats))

    def score(self, rows: list[Row], floats: Collection[str]) -> Score:
        """What the judge says of a table."""
        return self.judge.score(FastEngine(quantized(self.graph, table_text(rows, floats))))

    def candidate(self, name: str, rows: list[Row], floats: Collection[str], score: Score) -> Candidate:
        """A candidate with its score, noted and reported."""
        share = 1 - sum(self.costs.get(layer, 0) for layer in floats) / self.total
        candidate = Candidate(name, table_text(rows, floats), tuple(floats), score, share)
        self.candidates.append(candidate)
        self.report(f"{name}: {score.text()}; {share:.1%} of the multiplications in int8")
        return candidate

    def name(self, base: str, floats: Collection[str]) -> str:
        """What a candidate with exceptions is called."""
        count = len(floats) - len(self.limits.never_int8)
        return f"{base}, {counted(count, 'layer')} float"

    def baseline(self, method: str) -> list[Row]:
        """The rows that ncnn2table writes by a method."""
        found = []
        for layer in self.layers:
            statistics = self.statistics[layer.name]
            pair = statistics.range, statistics.histogram
            if method == "kl":
                found.append(kl_calibration(layer, weight_scales(layer, "kl", report=self.report), *pair))
            else:
                scales = weight_scales(layer, "aciq", report=self.report)
                found.append(aciq_calibration(layer, scales, *pair, upstream=False))
        return Calibration(found, static_rows(self.graph)).rows()

    def search(
        self, *, sequential: bool, given: Mapping[str, float] | None = None, floats: Collection[str] = ()
    ) -> Choices:
        """Scales searched layer by layer."""
        return Search(
            self.graph,
            self.searched,
            self.statistics,
            floats=floats or self.limits.never_int8,
            sequential=sequential,
            keep_six_bits=self.limits.keep_six_bits,
            given=given,
            progress=self.progress,
        ).run()

    def all_int8(self) -> Candidate:
        """The best candidate without exceptions."""
        floats = tuple(self.limits.never_int8)
        for method in BASELINES:
            self.rows[method] = self.baseline(method)
            self.measure(method, self.rows[method], floats)
        variants: dict[str, Callable[[], Choices]] = {
            "searched": lambda: self.search(sequential=True),
            "each by itself": lambda: self.search(sequential=False),
        }
        for method in BASELINES:
            given = {key: row[0] for key, row in self.rows[method] if key in self.statistics}
            variants[f"{method} + weights"] = lambda given=given: self.search(  # type: ignore[misc]
                sequential=True, given=given
            )
        for name, make in variants.items():
            self.choices[name] = make()
            self.rows[name] = self.choices[name].rows(self.graph)
            self.measure(name, self.rows[name], floats)
        return max(self.candidates, key=lambda candidate: self.goal.rank(candidate.score))

    def harm(self, name: str) -> list[str]:
        """The layers in the order in which they should leave int8: most noise for each multiplication first."""
        rows = dict(self.rows[name])
        replacements: dict[str, Operator] = {}
        for layer in quantizable(self.graph):
            static = static_operator(layer)
            if static is None:
                static = int8_operator(layer, rows[layer.name][0], rows[f"{layer.name}_param_0"])
            replacements[layer.name] = static
        samples = self.searched[:SENSITIVITY_SAMPLES]
        network = FastEngine(self.graph)
        references = [network.run(sample, network.output_names()) for sample in samples]
        found = replaced_one_by_one(self.graph, replacements, samples, references, progress=self.progress)
        harm = {layer: noise_share(differences) for layer, differences in found.items()}
        return sorted(harm, key=lambda layer: -harm[layer] / max(self.costs[layer], self.total * LEAST_COST))

    def exceptions(self, order: Sequence[str]) -> list[tuple[str, ...]]:
        """Growing sets of layers that stay float, each allowed by the limits."""
        allowed = (1 - self.limits.least_int8) * self.total
        chosen = list(self.limits.never_int8)
        sets = []
        for name in order:
            joined = [other for other in later_of_type(self.graph, self.graph.layer(name)) if other not in chosen]
            if joined and sum(self.costs[layer] for layer in (*chosen, *joined)) <= allowed:
                chosen += joined
                sets.append(tuple(chosen))
        return sets

    def with_exceptions(self, base: Candidate) -> Candidate:
        """The candidate with the fewest exceptions that reaches the goal; the best one if none does."""
        sets = self.exceptions(self.harm(base.name))
        rows = self.rows[base.name]
        tried: dict[int, Candidate] = {}

        def candidate(count: int) -> Candidate:
            if count not in tried:
                floats = sets[count - 1]
                tried[count] = self.measure(self.name(base.name, floats), rows, floats)
            return tried[count]

        low, high = 0, len(sets)
        if not sets:
            return base
        if not self.goal.reached(candidate(high).score):
            for count in sorted({max(high * part // 4, 1) for part in (1, 2, 3)}):
                candidate(count)
            return max([base, *tried.values()], key=lambda found: self.goal.rank(found.score))
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.goal.reached(candidate(middle).score) else (middle, high)
        return candidate(high)

    def searched_again(self, chosen: Candidate) -> Candidate:
        """The candidate with scales that know which layers stay float: less error comes from before."""
        self.choices[SEARCHED_AGAIN] = self.search(sequential=True, floats=chosen.floats)
        self.rows[SEARCHED_AGAIN] = self.choices[SEARCHED_AGAIN].rows(self.graph)
        return self.measure(self.name(SEARCHED_AGAIN, chosen.floats), self.rows[SEARCHED_AGAIN], chosen.floats)

    def settled(self, chosen: Candidate, base: str) -> tuple[Candidate, list[LayerException]]:
        """The candidate without the exceptions that the goal, or else the best score, can do without; and the rest.

        Each exception is tried back in int8, those first that buy least for their multiplications.
        """
        rows = self.rows[base]
        for _ in range(ROUNDS):
            weighed = self.weighed(chosen, rows)
            floats, score = chosen.floats, chosen.score
            for each, without in sorted(weighed, key=lambda pair: pair[0].gain / max(pair[0].cost, LEAST_COST)):
                closed = later_of_type(self.graph, self.graph.layer(each.layer))[1:]
                if not self.good_enough(without, chosen.score) or any(name in floats for name in closed):
                    continue
                fewer = tuple(name for name in floats if name != each.layer)
                found = without if floats == chosen.floats else self.score(rows, fewer)
                if self.good_enough(found, score):
                    floats, score = fewer, found
            if floats == chosen.floats:
                return chosen, sorted((each for each, _ in weighed), key=lambda each: -each.gain)
            chosen = self.candidate(self.name(base, floats), rows, floats, score)
        return chosen, sorted((each for each, _ in self.weighed(chosen, rows)), key=lambda each: -each.gain)

    def good_enough(self, score: Score, other: Score) -> bool:
        """Whether a score may replace another: the goal is reached still, or nothing is lost."""
        return self.goal.reached(score) or self.goal.rank(score) >= self.goal.rank(other)

    def weighed(self, chosen: Candidate, rows: list[Row]) -> list[tuple[LayerException, Score]]:
        """What each exception buys, the dB lost if it alone went back to int8, and the score then."""
        found = []
        names = [name for name in chosen.floats if name not in self.limits.never_int8]
        for position, name in enumerate(names):
            self.progress("weigh exceptions", position, len(names))
            score = self.score(rows, [other for other in chosen.floats if other != name])
            layer = self.graph.layer(name)
            gain = chosen.score.snr - score.snr
            found.append((LayerException(name, layer.type, gain, self.costs[name] / self.total), score))
        return found


def tune(
    graph: Graph,
    samples: Sequence[Sample],
    judge: Judge,
    goal: Goal,
    limits: Limits = Limits(),
    *,
    report: Callable[[str], None] = lambda line: None,
    progress: Progress = lambda stage, done, total: None,
) -> Outcome:
    """Choose the table of the float network `graph`. `judge` should hold other samples than those given here.

    The outcome is never worse than kl and aciq on the judge's samples, because both are candidates. CalibrationError
    without samples, or where an activation is NaN or infinite; GraphError for a layer in the limits that is not there.
    """
    never = {name: None for layer in limits.never_int8 for name in later_of_type(graph, graph.layer(layer))}
    limits = replace(limits, never_int8=tuple(never))
    tuning = _Tuning(graph, samples, judge, goal, limits, report, progress)
    with np.errstate(all="ignore"):
        tuning.prepare()
        base = chosen = tuning.all_int8()
        name = base.name
        if not goal.reached(base.score):
            chosen = tuning.with_exceptions(base)
        if chosen.floats and not goal.reached(chosen.score):
            again = tuning.searched_again(chosen)
            if goal.rank(again.score) > goal.rank(chosen.score):
                chosen, name = again, SEARCHED_AGAIN
        chosen, exceptions = tuning.settled(chosen, name)
    reached = goal.reached(chosen.score)
    return Outcome(chosen, goal, reached, tuning.candidates, exceptions, tuning.choices.get(name))
