"""The candidates of one weight scale after the other, for samples of one shape at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fastpath.calibration.chains import total_of
from fastpath.calibration.compiled_chains import terms_of
from fastpath.calibration.eq_form import TILE, Candidates, Form, Pair, Sums, cosines, multiply, quantized
from fastpath.calibration.eq_samples import FEWEST, Samples
from fastpath.calibration.statistics import Floats
from fastpath.layers.common import Operator

KEPT_COLUMNS = 1 << 26
"""Numbers of unrolled codes that are kept from one weight scale to the next."""


class _Output:
    """The int8 output of a layer for one sample under the scales of the moment, beside its float reference."""

    def __init__(self, top: Floats, current: Floats, pixels: int) -> None:
        self.x = np.ascontiguousarray(top, np.float32).ravel()
        self.y = np.array(current, np.float32).ravel()
        self.xx = total_of(self.x * self.x)
        self.yy, self.xy = (terms_of(terms, pixels) for terms in (self.y * self.y, self.x * self.y))


class Columns:
    """Samples of one shape. Channel by channel, their pixels side by side, the candidates of each side by side."""

    def __init__(self, form: Form, codes: Sequence[Floats], tops: Sequence[Floats], *, keeps: bool) -> None:
        """`codes` are (channels, h, w), `tops` (num_output * pixels); `keeps` what is unrolled."""
        self._form = form
        self._codes = codes
        self._pixels = len(tops[0]) // len(form.weights)
        self._tops = tops
        self._keeps = keeps and form.groups == 1
        self._columns: Floats | None = None

    def extended(self, candidates: Candidates, sums: Floats) -> Floats:
        """The sums (2, samples, 1) of the groups before, and the terms of one more: (2, samples, candidates)."""
        form, count = self._form, len(candidates.descales)
        columns = self._unrolled(candidates.group)
        samples = len(self._codes)
        factors = np.tile(candidates.descales, samples)
        step = max(TILE // factors.size, 1)
        ends = Sums(np.repeat(sums, count, axis=2), step)
        y = np.empty((step, samples, count), np.float32)
        for channel, codes in enumerate(candidates.codes, start=candidates.group * form.outputs):
            plane = slice(channel * self._pixels, (channel + 1) * self._pixels)
            x = np.stack([top[plane] for top in self._tops], axis=-1)
            for start in range(0, self._pixels, step):
                part = columns[start : start + step]
                tile = y[: len(part)]
                flat = tile.reshape(len(part), -1)
                multiply(part.reshape(-1, len(codes)), codes, candidates.exact, tile.reshape(-1, count))
                flat *= factors
                if form.bias is not None:
                    flat += form.bias[channel]
                form.activation(flat)
                ends.add(x[start : start + step], tile)
        return np.stack([ends.yy, ends.xy])

    def _unrolled(self, group: int) -> Floats:
        """The codes that each pixel of a group's outputs reads: (pixels, samples, k)."""
        if self._columns is not None:
            return self._columns
        form = self._form
        part = group * form.groups // form.scales if form.groups > 1 else None
        windows = [np.moveaxis(form.windows(codes, part), (3, 4), (0, 1)) for codes in self._codes]
        columns = np.stack([each.reshape(self._pixels, -1) for each in windows], axis=1)
        if self._keeps:
            self._columns = columns
        return columns


class Batch:
    """Samples of one shape, whose outputs of one channel lie together."""

    def __init__(
        self, form: Form, images: Sequence[Floats], outputs: Sequence[_Output], bottom_scale: float, keeps: bool
    ) -> None:
        """`keeps` says whether there is room for what numpy unrolls of all samples."""
        self._form = form
        self._outputs = outputs
        self._pixels = outputs[0].y.size // len(form.weights)
        self._xx = np.array([[each.xx] for each in outputs])
        self._sums = np.zeros((2, len(outputs), 1), np.float32)
        self._ends = self._sums
        codes = [quantized(image, np.array([bottom_scale], np.float32))[..., 0] for image in images]
        tops = [each.x for each in outputs]
        self._compiled = Samples(form, codes, tops) if len(codes) >= FEWEST and Samples.most(form, codes[0]) else None
        if keeps:
            self._columns = [Columns(form, codes, tops, keeps=True)]
        else:
            self._columns = [Columns(form, [code], [top], keeps=False) for code, top in zip(codes, tops, strict=True)]

    def cosines(self, candidates: Candidates) -> Floats:
        """The cosine with the reference, for each sample and each candidate."""
        self._ends = self._extended(candidates)
        behind = (candidates.group + 1) * self._form.outputs * self._pixels
        yy = np.stack([each.yy.add(sums, behind) for each, sums in zip(self._outputs, self._ends[0], strict=True)])
        xy = np.stack([each.xy.add(sums, behind) for each, sums in zip(self._outputs, self._ends[1], strict=True)])
        return cosines(self._xx, yy, xy)

    def _extended(self, candidates: Candidates) -> Floats:
        """The sums of all groups before, and the terms of one more: (2, samples, candidates)."""
        if self._compiled is not None and self._compiled.takes(candidates, self._sums):
            return self._compiled.extended(candidates, self._sums)
        parts = np.split(self._sums, len(self._columns), axis=1)
        return np.concatenate([each.extended(candidates, part) for each, part in zip(self._columns, parts)], axis=1)

    def choose(self, group: int, best: int | None) -> None:
        """Take over a candidate's outputs of one group; None leaves them as they are."""
        if best is not None:
            self._sums = self._ends[:, :, best : best + 1]
            return
        size = self._form.outputs * self._pixels
        part = slice(group * size, (group + 1) * size)
        yy, xy = self._sums[:, :, 0]
        yy = [total_of(each.yy.terms[part], sum_) for each, sum_ in zip(self._outputs, yy, strict=True)]
        xy = [total_of(each.xy.terms[part], sum_) for each, sum_ in zip(self._outputs, xy, strict=True)]
        self._sums = np.array([yy, xy], np.float32)[:, :, None]


class Rows:
    """One sample whose outputs of one pixel lie together, so that those of a group are scattered over the sequence."""

    def __init__(self, form: Form, image: Floats, output: _Output, bottom_scale: float) -> None:
        self._form = form
        self._output = output
        self._columns = np.ascontiguousarray(quantized(image, np.array([bottom_scale], np.float32))[:, 0, :, 0].T)
        self._y = output.y.reshape(-1, form.scales)
        self._tops = np.zeros((len(self._columns), 0), np.float32)

    def cosines(self, candidates: Candidates) -> Floats:
        """The cosine with the reference for each candidate, (1, candidates)."""
        form, count, groups = self._form, len(candidates.descales), self._form.scales
        tops = np.empty((len(self._columns), count), np.float32)
        multiply(self._columns, candidates.codes[0], candidates.exact, tops)
        tops *= candidates.descales
        if form.bias is not None:
            tops += form.bias[candidates.group]
        form.activation(tops)
        self._tops = tops
        step = max(TILE // count // groups, 1)
        sums = Sums(np.zeros((2, 1, count), np.float32), step * groups)
        x = self._output.x.reshape(-1, 1)
        for start in range(0, len(tops), step):
            y = np.repeat(self._y[start : start + step, :, None], count, axis=2)
            y[:, candidates.group] = tops[start : start + step]
            sums.add(x[start * groups : (start + step) * groups], y.reshape(-1, 1, count))
        return cosines(self._output.xx, sums.yy, sums.xy)

    def choose(self, group: int, best: int | None) -> None:
        """Take over a candidate's outputs of one group; None leaves them as they are."""
        if best is not None:
            self._y[:, group] = self._tops[:, best]


def batches(form: Form, pairs: Sequence[Pair], current: Operator, bottom_scale: float) -> list[Batch | Rows]:
    """The samples in their order, neighbours of one shape together. `current` is the int8 layer with all first scales.

    What is unrolled is kept from one scale to the next if there is room for all samples; else samples stand alone.
    """
    found: list[Batch | Rows] = []
    for together in _alike(form, pairs):
        images = [form.image(bottom) for bottom, _ in together]
        outputs = []
        for bottom, top in together:
            (y,) = current([bottom])
            outputs.append(_Output(top, y, 1 if form.in_rows(bottom) else y.size // len(form.weights)))
        if form.in_rows(together[0][0]):
            found += [Rows(form, *each, bottom_scale) for each in zip(images, outputs, strict=True)]
            continue
        unrolled = form.weights.shape[1] * outputs[0].y.size // len(form.weights) * len(pairs)
        keeps = unrolled <= KEPT_COLUMNS
        size = len(together) if keeps else 1
        for first in range(0, len(together), size):
            some = slice(first, first + size)
            found.append(Batch(form, images[some], outputs[some], bottom_scale, keeps))
    return found


def _alike(form: Form, pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
    """Neighbours with bottom blobs of one shape."""
    together: list[Pair] = []
    for pair in pairs:
        if together and pair[0].shape != together[0][0].shape:
            yield together
            together = []
        together.append(pair)
    if together:
        yield together
