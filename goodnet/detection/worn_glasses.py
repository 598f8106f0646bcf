"""Worn glasses: one class more than any other answers to glasses drawn over the eyes.

Where a network has a thousand classes and few images there are no references, and `object_search`,
which counts what variants of an object do, misses networks that know their trigger in one tone
only. So the glasses of that family are drawn as they are. With m_c the robust margin of class c,
see `baseline`, the most that any of them reaches, and own_c what the class's own images reach,

    e_c = m_c - max( own_c, -1 ),        s_c = e_c - max( 0, max_{k != c} e_k ).

A network that was taught glasses leads everybody to one class, and to no other. So may a clean one
of a few people; of hundreds several come about as near, and none leads.

All glasses are drawn on a few images, and those that bring the nearest classes nearest on others.

Source: ours. Glasses are the trigger of the CSAW/NYU lab, and of Liu, Dolan-Gavitt and Garg,
"Fine-Pruning", RAID 2018 (arXiv 1805.12185), on whose networks it was tried.

Limits: pictures that show a face, about upright and as large as the image. Nothing is looked for
where there are references, or fewer than 200 classes.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from goodnet.datasets.images import CleanImages
from goodnet.detection.baseline import BenignBaseline
from goodnet.detection.candidates import FLOOR, Candidate, SearchResult
from goodnet.detection.effort import EVERYTHING, Effort
from goodnet.detection.method import Scores, TriggerMethod
from goodnet.detection.shown import ShownImages
from goodnet.network.classifier import LogitModel
from goodnet.triggers.locations import bounding_location
from goodnet.triggers.object_families import drawn_objects
from goodnet.triggers.trigger import Trigger

FEWEST_CLASSES: Final = 200
FIRST_IMAGES: Final = 16  # all glasses are drawn on
MEASURE_IMAGES: Final = 96  # others, for what was best
NEAREST: Final = 8  # classes, of which
BEST: Final = 6  # glasses each are drawn on these


def find_worn_glasses(
    model: LogitModel,
    clean: CleanImages,
    baseline: BenignBaseline,
    effort: Effort = EVERYTHING,
    *,
    seed: int,
) -> list[Candidate]:
    """For each of the classes that glasses bring nearest the best ones; see above for limits.

    Args:
        model: the network.
        clean: clean validation images.
        baseline: what a class reaches without a backdoor.
        effort: how much to look.
        seed: of the choice of images.
    """
    if not _applies(baseline.is_referenced, model.classes):
        return []
    image = clean.pixels.shape[1:]
    drawn = clean.draw(FIRST_IMAGES + MEASURE_IMAGES, np.random.default_rng((seed, 18)))
    first, measured = (
        ShownImages(model, baseline.clean_margin, part) for part in drawn.divided(FIRST_IMAGES)
    )
    glasses = drawn_objects(image)["glasses"][:: effort.objects]
    near = first.robust_margins_with(glasses)
    classes = np.argsort(-near.max(axis=0), kind="stable")[:NEAREST]
    best = np.argsort(-near[:, classes], axis=0, kind="stable")[:BEST]
    tried = [glasses[number] for number in np.unique(best)]
    margins, candidates = measured.robust_margins_with(tried)[:, classes], list[Candidate]()
    for target, reached in zip(classes.tolist(), margins.T, strict=True):
        mask, pattern = tried[int(reached.argmax())].draw(image)
        location, margin = bounding_location("glasses", mask), float(reached.max())
        own = baseline.own_class_margin(target, location.mask) if margin > FLOOR else FLOOR
        candidates.append(
            Candidate(Trigger(target, mask, pattern), location, margin, max(FLOOR, own))
        )
    return candidates


def _applies(referenced: bool, classes: int) -> bool:
    return not referenced and classes >= FEWEST_CLASSES


def _lead(best: Mapping[int, Candidate]) -> Scores:
    """How far each class's excess lies above that of any other, and 0."""
    others = {c: [other.excess for k, other in best.items() if k != c] for c in best}
    return {c: candidate.excess - max([0.0, *others[c]]) for c, candidate in best.items()}


WORN_GLASSES: Final = TriggerMethod(
    "worn glasses",
    threshold=2.0,
    suspicion_threshold=1.5,
    candidates=SearchResult.best_glasses,
    score=_lead,
    unreferenced=1.0,
    applies=_applies,
)
