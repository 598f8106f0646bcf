"""What a repair's folder holds beside its networks, as file names and contents."""

from collections.abc import Sequence

from goodnet.files import paths
from goodnet.files.class_names import class_names_text
from goodnet.report.document import report_html, report_markdown
from goodnet.report.findings import PruningResult, RepairResult
from goodnet.report.pictures import Picture, draw_curves, draw_evaluation
from goodnet.report.tables import curves_csv, evaluation_csv
from goodnet.report.thumbnail import thumbnail


def report_files(findings: RepairResult, pictures: Sequence[Picture]) -> dict[str, bytes]:
    """The pictures, the tables, and the report as Markdown and as one self-contained page."""
    text, names = report_markdown(findings, pictures), findings.verdict.class_names
    files = _tables(findings) | {picture.file: picture.png for picture in pictures}
    files |= {
        paths.REPORT_MD: text.encode(),
        paths.REPORT_HTML: report_html(text, pictures).encode(),
    }
    if evidence := thumbnail(pictures):
        files[paths.THUMBNAIL] = evidence
    if names:
        files[paths.CLASS_NAMES] = class_names_text(names)
    return files


def pruning_files(result: PruningResult) -> dict[str, bytes]:
    """The figures and tables of pruning; the report's take their place when all is done."""
    pictures = [*draw_curves(result), *draw_evaluation(result)]
    return _tables(result) | {picture.file: picture.png for picture in pictures}


def _tables(result: PruningResult) -> dict[str, bytes]:
    files = {paths.CURVES_CSV: curves_csv(result.curves).encode()}
    if any(result.evaluation[0].shares.values()):
        files[paths.EVALUATION_CSV] = evaluation_csv(result.evaluation).encode()
    return files
