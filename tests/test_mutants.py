"""Files with random bytes damaged: never a hang or a crash, never a wrong acceptance."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import saved_models
from hostile import (
    archive,
    data_file,
    good_folder,
    good_h5,
    good_members,
    npz,
    picture_bytes,
)

from goodnet.datasets.dataset import open_dataset
from goodnet.errors import InputRefused
from goodnet.network.suspect import open_suspect

SEED = 20261123
AT_A_TIME = 3
KINDS = ("h5", "keras", "data", "npz", "png", "jpeg", "index", "metadata", "weights")
DATA = ("data", "npz", "png", "jpeg")
PICTURES = ("png", "jpeg")  # in a class folder
SAVED_MODEL = {
    "index": saved_models.INDEX,
    "metadata": saved_models.METADATA,
    "weights": saved_models.DATA,
}


def damaged(content: bytes, number: int) -> bytes:
    """The content with 1 to 64 bytes, or a run of them, replaced; the same for each number."""
    rng = np.random.default_rng([SEED, number])
    bytes_ = bytearray(content)
    count = int(rng.integers(1, 65))
    start = int(rng.integers(0, len(bytes_) - count))
    run = number % 3 == 0
    places = range(start, start + count) if run else rng.integers(0, len(bytes_), count)
    for place in places:
        bytes_[int(place)] = int(rng.integers(0, 256))
    return bytes(bytes_)


def accepted(kind: str, path: Path) -> bool:
    """Whether a mutant is opened; what is in it then is finite and fits."""
    try:
        if kind in DATA:
            dataset = open_dataset(path, input_shape=(12, 10, 3), classes=5)
            assert np.isfinite(np.asarray(dataset.pixels, dtype=np.float64)).all()
            assert 0 <= dataset.labels.min() <= dataset.labels.max() < 5
        else:
            suspect = open_suspect(path)
            assert all(np.isfinite(array).all() for array in suspect.network.get_weights())
            assert suspect.network(np.zeros((1, *suspect.input_shape))).shape == (
                1,
                suspect.classes,
            )
    except InputRefused as refused:
        assert path.name in str(refused)
        assert len(str(refused).splitlines()) == 1
        return False
    return True


def originals(folder: Path) -> dict[str, bytes]:
    """A good file of each kind."""
    return {
        "h5": good_h5(),
        "keras": archive(good_members())(folder).read_bytes(),
        "data": data_file()(folder).read_bytes(),
        "npz": npz()(folder).read_bytes(),
        "png": picture_bytes("PNG"),
        "jpeg": picture_bytes("JPEG"),
        **{kind: good_folder()[name] for kind, name in SAVED_MODEL.items()},
    }


def share_accepted(count: int, folder: Path, kinds: Sequence[str] = KINDS) -> float:
    """Open that many mutants, equally many of each kind."""
    good = originals(folder)

    def try_one(number: int) -> bool:
        kind = kinds[number % len(kinds)]
        path = folder / f"mutant_{number}.{'h5' if kind == 'data' else kind}"
        mutant = damaged(good[kind], number // len(kinds))
        if kind in PICTURES:
            for name in "abcde":
                (path / name).mkdir(parents=True)
            (path / "e" / f"0.{kind}").write_bytes(mutant)
            result = accepted(kind, path)
            shutil.rmtree(path)
            return result
        if kind in SAVED_MODEL:
            saved_models.write({**good_folder(), SAVED_MODEL[kind]: mutant}, path)
            result = accepted(kind, path)
            shutil.rmtree(path)
            return result
        path.write_bytes(mutant)
        result = accepted(kind, path)
        path.unlink()
        return result

    with ThreadPoolExecutor(AT_A_TIME) as threads:
        return float(np.mean(list(threads.map(try_one, range(count)))))


def test_a_few_mutants(tmp_path: Path) -> None:
    """Some are refused and some, damaged where nothing is read, are not."""
    assert 0 < share_accepted(36, tmp_path) < 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kinds", [KINDS[:3], KINDS[3:6], KINDS[6:]], ids=", ".join)
def test_two_thousand_mutants(kinds: Sequence[str], tmp_path: Path) -> None:
    assert 0 < share_accepted(2001, tmp_path, kinds) < 1
