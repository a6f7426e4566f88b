"""What one layer alone does to the outputs of a network: int8 where all others are float."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fastpath.accuracy.metrics import NO_DIFFERENCE, Difference, difference
from fastpath.accuracy.network import Blobs, FastEngine
from fastpath.layers.common import Operator
from spec.graph import Graph, Layer

ByOutput = dict[str, Difference]
"""How each output differs."""


def noise_share(differences: Mapping[str, Difference]) -> float:
    """The noise of all outputs, each as a share of its signal, added up."""
    return sum(d.noise / d.signal for d in differences.values() if d.signal > 0)


def worst_snr(differences: Mapping[str, Difference]) -> float:
    """The signal-to-noise ratio in dB of the output that suffered most."""
    return min((d.snr for d in differences.values()), default=float("inf"))


def replaced_one_by_one(
    graph: Graph,
    replacements: Mapping[str, Operator],
    samples: Sequence[Blobs],
    references: Sequence[Blobs],
    *,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> dict[str, ByOutput]:
    """How the outputs of `graph` differ from `references` with one layer's operator replaced, for each replacement.

    Only the layers behind the replaced one run again. The replacement must make floats of floats or codes.
    """
    engine = FastEngine(graph)
    outputs = engine.output_names()
    names = [name for name in graph.blob_names() if name not in engine.input_names()]
    result = {name: dict.fromkeys(outputs, NO_DIFFERENCE) for name in replacements}
    for position, (sample, reference) in enumerate(zip(samples, references, strict=True)):
        progress("measure sensitivity", position, len(samples))
        blobs = {**sample, **engine.run(sample, names)}
        known = dict(sample)
        for layer in graph:
            if layer.name in replacements:
                changed = _with_replacement(engine, layer, replacements[layer.name], blobs, known, outputs)
                for output in outputs:
                    result[layer.name][output] += difference(reference[output], changed[output])
            known.update((top, blobs[top]) for top in layer.tops)
    return result


def _with_replacement(
    engine: FastEngine, layer: Layer, operator: Operator, blobs: Blobs, known: Blobs, outputs: Sequence[str]
) -> Blobs:
    with np.errstate(all="ignore"):
        tops = operator([blobs[name] for name in layer.bottoms])
    return engine.run({**known, **dict(zip(layer.tops, tops, strict=True))}, outputs)
