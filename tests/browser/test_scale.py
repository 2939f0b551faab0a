"""A report of 2048 samples of six sets: painted at once, and no heavier after a hundred pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mmbench.report.material import gather
from tests.browser.enlarged import write_enlarged

pytestmark = pytest.mark.e2e

ROWS, SETS = 2048, 6
MEMORY = "() => { gc(); return performance.memory.usedJSHeapSize / 1e6; }"


@pytest.fixture(scope="session")
def large(runs: Path, report: Path) -> Path:
    """The report."""
    return write_enlarged(gather((), runs, None), report, runs / "large", ROWS, SETS)


def test_it_is_painted_within_a_second_and_stays_light(page: Any, large: Path) -> None:
    page.goto(f"file://{large}/index.html")
    page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length === 1")
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000")
    before = page.evaluate(MEMORY)
    for _ in range(100):
        page.evaluate("find('later').click()")
        page.wait_for_timeout(30)
    after, nodes = page.evaluate(MEMORY), page.evaluate("document.querySelectorAll('.row *').length")
    size = (large / "samples.js").stat().st_size / 1e6
    print(
        f"painted {painted:.2f} s, {before:.1f} MB, {after:.1f} MB after 100 pages, {nodes} nodes, {size:.2f} MB read"
    )
    assert page.text_content("#place") == f"page 101 of {ROWS // 8}"
    assert painted < 1.0
    assert after < before + 5, "[MB]"
    assert nodes < 4000
    assert page.locator(".row video").count() == 8 * SETS
    assert size < 4
