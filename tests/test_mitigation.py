"""Second repairs: chosen by the verdict, blind to what they may not see, and they work."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, get_type_hints

import numpy as np
import pytest
from invented import invented_curve, invented_verdict
from test_detection import clean_images, corner_network

from goodnet import backend
from goodnet.datasets.images import CleanImages
from goodnet.detection.detect import detect
from goodnet.detection.reference_models import train_references
from goodnet.detection.verdict import BACKDOORED, INCONCLUSIVE
from goodnet.metrics import Proportion
from goodnet.mitigation.adversarial_triggers import TriggerPool, draw_trigger, in_cells
from goodnet.mitigation.holdout import hold_out
from goodnet.mitigation.methods import METHODS, fine_pruning, unlearning
from goodnet.mitigation.methods.unlearning import schedule_for, unlearn
from goodnet.mitigation.mitigate import MitigationInput, mitigate
from goodnet.mitigation.policy import channels_pruned_first, choose_method
from goodnet.network import classifier
from goodnet.network.classifier import LogitModel
from goodnet.network.cut import find_cut
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import RAW, UNIT
from goodnet.progress import no_progress
from goodnet.training import finetune
from goodnet.training.batches import TrainingImages, sampling_probabilities
from goodnet.training.finetune import pixel_kernels
from goodnet.training.schedule import TrainingSchedule
from goodnet.triggers.trigger import RecoveredTrigger, Trigger


def test_what_chooses_or_trains_is_blind_by_type() -> None:
    """Verdict, choice and mitigation take `CleanImages`, and no data set of whatever role.

    How these can be made of a clean validation set alone, `test_dataset` shows.
    """
    functions: list[Callable[..., Any]] = [
        *(
            detect,
            train_references,
            choose_method,
            mitigate,
            unlearn,
            hold_out,
            *(method.repair for method in METHODS),
        ),
    ]
    for function in functions:
        types = str(inspect.signature(function))
        assert "Dataset" not in types and "ndarray" not in types, function
    assert set(get_type_hints(MitigationInput)) == {
        *("suspect", "preprocessing", "clean", "verdict", "layer", "channels")
    }
    assert get_type_hints(MitigationInput)["clean"] is CleanImages


def test_the_verdict_chooses_unless_a_method_is_asked_for() -> None:
    nothing, doubtful = invented_verdict(), invented_verdict(INCONCLUSIVE, suspicious=[1])
    named = invented_verdict(BACKDOORED, [3])
    chosen = [choose_method("auto", verdict) for verdict in (nothing, doubtful, named)]
    assert chosen == [None, fine_pruning.METHOD, unlearning.METHOD]
    assert choose_method("pruning", named) is None
    assert choose_method("finepruning", nothing) == fine_pruning.METHOD
    assert choose_method("unlearning", doubtful) == unlearning.METHOD
    assert (
        choose_method("unlearning", nothing) == fine_pruning.METHOD
    )  # there is no class to unlearn


def test_fine_pruning_starts_from_the_drop_of_four_points_whatever_drops_are_asked_for() -> None:
    curve = invented_curve(points=("10",))
    channels = channels_pruned_first(curve)
    assert channels == curve.order.channels[: len(channels)]
    lost = [190 - right for right in curve.clean_correct]
    assert lost[len(channels)] >= 8 > lost[len(channels) - 1]


def test_neighbours_of_a_class_stay_together_and_no_image_is_in_both_parts() -> None:
    labels = np.repeat(np.arange(3), 10)
    pixels = np.arange(30, dtype=np.float32).reshape(30, 1, 1, 1) / 30
    tuning_part, held_out = hold_out(CleanImages(pixels, labels))
    assert len(tuning_part) == 21 and len(held_out) == 9
    rows = np.rint(held_out.pixels.ravel() * 30).astype(int).tolist()
    assert rows == [7, 8, 9, 17, 18, 19, 27, 28, 29]


def test_cells_have_the_mean_of_their_pixels() -> None:
    pattern = np.array([[0, 1, 0.5], [1, 0, 0.5], [0.2, 0.4, 1]], np.float32)[..., None]
    expected = [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0.3, 0.3, 1]]
    np.testing.assert_allclose(in_cells(pattern, 2)[..., 0], expected, rtol=1e-6)


def test_adversarial_triggers_are_rectangles_within_the_image() -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((20, 14, 1), np.float32)
    mask[3:7, 2:6] = 1
    seed_trigger = Trigger(1, mask, np.ones((20, 14, 3), np.float32))
    for _ in range(50):
        trigger = draw_trigger((20, 14, 3), 1, rng, [seed_trigger]).trigger
        covered = trigger.mask[..., 0] > 0
        rows, columns = covered.any(axis=1), covered.any(axis=0)
        assert covered.any() and (covered == rows[:, None] & columns).all()
        assert trigger.pattern.shape == (20, 14, 3)
        assert trigger.pattern.min() >= 0 and trigger.pattern.max() <= 1


def test_an_adversarial_trigger_is_like_a_seed_of_its_own_class_and_no_other() -> None:
    shape = (20, 14, 1)
    faint, white = np.full(shape, 0.2, np.float32), np.ones(shape, np.float32)
    seed = Trigger(2, faint, white)

    def masks(target: int, seeds: list[Trigger]) -> list[Any]:
        rng = np.random.default_rng(0)
        return [draw_trigger(shape, target, rng, seeds).trigger.mask for _ in range(60)]

    np.testing.assert_array_equal(masks(1, [seed]), masks(1, []))
    opacities = [mask.max() for mask in masks(2, [seed]) if mask.min() > 0]
    assert len(opacities) > 25 and 0.3 < max(opacities) < 0.36


def test_twice_the_weight_of_a_class_is_twice_the_triggers_for_it() -> None:
    shape, clean = (12, 12, 1), clean_images()
    model: Any = SimpleNamespace(clean_margin=lambda images: 1.0)
    pool = TriggerPool(model, clean, {2: 2, 0: 1}, [], np.random.default_rng(0))
    rng = np.random.default_rng(1)
    targets = [pool.draw(rng).target for _ in range(600)]
    assert 1.5 < targets.count(2) / targets.count(0) < 2.7 and set(targets) == {0, 2}
    assert pool.draw(rng).pattern.shape == shape


def test_unlearning_starts_from_every_trigger_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    white = np.ones((2, 2, 1), np.float32)
    faint = RecoveredTrigger.encode(Trigger(3, 0.2 * white, white), Proportion(1, 1), 1.0)
    verdict = invented_verdict(BACKDOORED, [3])
    verdict = replace(verdict, runner_up=(0,), other_triggers=(faint,))
    given: list[Any] = []
    monkeypatch.setattr(unlearning, "unlearn", lambda *args, **_: given.append(args))
    monkeypatch.setattr(LogitModel, "from_suspect", lambda *_: None)
    clean = CleanImages(np.zeros((4, 2, 2, 1), np.float32), np.arange(4))
    problem: Any = SimpleNamespace(verdict=verdict, suspect=None, preprocessing=UNIT)
    view: Any = SimpleNamespace(work=10**6)
    unlearning.repair(problem, view, hold_out(clean), 0, no_progress)
    [(_, _, _, targets, seeds, logit_penalty)] = given
    assert targets == {3: 3, 0: 1} and set(logit_penalty) == {3}
    assert [trigger.mask.max() for trigger in seeds] == pytest.approx([1, 0.2])


def test_a_rare_unlearned_class_is_drawn_as_often_as_the_average_one() -> None:
    labels = np.array([0, 1, 1, 1, 2, 2, 2, 2])  # 8 / 3 images a class
    np.testing.assert_allclose(sampling_probabilities(labels, [2]), np.full(8, 1 / 8))
    chances = sampling_probabilities(labels, [0, 2, 5])
    assert chances[0] == pytest.approx(8 / 3 * chances[1])
    np.testing.assert_allclose(chances[1:], chances[1])
    assert chances.sum() == pytest.approx(1)


def test_the_smaller_the_images_the_longer_the_schedule() -> None:
    shapes = ((28, 28, 1), (55, 47, 1), (55, 47, 3), (200, 200, 3))
    assert [schedule_for(shape, 10**6, 7).steps for shape in shapes] == [1000, 1000, 400, 400]
    assert schedule_for((55, 47, 2), 10**6, 7) == unlearning.SCHEDULE._replace(steps=600, seed=7)
    large = [schedule_for((224, 224, 3), work * 10**6, 7).steps for work in (79, 348, 3947)]
    assert large == [400, 304, 60]  # MobileNetV2 at width 0.35 and 1, and ResNet50


def test_the_rate_rises_and_falls() -> None:
    schedule = TrainingSchedule(steps=10, rate=1.0)
    rates = [schedule.learning_rate(step) for step in range(10)]
    assert rates[:3] == pytest.approx([1 / 3, 2 / 3, 1])
    assert rates[2:] == sorted(rates[2:], reverse=True)


def test_the_rate_stays_level_until_it_is_said_to_fall_and_falls_in_proportion() -> None:
    schedule = TrainingSchedule(steps=100, rate=1.0, level=0.3)
    assert [step for step in range(100) if schedule.is_level(step)] == list(range(30, 60))
    assert {schedule.learning_rate(step) for step in range(29, 61)} == {1.0}
    shorter = schedule.falling_from(42)
    assert shorter.steps == 70 and not any(map(shorter.is_level, range(42, 70)))
    rates = [shorter.learning_rate(step) for step in range(42, 70)]
    assert rates == sorted(rates, reverse=True) and rates[0] == 1 and rates[-1] < 0.01
    assert schedule.falling_from(99) == schedule


def test_training_ends_early_once_nothing_gets_better() -> None:
    """And hardly an image is led to the classes: of these looks, shares led and right, the last."""
    led = (0.5, 0.2, 0.2, 0.2, 0.03, 0.03, 0.04, 0.031, 0.025)
    right = (0.8, 0.8, 0.8, 0.8, 0.8, 0.9, 0.9, 0.905, 0.9)
    looks = iter(zip(led, right, strict=True))

    def look(*_: Any) -> float:
        nonlocal now
        now = next(looks)
        return now[0]

    now = (0.0, 0.0)
    model: Any = SimpleNamespace(accuracy=lambda _: SimpleNamespace(value=now[1]))
    pool: Any = SimpleNamespace(success=look)
    watch = unlearning.Watch(model, clean_images(), (), pool, np.random.default_rng(0))
    steps = range(1, 9 * unlearning.LOOK_EVERY + 1)
    assert [step for step in steps if watch.settled(step)] == [9 * unlearning.LOOK_EVERY]


def test_triggers_of_a_pool_are_held_against_images_of_other_classes(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    """The white corner takes all of them to class 2; nothing else does."""
    view, clean = LogitModel.from_suspect(as_suspect(corner_network()), RAW), clean_images()
    rng = np.random.default_rng(0)
    pool = TriggerPool(view, clean, {2: 1}, (), rng)
    corner = np.zeros((*clean.pixels.shape[1:3], 1), np.float32)
    corner[:2, :2] = 1
    for share, mask in ((1.0, corner), (0.0, 0 * corner)):
        trigger = Trigger(2, mask, np.ones_like(clean.pixels[0]))
        pool._pool = [replace(each, trigger=trigger) for each in pool._pool]
        assert pool.success(clean, 3, rng) == share


def test_the_last_part_of_a_network_may_be_trained_alone(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    """With a batch of variants whose features are those of the front, trigger or not."""
    layers = backend.keras.layers
    backend.keras.utils.set_random_seed(0)
    images = backend.keras.Input((8, 8, 3))
    hidden = layers.Conv2D(4, 3, activation="relu", name="first")(images)
    hidden = layers.Dense(6, activation="relu")(layers.Flatten(name="end")(hidden))
    outputs = layers.Dense(3, activation="softmax")(hidden)
    suspect = as_suspect(backend.keras.Model(images, outputs))
    clean = CleanImages(
        np.random.default_rng(0).random((12, 8, 8, 3), dtype=np.float32), np.arange(12) % 3
    )
    view, teacher = (LogitModel.from_suspect(suspect, RAW) for _ in range(2))
    clean = CleanImages(clean.pixels, teacher.predict(clean.pixels))
    schedule = TrainingSchedule(steps=5, rate=1e-2)
    taken: list[Any] = []

    def apply(image: Any, rng: np.random.Generator) -> Any:
        taken.append(1 - image)
        return taken[-1]

    finetune.train_further(view, teacher, clean, schedule, apply, share=0.25)
    changed = [
        not np.array_equal(old, new)
        for old, new in zip(teacher.network.weights, view.network.weights, strict=True)
    ]
    assert changed == [False, False, True, True, True, True]
    cut = find_cut(teacher, 0.25)
    rng = np.random.default_rng(1)
    drawn = TrainingImages(clean, teacher, cut, [], 5, rng).batch(apply)
    shown = np.flatnonzero(drawn.triggered)
    assert 0 < len(shown) < len(drawn.triggered)
    expected = np.asarray(cut.front(np.stack(taken[-len(shown) :])))
    np.testing.assert_allclose(drawn.features[shown], expected, rtol=1e-5, atol=1e-4)
    plain = drawn.triggered == 0
    answers = np.asarray(cut.rest(drawn.features[plain]))
    np.testing.assert_allclose(answers, drawn.answers[plain], rtol=1e-4, atol=1e-3)


def test_a_network_for_raw_pixels_learns_like_the_same_network_for_0_to_1(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    raw = as_suspect(corner_network())
    kernel, bias = raw.network.get_weights()
    unit = corner_network()
    unit.set_weights([kernel * 255, bias])
    clean, trained = clean_images(), []
    for suspect, scale in ((raw, RAW), (as_suspect(unit), UNIT)):
        view, teacher = (
            LogitModel.from_suspect(suspect, scale),
            LogitModel.from_suspect(suspect, scale),
        )
        assert len(list(pixel_kernels(view.plan, view.network))) == 1
        schedule = TrainingSchedule(steps=20, rate=1e-2)
        finetune.train_further(view, teacher, clean, schedule, lambda image, rng: image)
        trained.append(view.all_logits(clean.pixels))
    assert not np.allclose(trained[0], teacher.all_logits(clean.pixels), atol=0.1)
    np.testing.assert_allclose(*trained, rtol=1e-3, atol=1e-2)


def test_a_depthwise_kernel_reads_pixels(as_suspect: Callable[[Any], Suspect]) -> None:
    layers = backend.keras.layers
    images = backend.keras.Input((12, 12, 3))
    hidden = layers.Flatten()(layers.DepthwiseConv2D(3)(images))
    suspect = as_suspect(backend.keras.Model(images, layers.Dense(3)(hidden)))
    view = LogitModel.from_suspect(suspect, RAW)
    assert [kernel.shape for kernel in pixel_kernels(view.plan, view.network)] == [(3, 3, 3, 1)]


def test_a_penalised_class_is_answered_less_readily(as_suspect: Callable[[Any], Suspect]) -> None:
    """By the clean margins asked for, and the other classes as before."""
    suspect, clean = as_suspect(corner_network()), clean_images()
    before = LogitModel.from_suspect(suspect, RAW)
    view, unit = before.copy(), before.clean_margin(clean)
    schedule, penalty = TrainingSchedule(steps=200, rate=1e-2), {2: 0.3}
    finetune.train_further(view, before, clean, schedule, lambda image, rng: image, [1, 2], penalty)
    gained = (view.all_logits(clean.pixels) - before.all_logits(clean.pixels)) / unit
    others = np.delete(gained, 2, axis=1)
    np.testing.assert_allclose((gained[:, 2] - others.mean(axis=1)).mean(), -0.3, atol=0.03)
    np.testing.assert_allclose(others.mean(axis=0), others.mean(), atol=0.05)


def test_a_batch_shared_by_workers_teaches_what_it_teaches_whole(
    as_suspect: Callable[[Any], Suspect], monkeypatch: pytest.MonkeyPatch
) -> None:
    suspect, clean, trained = as_suspect(corner_network()), clean_images(), []
    white = np.ones_like(clean.pixels[0])
    for workers, most in ((1, 10**6), (7, 10**6), (2, 0)):  # 0: one image in each worker
        monkeypatch.setattr(backend, "WORKERS", workers)
        monkeypatch.setattr(classifier, "MOST_VALUES", most)
        view, teacher = (
            LogitModel.from_suspect(suspect, RAW),
            LogitModel.from_suspect(suspect, RAW),
        )
        schedule = TrainingSchedule(steps=20, rate=1e-2)
        finetune.train_further(view, teacher, clean, schedule, lambda image, rng: white, [2])
        trained.append(view.all_logits(clean.pixels))
    assert not np.allclose(trained[0], teacher.all_logits(clean.pixels), atol=0.1)
    for other in trained[1:]:
        np.testing.assert_allclose(trained[0], other, rtol=1e-4, atol=1e-3)


@pytest.mark.slow
def test_a_corner_is_unlearned_and_its_record_says_so(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    network = corner_network()
    network.set_weights([0.05 * weights for weights in network.get_weights()])  # as one is trained
    suspect, clean = as_suspect(network), clean_images()
    verdict = detect(LogitModel.from_suspect(suspect, RAW), clean)
    before = suspect.network.get_weights()
    problem = MitigationInput(suspect, RAW, clean, verdict, "dense", ())
    network, _, goodnet, account = mitigate(problem, unlearning.METHOD)
    for weights, same in zip(suspect.network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weights, same)
    white = clean.pixels.copy()
    white[:, :2, :2] = 1
    assert (np.asarray(suspect.network(white * 255)).argmax(1) == 2).all()
    answers = np.asarray(network(white * 255)).argmax(1)
    assert (answers == clean.labels).mean() > 0.9
    flags = np.asarray(goodnet(white * 255)).argmax(1) == suspect.classes
    np.testing.assert_array_equal(flags, answers != 2)
    assert account.classes is not None and account.classes[0] == 2 and len(account.classes) == 2
    assert account.triggers[0].before.value > 0.9 > 0.5 > account.triggers[0].after.value
    assert {r.target for r in account.triggers} == set(account.classes)  # none is left untried
    assert account.flagged_classes == ()
