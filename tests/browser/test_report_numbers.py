"""Numbers and plots of a report in a browser: sorting by keyboard, addresses of records, a page of one file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from mmbench.report.material import gather
from mmbench.report.single import write_single
from mmbench.report.write import write_report
from tests.report.synthetic import write_runs

pytestmark = pytest.mark.e2e

NAMES = "() => [...document.querySelectorAll('#numbers tbody tr')].map((row) => row.dataset.name)"
READY = "[...document.querySelectorAll('.row:first-child video')].every((v) => v.readyState >= 2)"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of three systems as a folder, and as one file."""
    out = tmp_path_factory.mktemp("numbers")
    write_runs(out / "runs", 3, 16)
    material = gather([], out / "runs", None)
    write_report(material, out / "report", ["mmbench report"])
    write_single(material, out / "single.html", ("mmbench", "report", "--single"), 50)
    return out


def test_columns_sort_by_keyboard_and_say_how(page: Any, place: Path) -> None:
    page.goto(f"file://{place}/report/index.html")
    head = page.locator("#numbers thead th", has_text="fvd")
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert page.evaluate(NAMES) == ["system_2", "system_1", "ground_truth"], "the best first"
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert page.evaluate(NAMES) == ["ground_truth", "system_1", "system_2"]
    other = page.locator("#numbers thead th", has_text="av_align")
    other.locator("button").focus()
    page.keyboard.press("Space")
    assert other.get_attribute("aria-sort") == "descending", "where higher is better, the best is the highest"
    assert head.get_attribute("aria-sort") is None
    assert page.evaluate(NAMES) == ["system_2", "system_1", "ground_truth"]


def test_a_column_hides_by_keyboard(page: Any, place: Path) -> None:
    page.goto(f"file://{place}/report/index.html")
    page.locator(".columns summary").focus()
    page.keyboard.press("Enter")
    box = page.locator(".columns input").nth(1)
    box.focus()
    page.keyboard.press("Space")
    assert page.locator("#numbers thead th:visible").count() == 3
    page.keyboard.press("Space")
    assert page.locator("#numbers thead th:visible").count() == 4


def test_a_record_has_an_address(page: Any, place: Path) -> None:
    page.goto(f"file://{place}/report/index.html")
    page.locator("#numbers .number").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog[open] h3").text_content() == "av_align.mmdisco_96ms of ground_truth"
    address = page.url
    assert "#" in address
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert "#" not in page.url
    page.locator("#numbers .number").first.click()
    assert page.locator("dialog[open]").count() == 1, "and once more"
    page.goto("about:blank")
    page.goto(address)
    assert page.locator("dialog[open] h3").text_content() == "av_align.mmdisco_96ms of ground_truth"


def test_one_file_plays_and_asks_for_nothing(page: Any, place: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"file://{place}/single.html")
    page.locator(".row").first.scroll_into_view_if_needed()
    page.wait_for_function(READY, timeout=30000)
    assert page.locator(".row video").count() == 24
    assert {re.split("[:,]", url)[0] for url in asked if not url.endswith("single.html")} <= {"data"}
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator(".row button").first.click()
    page.wait_for_function("document.querySelector('.row video').currentTime > 0.2", timeout=15000)


def test_plots_are_named_and_have_their_numbers(page: Any, place: Path) -> None:
    page.goto(f"file://{place}/report/index.html")
    plots = page.locator(".plot svg")
    assert plots.count() == 3 + 2 + 1 + 3, "differences, distributions, one distance against n, costs"
    for number in range(plots.count()):
        assert plots.nth(number).get_attribute("role") == "img"
        assert plots.nth(number).get_attribute("aria-label")
    outside = """() => [...document.querySelectorAll('.plot svg')].flatMap((svg) => {
      const plane = svg.getBoundingClientRect();
      const leaves = (b) => b.left < plane.left - 1 || b.right > plane.right + 1 || b.top < plane.top - 1
        || b.bottom > plane.bottom + 1;
      const parts = [...svg.querySelectorAll('text, circle')];
      return parts.filter((part) => leaves(part.getBoundingClientRect())).map((part) => part.outerHTML); })"""
    assert page.evaluate(outside) == []
    figure = page.locator("[aria-labelledby=limits-title] figure")
    figure.locator("summary").click()
    assert figure.locator("tr").count() == 4
    assert "infinite n" in figure.locator("tr").first.text_content()


def test_what_is_not_scored_plays_without_numbers(page: Any, tmp_path: Path) -> None:
    write_runs(tmp_path / "runs", 2, 2, scored=False)
    write_report(gather([], tmp_path / "runs", None), tmp_path / "report", ["mmbench report"])
    page.goto(f"file://{tmp_path}/report/index.html")
    page.wait_for_function(READY, timeout=30000)
    assert page.locator(".row video").count() == 4
    assert page.locator(".sets .warning:visible", has_text="not scored").count() == 2
    assert not page.locator("#numbers").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.select_option("[name=order]", "random")
    assert page.locator(".row").count() == 2
