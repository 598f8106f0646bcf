"""Misdirection: one small patch that takes nearly every image away from its class.

Where to is not asked, so this sees what methods that look for one class cannot: an attack that
sends every class to another one ("all-to-all"). Small patches are drawn on clean images that the
network answers right, see `triggers.objects`; those that cost the images' own classes most margin,
and more than on references, are moved to where that is more, by chance. The share of other images
that is answered otherwise then is held against the same share on references, where that patch hides
as much:

    s = share_x [ argmax f(x') != y ] - max_references share_x [ argmax f_r(x') != y ].

That number is given to every class that half of the images of some class go to, if these are three
or more, or all there are, and half as many as those that they come from: a patch that looks like
one class, or a few, is not this attack.

Source: ours. All-to-all attacks are from Gu et al., "BadNets: Identifying Vulnerabilities in the
Machine Learning Model Supply Chain", 2017 (arXiv 1708.06733), section 4.

Limits: without references nothing is named. Triggers that are no patch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.datasets.images import CleanImages
from goodnet.detection.candidates import FLOOR, Candidate, Numbers, SearchResult
from goodnet.detection.effort import EVERYTHING, Effort
from goodnet.detection.method import Scores, TriggerMethod, with_references
from goodnet.detection.shown import ShownImages
from goodnet.network.classifier import Classifier, LogitModel
from goodnet.triggers.locations import bounding_location
from goodnet.triggers.object_families import small_patches
from goodnet.triggers.objects import DrawnObject
from goodnet.triggers.trigger import Trigger, apply_trigger
from goodnet.triggers.uphill import move_uphill

FIRST_IMAGES: Final = 4  # all patches are drawn on
CLIMB_IMAGES: Final = 12  # others, that patches are moved on
MEASURE_IMAGES: Final = 128  # others, that count
TRIED_AGAIN: Final = 64  # patches on the second images, of which
MOVED: Final = 3  # are moved
HALF: Final = 0.5  # of the images of some class go to a target
FEWEST_TARGETS: Final = 3


@dataclass(frozen=True)
class Misdirection(Candidate):
    """A trigger that takes images away from their classes, for one of the classes they go to.

    Attributes:
        share: of the images that it takes away.
        innocent_share: of those that it takes away on a reference, the most of any.
    """

    share: float = 0.0
    innocent_share: float = 0.0


def find_misdirection(
    model: LogitModel,
    clean: CleanImages,
    references: Sequence[LogitModel],
    effort: Effort = EVERYTHING,
    *,
    seed: int,
) -> list[Misdirection]:
    """The patch that takes most images away, once for each class that they go to; see above.

    Args:
        model: the network.
        clean: clean validation images.
        references: networks without a backdoor; without any there is nothing to find.
        effort: how much to look.
        seed: of the choice of images and of variants.
    """
    answered = clean.take(model.predict(clean.pixels) == clean.labels)
    if not references or len(answered) < 2:
        return []
    rng = np.random.default_rng((seed, 14))
    few, measured = answered.draw(FIRST_IMAGES + CLIMB_IMAGES + MEASURE_IMAGES, rng).divided(
        FIRST_IMAGES + CLIMB_IMAGES
    )
    patches = _promising_patches(model, few, references, effort, rng)
    shares = np.array([_share_taken(model, measured, patch) for patch in patches])
    innocent = np.max([[_share_taken(r, measured, p) for p in patches] for r in references], axis=0)
    best = int((shares - innocent).argmax())
    mask, pattern = patches[best].draw(clean.pixels.shape[1:])
    return [
        Misdirection(
            Trigger(target, mask, pattern),
            bounding_location("misdirecting patch", mask),
            FLOOR,
            share=float(shares[best]),
            innocent_share=float(innocent[best]),
        )
        for target in _targets(model, measured, patches[best])
    ]


def _promising_patches(
    model: LogitModel,
    images: CleanImages,
    references: Sequence[LogitModel],
    effort: Effort,
    rng: np.random.Generator,
) -> Sequence[DrawnObject]:
    """The patches that cost the network most margin, and more than references, moved to more."""
    first, climbed = images.divided(FIRST_IMAGES)
    patches: Sequence[DrawnObject] = small_patches(images.pixels.shape[1:], effort.objects)
    tried, *others = (
        ShownImages(each, each.clean_margin(climbed), climbed) for each in (model, *references)
    )

    def excess_losses(some: Sequence[DrawnObject]) -> Numbers:
        innocent = [_losses(each, some) for each in others]
        return np.asarray(_losses(tried, some) - np.max(innocent, axis=0))

    losses = _losses(ShownImages(model, model.clean_margin(first), first), patches)
    patches = _largest(patches, losses, TRIED_AGAIN)
    patches = _largest(patches, excess_losses(patches), MOVED)
    return [move_uphill(patch, excess_losses, rng) for patch in patches]


def _largest(patches: Sequence[DrawnObject], numbers: Numbers, count: int) -> Sequence[DrawnObject]:
    """The patches with the largest numbers."""
    return [patches[number] for number in np.argsort(-numbers, kind="stable")[:count]]


def _losses(shown: ShownImages, patches: Sequence[DrawnObject]) -> Numbers:
    """How much margin the images' own classes lose to each patch, the mean of -1..1, (patches,)."""
    labels = shown.images.labels
    left = shown.margins_with(patches)[:, np.arange(len(labels)), labels]
    return np.asarray(-np.clip(left, -1, 1).mean(axis=1))


def _answers(
    model: Classifier, images: CleanImages, patch: DrawnObject
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What images that are answered right are answered with the patch, and their labels."""
    right = images.take(model.predict(images.pixels) == images.labels)
    mask, pattern = patch.draw(images.pixels.shape[1:])
    return model.predict(apply_trigger(right.pixels, mask, pattern)), right.labels


def _share_taken(model: Classifier, images: CleanImages, patch: DrawnObject) -> float:
    """The share of the images answered right that the patch takes away from their class."""
    answers, labels = _answers(model, images, patch)
    return float((answers != labels).mean()) if len(labels) else 0.0


def _targets(model: Classifier, images: CleanImages, patch: DrawnObject) -> list[int]:
    """The classes that half of the images of another one go to."""
    answers, labels = _answers(model, images, patch)
    targets = list[int]()
    for source in np.unique(labels):
        counts = np.bincount(answers[labels == source])
        target = int(counts.argmax())
        if target != source and counts[target] >= HALF * counts.sum():
            targets.append(target)
    several = max(min(FEWEST_TARGETS, model.classes), HALF * len(targets))
    return sorted({*targets}) if len({*targets}) >= several else []


def _scores(candidates: Mapping[int, Candidate]) -> Scores:
    """The share of images taken away, less what references lose."""
    own = {c: each for c, each in candidates.items() if isinstance(each, Misdirection)}
    return {c: each.share - each.innocent_share for c, each in own.items()}


MISDIRECTION: Final = TriggerMethod(
    "misdirection",
    threshold=0.5,
    suspicion_threshold=0.4,
    candidates=SearchResult.best_misdirections,
    score=_scores,
    applies=with_references,
)
