"""Networks that take images, or make scores, in a form of their own: inside all have one form."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
from invented import invented_verdict
from networks import CLASSES, IMAGE_SHAPE, random_images, randomise, save
from test_sweep import as_dataset

from goodnet.backend import keras
from goodnet.datasets.images import CleanImages
from goodnet.detection.verdict import BACKDOORED
from goodnet.errors import ModelRefused
from goodnet.evaluation.screening import screen
from goodnet.mitigation.methods import METHODS, fine_pruning, unlearning
from goodnet.mitigation.mitigate import MitigationInput, mitigate
from goodnet.network.classifier import LogitModel
from goodnet.network.goodnet import gate_by_suspect, join
from goodnet.network.save import save_network
from goodnet.network.suspect import as_written, open_suspect
from goodnet.network.two_scores import loss_of
from goodnet.preprocessing import RAW, UNIT
from goodnet.pruning.layer_choice import choose_layer
from goodnet.pruning.order import order_channels
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import block_answers, mean_activations
from goodnet.pruning.zeroing import prune
from goodnet.training.schedule import TrainingSchedule

layers = keras.layers
FIRST = {"data_format": "channels_first"}
FROM_LOGITS = keras.losses.BinaryCrossentropy(from_logits=True)


def small(*last: Any) -> keras.Model:
    """Convolution, pooling and these layers."""
    first = [layers.Conv2D(6, 3, activation="relu"), layers.MaxPooling2D(2, name="pool")]
    return keras.Sequential([keras.Input(IMAGE_SHAPE), *first, *last])


def one_number(*last: Any) -> keras.Model:
    return small(layers.Flatten(), layers.Dense(12, activation="relu"), layers.Dense(1), *last)


def from_logits() -> keras.Model:
    model = one_number()
    model.compile(loss=FROM_LOGITS)
    return model


def score_map() -> keras.Model:
    """A map of scores, averaged, in place of a dense layer."""
    ends = [layers.Conv2D(1, 3), layers.GlobalAveragePooling2D(), layers.Activation("sigmoid")]
    return small(*ends)


def mean_probability() -> keras.Model:
    """A map of probabilities, averaged: they cannot be taken apart."""
    return small(layers.Conv2D(1, 3, activation="sigmoid"), layers.GlobalAveragePooling2D())


def nested_sigmoid() -> keras.Model:
    inputs = keras.Input(IMAGE_SHAPE)
    base = small(layers.GlobalAveragePooling2D(name="mean"))
    base.name = "base"
    head = keras.Sequential([keras.Input((6,)), layers.Dense(1, activation="sigmoid")])
    return keras.Model(inputs, head(base(inputs)))


def dense(shape: tuple[int, ...], *last: Any) -> keras.Model:
    first = [layers.Flatten()] if len(shape) > 1 else []
    hidden = [layers.Dense(16, activation="relu", name=f"hidden_{n}") for n in (1, 2)]
    return keras.Sequential([keras.Input(shape), *first, *hidden, *last])


def softmax() -> Any:
    return layers.Dense(CLASSES, activation="softmax")


def channels_first(*last: Any, **flatten: str) -> keras.Model:
    """Normalisation, padding, pooling; then the end as it is given."""
    return keras.Sequential(
        [
            keras.Input((3, 12, 10)),
            layers.Rescaling(2, -1),
            layers.ZeroPadding2D(((1, 2), (0, 1)), **FIRST),
            layers.Conv2D(6, (3, 2), use_bias=False, **FIRST),
            layers.BatchNormalization(axis=1),
            layers.PReLU(shared_axes=[2, 3]),
            layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", **FIRST),
            layers.PReLU(),
            layers.SeparableConv2D(8, 2, **FIRST),
            layers.LayerNormalization(axis=1),
            layers.Conv2DTranspose(5, 2, activation="relu", **FIRST),
            layers.SpatialDropout2D(0.2, **FIRST),
            layers.AveragePooling2D(2, name="pool", **FIRST),
            *(last or (layers.Flatten(**flatten), layers.Dropout(0.2), softmax())),
        ]
    )


def branches_first() -> keras.Model:
    """A shortcut, squeeze-and-excite, a concatenation, a softmax over the channels."""
    x = inputs = keras.Input((3, 12, 10))
    x = layers.Conv2D(6, 3, padding="same", **FIRST)(x)
    y = layers.Activation("relu")(layers.BatchNormalization(axis=1)(x))
    y = layers.Conv2D(6, 1, **FIRST)(y)
    gate = layers.GlobalAveragePooling2D(**FIRST)(y)
    gate = layers.Reshape((6, 1, 1))(layers.Dense(6, activation="sigmoid")(gate))
    y = layers.Multiply()([y, gate])
    x = layers.Concatenate(axis=1)([x + y, layers.Softmax(axis=1)(y)])
    x = layers.Conv2D(8, (2, 1), activation="relu", **FIRST)(layers.Permute((1, 3, 2))(x))
    x = layers.MaxPooling2D(2, name="pool", **FIRST)(x)
    return keras.Model(inputs, softmax()(layers.Flatten()(x)))


def turned_inside() -> keras.Model:
    """It takes images with channels last, and turns them."""
    inputs = keras.Input(IMAGE_SHAPE)
    x = layers.Conv2D(6, 3, activation="relu", **FIRST)(layers.Permute((3, 1, 2))(inputs))
    x = layers.MaxPooling2D(2, name="pool", **FIRST)(x)
    x = layers.Conv2D(4, 2, activation="relu")(layers.Permute((2, 3, 1))(x))
    return keras.Model(inputs, softmax()(layers.Flatten()(x)))


def inside_first() -> keras.Model:
    """All of it in a model of its own, the dense layer behind the Flatten, too."""
    inner = [
        layers.Conv2D(6, 3, activation="relu", **FIRST),
        layers.MaxPooling2D(2, name="pool", **FIRST),
        layers.Flatten(),
        softmax(),
    ]
    shape = keras.Input((3, 12, 10))
    return keras.Sequential([shape, keras.Sequential([shape, *inner], name="inner")])


class Form(NamedTuple):
    """A network, how it is fed, and the layer to be chosen."""

    make: Callable[[], keras.Model]
    feed: Callable[[Any], Any] = lambda images: images
    layer: str = "pool"
    images: tuple[int, ...] = IMAGE_SHAPE
    note: str = ""


def rows(images: Any) -> Any:
    return images.reshape(len(images), -1)


def to_first(images: Any) -> Any:
    return images.transpose(0, 3, 1, 2)


ONE, CF = "one sigmoid output", "rewritten from channels_first"
FORMS = {
    "sigmoid": Form(lambda: one_number(layers.Activation("sigmoid")), note=ONE),
    "sigmoid unit": Form(
        lambda: small(layers.Flatten(), layers.Dense(1, activation="sigmoid")), note=ONE
    ),
    "logit": Form(from_logits, note="logit of class 1"),
    "score map": Form(score_map, note=ONE),
    "mean probability": Form(mean_probability, note=ONE),
    "nested sigmoid": Form(nested_sigmoid, layer="base/mean", note=ONE),
    "two sigmoids": Form(lambda: small(layers.Flatten(), layers.Dense(2, activation="sigmoid"))),
    "multi-label": Form(lambda: small(layers.Flatten(), layers.Dense(5, activation="sigmoid"))),
    "rows": Form(lambda: dense((144,), softmax()), rows, "hidden_2", (12, 12, 1)),
    "colour rows": Form(lambda: dense((192,), softmax()), rows, "hidden_2", (8, 8, 3)),
    "grey": Form(lambda: dense((12, 10), softmax()), lambda x: x[..., 0], "hidden_2", (12, 10, 1)),
    "grey sigmoid": Form(
        lambda: dense((12, 10), layers.Dense(1, activation="sigmoid")),
        lambda x: x[..., 0], "hidden_2", (12, 10, 1), ONE,
    ),
    "first": Form(channels_first, to_first, note=CF),
    "first, Flatten too": Form(lambda: channels_first(**FIRST), to_first, note=CF),
    "first, pooled": Form(
        lambda: channels_first(layers.GlobalMaxPooling2D(name="max", **FIRST), softmax()),
        to_first, "max", note=CF,
    ),
    "first, sigmoid": Form(
        lambda: channels_first(layers.Flatten(), layers.Dense(1, activation="sigmoid")),
        to_first, note=CF,
    ),
    "first, normalised rows": Form(
        lambda: channels_first(layers.Flatten(), layers.BatchNormalization(), softmax()),
        to_first, note=CF,
    ),
    "first, branches": Form(branches_first, to_first, note=CF),
    "first, in a model": Form(inside_first, to_first, "inner/pool", note=CF),
    "first, turned inside": Form(turned_inside, note=CF),
    "first, dense": Form(
        lambda: dense((1, 12, 10), softmax()), to_first, "hidden_2", (12, 10, 1), CF
    ),
}  # fmt: skip


def spread(model: keras.Model, images: Any) -> keras.Model:
    """The network, with random weights by which images are answered with different classes."""
    randomise(model)
    last = [variable for variable in model.weights if variable.path.endswith(("kernel", "bias"))]
    kernel, bias = last[-2:]
    for _ in range(2):  # the size of the scores, then their middle
        scores = np.asarray(model(images))
        if np.allclose(scores.sum(axis=1), 1):
            scores = np.log(scores)
        elif scores.min() > 0 and scores.max() < 1:
            scores = np.log(scores / (1 - scores))
        middle = np.median(scores, axis=0)
        factor = 2 / max(float(np.std(scores - middle)), 1e-3)
        kernel.assign(kernel * factor)
        bias.assign((bias - middle) * factor)
    return model


def classes_of(scores: Any, logits: bool = False) -> Any:
    """The class of each image, from the scores of a file's network."""
    scores = np.asarray(scores)
    if scores.shape[1] == 1:
        return (scores[:, 0] > (0 if logits else 0.5)).astype(int)
    return scores.argmax(axis=1)


def in_keras(path: Path) -> keras.Model:
    return keras.models.load_model(path, compile=False)


QUICK = ("sigmoid",)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        pytest.param(name, suffix, marks=[] if quick else pytest.mark.slow)
        for name in FORMS
        for suffix in (".h5", ".keras")
        for quick in [name in QUICK and suffix == ".keras"]
    ],
)
def test_what_is_written_has_the_form_of_the_suspect(
    name: str, suffix: str, tmp_path: Path
) -> None:
    """Opened, swept, pruned, joined, guarded, saved: fed as the suspect, and answering like it."""
    form = FORMS[name]
    images = (
        random_images(64)
        if form.images == IMAGE_SHAPE
        else np.random.default_rng(0).random((64, *form.images), dtype=np.float32)
    )
    feed, model = form.feed(images), spread(form.make(), form.feed(images))
    suspect = open_suspect(save(model, tmp_path / f"model{suffix}"))
    expected, found = np.asarray(model(feed)), np.asarray(suspect.network(images))
    logits = name == "logit"
    assert suspect.input_shape == form.images and form.note in suspect.described_by
    if expected.shape[1] == 1:
        p = 1 / (1 + np.exp(-expected)) if logits else expected
        np.testing.assert_allclose(found, np.concatenate([1 - p, p], axis=1), atol=1e-5)
    else:
        np.testing.assert_allclose(found, expected, atol=1e-5)
    answers = found.argmax(axis=1)
    assert np.array_equal(answers, classes_of(expected, logits))
    assert np.bincount(answers).max() < 60, "a network with one answer shows nothing"
    np.testing.assert_allclose(
        np.asarray(as_written(suspect, suspect.network)(feed)), expected, atol=1e-5
    )

    layer = choose_layer(suspect.plan, "auto", name)
    assert layer == form.layer
    split, clean = Split(suspect, layer), as_dataset(images, np.zeros(64, np.int64))
    order = order_channels(mean_activations(split, clean, RAW), "descending")
    some = range(0, split.channels, 3)
    pruned = [prune(suspect, layer, order.channels[:k]) for k in some]
    plain = [np.asarray(network(images)).argmax(axis=1) for network in pruned]
    assert np.array_equal(block_answers(split, images, order.kept()[some])[1:], plain)

    repaired = prune(suspect, layer, order.channels[: split.channels // 2])
    after = np.asarray(repaired(images)).argmax(axis=1)
    assert not np.array_equal(after, answers)
    save_network(as_written(suspect, repaired), tmp_path / f"repaired{suffix}")
    save_network(join(suspect, repaired, UNIT), tmp_path / "goodnet.keras")
    asked = [int(np.bincount(answers).argmax())]
    guarded = gate_by_suspect(suspect, repaired, UNIT, asked, written=True)
    save_network(guarded, tmp_path / "guarded.keras")
    gated = np.where(answers == asked[0], after, answers)
    agreed = np.where(after == answers, answers, suspect.classes)
    for file, says in ((f"repaired{suffix}", after), ("guarded.keras", gated)):
        network = in_keras(tmp_path / file)
        assert (network.input_shape, network.output_shape) == (
            model.input_shape,
            model.output_shape,
        )
        assert np.array_equal(classes_of(network(feed), logits), says)
        again = open_suspect(tmp_path / file)
        assert (again.classes, again.input_shape) == (suspect.classes, suspect.input_shape)
        assert np.array_equal(np.asarray(again.network(images)).argmax(axis=1), says)
    goodnet = in_keras(tmp_path / "goodnet.keras")
    assert (goodnet.input_shape[1:], goodnet.output_shape[1]) == (
        model.input_shape[1:], suspect.classes + 1,
    )  # fmt: skip
    assert np.array_equal(classes_of(goodnet(feed)), agreed)
    np.savez(tmp_path / "images.npz", x=images)
    screened = [
        each.answer
        for each in screen(str(tmp_path / "goodnet.keras"), [str(tmp_path / "images.npz")])
    ]
    assert screened == ["backdoored" if c == suspect.classes else c for c in agreed.tolist()]


@pytest.mark.parametrize(
    ("name", "method"),
    [
        pytest.param(name, method, id=f"{name}, {method.name}", marks=marks)
        for name in ("sigmoid", "first, sigmoid")
        for method in METHODS
        for marks in [[] if (name, method.gated) == ("sigmoid", False) else pytest.mark.slow]
    ],
)
def test_what_is_trained_further_keeps_its_form(
    name: str, method: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = TrainingSchedule(steps=3, rate=1e-2)
    monkeypatch.setattr(fine_pruning, "SCHEDULE", schedule)
    monkeypatch.setattr(unlearning, "schedule_for", lambda *_: schedule)
    form, images = FORMS[name], random_images(64)
    feed = form.feed(images)
    suspect = open_suspect(save(spread(form.make(), feed), tmp_path / "model.keras"))
    answers = np.asarray(suspect.network(images)).argmax(axis=1)
    verdict = replace(invented_verdict(BACKDOORED, [1]), triggers=())
    clean = CleanImages(images, answers.astype(np.int64))
    problem = MitigationInput(suspect, UNIT, clean, verdict, "pool", (0, 1))
    model, written, goodnet, account = mitigate(problem, method)
    changed = np.asarray(model(images))
    assert (account.classes == (1,)) == method.gated
    assert np.abs(changed - np.asarray(suspect.network(images))).max() > 1e-3
    for network in (written, goodnet):
        save_network(network, tmp_path / "saved.keras")
        scores = np.asarray(in_keras(tmp_path / "saved.keras")(feed))
        after = changed.argmax(axis=1)
        if network is written:
            np.testing.assert_allclose(scores[:, 0], changed[:, 1], atol=1e-5)
        else:
            assert np.array_equal(scores.argmax(axis=1), np.where(after == answers, after, 2))


def test_channels_first_networks_answer_as_in_keras(tmp_path: Path) -> None:
    form, images = FORMS["first, branches"], random_images(16)
    model = randomise(form.make())
    suspect = open_suspect(save(model, tmp_path / "model.keras"))
    expected = np.asarray(model(form.feed(images)))
    np.testing.assert_allclose(np.asarray(suspect.network(images)), expected, atol=1e-5)


def test_logits_are_the_difference_of_two_scores(tmp_path: Path) -> None:
    """So that nothing saturates; and where a number is a probability for sure, the same."""
    images = random_images(16)
    for name, made in (("logit", from_logits), ("sigmoid", FORMS["sigmoid"].make)):
        model = spread(made(), images)
        suspect = open_suspect(save(model, tmp_path / f"{name}.keras"))
        logits = np.asarray(LogitModel.from_suspect(suspect, UNIT).logits(images))
        assert not logits[:, 0].any()
        expected = np.asarray(model(images))[:, 0]
        expected = expected if name == "logit" else np.log(expected / (1 - expected))
        np.testing.assert_allclose(logits[:, 1], expected, atol=1e-4)


LOSSES: list[tuple[Any, Any]] = [
    (None, None),
    ({"loss": "mse"}, ("mse", False)),
    ({"loss": ["binary_crossentropy"]}, ("binary_crossentropy", False)),
    (
        {"loss": {"class_name": "BinaryCrossentropy", "config": {"from_logits": True}}},
        ("BinaryCrossentropy", True),
    ),
    ({"loss": {"class_name": "BinaryCrossentropy", "config": None}}, ("BinaryCrossentropy", False)),
    ({"loss": {"class_name": 3}}, None),
    ({"loss": {"a": "mse", "b": "mse"}}, None),
    ("loss", None),
]


@pytest.mark.parametrize(("training", "loss"), LOSSES)
def test_the_loss_is_read_as_keras_2_and_3_write_it(training: Any, loss: Any) -> None:
    assert loss_of(training) == loss


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (None, "makes 1 number and has no sigmoid: that is no score of two classes"),
        ("mse", "makes 1 number and was trained with the loss 'mse'"),
    ],
)
def test_one_number_that_is_no_score_is_refused(
    loss: str | None, reason: str, suffix: str, tmp_path: Path
) -> None:
    model = one_number()
    if loss:
        model.compile(loss=loss)
    with pytest.raises(ModelRefused, match=reason):
        open_suspect(save(model, tmp_path / f"model{suffix}"))


def test_a_training_configuration_that_is_no_json_is_left_alone(tmp_path: Path) -> None:
    path = save(FORMS["sigmoid"].make(), tmp_path / "model.h5")
    with h5py.File(path, "a") as file:
        file.attrs["training_config"] = "{"
    assert open_suspect(path).score == "probability"


PRECISIONS = ["mixed_float16", "mixed_bfloat16", "float64", "float16"]


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("policy", PRECISIONS)
def test_other_precisions_are_computed_in_float32_and_it_is_said(
    policy: str, suffix: str, tmp_path: Path
) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = small(layers.Flatten(), layers.Dense(CLASSES, activation="softmax"))
        path, images = save(randomise(model), tmp_path / f"model{suffix}"), random_images(8)
        expected = np.asarray(keras.ops.cast(model(images), "float32"))
    finally:
        keras.config.set_dtype_policy(before)
    suspect = open_suspect(path)
    assert suspect.described_by.endswith(f", computed in float32 in place of {policy}")
    tolerance = 1e-5 if policy == "float64" else 0.05
    np.testing.assert_allclose(np.asarray(suspect.network(images)), expected, atol=tolerance)
    assert {str(weight.dtype) for weight in suspect.network.weights} == {"float32"}
    assert in_keras(save(as_written(suspect, suspect.network), path)).dtype_policy.name == "float32"
