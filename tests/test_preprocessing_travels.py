"""Networks trained with some preprocessing: it is found, and what is made of them takes the same.

What the owner of a network does to pixels is written here anew, without ours.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import CLASSES, keras, save
from PIL import Image
from small_job import TARGET, clean_images, poisoned_images, small_badnet

import goodnet
from goodnet.api.model import Model
from goodnet.datasets.dataset import save_dataset
from goodnet.evaluation.screening import screen
from goodnet.network.goodnet import input_name, input_preprocessing
from goodnet.preprocessing import BUILT_IN, Preprocessing, parse_preprocessing
from goodnet.pruning import sweep

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
GIVEN = "mean=90,100,110,std=50,60,70,order=bgr"
OWNERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "raw": lambda x: x.astype(np.float32),
    "unit": lambda x: x.astype(np.float32) / 255,
    "signed": lambda x: x / 127.5 - 1,
    "centred": lambda x: x / 255 - 0.5,
    "caffe": lambda x: x[..., ::-1] - np.array([103.939, 116.779, 123.68]),
    "torch": lambda x: (x / 255 - MEAN) / DEVIATION,
    GIVEN: lambda x: (x[..., ::-1] - np.array([90, 100, 110])) / np.array([50, 60, 70]),
}
NOISE, COUNT = 0.7, 300
LABELS = np.arange(COUNT) % CLASSES


def preprocessing_of(name: str) -> Preprocessing:
    """The preprocessing of an owner."""
    preprocessing = parse_preprocessing(name)
    assert preprocessing is not None
    return preprocessing


def answers(network: Any, owner: str, pixels: np.ndarray) -> np.ndarray:
    """The classes that a plain Keras network gives its owner."""
    scores: np.ndarray = network.predict(OWNERS[owner](pixels), verbose=0)
    return scores.argmax(axis=1)


@pytest.fixture
def images(tmp_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Validation and test images, which lie in files, too."""
    valid, test = (clean_images(LABELS, seed=seed, noise=NOISE) for seed in (2, 3))
    save_dataset(tmp_path / "valid.h5", valid, LABELS)
    save_dataset(tmp_path / "test.h5", test, LABELS)
    save_dataset(tmp_path / "bad.h5", poisoned_images(test), TARGET + 0 * LABELS, LABELS)
    return valid, test


def load(
    tmp_path: Path, owner: str, attacked: bool = True, request: str = "auto", noise: float = NOISE
) -> tuple[Model, Any]:
    """The owner's network as ours and as plain Keras has it."""
    network = small_badnet(preprocessing_of(owner), attacked=attacked, noise=noise)
    path = save(network, tmp_path / "model.keras")
    return goodnet.load_model(path, preprocessing=request), network


@pytest.mark.parametrize(
    "attacked", [pytest.param(True, marks=pytest.mark.slow), False], ids=["attacked", "clean"]
)
@pytest.mark.parametrize("owner", [each.name for each in BUILT_IN])
def test_the_owners_preprocessing_is_found(owner: str, attacked: bool, tmp_path: Path) -> None:
    """Or it is said to be a near-tie; and the accuracy is that in the owner's own pipeline."""
    noise = 0.7 if attacked else 0.8  # the task is then not too easy to tell them apart
    pixels = clean_images(LABELS, seed=2, noise=noise)
    save_dataset(tmp_path / "valid.h5", pixels, LABELS)
    model, network = load(tmp_path, owner, attacked, noise=noise)
    goodnet.load_images(tmp_path / "valid.h5", model)
    info = model.preprocessing_info
    assert info is not None
    assert owner in (info.preprocessing.name, *(info.near_ties if attacked else ()))
    assert set(info.accuracies) >= {each.name for each in BUILT_IN}
    own = int((answers(network, owner, pixels) == LABELS).sum())
    assert info.accuracies[owner].hits == own > 0.6 * COUNT
    best = info.accuracies[info.preprocessing.name].hits
    assert best >= own


@pytest.mark.parametrize(
    "owner",
    [
        "unit",
        "torch",
        *(pytest.param(o, marks=pytest.mark.slow) for o in ("raw", "signed", "caffe")),
    ],
)
def test_a_first_look_leaves_out_only_what_is_clearly_worse(
    owner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The choice is that of trying all on all images, and no accuracy on these is another."""
    save_dataset(tmp_path / "valid.h5", clean_images(LABELS, seed=2, noise=NOISE), LABELS)
    load(tmp_path, owner)
    infos = []
    for look in (64, COUNT):
        monkeypatch.setattr(sweep, "FIRST_LOOK", look)
        model = goodnet.load_model(tmp_path / "model.keras")
        goodnet.load_images(tmp_path / "valid.h5", model)
        infos.append(model.preprocessing_info)
    quick, plain = infos
    assert quick and plain
    assert (quick.preprocessing, quick.near_ties) == (plain.preprocessing, plain.near_ties)
    assert list(quick.accuracies) == list(plain.accuracies)
    assert {share.count for share in plain.accuracies.values()} == {COUNT}
    left_out = {name for name, share in quick.accuracies.items() if share.count == 64}
    assert left_out and not left_out & {"raw", "unit"}
    best = plain.accuracies[plain.preprocessing.name].value
    for name, share in quick.accuracies.items():
        if name in left_out:
            assert plain.accuracies[name].value < best - 0.05
        else:
            assert share == plain.accuracies[name]


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    "owner",
    [
        "caffe",
        GIVEN,
        *(pytest.param(o, marks=pytest.mark.slow) for o in ("unit", "signed", "torch")),
    ],
)
def test_pruned_models_and_goodnets_take_what_the_suspect_took(
    owner: str, tmp_path: Path, images: tuple[np.ndarray, np.ndarray]
) -> None:
    """By plain Keras, fed as the owner does, to the image; and `screen` from PNG files."""
    model, network = load(tmp_path, owner, request=owner)
    clean = goodnet.load_images(tmp_path / "valid.h5", model)
    test = goodnet.load_images(tmp_path / "test.h5", model)
    bad = goodnet.load_images(tmp_path / "bad.h5", model, poisoned=True)
    pruned = goodnet.prune(model, goodnet.sweep(model, clean), drop=2)
    gate = goodnet.GoodNet(model, pruned)
    counts = goodnet.evaluate(model, [pruned, gate], clean=test, poisoned=bad).counts[0]
    pruned.save(tmp_path / "pruned.keras")
    gate.save(tmp_path / "goodnet.keras")
    repaired, joined = (
        keras.models.load_model(tmp_path / f"{name}.keras", compile=False)
        for name in ("pruned", "goodnet")
    )
    before, after, agreed = (answers(net, owner, images[1]) for net in (network, repaired, joined))
    name = pruned.identity.name
    assert counts["suspect"].correct == (before == LABELS).sum()
    assert counts[name].correct == (after == LABELS).sum()
    assert counts[name].agreed == (agreed == LABELS).sum()
    assert counts[name].flagged == (agreed == CLASSES).sum() > 0
    pictures = []
    for row in range(40):
        pictures.append(str(tmp_path / f"{row}.png"))
        Image.fromarray(images[1][row]).save(pictures[-1])
    expected = ["backdoored" if c == CLASSES else c for c in agreed[:40].tolist()]
    assert [each.answer for each in screen(str(tmp_path / "goodnet.keras"), pictures)] == expected
    rows = screen(str(tmp_path / "goodnet.keras"), [str(tmp_path / "test.h5")])
    assert [each.answer for each in rows][:40] == expected


@pytest.mark.slow
@pytest.mark.parametrize("attacked", [True, False], ids=["attacked", "clean"])
@pytest.mark.parametrize("owner", ["signed", "caffe", "torch", GIVEN])
def test_the_verdict_is_right_with_any_preprocessing(
    owner: str, attacked: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if (owner, attacked) == ("caffe", False):  # simple triggers: 0.302, suspicious from 0.3
        known = pytest.mark.xfail(reason="a clean network is inconclusive", strict=True)
        request.node.add_marker(known)
    save_dataset(tmp_path / "valid.h5", clean_images(LABELS, seed=2), LABELS)
    path = save(small_badnet(preprocessing_of(owner), attacked=attacked), tmp_path / "model.keras")
    model = goodnet.load_model(path, preprocessing=owner)
    verdict = goodnet.detect(model, goodnet.load_images(tmp_path / "valid.h5", model))
    assert verdict.classes == ((TARGET,) if attacked else ())
    assert verdict.verdict == ("backdoored" if attacked else "no backdoor found")


@pytest.mark.parametrize("name", [*OWNERS, "mean=.1,std=1e-7", "mean=0.123456789,std=0.3"])
def test_an_input_layers_name_says_the_preprocessing(name: str) -> None:
    preprocessing = preprocessing_of(name)
    assert input_preprocessing(input_name(preprocessing)) == preprocessing


@pytest.mark.parametrize(
    "name",
    [
        "images",
        "pixels_0_to_2",
        "pixels_x_rgb_times_1.0_plus_",
        "pixels_x_rgb_times_0.0_plus_1.0",
        "pixels_x_grb_times_1.0_plus_1.0",
        "pixels_x_rgb_times_1e999_plus_1.0",
        "pixels_x_rgb_times_1.0_plus_1e999",
        "pixels_x_rgb_times_1.0_2.0_plus_1.0_2.0_3.0",
    ],
)
def test_another_name_says_nothing(name: str) -> None:
    assert input_preprocessing(name) is None
