"""The pictures of README, docs and results are those that scripts/make_pictures.py makes, by the rule it states."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from tests.commands import environment, load_script
from tests.conftest import REPOSITORY
from tests.pictures.drawn import events, panel


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """scripts/make_pictures.py."""
    return load_script("make_pictures")


def test_the_sheet_of_real_clips_is_the_one_in_docs(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "REPOSITORY", tmp_path)
    (tmp_path / "docs").mkdir()
    drawn, kept = (
        Image.open(f).convert("RGB")
        for f in (script.bounce_sheet(tmp_path), REPOSITORY / "docs" / "bounce_contact_sheet.png")
    )
    assert np.abs(np.asarray(drawn).astype(int) - np.asarray(kept)).mean() < 1, (
        "another Pillow dithers a little otherwise"
    )


def test_every_picture_is_stated_and_small(script: ModuleType) -> None:
    stated = dict(re.findall(r"^    (\w+) +((?:docs|results)/\S+)", str(script.__doc__), re.MULTILINE))
    assert set(stated) == set(script.PICTURES)
    for name, file in stated.items():
        size = (REPOSITORY / file).stat().st_size
        assert 10_000 < size < 1_500_000, name


def test_prompts_are_chosen_by_their_rank(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompt i has a gain of (7 i mod 32) / 31: its rank is 7 i mod 32."""
    ranks = [7 * i % script.NUM_SAMPLES for i in range(script.NUM_SAMPLES)]
    bare = panel(marks=events(heard=(1.0,)))

    def guided(rank: int) -> tuple[float, ...]:
        return tuple([0.5] * rank + [1.5] * (31 - rank))

    rows = [[bare, bare, bare, panel(marks=events(heard=guided(rank), seen=((0.4, 0.6),)))] for rank in ranks]
    monkeypatch.setattr(script, "all_panels", lambda out: rows)
    monkeypatch.setattr(script, "columns_of", lambda out: [None] * 4)
    monkeypatch.setattr(script, "sample_title", lambda columns, row: ("", str(row[0])))
    script.gains.cache_clear()
    chosen = [script.generated(Path(), share)[0] for share in (0.25, 0.5, 0.75)]
    script.gains.cache_clear()
    assert [ranks[int(index)] for index in chosen] == [8, 16, 23]


def test_without_runs_it_says_what_to_type(tmp_path: Path) -> None:
    words = [sys.executable, str(REPOSITORY / "scripts" / "make_pictures.py"), "tiny_sheet", "--out", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment(), cwd=REPOSITORY, check=False)
    assert done.returncode == 1
    assert "try: mmbench run -s ground_truth -s tiny -s tiny_cascade -s tiny+mmdisco-res_frieren -n 32" in done.stderr
