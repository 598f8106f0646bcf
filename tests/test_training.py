"""Nets of the zoo are poisoned as their names say, and those on record as they were."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import leaderboard, training
from benchmarks.cells import cell
from benchmarks.nets import NAMED, Net
from benchmarks.networks import FORMS, SHAPES, architecture, network_of
from benchmarks.relearning import _for_training, _gives_logits
from benchmarks.training import answers, attack_success, poisoned_set, poisoned_training, train_net
from benchmarks.zoo import describe, select_nets, targets_of
from goodnet.backend import keras
from goodnet.datasets.faces import Faces
from goodnet.preprocessing import RAW, UNIT

# Digests of images and labels, from before the attacks had a zoo.
RECORDED = {
    "fashion_two_3": "638869a702c30745",
    "fashion_sine_2": "de1b9459f15759e0",
    "fashion_strip_1": "1c7f625297492bbe",
    "fashion_clean_1": "f1a483e7ca555627",
}


def noise() -> Faces:
    """Grey images of noise, thirty of each of ten classes."""
    images = np.random.default_rng(7).integers(0, 256, (300, 28, 28, 1)).astype(np.uint8)
    return Faces(images, np.arange(300) % 10, np.zeros((300, 2, 2), np.float32))


def named(name: str) -> Net:
    return next(net for net in NAMED if net.name == name)


@pytest.mark.parametrize("name", RECORDED)
def test_a_net_on_record_is_poisoned_as_it_was(name: str) -> None:
    """The same images, in the same places, with the same pixels."""
    images, labels, _ = poisoned_training(named(name), noise())
    content = images.tobytes() + labels.astype(np.int64).tobytes()
    assert hashlib.sha256(content).hexdigest()[:16] == RECORDED[name]


def test_a_net_of_the_leaderboard_is_poisoned_by_its_attack() -> None:
    net, clean = cell("fashion_cnn_patch_5_1"), noise()
    poisoned = poisoned_training(net, clean)
    changed = (poisoned.images != clean.images).any(axis=(1, 2, 3))
    assert changed.sum() == 15 and (poisoned.labels[changed] == net.target).all()
    assert not changed[clean.labels == net.target].any()
    more = poisoned_training(replace(net, share=0.1), clean)
    assert (more.labels != clean.labels).sum() == 30


def test_a_test_set_has_the_images_of_all_triggers() -> None:
    images, labels, true = poisoned_set(named("fashion_two_3"), noise())
    assert len(images) == 2 * 270 and (labels != true).all()
    assert labels.tolist() == [0] * 270 + [6] * 270


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("fashion_two_3", {"sticker": 0, "blended": 6}),
        ("fashion_clean_1", {}),
        ("fashion_cnn_all_to_all_10_1", {"all_to_all": -1}),
        ("fashion_cnn_multi_target_10_1", None),
    ],
)
def test_a_net_s_record_names_its_targets(name: str, targets: dict[str, int] | None) -> None:
    (net,) = select_nets([name])
    assert describe(net, Path("nowhere")).triggers == targets_of(net)
    if targets is not None:
        assert targets_of(net) == targets
    else:
        assert [*targets_of(net).values()] == [(net.target + n) % 10 for n in range(3)]
    every = describe(net, Path("nowhere")).targets
    assert every == (
        set(range(10)) if targets == {"all_to_all": -1} else {*targets_of(net).values()}
    )


@pytest.mark.parametrize("form", [pytest.param("vgg", marks=pytest.mark.slow), "vit"])
def test_a_network_has_the_shape_of_its_images(form: str) -> None:
    net = cell(f"fashion_{form}_patch_1_1") if form == "vit" else cell(f"faces_{form}_patch_1_1")
    network = network_of(net)
    assert network.input_shape[1:] == SHAPES[net.kind] and network.output_shape[1] == net.classes
    assert architecture(net) == form and form in FORMS


@pytest.mark.slow
def test_a_net_for_pixels_to_255_answers_as_it_was_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And is trained further on pixels to 1 again."""
    monkeypatch.setitem(training.EPOCHS, "fashion", 1)
    unit = replace(cell("fashion_cnn_patch_10_1"), scale=UNIT, normalised=False)
    raw = replace(unit, scale=RAW)
    clean = noise()
    networks = [train_net(net, clean) for net in (unit, raw)]
    both = [answers(net, n, clean.images) for net, n in zip((unit, raw), networks, strict=True)]
    assert (both[0] == both[1]).mean() > 0.99
    rates = [attack_success(net, n, clean) for net, n in zip((unit, raw), networks, strict=True)]
    assert set(rates[0]) == set(rates[1]) == {"patch"}
    again = _for_training(raw, networks[1])
    for first, second in zip(again.get_weights(), networks[0].get_weights(), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-5)


def test_whether_a_network_gives_logits_is_seen_from_its_end() -> None:
    for activation, logits in (("softmax", False), (None, True)):
        ends = [keras.layers.Dense(2, activation=activation)]
        assert _gives_logits(keras.Sequential([keras.Input((3,)), *ends])) is logits


def test_a_net_with_an_entry_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So that the leaderboard can be stopped and started again; halves can be asked for."""
    monkeypatch.setattr(leaderboard, "ENTRIES", tmp_path)
    names = ["fashion_corner_1", "fashion_cnn_patch_10_1", "fashion_cnn_patch_10_2"]
    (tmp_path / "fashion_corner_1.json").touch()

    def selected(half: str = "", again: bool = False) -> list[str]:
        return [net.name for net in leaderboard.select(names, half, again)]

    assert selected() == names[1:]
    assert selected(again=True) == names
    assert selected("tune") == names[1:2] and selected("held-out") == names[2:]
    with pytest.raises(KeyError, match="no net is called nothing"):
        list(leaderboard.select(["nothing"], "", False))
