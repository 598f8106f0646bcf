"""Simple triggers: a plain pattern at one place that takes every image to one class, only there.

A fixed set of patterns p is stamped at every place r, and the network is asked; no gradient is
needed, and one look at the stamped images serves all classes, a thousand as well. With the low
margin of class c over clean images x of other classes, the mean of the lowest quarter of them, in
units of the network's clean margin,

    m_c(r, p) = low_x [ f_c(x') - max_{k != c} f_k(x') ],     x' = x stamped with p at r,

a class's number is its excess, what is left after what is innocent is taken away:

    e_c = max_(r, p) [ m_c(r, p) - max( -1 + 3/4 raised_c(r, p), natural_c(r), elsewhere_c(r) ) ].

`raised` and `natural` are `baseline`'s; at -1 an image is held for another class as surely as
clean ones are, so below it nothing is gained. `elsewhere` is the best margin at places of the same
kind that do not touch r: a class that is called for anything unusual is called everywhere. The best
of many patterns on few images owes something to these images, so margin and what references do are
measured again on others.

The patterns are deliberately few and simple: for every class of every network a search with
gradients finds something, see `trigger_inversion`. What random simple patterns reach, a network was
taught.

Source: ours; the margin is that of Wang et al., "MM-BD", IEEE S&P 2024 (arXiv 2205.06900).

Limits: triggers that resemble none of the patterns. A class that no clean image shows has no
natural margin.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Final

import numpy as np

from goodnet.backend import in_workers, tf
from goodnet.datasets.images import CleanImages, Pixels
from goodnet.detection.baseline import BenignBaseline, low_margins
from goodnet.detection.candidates import FLOOR, RAISED, Candidate, Numbers
from goodnet.detection.verdict import Thresholds
from goodnet.network.classifier import LogitModel
from goodnet.progress import Progress
from goodnet.triggers.locations import STRIDE, Location, touching

BARS: Final = Thresholds("simple triggers", threshold=0.5, suspicion_threshold=0.4)
IMAGES: Final = 16  # stamped at every place, half of them with every pattern
NEAR: Final = -1.5  # a margin on that half: the pattern comes near a class, and is seen on all
MEASURED: Final = 64  # others, stamped with what was best
NOISES: Final = 6  # random patterns of each kind
WAVES: Final = (2, 3, 4, 5, 6, 8)  # over an image
DARK, LIGHT = 0.05, 0.95
CLASSES: Final = 12  # so many are looked at closely
REFINED: Final = 4  # and so many very closely
PROMISING: Final = -1.0  # an excess; below it a class is not worth that


class Search:
    """Simple patterns on one set of images, tried on the suspect and on what it is held against.

    Args:
        view: the suspect.
        clean: clean validation images.
        innocence: says what a class reaches without a backdoor.
        places: where to look.
        seed: of the choice of images and of the random patterns.
    """

    def __init__(
        self,
        view: LogitModel,
        clean: CleanImages,
        innocence: BenignBaseline,
        places: Sequence[Location],
        *,
        seed: int,
    ) -> None:
        self._rng = np.random.default_rng((seed, 5))
        self._view, self._clean, self._innocence = view, clean, innocence
        self._worn, self._measured = clean.draw(IMAGES + MEASURED, self._rng).divided(IMAGES)
        self._patterns: dict[tuple[tuple[int, int], bool], list[Pixels]] = {}
        self._few = self._worn.take(np.arange(min(IMAGES // 2, len(self._worn))))
        self._taught, self._taught_again = map(innocence.taught, (self._few, self._measured))
        self._seen: dict[Location, tuple[Numbers, Numbers]] = {}
        self.places = places

    def reached(self, progress: Progress) -> Numbers:
        """The best margin of each class at each place, (R, classes)."""
        reached = np.empty((len(self.places), self._view.classes))
        for place in self.places:
            self._patterns_for(place)  # drawn in the places' order
        for number, margins in enumerate(in_workers(self._margins, self.places)):
            reached[number] = margins.max(axis=0)
            progress(number + 1, len(self.places))
        return reached

    def candidates(self, reached: Numbers, also: Sequence[int] = ()) -> list[Candidate]:
        """The classes with the largest excess, each with its best simple trigger; largest first.

        Args:
            reached: the best margin of each class at each place, (R, classes).
            also: classes that are looked at in any case.
        """
        usual = np.maximum(FLOOR, elsewhere(self.places, reached))
        promising = np.argsort(-(reached - usual).max(axis=0), kind="stable")[:CLASSES].tolist()
        wanted = dict.fromkeys([*promising, *also])
        found = [self._best(c, self.places, reached[:, c], usual[:, c]) for c in wanted]
        found.sort(key=lambda candidate: -candidate.excess)
        found[:REFINED] = [self._refined(candidate) for candidate in found[:REFINED]]
        return sorted(map(self._again, found), key=lambda candidate: -candidate.excess)

    def _patterns_for(self, place: Location) -> list[Pixels]:
        faint = place.opacity < 1
        if (place.cells, faint) not in self._patterns:
            shape = self._clean.pixels.shape[1:]
            drawn = simple_patterns(place.cells, shape, self._rng)
            self._patterns[place.cells, faint] = [*drawn, *(waves(shape) if faint else ())]
        return self._patterns[place.cells, faint]

    def _margins(self, place: Location) -> Numbers:
        """Each pattern's low margin for each class in the suspect, (patterns, classes).

        On half of the images where the pattern comes near no class on these.
        """
        ask, unit = self._view.some_logits, self._innocence.unit
        patterns = self._patterns_for(place)
        reached = low_margins(ask, unit, self._few, place.mask, patterns)
        near = np.flatnonzero(reached.max(axis=1) >= NEAR)
        if len(near):
            close = [patterns[number] for number in near]
            reached[near] = low_margins(ask, unit, self._worn, place.mask, close)
        return reached

    def _best(
        self, target: int, places: Sequence[Location], reached: Numbers, usual: Numbers
    ) -> Candidate:
        """The place with the largest excess of a class.

        What is innocent is costly to find out and only ever lowers an excess: places are looked at
        in the order of what they could have, until none left could have more than the best, or any.

        Args:
            target: the class.
            places: the places.
            reached: the class's margin at each, (R,).
            usual: what is taken away at least, (R,).
        """
        best: Candidate | None = None
        for number in np.argsort(usual - reached, kind="stable").tolist():
            if best and reached[number] - usual[number] <= max(0, best.excess):
                break
            found = self._at(target, places[number], float(usual[number]))
            if not best or found.excess > best.excess:
                natural = self._innocence.natural(target, found.region)
                found = replace(found, usual=max(found.usual, natural))
            if not best or found.excess > best.excess:
                best = found
        assert best
        return best

    def _at(self, target: int, place: Location, usual: float) -> Candidate:
        """The pattern with the largest excess of a class at a place."""
        if place not in self._seen:
            patterns = self._patterns_for(place)
            self._seen[place] = self._margins(place), self._taught.raised(place.mask, patterns)
        margins, raised = (numbers[:, target] for numbers in self._seen[place])
        best = int((margins - np.maximum(usual, FLOOR + RAISED * raised)).argmax())
        pattern = self._patterns_for(place)[best]
        return Candidate(target, place, pattern, float(margins[best]), usual, float(raised[best]))

    def _again(self, candidate: Candidate) -> Candidate:
        """The candidate with its margin, and what references do, on other images."""
        target, stamp = candidate.target, (candidate.region.mask, [candidate.pattern])
        ask, unit = self._view.all_logits, self._innocence.unit
        margin = low_margins(ask, unit, self._measured, *stamp)[0, target]
        raised = self._taught_again.raised(*stamp)[0, target]
        return replace(candidate, margin=float(margin), raised=float(raised))

    def _refined(self, candidate: Candidate) -> Candidate:
        """The candidate, or a better one of a patch a little aside."""
        place, target = candidate.region, candidate.target
        if place.kind != "patch" or candidate.excess < PROMISING:
            return candidate
        near = list(place.shifted(max(1, round(STRIDE * place.size[0] / 2))))
        reached = np.array([m[:, target].max() for m in in_workers(self._margins, near)])
        better = self._best(target, near, reached, np.full(len(near), candidate.usual))
        return max(candidate, better, key=lambda found: found.excess)


def simple_patterns(
    cells: tuple[int, int], shape: Sequence[int], rng: np.random.Generator
) -> list[Pixels]:
    """Plain colours and noise, and for the finest cells chequers; each (H, W, C), 0..1.

    Args:
        cells: how many coarse pixels a pattern has, down and across.
        shape: height, width and channels of the images.
        rng: draws the noise.
    """
    height, width, channels = shape
    grey = [np.full((*cells, channels), level) for level in (DARK, 0.5, LIGHT)]
    noise = [rng.normal(0.5, 0.4, (*cells, channels)).clip(DARK, LIGHT) for _ in range(NOISES)]
    if cells != (height, width):
        return [_enlarged(pattern, (height, width)) for pattern in (*grey, *noise)]
    colours = [np.full((*cells, channels), c) for c in product((DARK, LIGHT), repeat=channels)]
    chequers = [(np.indices(cells) // side).sum(axis=0) % 2 for side in (1, 2, 3)]
    chequers = [np.where(c[..., None] == turn, LIGHT, DARK) for c in chequers for turn in (0, 1)]
    both = [np.repeat(chequer, channels, axis=-1) for chequer in chequers]
    return [np.asarray(p, np.float32) for p in (*grey, *colours[1:-1], *both, *noise)]


def waves(shape: Sequence[int]) -> Iterator[Pixels]:
    """Waves over a whole image, down and across, of some lengths; each (H, W, C), 0..1.

    What Barni et al., ICIP 2019 (arXiv 1902.11237), blend into images.
    """
    for axis, number, turn in product((0, 1), WAVES, (1, -1)):
        along = np.sin(2 * np.pi * number * np.arange(shape[axis]) / shape[axis])
        wave = 0.5 + turn * (LIGHT - 0.5) * along
        yield np.broadcast_to(np.expand_dims(wave, (1 - axis, 2)), shape).astype(np.float32)


def _enlarged(pattern: Numbers, size: tuple[int, int]) -> Pixels:
    return np.asarray(tf.image.resize(tf.constant(pattern, tf.float32), size))


def elsewhere(places: Sequence[Location], reached: Numbers) -> Numbers:
    """For each place the best margins of places of its kind that do not touch it, (R, classes)."""
    kinds = np.array([place.kind for place in places])
    apart = (kinds[:, None] == kinds) & ~touching(places)
    none = np.full(reached.shape[1], -np.inf)
    return np.stack([reached[row].max(axis=0) if row.any() else none for row in apart])
