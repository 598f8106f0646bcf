"""The table of a folder of model files: what came of each, beside what was expected."""

from pathlib import Path

import pytest
from networks import NETWORKS, save

from goodnet.command.corpus import Row
from goodnet.command.main import main

POOLED = Row("a.h5", True, "base/pool_2", "MaxPooling2D", "")
HIDDEN = Row("b.h5", True, "dense_1", "Dense", "")
REFUSED = Row("c.h5", False, "", "", "no model")


@pytest.mark.parametrize(
    ("row", "expected", "layer", "fits"),
    [
        (POOLED, "opens", "pool_2", True),
        (POOLED, "opens", "pool_1", False),
        (POOLED, "opens", "not pool_2, whose channels are the classes", True),
        (HIDDEN, "opens", "not dense_1", False),
        (POOLED, "opens", "last pooling", True),
        (HIDDEN, "opens", "last pooling", False),
        (HIDDEN, "opens", "last hidden dense layer", True),
        (POOLED, "opens", "last hidden dense layer", False),
        (POOLED, "opens", "32+ channels before the dense part, inside the nested model", True),
        (HIDDEN, "opens", "32+ channels, inside the nested model", False),
        (POOLED, "refused", "damaged", False),
        (REFUSED, "refused", "damaged", True),
        (REFUSED, "opens", "pool_2", False),
        (REFUSED, "see", "", None),
    ],
)
def test_a_row_fits_what_was_expected(row: Row, expected: str, layer: str, fits: bool) -> None:
    assert row.fits(expected, layer) is fits


def test_a_folder_is_opened_and_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(NETWORKS["plain"](), tmp_path / "plain.h5")
    (tmp_path / "broken.h5").write_bytes(b"no model")
    (tmp_path / "expected.csv").write_text(
        "file,expected,layer_or_reason\nplain.h5,opens,pool_2\nbroken.h5,opens,last pooling\n"
    )
    assert main(["corpus", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "plain.h5\n    opens    pool_2 (MaxPooling2D); Functional, 8 layers" in printed
    assert "broken.h5\n    refused  is not an HDF5 file, a zip" in printed
    assert printed.endswith("right: 1 of 2\n")
