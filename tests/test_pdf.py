"""The report as a PDF file: it says what the Markdown says, and no name in it becomes markup."""

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import replace

import pypdfium2
import pytest
from invented import invented_findings, invented_mitigation, invented_verdict
from PIL import Image
from test_report import HOSTILE, PICTURES, named

from goodnet.command import repair_steps
from goodnet.detection.verdict import BACKDOORED
from goodnet.errors import one_line
from goodnet.files import paths
from goodnet.report import extras
from goodnet.report.conclusion import conclude, headline
from goodnet.report.document import report_markdown
from goodnet.report.findings import RepairResult
from goodnet.report.folder import report_files
from goodnet.report.pdf import LETTERS, report_pdf
from goodnet.report.pictures import Picture

NAMED = invented_verdict(BACKDOORED, [3])
WIDTH = 595.3  # points: A4
TYPST = [  # what Typst would run, show otherwise or refuse, were it source
    '#panic("x")',
    '#import "@preview/x:1.0.0": *',
    '#read("/etc/passwd")',
    "$x^2$ *bold* _it_ `raw` <label> @ref // gone /* gone */ = no heading",
    '") #panic() ("',
    "\\u{41} ~ -- --- ... 'quote' \\",
]


def pictures(size: tuple[int, int] = (32, 20)) -> list[Picture]:
    """The report's pictures, each a grey PNG file."""
    content = io.BytesIO()
    Image.new("L", size, 128).save(content, "PNG")
    png = base64.b64encode(content.getvalue()).decode()
    return [picture._replace(content=png) for picture in PICTURES]


def typeset(findings: RepairResult, shown: Sequence[Picture] | None = None) -> bytes:
    shown = pictures() if shown is None else shown
    return report_pdf(findings, report_markdown(findings, shown), shown)


def text_of(pdf: bytes) -> str:
    """All text, in one line, without the places where words may break."""
    document = pypdfium2.PdfDocument(pdf)
    pages = (page.get_textpage().get_text_bounded() for page in document)
    text = "".join(page.replace("\u200b", "").replace("\xa0", " ") for page in pages)
    return " ".join(text.replace("\ufffe", "").split())


def count_pictures(pdf: bytes) -> int:
    """The pictures on all pages."""
    kind = pypdfium2.raw.FPDF_PAGEOBJ_IMAGE
    return sum(len(list(page.get_objects([kind]))) for page in pypdfium2.PdfDocument(pdf))


def test_the_cover_has_verdict_recommendation_evidence_and_where_all_came_from() -> None:
    findings = invented_findings(verdict=NAMED, mitigation=invented_mitigation(right=58, after=1))
    document = pypdfium2.PdfDocument(typeset(findings))
    assert document.get_metadata_dict()["Title"] == "Repair of face_net"
    text = " ".join(document[0].get_textpage().get_text_bounded().replace("\xa0", " ").split())
    for part in ("face_net", "Backdoored", headline(findings), "ab" * 32, "made by GoodNet 0."):
        assert part in text
    for role in findings.sets:
        assert role.uri in text and role.sha256 in text
    assert "letter" not in text
    assert len(list(document[0].get_objects([pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]))) == 1


def test_all_of_the_report_is_in_the_file() -> None:
    """Every paragraph, list item and cell of the Markdown."""
    findings = invented_findings(verdict=NAMED, mitigation=invented_mitigation())
    pdf, markdown = typeset(findings), report_markdown(findings, pictures())
    text = text_of(pdf).replace(" ", "")
    markdown = re.sub(r"!\[.*?\]\(.*?\)|`|^[>#]+", "", markdown, flags=re.M)
    parts = re.split(r"\n\s*\n|\||^- ", markdown, flags=re.M)
    words = [re.sub(r"\s|\\(?=\W)", "", part) for part in parts[1:]]
    assert len(words) > 200
    for part in words:
        assert re.fullmatch("[-:]*", part) or part in text
    assert count_pictures(pdf) == len(PICTURES) + 1  # the cover's


def test_the_same_report_is_the_same_bytes() -> None:
    findings = invented_findings(verdict=NAMED)
    first = typeset(findings)
    assert typeset(findings) == first
    assert not re.search(rb"CreationDate|ModDate|/tmp", first)


def test_names_read_as_they_were_given_and_change_nothing_else() -> None:
    """Wherever a name can come from outside: layers, files, classes."""
    names = [name for name in (*HOSTILE, *TYPST) if one_line(name)]
    plain = invented_findings(layers=(*((name, name) for name in names[:14]), ("pool", "x")))
    more = (replace(plain.sets[0], uri=name) for name in names)
    findings = replace(
        plain,
        model=replace(plain.model, name=names[0], uri=names[1], described_by=names[2]),
        verdict=replace(NAMED, class_names=tuple(names)),
        sets=(*plain.sets, *more),
    )
    pdf = typeset(findings)
    text = text_of(pdf).replace(" ", "")
    for place, name in enumerate(names):
        shown = re.sub(r"\s", "", one_line(name))
        assert text.count(shown) >= 3 + (place < 14)
    assert count_pictures(pdf) == len(PICTURES) + 1


@pytest.mark.one_in(4)
@pytest.mark.parametrize("name", ["W" * 400, "s3://x/" + "deep/" * 300, "_" * 90, "ж" * 300])
def test_long_names_stay_on_the_page(name: str) -> None:
    findings = named(name)
    classes = (name[:60],) * findings.model.classes
    findings = replace(findings, verdict=replace(NAMED, class_names=classes))
    for page in pypdfium2.PdfDocument(typeset(findings)):
        text = page.get_textpage()
        boxes = [text.get_charbox(place) for place in range(text.count_chars())]
        assert max(right for _, _, right, _ in boxes) < WIDTH - 28


def test_pictures_that_are_higher_than_the_page_and_letters_that_no_font_has() -> None:
    """The ones fit the page, the others are owned up to."""
    findings = named("停止 Ωж")
    pdf = typeset(replace(findings, verdict=NAMED), pictures((20, 400)))
    for page in pypdfium2.PdfDocument(pdf):
        for picture in page.get_objects([pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]):
            left, bottom, right, top = picture.get_bounds()
            assert 0 < left < right < page.get_width() and 0 < bottom < top < page.get_height()
    assert "?? Ωж" in text_of(pdf) and LETTERS in text_of(pdf)


def test_without_pictures_or_an_answer_there_is_a_report_as_well() -> None:
    findings = invented_findings(correct=[190] * 11, poisoned=False, tested=False)
    text = text_of(typeset(findings, ()))
    assert conclude(findings)[0] in text and "No backdoor found" in text


def test_a_repair_has_the_file_where_the_extra_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = invented_findings()
    assert paths.REPORT_PDF in extras.extra_files()
    assert not list(extras.missing_files())
    files = report_files(findings, pictures(), extras=extras.extra_files())
    assert files[paths.REPORT_PDF].startswith(b"%PDF-")
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert paths.REPORT_PDF not in report_files(findings, pictures(), extras=extras.extra_files())
    line = "no report.pdf: it needs typst, pip install 'goodnet[pdf]'"
    assert line in list(repair_steps.missing_files())
