"""`mmbench check`: passes as committed and under other rounding, fails for planted faults, says what changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.baselines.ground_truth import GroundTruth
from mmbench.checks.check import FACTOR, compare, notes, rms_change
from mmbench.checks.expectation import (
    Expectation,
    MetricValue,
    SystemValues,
    default_file,
    file_to_update,
    leaves,
    measure,
    merged,
    read_expectation,
    write_expectation,
)
from mmbench.errors import IntegrityError, MMBenchError, UsageError
from mmbench.jobs import generate as generating
from mmbench.jobs.settings import DEFAULT_SYSTEMS, Settings
from mmbench.registry import make_dataset
from mmbench.runs import circumstances
from mmbench.system_names import make_system, parse_system_name
from mmbench.types import Clip, Request
from tests.commands import FIXTURE, mmbench, mmbench_here
from tests.conftest import REPOSITORY

COMMITTED = REPOSITORY / "mmbench" / "checks" / "data" / "bounce.json"
Change = Callable[[Request, Clip], Clip]


def swapped_channels(request: Request, clip: Clip) -> Clip:
    return replace(clip, video=clip.video[..., ::-1].copy())


def one_frame_of_delay(request: Request, clip: Clip) -> Clip:
    late = round(clip.sample_rate / float(clip.fps))
    return replace(clip, audio=np.concatenate([np.zeros(late, np.float32), clip.audio[:-late]]))


def other_rounding(request: Request, clip: Clip) -> Clip:
    """One level up or down in 1 % of the pixels and of the samples that are not silent."""
    rng = request.rng("rounding")

    def moved(x: np.ndarray, low: int, high: int) -> np.ndarray:
        step = rng.choice([-1, 1], x.shape) * (rng.random(x.shape) < 0.01) * (x != 0)
        return np.clip(x + step, low, high)

    audio = moved(clip.audio_int16().astype(int), -32768, 32767) / 32768
    return replace(clip, video=moved(clip.video.astype(int), 0, 255).astype(np.uint8), audio=audio.astype(np.float32))


def plant(monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    """Let `change` happen to every clip of ground_truth."""
    right = GroundTruth.generate

    def generate(self: GroundTruth, requests: Sequence[Request]) -> Iterator[Clip]:
        for request, clip in zip(requests, right(self, requests), strict=True):
            yield change(request, clip)

    monkeypatch.setattr(GroundTruth, "generate", generate)


def verdicts(printed: str) -> dict[str, str]:
    return {row["metric"].partition(".")[0]: row["verdict"] for row in json.loads(printed)}


@pytest.mark.e2e
def test_default_systems_score_as_committed(capsys: pytest.CaptureFixture[str]) -> None:
    result = mmbench_here(capsys, "check", "--expected", COMMITTED, "--format", "json")
    assert result.returncode == 0, result.stdout + result.stderr
    rows = json.loads(result.stdout)
    assert {row["system"] for row in rows} == set(DEFAULT_SYSTEMS)
    assert {row["metric"].partition(".")[0] for row in rows} == set(make_dataset("bounce").default_metrics)


FAULTS = [(swapped_channels, "ib_bounce_tv"), (one_frame_of_delay, "av_align")]


@pytest.mark.e2e
@pytest.mark.parametrize(("fault", "seen_by"), FAULTS, ids=[f.__name__ for f, _ in FAULTS])
def test_a_planted_fault_fails(
    fault: Change, seen_by: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(monkeypatch, fault)
    result = mmbench_here(capsys, "check", "--expected", COMMITTED, "--system", "ground_truth", "--format", "json")
    assert result.returncode == 1
    found = verdicts(result.stdout)
    assert found[seen_by] == found["ib_bounce_av"] == "differs"
    assert "mmbench check --update" in result.stderr


@pytest.mark.e2e
def test_rounding_of_another_machine_passes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(monkeypatch, other_rounding)
    result = mmbench_here(capsys, "check", "--expected", COMMITTED, "--system", "ground_truth")
    assert result.returncode == 0, result.stdout
    assert "ground_truth: 16 of 16 samples are other ones, although its spec is the same." in result.stdout


@pytest.mark.e2e
@pytest.mark.parametrize(
    "guided", [pytest.param("tiny+mmdisco", marks=pytest.mark.thorough), "tiny+mmdisco-res_frieren"]
)
def test_guidance_of_scale_zero_fails(
    guided: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unguided(name: str, **settings: Any) -> Any:
        system, base = make_system(name, **settings), make_system(parse_system_name(name).base, **settings)
        system.generate = base.generate  # at scale 0 a guided pair draws what its base models draw
        return system

    monkeypatch.setattr(generating, "make_system", unguided)
    result = mmbench_here(capsys, "check", "--expected", COMMITTED, "--system", guided)
    assert result.returncode == 1, result.stdout


VALUE = MetricValue("m|v|1", 0.5, 0.1, [0.3, 0.5, 0.7, None])
SYSTEM = SystemValues("d" * 32, {"system.version": 1}, ["a", "b", "c", "d"], {"m.v": VALUE})
EXPECTED = Expectation("0", "bounce", 0, 4, {"cpu": "x"}, {"numpy": "2.0"}, {"a": SYSTEM})


def with_value(system: str = "a", **changes: Any) -> Expectation:
    """EXPECTED with another value of m.v."""
    values = replace(SYSTEM, metrics={"m.v": replace(VALUE, **changes)})
    return replace(EXPECTED, systems={system: values})


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "ok"),
        ({"value": 0.5 + 0.99 * FACTOR * 0.1}, "ok"),
        ({"value": 0.5 + 1.01 * FACTOR * 0.1}, "differs"),
        ({"value": None}, "differs"),
        ({"samples": [0.5, 0.5, 0.5, None]}, "samples differ"),
        ({"signature": "m|v|2"}, "metric changed: m|v|1 -> m|v|2"),
    ],
)
def test_verdicts(changes: dict[str, Any], verdict: str) -> None:
    (row,) = compare(EXPECTED, with_value(**changes))
    assert row["verdict"] == verdict


def test_a_system_of_one_side_only_is_named() -> None:
    rows = {row["system"]: row["verdict"] for row in compare(EXPECTED, with_value("b"))}
    assert rows == {"b": "not expected", "a": "no longer there"}


def test_a_value_without_error_must_be_equal_up_to_its_digits() -> None:
    exact = with_value(stderr=None, samples=None)
    assert compare(exact, with_value(stderr=None, samples=None, value=0.500001))[0]["verdict"] == "ok"
    assert compare(exact, with_value(stderr=None, samples=None, value=0.5001))[0]["verdict"] == "differs"


def test_rms_change_counts_a_sample_that_one_side_scores_as_one_deviation() -> None:
    deviation = 0.2
    assert rms_change([0.3, 0.5, 0.7, None], [0.3, 0.5, 0.7, 0.1])[0] == pytest.approx(deviation / 2)
    assert rms_change([0.3, 0.5, 0.7, None], [0.4, 0.4, 0.8, None])[0] == pytest.approx(np.sqrt(0.03 / 4))
    assert rms_change([None, None], [None, None])[0] == 0.0


def test_notes_say_whether_system_metric_or_machine_changed() -> None:
    changed = replace(SYSTEM, spec={"system.version": 2}, samples=["a", "x", "y", "d"])
    found = replace(EXPECTED, systems={"a": changed}, packages={"numpy": "2.1"}, machine={"cpu": "y"})
    text = "\n".join(notes(EXPECTED, found))
    assert "a: the system changed (system.version 1 -> 2); 2 of 4 samples are other ones." in text
    assert "Other machine than expected: cpu x -> y." in text
    assert "Other packages than expected: numpy 2.0 -> 2.1." in text
    assert len(notes(EXPECTED, EXPECTED)) == 1


def test_leaves_of_a_spec() -> None:
    spec = {"seed": 0, "dataset": {"world": 1}, "system": {"steps": 5, "sampler": {"eta": 0.0}, "dataset": {"w": 1}}}
    found = leaves(spec)
    assert found["system.sampler.eta"] == 0.0
    assert {k for k, v in found.items() if isinstance(v, str)} == {"dataset", "system.dataset"}


def test_what_is_written_is_read_and_the_file_is_whole_or_absent(tmp_path: Path) -> None:
    file = tmp_path / "new" / "expected.json"
    write_expectation(file, EXPECTED)
    assert read_expectation(file) == EXPECTED
    assert [p.name for p in file.parent.iterdir()] == ["expected.json"]
    file.write_text(file.read_text()[:-20])
    with pytest.raises(IntegrityError, match="is no expectation"):
        read_expectation(file)
    with pytest.raises(MMBenchError, match="Cannot write to"):
        write_expectation(file / "below", EXPECTED)


def test_systems_that_were_not_measured_stay_in_the_file() -> None:
    assert set(merged(EXPECTED, with_value("b")).systems) == {"a", "b"}
    with pytest.raises(UsageError, match="n = 4"):
        merged(EXPECTED, replace(EXPECTED, n=8))


def test_samples_of_an_earlier_check_are_not_taken_for_new_ones(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("")
    with pytest.raises(UsageError, match="not empty"):
        measure(Settings(out=tmp_path))


@pytest.mark.e2e
def test_update_and_failure_on_the_command_line(tmp_path: Path) -> None:
    file, runs = tmp_path / "expected" / "f.json", tmp_path / "runs"
    made = mmbench("check", *FIXTURE, "--expected", file, "--update", "-n", "6", "--out", runs)
    assert made.returncode == 0, made.stderr
    assert "Changed: fixture_system fixture_metric.plain" in made.stderr
    assert len(list(runs.glob("*/samples/*.mkv"))) == 6
    crashed = mmbench("check", *FIXTURE, "--expected", file, "--format", "quiet", FIXTURE_FAULTS="1:crash,2:crash")
    assert crashed.returncode == 1
    assert crashed.stdout.split() == ["differs"]


def test_no_expectation_or_one_of_other_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = mmbench_here(capsys, "check", "--expected", tmp_path / "none.json")
    assert absent.returncode == 1
    assert "mmbench check --update --expected" in absent.stderr
    other = mmbench_here(capsys, "check", "--expected", COMMITTED, "-n", "7")
    assert other.returncode == 2
    assert "n = 7" in other.stderr


def test_what_an_installed_package_expects_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = default_file("bounce").read_bytes()
    monkeypatch.setattr(circumstances, "CHECKOUT", tmp_path)  # a folder of packages
    result = mmbench_here(capsys, "check", "--update", "-s", "ground_truth")
    assert result.returncode == UsageError.exit_code
    assert "mmbench check --update --dataset bounce --expected bounce.json" in result.stderr
    assert default_file("bounce").read_bytes() == before
    (tmp_path / ".git").touch()  # of a worktree; in other checkouts a folder
    assert file_to_update("bounce") == default_file("bounce")
