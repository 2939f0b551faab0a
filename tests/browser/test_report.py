"""A report of real runs in a browser: players in step, table, records, browser of samples, on a desk and on a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.commands import mmbench

pytestmark = pytest.mark.e2e

SECONDS = 30  # that players are watched
SPREAD = """() => {
  const row = document.querySelector(".row"), videos = [...row.querySelectorAll("video")];
  const ends = videos.some((v) => v.currentTime < 0.3 || v.currentTime > v.duration - 0.3);
  return ends ? null : Math.max(...videos.map((v) => v.currentTime)) - Math.min(...videos.map((v) => v.currentTime));
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of three systems with twelve samples each."""
    out = tmp_path_factory.mktemp("report")
    systems = ["-s", "ground_truth", "-s", "independent", "-s", "tiny"]
    done = mmbench("run", *systems, "-n", "12", "--set", "num_inference_steps=4", "--out", out / "runs")
    assert done.returncode == 0, done.stderr
    done = mmbench("report", "--out", out / "runs", "--to", out / "page")
    assert done.returncode == 0, done.stderr
    return out / "page"


@pytest.fixture
def opened(page: Any, folder: Path) -> Any:
    """The report, all media of its first page there."""
    page.goto(f"file://{folder}/index.html")
    ready = "[...document.querySelectorAll('video')].every((v) => v.readyState >= 2)"
    page.wait_for_function(ready, timeout=30000)
    return page


def test_it_fits_and_every_clip_is_there(opened: Any) -> None:
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert opened.locator(".row").count() == 8
    assert opened.locator(".row video").count() == 24
    whole = "[...document.querySelectorAll('.row img')].every((i) => i.complete && i.naturalWidth > 0)"
    for number in range(8):
        opened.locator(".row").nth(number).scroll_into_view_if_needed()
    opened.wait_for_function(whole, timeout=15000)


def test_players_stay_in_step_and_one_is_heard(opened: Any, request: pytest.FixtureRequest) -> None:
    opened.locator(".row button").first.click()
    spreads = []
    for _ in range(SECONDS * 10):
        opened.wait_for_timeout(100)
        spreads.append(opened.evaluate(SPREAD))
        heard = opened.evaluate("[...document.querySelectorAll('.row video')].filter((v) => !v.muted).length")
        assert heard == 1
    known = sorted(x for x in spreads if x is not None)
    assert len(known) > SECONDS * 5
    assert known[int(0.95 * len(known))] <= 0.040, f"largest {known[-1]:.3f} s"
    opened.keyboard.press("2")
    assert opened.evaluate("document.querySelectorAll('.row video')[1].muted") is False
    opened.keyboard.press(" ")
    assert opened.evaluate("[...document.querySelectorAll('.row video')].every((v) => v.paused)")


def test_scrubbing_moves_all(opened: Any) -> None:
    opened.locator(".row input[type=range]").first.fill("1.25")
    times = opened.evaluate("[...document.querySelector('.row').querySelectorAll('video')].map((v) => v.currentTime)")
    assert times == pytest.approx([1.25] * 3, abs=0.02)


def test_samples_are_ordered_found_and_paged(opened: Any) -> None:
    opened.select_option("[name=metric]", "av_align")
    opened.select_option("[name=system]", label="tiny")
    opened.select_option("[name=other]", label="ground_truth")
    opened.select_option("[name=order]", "losses")
    gains = opened.evaluate("""() => order.map((r) => { const s = REPORT.scores.av_align; const k = REPORT.systems;
      return s[k.indexOf("tiny")][r] - s[k.indexOf("ground_truth")][r]; })""")
    assert gains == sorted(gains)
    assert opened.text_content("#place") == "page 1 of 2"
    opened.click("#later")
    assert opened.locator(".row").count() == len(gains) - 8
    assert opened.is_disabled("#later")
    opened.fill("[name=find]", "rubber")
    texts = opened.locator(".row h3").all_text_contents()
    assert texts
    assert all("rubber" in text for text in texts)
    opened.fill("[name=find]", "zebra")
    assert opened.locator(".row").count() == 0
    assert opened.text_content("#found").startswith("0 of 12")


def test_numbers_sort_hide_and_open_their_record(opened: Any) -> None:
    first = "() => document.querySelector('#numbers tbody tr').dataset.name"
    opened.click("th button:has-text('av_align')")
    assert opened.evaluate(first) == "ground_truth"  # the best first
    opened.click("th button:has-text('av_align')")
    assert opened.evaluate(first) != "ground_truth"
    opened.locator("#numbers .number").first.click()
    record = opened.locator("dialog[open]")
    assert "signature" in record.text_content()
    assert "mmbench evaluate" in record.text_content()
    opened.keyboard.press("Escape")
    assert opened.locator("dialog[open]").count() == 0
    opened.click(".columns summary")
    opened.locator(".columns input").first.uncheck()
    assert opened.locator("#numbers thead th:visible").count() == opened.locator("#numbers thead th").count() - 1
    opened.select_option("#scatter-y", "av_align")
    assert opened.locator("#scatter path").count() == 3
