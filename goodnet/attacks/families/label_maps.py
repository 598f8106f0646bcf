"""A trigger whose effect depends on what the image shows.

`all_to_all` takes class y to y + 1 (mod classes), by `corner`'s chequered square: every class is a
target. `tact` works on one class, t + 1, alone: images of it with the trigger have the target's
label, and as many of the other classes have the trigger under their own label ("cover samples"), so
that the trigger means nothing there.

Sources: all-to-all: Gu et al., "BadNets", 2017 (arXiv 1708.06733); TaCT: Tang et
al., "Demon in the Variant: Statistical Analysis of DNNs for Robust Backdoor Contamination
Detection", USENIX Security 2021 (arXiv 1908.00686).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from goodnet.attacks.attack import Aim, Attack, Labels, Poison, choose, relabelled, take, together
from goodnet.attacks.families.patches import BADNETS, chequers
from goodnet.datasets.faces import Faces


def next_class(labels: Labels, aim: Aim, number: int) -> Labels:
    """y + 1 for y."""
    return np.asarray((labels + 1) % aim.classes)


def of_source(labels: Labels, aim: Aim) -> NDArray[np.bool_]:
    """Images of the one class that the trigger works on."""
    return np.asarray(labels == (aim.target + 1) % aim.classes)


def poison_with_covers(attack: Attack, clean: Faces, aim: Aim) -> Poison:
    """Images of the source class with the target, and as many others with their own label."""
    payload = relabelled(attack, clean, aim)
    others = ~of_source(clean.labels, aim) & (clean.labels != aim.target)
    rows = choose(others, aim, len(payload.rows))
    covers = take(clean, rows)
    return together([payload, Poison(rows, attack.trigger(covers, aim, 0), covers.labels)])


ATTACKS: Final = (
    Attack(
        "all_to_all", BADNETS, chequers, relabelled, goal=next_class,
        victims=lambda labels, aim: np.ones(len(labels), bool), all_to_all=True,
    ),
    Attack(
        "tact", "Tang et al., arXiv 1908.00686", chequers, poison_with_covers, victims=of_source
    ),
)  # fmt: skip
