"""Pictures of a calibration: where the thresholds lie, why kl chose its own, and how far weight scales spread."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fastpath.calibration.aciq import gaussian_clip
from fastpath.calibration.kl import TARGET_BINS, divergences, kl_threshold, normalised, threshold_of
from fastpath.calibration.statistics import Histogram
from fastpath.calibration.summary import Found, HistogramLike, clipped_share, expected_snr
from spec.formats.table import Table

COLOURS = {"kl": "#d1495b", "aciq": "#00798c", "eq": "#8d6a9f", "absmax": "#30323d"}
"""One colour for each way to choose a threshold."""

TABLE_COLOURS = ("#d1495b", "#00798c", "#8d6a9f", "#edae49", "#30323d")
"""Colours of tables that are drawn side by side."""

_BARS = 256  # bars of a drawn histogram: 2048 bins are finer than the picture
_GREY = "#9aa5b1"
_LOGARITHMIC_SPREAD = 10


def plot_histogram(
    histogram: HistogramLike, thresholds: Mapping[str, float], path: str | Path, *, title: str = ""
) -> Path:
    """Draw the histogram of a layer's activations with thresholds by name, and return the path of the PNG."""
    figure = Figure(figsize=(7.5, 4), layout="constrained")
    draw_histogram(figure.subplots(), histogram, thresholds, title)
    return _save(figure, Path(path))


def plot_calibration(layers: Sequence[Found], method: str, folder: str | Path) -> list[Path]:
    """Draw one picture per layer and an overview into `folder`; the paths, overview first."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    if not layers:
        return []
    pictures = [plot_overview(layers, method, Path(folder) / "overview.png")]
    width = len(str(len(layers)))
    for number, found in enumerate(layers, start=1):
        safe_name = re.sub(r"[^\w.-]+", "_", found.layer.name)
        pictures.append(plot_layer(found, method, Path(folder) / f"{number:0{width}}-{safe_name}.png"))
    return pictures


def plot_layer(found: Found, method: str, path: str | Path) -> Path:
    """Draw the activations of one layer, the divergence that kl looks at, and the layer's weight scales."""
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    figure.suptitle(f"{found.layer.name} ({found.layer.type})", fontweight="bold")
    axes = figure.subplot_mosaic([["histogram", "histogram"], ["divergence", "weights"]])
    if found.histogram is not None and found.range.absmax > 0:
        draw_histogram(axes["histogram"], found.histogram, layer_thresholds(found, method), "bottom blob")
        draw_divergence(axes["divergence"], found.histogram)
    else:
        _say(axes["histogram"], "the activations are always zero")
        _say(axes["divergence"], "no distribution")
    draw_weight_scales(axes["weights"], found.weight_scales)
    return _save(figure, Path(path))


def plot_overview(layers: Sequence[Found], method: str, path: str | Path) -> Path:
    """Draw all layers: how much of the range each method keeps, and the noise to expect."""
    figure = Figure(figsize=(11, 1.8 + 0.32 * len(layers)), layout="constrained")
    kept, noise = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    rows = np.arange(len(layers))
    thresholds = [layer_thresholds(found, method) for found in layers]
    for name in ("kl", "aciq", "eq"):
        ratios = [
            each.get(name, math.nan) / found.range.absmax if found.range.absmax > 0 else math.nan
            for each, found in zip(thresholds, layers, strict=True)
        ]
        if not np.isnan(ratios).all():
            chosen = name == method
            kept.scatter(
                ratios,
                rows,
                s=60 if chosen else 36,
                color=COLOURS[name],
                marker="o" if chosen else "D",
                facecolors=COLOURS[name] if chosen else "white",
                label=f"{name} (chosen)" if chosen else name,
                zorder=3,
            )
    kept.axvline(1, color=COLOURS["absmax"], linewidth=1, linestyle="--", label="absmax")
    kept.set_yticks(rows, [found.layer.name for found in layers])
    kept.set_ylim(len(layers) - 0.4, -0.6)
    kept.set_title(f"{len(layers)} layers, calibrated by {method}", fontweight="bold")
    kept.set_xlim(left=0)
    kept.set_xlabel("threshold / absmax")
    ratios = [
        expected_snr(found.histogram, found.threshold) if found.histogram is not None else math.nan for found in layers
    ]
    noise.barh(rows, [value if math.isfinite(value) else 0.0 for value in ratios], height=0.6, color=COLOURS[method])
    for row, value in enumerate(ratios):
        if math.isfinite(value):
            noise.annotate(f"{value:.0f}", (value, row), (3, 0), textcoords="offset points", va="center", fontsize=8)
    noise.margins(x=0.1)
    noise.set_xlabel("expected SNR of the quantized activations [dB]")
    figure.legend(*kept.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    for axes in (kept, noise):
        axes.grid(axis="both", color="#e3e7eb", zorder=0)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return _save(figure, Path(path))


def plot_tables(tables: Sequence[Table], path: str | Path) -> Path:
    """Draw the rows of tables side by side: the magnitude that becomes 127, and the spread of weight scales."""
    bottoms = list(dict.fromkeys(key for table in tables for key in table.bottom_scales))
    weights = list(dict.fromkeys(key for table in tables for key in table.weight_scales))
    rows = max(len(bottoms), len(weights), 1)
    figure = Figure(figsize=(12, 1.8 + 0.32 * rows), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, table in enumerate(tables):
        colour = TABLE_COLOURS[number % len(TABLE_COLOURS)]
        shift = (number - (len(tables) - 1) / 2) * 0.5 / len(tables)
        scales = [table.bottom_scales.get(key, [math.nan])[0] for key in bottoms]
        thresholds = [127 / scale if math.isfinite(scale) and scale > 0 else math.nan for scale in scales]
        left.scatter(thresholds, np.arange(len(bottoms)) + shift, s=36, color=colour, label=table.file, zorder=3)
        for row, key in enumerate(weights):
            finite = [scale for scale in table.weight_scales.get(key, []) if math.isfinite(scale) and scale > 0]
            if finite:
                right.plot([min(finite), max(finite)], [row + shift] * 2, color=colour, linewidth=2, zorder=2)
                right.plot(np.median(finite), row + shift, "o", color=colour, markersize=5, zorder=3)
    for axes, keys, label in (
        (left, bottoms, "largest magnitude of an activation that is not clipped"),
        (right, weights, "weight scales: smallest, median, largest"),
    ):
        axes.set_yticks(range(len(keys)), keys)
        axes.set_ylim(len(keys) - 0.4, -0.6)
        axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.grid(color="#e3e7eb", zorder=0)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return _save(figure, Path(path))


def layer_thresholds(found: Found, method: str) -> dict[str, float]:
    """The thresholds by each method, where they exist, and absmax."""
    thresholds = {"absmax": found.range.absmax}
    if found.histogram is not None:
        thresholds["kl"] = kl_threshold(_array_histogram(found.histogram)).threshold
    if method == "aciq":
        thresholds["aciq"] = found.threshold
    elif found.range.count > 1:
        thresholds["aciq"] = gaussian_clip(found.range.absmax, found.range.count, bits=8)
    if method == "eq":
        thresholds["eq"] = found.threshold
    return thresholds


def draw_histogram(axes: Axes, histogram: HistogramLike, thresholds: Mapping[str, float], title: str = "") -> None:
    """Magnitudes on a linear scale, counts on a logarithmic one, thresholds as vertical lines."""
    counts = np.asarray(histogram.counts, np.float64).reshape(_BARS, -1).sum(axis=1)
    edges = np.linspace(0, histogram.absmax, _BARS + 1)
    axes.stairs(np.maximum(counts, 0.5), edges, baseline=0.5, fill=True, color=_GREY)
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.5)
    for name, threshold in sorted(thresholds.items(), key=lambda item: item[1]):
        if math.isfinite(threshold):
            label = f"{name} {threshold:.4g}"
            if name != "absmax" and threshold < histogram.absmax:
                label += f": clips {clipped_share(histogram, threshold):.3%}"
            axes.axvline(
                threshold,
                color=COLOURS.get(name, "black"),
                linewidth=1.8,
                label=label,
                linestyle="--" if name == "absmax" else "-",
            )
    axes.set_xlim(left=0)
    axes.set_xlabel("magnitude of an activation")
    axes.set_ylabel("count")
    total = int(np.asarray(histogram.counts).sum()) + histogram.zeros
    if total:
        axes.set_title(
            f"{title}  {total:,} values, {histogram.zeros / total:.1%} of them zero".strip(), fontsize=10, pad=22
        )
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, fontsize=9, frameon=False, borderaxespad=0.2)
    axes.spines[["top", "right"]].set_visible(False)


def draw_divergence(axes: Axes, histogram: HistogramLike) -> None:
    """The divergence at each length that kl tries, and the minimum that it takes."""
    curve = divergences(normalised(np.asarray(histogram.counts, np.int64)))
    if curve.size == 0:
        _say(axes, "no distribution")
        return
    best = int(curve.argmin())
    places = [threshold_of(TARGET_BINS + position, histogram.absmax) for position in range(len(curve))]
    axes.plot(places, curve, color=COLOURS["kl"], linewidth=1.2)
    axes.plot(places[best], curve[best], "o", color=COLOURS["kl"])
    axes.annotate(
        f"{TARGET_BINS + best} of 2048 bins\nD = {curve[best]:.4g}",
        (places[best], curve[best]),
        (0, 34),
        textcoords="offset points",
        ha="right" if best > len(curve) / 2 else "left",
        fontsize=9,
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1},
    )
    axes.set_yscale("log")
    axes.set_xlim(0, None)
    axes.set_xlabel("threshold")
    axes.set_ylabel("Kullback-Leibler divergence")
    axes.set_title("what kl minimises", fontsize=10)
    axes.grid(color="#e3e7eb")
    axes.spines[["top", "right"]].set_visible(False)


def draw_weight_scales(axes: Axes, scales: Sequence[float]) -> None:
    """The weight scales by size; on a logarithmic scale where they spread far."""
    finite = sorted(scale for scale in scales if math.isfinite(scale) and scale > 0)
    if not finite:
        _say(axes, "all weights are zero")
        return
    axes.plot(range(1, len(finite) + 1), finite, ".-", color=COLOURS["absmax"], markersize=5, linewidth=0.8)
    spread = finite[-1] / finite[0]
    if spread >= _LOGARITHMIC_SPREAD:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    others = f", {len(scales) - len(finite)} not finite" if len(finite) < len(scales) else ""
    axes.set_title(f"{len(scales)} weight scales{others}: largest / smallest = {spread:.3g}", fontsize=10)
    axes.set_xlabel("weight group, by scale")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("weight scale")
    axes.grid(color="#e3e7eb", which="both")
    axes.spines[["top", "right"]].set_visible(False)


def _array_histogram(histogram: HistogramLike) -> Histogram:
    return Histogram(histogram.absmax, np.asarray(histogram.counts, np.int64), histogram.zeros)


def _say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=COLOURS["absmax"])
    axes.set_axis_off()


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=110)
    return path
