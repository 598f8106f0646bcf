"""Patterns on clean images: what is run on windows answers as the plain way does."""

from collections.abc import Callable
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from networks import NETWORKS, randomise

from goodnet.backend import keras
from goodnet.network import stamped
from goodnet.network.architecture import parse_architecture
from goodnet.network.classifier import LogitModel
from goodnet.network.stamped import StampedImages, typical_share
from goodnet.network.suspect import Suspect
from goodnet.network.windowed import WindowedNetwork
from goodnet.network.windows import Frame, Slide, covered, frame_of
from goodnet.preprocessing import CAFFE, SIGNED, Preprocessing
from goodnet.triggers.trigger import apply_trigger

layers = keras.layers
AsSuspect = Callable[[Any], Suspect]

SHAPE = (15, 12, 3)


def everything() -> keras.Model:
    """All that windows go through: strides, padding, dilation, shortcuts, branches, a gate."""
    x = inputs = keras.Input(SHAPE)
    x = layers.Rescaling([1.0, 2.0, 0.5], 0.1)(x)
    x = layers.ZeroPadding2D(((0, 1), (2, 1)))(x)
    x = y = layers.Conv2D(6, (3, 2), activation="relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Add()([layers.PReLU(shared_axes=[1, 2])(x), y])
    y = layers.Conv2D(4, 3, dilation_rate=2, padding="same")(x)
    z = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    x = layers.Concatenate()([layers.Conv2D(4, 1)(x), y, z])
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = layers.SeparableConv2D(6, 3, padding="same", activation="tanh")(x)
    x = layers.Multiply()([x, layers.Dense(6, activation="sigmoid")(x)])
    x = layers.Conv2D(6, 1, strides=2)(layers.LayerNormalization()(x))
    return randomise(keras.Model(inputs, layers.Dense(4)(layers.Flatten()(x))))


def model_of(network: keras.Model, preprocessing: Preprocessing = SIGNED) -> LogitModel:
    plan = parse_architecture(keras.saving.serialize_keras_object(network), "a test")
    return LogitModel(plan, network, preprocessing)


def stamps(shape: tuple[int, ...] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """Masks at corners, on edges, of a pixel, a strip, a frame and all, and patterns; two each."""
    height, width, _ = shape
    places = [(0, 0, 3, 3), (height - 3, width - 2, 3, 2), (0, 4, 2, 3), (6, width - 2, 3, 2)]
    places += [(5, 4, 1, 1), (7, 3, 4, 3), (3, 0, 1, width), (0, 0, height, width)]
    rng, masks = np.random.default_rng(1), []
    for top, left, down, across in places:
        for opacity in (1.0, rng.uniform(0.1, 0.9)):
            masks.append(np.zeros((height, width, 1), np.float32))
            masks[-1][top : top + down, left : left + across] = opacity
    masks.append(masks[10].copy())
    masks[-1][8:10, 4] = 0  # not a rectangle
    return np.stack(masks), rng.random((len(masks), *shape), dtype=np.float32)


def plainly(model: LogitModel, pixels: np.ndarray, masks: Any, patterns: Any) -> np.ndarray:
    """The scores image by image."""
    applied = apply_trigger(pixels[None], masks[:, None], patterns[:, None])
    logits = model.some_logits(applied.reshape(-1, *pixels.shape[1:]))
    return logits.reshape(len(patterns), len(pixels), -1)


def images(count: int = 3, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(0).random((count, *shape), dtype=np.float32)


@pytest.fixture
def on_windows(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes windows end at a level, whatever that costs."""

    def take(level: int) -> None:
        def chosen(self: WindowedNetwork, *_: Any) -> Any:
            return self.levels[level], -np.inf

        monkeypatch.setattr(WindowedNetwork, "cheapest", chosen)

    return take


@pytest.fixture(scope="module")
def view() -> LogitModel:
    """The network of all that windows go through."""
    return model_of(everything(), CAFFE)


def test_windows_answer_as_the_whole_network_does_wherever_they_end(
    view: LogitModel, on_windows: Callable[[int], None]
) -> None:
    network = view.windowed(SHAPE)
    kinds = [view.plan.layer(step.node.call.layer).kind for step in network.steps]
    assert len(kinds) == 17 and kinds[-2:] == ["LayerNormalization", "Conv2D"]
    pixels, (masks, patterns) = images(), stamps()
    plain = plainly(view, pixels, masks, patterns)
    for level in (0, len(network.levels) - 1):
        on_windows(level)
        logits = StampedImages(view, pixels).logits(masks, patterns)
        np.testing.assert_allclose(logits, plain, rtol=1e-4, atol=1e-5)
        spread = StampedImages(view, pixels).all_logits(masks, patterns)
        np.testing.assert_allclose(spread, plain, rtol=1e-4, atol=1e-5)
        one = StampedImages(view, pixels).logits(masks[:1], patterns)
        np.testing.assert_allclose(
            one, plainly(view, pixels, masks[:1], patterns), rtol=1e-4, atol=1e-5
        )
        assert len(network._functions[len(network.levels[level].steps)]) <= 2  # for all shapes
    assert np.abs(plain - plain[:1]).max() > 0.1


def test_what_is_known_of_clean_images_is_bounded_and_forgotten_in_turn(
    view: LogitModel, on_windows: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_windows(-1)
    masks, patterns = (each[:4] for each in stamps())
    values = view.windowed(SHAPE).levels[-1].values
    monkeypatch.setattr(stamped, "HELD", 4 * values)
    shown = [StampedImages(view, images(2 + number)) for number in range(2)]
    for each in (*shown, *shown):
        plain = plainly(view, each.pixels, masks, patterns)
        np.testing.assert_allclose(each.logits(masks, patterns), plain, rtol=1e-4, atol=1e-5)
        assert [bool(other._known) for other in shown] == [other is each for other in shown]
    monkeypatch.setattr(stamped, "TOGETHER", 1)  # one image with one pattern at a time
    np.testing.assert_allclose(each.logits(masks, patterns), plain, rtol=1e-4, atol=1e-5)


def test_windows_are_taken_where_they_save_more_than_they_cost(
    view: LogitModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, costs = view.windowed(SHAPE), []
    for size in ((1, 1), (3, 3), (6, 6), SHAPE[:2]):
        frame = frame_of(np.array([[2, 2]]), np.array([np.add(size, 2)]), SHAPE[:2])
        costs.append(network.cheapest(network.frames(frame), np.inf))
    assert [level is None for level, _ in costs] == [False, False, False, True]
    assert sorted(cost for _, cost in costs) == [cost for _, cost in costs]
    assert costs[-1][1] == network.cost > 3 * costs[0][1]
    frame = frame_of(np.array([[2, 2]]), np.array([[3, 3]]), SHAPE[:2])
    assert network.cheapest(network.frames(frame), 0) == (None, network.cost)  # nothing is known
    assert 0.2 < typical_share(view, SHAPE, 16) < 0.9
    monkeypatch.setattr(WindowedNetwork, "logits", None)  # a few tiny images are not worth a call
    masks, patterns = (each[:2] for each in stamps())
    StampedImages(view, images()).logits(masks, patterns)


def test_attention_is_run_whole_and_so_is_what_has_no_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stamped, "CALL", -np.inf)
    x = inputs = keras.Input(SHAPE)
    x = layers.Reshape((6, 8))(layers.Conv2D(8, 5, strides=(5, 4), name="patches")(x))
    x = layers.Flatten()(layers.MultiHeadAttention(2, 4)(x, x))
    model = model_of(randomise(keras.Model(inputs, layers.Dense(3)(x))))
    pixels, (masks, patterns) = images(2), stamps()
    assert [step.node.call.layer for step in model.windowed(SHAPE).steps] == ["patches"]
    plain = plainly(model, pixels, masks, patterns)
    logits = StampedImages(model, pixels).logits(masks, patterns)
    np.testing.assert_allclose(logits, plain, rtol=1e-4, atol=1e-5)
    dense = model_of(keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(3)]))
    assert dense.windowed(SHAPE).levels == ()
    assert typical_share(dense, SHAPE, 16) == 1


@pytest.mark.parametrize(
    ("layer", "steps"),
    [
        (layers.BatchNormalization(axis=1), 0),
        (layers.Softmax(axis=2), 0),
        (layers.PReLU(), 0),  # a slope for each place
        (layers.Rescaling(np.arange(180.0).reshape(15, 12, 1).tolist()), 0),
        (layers.Conv2D(3, 3, groups=3), 0),
        (layers.GroupNormalization(3), 0),
        (layers.Cropping2D(1), 0),
        (layers.Softmax(), 1),
        (layers.Conv2D(3, 3), 1),
    ],
)
def test_what_is_not_the_same_everywhere_ends_the_windows(layer: Any, steps: int) -> None:
    inputs = keras.Input(SHAPE)
    model = model_of(keras.Model(inputs, layers.Flatten()(layer(inputs))))
    assert len(model.windowed(SHAPE).steps) == steps


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_a_frame_holds_what_changes_and_what_that_sees(padding: str) -> None:
    """Held against all places that a kernel sees, one by one."""
    for size, stride, dilation, side in product((1, 2, 3, 5), (1, 2, 3), (1, 2), (9, 14)):
        reach = (size - 1) * dilation
        after = -(-side // stride) if padding == "same" else (side - reach - 1) // stride + 1
        before = max((after - 1) * stride + reach + 1 - side, 0) // 2 * (padding == "same")
        layer = SimpleNamespace(
            kernel_size=(size, 1), strides=(stride, 1), dilation_rate=(dilation, 1), padding=padding
        )
        slide = Slide.of(layer, (side, 4), (after, 4))
        assert slide.before.tolist() == [before, 0]
        for first, length in product(range(side), (1, 3)):
            last = min(first + length, side)
            frame = slide.changed(Frame(np.array([[first, 1]]), (last - first, 2)))
            seen = {
                o: {o * stride - before + n * dilation for n in range(size)} for o in range(after)
            }
            changed = {o for o in seen if seen[o] & {*range(first, last)}}
            (top, left), (height, width) = frame.starts[0].tolist(), frame.size
            inside = {*range(top, top + height)}
            assert changed <= inside <= {*range(after)}
            assert dilation > 1 or len(inside) == max(1, len(changed))
            assert (left, width) == (1, 2)
            region = slide.seen(frame)
            rows = {*range(region.starts[0, 0], region.starts[0, 0] + region.size[0])}
            assert rows >= {row for o in inside for row in seen[o]}


def test_what_masks_cover_is_found_and_nothing_is_a_pixel() -> None:
    masks = np.zeros((3, 5, 4, 1), np.float32)
    masks[0, 1:3, 2:] = 1
    masks[1] = 0.01
    starts, ends = covered(masks)
    assert starts.tolist() == [[1, 2], [0, 0], [0, 0]]
    assert ends.tolist() == [[3, 4], [5, 4], [1, 1]]


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_windows_answer_as_each_kind_of_network_does(
    name: str, as_suspect: AsSuspect, on_windows: Callable[[int], None]
) -> None:
    model = LogitModel.from_suspect(as_suspect(NETWORKS[name]()), SIGNED)
    shape = model.network.input_shape[1:]
    pixels, (masks, patterns) = images(3, shape), stamps(shape)
    plain = plainly(model, pixels, masks, patterns)
    for level in range(len(model.windowed(shape).levels)):
        on_windows(level)
        logits = StampedImages(model, pixels).logits(masks, patterns)
        np.testing.assert_allclose(logits, plain, rtol=1e-4, atol=1e-5)
