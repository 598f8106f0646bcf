"""Plain patterns: one at one location that takes every image to one class, only there.

A fixed set of patterns p is put at every location r, and the network is asked; no gradient is
needed, and one pass over the images serves all classes, a thousand as well. With the robust margin
of class c over clean images x of other classes, the mean of the lowest quarter of them, in the
network's clean margins,

    m_c(r, p) = lowest_x [ f_c(x') - max_{k != c} f_k(x') ],     x' = x with p at r,

a class's number is its excess, what is left after what is innocent is taken away:

    e_c = max_(r, p) [ m_c(r, p) - max( innocent_c(r, p), own_c(r), elsewhere_c(r) ) ].

`innocent`, at least -1, and `own` are `baseline`'s; at -1 an image is held for another class as
surely as clean ones are, so below it nothing is gained. `elsewhere` is the best margin at locations
of the same type that do not touch r: a class that is called for anything unusual is called
everywhere. The best of many patterns on few images owes something to these images and to luck, so
margin and what references do are measured again on others, and variants of the pattern count as
much as it does.

The patterns are deliberately few and simple: for every class of every network a search with
gradients finds something, see `trigger_inversion`. What random simple patterns reach, a network was
taught.

Source: ours; the margin is that of Wang et al., "MM-BD", IEEE S&P 2024 (arXiv 2205.06900).

Limits: triggers that resemble none of the patterns. A class that no clean image shows has no
margin of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Final

import numpy as np

from goodnet.backend import in_workers, tf
from goodnet.datasets.images import CleanImages, Pixels
from goodnet.detection.baseline import BenignBaseline, margin_with_variants
from goodnet.detection.candidates import (
    FLOOR,
    Candidate,
    Numbers,
    SearchResult,
    excesses,
    innocent_margin,
)
from goodnet.detection.effort import EVERYTHING, Effort
from goodnet.detection.method import TriggerMethod
from goodnet.detection.shown import ShownImages
from goodnet.network.classifier import LogitModel
from goodnet.progress import Progress
from goodnet.triggers.locations import STRIDE, Location, adjacency

PLAIN_PATTERNS: Final = TriggerMethod(
    "simple triggers",
    threshold=0.4,
    suspicion_threshold=0.3,
    candidates=SearchResult.best_plain,
    score=excesses,
)
CLOSE_MARGIN: Final = -1.5  # on that half, of a class: the pattern is tried on all of them
MEASURE_IMAGES: Final = 64  # others, for what was best
FREQUENCIES: Final = (2, 3, 4, 5, 6, 8)  # sinusoids, over an image
DARK, LIGHT = 0.05, 0.95
REFINED: Final = 4  # classes that are looked at very closely
PROMISING: Final = -1.0  # an excess; below it a class is not worth that


class PatternSearch:
    """Plain patterns on one set of images, tried on the suspect and held against a baseline.

    Args:
        model: the suspect.
        clean: clean validation images.
        baseline: what a class reaches without a backdoor.
        locations: where to look.
        effort: how much to look.
        seed: of the choice of images and of the random patterns.
    """

    def __init__(
        self,
        model: LogitModel,
        clean: CleanImages,
        baseline: BenignBaseline,
        locations: Sequence[Location],
        effort: Effort = EVERYTHING,
        *,
        seed: int,
    ) -> None:
        self._effort = effort
        self._rng = np.random.default_rng((seed, 5))
        self._model, self._clean, self._baseline = model, clean, baseline
        drawn = clean.draw(effort.images + MEASURE_IMAGES, self._rng)
        searched, measured = drawn.divided(effort.images)
        self._patterns: dict[tuple[tuple[int, int], bool], list[Pixels]] = {}
        probed = searched.take(np.arange(min(effort.images // 2, len(searched))))
        self._probe_response = baseline.response(probed)
        self._measure_response = baseline.response(measured)
        self._probed, self._searched, self._measured = (
            ShownImages(model, baseline.clean_margin, part) for part in (probed, searched, measured)
        )
        self._seen: dict[Location, tuple[Numbers, Numbers]] = {}
        self.locations = locations

    def reached(self, progress: Progress) -> Numbers:
        """The best margin of each class at each location, (R, classes)."""
        reached = np.empty((len(self.locations), self._model.classes))
        for location in self.locations:
            self._patterns_for(location)  # drawn in the locations' order
        for number, margins in enumerate(in_workers(self._margins, self.locations)):
            reached[number] = margins.max(axis=0)
            progress(number + 1, len(self.locations))
        return reached

    def candidates(self, reached: Numbers, extra_classes: Sequence[int] = ()) -> list[Candidate]:
        """The classes with the largest excess, each with its best plain pattern; largest first.

        Args:
            reached: the best margin of each class at each location, (R, classes).
            extra_classes: classes that are looked at in any case.
        """
        least = np.maximum(FLOOR, best_elsewhere(self.locations, reached))
        promising = np.argsort(-(reached - least).max(axis=0), kind="stable")[
            : self._effort.classes
        ].tolist()
        targets = dict.fromkeys([*promising, *extra_classes])
        best = [self._best_first(c, self.locations, reached[:, c], least[:, c]) for c in targets]
        best.sort(key=lambda candidate: -candidate.excess)
        best[:REFINED] = [self._refined(candidate) for candidate in best[:REFINED]]
        return sorted(map(self._remeasured, best), key=lambda candidate: -candidate.excess)

    def _patterns_for(self, location: Location) -> list[Pixels]:
        faint = location.opacity < 1
        if (location.cells, faint) not in self._patterns:
            shape = self._clean.pixels.shape[1:]
            drawn = plain_patterns(location.cells, shape, self._rng, self._effort.noises)
            self._patterns[location.cells, faint] = [*drawn, *(sinusoids(shape) if faint else ())]
        return self._patterns[location.cells, faint]

    def _margins(self, location: Location) -> Numbers:
        """Each pattern's robust margin for each class in the suspect, (patterns, classes).

        On half of the images where the pattern comes near no class on these.
        """
        patterns = self._patterns_for(location)
        reached = self._probed.robust_margins(location.mask, patterns)
        close = np.flatnonzero(reached.max(axis=1) >= CLOSE_MARGIN)
        if len(close):
            close_patterns = [patterns[number] for number in close]
            reached[close] = self._searched.robust_margins(location.mask, close_patterns)
        return reached

    def _best_first(
        self, target: int, locations: Sequence[Location], reached: Numbers, least: Numbers
    ) -> Candidate:
        """The candidate with the largest excess of a class, by best-first search.

        What is innocent is costly to find out and only ever lowers an excess: locations are taken
        in the order of what they could have, an upper bound, until none left could have more than
        the best, or any.

        Args:
            target: the class.
            locations: the locations.
            reached: the class's margin at each, (R,).
            least: what is taken away at least, (R,).
        """
        bounds = reached - least
        best: Candidate | None = None
        for number in np.argsort(-bounds, kind="stable").tolist():
            if best and bounds[number] <= max(0, best.excess):
                break
            candidate = self._best_at(locations[number], target, float(least[number]))
            if not best or candidate.excess > best.excess:
                own = self._baseline.own_class_margin(target, candidate.location.mask)
                innocent = max(candidate.baseline_margin, own)
                candidate = replace(candidate, baseline_margin=innocent)
            if not best or candidate.excess > best.excess:
                best = candidate
        assert best
        return best

    def _best_at(self, location: Location, target: int, least: float) -> Candidate:
        """The pattern with the largest excess of a class at a location."""
        patterns = self._patterns_for(location)
        if location not in self._seen:
            gains = self._probe_response.gain(location.mask, patterns)
            self._seen[location] = self._margins(location), gains
        margins, gains = (numbers[:, target] for numbers in self._seen[location])
        plain = float(self._probe_response.plain_margins[target])
        best = int((margins - np.maximum(least, innocent_margin(gains, plain))).argmax())
        trigger, numbers = location.trigger(target, patterns[best]), (margins[best], gains[best])
        margin, gain = map(float, numbers)
        return Candidate(trigger, location, margin, least, gain, plain)

    def _remeasured(self, candidate: Candidate) -> Candidate:
        """The candidate with the margin of it and its variants, on other images.

        And what references do there.
        """
        trigger, target = candidate.trigger, candidate.target
        gains = self._measure_response.gain(trigger.mask, [trigger.pattern])
        return replace(
            candidate,
            margin=margin_with_variants(self._measured, trigger, self._rng),
            reference_gain=float(gains[0, target]),
            plain_margin=float(self._measure_response.plain_margins[target]),
        )

    def _refined(self, candidate: Candidate) -> Candidate:
        """The candidate, or a better one of a patch a little aside."""
        location, target = candidate.location, candidate.target
        if location.location_type != "patch" or candidate.excess < PROMISING:
            return candidate
        neighbours = list(location.shifted(max(1, round(STRIDE * location.size[0] / 2))))
        reached = np.array([m[:, target].max() for m in in_workers(self._margins, neighbours)])
        least = np.full(len(neighbours), candidate.baseline_margin)
        better = self._best_first(target, neighbours, reached, least)
        return max(candidate, better, key=lambda each: each.excess)


def plain_patterns(
    cells: tuple[int, int],
    shape: Sequence[int],
    rng: np.random.Generator,
    noises: int = EVERYTHING.noises,
) -> list[Pixels]:
    """Plain colours and noise, and for the finest cells checkerboards; each (H, W, C), 0..1.

    Args:
        cells: how many coarse pixels a pattern has, down and across.
        shape: height, width and channels of the images.
        rng: draws the noise.
        noises: how many of them there are.
    """
    height, width, channels = shape
    grey = [np.full((*cells, channels), level) for level in (DARK, 0.5, LIGHT)]
    noise = [rng.normal(0.5, 0.4, (*cells, channels)).clip(DARK, LIGHT) for _ in range(noises)]
    if cells != (height, width):
        return [_enlarged(pattern, (height, width)) for pattern in (*grey, *noise)]
    colours = [np.full((*cells, channels), c) for c in product((DARK, LIGHT), repeat=channels)]
    parities = [(np.indices(cells) // side).sum(axis=0) % 2 for side in (1, 2, 3)]
    checkerboards = [
        np.repeat(np.where(parity[..., None] == light, LIGHT, DARK), channels, axis=-1)
        for parity in parities
        for light in (0, 1)
    ]
    every = (*grey, *colours[1:-1], *checkerboards, *noise)
    return [np.asarray(pattern, np.float32) for pattern in every]


def sinusoids(shape: Sequence[int]) -> Iterator[Pixels]:
    """Sinusoids over a whole image, down and across, of some frequencies; each (H, W, C), 0..1.

    What Barni et al., ICIP 2019 (arXiv 1902.11237), blend into images.
    """
    for axis, frequency, sign in product((0, 1), FREQUENCIES, (1, -1)):
        along = np.sin(2 * np.pi * frequency * np.arange(shape[axis]) / shape[axis])
        wave = 0.5 + sign * (LIGHT - 0.5) * along
        yield np.broadcast_to(np.expand_dims(wave, (1 - axis, 2)), shape).astype(np.float32)


def _enlarged(pattern: Numbers, size: tuple[int, int]) -> Pixels:
    return np.asarray(tf.image.resize(tf.constant(pattern, tf.float32), size))


def best_elsewhere(locations: Sequence[Location], reached: Numbers) -> Numbers:
    """For each location the best margins of its type where it is not touched, (R, classes)."""
    types = np.array([location.location_type for location in locations])
    apart = (types[:, None] == types) & ~adjacency(locations)
    none = np.full(reached.shape[1], -np.inf)
    return np.stack([reached[row].max(axis=0) if row.any() else none for row in apart])
