"""The in-domain experiment in miniature: mm_diffusion alone and guided on a copy of Landscape, into Table 2."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmbench.runs.store import SampleStore
from tests.commands import mmbench_here
from tests.media_files import clicks, write_media

pytestmark = [pytest.mark.e2e, pytest.mark.thorough]

SYSTEMS = ["--system", "mm_diffusion", "--system", "mm_diffusion+mmdisco"]
TINY = ["--size", "tiny", "--num-inference-steps", "3", "--weights", "random", "--device", "cpu"]
METRICS = ["--metric", "fad", "--workers", "1"]


@pytest.fixture(scope="module")
def landscape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with two videos to compare with."""
    root = tmp_path_factory.mktemp("data") / "landscape"
    for i in range(2):
        video = np.random.default_rng(i).integers(0, 256, (20, 36, 64, 3), dtype=np.uint8)
        path = root / "train" / f"{i}.mkv"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_media(path, video, clicks([0.3 + i], 2.0, 16000), video_codec="ffv1", audio_codec="flac")
    return root


def test_runs_stand_in_table_2(
    landscape: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MMBENCH_DISCRIMINATORS", str(tmp_path / "none"))
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))
    out = tmp_path / "out"
    dataset = ["--dataset", f"landscape_ind:{landscape}", "-n", "2", "--out", out, "--batch-size", "1"]
    result = mmbench_here(capsys, "run", *SYSTEMS, *dataset, *TINY, *METRICS, "--format", "json")
    assert result.returncode == 0, result.stderr
    base, guided = (SampleStore.open(folder.parent) for folder in sorted(out.glob("mm_diffusion*/samples"), key=len_of))
    assert [base.run.system, guided.run.system] == ["mm_diffusion", "mm_diffusion+mmdisco"]
    for index in range(2):
        base.verify(index)
        guided.verify(index)
        assert base.record(index).size == "16x64x64@10+25600@16000"
    cells = json.loads(result.stdout)
    assert {cell["record"]["weights"] for cell in cells} == {"tiny"}
    assert {cell["record"]["extractor_weights"] for cell in cells} == {"random"}

    table = mmbench_here(capsys, "table", "--paper", "2", "--out", out, "--format", "json")
    rows = json.loads(table.stdout)
    assert [(row["dataset"], row["system"]) for row in rows[:2]] == [
        ("landscape_ind", "mm_diffusion"),
        ("landscape_ind", "mm_diffusion+mmdisco"),
    ]
    for row, fad in zip(rows[:2], (5.78, 5.52), strict=True):
        assert (row["weights"], row["networks"], row["paper fad"], row["n"]) == ("tiny", "random", fad, 2)
        records = [cell["record"] for cell in cells if cell["record"]["system"] == row["system"]]
        assert {r["metric"]: r["value"] for r in records} == {m: v["value"] for m, v in row["numbers"].items()}
    assert not any(row["numbers"] for row in rows[2:])  # AIST++ was not run


def len_of(path: Path) -> int:
    """Shorter names first: the pair before what guides it."""
    return len(str(path))
