"""How much a verdict searches: everything, or for a large network what fits the time.

The cost is known before anything begins: the multiplications for one image, see `network.cost`,
times the images that go through the network. How many these are was counted once for each effort,
see EFFORTS; it hardly depends on the images' size, for locations are as many. Many are images with
a small pattern, of which only windows are computed, see `network.stamped`: they count as the share
of a pass that such a pattern costs in the network. It is arithmetic and no clock: the same network
gets the same search on every machine, and the same verdict.

What a smaller effort leaves out is told. A network that was searched with less is named at the
thresholds of networks without references, which are high, and never cleared.
"""

from typing import Final, NamedTuple

from goodnet.triggers.locations import STRIDE

RATE: Final = 3e10  # multiplications a second that two cores are taken to do
MINUTES: Final = 5.0  # that a verdict may take, by that
TRAINING: Final = 3  # times what an answer costs, a step of training does


class Effort(NamedTuple):
    """How much is searched.

    Attributes:
        stride: between neighbouring patches or strips, of their side.
        noises: random patterns of each kind at a location.
        images: searched with at every location, half of them with every pattern.
        classes: so many are looked at closely.
        references: reference networks.
        objects: of the drawn objects every n-th is tried.
        object_classes: of each family of these so many are looked at closely.
        patches: so many are searched by gradient where they bring a class nearer than elsewhere.
        passes: images through the network, one for training counted as TRAINING; without what
            references take for each class.
        stamped: of these, those with a small pattern, one of several on the same images; at least,
            the fewest that were counted on four networks (two for a smaller effort).
    """

    stride: float
    noises: int
    images: int
    classes: int
    references: int
    objects: int
    object_classes: int
    patches: int
    passes: int
    stamped: int


EVERYTHING: Final = Effort(
    STRIDE, noises=6, images=16, classes=12, references=2, objects=1, object_classes=4, patches=24,
    passes=250_000, stamped=113_000,
)  # fmt: skip
EFFORTS: Final = (
    EVERYTHING,
    Effort(1.0, 3, 16, classes=12, references=0, objects=2, object_classes=2, patches=0,
           passes=94_000, stamped=32_000),
    Effort(1.0, 2, 8, classes=6, references=0, objects=3, object_classes=1, patches=0,
           passes=55_000, stamped=19_000),
    Effort(1.5, 1, 4, classes=3, references=0, objects=6, object_classes=1, patches=0,
           passes=32_000, stamped=12_000),
)  # fmt: skip


class Shortened(NamedTuple):
    """A search that was cut to fit the time.

    Attributes:
        minutes: that it might take.
        needed: that all of it takes, about, on two cores.
    """

    minutes: float
    needed: float


def minutes_for(effort: Effort, work: int, share: float = 1.0) -> float:
    """The minutes that a search takes, about, on two cores.

    Args:
        effort: how much is searched.
        work: multiplications for one image.
        share: of these, what an image with a small pattern takes.
    """
    passes = effort.passes - (1 - share) * effort.stamped
    return passes * work / RATE / 60


def choose_effort(work: int, minutes: float, share: float = 1.0) -> tuple[Effort, Shortened | None]:
    """The most that fits the time, and, if that is not everything, what was cut.

    Args:
        work: multiplications for one image.
        minutes: that the search may take; the smallest effort is made in any case.
        share: of `work`, what an image with a small pattern takes.
    """
    needed = minutes_for(EVERYTHING, work, share)
    if needed <= minutes:
        return EVERYTHING, None
    fitting = [effort for effort in EFFORTS[1:] if minutes_for(effort, work, share) <= minutes]
    return (fitting or EFFORTS[-1:])[0], Shortened(minutes, needed)


def in_words(minutes: float, shortened: Shortened | None) -> str:
    """What a search will cost, for people, before it begins."""
    said = f"looking for triggers takes about {_duration(minutes)} on two cores"
    if shortened is None:
        return said
    return f"{said}; that is a part, and all of it takes {_duration(shortened.needed)}"


def _duration(minutes: float) -> str:
    return f"{minutes:.0f} minutes" if minutes >= 2 else f"{max(5, 60 * minutes):.0f} seconds"
