"""The pages that people look at, in a real browser: pictures are there, and drawn."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Toy, repairs_in
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.remote.webdriver import WebDriver
from service import wait_for
from test_index import CLEARED, NAMED, leave

from flows.repair import main
from goodnet.report.index import INDEX_HEADS, update_index

pytestmark = pytest.mark.usefixtures("prefect_server")


BROWSER = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1600",
]
TAB = "//*[normalize-space()='Artifacts' and not(*)]"
DRAWN = "return [...document.images].filter(i => i.complete && i.naturalWidth > 100).length"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[WebDriver]:
    """A headless Chromium."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium and its driver are not installed")
    options = ChromeOptions()
    options.binary_location = chromium
    for argument in [*BROWSER, f"--user-data-dir={tmp_path / 'browser'}"]:
        options.add_argument(argument)
    started = Chrome(options=options, service=ChromeService(driver))
    yield started
    started.quit()


@pytest.mark.slow
def test_the_pages_show_the_pictures(small: Toy, browser: WebDriver) -> None:
    output = small.folder / "artifacts"
    places = ["--data", str(small.data), "--output", str(output)]
    assert main([str(small.model), *places, "--method", "pruning"]) == 0
    with get_client(sync_client=True) as client:
        answer = client.request("POST", "/artifacts/filter", json={"sort": "CREATED_DESC"})
    shown = next(found for found in answer.json() if found["key"] == "repair-small")

    (folder,) = repairs_in(output)
    pictures = {path.name for path in folder.glob("*.png")}
    assert pictures >= {"curve_asc.png", "curve_desc.png", "evaluation.png", "verdict.png"}
    page = PREFECT_API_URL.value().removesuffix("/api")
    browser.get(f"{page}/runs/flow-run/{shown['flow_run_id']}")
    wait_for(lambda: "repair small" in browser.page_source, 60)
    wait_for(lambda: browser.find_elements("xpath", TAB), 60)[-1].click()
    wait_for(lambda: "repair-small" in browser.page_source, 60)
    browser.get(f"{page}/artifacts/artifact/{shown['id']}")
    wait_for(lambda: browser.execute_script(DRAWN) == len(pictures), 60)
    assert "GoodNet" in browser.page_source

    browser.get((folder / "report.html").as_uri())
    wait_for(lambda: browser.execute_script(DRAWN) == len(pictures), 60)
    assert browser.execute_script("return document.images.length") == len(pictures)

    browser.get((output / "index.html").as_uri())
    wait_for(lambda: browser.execute_script(DRAWN) == 1, 60)
    browser.find_element("link text", "small").click()
    wait_for(lambda: browser.current_url == (folder / "report.html").as_uri(), 60)
    index = next(found for found in answer.json() if found["key"] == "repairs")
    browser.get(f"{page}/artifacts/artifact/{index['id']}")
    wait_for(lambda: "All repairs" in browser.page_source and "small" in browser.page_source, 60)


CELLS = "return [...document.querySelectorAll('tbody tr')].map(row => row.cells[arguments[0]].{0})"


@pytest.mark.slow
def test_the_index_sorts_by_every_column(tmp_path: Path, browser: WebDriver) -> None:
    """Its script runs under the page's own policy; numbers are sorted as numbers."""
    for number in range(30):
        findings = NAMED if number % 3 else CLEARED
        sha256, when = f"{number:064}", 1_700_000_000 + 7919 * number % 100_000
        leave(str(tmp_path), f"net_{number}-1", findings, sha256=sha256, when=when)
    update_index(str(tmp_path))
    browser.get((tmp_path / "index.html").as_uri())
    for place in range(1, len(INDEX_HEADS) + 1):
        cells = CELLS.format("dataset.value ?? row.cells[arguments[0]].textContent")
        before = browser.execute_script(cells, place)
        head = browser.find_elements("css selector", "thead th")[place]
        for direction in ("ascending", "descending"):
            head.find_element("tag name", "button").click()
            assert head.get_attribute("aria-sort") == direction
            after = browser.execute_script(cells, place)
            assert sorted(after) == sorted(before)
            assert after == sorted(before, key=as_a_person, reverse=direction == "descending")
    assert browser.execute_script("return document.querySelectorAll('[aria-sort]').length") == 1


def as_a_person(cell: str) -> list[float | str]:
    """What a cell is sorted by: numbers in a text as numbers."""
    if re.fullmatch(r"-?[0-9.]+", cell):
        return [float(cell)]
    return [int(part) if part.isdigit() else part.lower() for part in re.split(r"([0-9]+)", cell)]
