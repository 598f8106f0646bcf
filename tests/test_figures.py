"""Pictures of images: drawn, the trigger found, and the same every time."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from goodnet.report.figures import VERMILLION, difference_map, is_paired, sample_grid, trigger_grid

PATCH = (slice(2, 6), slice(3, 8))


def opened(png: bytes) -> Image.Image:
    """The picture, after a look that it is one for print and something is drawn on it."""
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        assert round(image.info["dpi"][0]) >= 150
        assert "Software" not in image.info
        image.load()
    colours = image.convert("RGB").getcolors(maxcolors=1 << 24)
    assert colours is not None and len(colours) > 20
    return image.convert("RGB")


def share_near(image: Image.Image, colour: str) -> float:
    """The share of pixels of about this colour."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return float((abs(np.asarray(image).astype(int) - wanted).max(axis=-1) < 12).mean())


def pictures(count: int, channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth random images, (count, 14, 12, channels)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 200, (count, 7, 6, channels), dtype=np.uint8)
    return coarse.repeat(2, axis=1).repeat(2, axis=2)


def with_patch(clean: NDArray[np.uint8]) -> NDArray[np.uint8]:
    poisoned = clean.copy()
    poisoned[:, *PATCH] = 255
    return poisoned


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("count", [1, 5, 40])
def test_a_grid_of_any_number_of_images_of_any_kind(count: int, channels: int) -> None:
    opened(sample_grid(pictures(count, channels), np.arange(count)))


def test_a_wrong_answer_stands_out() -> None:
    images, labels = pictures(3), np.array([4, 5, 6])
    right = opened(sample_grid(images, labels, labels))
    wrong = opened(sample_grid(images, labels, np.array([4, 9, 6])))
    assert share_near(wrong, VERMILLION) > share_near(right, VERMILLION)


def test_the_same_images_give_the_same_bytes_and_are_left_alone() -> None:
    clean = pictures(20)
    poisoned, labels = with_patch(clean), np.zeros(20, dtype=np.int64)
    before = clean.tobytes(), poisoned.tobytes()
    first = trigger_grid(clean, poisoned, labels)
    assert first == trigger_grid(clean, poisoned, labels)
    assert first != trigger_grid(clean[::-1], poisoned, labels)
    assert (clean.tobytes(), poisoned.tobytes()) == before


def test_sets_are_paired_where_image_i_shows_the_same() -> None:
    clean = pictures(300)
    assert is_paired(clean, with_patch(clean))
    assert is_paired(clean, (clean * 0.8).astype(np.uint8) + 20)  # a trigger on every pixel
    assert not is_paired(clean, with_patch(pictures(300, seed=1)))
    assert not is_paired(clean, with_patch(np.roll(clean, 1, axis=0)))
    assert not is_paired(clean[:-1], with_patch(clean))


def test_pictures_with_the_same_background_are_not_taken_for_pairs() -> None:
    """Most pixels are the same in any two such images, so counting those would be wrong."""
    clean, others = np.zeros((2, 50, 14, 12, 1), dtype=np.uint8)
    clean[:, 5:9, 5:9], others[:, 5:9, 5:9] = pictures(50, 1)[:, :4, :4], 90
    assert not is_paired(clean, others)


@pytest.mark.parametrize("paired", [True, False])
def test_the_map_is_bright_where_the_trigger_is(paired: bool) -> None:
    clean = pictures(600)
    poisoned = with_patch(clean if paired else pictures(500, seed=1))
    found = difference_map(clean, poisoned, is_paired(clean, poisoned))
    inside = np.zeros((14, 12), dtype=bool)
    inside[PATCH] = True
    assert found.shape == (14, 12)
    assert found[inside].min() > 5 * found[~inside].max()


def test_the_paired_map_is_the_plain_mean_of_differences() -> None:
    clean, poisoned = pictures(300), pictures(300, seed=2)
    plain = abs(clean.astype(float) - poisoned).mean(axis=(0, 3))
    assert np.allclose(difference_map(clean, poisoned, True), plain)


def test_poisoned_images_can_stand_alone() -> None:
    poisoned, labels = with_patch(pictures(9)), np.full(9, 7)
    alone = opened(trigger_grid(None, poisoned, labels, np.arange(9)))
    other_size = trigger_grid(np.zeros((9, 5, 5, 3), dtype=np.uint8), poisoned, labels)
    assert opened(other_size).size[0] == alone.size[0]


@pytest.mark.parametrize("shape", [(1, 28, 28, 1), (2, 8, 90, 3), (3, 90, 8, 3)])
def test_few_and_oddly_shaped_images_without_any_difference(shape: tuple[int, ...]) -> None:
    same = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    opened(trigger_grid(same, same.copy(), np.zeros(len(same), dtype=np.int64)))
