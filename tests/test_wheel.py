"""The wheel: the package alone, which finds a backdoor in an environment that has nothing else."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import PROJECT, Toy
from networks import CLASSES
from PIL import Image

from goodnet.datasets.dataset import open_dataset

CORE = {"tensorflow-cpu", "tensorflow", "keras", "h5py", "numpy", "pillow", "jinja2", "rich"}
UNREACHABLE = re.compile("NewConnectionError|name resolution|ReadTimeoutError|ProxyError")


def run(*command: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command's end, in an environment of no Python's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        list(map(str, command)), cwd=folder, env=clean, capture_output=True, text=True, timeout=500
    )


def pip(*arguments: object, folder: Path, python: object = sys.executable) -> None:
    """Nothing: pip has done it. Without an index to be asked the test is skipped."""
    done = run(python, "-m", "pip", "--quiet", *arguments, folder=folder)
    if done.returncode and UNREACHABLE.search(done.stderr):
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_wheel_is_the_package_alone_and_finds_a_backdoor(
    made_small: Toy, tmp_path: Path
) -> None:
    """Two minutes: TensorFlow is installed."""
    listed = run("git", "ls-files", "-co", "--exclude-standard", folder=PROJECT).stdout.splitlines()
    for name in filter(lambda name: (PROJECT / name).is_file(), listed):
        (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clone" / name).write_bytes((PROJECT / name).read_bytes())
    pip("wheel", "--no-deps", "--wheel-dir", tmp_path, "./clone", folder=tmp_path)
    (wheel,) = tmp_path.glob("goodnet-*.whl")
    assert wheel.stat().st_size < 1 << 20
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        (metadata,) = (content.read(name).decode() for name in names if name.endswith("METADATA"))
    tops = {name.split("/")[0] for name in names}
    assert tops == {"goodnet", wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info"}
    assert {"goodnet/report/templates/index.js.j2", "goodnet/py.typed"} <= set(names)
    needs = re.findall(r"^Requires-Dist: ([\w-]+)(?!.*extra ==)", metadata, re.MULTILINE)
    assert set(needs) == CORE

    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    constraints = PROJECT / "constraints.txt"
    pip("install", "--constraint", constraints, wheel, folder=tmp_path, python=python)
    clean = open_dataset(
        made_small.data / "clean" / "valid.h5", input_shape=(12, 10, 3), classes=CLASSES
    )
    for number, picture in enumerate(clean.pictures(slice(None))):
        place = tmp_path / "photos" / f"person {clean.labels[number]}" / f"{number}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place, quality=95)
    goodnet = python.parent / "goodnet"
    done = run(goodnet, "detect", made_small.model, "--data", "photos", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "verdict          backdoored, class 0, person 0\n" in done.stdout
    for command, line in (
        (["repair", made_small.model, "--data", "photos"], "goodnet: a report needs matplotlib"),
        (["serve"], "serve: needs a clone of GoodNet, and Prefect"),
        (["detect", "s3://bucket/x.h5", "--data", "photos"], "goodnet: an s3:// URI needs"),
    ):
        done = run(goodnet, *command, folder=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(line)
