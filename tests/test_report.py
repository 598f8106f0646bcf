"""The report tells all of it, and no name in it becomes markup."""

import base64
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from invented import invented_curve, invented_findings, invented_mitigation, invented_verdict
from markdown_it import MarkdownIt

from goodnet.detection.verdict import BACKDOORED
from goodnet.report.conclusion import conclude
from goodnet.report.document import report_html, report_markdown
from goodnet.report.findings import RepairResult
from goodnet.report.pictures import Picture

PICTURES = [
    Picture(file, section, f"Caption of {file}", base64.b64encode(file.encode()).decode())
    for file, section in (
        ("clean.png", "data"),
        ("poisoned.png", "data"),
        ("curve_asc.png", "curve ascending"),
        ("curve_desc.png", "curve descending"),
        ("evaluation.png", "evaluation"),
        ("verdict.png", "verdict"),
        ("trigger_class_3.png", "trigger 3"),
    )
]
NAMED = invented_verdict(BACKDOORED, [3])
HOSTILE = [
    "</td><script>alert(1)</script>",
    "a|b|c \\|",
    "\\`x\\` \\<b>",
    "`code` ``` ~~~",
    "[x](javascript:alert(1)) ![y](http://evil.example/z.png)",
    "two\n\n# lines\r\n| --- |",
    "<http://evil.example> www.evil.example https://evil.example me@evil.example",
    "**bold** __bold__ *it* _it_ ~~gone~~ &lt;b&gt; \\",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnp.exe\u0000",
    "",
]


class Page(HTMLParser):
    """The tags of a page, its links' and pictures' addresses, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def named(name: str) -> RepairResult:
    """Findings with the name wherever a name can come from outside."""
    plain = invented_findings(layers=(("in", "InputLayer"), (name, name), ("pool", "MaxPooling2D")))
    model = replace(plain.model, name=name, uri=f"models/{name}.h5", described_by=name, layer=name)
    return replace(plain, model=model, sets=tuple(replace(s, uri=name) for s in plain.sets))


def test_the_report_starts_with_the_conclusion_and_keeps_its_order() -> None:
    findings = invented_findings()
    text = " ".join(report_markdown(findings, PICTURES).split())
    order = [
        "# Repair of face_net",
        f"> {conclude(findings)[0]}",
        "## What was given",
        "ab" * 32,
        "## Preprocessing",
        "raw: 0 to 255 (of all that was tried, clean validation images are answered best so)",
        "## Baseline",
        "with nothing pruned, answers 190 of 200 = 95.0 %",
        "## The curves",
        "3 of 10 channels are dead, exactly zero on all clean validation images: 7, 8, 9.",
        "3 channels are tied with others, in 1 group",
        "(curve_asc.png)",
        "(curve_desc.png)",
        "## Repaired models",
        "| ascending | 2 | 4 of 10 = 40.0 % | 178 of 200 = 89.0 %",
        "`repaired_models_asc/model_drop_2.h5`",
        "## GoodNets",
        "`goodnets_desc/goodnet_drop_10.keras`",
        "## Evaluation",
        "(evaluation.png)",
        "## Ascending against descending",
        "## Limits",
        "RAID 2018",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_the_page_is_one_file_with_its_pictures_inside() -> None:
    findings = invented_findings(verdict=NAMED, mitigation=invented_mitigation())
    page = Page(report_html(report_markdown(findings, PICTURES), PICTURES))
    assert len(page.addresses) == len(PICTURES)
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert {"script", "a", "link", "iframe"}.isdisjoint(page.tags)
    assert page.tags.count("table") == 11
    assert "Repair of face_net" in page.text


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_becomes_markup(name: str) -> None:
    """A hostile name changes the text of the page, never its structure."""
    plain = Page(report_html(report_markdown(named("plain"), PICTURES), PICTURES))
    hostile = Page(report_html(report_markdown(named(name), PICTURES), PICTURES))
    assert hostile.tags == plain.tags
    assert hostile.addresses == plain.addresses


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_becomes_a_link_for_readers_that_link_more(name: str) -> None:
    """Others render the Markdown with links and everything else switched on."""
    text = report_markdown(named(name), ())
    html = MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(text)
    assert {"a", "script", "b"}.isdisjoint(Page(html).tags)
    for link in ("https://", "www.evil", "me@evil"):
        assert link not in text
    assert len(text.splitlines()) == len(report_markdown(named("plain"), ()).splitlines())


def test_a_name_reads_as_it_was_given() -> None:
    name = "a_b-1.2 <i> | `x` [y] *z*"
    page = Page(report_html(report_markdown(named(name), ()), ()))
    plain = Page(report_html(report_markdown(named("(plain)"), ()), ()))
    assert page.text.count(name) == plain.text.count("(plain)") > 8
    assert "# Repair of a_b-1.2 " in report_markdown(named(name), ())


def test_the_page_takes_over_no_markup_and_no_links_from_the_markdown() -> None:
    page = Page(report_html("# x\n\n<b>raw</b> [a](http://x) <http://x>\n\n<div>\n", ()))
    assert {"b", "a", "div"}.isdisjoint(page.tags)


def test_without_a_poisoned_set_there_is_no_asr_and_a_warning() -> None:
    pictures = [picture for picture in PICTURES if picture.file != "poisoned.png"]
    text = report_markdown(invented_findings(poisoned=False), pictures)
    assert "poisoned.png" not in text
    assert "| ASR |" not in text
    assert "Without a poisoned set the ASR is unknown" in text
    assert "Without a poisoned set" not in report_markdown(invented_findings(), PICTURES)
    assert "No poisoned test set was given" in text


def test_one_order_is_not_compared() -> None:
    text = report_markdown(invented_findings(directions=["descending"]), PICTURES)
    assert "Ascending against descending" not in text
    assert "curve_asc.png" not in text
    assert "## The curve\n" in text


def test_a_repair_without_repaired_models_says_so() -> None:
    text = report_markdown(invented_findings(correct=[190] * 11), PICTURES)
    assert "There is none: no drop was reached." in text
    assert "- Drop 10 was not reached (descending)" in text
    assert "goodnet_drop" not in text


def test_the_true_class_is_shown_where_it_is_known() -> None:
    known = report_markdown(invented_findings(true=True, attack=[199] * 7), PICTURES)
    assert "| ASR | poisoned images flagged | true class answered |" in known
    assert "| 1 of 200 = 0.5 % (0.1 to 2.8 %) |" in known
    assert "true class" not in report_markdown(invented_findings(), PICTURES)


def test_a_deep_network_is_listed_in_short() -> None:
    layers = tuple((f"layer_{i}", "Conv2D") for i in range(100))
    findings = invented_findings(layers=layers)
    short = replace(findings, model=replace(findings.model, layer="layer_50"))
    text = report_markdown(short, PICTURES)
    assert "| layer_50 | Conv2D | pruned |" in text
    assert "| … |  | 45 more |" in text
    assert "| layer_97 | Conv2D |" in text
    assert "layer_30" not in text


def test_a_curve_without_dead_or_tied_channels_says_so() -> None:
    findings = replace(invented_findings(), curves=(invented_curve(dead=0),))
    text = report_markdown(findings, PICTURES)
    assert "none is dead" in text
    assert "No two channels have the same mean" in text


def test_a_picture_that_is_not_given_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"clean\.png"):
        report_html(report_markdown(invented_findings(), PICTURES), ())


def test_the_verdict_and_the_mitigation_have_their_numbers_in_the_report() -> None:
    findings = invented_findings(verdict=NAMED, mitigation=invented_mitigation(right=58, after=1))
    text = report_markdown(findings, PICTURES)
    assert "## Verdict" in text and "| corners | 12 | 3.00 for class 3," in text
    assert "takes 180 of 200 = 90.0 %" in text
    assert "59 of 60 = 98.3 %" in text and "58 of 60 = 96.7 %" in text
    assert "`repaired" not in text.split("## Mitigation")[1].split("##")[0]
    assert "repaired_models_unlearned/model_unlearned.keras" in text
    assert "except where that answers classes 3 and 7: there the" in text
    assert "doubts only the suspect's answers for classes 3 and 7" in text
    assert "## Mitigation" not in report_markdown(invented_findings(), PICTURES)
