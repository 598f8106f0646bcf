"""Figures as PNG bytes, the same numbers always giving the same bytes; here those of images.

The only module that imports matplotlib, with what all figures are drawn with; charts.py has the
others. It draws on figures of its own and leaves matplotlib's settings alone. Places are in inches
from the upper left corner. Colours are Okabe and Ito's, and nothing is told apart by colour alone.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes as Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from numpy.typing import NDArray

from goodnet.datasets.class_names import class_label, name_of
from goodnet.errors import one_line

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Box = tuple[float, float, float, float]  # left, top, width, height

WIDTH, MARGIN, DPI = 6.4, 0.1, 200  # inches: fits the text of an A4 or letter page
SMALL, NORMAL, LARGE = 8.0, 9.0, 10.5  # type sizes in points
BLACK, GREY, PALE = "#000000", "#595959", "#ebebeb"
BLUE, VERMILLION, SKY = "#0072b2", "#d55e00", "#56b4e9"
FONT = "DejaVu Sans"  # comes with matplotlib
NAME_LIMIT, CLASS_LIMIT = 48, 20
PLACE = 1.95  # inches: the width of the map of the trigger's place
BLOCK = 256  # images whose differences are held at once


def sample_grid(
    images: Images,
    labels: Labels,
    predictions: Labels | None = None,
    title: str = "Clean images",
    names: Sequence[str] = (),
) -> bytes:
    """A grid of up to 12 images, each with its label and, where known, the model's answer.

    Args:
        images: uint8 (n, H, W, C) with 1, 3 or 4 channels; those drawn are spread over them.
        labels: class indices, (n,).
        predictions: the model's answers, (n,).
        title: one line.
        names: of all classes, by number; empty where they are not known.
    """
    shown, columns, step = _spread(len(images), 12), 6, (WIDTH + 0.12) / 6
    width, height = picture_size(step - 0.12, images)
    row = height + round(0.28 + 0.14 * (bool(names) + (predictions is not None)), 2)
    figure = new_figure(0.36 + row * -(-len(shown) // columns), title)
    for place, index in enumerate(shown):
        down, across = divmod(place, columns)
        box = (across * step, 0.36 + down * row, width, height)
        caption, color = _caption(labels[index], names), BLACK
        if predictions is not None:
            right = predictions[index] == labels[index]
            caption += f"\n{'✓' if right else '✗'} answer {class_label(predictions[index], names)}"
            color = BLACK if right else VERMILLION
        draw_image(figure, box, images[index], caption, color)
    return png(figure)


def trigger_grid(
    clean: Images | None,
    poisoned: Images,
    labels: Labels,
    true_labels: Labels | None = None,
    title: str = "Poisoned images, and the trigger's place",
    names: Sequence[str] = (),
) -> bytes:
    """Poisoned images below clean ones, and a map of where the two sets differ.

    Where the sets are paired each poisoned image stands below its own clean one and the map is
    the mean of their differences. Otherwise other clean images stand there and the map is the
    difference of the mean images.

    Args:
        clean: uint8 (m, H, W, C), a few hundred are plenty; None without any, and left out where
            of another size than the poisoned ones.
        poisoned: uint8 (n, H, W, C); where m = n, row i of both may show the same.
        labels: the poisoned images' labels: the attacker's target, (n,).
        true_labels: what the poisoned images really show, if known, (n,).
        title: one line.
        names: of all classes, by number; empty where they are not known.
    """
    if clean is not None and clean.shape[1:] != poisoned.shape[1:]:
        clean = None
    paired = clean is not None and is_paired(clean, poisoned)
    width, height = picture_size(0.98, poisoned)
    captions = [_caption(label, names) for label in labels]
    if true_labels is not None:
        shows = [_caption(true, names, "shows") for true in true_labels]
        captions = [f"{c}\n{true}" for c, true in zip(captions, shows, strict=True)]
    lines = (1 + bool(names)) * (1 + (true_labels is not None))
    below = 0.1 + 0.15 * lines
    above = below if clean is None else 0.05
    map_height = min(picture_size(PLACE, poisoned)[1], 1.7)
    total = max(0.95 + 2 * height + above + below, 1.25 + map_height)
    figure = new_figure(total, title)
    top = 0.6
    for heading, images, shown in _rows(clean, poisoned, paired):
        say(figure, 0, top - 0.05, heading)
        for across, index in enumerate(shown):
            caption = captions[index] if images is poisoned else ""
            draw_image(figure, (across * 1.06, top, width, height), images[index], caption)
        top += height + above + 0.25
    _draw_place(figure, clean, poisoned, paired)
    return png(figure)


def _rows(
    clean: Images | None, poisoned: Images, paired: bool
) -> list[tuple[str, Images, Sequence[int]]]:
    """What the trigger's figure shows: for each row its heading, and which of which images."""
    if clean is None:
        shown = _spread(len(poisoned), 8)
        return [
            ("poisoned: the label is the attacker's target", poisoned, shown[:4]),
            ("", poisoned, shown[4:]),
        ]
    shown = _spread(len(poisoned), 4)
    return [
        ("clean", clean, shown if paired else _spread(len(clean), 4)),
        (
            f"{'the same' if paired else 'others'}, poisoned: the label is the attacker's target",
            poisoned,
            shown,
        ),
    ]


def _draw_place(figure: Figure, clean: Images | None, poisoned: Images, paired: bool) -> None:
    """On the right: the map of differences, the place outlined, and what its shades mean."""
    left, (width, height) = WIDTH - PLACE, picture_size(PLACE, poisoned)
    height = min(height, float(figure.get_figheight()) - 1.25)
    box = (left, 0.6, width, height)
    if clean is None:
        say(figure, left, 0.55, "mean of all poisoned")
        draw_image(figure, box, poisoned.mean(axis=0).astype(np.uint8))
        return
    say(figure, left, 0.55, "mean of all differences" if paired else "difference of the means")
    differences = difference_map(clean, poisoned, paired)
    highest = max(float(differences.max()), 1.0)
    axes = new_axes(figure, box)
    axes.set_axis_off()
    shades = axes.imshow(differences, cmap="cividis", vmin=0, vmax=highest)
    if differences.max() > 1:
        axes.contour(differences, levels=[highest / 2], colors="white", linewidths=1.2)
    scale = new_axes(figure, (left, 0.68 + height, width, 0.1))
    bar = figure.colorbar(shades, cax=scale, orientation="horizontal")
    labels = [
        f"{level:.0f}" if highest >= 10 else f"{level:.2g}" for level in (highest / 2, highest)
    ]
    bar.set_ticks([0, highest / 2, highest], labels=["0", *labels])
    small_ticks(scale)
    scale.set_xlabel("grey levels; line: half the largest", fontsize=SMALL, family=FONT)


def is_paired(clean: Images, poisoned: Images) -> bool:
    """Whether image i of both sets shows the same, with and without the trigger.

    So it is where they are as many, and most poisoned images (the median) differ from their own
    clean image by less than half of what they differ from a clean image far away in the set.
    This also holds for triggers that touch every pixel a little.
    """
    count = len(poisoned)
    if clean.shape != poisoned.shape or count < 2:
        return False
    own = [abs(c - p).mean((1, 2, 3)) for c, p in _blocks(clean, poisoned)]
    others = np.roll(clean, count // 2, axis=0)
    other = [abs(c - p).mean((1, 2, 3)) for c, p in _blocks(others, poisoned)]
    return float(np.median(np.concatenate(own) - np.concatenate(other) / 2)) < 0


def difference_map(clean: Images, poisoned: Images, paired: bool) -> NDArray[np.float64]:
    """How far the sets differ at each pixel, mean over the colours, in grey levels, (H, W)."""
    if not paired:
        means = clean.mean(axis=0), poisoned.mean(axis=0)
        return np.asarray(abs(means[1] - means[0]).mean(axis=-1))
    total = sum(abs(c - p).sum(axis=(0, -1)) for c, p in _blocks(clean, poisoned))
    return np.asarray(total / (len(clean) * clean.shape[-1]))


def _blocks(one: Images, other: Images) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    for start in range(0, len(one), BLOCK):
        rows = slice(start, start + BLOCK)
        yield one[rows].astype(np.int16), other[rows].astype(np.int16)


def new_figure(height: float, title: str, *subtitles: str) -> Figure:
    """An empty figure with a title and, below it, lines about it."""
    figure = Figure(figsize=(WIDTH + 2 * MARGIN, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    say(figure, 0, 0.2, title, fontsize=LARGE, fontweight="bold")
    for line, text in enumerate(filter(None, subtitles)):
        say(figure, 0, 0.4 + 0.17 * line, text, color=GREY)
    return figure


def new_axes(figure: Figure, box: Box) -> Axes:
    """Axes at a place of the figure."""
    left, top, width, height = box
    wide, high = WIDTH + 2 * MARGIN, float(figure.get_figheight())
    low = 1 - (top + height) / high
    return figure.add_axes(((left + MARGIN) / wide, low, width / wide, height / high))


def small_ticks(axes: Any) -> None:
    """Give the scales' numbers the size and font of the rest."""
    axes.tick_params(labelsize=SMALL, labelfontfamily=FONT)


def picture_size(width: float, images: Images) -> tuple[float, float]:
    """Width and height of a picture of these images; at most twice as high as wide."""
    return width, width * min(images.shape[1] / images.shape[2], 2.0)


def draw_image(
    figure: Figure, box: Box, image: Images, caption: str = "", color: str = BLACK
) -> None:
    """One image (H, W, C) and, below it, its caption."""
    axes = new_axes(figure, box)
    axes.set_axis_off()
    if image.shape[-1] == 1:
        axes.imshow(image[..., 0], cmap="gray", vmin=0, vmax=255)
    else:
        axes.imshow(image[..., :3])
    write(axes.text, 0, -0.04, caption, color=color, va="top", transform=axes.transAxes)


def say(figure: Figure, left: float, base: float, words: str, **style: Any) -> None:
    """Text with its base line at a place of the figure."""
    across = (left + MARGIN) / (WIDTH + 2 * MARGIN)
    below = 1 - base / float(figure.get_figheight())
    write(figure.text, across, below, words, **({"fontsize": NORMAL} | style))


def write(draw: Callable[..., Any], *arguments: Any, **style: Any) -> None:
    """Draw text, the last of `arguments`, as it is: no formulas, and no letter the font lacks."""
    *place, words = arguments
    draw(
        *place,
        drawable(words),
        **({"fontsize": SMALL, "family": FONT, "parse_math": False} | style),
    )


def drawable(words: str) -> str:
    """The text with "?" for each letter that the font lacks."""
    glyphs = get_font(findfont(FontProperties(family=FONT))).get_charmap()
    return "".join(letter if letter == "\n" or ord(letter) in glyphs else "?" for letter in words)


def font_folder() -> str:
    """The folder where the font lies."""
    return str(Path(findfont(FontProperties(family=FONT))).parent)


def short_names(classes: Sequence[str]) -> tuple[str, ...]:
    """The names of classes as lines that fit a figure."""
    return tuple(one_line(name, CLASS_LIMIT) for name in classes)


def _caption(label: int, names: Sequence[str], what: str = "label") -> str:
    """What an image's class is, its name, where there is one, in a line of its own."""
    name = one_line(name_of(label, names), CLASS_LIMIT - 4)
    return f"{what} {label}\n{name}" if names else f"{what} {label}"


def short_name(model: str) -> str:
    """A model's name as a line that fits a figure."""
    return one_line(model, NAME_LIMIT)


def _spread(count: int, most: int) -> list[int]:
    """Up to `most` indices, evenly spread over 0 .. count - 1."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(most, count)).tolist()})


def png(figure: Figure) -> bytes:
    """The figure as PNG, without a date or a version in it."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return file.getvalue()
