"""The dashboard in Chromium: one server, started by `mase dashboard`, and one browser for the file.

The server starts on an empty home, which `filled` then fills with 2,000 runs of hostile names.
"""

import http.client
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards.filling import HOSTILE, PLAIN, fill, write_report, write_study

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
PAGES = ["Runs", "Tables", "Allocation", "Information", "Scene graphs", "t-SNE", "Studies", "Cost"]
DESKTOP, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
FIRST_PAGE_SECONDS = 3.0
START_SECONDS = 90
IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
WAIT = 60_000  # milliseconds

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass
class Dashboard:
    """A running `mase dashboard` and what its pages said before there was a run."""

    url: str
    home: Path
    process: "subprocess.Popen[bytes]"
    when_empty: dict[str, str] = field(default_factory=dict)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        message = "no Chromium; on Debian: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def dashboard(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """Run the command in a folder that is not the checkout, and stop it as a user does."""
    folder, port = tmp_path_factory.mktemp("user"), free_port()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder), "MASE_HOME": "home"}
    command = [sys.executable, "-m", "flows.cli", "dashboard", "--port", str(port)]
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/_stcore/health", process, folder / "log")
        yield Dashboard(url, folder / "home", process)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=30)
        log.close()
    assert code == 128 + signal.SIGTERM
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "the server outlived the command"
    said = (folder / "log").read_text(encoding="utf-8")
    assert "Traceback" not in said, said


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"no answer: {log.read_text(encoding='utf-8')}")


def opened(dashboard: Dashboard, page: Any, path: str) -> None:
    """Open a page and wait until it is whole."""
    page.goto(f"{dashboard.url}/{path}")
    page.wait_for_selector("h1", timeout=WAIT)
    page.wait_for_selector(IDLE, timeout=WAIT)
    page.wait_for_selector("[data-testid=stSkeleton]", state="detached", timeout=WAIT)


@pytest.fixture(scope="module")
def filled(browser: Any, dashboard: Dashboard, empty_store: Path) -> Dashboard:
    """Look at the empty home, then put 2,000 runs, a report and a study there."""
    page = browser.new_page()
    for path in ("", "studies"):
        opened(dashboard, page, path)
        page.locator("[data-testid=stCode]").wait_for(timeout=WAIT)
        dashboard.when_empty[path] = page.locator("[data-testid=stMain]").inner_text()
    page.close()
    assert not dashboard.home.exists()
    dashboard.home.mkdir()
    shutil.copy(empty_store, dashboard.home / "mlflow.db")
    fill(dashboard.home / "mlflow.db", flows=20, cells=11, seeds=8, rows=(*HOSTILE, *PLAIN))
    write_report(dashboard.home, HOSTILE)
    write_study(dashboard.home, HOSTILE[0])
    return dashboard


def test_before_the_first_run_a_page_says_what_to_do(filled: Dashboard) -> None:
    assert "No run yet" in filled.when_empty[""] and "mase reproduce" in filled.when_empty[""]
    assert "No study yet" in filled.when_empty["studies"] and "mase tune" in filled.when_empty["studies"]


def test_the_first_page_of_2000_runs_is_there_within_three_seconds(filled: Dashboard, browser: Any) -> None:
    with sqlite3.connect(filled.home / "mlflow.db") as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (2000,)
    connection.close()
    taken: list[tuple[float, float]] = []
    while len(taken) < 4 and not any(map(in_time, taken)):
        page = browser.new_context(viewport=DESKTOP).new_page()  # with an empty cache
        started = time.perf_counter()
        page.goto(filled.url, wait_until="commit")
        page.wait_for_selector("h1", timeout=WAIT)
        streamlit = time.perf_counter() - started
        page.wait_for_selector("[data-testid=stDataFrame] canvas", timeout=WAIT)
        page.get_by_text("20 of 2,000 runs").wait_for()
        taken.append((streamlit, time.perf_counter() - started))
        page.context.close()
    print("first page after", ", ".join(f"{whole:.2f} s (heading {head:.2f} s)" for head, whole in taken))
    assert any(map(in_time, taken)), taken


def in_time(taken: tuple[float, float]) -> bool:
    """Tell whether a page came in time: its heading, which needs no run read, and the whole of it.

    Where others use the processors, Streamlit's own scripts take longer than three seconds to show a
    heading; the whole page may then take three times that (through MLflow's client it takes eight times).
    """
    streamlit, whole = taken
    return whole < max(FIRST_PAGE_SECONDS, 3 * streamlit)


def test_every_page_fits_loads_nothing_from_elsewhere_and_runs_no_script_of_the_data(
    filled: Dashboard, browser: Any
) -> None:
    page = browser.new_page(viewport=DESKTOP, color_scheme="light")
    addresses, errors = set(), []
    page.on("request", lambda request: addresses.add(request.url))
    page.on("websocket", lambda opened: addresses.add(opened.url.replace("ws:", "http:")))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    opened(filled, page, "")
    for name in PAGES:
        page.get_by_role("link", name=name, exact=True).click()
        page.get_by_role("heading", level=1, name=name, exact=True).wait_for(timeout=WAIT)
        page.wait_for_selector(IDLE, timeout=WAIT)
        for size in (NARROW, DESKTOP):
            page.set_viewport_size(size)
            page.wait_for_timeout(150)  # charts are drawn after the script has ended
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{name} is {wide} pixels too wide at {size['width']}"
        assert page.locator("[data-testid=stException]").count() == 0, name
        assert page.evaluate("window.hacked") is None, name
        live = "[data-testid=stMain] :is(script, [onerror], [href^='javascript'], img[src='x'], mark)"
        assert page.locator(live).count() == 0, name
    page.close()
    assert not errors
    assert not {url for url in addresses if not url.startswith((f"{filled.url}/", "data:", "blob:"))}


def test_a_dark_desktop_gets_light_letters_on_dark(filled: Dashboard, browser: Any) -> None:
    luminance = {}
    for scheme in ("light", "dark"):
        page = browser.new_page(viewport=DESKTOP, color_scheme=scheme)
        opened(filled, page, "scene-graphs")
        word = page.locator("svg text", has_text="church").first
        word.wait_for(timeout=WAIT)
        background = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
        letters = word.evaluate("node => getComputedStyle(node).fill")
        luminance[scheme] = [
            sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (background, letters)
        ]
        page.close()
    assert luminance["light"][0] > 600 > 200 > luminance["light"][1]
    assert luminance["dark"][0] < 200 < 600 < luminance["dark"][1]


def test_hostile_names_are_shown_as_they_are(filled: Dashboard, browser: Any) -> None:
    page = browser.new_page()
    opened(filled, page, "tables")
    page.locator("th.label").last.wait_for(timeout=WAIT)
    labels = page.locator("th.label").all_inner_texts()
    assert set(HOSTILE) <= set(labels)
    opened(filled, page, "allocation")
    page.wait_for_selector(".mase-title")
    titles = page.locator(".mase-title").all_inner_texts()
    assert any(title.startswith("<script>window.hacked = 1</script> / mrpc") for title in titles), titles
    page.close()


def test_a_ticked_run_shows_its_params_and_why_it_failed(filled: Dashboard, browser: Any) -> None:
    page = browser.new_page(viewport=DESKTOP)
    opened(filled, page, "")
    page.get_by_label("Name contains").fill("seed 1")
    page.get_by_label("Name contains").press("Enter")
    page.get_by_text("of 2,000 runs").wait_for()
    page.wait_for_timeout(500)
    box = page.locator("[data-testid=stDataFrame]").first.bounding_box()
    page.mouse.click(box["x"] + 16, box["y"] + 3.5 * 35)  # flow, cell, seed: the third line
    page.get_by_text(f"it said {HOSTILE[0]}").wait_for(timeout=WAIT)
    assert page.get_by_text("The ticked run").count() == 1
    page.close()


def test_a_run_that_goes_on_is_followed_without_a_click(filled: Dashboard, browser: Any) -> None:
    page = browser.new_page(viewport=DESKTOP)
    opened(filled, page, "")
    page.get_by_text("1 running").wait_for(timeout=WAIT)
    connection = sqlite3.connect(filled.home / "mlflow.db", check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")  # as while a run writes: the page waits
    connection.execute("UPDATE runs SET status = 'FINISHED', end_time = start_time WHERE status = 'RUNNING'")
    page.wait_for_timeout(500)
    connection.commit()
    connection.close()
    page.get_by_text("0 running").wait_for(timeout=20_000)
    assert page.locator("[data-testid=stException]").count() == 0
    page.close()


def test_a_typed_sentence_is_drawn_and_its_text_stays_text(filled: Dashboard, browser: Any) -> None:
    page = browser.new_page(viewport=DESKTOP)
    opened(filled, page, "scene-graphs")
    page.get_by_label("Sentence", exact=True).fill(
        'A yellow lemon lies on a "big" <b>table</b> near a helicopter.'
    )
    page.get_by_label("Sentence", exact=True).press("Enter")
    page.locator("svg text", has_text="lemon").first.wait_for(timeout=WAIT)
    page.wait_for_selector(IDLE, timeout=WAIT)
    drawn = page.locator("[data-testid=stGraphVizChart] svg text").all_text_contents()
    assert {"lemon", "yellow", "helicopter"} <= {text.strip() for text in drawn}
    assert "helicopter 1.00" in page.inner_text("[data-testid=stMain]")
    page.close()


def test_a_page_of_another_host_cannot_use_the_web_socket(dashboard: Dashboard) -> None:
    assert status_of_web_socket(dashboard, dashboard.url) == 101
    assert status_of_web_socket(dashboard, "http://example.com") == 403


def status_of_web_socket(dashboard: Dashboard, origin: str) -> int:
    """Return the HTTP status that the opening of a web socket is answered with."""
    host = dashboard.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=10)
    headers = {
        "Origin": origin, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    try:
        connection.request("GET", "/_stcore/stream", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()
