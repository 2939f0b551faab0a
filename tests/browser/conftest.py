"""Chromium of the distribution, driven by playwright; tests skip where either is not there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands import mmbench

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)

MEMORY = ("--enable-precise-memory-info", "--js-flags=--expose-gc")  # for measuring what a page holds


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless browser that plays sound without a click."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make browser")
    if not CHROMIUM:
        pytest.skip("no Chromium: install the distribution's package chromium")
    with playwright.sync_playwright() as driver:
        flags = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio", *MEMORY]
        found = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield found
        found.close()


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scored systems with 64 samples each."""
    out = tmp_path_factory.mktemp("runs")
    systems = ["-s", "ground_truth", "-s", "independent", "-s", "tiny", "-m", "av_align", "-m", "ib_bounce_tv"]
    done = mmbench("run", *systems, "-n", "64", "--set", "num_inference_steps=2", "--out", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def report(runs: Path) -> Path:
    """Their report."""
    done = mmbench("report", "--out", runs, "--to", runs / "report")
    assert done.returncode == 0, done.stderr
    return runs / "report"


@pytest.fixture(params=[(1440, 900), (390, 844)], ids=["desk", "phone"])
def page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page of either width, whose console must stay without errors."""
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield opened
    context.close()
    assert not errors
