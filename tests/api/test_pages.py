"""The library's page and its training loop say what is true: both are run."""

from __future__ import annotations

import doctest
import runpy
from pathlib import Path

import pytest

import mmbench
from mmbench import registry
from tests.conftest import REPOSITORY
from tests.documents import blocks, read

PAGE = "docs/library.md"


def test_every_example_of_the_page_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (metric,) = [
        b for b in blocks(read("docs/extending.md")) if b.language == "python" and '"loudness"' in str(b.lines)
    ]
    (tmp_path / "loudness_metric.py").write_text("\n".join(metric.lines))
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=flags)
    shared: dict[str, object] = {}
    for block in blocks(read(PAGE)):
        if block.language == "python":
            test = doctest.DocTestParser().get_doctest("\n".join(block.lines), shared, PAGE, PAGE, block.line - 1)
            said: list[str] = []
            runner.run(test, out=said.append, clear_globs=False)
            shared = test.globs
            assert not said, "".join(said)
    assert runner.summarize(verbose=False).attempted > 15
    del registry._registered["metric"]["loudness"]  # other tests count the metrics
    registry.discover.cache_clear()


def test_the_page_names_everything_public() -> None:
    page = read(PAGE)
    assert [name for name in mmbench.__all__ if not name.startswith("_") and f"`{name}" not in page] == []


@pytest.mark.e2e
def test_the_training_loop_runs_and_what_it_learns_shows() -> None:
    history = runpy.run_path(str(REPOSITORY / "docs" / "training_loop.py"))["history"]
    assert [scores.name for scores in history] == ["step 0", "step 15", "step 30"]
    for name in ("fvd_bounce", "fad_bounce"):
        assert history[-1][name].high < history[0][name].low, "closer to real clips, beyond both intervals"
