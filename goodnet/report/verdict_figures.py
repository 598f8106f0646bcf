"""The verdict as figures: every class's number with the outliers marked, and recovered triggers."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from goodnet.datasets.class_names import class_label, classes_in_words, images_in_words, listed
from goodnet.detection.verdict import Statistic, Verdict
from goodnet.report.figures import (
    BLACK,
    BLUE,
    GREY,
    NORMAL,
    SMALL,
    VERMILLION,
    WIDTH,
    Axes,
    Images,
    draw_image,
    new_axes,
    new_figure,
    picture_size,
    png,
    say,
    short_name,
    short_names,
    small_ticks,
    write,
)
from goodnet.report.tables import percent
from goodnet.triggers.trigger import RecoveredTrigger, Trigger

ROW, PLOT, NAMES = 0.62, 4.2, 1.9  # inches: height of a method's row, width of its plot, its name
SAMPLES = 5  # images that a trigger is shown on


def verdict_figure(verdict: Verdict, model: str) -> bytes:
    """Every class's number, a row for each method, with the named and suspicious ones marked.

    Args:
        verdict: the verdict.
        model: the suspect's name.
    """
    names = short_names(verdict.class_names)
    count = max((len(s.values) for s in verdict.statistics), default=0)
    subtitle = f"{count} classes looked at, a dot each; line: from here on a class is named"
    if verdict.dependent:
        subtitle += f"; {classes_in_words(verdict.dependent, names, inside=True)} dependent"
    title = f"Verdict: {verdict.verdict}"
    title += f", {classes_in_words(verdict.classes, names)}" if verdict.classes else ""
    figure = new_figure(0.95 + ROW * len(verdict.statistics), title, short_name(model), subtitle)
    for row, statistic in enumerate(verdict.statistics):
        top = 0.85 + ROW * row
        say(figure, 0, top + 0.2, statistic.method)
        axes = new_axes(figure, (NAMES, top, PLOT, 0.3))
        _draw_numbers(axes, statistic, verdict.classes, names)
    return png(figure)


def _draw_numbers(
    axes: Axes, statistic: Statistic, named: Collection[int], names: Sequence[str]
) -> None:
    """The classes' numbers on a line; those that stand out as triangles with their class."""
    values = list(statistic.values.values())
    low, high = min([0.0, *values]), 1.15 * max([statistic.threshold, *values])
    axes.set(xlim=(low, high), ylim=(-1, 1.6))
    axes.set_yticks([])
    axes.spines[["left", "right", "top"]].set_visible(False)
    small_ticks(axes)
    axes.axvline(statistic.threshold, color=BLACK, linewidth=1.0, linestyle="--")
    suspicious = statistic.suspected
    for label, value in statistic.values.items():
        stands_out = label in suspicious
        color = VERMILLION if label in named else BLUE if stands_out else GREY
        mark = "^" if stands_out else "o"
        axes.plot(value, 0, mark, color=color, markersize=6 if stands_out else 4, clip_on=False)
    by_value: dict[float, list[str]] = {}
    for label in suspicious:
        by_value.setdefault(round(statistic.values[label], 2), []).append(class_label(label, names))
    for value, labels in by_value.items():
        write(axes.text, value, 0.6, listed(labels, names), fontsize=SMALL, ha="center")


def trigger_figure(
    recovered: RecoveredTrigger,
    images: Images,
    labels: NDArray[np.int64],
    names: Sequence[str] = (),
) -> bytes:
    """Sample images without and with a recovered trigger, and the trigger by itself.

    Args:
        recovered: the trigger.
        images: uint8 (n, H, W, C), clean; the first ones that it is to lead are shown.
        labels: their classes, (n,).
        names: of all classes, by number; empty where they are not known.
    """
    trigger = recovered.trigger
    source = trigger.source
    led = labels != trigger.target if source is None else labels == source
    clean = images[led][:SAMPLES]
    applied = trigger.apply(np.asarray(clean / 255, dtype=np.float32))
    triggered = np.rint(255 * applied).astype(np.uint8)
    step = WIDTH / (SAMPLES + 1)
    width, height = picture_size(step - 0.1, images)
    title = f"Recovered trigger for {classes_in_words([trigger.target], short_names(names))}"
    subtitle = _success(recovered, names)
    figure = new_figure(0.95 + 2 * height, title, subtitle)
    top = 0.62
    for words, samples in (("clean", clean), ("with the trigger", triggered)):
        say(figure, 0, top - 0.05, words, fontsize=NORMAL)
        for column, image in enumerate(samples):
            draw_image(figure, (column * step, top, width, height), image)
        top += height + 0.22
    for down, (words, image) in _by_itself(trigger, clean[0], applied[0]).items():
        top = 0.62 + down * (height + 0.22)
        say(figure, SAMPLES * step, top - 0.05, words, fontsize=NORMAL)
        draw_image(figure, (SAMPLES * step, top, width, height), image)
    return png(figure)


def _by_itself(
    trigger: Trigger, clean: NDArray[np.uint8], applied: NDArray[np.float32]
) -> dict[int, tuple[str, Images]]:
    """What is drawn of a trigger alone, by row: mask and pattern, or what it changes.

    Args:
        trigger: the trigger.
        clean: an image, uint8 (H, W, C).
        applied: the same with it, 0..1.
    """
    if trigger.change:
        changed = 0.5 + (applied - clean / 255) / 2
        return {1: ("the change", np.rint(255 * changed).astype(np.uint8))}
    mask = np.broadcast_to(trigger.mask, (*trigger.mask.shape[:2], 1))
    levels = [np.rint(255 * each).astype(np.uint8) for each in (mask, mask * trigger.pattern)]
    return dict(enumerate(zip(("its mask", "mask × pattern"), levels, strict=True)))


def _success(recovered: RecoveredTrigger, names: Sequence[str]) -> str:
    success, images = recovered.success, images_in_words(recovered.source, short_names(names))
    return f"{recovered.in_words}; takes {percent(success.value)} of {success.count} {images} there"
