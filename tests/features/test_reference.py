"""Real clips as one file: scores against it equal scores against the clips, and unlike features are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mmbench.errors import IntegrityError, UsageError
from mmbench.features import reference
from mmbench.features.cache import FeatureCache
from mmbench.features.reference import export, read_reference
from mmbench.jobs import opening
from mmbench.jobs.evaluate import export_reference
from mmbench.jobs.run import run
from mmbench.jobs.settings import Settings
from mmbench.metrics.bounce import FADBounce, FVDBounce
from mmbench.metrics.extractors import bounce as extractors
from mmbench.metrics.extractors.bounce import BounceVideo
from mmbench.metrics.fad import FAD
from mmbench.registry import make_dataset
from tests.commands import mmbench_here

CLIPS = 8
METRICS = ["-m", "fvd_bounce", "-m", "fad_bounce"]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on bounce scored against clips, and two files of the same clips beside it."""
    out = tmp_path_factory.mktemp("reference")
    settings = Settings(("ground_truth",), num_samples=CLIPS, out=out, metrics=("fvd_bounce", "fad_bounce"), quiet=True)
    run(settings)
    export_reference(settings, out / "whole.safetensors", statistics_only=False)
    export_reference(settings, out / "statistics.safetensors", statistics_only=True)
    return out


def records(out: Path) -> dict[str, dict[str, Any]]:
    """The latest record of each metric of the only run."""
    (path,) = out.glob("ground_truth-*/records.jsonl")
    return {r["metric"]: r for r in map(json.loads, path.read_text().splitlines())}


def evaluate(
    capsys: pytest.CaptureFixture[str], out: Path, file: str, *more: str
) -> tuple[CompletedProcess[str], dict[str, dict[str, Any]]]:
    (run,) = out.glob("ground_truth-*")
    done = mmbench_here(capsys, "evaluate", run, "--reference", out / file, "--out", out, "--format", "json", *more)
    return done, records(out)


@pytest.fixture
def copy(scored: Path, tmp_path: Path) -> Path:
    """The run and its files, to change."""
    return Path(shutil.copytree(scored, tmp_path / "copy"))


def test_scores_against_the_file_equal_scores_against_the_clips(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    against_clips = records(copy)
    monkeypatch.setattr(opening, "make_dataset", None)  # nobody who has the file needs the dataset
    done, against_file = evaluate(capsys, copy, "whole.safetensors")
    assert done.returncode == 0, done.stderr
    assert set(against_file) == {"fvd_bounce.bounce_v1", "fad_bounce.bounce_v1"}, "the metrics the file was made for"
    for name, record in against_file.items():
        for key in ("value", "stderr", "low", "high"):
            assert record[key] == pytest.approx(against_clips[name][key], rel=1e-9)
        assert None not in (record["details"][kernel] for kernel in ("kvd", "kad") if kernel in record["details"])
        details = ({k: v or 0.0 for k, v in r["details"].items()} for r in (record, against_clips[name]))
        assert next(details) == pytest.approx(next(details), rel=1e-9)
        about = read_reference(copy / "whole.safetensors")
        formats = ["16x64x64@8+32000@16000"]
        known = {"dataset": "bounce", "n": CLIPS, "seed": 0, "features": True, "formats": formats}
        known |= {"file_sha256": about.sha256}
        assert record["reference"] == known


def test_statistics_alone_give_the_value_and_say_what_is_lacking(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    against_clips = records(copy)
    done, against_file = evaluate(capsys, copy, "statistics.safetensors", "-m", "fvd_bounce")
    assert done.returncode == 0, done.stderr
    record, wanted = against_file["fvd_bounce.bounce_v1"], against_clips["fvd_bounce.bounce_v1"]
    for key in ("value", "stderr"):
        assert record[key] == pytest.approx(wanted[key], rel=1e-9)
    assert record["details"]["floor"] == pytest.approx(wanted["details"]["floor"], rel=1e-9)
    assert record["details"]["num_reference"] == CLIPS
    assert record["details"]["kvd"] is None
    assert wanted["details"]["kvd"] is not None
    assert record["reference"]["features"] is False


def test_clips_of_anybody_are_scored_without_the_dataset(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "make_dataset", None)
    (samples,) = copy.glob("ground_truth-*/samples")
    done = mmbench_here(
        capsys, "evaluate", samples, "--reference", copy / "whole.safetensors", "--name", "mine",
        "--out", copy, "--format", "json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    mine = {row["record"]["metric"]: row["record"] for row in json.loads(done.stdout)}
    assert mine["fvd_bounce.bounce_v1"]["value"] == pytest.approx(records(copy)["fvd_bounce.bounce_v1"]["value"])
    assert mine["fvd_bounce.bounce_v1"]["dataset"] == "bounce"
    both = mmbench_here(
        capsys, "evaluate", samples, "--reference", copy / "whole.safetensors", "--dataset", "bounce", "--out", copy
    )
    assert both.returncode == 2
    assert "Both a dataset and a reference file" in both.stderr


def test_the_file_holds_mean_and_covariance_and_no_path(scored: Path) -> None:
    whole, statistics = (load_file(scored / f"{name}.safetensors") for name in ("whole", "statistics"))
    features = whole["features/bounce_video/features"]
    assert features.shape == (CLIPS, 32)
    assert features.dtype == np.float32
    where = "statistics/fvd_bounce.bounce_v1/bounce_video/"
    x = features.astype(np.float64)
    np.testing.assert_allclose(statistics[where + "mean"], x.mean(0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(statistics[where + "scatter"] / CLIPS, np.cov(x.T, ddof=0), rtol=1e-9, atol=1e-12)
    assert int(statistics[where + "n"]) == CLIPS
    assert not any(name.startswith("features/") for name in statistics)
    assert (scored / "statistics.safetensors").stat().st_size < 25_000
    assert str(scored).encode() not in (scored / "whole.safetensors").read_bytes()


def test_another_network_is_refused_before_anything_is_computed(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = copy / "changed.safetensors"
    changed.write_bytes(extractors.WEIGHTS.read_bytes() + b" ")
    monkeypatch.setattr(extractors, "WEIGHTS", changed)
    monkeypatch.setattr(BounceVideo, "extract", None)
    done, _ = evaluate(capsys, copy, "whole.safetensors", "-m", "fvd_bounce")
    assert done.returncode == 2
    assert "made with another bounce_video: weights" in done.stderr


@pytest.mark.parametrize(
    ("metric", "message"),
    [(FAD(weights="random"), "not of fad.audioldm_eval"), (FVDBounce(), "version 1 of fvd_bounce")],
)
def test_another_metric_or_version_is_refused(scored: Path, metric: Any, message: str) -> None:
    metric.version = 2
    with pytest.raises(UsageError, match=message):
        read_reference(scored / "whole.safetensors").table(metric)


def test_damaged_and_foreign_files_are_refused(scored: Path, tmp_path: Path) -> None:
    data = (scored / "whole.safetensors").read_bytes()
    file = tmp_path / "x.safetensors"
    with pytest.raises(UsageError, match="There is no file"):
        read_reference(file)
    for broken in (data[: len(data) // 2], b"", b"RIFF" * 100):
        file.write_bytes(broken)
        with pytest.raises(IntegrityError, match="not a whole reference file"):
            read_reference(file)
    save_file({"a": np.zeros(3)}, file)
    with pytest.raises(IntegrityError, match="not a whole reference file"):
        read_reference(file)
    whole = read_reference(scored / "whole.safetensors")
    save_file({"a": np.zeros(3)}, file, {"mmbench": json.dumps(dict(whole.about))})
    with pytest.raises(IntegrityError, match="features/bounce_video/"):
        read_reference(file).table(FVDBounce())


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    from mmbench.registry import make_metric

    def write(metric: Any, num: int = 2) -> None:
        export(
            tmp_path / "x",
            make_dataset("bounce"),
            [metric],
            num,
            0,
            FeatureCache(None),
            statistics_only=True,
            workers=1,
        )

    with pytest.raises(UsageError, match="compares with no real clips"):
        write(make_metric("av_align", device="cpu", weights="real"))
    with pytest.raises(Exception, match="1 clips of bounce"):
        write(FADBounce(), num=1)

    class WithoutStatistics(FADBounce):
        condense = None

    with pytest.raises(UsageError, match="no sufficient statistics"):
        write(WithoutStatistics())
    assert not (tmp_path / "x").exists()


def test_clips_of_different_lengths_come_back_apart() -> None:
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(k, 3)).astype(np.float32) for k in (2, 1, 4)]
    for clips in (rows, [rows[0]] * 3, [r[0] for r in rows]):
        back = reference._unpacked("a", reference._packed("a", clips))
        assert len(back) == 3
        for got, want in zip(back, clips, strict=True):
            np.testing.assert_array_equal(got, want)


def test_a_file_of_features_from_the_cache_has_the_bytes_of_one_of_new_features(tmp_path: Path) -> None:
    dataset, written = make_dataset("bounce"), []
    for again in range(2):  # the cache gives a clip's features in another order than the network
        with FeatureCache(tmp_path / "cache") as cache:
            assert cache.folder
            assert cache.folder.exists() == bool(again)
            written.append(export(tmp_path / "a.safetensors", dataset, [FVDBounce()], 2, 0, cache).sha256)
    assert written[0] == written[1]


def test_stats_show_names_what_is_inside(scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = mmbench_here(capsys, "stats", "show", scored / "statistics.safetensors", "--format", "json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["clips"] == CLIPS
    assert shown["features"] is False
    assert set(shown["metrics"]) == {"fvd_bounce.bounce_v1", "fad_bounce.bounce_v1"}
    assert shown["sha256"] == read_reference(scored / "statistics.safetensors").sha256


def test_the_file_says_what_its_clips_are_like_and_which_code_looked_at_them(
    scored: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = read_reference(scored / "whole.safetensors")
    (size,) = file.note()["formats"]
    assert size == make_dataset("bounce").reference(1, 0)[0].clip.size()
    file.check(FVDBounce())
    assert "other code" not in caplog.text
    monkeypatch.setattr(reference, "extractor_code", lambda extractor: "0" * 16)
    file.check(FVDBounce())
    assert "made by other code of bounce_video: export it again" in caplog.text
