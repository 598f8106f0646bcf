"""The pages that people look at, in a real browser: pictures are there, and drawn."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Toy
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.remote.webdriver import WebDriver
from service import wait_for

from flows.repair import main

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

    (folder,) = output.iterdir()
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
