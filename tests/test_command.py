"""The command `goodnet` itself: what it costs to ask it, and what it says of what is not there."""

import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from conftest import PROJECT

from goodnet.command import clone, main, progress_bar
from goodnet.command.progress_bar import shown_progress

HEAVY = {"numpy", "tensorflow", "keras", "h5py", "PIL", "jinja2", "rich", "prefect"}


def test_help_costs_nothing() -> None:
    """Neither NumPy nor TensorFlow is imported for it; 0.3 seconds would be felt."""
    code = "import sys; from goodnet.command.main import main\ntry: main(['--help'])\n"
    code += "finally: print(*sys.modules, file=sys.stderr)"
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True)
    assert time.monotonic() - start < 3  # on a machine that does other things as well
    assert done.returncode == 0
    assert not HEAVY & {name.partition(".")[0] for name in done.stderr.split()}
    for name, text in main.COMMANDS.items():
        assert f"  {name}" in done.stdout and text[:20] in done.stdout


@pytest.mark.parametrize("name", main.COMMANDS)
def test_each_command_has_an_example_that_it_understands(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main([name, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    _, example = said.split("example:\n  goodnet ")
    words = example.splitlines()[0].split()
    command = main.import_module(f"goodnet.command.{name}")
    assert main.parser_of({name: command}).parse_args(words).command == name


def completion(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The script for a shell."""
    with pytest.raises(SystemExit) as ended:
        main.main(["--completion", shell])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["det"], {"detect"}),
        (["detect", "--fail-on", ""], {"inconclusive", "backdoored", "never"}),
        (["repair", "--o"], {"--output", "--order"}),
        (["serve", "--a"], {"--at-once"}),
        (["detect", "net"], {"net.h5", "nets"}),
        (["repair", "net.h5", "--data", "net"], {"net.h5", "nets"}),
    ],
)
def test_bash_completes_commands_options_choices_and_files(
    words: list[str], found: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if (bash := shutil.which("bash")) is None:
        pytest.skip("there is no bash here")
    (tmp_path / "script").write_text(completion("bash", capsys))
    (tmp_path / "nets").mkdir()
    (tmp_path / "net.h5").touch()
    ask = """
        source ./script
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _shtab_goodnet goodnet "${@: -1}" "${@: -2:1}"
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        [bash, "-c", ask, "bash", "goodnet", *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert {line.strip("/ ") for line in done.stdout.split("\n") if line} == found, done.stderr


def test_zsh_has_a_script_that_it_can_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = completion("zsh", capsys)
    assert script.startswith("#compdef goodnet\n")
    for name in main.COMMANDS:
        assert f"{name}:" in script
    if zsh := shutil.which("zsh"):
        (tmp_path / "script").write_text(script)
        subprocess.run([zsh, "-n", tmp_path / "script"], check=True)


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"goodnet {version('goodnet')}\n"


@pytest.mark.parametrize("given", [[], ["mend"], ["--nothing"]])
def test_what_is_no_command_is_a_usage_error(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(given)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(
        "usage: goodnet [-h] [--version] [--completion SHELL]"
    )


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("s3fs", "goodnet: an s3:// URI needs s3fs: pip install 'goodnet[s3]'"),
        ("botocore.exceptions", "goodnet: an s3:// URI needs botocore: pip install 'goodnet[s3]'"),
        ("shtab", "goodnet: a script for a shell needs shtab: pip install 'goodnet[completion]'"),
        ("matplotlib", "goodnet: a report needs matplotlib: pip install 'goodnet[report]'"),
    ],
)
def test_a_package_of_an_extra_that_is_not_there_is_one_line(
    package: str,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    from goodnet.command import corpus

    def broken(options: object) -> int:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr(corpus, "run", broken)
    assert main.main(["corpus", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"{line}\n"


def test_an_interrupt_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from goodnet.command import corpus

    def interrupted(options: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(corpus, "run", interrupted)
    assert main.main(["corpus", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "goodnet corpus: interrupted\n"


def test_a_package_of_ours_that_is_not_there_is_no_matter_of_extras() -> None:
    with pytest.raises(ModuleNotFoundError):
        main.missing(ModuleNotFoundError(name="goodnet.nothing"))


def test_flows_of_the_current_folder_are_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A suspect may have come with a folder called so; what counts is where the package lies."""
    for mark in clone.MARKS:
        (tmp_path / mark).parent.mkdir(exist_ok=True)
        (tmp_path / mark).write_text("raise SystemExit('this was run')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(clone, "HOME", tmp_path / "site-packages")
    assert clone.main_of("repair") is None
    assert main.main(["serve", "--port", "1"]) == 2
    assert capsys.readouterr().err.startswith("serve: needs a clone of GoodNet, and Prefect: pip")


def test_progress_is_lines_in_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress_bar, "PAUSE", 0)
    with shown_progress("detect") as progress:
        for step in range(41):
            progress(step, 40)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"detect: {part}%" for part in range(10, 101, 10)]


def test_a_log_that_gets_a_line_at_once_gets_the_next_one_later(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with shown_progress("detect") as progress:
        for step in range(41):
            progress(step, 40)
    assert capsys.readouterr().err == ""
