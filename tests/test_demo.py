"""`make demo`: the default data and suspect are made, and repaired."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from invented import invented_verdict

from flows.demo import main
from flows.outcomes import ALL_REPAIRED
from flows.preconditions import NOTHING_STARTED

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.mark.slow
def test_demo_makes_data_and_suspect_and_leaves_what_others_put_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its verdict is made up: the one of a net like it is found in `test_flow`."""
    monkeypatch.setattr("goodnet.detection.credibility.judge", lambda *_, **__: invented_verdict())
    places = {name: str(tmp_path / name) for name in ("data", "models", "output")}
    arguments = [f"--{name}={place}" for name, place in places.items()] + [
        "--people=3",
        "--method=pruning",
    ]
    assert main(arguments) == ALL_REPAIRED
    wrote = Path(capsys.readouterr().out.splitlines()[-1].removeprefix("wrote "))
    assert json.loads((wrote / "manifest.json").read_text())["baseline"]["attack_success"]
    assert (wrote / "report.html").is_file()

    with h5py.File(tmp_path / "data" / "bd" / "bd_test.h5") as poisoned:
        assert poisoned["data"].shape == (3 * 30, 3, 55, 47)
        assert set(poisoned["label"]) == {0}
        assert set(poisoned["true_label"]) == set(range(3))
    with h5py.File(tmp_path / "data" / "clean" / "test.h5") as clean:
        assert np.array_equal(clean["label"], np.tile(np.arange(3), 30))

    own = tmp_path / "data" / "clean" / "test.h5"
    own.write_bytes(b"somebody's own")
    assert main(arguments) == NOTHING_STARTED
    assert f"{own}: is there already and is not the demo's" in capsys.readouterr().err
    assert own.read_bytes() == b"somebody's own"
