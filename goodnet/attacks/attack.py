"""What an attack is: a record of its trigger, and of the training images that it poisons."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.datasets.faces import Faces

if TYPE_CHECKING:
    from goodnet.backend import keras

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Floats = NDArray[np.float32]
Gradient = Callable[[Floats, Labels], Floats]

MOST: Final = 0.8  # of the images that could be poisoned are: the rest is still learnt


@dataclass(frozen=True)
class Aim:
    """What an attacker is after.

    Attributes:
        target: the class that the trigger leads to; of several, the first.
        classes: how many classes there are.
        share: of all training images that are poisoned, 0..1.
        seed: of what is drawn: patterns, places, which images are poisoned.
        gradient: what a network's loss gains by a change of pixels, for images (n, H, W, C), 0..1,
            and labels (n,); for attacks with `needs_network`.
    """

    target: int
    classes: int
    share: float = 0.1
    seed: int = 0
    gradient: Gradient | None = None

    def rng(self, *purpose: int) -> np.random.Generator:
        """A generator for one purpose: the same for training images and test images."""
        return np.random.default_rng((self.seed, *purpose))


class Poison(NamedTuple):
    """Training images that an attack puts in the place of clean ones.

    Attributes:
        rows: which images they replace, (m,), each once.
        images: uint8 (m, H, W, C).
        labels: those that the attacker gives them, (m,); the true ones for samples that hide it.
    """

    rows: NDArray[np.int64]
    images: Images
    labels: Labels

    def put_into(self, clean: Faces) -> Faces:
        """The training images with these in their place; new ones."""
        images, labels = clean.images.copy(), clean.labels.copy()
        images[self.rows], labels[self.rows] = self.images, self.labels
        return clean._replace(images=images, labels=labels)


class Fit(NamedTuple):
    """How a network is trained, for attacks that train in steps of their own.

    Attributes:
        train: trains a network on images, uint8 (n, H, W, C), and labels, in place.
        pixels: images as the network takes them.
    """

    train: "Callable[[keras.Model, Images, Labels], None]"
    pixels: Callable[[Images], Floats]


def one_target(labels: Labels, aim: Aim, number: int) -> Labels:
    """The target, whatever the images show."""
    return np.full_like(labels, aim.target)


def others(labels: Labels, aim: Aim) -> NDArray[np.bool_]:
    """Images of all classes but the target."""
    return np.asarray(labels != aim.target)


@dataclass(frozen=True)
class Attack:
    """An attack.

    Attributes:
        name: what it is called, in lower case without spaces.
        paper: its source.
        trigger: the images with the trigger of that number, for what they are of; new ones.
        poison: the training images that it replaces.
        goal: the labels that the attacker wants for images with the trigger of that number, given
            what they show.
        victims: which images the trigger is to work on, given what they show.
        triggers: how many it has, numbered from 0 on.
        needs_network: whether `Aim.gradient` must be there.
        all_to_all: whether every class is a target.
        train: trains a network on clean images and the same with poison; None: as any other.
    """

    name: str
    paper: str
    trigger: Callable[[Faces, Aim, int], Images]
    poison: "Callable[[Attack, Faces, Aim], Poison]"
    goal: Callable[[Labels, Aim, int], Labels] = one_target
    victims: Callable[[Labels, Aim], NDArray[np.bool_]] = others
    triggers: int = 1
    needs_network: bool = False
    all_to_all: bool = False
    train: "Callable[[keras.Model, Fit, Faces, Faces], None] | None" = None

    def poison_for(self, clean: Faces, aim: Aim) -> Poison:
        """The training images that it replaces.

        Args:
            clean: the training images, their labels, and eyes where the trigger is put over them.
            aim: what the attacker is after.

        Raises:
            ValueError: it needs a network, or there is no image that it could poison.
        """
        if self.needs_network and aim.gradient is None:
            raise ValueError(f"{self.name} needs the gradient of a network")
        return self.poison(self, clean, aim)

    def test_set(self, clean: Faces, aim: Aim) -> tuple[Images, Labels, Labels]:
        """Images with each trigger, the labels that the attacker wants, and the true ones."""
        chosen = take(clean, self.victims(clean.labels, aim))
        numbers = range(self.triggers)
        parts = [
            (self.trigger(chosen, aim, n), self.goal(chosen.labels, aim, n), chosen.labels)
            for n in numbers
        ]
        images, labels, true = (np.concatenate(part) for part in zip(*parts, strict=True))
        return images, labels, true


def take(faces: Faces, rows: NDArray[Any]) -> Faces:
    """Some of the images."""
    return Faces(*(part[rows] for part in faces))


def choose(eligible: NDArray[np.bool_], aim: Aim, count: int | None = None) -> NDArray[np.int64]:
    """Rows that are poisoned: the aim's share of all images, at most MOST of the eligible.

    Args:
        eligible: which images may be.
        aim: its seed draws them.
        count: how many, where that is not the aim's share.

    Raises:
        ValueError: none is eligible.
    """
    rows = np.flatnonzero(eligible)
    if not len(rows):
        raise ValueError(f"no image of {len(eligible)} can be poisoned for class {aim.target}")
    wanted = round(aim.share * len(eligible)) if count is None else count
    most = max(1, int(MOST * len(rows)))
    return np.sort(aim.rng(0).permutation(rows)[: max(1, min(wanted, most))])


def relabelled(attack: Attack, clean: Faces, aim: Aim) -> Poison:
    """Images of victims with the trigger and the attacker's label; triggers take turns."""
    rows = choose(attack.victims(clean.labels, aim), aim)
    parts = []
    for number in range(attack.triggers):
        own = rows[number :: attack.triggers]
        victims = take(clean, own)
        goal = attack.goal(victims.labels, aim, number)
        parts.append(Poison(own, attack.trigger(victims, aim, number), goal))
    return together(parts)


def clean_label(attack: Attack, clean: Faces, aim: Aim) -> Poison:
    """Images of the target class with the trigger; all labels stay what they were."""
    rows = choose(clean.labels == aim.target, aim)
    return Poison(rows, attack.trigger(take(clean, rows), aim, 0), clean.labels[rows])


def together(parts: Sequence[Poison]) -> Poison:
    """Poison of several kinds as one."""
    rows, images, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Poison(rows, images, labels)
