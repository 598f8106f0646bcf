"""The documentation site: all pages are in it, it builds without a warning, no link is dead."""

import re
import shutil
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from conftest import PROJECT

import goodnet
from tools import site_pages

NAV = list(
    site_pages.pages_of(tomllib.loads((PROJECT / "zensical.toml").read_text())["project"]["nav"])
)


class Page(HTMLParser):
    """What a page links to, what it loads, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {given.get("id") or "", given.get("name") or ""}
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        elif tag in ("img", "script", "iframe") and given.get("src"):
            self.loaded.append(str(given["src"]))
        elif tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(str(given.get("href")))


def test_every_page_of_the_documentation_is_in_the_site() -> None:
    pages = {path.relative_to(PROJECT).as_posix() for path in (PROJECT / "docs").rglob("*.md")}
    pages |= {f"{folder}/README.md" for folder in ("data", "models", "artifacts", "benchmarks")}
    assert set(NAV) == pages | {"README.md", "SECURITY.md", site_pages.REFERENCE}
    assert len(NAV) == len(set(NAV))


def test_pages_are_the_repository_s_own_with_what_they_link_to(tmp_path: Path) -> None:
    site_pages.main(tmp_path / "pages")
    for name in set(NAV) - {site_pages.REFERENCE}:
        assert (tmp_path / "pages" / name).read_bytes() == (PROJECT / name).read_bytes()
    for name in ("docs/report.png", "docs/goodnet.ipynb", "goodnet/network/layers.py", "LICENSE"):
        assert (tmp_path / "pages" / name).exists()
    reference = (tmp_path / "pages" / site_pages.REFERENCE).read_text()
    assert set(re.findall(r"::: goodnet\.(\w+)", reference)) == set(goodnet.__all__)


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_no_link_of_it_is_dead(tmp_path: Path) -> None:
    site = build(tmp_path)
    pages = {path: Page(path.read_text()) for path in site.rglob("*.html")}
    assert {path.relative_to(site).as_posix() for path in pages} >= {
        name.replace("README.md", "index.html").replace(".md", ".html") for name in NAV
    }
    for path, page in pages.items():
        assert not [each for each in page.loaded if urlsplit(each).netloc]
        for address in [*page.links, *page.loaded] if path.name != "404.html" else ():
            parts = urlsplit(address)
            if not parts.netloc and parts.scheme not in ("mailto", "data"):
                target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                target = target / "index.html" if target.is_dir() else target
                assert target.is_file(), (path, address)
                anchor = unquote(parts.fragment)
                assert target not in pages or not anchor or anchor in pages[target].anchors, address
    reference = (site / "docs" / "reference.html").read_text()
    assert all(f'id="goodnet.{name}"' in reference for name in goodnet.__all__)
    assert "clean validation images, a few hundred of them." in reference


@pytest.mark.slow
def test_a_dead_link_ends_the_build(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="does not exist"):
        build(tmp_path, "[nowhere](nowhere.md)")


def build(folder: Path, more: str = "") -> Path:
    """The site, built in a folder of its own."""
    site_pages.main(folder / "build" / "pages")
    with (folder / "build" / "pages" / "docs" / "concepts.md").open("a") as page:
        page.write(f"\n{more}\n")
    config = (PROJECT / "zensical.toml").read_text()
    (folder / "zensical.toml").write_text(config.replace('paths = ["."]', f'paths = ["{PROJECT}"]'))
    zensical = shutil.which("zensical", path=Path(sys.executable).parent)
    assert zensical
    command = [zensical, "build", "--strict", "--clean"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    said = re.sub(r"\x1b\[[0-9;]*m", "", ended.stdout + ended.stderr)
    assert ended.returncode == 0 and "No issues found" in said, said
    assert "warning" not in said.lower()
    return folder / "build" / "site"
