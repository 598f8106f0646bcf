"""What the UI shows of a repair, whether its tasks ran or were cached."""

import base64
from collections.abc import Sequence

from prefect.artifacts import create_markdown_artifact

from goodnet import paths, storage
from goodnet.conclusion import conclude
from goodnet.findings import Findings
from goodnet.storage import Stored
from goodnet.tables import results_table


def show(findings: Findings, pictures: Sequence[Stored], folder: str) -> None:
    """Leave the conclusion, the result table and the figures as an artifact of the flow run."""
    by_name = {picture.uri.rsplit("/", 1)[-1]: picture for picture in pictures}
    names = [paths.curve_figure(curve.order.direction) for curve in findings.curves]
    images = [_image(name, by_name[name]) for name in [*names, paths.EVALUATION_FIGURE]]
    table = f"```\n{results_table(findings)}\n```"
    files = f"Everything is in `{folder}`."
    create_markdown_artifact(
        key=paths.artifact_key(findings.model.name),
        description=f"Repair of {findings.model.name}",
        markdown="\n\n".join([*conclude(findings), table, *images, files]),
    )


def _image(name: str, picture: Stored) -> str:
    """The picture within Markdown: the UI draws `data:` addresses, and no others of ours."""
    content = base64.b64encode(storage.read(picture)).decode("ascii")
    return f"![{name}](data:image/png;base64,{content})"
