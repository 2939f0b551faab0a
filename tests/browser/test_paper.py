"""The page of the paper's tables and figures in a browser: it fits, its links lead somewhere, its tables sort."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.commands import mmbench
from tests.conftest import REPOSITORY
from tests.experiments.paper_material import add_run, add_samples

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the repository's own records, and of runs in the published setting."""
    out = tmp_path_factory.mktemp("paper")
    for system, fvd in (("mm_diffusion", 440.0), ("mm_diffusion+mmdisco", 411.0)):
        add_samples(out / "samples", system, "landscape_ind")
        values = {"fvd": (fvd, 2.0), "fad": (5.6, 0.1), "ib_av": (0.16, 0.002)}
        add_run(out / "scored", system, "landscape_ind", values, seed=1)
    results = [REPOSITORY / "results" / name for name in ("toy", "tiny/table8.jsonl", "tiny/figure5.jsonl")]
    done = mmbench("report", "--paper", out / "samples", out / "scored", *results, "--to", out / "page")
    assert done.returncode == 0, done.stderr
    return out / "page"


@pytest.fixture
def opened(page: Any, folder: Path) -> Any:
    page.goto(f"file://{folder}/index.html")
    return page


def test_it_fits_with_everything_open(opened: Any) -> None:
    opened.evaluate("document.querySelectorAll('details').forEach((d) => d.open = true)")
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    pictures = "[...document.querySelectorAll('img')].map((i) => i.complete && i.naturalWidth > 0)"
    assert opened.evaluate(pictures) == [True] * 3  # the toy's two, and a contact sheet
    assert opened.locator("svg polyline").count() == 6
    assert opened.locator("svg text").first.is_visible()


def test_contents_lead_to_every_table_and_figure(opened: Any) -> None:
    places = opened.evaluate("[...document.querySelectorAll('nav a')].map((a) => a.getAttribute('href').slice(1))")
    assert len(places) == 12 + 6
    assert opened.evaluate("(ids) => ids.filter((id) => !document.getElementById(id))", places) == []


def test_each_table_sorts_alone(opened: Any) -> None:
    names = "(id) => [...document.querySelectorAll(`#${id} tbody tr`)].map((r) => r.dataset.name)"
    before = opened.evaluate(names, "table-2"), opened.evaluate(names, "table-3")
    opened.click("#table-2 thead button:has-text('z')")
    ratios = "[...document.querySelectorAll('#table-2 td[data-column=\"3\"]')].map((c) => c.dataset.value)"
    values = [float(x) for x in opened.evaluate(ratios) if x]
    assert values == sorted(values)
    assert len(values) == 6
    assert opened.evaluate(names, "table-3") == before[1]
    opened.click("#table-2 thead button:has-text('row')")
    assert opened.evaluate(names, "table-2") == sorted(before[0])


def test_it_follows_a_dark_screen_and_prints_without_its_contents(opened: Any) -> None:
    shade = "getComputedStyle(document.body).backgroundColor"
    light = opened.evaluate(shade)
    opened.emulate_media(color_scheme="dark")
    assert opened.evaluate(shade) != light
    opened.emulate_media(media="print")
    assert not opened.locator("nav").is_visible()
    assert opened.locator("#table-14 table").is_visible()
