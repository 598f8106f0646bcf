"""What the UI shows of a repair, whether its tasks ran or were cached."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from prefect import get_client, runtime
from prefect.artifacts import create_markdown_artifact

from goodnet.errors import one_line
from goodnet.files import paths, storage
from goodnet.files.storage import StoredFile
from goodnet.report.conclusion import conclude
from goodnet.report.document import as_markdown
from goodnet.report.findings import RepairResult
from goodnet.report.pictures import Picture
from goodnet.report.tables import results_table


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
    return f"[{uri.removeprefix(folder).lstrip('/')}]({quote(address, safe='/:')})"
