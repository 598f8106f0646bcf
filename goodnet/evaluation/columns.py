"""The columns of the evaluation: what is counted of each network's answers on a test set.

A column is added by adding its line to COLUMNS: the CSV file, the tables of the report, the
manifest and the UI follow.
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from goodnet.metrics import Counts

Kind = Literal["suspect", "repaired", "goodnet"]


class Column(NamedTuple):
    """A share of the images of one test set.

    Attributes:
        name: in `evaluation.csv` and `manifest.json`.
        title: in tables for people.
        images: the test set.
        hits: how many images of the set count, of a network of that kind; None where it is not
            known, or says nothing of such a network.
        brief: whether the column is in the short table of the terminal and the UI, too.
    """

    name: str
    title: str
    images: Literal["clean", "poisoned"]
    hits: Callable[[Counts, Kind], int | None]
    brief: bool = True


def _labelled(counts: Counts, kind: Kind) -> int:
    """Images answered with their label; a GoodNet does so where both of its networks do."""
    return counts.agreed if kind == "goodnet" else counts.correct


def _flagged(counts: Counts, kind: Kind) -> int | None:
    """Images that a GoodNet calls backdoored."""
    return counts.flagged if kind == "goodnet" else None


def _truly_labelled(counts: Counts, kind: Kind) -> int | None:
    """Images answered with what they show beneath the trigger, where the set says that."""
    return counts.agreed_true if kind == "goodnet" else counts.true_correct


COLUMNS: Final = (
    Column("clean_accuracy", "clean accuracy", "clean", _labelled),
    Column("clean_flagged", "clean images flagged", "clean", _flagged),
    Column("attack_success", "ASR", "poisoned", _labelled),
    Column("poisoned_flagged", "poisoned images flagged", "poisoned", _flagged),
    Column("poisoned_true_accuracy", "true class answered", "poisoned", _truly_labelled, False),
)
