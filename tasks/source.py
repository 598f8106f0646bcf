"""What a function computes with, as a digest of its source: no answer outlives the code it is from.

The source of a function is its own, that of every name of ours that it uses, and so on through all
of `flows`, `tasks` and `goodnet`, imports within functions included. A unit of it is what a module
binds to one name; what a module does whenever it is imported counts with each of its units. Of a
package that is used as a whole, to be run, all modules count, and so do the files of a folder
beside a module that a string of the module names: its templates. What lists the modules of its own
package (`iter_modules`) uses them all. Comments, docstrings and layout do not count, nor how
Prefect runs a task or flow.

Limits: a name that is put together at run time is not seen.
"""

import ast
import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
OURS = ("flows", "goodnet", "tasks")
UNCOUNTED = ("cached_task", "flow")  # decorators: retries, names, states
SIMPLE = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


class Unit(NamedTuple):
    """What a module binds to a name; with the name "", all of the module."""

    module: str
    name: str


class Module(NamedTuple):
    """A module's source, without what does not count.

    Attributes:
        folder: where it lies.
        bound: a name -> the statements that bind it.
        imported: a name -> what an import binds to it.
        always: what is done whenever the module is imported.
    """

    folder: Path
    bound: dict[str, list[ast.stmt]]
    imported: dict[str, Unit]
    always: list[ast.stmt]


def source_digest(function: Callable[..., Any]) -> str:
    """The digest of all source that the function computes with."""
    return digest_of(Unit(function.__module__, function.__name__))


@cache
def digest_of(unit: Unit) -> str:
    """The digest of all source that the unit depends on, its own included."""
    known, waiting = set[Unit](), [unit]
    while waiting:
        if (current := waiting.pop()) not in known:
            known.add(current)
            waiting += _read(current)[1]
    content = "\n".join(f"{u.module} {u.name} {_read(u)[0]}" for u in sorted(known))
    return hashlib.sha256(content.encode()).hexdigest()


@cache
def _read(unit: Unit) -> tuple[str, frozenset[Unit]]:
    """The digest of a unit's own source, and the units that it uses."""
    module = _module(unit.module)
    if unit.name in module.imported:
        return "", frozenset({module.imported[unit.name]})
    statements = module.bound.get(unit.name, [])
    if not unit.name:
        statements = [s for bound in module.bound.values() for s in bound]
    statements = [*module.always, *statements]
    digest = hashlib.sha256("".join(map(ast.dump, statements)).encode())
    for path in _files_named(statements, module.folder):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest(), frozenset(_used(unit, module, statements))


def _used(unit: Unit, module: Module, statements: list[ast.stmt]) -> Iterator[Unit]:
    """The units that these statements of a module name."""
    nodes = [node for statement in statements for node in ast.walk(statement)]
    imported = dict(module.imported)
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported |= _imports(node)
    if not unit.name:
        yield from imported.values()
        if _path(f"{unit.module}.__main__"):
            yield from (Unit(f"{unit.module}.{p.stem}", "") for p in module.folder.glob("*.py"))
    parts = {id(node.value): node.attr for node in nodes if isinstance(node, ast.Attribute)}
    for node in nodes:
        if not isinstance(node, ast.Name):
            continue
        if node.id == "iter_modules":
            yield from _beside(unit.module, module.folder)
        if node.id in module.bound and node.id != unit.name:
            yield Unit(unit.module, node.id)
        target, part = imported.get(node.id), parts.get(id(node), "__")
        if target and not target.name and not part.startswith("__"):  # module.name
            yield _member(target.module, part)
        elif target:
            yield target


def _beside(package: str, folder: Path) -> Iterator[Unit]:
    """The modules of a package, each as a whole."""
    for path in sorted(folder.glob("*.py")):
        if path.stem != "__init__":
            yield Unit(f"{package}.{path.stem}", "")


def _files_named(statements: list[ast.stmt], folder: Path) -> Iterator[Path]:
    """The files of the folders beside a module that its strings name."""
    for statement in statements:
        for node in ast.walk(statement):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                beside = folder / node.value
                if node.value.isidentifier() and beside.is_dir():
                    yield from sorted(p for p in beside.iterdir() if p.suffix not in (".py", ""))


@cache
def _module(name: str) -> Module:
    path = _path(name)
    assert path is not None, name
    module = Module(path.parent, {}, {}, [])
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        _add(module, statement)
    return module


def _add(module: Module, statement: ast.stmt) -> None:
    """Note what a statement at a module's top level binds, imports or does."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        module.imported.update(_imports(statement))
        return
    if _is_text(statement) or _is_for_types(statement):
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.body = [s for s in node.body if not _is_text(s)] or [ast.Pass()]
            node.decorator_list = [d for d in node.decorator_list if not _is_uncounted(d)]
    names = set(_names(statement))
    for name in names:
        module.bound.setdefault(name, []).append(statement)
    if not names or not isinstance(statement, SIMPLE):
        module.always.append(statement)


def _names(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement binds at a module's top level."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_for_types(statement: ast.stmt) -> bool:
    test = statement.test if isinstance(statement, ast.If) else None
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def _is_uncounted(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Name) and called.id in UNCOUNTED


def _imports(statement: ast.Import | ast.ImportFrom) -> dict[str, Unit]:
    """What an import binds of ours: a name -> its unit."""
    if isinstance(statement, ast.Import):
        named = {alias.asname or alias.name: Unit(alias.name, "") for alias in statement.names}
    else:
        home = str(statement.module)
        named = {alias.asname or alias.name: _member(home, alias.name) for alias in statement.names}
    return {name: unit for name, unit in named.items() if unit.module.split(".")[0] in OURS}


def _member(module: str, name: str) -> Unit:
    """A name of a module, or a module of a package."""
    inner = f"{module}.{name}"
    return Unit(inner, "") if _path(inner) else Unit(module, name)


@cache
def _path(module: str) -> Path | None:
    """The file of a module of ours, if there is such a module."""
    parts = module.split(".")
    if parts[0] not in OURS:
        return None
    places = ROOT.joinpath(*parts).with_suffix(".py"), ROOT.joinpath(*parts, "__init__.py")
    return next((place for place in places if place.is_file()), None)
