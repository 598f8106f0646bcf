"""Findings made up for tests: no model and no picture was ever involved."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from goodnet.detection.verdict import NOTHING, Answer, References, Statistic, Verdict
from goodnet.evaluation.results import SUSPECT, evaluation_rows, pruned_models
from goodnet.metrics import Counts, Proportion
from goodnet.mitigation.method import Method
from goodnet.mitigation.methods import unlearning
from goodnet.mitigation.outcome import MitigationResult, TriggerRecheck
from goodnet.preprocessing import RAW, PreprocessingInfo
from goodnet.pruning.curve import Curve, find_drop
from goodnet.pruning.order import Direction, order_channels
from goodnet.report.findings import DatasetInfo, ModelInfo, ModelRecheck, RepairResult
from goodnet.triggers.trigger import RecoveredTrigger, Trigger

COUNT = 200  # images in each set


def invented_curve(
    direction: Direction = "ascending",
    *,
    channels: int = 10,
    dead: int = 3,
    correct: Sequence[int] | None = None,
    attack: Sequence[int] | None = None,
    poisoned: bool = True,
    points: Sequence[str] = ("2", "4", "10"),
) -> Curve:
    """A curve on COUNT images: the last `dead` channels are silent, the others get quieter.

    By default clean accuracy stays at 190 while silent channels go and then falls by 12 a
    channel, and the attack succeeds always until it falls by 30 for each of the last channels.
    """
    order = order_channels(np.maximum(np.arange(channels, 0, -1.0) - dead, 0.0), direction)
    spoiled = np.cumsum([0, *(order.activations[c] > 0 for c in order.channels)])
    clean = tuple(correct or np.maximum(190 - 12 * spoiled, 20).tolist())
    hits = tuple(attack or np.clip(320 - 30 * spoiled - 60, 0, COUNT).tolist())
    drops = tuple(find_drop(clean, COUNT, p) for p in points)
    return Curve(order, clean, COUNT, hits if poisoned else None, COUNT * poisoned, drops)


def invented_findings(
    *,
    name: str = "face_net",
    layers: tuple[tuple[str, str], ...] = (("input_1", "InputLayer"), ("pool_3", "MaxPooling2D")),
    directions: Sequence[Direction] = ("ascending", "descending"),
    poisoned: bool = True,
    tested: bool = True,
    correct: Sequence[int] | None = None,
    points: Sequence[str] = ("2", "4", "10"),
    clean: Sequence[int] | None = None,
    attack: Sequence[int] | None = None,
    flagged_clean: int = 10,
    flagged_poisoned: int = 0,
    true: bool = False,
    count: int = COUNT,
    classes: int = 12,
    labels_present: int = 12,
    verdict: Verdict | None = None,
    mitigation: MitigationResult | None = None,
    budget: float = 2,
    target: int = 0,
) -> RepairResult:
    """Findings with a value of its own for whatever a test is about.

    Args:
        tested: whether there is a clean test set.
        correct: clean validation images answered right at each k, in both orders.
        points: the drops asked for.
        clean: clean test images answered right by the suspect, then by each repaired model.
        attack: poisoned test images answered with the target, likewise.
        flagged_clean: clean test images that each GoodNet flags.
        flagged_poisoned: poisoned test images that each GoodNet flags.
        true: whether the poisoned set says what its images really show.
        count: images in each test set.
        verdict: by default no backdoor was found.
        mitigation: what was done beside pruning; its counts are then the last ones.
        budget: points of clean accuracy.
        target: the label of the poisoned sets.
    """
    curves = tuple(
        invented_curve(direction, correct=correct, poisoned=poisoned, points=points)
        for direction in directions
    )
    models, rechecks = pruned_models(curves, ".h5"), ()
    if mitigation:
        models = (*models, mitigation.model)
        again = mitigation.flagged_classes
        rechecks = (ModelRecheck(mitigation.model, mitigation.triggers, again),)
    clean = clean or [190, *(186 - 2 * place for place in range(len(models)))]
    attack = attack or [200] * (1 + len(models))
    clean_counts = [Counts(count, n, n, flagged_clean, None, None) for n in clean]
    poisoned_counts = [
        Counts(count, n, n, flagged_poisoned, *((count - n,) * 2 if true else (None, None)))
        for n in attack
    ]
    names = [SUSPECT, *(model.name for model in models)]
    return RepairResult(
        model=_model(name, layers, classes),
        sets=tuple(
            found
            for found in _sets(poisoned, classes, labels_present, target)
            if tested or found.role != "clean test"
        ),
        preprocessing=PreprocessingInfo(
            RAW,
            "found",
            {"raw": Proportion(190, COUNT), "unit": Proportion(9, COUNT)},
        ),
        points=tuple(points),
        curves=curves,
        evaluation=evaluation_rows(
            models,
            dict(zip(names, clean_counts, strict=True)) if tested else None,
            dict(zip(names, poisoned_counts, strict=True)) if poisoned else None,
        ),
        verdict=verdict or invented_verdict(),
        method="auto",
        mitigation=mitigation,
        budget=budget,
        rechecks=rechecks,
    )


def invented_verdict(
    answer: Answer = NOTHING, classes: Sequence[int] = (), suspicious: Sequence[int] = ()
) -> Verdict:
    """A verdict by one method, with a trigger in the corner for each class that stands out."""
    stands_out = {**dict.fromkeys(suspicious, 0.8), **dict.fromkeys(classes, 3.0)}
    statistic = Statistic("corners", {c: stands_out.get(c, 0.1) for c in range(12)}, 1.0, 0.75)
    mask, pattern = np.zeros((55, 47, 1), np.float32), np.ones((55, 47, 3), np.float32)
    mask[:10, :10] = 1
    triggers = tuple(
        RecoveredTrigger.encode(Trigger(c, mask, pattern), Proportion(180, COUNT), 2.5)
        for c in stands_out
    )
    known = References("trained", Proportion(190, COUNT), (Proportion(180, COUNT),) * 2)
    return Verdict(answer, tuple(classes), tuple(suspicious), (statistic,), known, 0, triggers)


def invented_mitigation(
    *,
    method: Method = unlearning.METHOD,
    right: int = 58,
    before: int = 57,
    after: int = 1,
    pruned: int = 0,
    backdoored: tuple[int, ...] = (),
) -> MitigationResult:
    """What came of a method for class 3, with `right` of 60 held-out images, 59 before.

    Args:
        before: of 60 images that the trigger recovered for the class takes there in the suspect.
        after: those that the best one takes there afterwards.
        pruned: channels pruned first.
        backdoored: classes that it is called backdoored for.
    """
    triggers = (TriggerRecheck(3, Proportion(before, 60), Proportion(after, 60)),)
    classes = (3, 7) if method.gated else None
    return MitigationResult(
        model=method.model(pruned, ".h5"),
        steps=4,
        classes=classes,
        held_out_before=Proportion(59, 60),
        held_out_after=Proportion(right, 60),
        triggers=triggers,
        flagged_classes=backdoored,
    )


def _model(name: str, layers: tuple[tuple[str, str], ...], classes: int) -> ModelInfo:
    return ModelInfo(
        name=name,
        uri=f"models/{name}.h5",
        sha256="ab" * 32,
        format=".h5",
        described_by="its own configuration",
        classes=classes,
        parameters=123456,
        input_shape=(55, 47, 3),
        layers=layers,
        layer=layers[-1][0],
        layer_chosen="found",
        channels=10,
        pruned_by="made",
        swept_by="incremental",
    )


def _sets(
    poisoned: bool, classes: int, labels_present: int, target: int
) -> tuple[DatasetInfo, ...]:
    clean = DatasetInfo(
        "clean valid",
        "data/clean/valid.h5",
        "01" * 32,
        COUNT,
        "uint8",
        "NCHW",
        0,
        classes - 1,
        labels_present,
    )
    found = [clean, replace(clean, role="clean test", uri="data/clean/test.h5", sha256="02" * 32)]
    if poisoned:
        bad = replace(clean, lowest_label=target, highest_label=target, labels_present=1)
        found.append(replace(bad, role="poisoned valid", uri="data/bd/v.h5", sha256="03" * 32))
        found.append(replace(bad, role="poisoned test", uri="data/bd/t.h5", sha256="04" * 32))
    return tuple(found)
