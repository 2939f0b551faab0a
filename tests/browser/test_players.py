"""Players of a report in step: from the first frame on, over the ends of clips, in slow motion, at the keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmbench.media.clip_files import read_lossless, write_preview
from mmbench.pictures.preview import enlarged
from mmbench.report.material import gather
from tests.browser.enlarged import read_script, write_enlarged
from tests.browser.spread import require_step, watch
from tests.browser.test_report import READY

pytestmark = pytest.mark.e2e

TIMES = "() => [...document.querySelector('.row').querySelectorAll('video')].map((v) => v.currentTime)"
PAUSED = "() => [...document.querySelectorAll('.row video')].every((v) => v.paused)"


def open_row(page: Any, folder: Path) -> Any:
    """Open a report at its first row, whose clips are there."""
    page.goto(f"file://{folder}/index.html")
    page.locator(".row").first.scroll_into_view_if_needed()
    page.wait_for_function(READY, timeout=30000)
    return page


@pytest.fixture(scope="session")
def six(runs: Path, report: Path) -> Path:
    """A report of six sets."""
    return write_enlarged(gather((), runs, None), report, runs / "six", 16, 6)


@pytest.fixture(scope="session")
def unequal(runs: Path, report: Path) -> Path:
    """A report whose second clip of the first row ends after 1.25 s; the second row has no first clip."""
    folder = write_enlarged(gather((), runs, None), report, runs / "unequal", 8, 3)
    data = read_script(folder)
    data["rows"][1]["clips"][0] = None
    (folder / "samples.js").write_text(f"const REPORT = {json.dumps(data)};\n")
    clip = read_lossless(next(runs.glob("tiny-*")) / "samples" / "000000.mkv")
    file = folder / "clips" / "1-000000.mp4"
    file.unlink()
    write_preview(enlarged(type(clip)(clip.video[:10], clip.fps, clip.audio[:20000], clip.sample_rate)), file)
    return folder


@pytest.mark.parametrize(("which", "seconds"), [("report", 20), ("six", 60)])
def test_clips_keep_in_step_and_one_is_heard(
    page: Any, request: pytest.FixtureRequest, which: str, seconds: int
) -> None:
    open_row(page, request.getfixturevalue(which))
    page.locator(".row .play").first.click()
    page.wait_for_function("() => playing && playing.time > 0.02")
    spread = watch(page, 0, seconds)
    print(which, spread)  # pytest -s
    assert spread.heard == {1}
    assert spread.rounds >= seconds / 5, spread
    require_step(spread)


def test_they_keep_in_step_in_slow_motion_and_where_one_is_shorter(page: Any, unequal: Path) -> None:
    open_row(page, unequal)
    lengths = page.evaluate("[...document.querySelector('.row').querySelectorAll('video')].map((v) => v.duration)")
    assert lengths[1] < 1.5 < lengths[0]
    page.keyboard.press("2")  # the shorter one is heard, and leads while it lasts
    page.locator(".row .play").first.click()
    page.wait_for_function("() => playing && playing.time > 0.02")
    spread = watch(page, 0, 8)
    assert spread.rounds >= 2, spread
    page.select_option("[name=speed]", "0.25")
    page.wait_for_timeout(300)
    start = page.evaluate("[playing.time, performance.now()]")
    page.wait_for_timeout(1500)
    end = page.evaluate("[playing.time, performance.now()]")
    assert (end[0] - start[0]) % 2 == pytest.approx(0.25 * (end[1] - start[1]) / 1000, abs=0.2)
    require_step(watch(page, 0, 3))


def test_without_a_loop_all_rest_at_the_end(page: Any, report: Path) -> None:
    open_row(page, report)
    page.uncheck("[name=loop]")
    page.locator(".row .play").first.click()
    page.wait_for_function("() => playing")
    page.wait_for_function("() => !playing", timeout=10000)
    assert all(t >= 1.9 for t in page.evaluate(TIMES))
    assert page.locator(".row .play").first.text_content() == "play"


def test_dragging_moves_all_and_goes_on_where_it_was_let_go(page: Any, report: Path) -> None:
    open_row(page, report)
    scrub = page.locator(".row input[type=range]").first
    scrub.fill("1.25")
    assert page.evaluate(TIMES) == pytest.approx([1.25] * 3, abs=0.001)
    page.locator(".row .play").first.click()
    page.wait_for_function("() => playing && playing.time > 0.02")
    box = scrub.bounding_box()
    y = box["y"] + box["height"] / 2
    places = [box["x"] + 8 + share * (box["width"] - 16) for share in (0.5, 0.3, 0.7, 0.2, 0.6)]
    page.mouse.move(places[0], y)
    page.mouse.down()
    for x in places[1:]:
        page.mouse.move(x, y)
        times = page.evaluate(TIMES)
        assert max(times) - min(times) <= 0.040
        assert page.evaluate(PAUSED)
    page.wait_for_function("() => !document.querySelector('.row').player.dragging")
    assert page.evaluate(TIMES) == pytest.approx([1.2] * 3, abs=0.03)
    page.mouse.up()
    page.wait_for_function("() => playing && playing.time > 1.3")


def test_everything_is_at_the_keys(page: Any, report: Path) -> None:
    open_row(page, report)
    focus = "() => document.activeElement.getAttribute('aria-label')"
    page.keyboard.press("?")
    assert page.is_visible("#keys")
    assert page.get_attribute("#help", "aria-expanded") == "true"
    page.keyboard.press("j")
    first = page.evaluate(focus)
    assert first == page.get_attribute(".row >> nth=0", "aria-label")
    page.keyboard.press("]")
    page.keyboard.press("]")
    assert page.evaluate(TIMES) == pytest.approx([2.5 / 8] * 3, abs=0.001)  # the third frame
    page.keyboard.press("[")
    assert page.evaluate(TIMES) == pytest.approx([1.5 / 8] * 3, abs=0.001)
    page.keyboard.press("3")
    heard = "() => [...document.querySelectorAll('.row video')].map((v) => !v.muted)"
    assert page.evaluate(heard) == [False, False, True] * 8  # in every row, for the next one
    page.keyboard.press(" ")
    page.wait_for_function("() => playing === document.querySelector('.row').player")
    page.keyboard.press(" ")
    assert page.evaluate(PAUSED)
    for _ in range(7):
        page.keyboard.press("ArrowDown")
    assert page.evaluate(focus) == page.get_attribute(".row >> nth=7", "aria-label")
    page.keyboard.press("j")
    assert page.text_content("#place") == "page 2 of 8"
    page.keyboard.press("k")
    assert page.text_content("#place") == "page 1 of 8"
    assert page.evaluate(focus) == page.get_attribute(".row >> nth=7", "aria-label")
    page.fill("[name=find]", "")
    page.locator("[name=find]").press("j")  # a word is typed, no row is left
    assert page.input_value("[name=find]") == "j"


def test_a_click_or_a_digit_chooses_whom_to_hear_by_set(page: Any, unequal: Path) -> None:
    open_row(page, unequal)
    heard = "(n) => [...document.querySelectorAll('.row')[n].querySelectorAll('video')].map((v) => !v.muted)"
    assert page.evaluate(heard, 1) == [True, False]  # the first that is there
    page.keyboard.press("2")
    assert page.evaluate(heard, 0) == [False, True, False]
    assert page.evaluate(heard, 1) == [True, False]  # the second set, which is the first clip
    page.locator(".row video").nth(2).click()
    assert (page.evaluate(heard, 0), page.evaluate(heard, 1)) == ([False, False, True], [False, True])
    button = page.locator(".row .hear").first
    button.press("Enter")
    assert page.evaluate(heard, 0) == [True, False, False]
    assert button.get_attribute("aria-pressed") == "true"
    assert page.locator(".row").nth(1).locator("figure").first.inner_text().endswith("no sample")


def test_nothing_lies_over_the_picture(page: Any, report: Path) -> None:
    open_row(page, report)
    over = page.evaluate("""() => [...document.querySelector('.row').querySelectorAll('video')].flatMap((video) => {
      video.scrollIntoView({ block: "center" });
      const { left, top, width, height } = video.getBoundingClientRect();
      return [[0.02, 0.02], [0.5, 0.5], [0.5, 0.98], [0.98, 0.98]].map(([x, y]) =>
        document.elementFromPoint(left + x * width, top + y * height) === video); })""")
    assert all(over)
    assert page.locator("video[controls]").count() == 0


def test_what_can_be_reached_has_a_name(page: Any, report: Path) -> None:
    open_row(page, report)
    unnamed = page.evaluate("""() => [...document.querySelectorAll('button, input, select, video, img, [role=img]')]
      .filter((e) => !(e.getAttribute('aria-label') || e.alt || e.labels?.[0]?.textContent.trim()
        || (e.tagName === 'BUTTON' && e.textContent.trim()))).map((e) => e.outerHTML)""")
    assert unnamed == []
