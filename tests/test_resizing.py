"""Pictures at the network's size are those of `tf.image.resize` and of Keras' directory loader."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import keras
from test_dataset import all_images
from test_pictures import by_keras, picture, write

from goodnet.backend import tf
from goodnet.datasets.dataset import open_dataset
from goodnet.errors import DataRefused
from goodnet.files.reading import METHODS, Reading
from goodnet.sandbox.reader import datasets
from goodnet.sandbox.reader.arrays import Refused
from goodnet.sandbox.reader.resizing import resized

SIZES = [
    ((19, 23), (12, 10)), ((9, 13), (17, 40)), ((64, 48), (8, 8)), ((5, 7), (1, 1)),
    ((1, 1), (4, 5)), ((300, 200), (96, 96)), ((100, 80), (224, 224)), ((480, 640), (150, 150)),
]  # fmt: skip
# The largest difference in grey levels. Nearest and bilinear are the same to the bit; the others
# differ by the last bits of what the weights are computed with.
LARGEST = {
    "nearest": 0, "bilinear": 0, "area": 0.01, "bicubic": 0.001, "lanczos3": 0.02, "lanczos5": 0.02
}  # fmt: skip


def noise(height: int, width: int) -> Any:
    """Noise, the hardest picture to resize."""
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_tensorflow_s_without_antialiasing(method: str) -> None:
    """But for what it overshoots beyond black and white, which is cut off here."""
    for old, new in SIZES:
        expected = np.clip(tf.image.resize(noise(*old), new, method=method).numpy(), 0, 255)
        difference = np.abs(resized(noise(*old), *new, method) - expected).max()
        assert difference <= LARGEST[method], (old, new)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("aspect", ["", "crop", "pad"])
@pytest.mark.parametrize("method", ["bilinear", "nearest", "bicubic"])
def test_a_folder_is_that_of_keras_loader(method: str, aspect: str, tmp_path: Path) -> None:
    """Pictures of many shapes; crop and pad are its `crop_to_aspect_ratio` and `pad_to_...`."""
    for number, size in enumerate([(19, 23), (40, 9), (9, 40), (12, 10), (7, 7), (100, 60)]):
        write(tmp_path / "ab"[number % 2] / f"{number}.png", picture(number, size))
    keep = {f"{aspect}_to_aspect_ratio": True} if aspect else {}
    images, labels, _ = by_keras(tmp_path, (12, 10), interpolation=method, **keep)
    how = Reading(resize=f"{method},{aspect}".rstrip(","))
    dataset = open_dataset(tmp_path, input_shape=(12, 10, 3), classes=2, reading=how)
    np.testing.assert_array_equal(dataset.labels, labels)
    difference = np.abs(all_images(dataset) - np.clip(images, 0, 255)).max()
    assert difference <= LARGEST[method]


@pytest.mark.parametrize("aspect", ["crop", "pad"])
def test_crop_and_pad_of_extreme_shapes(aspect: str) -> None:
    for old in ((1, 50), (50, 1), (3, 200), (1, 1)):
        for new in ((8, 8), (5, 30), (1, 1)):
            image = noise(*old)
            if aspect == "pad":
                ratio = max(old[0] / new[0], old[1] / new[1])
                if min(old[0] / ratio, old[1] / ratio) < 1:  # nothing is left of it in TensorFlow
                    continue
                expected = tf.image.resize_with_pad(image, *new).numpy()
            else:
                expected = keras.preprocessing.image.smart_resize(image, new)
            ours = resized(image, *new, f"bilinear,{aspect}")
            np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_a_grey_network_reads_pictures_as_keras_reads_them_as_grayscale(tmp_path: Path) -> None:
    """As `load_img`, by Pillow's weights; the other loader is a level off at most."""
    paths = [write(tmp_path / "ab"[n % 2] / f"{n}.png", picture(n)) for n in range(4)]
    dataset = open_dataset(tmp_path, input_shape=(23, 19, 1), classes=2)
    loaded = [np.array(keras.utils.load_img(path, color_mode="grayscale")) for path in paths]
    order = [0, 2, 1, 3]
    np.testing.assert_array_equal(all_images(dataset)[..., 0], [loaded[n] for n in order])
    images, _, _ = by_keras(tmp_path, (23, 19), color_mode="grayscale")
    assert np.abs(all_images(dataset) - images).max() <= 1


@pytest.mark.parametrize("how", ["bilinear", "nearest,crop", "bicubic,pad", "area", "lanczos3"])
def test_arrays_are_resized_as_pictures_are_if_that_is_asked_for(how: str, tmp_path: Path) -> None:
    """At every scale, channels first or last, in blocks and halves; else the refusal says how."""
    images = np.random.default_rng(0).integers(0, 256, (6, 20, 16, 3), dtype=np.uint8)
    expected = np.stack([resized(image, 12, 10, how) for image in images])
    shape, path, count = (12, 10, 3), tmp_path / "set.npz", iter(range(9))

    def read(array: Any, **reading: Any) -> tuple[dict[str, Any], Any]:
        np.savez(path, x=array, y=np.arange(6) % 2)
        (folder := tmp_path / str(next(count))).mkdir()
        said = datasets.read_npz(path, folder, shape, reading=reading)
        return said, np.load(folder / said["data"]["file"])

    forms = [("NHWC", images, 0, 1), ("NCHW", images.transpose(0, 3, 1, 2), 0, 1)]
    forms += [("NHWC", images / 255, 0, 255), ("NHWC", images / 127.5 - 1, -127.5, 127.5)]
    for axes, array, black, scale in forms:
        said, pixels = read(array, resize=how)
        assert said["axes"] == axes
        np.testing.assert_allclose(scale * pixels - black, expected, atol=2e-3)
    half, pixels = read(images, resize=how, part="test")
    assert half["half"] == [6, 0] and pixels.shape == (2, *shape)
    with pytest.raises(Refused, match=r"\(20, 16, 3\) do not fit.*12 x 10 x 3; --resize bilinear"):
        read(images)
    for other in ((20, 16), (20, 16, 4)):
        with pytest.raises(Refused, match=r"which takes 12 x 10 x 3$"):
            read(np.zeros((6, *other)), resize=how)


def test_resized_arrays_are_opened_at_their_scale(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((6, 20, 16, 3)) * 2 - 1
    np.savez(path := tmp_path / "set.npz", x=images, y=np.arange(6) % 2)
    fits: dict[str, Any] = {"input_shape": (12, 10, 3), "classes": 2}
    found = open_dataset(path, **fits, reading=Reading(resize="bicubic"))
    assert (found.black, found.white) == (-1, 1)
    with pytest.raises(DataRefused, match="--resize bilinear brings them to that size"):
        open_dataset(path, **fits)


def test_arrays_that_fit_stay_as_they_are_and_large_ones_are_resized_bit_by_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    array = noise(40, 30)[None].repeat(7, axis=0)
    monkeypatch.setattr(datasets, "BLOCK", 2 * array[0].size)
    found = datasets.Resized(array, (12, None, 3), "bilinear")
    assert found.shape == (7, 12, 30, 3)
    np.testing.assert_array_equal(found[1:6], resized(array[0], 12, 30)[None].repeat(5, axis=0))
    with pytest.raises(Refused, match="too large at the model's size"):
        datasets.Resized(np.zeros((9, 1, 1, 1)), (1 << 20, 1 << 20, 1), "nearest")
