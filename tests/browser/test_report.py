"""A report of real runs in a browser: it fits, its table sorts, its samples are ordered, found, filtered and paged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e

READY = "[...document.querySelector('.row').querySelectorAll('video')].every((v) => v.readyState >= 2)"
TEXTS = ".row h3"


@pytest.fixture
def opened(page: Any, report: Path) -> Any:
    """The report, the clips of its first row there."""
    page.goto(f"file://{report}/index.html")
    page.locator("#samples-title").scroll_into_view_if_needed()
    page.locator(".row").first.scroll_into_view_if_needed()
    page.wait_for_function(READY, timeout=30000)
    return page


def test_it_fits_and_every_clip_comes_into_view_ready(opened: Any) -> None:
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert opened.locator(".row").count() == 8
    assert opened.locator(".row video").count() == 24
    whole = """(n) => { const row = document.querySelectorAll('.row')[n];
      return [...row.querySelectorAll('img')].every((i) => i.complete && i.naturalWidth > 0)
        && [...row.querySelectorAll('video')].every((v) => v.readyState >= 2 && !v.error); }"""
    for number in range(8):
        opened.locator(".row").nth(number).scroll_into_view_if_needed()
        opened.wait_for_function(whole, arg=number, timeout=15000)


def test_clips_are_loaded_near_the_window_alone(opened: Any) -> None:
    opened.set_viewport_size({"width": 390, "height": 500})
    opened.evaluate("scrollTo(0, 0)")
    opened.wait_for_function("document.querySelectorAll('.row:last-child video[src]').length === 0")
    opened.locator(".row").last.scroll_into_view_if_needed()
    opened.wait_for_function("document.querySelectorAll('.row:last-child video[src]').length === 3")
    opened.wait_for_function("document.querySelectorAll('.row:first-child video[src]').length === 0")


def test_samples_are_ordered_by_a_difference_that_stands_beside_them(opened: Any) -> None:
    opened.select_option("[name=metric]", "av_align")
    opened.select_option("[name=system]", label="tiny")
    opened.select_option("[name=other]", label="ground_truth")
    gains = """() => order.map((r) => { const s = REPORT.scores.av_align; const k = REPORT.systems;
      return s[k.indexOf("tiny")][r] - s[k.indexOf("ground_truth")][r]; })"""
    told = "() => Number(document.querySelector('.row .set-1 .scores td:last-child').textContent.replace('−', '-'))"
    opened.select_option("[name=order]", "losses")
    losses = opened.evaluate(gains)
    assert losses == sorted(losses)
    assert opened.evaluate(told) == pytest.approx(losses[0], abs=0.0006)
    assert opened.evaluate("document.querySelector('.row .set-1 .worse') !== null")
    opened.select_option("[name=order]", "wins")
    wins = opened.evaluate(gains)
    assert wins == sorted(losses, reverse=True)
    assert opened.evaluate(told) == pytest.approx(wins[0], abs=0.0006)
    better, worse = sum(x > 0 for x in wins), sum(x < 0 for x in wins)
    assert opened.text_content("#found").endswith(f"tiny is better on {better} and worse on {worse}.")
    opened.select_option("[name=order]", "random")
    drawn = opened.evaluate("order")
    assert sorted(drawn) == list(range(64))
    assert drawn != sorted(drawn)
    opened.reload()
    opened.select_option("[name=order]", "random")
    assert opened.evaluate("order") == drawn


def test_samples_are_found_by_words_and_filtered_by_groups(opened: Any) -> None:
    opened.fill("[name=find]", "RUBBER ball")
    texts = opened.locator(TEXTS).all_text_contents()
    assert texts
    assert all("rubber" in text for text in texts)
    opened.fill("[name=find]", "zebra")
    assert opened.locator(".row").count() == 0
    assert opened.text_content("#found") == "0 of 64 samples."
    opened.fill("[name=find]", "")
    label = opened.locator("#groups label", has_text="material").locator("select")
    counts = {
        text.rpartition(" (")[0]: int(text.rpartition("(")[2][:-1]) for text in label.inner_text().split("\n")[1:]
    }
    assert sum(counts.values()) == 64
    for material, count in counts.items():
        label.select_option(f"={material}")
        assert opened.text_content("#found") == f"{count} of 64 samples."
        assert all(material in text for text in opened.locator(TEXTS).all_text_contents())
    opened.locator("#groups label", has_text="num_balls").locator("select").select_option("=2")
    texts = opened.locator(TEXTS).all_text_contents()
    assert all("two" in text for text in texts)


def test_pages_turn(opened: Any) -> None:
    assert opened.text_content("#place") == "page 1 of 8"
    assert opened.is_disabled("#earlier")
    for _ in range(7):
        opened.click("#later")
    assert opened.is_disabled("#later")
    assert opened.locator(TEXTS).last.text_content().startswith("000063")
    opened.click("#earlier")
    assert opened.text_content("#place") == "page 7 of 8"


def test_marks_are_where_the_times_are(opened: Any) -> None:
    wrong = opened.evaluate("""() => [...document.querySelectorAll('.row')].flatMap((row, r) =>
      [...row.querySelectorAll('figure')].flatMap((figure, k) => {
        const { onsets, motion, truth = {}, seconds } = REPORT.rows[order[r]].clips[k];
        const wanted = [...onsets, ...motion, ...(truth.audio || []), ...(truth.video || [])];
        const shown = [...figure.querySelectorAll('.sound i:not(.now)')]
          .map((i) => seconds * parseFloat(i.style.left) / 100);
        return shown.length === wanted.length ? shown.map((t, i) => Math.abs(t - wanted[i])) : [Infinity]; }))
      .filter((x) => x > 0.001)""")
    assert wrong == []
    assert opened.locator(".row .truth.audio").count() > 0
    assert opened.locator(".row .set-1 .truth").count() == 0  # generated


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
