"""A user with folders of samples of her own: scored together, compared, found to be out of step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.console import Format
from mmbench.media.clip_files import write_lossless, write_preview
from mmbench.registry import make_dataset
from mmbench.types import Clip, Request
from tests.commands import mmbench_here

NUM, LATE = 16, 0.3  # clips; what the sound of one model lags [s]


def real_clips() -> list[Clip]:
    """Real clips of bounce."""
    dataset = make_dataset("bounce")
    return [dataset.real(Request(p, i, 0), "clip").clip for i, p in enumerate(dataset.prompts(NUM, 0))]


def late(clip: Clip) -> Clip:
    """The clip with its sound later."""
    lag = round(LATE * clip.sample_rate)
    sound = np.concatenate([np.zeros(lag, np.float32), clip.audio[:-lag]])
    return Clip(clip.video, clip.fps, sound, clip.sample_rate)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with samples of three models: in step, late, and in step through lossy codecs."""
    monkeypatch.chdir(tmp_path)
    for folder in ("good", "late", "lossy"):
        (tmp_path / folder).mkdir()
    for i, clip in enumerate(real_clips()):
        write_lossless(clip, tmp_path / "good" / f"clip{i}.mkv")
        write_lossless(late(clip), tmp_path / "late" / f"clip{i}.mkv")
        write_preview(clip, tmp_path / "lossy" / f"clip{i}.mp4")
    (tmp_path / "late" / "clip0.mkv").unlink()
    return tmp_path


def rows(printed: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Rows of a comparison by system and metric."""
    return {(r["record"]["system"], r["record"]["metric"].partition(".")[0]): r for r in json.loads(printed)}


@pytest.mark.e2e
def test_the_model_whose_sound_is_late_is_found(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    as_json = ["--format", "json"]
    metrics = ["-m", "av_align", "-m", "ib_bounce_av"]
    evaluated = mmbench_here(capsys, "evaluate", "good", "late", "lossy", *metrics, *as_json)
    assert evaluated.returncode == 0, evaluated.stderr
    again = mmbench_here(capsys, "evaluate", "good", "late", "lossy", *metrics, *as_json)
    compared = mmbench_here(capsys, "compare", "good", "late", "lossy", *as_json)
    assert compared.returncode == 0, compared.stderr
    found = rows(compared.stdout)
    for printed in (evaluated.stdout, again.stdout):
        assert {k: r["difference"] for k, r in rows(printed).items()} == {k: r["difference"] for k, r in found.items()}
    shift = found["late", "av_align"]["difference"]
    assert shift["value"] < 0
    assert shift["p_holm"] < 0.05
    assert shift["high"] < 0
    assert (shift["n"], shift["against"]) == (NUM - 1, "good")
    assert found["late", "av_align"]["wins"]["high"] < 0.5
    assert found["lossy", "ib_bounce_av"]["difference"]["n"] == NUM
    other = mmbench_here(capsys, "compare", "good", "late", "--baseline", "late", "-m", "av_align", *as_json)
    turned = rows(other.stdout)["good", "av_align"]["difference"]
    assert turned["value"] == pytest.approx(-shift["value"])
    text = " ".join(mmbench_here(capsys, "compare", "good", "late", "lossy").stdout.split())
    assert f"late to good: paired by file name, {NUM - 1} of {NUM}; only in good: clip0." in text
    assert f"lossy to good: paired by file name, {NUM} of {NUM}." in text


@pytest.mark.e2e
def test_clips_stand_beside_a_run(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generated = mmbench_here(capsys, "generate", "-s", "independent", "-n", "4")
    assert generated.returncode == 0, generated.stderr
    (manifest,) = models.glob("runs/independent*/manifest.json")
    texts = [p.text for p in make_dataset("bounce").prompts(4, 0)]
    table = "\n".join(["file,prompt", *(f'clip{i + 1}.mkv,"{text}"' for i, text in enumerate(texts))])
    (models / "prompts.csv").write_text(table + "\n")
    run = manifest.parent.name
    done = mmbench_here(
        capsys, "evaluate", "late", run, "--prompts", "prompts.csv", "-m", "av_align", "--baseline", run
    )
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "late to independent: paired by prompt and index, 4 of 15" in text


@pytest.mark.e2e
def test_a_user_takes_the_comparison_with_her(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompts = make_dataset("bounce").prompts(NUM, 0)
    for folder in ("good", "late"):
        rows = [f'clip{i}.mkv,"{p.text}",{p.data["num_balls"]}' for i, p in enumerate(prompts)]
        first = folder == "late"  # its clip 0 is not there
        (models / folder / "prompts.csv").write_text("\n".join(["file,prompt,balls", *rows[first:]]) + "\n")
    both = ["good", "late", "-m", "av_align"]
    evaluated = [mmbench_here(capsys, "evaluate", *both, "--by", "balls", "--format", "json") for _ in range(2)]
    compared = mmbench_here(capsys, "compare", *both, "--by", "balls", "--format", "json")
    first, second = ([row["difference"] for row in json.loads(done.stdout)] for done in evaluated)
    assert first == second == [row["difference"] for row in json.loads(compared.stdout)]
    truth = [str(p.data["num_balls"]) for p in prompts]
    for row in json.loads(compared.stdout):
        expected = truth[1:] if row["record"]["system"] == "late" else truth
        assert row["record"]["n_expected"] == (len(expected) if row["group"] == "all" else expected.count(row["group"]))
    for format in Format:
        for words in (["compare", *both], ["compare", *both, "--by", "balls"], ["table"]):
            printed = mmbench_here(capsys, *words, "--format", format)
            assert printed.returncode == 0, printed.stderr
            assert "good" in printed.stdout, (words, format)
            assert "late" in printed.stdout, (words, format)
    shown = mmbench_here(capsys, "preview", "good", "late", "--num", "2", "--to", "look")
    assert shown.returncode == 0, shown.stderr
    files = sorted(file.name for file in (models / "look").iterdir())
    assert files == ["000000.mp4", "000001.mp4", "contact_sheet.png"]
