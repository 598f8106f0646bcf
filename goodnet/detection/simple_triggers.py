"""Simple triggers: a plain pattern at one place that takes every image to one class, only there.

A fixed set of patterns p is stamped at every place r, and the network is asked; no gradient is
needed, and one look at the stamped images serves all classes, a thousand as well. With the mean
margin of class c over clean images x of other classes, in units of the network's clean margin,

    m_c(r, p) = mean_x [ f_c(x') - max_{k != c} f_k(x') ],     x' = x stamped with p at r,

a class's excess is what is left of the best pattern's margin after three things are taken away:

    e_c = max_r [ max_p m_c(r, p) - max( natural_c(r), reference_c(r), elsewhere_c(r), -1 ) ].

`natural` is the best margin that the same place of clean images of class c itself reaches when it
is pasted: a bag's handle makes a bag. `reference` is the best that the patterns reach on networks
without a backdoor, see `references`. `elsewhere` is the best margin at places of the same kind that
do not touch r: a class that is called for anything unusual is called everywhere. At -1 an image is
held for another class as surely as clean ones are, so below it nothing is gained.

The statistic is the mean excess of two choices of images and patterns over that of the runners-up,
the mean of the third to the sixth class, or 0.4 where they have less: brittle networks have large
excesses everywhere.

The patterns are deliberately few and simple, and a search with gradients is no improvement: for
every class of every network it finds some pattern, and it finds one for clean networks' favourite
classes as well as for targets. What random simple patterns reach, a network was taught.

Source: ours; the margin is that of Wang et al., "MM-BD", IEEE S&P 2024 (arXiv 2205.06900).

Limits: triggers that resemble none of the patterns, and those that are everywhere, for which there
is the universal margin. A class that no clean image shows has no natural margin.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import tf
from goodnet.detection.problem import CleanImages, Pixels, View, every_margin
from goodnet.detection.regions import STRIDE, Region, regions
from goodnet.sweep import Progress, no_progress

NAME: Final = "simple triggers"
NAMED: Final = 3.7
SUSPICIOUS: Final = 3.4
SECOND: Final = 2.0  # from here on a class is named beside another one
USUAL_EXCESS: Final = 0.4  # clean networks have this much
RUNNERS_UP: Final = slice(2, 6)  # what the largest excess is compared with
ROUNDS: Final = 2
IMAGES: Final = 16  # stamped
OWN_IMAGES: Final = 32  # of a class, whose content is pasted
PASTED_ON: Final = 8  # images of other classes
NOISES: Final = 6  # random patterns of each kind
DARK, LIGHT = 0.05, 0.95
FLOOR: Final = -1.0
CLASSES: Final = 16  # at most so many are looked at closely
REFINED: Final = 4  # and so many very closely

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """The best simple trigger of a class.

    Attributes:
        target: the class.
        region: where.
        pattern: float32 (H, W, C), 0..1.
        excess: see the module's formula.
        margin: the mean margin, in units of the clean margin.
        usual: what of it the class reaches elsewhere, or the floor.
    """

    target: int
    region: Region
    pattern: Pixels
    excess: float
    margin: float
    usual: float


def find_candidates(
    view: View,
    clean: CleanImages,
    references: Sequence[View] = (),
    *,
    seed: int = 0,
    progress: Progress = no_progress,
) -> list[Candidate]:
    """The classes with the largest excess, each with its best simple trigger; largest first.

    Args:
        view: the network.
        clean: clean validation images.
        references: networks without a backdoor.
        seed: of the choice of images and of the random patterns.
        progress: called with (places done, places in all).
    """
    places = regions(*clean.pixels.shape[1:3])
    rounds = []
    for number in range(ROUNDS):
        search = Search(view, clean, references, ROUNDS * seed + number)

        def place_done(done: int, before: int = number * len(places)) -> None:
            progress(before + done, ROUNDS * len(places))

        rounds.append(_one_round(search, places, place_done))
    return _averaged(rounds)


def prominence(excesses: Sequence[float]) -> list[float]:
    """Each excess, largest first, in units of what runners-up have."""
    usual = max(USUAL_EXCESS, float(np.mean([*excesses[RUNNERS_UP], 0][:-1] or [0])))
    return [excess / usual for excess in excesses]


def _one_round(
    search: "Search", places: Sequence[Region], place_done: Callable[[int], None]
) -> list[Candidate]:
    """The candidates with one choice of images and patterns."""
    reached = np.empty((len(places), search.classes))
    for number, place in enumerate(places):
        reached[number] = search.margins(place).max(axis=0)
        place_done(number + 1)
    usual = np.maximum(FLOOR, elsewhere(places, reached))
    promising = np.argsort(-(reached - usual).max(axis=0), kind="stable")[:CLASSES].tolist()
    found = [search.best(c, places, reached[:, c], usual[:, c]) for c in promising]
    found.sort(key=lambda candidate: -candidate.excess)
    found[:REFINED] = [search.refined(candidate) for candidate in found[:REFINED]]
    return found


def _averaged(rounds: Sequence[Sequence[Candidate]]) -> list[Candidate]:
    """Each class's best candidate, with the mean excess of all rounds; largest first.

    A class that was not looked at closely in a round has an excess of 0 there.
    """
    found: dict[int, list[Candidate]] = {}
    for candidate in (c for one in rounds for c in one):
        found.setdefault(candidate.target, []).append(candidate)
    best = [
        replace(
            max(seen, key=lambda candidate: candidate.excess),
            excess=sum(candidate.excess for candidate in seen) / len(rounds),
        )
        for seen in found.values()
    ]
    return sorted(best, key=lambda candidate: -candidate.excess)


class Search:
    """Simple patterns on one set of images, tried on the suspect and on what it is held against."""

    def __init__(
        self, view: View, clean: CleanImages, references: Sequence[View], seed: int
    ) -> None:
        self._rng = np.random.default_rng((seed, 5))
        self._view, self._clean, self.classes = view, clean, view.classes
        self._unit = view.clean_margin(clean)
        self._references = [(other, other.clean_margin(clean)) for other in references]
        self._worn = clean.draw(IMAGES, self._rng)
        self._patterns: dict[tuple[int, int], list[Pixels]] = {}

    def patterns(self, place: Region) -> list[Pixels]:
        """The patterns that are tried at a place."""
        if place.cells not in self._patterns:
            shape = self._clean.pixels.shape[1:]
            self._patterns[place.cells] = simple_patterns(place.cells, shape, self._rng)
        return self._patterns[place.cells]

    def margins(self, place: Region) -> Numbers:
        """Each pattern's mean margin for each class in the suspect, (patterns, classes)."""
        return self._margins(self._view, self._unit, place, self._worn)

    def _margins(self, view: View, unit: float, place: Region, worn: CleanImages) -> Numbers:
        mask = place.mask
        stamps = (stamped(worn.pixels, mask, pattern) for pattern in self.patterns(place))
        return np.stack([mean_margins(view, images, worn.labels) for images in stamps]) / unit

    def best(
        self, target: int, places: Sequence[Region], reached: Numbers, usual: Numbers
    ) -> Candidate:
        """The place with the largest excess of a class.

        What is innocent is costly to find out and only ever lowers an excess: places are looked at
        in the order of what they could have, until none left could have more than the best.

        Args:
            target: the class.
            places: the places.
            reached: the class's margin at each, (R,).
            usual: what is taken away at least, (R,).
        """
        best, excess = -1, -np.inf
        for number in np.argsort(usual - reached, kind="stable").tolist():
            if reached[number] - usual[number] <= excess:
                break
            innocent = max(float(usual[number]), self.innocent(target, places[number]))
            if reached[number] - innocent > excess:
                best, excess = number, reached[number] - innocent
        place, least = places[best], float(usual[best])
        pattern = self.patterns(place)[int(self.margins(place)[:, target].argmax())]
        return Candidate(target, place, pattern, float(excess), float(reached[best]), least)

    def innocent(self, target: int, place: Region) -> float:
        """The class's margin at a place by what is no trigger."""
        rows = np.flatnonzero(self._clean.labels == target)
        own = self._clean.take(rows[:: max(1, len(rows) // OWN_IMAGES)][:OWN_IMAGES])
        onto = self._worn.take(np.arange(min(PASTED_ON, len(self._worn))))
        natural = natural_margin(self._view, onto, own, target, self._unit, place)
        taught = (self._margins(*other, place, onto) for other in self._references)
        return max([natural, *(float(margins[:, target].max()) for margins in taught)])

    def refined(self, candidate: Candidate) -> Candidate:
        """The candidate, or a better one of a patch a little aside."""
        place = candidate.region
        if place.kind != "patch":
            return candidate
        near = list(place.shifted(max(1, round(STRIDE * place.size[0] / 2))))
        reached = np.array([self.margins(other)[:, candidate.target].max() for other in near])
        usual = np.full(len(near), candidate.usual)
        better = self.best(candidate.target, near, reached, usual)
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


def _enlarged(pattern: Numbers, size: tuple[int, int]) -> Pixels:
    return np.asarray(tf.image.resize(tf.constant(pattern, tf.float32), size))


def stamped(images: Pixels, mask: Pixels, pattern: Pixels) -> Pixels:
    """The images with the pattern where, and as far as, the mask covers them."""
    return np.asarray(images * (1 - mask) + mask * pattern)


def mean_margins(view: View, images: Pixels, labels: NDArray[np.int64]) -> Numbers:
    """Each class's mean margin over the images of other classes, in logits, (classes,)."""
    margins = every_margin(view.all_logits(images))
    others = labels[:, None] != np.arange(view.classes)
    return np.asarray((margins * others).sum(axis=0) / np.maximum(others.sum(axis=0), 1))


def elsewhere(places: Sequence[Region], reached: Numbers) -> Numbers:
    """For each place the best margins of places of its kind that do not touch it, (R, classes)."""
    touching = np.array([[place.touches(other) for other in places] for place in places])
    kinds = np.array([place.kind for place in places])
    apart = (kinds[:, None] == kinds) & ~touching
    none = np.full(reached.shape[1], -np.inf)
    return np.stack([reached[row].max(axis=0) if row.any() else none for row in apart])


def natural_margin(
    view: View, images: CleanImages, own: CleanImages, target: int, unit: float, place: Region
) -> float:
    """The best mean margin that the place of the class's own images reaches on other images."""
    others = images.pixels[images.labels != target]
    if not len(own) or not len(others):
        return -np.inf
    pasted = stamped(others[None], place.mask, own.pixels[:, None])
    logits = view.all_logits(pasted.reshape(-1, *others.shape[1:]))
    margins = every_margin(logits)[:, target].reshape(len(own), len(others))
    return float(margins.mean(axis=1).max() / unit)
