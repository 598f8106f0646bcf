"""`pytest --fast`: the tests that need neither TensorFlow nor a server, as their imports say.

A file is left out where an import anywhere in it leads to one of HEAVY; a test, where a fixture's
does. What slips through, because a function of ours imports when it is called, fails.
"""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import pytest

HEAVY = ("tensorflow", "keras", "prefect", "selenium", "moto", "object_stores")
BY_NAME = "goodnet.command.main"  # imports a command's module when it is asked for it
TESTS = Path(__file__).resolve().parent
ROOTS = TESTS.parent, TESTS


class Refuser(MetaPathFinder):
    """Lets nobody import what a fast test does without."""

    def find_spec(self, name: str, *_: Any) -> None:
        """Nothing: others look for the module."""
        if name.split(".")[0] in HEAVY:
            pytest.fail(f"a fast test imports {name}: mark it, or import it where this is seen")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="without TensorFlow, without a server")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("fast"):
        sys.meta_path.insert(0, Refuser())


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if not config.getoption("fast") or collection_path.suffix != ".py":
        return None
    return is_heavy(collection_path.read_text()) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("fast"):
        heavy = [item for item in items if any(map(is_heavy, fixtures_of(item)))]
        config.hook.pytest_deselected(items=heavy)
        items[:] = [item for item in items if item not in heavy]


def fixtures_of(item: Any) -> Iterator[str]:
    """The source of the fixtures that a test needs."""
    for definitions in item._fixtureinfo.name2fixturedefs.values():
        if definitions[-1].func.__module__ == "conftest":
            yield textwrap.dedent(inspect.getsource(definitions[-1].func))


@cache
def is_heavy(source: str) -> bool:
    """Whether an import anywhere in the source leads to what is heavy."""
    known, waiting = set[str](), [*imports(ast.parse(source), everywhere=True)]
    while waiting:
        if (name := waiting.pop()) in known:
            continue
        known.add(name)
        if name.split(".")[0] in HEAVY or name == BY_NAME:
            return True
        for root in ROOTS:
            for path in (
                root / name.replace(".", "/") / "__init__.py",
                root / f"{name.replace('.', '/')}.py",
            ):
                if path.is_file():  # a command imports what it uses when it runs
                    tree = ast.parse(path.read_text())
                    waiting += imports(tree, everywhere=".command" in name)
    return False


def imports(tree: ast.AST, *, everywhere: bool) -> Iterator[str]:
    """The modules that a module imports, with their packages; in functions, too, if everywhere."""
    for node in ast.iter_child_nodes(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if not (function and not everywhere) and not _is_for_types(node):
            yield from imports(node, everywhere=everywhere)


def _is_for_types(node: ast.AST) -> bool:
    test = node.test if isinstance(node, ast.If) else None
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"
