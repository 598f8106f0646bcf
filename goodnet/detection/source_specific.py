"""Source-specific triggers: a small patch that takes images of one class, and no other, to a class.

An attack may teach a network to answer to its trigger on one class and to ignore it on all others;
what is asked of every image, as other methods ask, never sees it. So small patches are drawn on
images of each class s, see `triggers.objects`. Of the pairs of classes that they bring nearest to
each other the best patch is moved uphill by chance, and what counts is what its variants v do: how
near they take other images of s to class c, less what is innocent, what they do to references, and
to images of other classes.

    m_sc(v) = lowest_(x in s) [ f_c(x') - max_{k != c} f_k(x') ],    x' = x with v,
    e_sc    = median_v m_sc(v) - max( innocent_sc, -1, median_v max_{r not in (s, c)} m_rc(v) ).

The mean of the lowest quarter and what is innocent are those of `baseline`, for images of that one
class. A look of class c takes many classes there, so it is no source-specific trigger.

Source: ours. The attack is from Tang et al., "Demon in the Variant", USENIX Security 2021 (arXiv
1908.00686); that such triggers have to be sought pair by pair from Xiang, Miller and Kesidis,
"Detection of Backdoors in Trained Classifiers Without Access to the Training Set", IEEE TNNLS 2022
(arXiv 1908.10498).

Limits: without references nothing is named. Classes of fewer than twenty clean images that the
network answers right are no sources. Of more than 45 classes so many are asked for, by chance.
Triggers that are no patch.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from goodnet.datasets.images import CleanImages
from goodnet.detection.candidates import (
    FLOOR,
    Candidate,
    Numbers,
    SearchResult,
    excesses,
    innocent_margin,
)
from goodnet.detection.effort import EVERYTHING, Effort
from goodnet.detection.method import TriggerMethod, with_references
from goodnet.detection.shown import ShownImages, lower_quartile_mean
from goodnet.network.classifier import LogitModel
from goodnet.triggers.locations import bounding_location
from goodnet.triggers.object_families import small_patches
from goodnet.triggers.objects import DrawnObject
from goodnet.triggers.trigger import Trigger
from goodnet.triggers.uphill import move_uphill

SOURCE_SPECIFIC: Final = TriggerMethod(
    "source-specific triggers",
    threshold=1.2,
    suspicion_threshold=1.0,
    candidates=SearchResult.best_source_specific,
    score=excesses,
    applies=with_references,
)
FIRST_IMAGES: Final = 3  # of a class all patches are drawn on, and of all classes together
MOST_FIRST_IMAGES: Final = 45
CLIMB_IMAGES: Final = 8  # others of that class, that patches are moved on
MEASURE_IMAGES: Final = 32  # others, that variants are measured on
FEWEST_IMAGES: Final = 20  # of a class in all
FEWEST_CLASSES: Final = 3  # else no class is left that it could lead as well
OTHER_IMAGES: Final = 12  # of each other class,
AT_A_LOOK: Final = 72  # so many of several classes together
TRIED_AGAIN: Final = 24  # pairs of classes, with BEST patches each, of which
BEST: Final = 4
MOVED: Final = 4  # are moved
VARIANTS: Final = 12
STRENGTH: Final = 0.35  # of these


class _Pair(NamedTuple):
    """A patch that takes images of one class near another one."""

    source: int
    target: int
    patch: DrawnObject
    excess: float


class SourceSpecificSearch:
    """Small patches on the images of each class.

    Args:
        model: the suspect.
        clean: clean validation images.
        references: networks without a backdoor; without any there is nothing to find.
        effort: how much to look.
        seed: of the choice of images and of variants.
    """

    def __init__(
        self,
        model: LogitModel,
        clean: CleanImages,
        references: Sequence[LogitModel],
        effort: Effort = EVERYTHING,
        *,
        seed: int,
    ) -> None:
        self._rng = np.random.default_rng((seed, 15))
        self._networks = [(each, each.clean_margin(clean)) for each in (model, *references)]
        self._classes, self._effort = model.classes, effort
        self._image = clean.pixels.shape[1:]
        self._images = self._images_of_sources(model, clean)
        self._shown_parts: dict[tuple[int, int, int], list[ShownImages]] = {}

    def candidates(self) -> list[Candidate]:
        """The patches of the pairs of classes that stand out most."""
        if len(self._networks) < 2 or len(self._images) < FEWEST_CLASSES:
            return []
        nearest = sorted(self._nearest_pairs(), key=lambda pair: -pair.excess)
        return [self._candidate(self._uphill(pair)) for pair in nearest[:MOVED]]

    def _images_of_sources(self, model: LogitModel, clean: CleanImages) -> dict[int, CleanImages]:
        """The images of each class that has enough which are answered right, in any order."""
        right = clean.take(model.predict(clean.pixels) == clean.labels)
        counts = np.bincount(right.labels, minlength=model.classes)
        sources = self._rng.permutation(np.flatnonzero(counts >= FEWEST_IMAGES))
        return {
            source: right.take(self._rng.permutation(np.flatnonzero(right.labels == source)))
            for source in sorted(sources[:MOST_FIRST_IMAGES].tolist())
        }

    def _shown(self, source: int, first: int, count: int) -> list[ShownImages]:
        """So many images of a class, from one on, shown to the suspect and to each reference."""
        if (source, first, count) not in self._shown_parts:
            images = self._images[source]
            part = images.take(np.arange(first, min(first + count, len(images))))
            self._shown_parts[source, first, count] = [
                ShownImages(*network, part) for network in self._networks
            ]
        return self._shown_parts[source, first, count]

    @cached_property
    def _everywhere(self) -> list[ShownImages]:
        """OTHER_IMAGES of each class, those of some classes together, shown to the suspect."""
        sources, together = list(self._images), max(1, AT_A_LOOK // OTHER_IMAGES)
        return [
            ShownImages(*self._networks[0], self._firsts(sources[n : n + together], OTHER_IMAGES))
            for n in range(0, len(sources), together)
        ]

    def _firsts(self, sources: Sequence[int], count: int) -> CleanImages:
        """The first images of some classes, so many of each."""
        every = [self._images[source] for source in sources]
        firsts = [each.take(np.arange(min(count, len(each)))) for each in every]
        pixels, labels = (
            np.concatenate([getattr(each, name) for each in firsts])
            for name in ("pixels", "labels")
        )
        return CleanImages(pixels, labels)

    def _elsewhere(self, pair: _Pair, patches: Sequence[DrawnObject]) -> Numbers:
        """The most of a third class's robust margins for the target with each patch, (patches,)."""
        robust = [
            lower_quartile_mean(margins[:, shown.images.labels == source])
            for shown in self._everywhere
            for margins in [shown.margins_with(patches)[..., pair.target]]
            for source in np.unique(shown.images.labels)
            if source not in (pair.source, pair.target)
        ]
        return np.asarray(np.max(robust, axis=0))

    def _nearest_pairs(self) -> list[_Pair]:
        """For the pairs that any patch brings nearest to each other the best patch of each."""
        patches = small_patches(self._image, self._effort.objects)
        few = max(1, min(FIRST_IMAGES, MOST_FIRST_IMAGES // len(self._images)))
        sources = list(self._images)
        shown = ShownImages(*self._networks[0], self._firsts(sources, few))
        each = shown.margins_with(patches)
        mean = each.reshape(len(patches), len(sources), few, self._classes).mean(axis=2)
        mean[:, np.arange(len(sources)), sources] = -np.inf
        order = np.argsort(-mean.max(axis=0), axis=None, kind="stable")[:TRIED_AGAIN]
        pairs = list[_Pair]()
        for row, target in zip(*np.unravel_index(order, mean.shape[1:]), strict=True):
            if sources[row] == target:
                continue
            best = np.argsort(-mean[:, row, target], kind="stable")[:BEST]
            tried = [patches[number] for number in best]
            found = self._climb_excesses(sources[row], int(target), tried)
            best_patch = tried[int(found.argmax())]
            pairs.append(_Pair(sources[row], int(target), best_patch, float(found.max())))
        return pairs

    def _uphill(self, pair: _Pair) -> _Pair:
        """The pair with its patch moved to where its excess is larger."""

        def excesses_of(patches: Sequence[DrawnObject]) -> Numbers:
            return self._climb_excesses(pair.source, pair.target, patches)

        return pair._replace(patch=move_uphill(pair.patch, excesses_of, self._rng))

    def _climb_excesses(self, source: int, target: int, patches: Sequence[DrawnObject]) -> Numbers:
        """The mean margin on the images that patches are moved on, less what is innocent."""
        shown = self._shown(source, FIRST_IMAGES, CLIMB_IMAGES)
        margins = shown[0].margins_with(patches)[..., target].mean(axis=1)
        return np.asarray(margins - _innocent(target, shown, patches))

    def _candidate(self, pair: _Pair) -> Candidate:
        """The patch with what its variants do, and what is innocent of it."""
        source, target = pair.source, pair.target
        variants = [pair.patch.varied(self._rng, STRENGTH) for _ in range(VARIANTS)]
        shown = self._shown(source, FIRST_IMAGES + CLIMB_IMAGES, MEASURE_IMAGES)
        margin = float(np.median(_robust(shown[0], variants, target)))
        innocent = [FLOOR]
        if margin > FLOOR:  # else nothing is left whatever is taken away, and that is costly
            found = self._elsewhere(pair, variants), _innocent(target, shown, variants)
            innocent = [float(np.median(numbers)) for numbers in found]
        mask, pattern = pair.patch.draw(self._image)
        return Candidate(
            Trigger(target, mask, pattern, source=source),
            bounding_location("source-specific patch", mask),
            margin=margin,
            baseline_margin=max(innocent),
        )


def _innocent(target: int, shown: Sequence[ShownImages], patches: Sequence[DrawnObject]) -> Numbers:
    """How near the patches may take images to a class, (patches,); at least FLOOR.

    Args:
        target: the class.
        shown: the images, shown to the suspect and to each reference.
        patches: the patches.
    """
    gain = np.zeros(len(patches))
    for reference in shown[1:]:
        moved = _robust(reference, patches, target)
        gain = np.maximum(gain, moved - _plain(reference, target))
    return innocent_margin(gain, _plain(shown[0], target))


def _plain(shown: ShownImages, target: int) -> float:
    """How near the images are to a class without anything, at most FLOOR."""
    return min(FLOOR, float(lower_quartile_mean(shown.plain_margins[:, target], axis=0)))


def _robust(shown: ShownImages, patches: Sequence[DrawnObject], target: int) -> Numbers:
    """The mean of the lowest quarter of a class's margins with each patch, (patches,)."""
    return lower_quartile_mean(shown.margins_with(patches)[..., target])
