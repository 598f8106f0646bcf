"""What a repair's folder holds beside its networks, as file names and contents."""

from collections.abc import Container, Mapping, Sequence

from goodnet.files import paths
from goodnet.files.class_names import class_names_text
from goodnet.files.data_files import DataFile
from goodnet.files.storage import StoredFile
from goodnet.report.bom import bill_of_materials
from goodnet.report.document import report_html, report_markdown
from goodnet.report.findings import PruningResult, RepairResult
from goodnet.report.model_card import model_card
from goodnet.report.pdf import report_pdf
from goodnet.report.pictures import Picture, draw_curves, draw_evaluation
from goodnet.report.tables import curves_csv, evaluation_csv
from goodnet.report.thumbnail import thumbnail


def report_files(
    findings: RepairResult, pictures: Sequence[Picture], *, extras: Container[str] = ()
) -> dict[str, bytes]:
    """The pictures, the tables, and the report as Markdown and as one self-contained page.

    Args:
        findings: what the repair found.
        pictures: those of the report.
        extras: the files to make that need an extra; see `extra_files`.
    """
    text, names = report_markdown(findings, pictures), findings.verdict.class_names
    files = _tables(findings) | {picture.file: picture.png for picture in pictures}
    files |= {
        paths.REPORT_MD: text.encode(),
        paths.REPORT_HTML: report_html(text, pictures).encode(),
    }
    if paths.REPORT_PDF in extras:
        files[paths.REPORT_PDF] = report_pdf(findings, text, pictures)
    if small := thumbnail(pictures):
        files[paths.THUMBNAIL] = small
    if names:
        files[paths.CLASS_NAMES] = class_names_text(names)
    return files


def origin_files(
    folder: str,
    model: StoredFile,
    data: Mapping[str, DataFile],
    findings: RepairResult,
    networks: Sequence[StoredFile],
    extras: Container[str],
) -> dict[str, bytes]:
    """What says where the networks come from: the model card, and the bill of materials.

    Args:
        folder: the repair's folder.
        model: the suspect's file.
        data: the data sets by role.
        findings: what the repair found.
        networks: all that are in the folder.
        extras: the files to make that need an extra; see `extra_files`.
    """
    files = {paths.MODEL_CARD: model_card(folder, findings, networks).encode()}
    if paths.BOM in extras:
        files[paths.BOM] = bill_of_materials(folder, model, data, findings, networks)
    return {name: content for name, content in files.items() if content}


def pruning_files(result: PruningResult) -> dict[str, bytes]:
    """The figures and tables of pruning; the report's take their place when all is done."""
    pictures = [*draw_curves(result), *draw_evaluation(result)]
    return _tables(result) | {picture.file: picture.png for picture in pictures}


def _tables(result: PruningResult) -> dict[str, bytes]:
    files = {paths.CURVES_CSV: curves_csv(result.curves).encode()}
    if any(result.evaluation[0].shares.values()):
        files[paths.EVALUATION_CSV] = evaluation_csv(result.evaluation).encode()
    return files
