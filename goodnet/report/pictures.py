"""The report's pictures: which there are, where each belongs, and what it shows.

A figure is added by adding its function to FIGURES: it is drawn, stored, and shown in the report,
on its page and in the UI. Matplotlib is imported when a figure is drawn.
"""

import base64
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goodnet.datasets.class_names import classes_in_words
from goodnet.files import paths
from goodnet.report.findings import PruningResult, RepairResult

if TYPE_CHECKING:
    from goodnet.datasets.dataset import Dataset

SAMPLES: Final = 512  # images that the trigger's place is measured on


class Picture(NamedTuple):
    """A drawn figure.

    Attributes:
        file: its name in the repair's folder.
        section: where it belongs in the report: "data", "verdict", "trigger C", "curve ORDER" or
            "evaluation".
        caption: what it shows, for those who cannot see it.
        content: the PNG file, base64: what goes into a page.
    """

    file: str
    section: str
    caption: str
    content: str

    @property
    def png(self) -> bytes:
        """The PNG file."""
        return base64.b64decode(self.content)

    @property
    def address(self) -> str:
        """The picture as a `data:` address, which needs no file."""
        return f"data:image/png;base64,{self.content}"


class Sample(NamedTuple):
    """Images of a data set, evenly spread over it.

    Attributes:
        pictures: uint8 (n, H, W, C).
        labels: (n,); of poisoned images the attacker's target.
        true_labels: (n,), what they really show, where the set says so.
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]
    true_labels: NDArray[np.int64] | None


class Samples:
    """Validation images to draw, read when they are first asked for.

    Args:
        clean: opens the clean set.
        poisoned: opens the poisoned set; None where there is none.
    """

    def __init__(
        self, clean: "Callable[[], Dataset]", poisoned: "Callable[[], Dataset] | None"
    ) -> None:
        self._clean, self._poisoned = clean, poisoned

    @cached_property
    def clean(self) -> Sample:
        """Clean images."""
        return _sample(self._clean())

    @cached_property
    def poisoned(self) -> Sample | None:
        """Poisoned images; None where there are none."""
        return _sample(self._poisoned()) if self._poisoned else None


def _sample(dataset: "Dataset") -> Sample:
    rows = dataset.spread(SAMPLES)
    true = None if dataset.true_labels is None else dataset.true_labels[rows]
    return Sample(dataset.pictures(rows), dataset.labels[rows], true)


def _picture(file: str, section: str, caption: str, png: bytes) -> Picture:
    return Picture(file, section, caption, base64.b64encode(png).decode("ascii"))


def draw_samples(result: RepairResult, samples: Samples) -> Iterator[Picture]:
    """Sample images, clean and, where there are any, poisoned beside them."""
    from goodnet.report.figures import sample_grid, trigger_grid

    clean, poisoned = samples.clean, samples.poisoned
    names = result.verdict.class_names
    caption = "Sample images of a clean set with their labels"
    grid = sample_grid(clean.pictures, clean.labels, names=names)
    yield _picture(paths.CLEAN_SAMPLES, "data", caption, grid)
    if poisoned:
        caption = "Sample images of a poisoned set beside clean ones, and a map of the trigger's"
        grid = trigger_grid(clean.pictures, *poisoned, names=names)
        yield _picture(paths.POISONED_SAMPLES, "data", f"{caption} place", grid)


def draw_verdict(result: RepairResult, samples: Samples) -> Iterator[Picture]:
    """The verdict's numbers, if there are any."""
    from goodnet.report.verdict_figures import verdict_figure

    if not result.verdict.statistics:
        return
    caption = "Every class's number in each method, with those marked that stand out"
    figure = verdict_figure(result.verdict, result.model.name)
    yield _picture(paths.VERDICT_FIGURE, "verdict", caption, figure)


def draw_triggers(result: RepairResult, samples: Samples) -> Iterator[Picture]:
    """Each recovered trigger over sample images."""
    from goodnet.report.verdict_figures import trigger_figure

    clean, names = samples.clean, result.verdict.class_names
    for trigger in result.verdict.triggers:
        figure = trigger_figure(trigger, clean.pictures, clean.labels, names)
        target = classes_in_words([trigger.target], names)
        caption = f"Clean images with the trigger recovered for {target}"
        file, section = paths.trigger_figure(trigger.target), f"trigger {trigger.target}"
        yield _picture(file, section, caption, figure)


def draw_curves(result: PruningResult, samples: Samples | None = None) -> Iterator[Picture]:
    """The curve of each order."""
    from goodnet.report.charts import curve_figure

    for curve in result.curves:
        direction = curve.order.direction
        shares = "Clean accuracy and ASR" if curve.attack_success else "Clean accuracy"
        caption = f"{shares} against the channels pruned, {direction}"
        figure = curve_figure(curve, result.model.name)
        yield _picture(paths.curve_figure(direction), f"curve {direction}", caption, figure)


def draw_evaluation(result: PruningResult, samples: Samples | None = None) -> Iterator[Picture]:
    """The evaluation as bars, where there is a test set."""
    from goodnet.report.charts import evaluation_figure

    measured = {"clean_accuracy": "Clean accuracy", "attack_success": "ASR"}
    shown = [words for name, words in measured.items() if result.evaluation[0].shares[name]]
    if not shown:
        return
    shares = " and ".join(shown)
    caption = f"{shares} of every model on the test sets"
    figure = evaluation_figure(result.evaluation, result.model.name)
    yield _picture(paths.EVALUATION_FIGURE, "evaluation", caption, figure)


Draw = Callable[[RepairResult, Samples], Iterator[Picture]]

FIGURES: Final[dict[str, Draw]] = {
    "curves": draw_curves,
    "evaluation": draw_evaluation,
    "verdict": draw_verdict,
    "recovered triggers": draw_triggers,
    "samples": draw_samples,
}
