"""`mmbench.score`: the numbers of the command line, from arrays; what is lacking is said before any work."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mmbench as mm
from mmbench.errors import MMBenchError, UsageError
from mmbench.jobs.evaluate import evaluate_all, export_reference
from mmbench.jobs.settings import Settings
from mmbench.scores.records import Record
from tests.api.material import bounce_clips, write_folder
from tests.commands import environment

FRECHET = ("fvd_bounce", "fad_bounce")
METRICS = (*FRECHET, "ib_bounce_tv", "ib_bounce_av", "av_align")


def numbers(value: Any, at: str = "") -> dict[str, float]:
    """Every number in a record, by its path."""
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in numbers(inner, f"{at}.{key}").items()}
    return {at: float(value)} if isinstance(value, int | float) else {}


def of_files(tmp_path: Path, folder: Path, metrics: tuple[str, ...], **given: Any) -> list[Record]:
    dataset = given.pop("dataset", None)
    settings = Settings(metrics=metrics, out=tmp_path / "runs", workers=1, quiet=True, **given)
    (scored,) = evaluate_all(settings, [str(folder)], dataset)
    return [s.record for s in scored]


def records(scores: mm.Scores) -> list[Record]:
    return list(scores._scoring.records)


def assert_equal(ours: list[Record], theirs: list[Record], without: tuple[str, ...] = ()) -> None:
    assert [r.metric for r in ours] == [r.metric for r in theirs]
    for a, b in zip(ours, theirs, strict=True):
        mine, other = (
            {k: v for k, v in numbers(asdict(r)).items() if not k.startswith((".reference", *without))} for r in (a, b)
        )
        assert mine == pytest.approx(other, rel=1e-9, abs=1e-9)
        assert a.signature == b.signature


@pytest.mark.parametrize("kind", ["folder", "dataset", "file"])
def test_numbers_are_those_of_the_command_line_on_the_same_clips_in_files(kind: str, tmp_path: Path) -> None:
    clips, real = bounce_clips(6), bounce_clips(6, seed=2)
    folder = write_folder(tmp_path / "mine", clips)  # clip8, clip9, clip10 ...: natural order, not the alphabet's
    reference: Any = "bounce"
    given: dict[str, Any] = {"dataset": "bounce"}
    metrics = METRICS if kind == "dataset" else FRECHET
    if kind == "folder":
        reference = write_folder(tmp_path / "real", real)
        given = {"dataset": f"folder:{reference}"}
    elif kind == "file":
        reference = tmp_path / "real.safetensors"
        given = {"reference": reference}
        export_reference(Settings(metrics=FRECHET, num_samples=6, out=tmp_path / "runs"), reference, False)
    videos, audios = torch.tensor(np.stack(clips.videos)) / 255, np.stack(clips.audios)
    ours = mm.score(videos, audios, 8, 16000, clips.prompts, metrics, reference)
    assert_equal(records(ours), of_files(tmp_path, folder, metrics, **given))
    assert list(ours) == list(metrics)


def test_a_reference_of_arrays_gives_the_distances_to_the_same_clips_in_a_folder(tmp_path: Path) -> None:
    clips, real = bounce_clips(6), bounce_clips(6, seed=2)
    theirs = mm.score(clips, metrics=FRECHET, reference=write_folder(tmp_path / "real", real))
    ours = mm.score(clips, None, 8, 16000, metrics=FRECHET, reference=(np.stack(real.videos), np.stack(real.audios)))
    order = (".details.floor", ".details.infinity")  # of random halves: other ones in another order
    assert_equal(records(ours), records(theirs), order)
    assert_equal(records(mm.score(clips, metrics=FRECHET, reference=real)), records(ours))
    few = mm.score(bounce_clips(4), metrics="fvd_bounce", reference=real)
    assert records(few)[0].reference["n"] == 6, "all that are given, however few samples there are"  # type: ignore[index]
    other = mm.score(clips, metrics=FRECHET, reference=bounce_clips(6, seed=3))
    with pytest.raises(MMBenchError, match="cannot be compared across reference"):
        mm.compare(ours, other)


def test_clips_of_a_folder_are_scored_as_the_folder_is(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "mine", bounce_clips(5))
    clips = mm.load_clips(folder)
    assert (clips.ids, clips.prompts) == ([f"clip{i}" for i in range(8, 13)], bounce_clips(5).prompts)
    assert_equal(records(mm.score(clips)), of_files(tmp_path, folder, ("av_align",)))
    assert mm.load_clips(folder, num=2).ids == ["clip8", "clip9"]
    with pytest.raises(MMBenchError, match="does not exist"):
        mm.load_clips(tmp_path / "nothing")
    with pytest.raises(UsageError, match="num is 0"):
        mm.load_clips("bounce", num=0)


def test_what_lacks_a_sound_or_a_prompt_is_unscored_with_its_reason() -> None:
    clips = bounce_clips(3)
    silent = mm.score(clips.videos, None, 8, prompts=["", *clips.prompts[1:]], metrics=("ib_bounce_tv", "av_align"))
    assert dict(silent["ib_bounce_tv"].unscored) == {"000000": "no prompt"}
    assert silent["ib_bounce_tv"].n == 2
    frozen = [np.repeat(v[:1], 16, axis=0) * 0 for v in clips.videos]
    quiet = mm.score(frozen, np.zeros((3, 32000)), 8, 16000)["av_align"]
    assert (math.isnan(quiet.value), quiet.n, list(quiet.unscored)) == (True, 0, ["000000", "000001", "000002"])


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"metrics": "fvd_bounce"}, "fvd_bounce compares with real clips"),
        ({"metrics": ()}, "No metric is named"),
        ({"metrics": "fvt"}, "Unknown metric 'fvt'"),
        ({"weights": "some"}, "weights is 'some'"),
        ({"reference": "no_such_folder"}, "'no_such_folder', no dataset and no path"),
        ({"reference": [1, 2]}, "reference is a list"),
        ({"reference": (1, 2, 3)}, "a tuple of 3"),
    ],
)
def test_what_cannot_be_computed_is_refused(given: dict[str, Any], found: str) -> None:
    with pytest.raises(UsageError, match=found) as error:
        mm.score(bounce_clips(2), **given)
    assert error.value.next


def test_missing_weights_end_it_before_a_clip_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(MMBenchError, match="i3d") as error:
        mm.Evaluator(reference=bounce_clips(2))  # real clips that recommend nothing: FVD and FAD
    assert "mmbench weights fetch" in error.value.next


def test_importing_is_light_and_torch_comes_with_the_first_network() -> None:
    code = (
        "import sys, mmbench as mm; heavy = {'numpy', 'torch', 'pandas', 'scipy', 'av'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules); "
        "assert set(mm.__all__) <= set(dir(mm)) and not hasattr(mm, 'nothing'); "
        "[getattr(mm, name) for name in mm.__all__]; assert 'torch' not in sys.modules; "
        "import numpy as np; mm.Evaluator(('av_align',)); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
