"""A leaderboard in a browser: it fits, sorts each table by itself, opens records, and loads nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mmbench.leaderboard.board import add, read_board
from mmbench.leaderboard.build import build
from mmbench.leaderboard.ranking import rank_all
from tests.leaderboard.material import a_run, an_author, scatter, send

pytestmark = pytest.mark.e2e
HOSTILE = "<img src=x onerror=alert(1)>" + "long_name_" * 8
FIRST = "(k) => document.querySelectorAll('table')[k].tBodies[0].rows[0].dataset.name"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven systems under two metrics, and an untrained one."""
    folder = tmp_path_factory.mktemp("board")
    systems = ["fast", "slow", HOSTILE, "d", "e", "f", "ground_truth"]
    files = [
        send(
            folder / f"{k}-{metric}",
            name,
            scatter((0.9, 0.1, 0.5, 0.4, 0.45, 0.2, 0.95)[k], 16, k),
            an_author(team="A team with a long name" if k % 2 else HOSTILE),
            metric=metric,
            baseline=0.3,
            baseline_stderr=0.02,
        )
        for k, name in enumerate(systems)
        for metric in ("av_align.mmdisco_96ms", "desync.avbench_8s")
    ]
    files.append(send(folder / "junk", "junk", scatter(0.1), run=a_run("junk", "random")))
    add(files, folder / "board")
    build(rank_all(read_board(folder / "board")), folder / "site", "Board")
    return folder / "site"


@pytest.fixture
def opened(page: Any, site: Path) -> Any:
    """The page; whatever it asks for but itself is kept."""
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(f"file://{site}/index.html")
    return page


def test_it_fits_and_loads_nothing(opened: Any, site: Path) -> None:
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert opened.asked == [f"file://{site}/index.html"]
    assert opened.locator("img").count() == 0
    drawn = opened.locator("svg[role=img]")
    assert drawn.count() > 20
    assert all(drawn.nth(k).get_attribute("aria-label") for k in range(drawn.count()))
    cut = """() => [...document.querySelectorAll("svg text")].filter((t) => {
      const a = t.getBoundingClientRect(), b = t.closest("th").getBoundingClientRect();
      return a.left < b.left - 12 || a.right > b.right + 12;
    }).length"""
    assert opened.evaluate(cut) == 0


def test_each_table_sorts_by_itself(opened: Any) -> None:
    table = opened.locator("article table").first
    assert opened.evaluate(FIRST, 1) == "ground_truth"
    before = opened.evaluate(FIRST, 2)
    table.get_by_role("button", name="value").first.click()
    table.get_by_role("button", name="value").first.click()
    assert opened.evaluate(FIRST, 1) == "slow"  # the worst first
    assert opened.evaluate(FIRST, 2) == before
    table.get_by_role("button", name="rank").click()
    assert opened.evaluate(FIRST, 1) == "fast"
    opened.locator("table").first.get_by_role("button", name="desync").click()
    assert opened.evaluate(FIRST, 0) == "slow"  # lower is better


def test_a_number_opens_its_record(opened: Any) -> None:
    opened.locator("article button.number").first.click()
    record = opened.locator("dialog[open]")
    for words in ("signature", "av_align|mmdisco_96ms|", "CC-BY-4.0", ".jsonl line 3"):
        assert words in record.text_content()
    opened.keyboard.press("Escape")
    assert opened.locator("dialog[open]").count() == 0
