"""The Dockerfile: linted, and carried out in a root of its own, as there may be no engine."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROJECT, Toy
from test_wheel import UNREACHABLE

LINES = re.sub(r"\\\n", "", (PROJECT / "Dockerfile").read_text()).splitlines()
STEPS = [line.split(maxsplit=1) for line in LINES if line and not line.startswith("#")]
IGNORED = (PROJECT / ".dockerignore").read_text().splitlines()
COPIED = [name for step, rest in STEPS if step == "COPY" for name in rest.split()[:-1]]


def test_the_linter_has_nothing_to_say() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    if not linter.exists():
        pytest.skip("hadolint is not installed")
    done = subprocess.run([linter, "Dockerfile"], cwd=PROJECT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_engine_is_given_what_is_copied_and_nothing_else() -> None:
    assert IGNORED[1] == "*"
    assert sorted(IGNORED[2:-1]) == sorted(f"!{name}" for name in COPIED)
    needed = {"goodnet", "tasks", "flows", "prefect.yaml", "prefect.toml", "constraints.txt"}
    assert needed <= set(COPIED)


def copied(folder: Path) -> None:
    """Copy what the Dockerfile does, as far as .dockerignore lets it."""
    litter = shutil.ignore_patterns(*(line.removeprefix("**/") for line in IGNORED[-1:]))
    for name in COPIED:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, folder / name, ignore=litter)
        else:
            shutil.copy(PROJECT / name, folder / name)


def commands(python: str) -> str:
    """The steps in shell: those after USER are that user's; last, an image's first repair."""
    lines = ["set -e", f"{python} -m venv /image", "export PATH=/image/bin:/usr/sbin:/usr/bin:/bin"]
    user = ""
    for step, rest in STEPS:
        assert step in ("FROM", "WORKDIR", "COPY", "RUN", "USER", "CMD"), (
            f"{step} is not known here"
        )
        if step == "WORKDIR":
            lines.append(f"cd {rest}")
        elif step == "RUN":
            lines.append(rest)
        elif step == "USER":
            user = f"setpriv --reuid {rest} --regid {rest} --clear-groups env HOME=/home/goodnet "
        elif step == "CMD":
            lines.append(user + " ".join(json.loads(rest)))
    lines.append(f"{user}goodnet repair /given/models --data /given/data --verdict off")
    return "\n".join(lines)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_its_steps_carried_out_in_a_plain_root_make_what_repairs(
    made_small: Toy, tmp_path: Path
) -> None:
    """The root is this machine's, with all that is written kept beside it: only root may do so."""
    python = shutil.which("python3.11", path="/usr/local/bin:/usr/bin")
    above, root = tmp_path / "above", tmp_path / "root"
    for folder in (above / "goodnet", above / "given", tmp_path / "work", root):
        folder.mkdir(parents=True)
    (tmp_path / "mount").write_text(
        f"""
        mount -t overlay overlay -o lowerdir=/,upperdir={above},workdir={tmp_path}/work {root} &&
        mount -t proc proc {root}/proc && mount --bind /dev {root}/dev || exit 77
        exec chroot {root} sh /steps
        """
    )
    above.chmod(0o755)
    (above / "etc").mkdir()
    for name in ("passwd", "group"):  # an image has nobody of that number yet
        known = Path("/etc", name).read_text().splitlines(keepends=True)
        (above / "etc" / name).write_text("".join(a for a in known if a.split(":")[2] != "1000"))
    copied(above / "goodnet")
    shutil.copytree(made_small.folder, above / "given", dirs_exist_ok=True)
    subprocess.run(["chmod", "-R", "a+rX", above / "given"], check=True)
    (above / "steps").write_text(commands(str(python)))
    clean = {"PATH": os.environ["PATH"]}
    alone = ["unshare", "--mount", "--pid", "--fork", "sh", str(tmp_path / "mount")]
    done = subprocess.run(alone, cwd="/", env=clean, capture_output=True, text=True)
    if python is None or done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip(f"no plain root can be made here: {done.stderr.strip() or 'no Python 3.11'}")
    if UNREACHABLE.search(done.stderr):
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "usage: goodnet" in done.stdout
    assert "wrote artifacts/small-" in done.stdout
    (manifest,) = (above / "goodnet" / "artifacts").glob("small-*/manifest.json")
    assert manifest.stat().st_uid == 1000
