"""What the UI shows of a repair, whether its tasks ran or were cached."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from prefect import get_client, runtime
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from goodnet.errors import fault_line, one_line
from goodnet.files import paths, storage
from goodnet.files.storage import StoredFile
from goodnet.report.conclusion import conclude
from goodnet.report.document import as_markdown
from goodnet.report.findings import PruningResult, RepairResult
from goodnet.report.index import INDEX_HEADS, IndexRow, update_index
from goodnet.report.pictures import Picture
from goodnet.report.tables import percent, results_table

INDEX_KEY, SHOWN = "repairs", 100  # rows


def show(
    findings: RepairResult, pictures: Sequence[Picture], files: Sequence[StoredFile], folder: str
) -> None:
    """Leave the conclusion, the result table and the figures as an artifact of the flow run.

    Args:
        findings: what was found.
        pictures: those of the report, which are shown.
        files: all that is in the folder, which is linked.
        folder: the repair's folder.
    """
    images = [f"![{as_markdown(picture.caption)}]({picture.address})" for picture in pictures]
    sentences = map(as_markdown, conclude(findings))
    table = f"```\n{results_table(findings)}\n```"
    links = "\n".join(f"- {_link(file.uri, folder)}, {file.bytes:,} bytes" for file in files)
    where = f"Everything is in {_code(folder)}:\n\n{links}"
    create_markdown_artifact(
        key=paths.artifact_key(findings.model.name),
        description=f"Repair of {findings.model.name}",
        markdown="\n\n".join([*sentences, table, *images, where]),
    )


def show_pruning(result: PruningResult, files: Sequence[str], folder: str) -> None:
    """Leave what pruning came to as an artifact of the flow run, before the verdict begins.

    Args:
        result: what it came to.
        files: the URIs of pruned models, figures and tables, which are linked.
        folder: the repair's folder.
    """
    table, name = results_table(result), result.model.name
    get_run_logger().info("pruned %s:\n%s", name, table)
    links = "\n".join(f"- {_link(uri, folder)}" for uri in files)
    create_markdown_artifact(
        key=paths.artifact_key(f"{name}-pruning"),
        description=f"What pruning of {name} came to",
        markdown=f"```\n{table}\n```\n\nIn {_code(folder)}:\n\n{links}",
    )


def show_repaired(findings: RepairResult, conclusion: str, folder: str, run: object) -> None:
    """Leave what came of a repair as an artifact of the run that had it made.

    Args:
        findings: what was found.
        conclusion: its first sentence.
        folder: the repair's folder.
        run: the id of the repair's own run, which has the figures.
    """
    name = findings.model.name
    create_markdown_artifact(
        key=paths.artifact_key(f"{name}-summary"),
        description=f"What came of the repair of {name}",
        markdown="\n\n".join(
            [
                as_markdown(conclusion),
                f"```\n{results_table(findings)}\n```",
                f"[Figures, files and tasks](/runs/flow-run/{run}), in {_code(folder)}",
            ]
        ),
    )


def show_index(output: str, *, pictures: bool = False) -> None:
    """Write the index of all repairs, and leave it as an artifact of the flow run as well.

    A fault of storage is a warning: the repair itself is done.

    Args:
        output: the folder that has a folder for each repair.
        pictures: whether the artifact has those of the page; it is a text in the server's database.
    """
    try:
        rows = update_index(output)
    except OSError as fault:
        get_run_logger().warning("the index of all repairs is not written: %s", fault_line(fault))
        return
    if not rows:
        return
    place = _code(storage.join(output, paths.INDEX_HTML))
    more = f" Of {len(rows)} the newest {SHOWN} are shown." if len(rows) > SHOWN else ""
    head = "| | " + " | ".join(INDEX_HEADS) + " |\n|---" + "|---" * len(INDEX_HEADS) + "|"
    lines = [f"| {' | '.join(_index_cells(row, pictures))} |" for row in rows[:SHOWN]]
    create_markdown_artifact(
        key=INDEX_KEY,
        description="All repairs",
        markdown="\n".join([f"All repairs, as in {place}.{more}", "", head, *lines]),
    )


def _index_cells(row: IndexRow, pictures: bool) -> Iterator[str]:
    repair = row.repair
    shown = pictures and repair.picture
    yield f"![the evidence in small]({repair.address})" if shown else ""
    verdict = f"{repair.verdict} {' '.join(map(str, repair.classes))}".rstrip()
    yield from map(as_markdown, (repair.name, verdict))
    accuracy, attack, *chosen = ("" if share is None else percent(share) for share in repair.shares)
    yield from (accuracy, attack, as_markdown(repair.recommended or "nothing"), *chosen)
    yield from map(as_markdown, (repair.written, row.changed))


def tag_run(*tags: str) -> None:
    """Give tags to the flow run, for example its verdict, beside those that it has."""
    with get_client(sync_client=True) as client:
        present = client.read_flow_run(runtime.flow_run.id).tags
        added = [tag for tag in tags if tag not in present]
        client.update_flow_run(runtime.flow_run.id, tags=[*present, *added])


def _code(text: str) -> str:
    """The text as code, whatever it holds."""
    return f"`{one_line(text).replace('`', '?')}`"


def _link(uri: str, folder: str) -> str:
    """A link to a stored file; its name, below the folder, is one of ours."""
    address = uri if storage.is_remote(uri) else f"file://{Path(uri).resolve()}"
    return f"[{storage.name_in(folder, uri)}]({quote(address, safe='/:')})"
