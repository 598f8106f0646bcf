"""How tasks are cached, retried and refused.

A task's cache key is its name, a digest of the source that it computes with, see `source`, and the
content of its inputs: wherever a file is passed it counts with its sha256, and with its path only
if the task's record says where the file is. Results are records, kept as JSON. A result that names
files which are gone, or are not what they were, is made anew.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from inspect import signature
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar, get_type_hints

from prefect import Task, task
from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext
from prefect.futures import PrefectFuture
from prefect.serializers import PickleSerializer
from prefect.states import Failed
from prefect.tasks import exponential_backoff
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from goodnet.errors import InputRefused
from goodnet.files import storage
from goodnet.files.storage import StoredFile
from tasks.source import source_digest

P = ParamSpec("P")
R = TypeVar("R")

HOPELESS = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


class Folder(NamedTuple):
    """Where a task writes, if that is all it needs to know of the place: no part of its key.

    The record names the files where they were first written, maybe in another folder.
    """

    uri: str


@dataclass
class ByContent(CachePolicy):
    """A cache key from the task's name, its source, and its inputs' content.

    Args:
        places: the inputs whose files count with their place, too.
    """

    places: tuple[str, ...] = ()

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: Any,
    ) -> str:
        counted = {name: by_digest(value, name in self.places) for name, value in inputs.items()}
        content = [source_digest(task_ctx.task.fn), counted]
        text = json.dumps(to_jsonable_python(content), sort_keys=True)
        return f"{task_ctx.task.name}-{hashlib.sha256(text.encode()).hexdigest()}"


def by_digest(value: Any, places: bool = False) -> Any:
    """The same as plain lists and dictionaries, each stored file replaced by its digest.

    Args:
        value: an input of a task, or all of them.
        places: whether a file's URI stays beside its digest.
    """
    if isinstance(value, StoredFile):
        return [value.sha256, value.uri] if places else value.sha256
    if isinstance(value, Folder):
        return None
    if is_dataclass(value):
        items = {field.name: getattr(value, field.name) for field in fields(value)}
        return by_digest(items, places)
    if isinstance(value, dict):
        return {str(key): by_digest(item, places) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [by_digest(item, places) for item in value]
    return value


class RunningTask(Generic[R]):
    """A task that has been started, with its inputs, so that it can be run again."""

    def __init__(self, task: Task[..., Any], kind: Any, inputs: dict[str, Any]) -> None:
        self._task, self._kind, self._inputs = task, kind, inputs
        self._future: PrefectFuture[Any] = task.submit(**inputs)

    def result(self) -> R:
        """The record; made anew if the files it names are not there as they were."""
        record = self._load(self._future)
        if all(map(_is_there, _files_in(record))):
            return record
        again = self._task.with_options(refresh_cache=True)
        return self._load(again.submit(**self._inputs))

    def _load(self, future: PrefectFuture[Any]) -> R:
        record: R = TypeAdapter(self._kind).validate_python(future.result())
        return record


class CachedTask(Generic[P, R]):
    """A Prefect task that returns records: `start(...)` it, or call it and wait."""

    def __init__(self, task: Task[..., Any], kind: Any) -> None:
        self.task, self._kind = task, kind

    def start(self, *args: P.args, **kwargs: P.kwargs) -> RunningTask[R]:
        """The task, begun on the flow's task runner."""
        inputs = signature(self.task.fn).bind(*args, **kwargs).arguments
        return RunningTask(self.task, self._kind, inputs)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.start(*args, **kwargs).result()


def cached_task(
    *, name: str, run_name: str, places: tuple[str, ...] = ()
) -> Callable[[Callable[P, R]], CachedTask[P, R]]:
    """A decorator: a task with our cache policy, retries and one-line refusals.

    Args:
        name: the task's name in the UI and in its cache key.
        run_name: the task run's name; may use the parameters.
        places: the inputs of which the record says where they are; then the key does, too.
    """

    def decorate(function: Callable[P, R]) -> CachedTask[P, R]:
        @wraps(function)
        def recorded(*args: P.args, **kwargs: P.kwargs) -> Any:
            try:
                return to_jsonable_python(function(*args, **kwargs))
            except InputRefused as refused:  # a state, not a traceback: one line says it all
                return Failed(message=str(refused), data=refused)

        prefect_task = task(
            recorded,
            name=name,
            task_run_name=run_name,
            cache_policy=ByContent(places=places),
            persist_result=True,
            result_serializer="json",
            retries=3,
            retry_delay_seconds=exponential_backoff(backoff_factor=2),
            retry_jitter_factor=0.5,
            retry_condition_fn=_can_pass,
        )
        return CachedTask(prefect_task, get_type_hints(function)["return"])

    return decorate


def _refuse_unpickling(serializer: PickleSerializer, blob: bytes) -> Any:
    """Raise: a stored result names its own serializer, and a planted one could name pickle."""
    raise ValueError("results here are JSON; unpickling one is refused")


PickleSerializer.loads = _refuse_unpickling


async def _can_pass(task: Any, run: Any, state: Any) -> bool:
    """Whether a fault is worth another try: disk and network, never bad input."""
    try:
        await state.result()
    except OSError as fault:
        return not isinstance(fault, HOPELESS)
    except Exception:
        return False
    return False


def _is_there(stored: StoredFile) -> bool:
    """Whether the file is as it was; one that cannot be reached is not there for us."""
    try:
        return storage.matches(stored)
    except OSError:
        return False


def _files_in(record: Any) -> Iterator[StoredFile]:
    if isinstance(record, StoredFile):
        yield record
    elif isinstance(record, list | tuple):
        for item in record:
            yield from _files_in(item)
