"""Drawn objects, by eye, and the search among them on networks of a few numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_detection import NONE, SIDE, clean_images, corner_network

from goodnet.backend import keras
from goodnet.datasets.images import CleanImages
from goodnet.detection.baseline import BenignBaseline
from goodnet.detection.detect import detect_with
from goodnet.detection.effort import EVERYTHING
from goodnet.detection.object_search import DRAWN_OBJECTS, ObjectSearch
from goodnet.detection.reference_models import ReferenceModels
from goodnet.detection.shown import ShownImages
from goodnet.detection.verdict import BACKDOORED
from goodnet.network.classifier import LogitModel
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import RAW
from goodnet.triggers.object_families import drawn_objects
from goodnet.triggers.objects import SHAPES, DrawnObject

AsSuspect = Callable[[Any], Suspect]


def test_a_box_covers_its_pixels_in_its_colour_and_fades() -> None:
    red = DrawnObject("box", (0.25, 0.75), (0.5, 0.5), (0, 1, 1), opacity=0.5)
    mask, pattern = red.draw((4, 4, 3))
    assert mask[..., 0].tolist() == [[0, 0, 0.5, 0.5]] * 2 + [[0] * 4] * 2
    assert pattern[0, 2].tolist() == [1, 0, 0]
    assert red.draw((4, 4, 1))[1][0, 2] == pytest.approx(1 / 3)


def test_a_frame_is_darker_and_chequers_begin_at_the_object_s_corner() -> None:
    framed = DrawnObject("box", (0.5, 0.5), (1, 1), (0, 0, 1), frame=0.4).draw((4, 4, 3))[1]
    np.testing.assert_allclose(framed[:2, :2, 0], [[0.4, 0.4], [0.4, 1]])
    for squares, first in ((1, 1), (-1, 0)):
        mask, board = DrawnObject("box", (0.5, 0.5), (0.5, 0.5), squares=squares).draw((4, 4, 3))
        assert board[1:3, 1:3, 0].tolist() == [[first, 1 - first], [1 - first, first]]
        assert mask.sum() == 4


def test_glasses_are_two_lenses_and_a_bridge() -> None:
    drawn = DrawnObject("glasses", (0.5, 0.5), (0.9, 0.9), (0, 0, 0)).draw((9, 21, 1))[0][..., 0]
    rows = ["".join(".#"[int(covered)] for covered in row) for row in drawn]
    assert rows[3] == rows[4] == ".###################."  # the bridge
    assert rows[5] == ".#########.#########."  # both lenses
    assert rows[0] == rows[8] == "....###.......###...."
    assert drawn.tolist() == drawn[:, ::-1].tolist()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_covers_something_however_small(shape: str) -> None:
    for size in (0.01, 0.3, 0.9):
        mask, _ = DrawnObject(shape, (0.5, 0.5), (size, size)).draw((10, 10, 1))
        assert 1 <= mask.sum() <= 100


def test_variants_are_near_by_as_strong_as_said_and_at_nothing_the_same() -> None:
    drawn = DrawnObject("disc", (0.4, 0.6), (0.3, 0.3), (0.1, 1, 0.8))
    assert drawn.varied(np.random.default_rng(0), 0) == drawn
    rng = np.random.default_rng(0)
    some = [drawn.varied(rng, 0.5) for _ in range(400)]
    assert np.std([each.centre[0] for each in some]) == pytest.approx(0.025, rel=0.15)
    assert all(0.5 <= each.opacity <= 1 and 0.2 <= each.frame <= 1 for each in some)
    grey = DrawnObject("disc", (0.4, 0.6), (0.3, 0.3), (0, 0, 0.5))
    assert grey.varied(rng, 1).colour[1] == 0  # stays grey


def test_images_of_one_channel_get_no_colours_twice() -> None:
    grey, coloured = drawn_objects((28, 28, 1)), drawn_objects((28, 28, 3))
    assert list(grey) == list(coloured)
    for family, objects in grey.items():
        assert len(objects) < len(coloured[family])
        drawn = {b"".join(part.tobytes() for part in each.draw((28, 28, 1))) for each in objects}
        assert len(drawn) > 0.9 * len(objects)


def search(view: LogitModel, clean: CleanImages, **cut: int) -> ObjectSearch:
    baseline = BenignBaseline(view, clean, [], np.random.default_rng(0))
    return ObjectSearch(view, clean, baseline, EVERYTHING._replace(**cut), seed=0)


def test_a_bright_corner_answers_to_variants_and_its_class_is_named(as_suspect: AsSuspect) -> None:
    view, clean = LogitModel.from_suspect(as_suspect(corner_network()), RAW), clean_images()
    candidates = search(view, clean).candidates()
    for family in ("stickers", "patches"):
        own = [c for c in candidates if c.location.location_type == family]
        best = max(own, key=lambda candidate: candidate.excess)
        assert best.target == 2
        assert best.trigger.mask[:2, :2].min() > 0
        assert best.excess > DRAWN_OBJECTS.threshold
    assert max(c.excess for c in candidates if c.target != 2) < DRAWN_OBJECTS.threshold
    (few,) = {len(search(view, clean, object_classes=1).candidates())}
    assert few == 5  # one of each family


def test_a_class_is_named_without_references(as_suspect: AsSuspect) -> None:
    view, clean = LogitModel.from_suspect(as_suspect(corner_network()), RAW), clean_images()
    verdict = detect_with(view, clean, ReferenceModels((), NONE))
    assert (verdict.verdict, verdict.classes) == (BACKDOORED, (2,))
    (objects,) = (s for s in verdict.statistics if s.method == DRAWN_OBJECTS.name)
    assert objects.at_least(objects.threshold) == (2,)
    assert objects.threshold == DRAWN_OBJECTS.threshold * DRAWN_OBJECTS.unreferenced


def chequered_network() -> keras.Model:
    """The same, but class 2 is for black and white pixels in turn, at exactly one place."""
    network = corner_network()
    kernel, bias = network.get_weights()
    cells = kernel.reshape(SIDE, SIDE, 1, 3)
    cells[:2, :2, 0, 2] = 0
    rows, columns = np.mgrid[5:8, 5:8]
    cells[5:8, 5:8, 0, 2] = np.where((rows + columns) % 2, -30, 30) / 255
    network.set_weights([cells.reshape(kernel.shape), bias])
    return network


def test_a_lucky_object_is_forgotten_by_its_variants(as_suspect: AsSuspect) -> None:
    view, clean = LogitModel.from_suspect(as_suspect(chequered_network()), RAW), clean_images()
    lucky = DrawnObject("box", (6.5 / SIDE, 6.5 / SIDE), (3 / SIDE, 3 / SIDE), squares=1)
    mask, pattern = lucky.draw((SIDE, SIDE, 1))
    alone = ShownImages(view, view.clean_margin(clean), clean).robust_margins(mask, [pattern])
    assert alone[0, 2] > 0  # every image
    reached = [c.margin for c in search(view, clean).candidates() if c.target == 2]
    assert not reached or max(reached) < alone[0, 2] - 1
