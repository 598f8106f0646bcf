"""Where the tasks of a run run: threads of its process, or Dask workers."""

from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from goodnet.errors import RequestRefused

THREADS = 4  # tasks at once; TensorFlow divides the cores among them
PROCESSES = 2  # each loads TensorFlow


def task_runner_of(name: str) -> TaskRunner[Any]:
    """The task runner of a name: "threads", "dask", or the address of a Dask scheduler.

    Raises:
        RequestRefused: there is no such runner, or Dask is not installed.
    """
    if name == "threads":
        return ThreadPoolTaskRunner(max_workers=THREADS)
    if name != "dask" and not name.startswith(("tcp://", "tls://")):
        raise RequestRefused("--task-runner", f"{name!r} is not threads, dask or tcp://host:port")
    try:
        from prefect_dask import DaskTaskRunner
    except ImportError:
        raise RequestRefused(
            "--task-runner", "Dask is not installed here: pip install '.[dask]'"
        ) from None
    if name != "dask":
        return DaskTaskRunner(address=name)
    return DaskTaskRunner(cluster_kwargs={"n_workers": PROCESSES, "threads_per_worker": 1})
