"""Reference networks learn what the suspect's images teach, whatever the suspect is built of."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from invented import invented_findings, invented_verdict
from numpy.typing import NDArray

from goodnet.backend import keras
from goodnet.datasets.images import CleanImages
from goodnet.detection import reference_models as module
from goodnet.detection.detect import detect
from goodnet.detection.reference_models import required_accuracy, train_references
from goodnet.detection.verdict import INCONCLUSIVE, References
from goodnet.metrics import Proportion
from goodnet.network.classifier import LogitModel
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import RAW, SCALES, UNIT, Preprocessing
from goodnet.report.document import report_markdown
from goodnet.report.inspection import verdict_lines
from goodnet.report.verdict_sentence import verdict_sentence

SIDE, CLASSES = 8, 4
layers = keras.layers


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short training is enough for images so plain."""
    monkeypatch.setattr(module, "STEPS", 60)


def quarters(count: int = 80, wrong: float = 0.0) -> CleanImages:
    """Dark images with one bright quarter, which is the class; a share of the labels is wrong."""
    rng = np.random.default_rng(0)
    true = np.arange(count, dtype=np.int64) % CLASSES
    pixels = rng.uniform(0, 0.4, (count, SIDE, SIDE, 1))
    for image, label in zip(pixels, true, strict=True):
        top, left = 4 * (label // 2), 4 * (label % 2)
        image[top : top + 4, left : left + 4] += 0.4
    labels = np.where(rng.random(count) < wrong, rng.permutation(true), true)
    return CleanImages(pixels.astype(np.float32), labels)


def taught(
    network: keras.Model, clean: CleanImages, white: float = 1, momentum: float = 0.99
) -> keras.Model:
    """The network, in place, with statistics of the images at a scale, and scores that fit them."""
    pixels = white * clean.pixels
    norms = [layer for layer in network.layers if isinstance(layer, layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0
    network(pixels, training=True)
    for norm in norms:
        norm.momentum = momentum
    features = np.asarray(keras.Model(network.inputs[0], network.layers[-2].output)(pixels))
    features = np.hstack([features, np.ones((len(clean), 1))])
    fitted = np.linalg.lstsq(features, 9 * np.eye(CLASSES)[clean.labels], rcond=None)[0]
    network.layers[-1].set_weights([fitted[:-1], fitted[-1]])
    return network


def network_of(*inner: Any) -> keras.Model:
    """A classifier with these layers between images and scores."""
    x = images = keras.Input((SIDE, SIDE, 1))
    for layer in inner:
        x = layer(x)
    x = layers.Dense(CLASSES, activation="softmax")(layers.Flatten()(x))
    return keras.Model(images, x)


def normalised() -> list[Any]:
    """Layers of a small network with normalisation."""
    made = list[Any]()
    for _ in range(2):
        made += [layers.Conv2D(6, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()]
    return made


def for_raw_pixels(network: keras.Model) -> keras.Model:
    """The network, in place, for pixels 0..255 in place of 0..1."""
    first = next(layer for layer in network.layers if layer.weights)
    kernel, *rest = first.get_weights()
    first.set_weights([kernel / 255, *rest])
    return network


# layers, the network's scale, the momentum its file says
BUILT: dict[str, tuple[Callable[[], list[Any]], Preprocessing, float]] = {
    "slow": (normalised, UNIT, 0.999),
    "raw": (normalised, RAW, 0.9),
    "dropped": (
        lambda: [layers.Conv2D(6, 3), layers.GaussianNoise(1.0), layers.Dropout(0.95)],
        UNIT,
        0.99,
    ),
    "rescaled": (lambda: [layers.Rescaling(1 / 255), layers.Conv2D(6, 3)], RAW, 0.99),
    "depthwise": (lambda: [layers.DepthwiseConv2D(3, depth_multiplier=6)], RAW, 0.99),
}


@pytest.mark.parametrize("name", list(BUILT))
def test_references_learn_at_the_suspect_s_scale_whatever_the_momentum(
    name: str, as_suspect: Callable[[Any], Suspect]
) -> None:
    (built, scale, momentum), clean = BUILT[name], quarters()
    white = 255 if name == "rescaled" else 1
    network = taught(network_of(*built()), clean, white, momentum)
    if scale.gain != white:
        for_raw_pixels(network)
    view = LogitModel.from_suspect(as_suspect(network), scale)
    references = train_references(view, clean, count=1)
    assert view.accuracy(clean).value > 0.95
    assert references.account.outcome == "trained"
    assert references.account.accuracies[0].value > 0.95
    inner = references.networks[0].network.layers
    assert {layer.momentum for layer in inner if hasattr(layer, "momentum")} <= {momentum}


def test_references_of_the_same_network_and_images_are_trained_once(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    clean = quarters()
    suspect = as_suspect(taught(network_of(layers.Conv2D(6, 3)), clean))
    first = train_references(LogitModel.from_suspect(suspect, UNIT), clean, count=1)
    assert train_references(LogitModel.from_suspect(suspect, UNIT), clean, count=1) is first
    others = [
        (LogitModel.from_suspect(suspect, UNIT), clean, 1),
        (LogitModel.from_suspect(suspect, RAW), clean, 0),
        (LogitModel.from_suspect(suspect, UNIT), quarters(wrong=0.1), 0),
    ]
    for view, images, seed in others:
        assert train_references(view, images, seed=seed, count=1) is not first


@pytest.mark.parametrize("scale", SCALES)
def test_statistics_are_those_of_the_clean_images(
    scale: Preprocessing, as_suspect: Callable[[Any], Suspect]
) -> None:
    clean = quarters(200)
    network = taught(network_of(layers.BatchNormalization()), clean, scale.gain)
    references = train_references(
        LogitModel.from_suspect(as_suspect(network), scale), clean, count=1
    )
    norm = references.networks[0].network.layers[1]
    pixels = scale.gain * clean.pixels
    np.testing.assert_allclose(np.asarray(norm.moving_mean), [pixels.mean()], rtol=1e-4)
    np.testing.assert_allclose(np.asarray(norm.moving_variance), [pixels.var()], rtol=1e-2)


def test_a_reference_for_raw_pixels_is_that_of_the_same_network_for_0_to_1(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    clean, logits = quarters(), list[NDArray[np.float32]]()
    network = taught(network_of(layers.Conv2D(6, 3, activation="relu")), clean)
    for scale in (UNIT, RAW):
        if scale is RAW:
            for_raw_pixels(network)
        references = train_references(
            LogitModel.from_suspect(as_suspect(network), scale), clean, count=1
        )
        assert references.networks[0].preprocessing is scale
        logits.append(references.networks[0].all_logits(clean.pixels))
    np.testing.assert_allclose(*logits, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    ("layer", "summed"),
    [
        (layers.Conv2D(64, 3), 1 / (9 * 16)),
        (layers.Conv2D(64, 3, groups=4), 1 / (9 * 4)),
        (layers.DepthwiseConv2D(3), 1 / 9),
        (layers.Conv2DTranspose(64, 3), 1 / (9 * 16)),
        (layers.PReLU(), 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_kernels_start_by_what_they_sum(layer: Any, summed: float) -> None:
    """16 channels in: the variance of a kernel is 2 by how many numbers it sums for an output."""
    images = keras.Input((32, 32, 16))
    network = keras.Model(images, keras.Sequential([layer])(images))
    module._initialise(network, np.random.default_rng(0))
    assert np.var(layer.get_weights()[0]) == pytest.approx(2 * summed, rel=0.3)


def test_what_a_reference_has_to_know_is_relative_to_the_suspect(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    clean = quarters()
    assert required_accuracy(Proportion(80, 80), clean) == pytest.approx(
        0.25 + module.REQUIRED_SHARE * 0.75
    )
    assert required_accuracy(Proportion(40, 80), clean) == pytest.approx(
        0.25 + module.REQUIRED_SHARE * 0.25
    )
    assert required_accuracy(Proportion(10, 80), clean) == pytest.approx(0.25)
    network = taught(network_of(layers.Conv2D(6, 3)), clean)
    doubtful = quarters(wrong=0.4)
    view = LogitModel.from_suspect(as_suspect(network), UNIT)
    assert 0.5 < view.accuracy(doubtful).value < 0.7
    references = train_references(view, doubtful)
    assert references.account.outcome == "trained"
    assert max(share.value for share in references.account.accuracies) < 0.7


def test_the_reason_for_no_references_is_the_true_one(
    as_suspect: Callable[[Any], Suspect], monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = quarters()
    view = LogitModel.from_suspect(
        as_suspect(taught(network_of(layers.AveragePooling2D(4)), clean)), UNIT
    )
    few = detect(view, clean.take(np.arange(19)))
    assert few.references.outcome == "too few images"
    monkeypatch.setattr(module, "STEPS", 1)
    monkeypatch.setattr(module, "STEPS_PER_CLASS", 0)
    none = detect(view, clean)
    assert none.references.outcome == "did not learn"
    for verdict, reason in (
        (few, "19 clean images are too few to train references with"),
        (none, "the references did not learn the clean images: "),
    ):
        assert verdict.verdict == INCONCLUSIVE and not verdict.referenced
        assert verdict.references.lack.startswith(reason)
        assert [line for line in verdict_lines(verdict) if verdict.references.lack in line]
        assert verdict.references.lack in verdict_sentence(verdict)
    assert none.as_json()["references"] == {
        "outcome": "did not learn",
        "suspect_right": 1.0,
        "right": [round(share.value, 4) for share in none.references.accuracies],
    }


@pytest.mark.parametrize(
    ("account", "said", "not_said"),
    [
        (References("trained", Proportion(9, 10), ()), "no class stands out", "references"),
        (
            References("too few images", Proportion(9, 10), ()),
            "10 clean images are too few",
            "learn",
        ),
        (
            References("did not learn", Proportion(3, 5), (Proportion(1, 5), Proportion(2, 5))),
            "did not learn the clean images: 40.0% right where the suspect has 60.0%",
            "too few",
        ),
    ],
    ids=lambda value: value.outcome if isinstance(value, References) else "",
)
def test_the_report_gives_the_reason(account: References, said: str, not_said: str) -> None:
    verdict = replace(invented_verdict(), references=account)
    if account.lack:
        verdict = replace(verdict, verdict=INCONCLUSIVE)
    text = report_markdown(invented_findings(verdict=verdict), [])
    section = text.split("## Verdict")[1].split("\n## ")[0]
    assert said in section and not_said not in section
