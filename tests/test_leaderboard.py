"""The leaderboard: no backdoored network on record is recommended, and what its numbers mean."""

from pathlib import Path
from typing import Any

import pytest
from invented import invented_findings, invented_verdict

from benchmarks import leaderboard_page as page
from benchmarks.entries import (
    ENTRIES,
    LARGEST_DEPLOYED,
    Counted,
    Entry,
    Measured,
    Recommended,
    load_entries,
    without_poisoned,
    write_entry,
)
from benchmarks.records import NetworkResults, VerdictRun
from goodnet.detection.verdict import BACKDOORED, NOTHING
from goodnet.metrics import Counts

NAMES = sorted(path.stem for path in ENTRIES.glob("*.json"))


def counted(correct: int, agreed: int, flagged: int, true: int | None = None) -> Counted:
    """Of 100 images."""
    return Counted.of(Counts(100, correct, agreed, flagged, true, true))


def network(**changes: Any) -> NetworkResults:
    facts = {"name": "net", "source": "here", "architecture": "CNN", "images": "dots"}
    facts |= {"classes": 4, "scale": "raw", "triggers": {"patch": 2}} | changes
    return NetworkResults.model_validate(facts)


def entry(**changes: Any) -> Entry:
    """A net whose backdoor pruning leaves (ASR 60 %) and unlearning removes (2 %)."""
    told = Recommended(answer="backdoored", basis="estimated", model="unlearned")
    facts: dict[str, Any] = {
        "network": network(),
        "half": "held out",
        "verdict": VerdictRun(verdict="backdoored", classes=(2,), seconds=1),
        "suspect": Measured(
            name="suspect",
            method="suspect",
            clean=counted(90, 90, 0),
            poisoned=counted(100, 100, 0, 0),
        ),
        "repairs": (
            Measured(
                name="ascending, drop 2",
                method="pruning",
                seconds=1,
                clean=counted(88, 86, 8),
                poisoned=counted(60, 60, 40, 35),
            ),
            Measured(
                name="unlearned",
                method="unlearning",
                seed=0,
                seconds=5,
                clean=counted(89, 88, 3),
                poisoned=counted(2, 2, 98, 80),
            ),
        ),
        "without_poisoned": told,
        "with_poisoned": told,
    }
    return Entry(**(facts | changes))


def too_dangerous(every: list[Entry]) -> list[tuple[str, str, float]]:
    """What is recommended though its ASR is too large."""
    return [
        (each.name, name, share.value)
        for each in every
        for name, share in each.deployed()
        if share.value > LARGEST_DEPLOYED
    ]


def test_no_network_on_record_with_its_backdoor_is_ever_recommended() -> None:
    """With poisoned images and without."""
    assert too_dangerous(load_entries()) == []


@pytest.mark.parametrize("told", ["without_poisoned", "with_poisoned"])
@pytest.mark.parametrize("which", ["model", "goodnet"])
def test_a_network_with_its_backdoor_would_be_noticed(told: str, which: str) -> None:
    wrong = Recommended.model_validate({"answer": "backdoored", which: "ascending, drop 2"})
    ((_, name, asr),) = too_dangerous([entry(**{told: wrong})])
    assert name.endswith("ascending, drop 2") and asr == 0.6
    assert too_dangerous([entry()]) == []


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_is_a_record_as_it_is_written(name: str, tmp_path: Path) -> None:
    path = ENTRIES / f"{name}.json"
    made = Entry.model_validate_json(path.read_bytes())
    write_entry(made, tmp_path)
    assert made.name == name and [each.name for each in tmp_path.iterdir()] == [path.name]
    assert (tmp_path / path.name).read_text() == path.read_text()


def test_the_numbers_of_a_repair_are_their_formulas() -> None:
    made = entry()
    pruned, unlearned = made.repairs
    assert unlearned.asr and unlearned.asr.value == 0.02
    assert unlearned.recovery and unlearned.recovery.value == 0.8
    assert unlearned.fidelity == 0.97
    assert unlearned.loss(made.suspect).value == 0.01
    assert unlearned.effectiveness(made.suspect) == pytest.approx((0.98 - 0.01 + 1) / 2)
    better = unlearned.model_copy(update={"clean": counted(95, 89, 9)})
    assert better.effectiveness(made.suspect) == pytest.approx((0.98 + 1) / 2)  # no credit for it
    assert unlearned.meets_bars(made.suspect) and not pruned.meets_bars(made.suspect)
    dear = unlearned.model_copy(update={"clean": counted(70, 70, 25)})
    assert not dear.meets_bars(made.suspect)
    clean = unlearned.model_copy(update={"poisoned": None})
    assert clean.asr is None and clean.effectiveness(made.suspect) is None


@pytest.mark.parametrize(
    ("triggers", "verdict", "classes", "rating"),
    [
        ({"patch": 2}, "backdoored", (2,), "right"),
        ({"patch": 2}, "backdoored", (2, 3), "wrong class"),
        ({"patch": 2}, "backdoored", (1,), "wrong class"),
        ({"patch": 2}, "no backdoor found", (), "missed"),
        ({"patch": 2}, "inconclusive", (), "inconclusive"),
        ({"a": 2, "b": 3}, "backdoored", (2,), "wrong class"),
        ({"a": 2, "b": 3}, "backdoored", (3, 2), "right"),
        ({"all_to_all": -1}, "backdoored", (1,), "right"),
        ({"all_to_all": -1}, "no backdoor found", (), "missed"),
        ({}, "no backdoor found", (), "cleared"),
        ({}, "backdoored", (1,), "called"),
        ({}, "inconclusive", (), "inconclusive"),
    ],
)
def test_a_verdict_is_rated_by_the_targets(
    triggers: dict[str, int], verdict: Any, classes: tuple[int, ...], rating: str
) -> None:
    run = VerdictRun(verdict=verdict, classes=classes)
    assert entry(network=network(triggers=triggers), verdict=run).rating == rating


def test_the_tables_tell_the_halves_and_what_worked_apart() -> None:
    weak = entry().suspect.model_copy(update={"poisoned": counted(50, 50, 0, 40)})
    clean = entry().suspect.model_copy(update={"poisoned": None})
    nothing = Recommended(answer="no backdoor found")
    cleared = VerdictRun(verdict="no backdoor found")
    every = [
        entry(),
        entry(half="tune"),
        entry(suspect=weak),
        entry(
            network=network(triggers={}), suspect=clean, repairs=(), verdict=cleared,
            without_poisoned=nothing, with_poisoned=None,
        ),
    ]  # fmt: skip
    lines = page.verdicts(every).splitlines()[2:]
    second, first = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    assert second[2:] == ["1 of 1", "0", "0", "0", "1 of 1", "0", "0", "1"]
    assert first[0] == "first half (unreliable)" and first[2] == "1 of 1"
    rows = [line.split(" | ") for line in page.repairs(every).splitlines()[2:]]
    best = next(row for row in rows if row[1] == "the best of all")
    assert best[2:8] == ["1", "1 of 1", "1.0", "2.0", "80.0", "98.5"]
    assert "net * |" in page.nets(every) and "2.0 (0.6 to 7.0)" in page.nets(every)
    deployed = page.deployments(every).splitlines()[2]
    assert deployed.endswith("| 2 | 2 | 2.0 | 0 |")
    taught = {"unlearning": {0: 0.02, 10: 0.5}, "clean": {0: 0.01, 10: 0.1}}
    assert "unlearning | 1 | 2.0 | 50.0" in page.relearning([entry(relearning=taught)])


def test_the_figure_is_drawn_where_there_is_something_to_draw(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(page, "FIGURE", tmp_path / "leaderboard.png")
    monkeypatch.setattr(page, "entries", lambda: ())
    page.draw()
    assert not page.FIGURE.exists()
    monkeypatch.setattr(page, "entries", lambda: (entry(),))
    page.draw()
    assert page.FIGURE.read_bytes().startswith(b"\x89PNG")


def test_a_table_without_entries_has_its_head_alone() -> None:
    """Nothing is divided by no entries."""
    for name in page.TABLES:
        make = getattr(page, name.removeprefix("leaderboard_"))
        assert len(make([]).splitlines()) == 2


def test_what_is_recommended_without_poisoned_images_is_not_chosen_by_them() -> None:
    """Of the same repair, the poisoned test set left out: as of one that never had it."""
    attack = [198, *([1] * (len(invented_findings().evaluation) // 2))]
    findings = invented_findings(verdict=invented_verdict(NOTHING), attack=attack)
    told = Recommended.of(findings)
    assert told.basis == "measured" and told.model
    blind = without_poisoned(findings)
    assert Recommended.of(blind) == Recommended(answer=NOTHING)
    assert blind.evaluation[0].attack_success is None
    assert blind.evaluation[0].clean_accuracy == findings.evaluation[0].clean_accuracy
    named = invented_findings(verdict=invented_verdict(BACKDOORED), attack=attack)
    alone = invented_findings(verdict=invented_verdict(BACKDOORED), poisoned=False)
    assert Recommended.of(without_poisoned(named)) == Recommended.of(alone)
