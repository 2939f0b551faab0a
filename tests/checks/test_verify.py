"""Every check of `mmbench verify` fails on the fault it is there for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mmbench.checks import verify
from mmbench.checks.verification import machine_checks, metric_checks
from mmbench.checks.verification.check_row import COLUMNS, NotApplicable, judge
from mmbench.checks.verification.ladders import AUDIO, PROMPTS, SHIFT, VIDEO, Material, exchange_prompts, ladders_for
from mmbench.checks.verification.metric_checks import Subject
from mmbench.cli.app import app
from mmbench.errors import MMBenchError, UsageError
from mmbench.media import clip_files as media
from mmbench.types import Clip, Features, FeatureTable, Score
from tests.verify_material import Agreement, Distance, Statistics, examined, failed, item

pytest_plugins = ("tests.verify_material",)  # its fixture `material`


@pytest.mark.parametrize(
    ("build", "answers"),
    [
        (Agreement, ["answer to shift"]),
        (lambda: Agreement("text", "video"), ["answer to others' prompts"]),
        (Distance, ["answer to blur", "answer to pixel noise", "answer to frame drop"]),
        (lambda: Distance("audio"), ["answer to white noise", "answer to low-pass"]),
    ],
    ids=["shift", "prompts", "video", "audio"],
)
def test_sound_metrics_pass_every_check(build: Callable[[], Any], answers: list[str], material: Material) -> None:
    rows = examined(build, material)
    assert {check: row["status"] for check, row in rows.items() if row["status"] != "pass"} == {}
    assert [check for check in rows if check.startswith("answer")] == answers
    assert list(next(iter(rows.values()))) == list(COLUMNS)


class Offset(Distance):
    offset = 1e-3


class CountsMissing(Distance):
    def mean(self, table: FeatureTable) -> np.ndarray:
        return np.mean([np.zeros(5) if f is None else f["x"] for f in table[self.part.name]], axis=0)


class WeighsByPlace(Distance):
    def mean(self, table: FeatureTable) -> np.ndarray:
        x = np.array([f["x"] for f in table[self.part.name] if f is not None])
        return np.arange(1, len(x) + 1) @ x / len(x)


class Deaf(Distance):
    def mean(self, table: FeatureTable) -> np.ndarray:
        return super().mean(table) * 0


class UpsideDown(Distance):
    higher_is_better = True


class Crashes(Distance):
    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        raise ZeroDivisionError("no samples")


class Forgetful(Distance):
    def __init__(self) -> None:
        super().__init__()
        self.part.spec = lambda: {"object": id(self)}


class Ranks(Agreement):
    def values(self, features: FeatureTable) -> np.ndarray:
        times = [np.nan if f is None else float(f["time"]) for f in features["peak_video"]]
        return np.array(times) / np.nansum(times)


class IgnoresOrder(Agreement):
    def values(self, features: FeatureTable) -> np.ndarray:
        return np.where(np.isnan(plain := super().values(features)), np.nan, 1.0) + 0 * plain


class Sorted(Agreement):
    def values(self, features: FeatureTable) -> np.ndarray:
        return np.array([1.0, 0.5] + [0.0] * (len(features["peak_video"]) - 2))


@pytest.mark.parametrize(
    ("build", "check"),
    [
        (Offset, "identity"),
        (CountsMissing, "missing sample"),
        (WeighsByPlace, "order of samples"),
        (Deaf, "answer to blur"),
        (UpsideDown, "answer to pixel noise"),
        (Crashes, "answer to frame drop"),
        (Forgetful, "signature"),
        (Ranks, "identity"),
        (IgnoresOrder, "answer to shift"),
        (Sorted, "order of samples"),
    ],
    ids=lambda x: x.__name__ if isinstance(x, type) else "",
)
def test_a_planted_fault_fails_its_check(build: Callable[[], Any], check: str, material: Material) -> None:
    rows = examined(build, material)
    assert check in failed(rows), rows
    assert rows[check]["measured"]


def test_a_crash_is_a_failure_that_says_what_happened(material: Material) -> None:
    assert "ZeroDivisionError: no samples" in examined(Crashes, material)["identity"]["measured"]


def test_agreement_under_random_weights_is_not_judged(material: Material) -> None:
    row = examined(lambda: Agreement(weights="random"), material)["answer to shift"]
    assert (row["status"], row["weights"]) == ("skipped", "random")
    assert "random weights" in row["measured"]


def test_agreement_under_published_networks_is_reported_but_not_required(material: Material) -> None:
    class Unmoved(IgnoresOrder):
        def __init__(self) -> None:
            super().__init__(weights="real")

    row = examined(Unmoved, material)["answer to shift"]
    assert row["status"] == "skipped"
    assert "promise nothing" in row["measured"]
    assert examined(lambda: Agreement(weights="real"), material)["answer to shift"]["status"] == "pass"


def test_a_step_may_seem_better_by_chance_but_not_by_more() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 9, 100).astype(float)
    assert metric_checks.worsening(a, a, False) == 0
    assert metric_checks.worsening(a, a + 1, False) == np.inf
    assert metric_checks.worsening(a, a + 1, True) == -np.inf
    b = a + rng.normal(0.2, 1, 100)
    assert metric_checks.worsening(a, b, False) == pytest.approx((b - a).mean() / ((b - a).std(ddof=1) / 10))
    assert np.isnan(metric_checks.worsening(a[:1], b[:1], False))


def test_ladders_follow_what_a_metric_looks_at() -> None:
    assert ladders_for(Distance()) == list(VIDEO)  # type: ignore[arg-type]
    assert ladders_for(Distance("audio")) == list(AUDIO)  # type: ignore[arg-type]
    assert ladders_for(Agreement()) == [SHIFT]  # type: ignore[arg-type]
    assert ladders_for(Agreement("text", "audio")) == [PROMPTS]  # type: ignore[arg-type]
    assert ladders_for(Agreement("video", "video")) == []  # type: ignore[arg-type]


def test_exchanged_prompts_are_as_many_as_asked_and_nested(material: Material) -> None:
    moved = []
    for fraction, count in ((0.0, 0), (0.25, 3), (0.5, 6), (1.0, 12)):
        after = exchange_prompts(material.items, fraction, 0)
        moved.append({i for i in range(12) if after[i].prompt.id != str(i)})
        assert len(moved[-1]) == count
        assert sorted(x.prompt.id for x in after) == sorted(x.prompt.id for x in material.items)
    assert moved[0] <= moved[1] <= moved[2] <= moved[3]


def test_features_that_a_distortion_does_not_touch_are_not_computed_again(material: Material) -> None:
    metric: Any = Agreement()
    calls = {part.name: 0 for part in metric.parts}
    for part in metric.parts:
        plain = part.extract

        def counted(batch: Sequence[Any], plain: Any = plain, name: str = part.name) -> list[Features]:
            calls[name] += len(batch)
            return list(plain(batch))

        part.extract = counted
    for step in (*SHIFT.steps, *SHIFT.steps):
        material.table(metric, SHIFT, step)
    assert calls == {"peak_video": 12, "peak_audio": 12 * len(SHIFT.steps)}


# --- machine


def test_storage_that_loses_anything_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine_checks.round_trip()[0]
    write = media.write_lossless

    def lossy(clip: Clip, file: Any) -> None:
        write(replace(clip, video=clip.video ^ np.uint8(1)), file)

    monkeypatch.setattr(media, "write_lossless", lossy)
    held, measured = machine_checks.round_trip()
    assert not held
    assert "pixels differ" in measured
    assert "samples equal" in measured


def test_weights_of_another_digest_fail_and_none_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    from mmbench.weights import checkpoints as weights

    found = [
        {"name": "i3d", "status": "ok", "digest": "as published"},
        {"name": "vggish", "status": "corrupt", "digest": "has sha256 0"},
    ]
    monkeypatch.setattr(weights, "verify_all", lambda: (found, None))
    assert [row["status"] for row in machine_checks.check_weights()] == ["pass", "fail"]
    monkeypatch.setattr(weights, "verify_all", lambda: ([], None))
    assert [row["status"] for row in machine_checks.check_weights()] == ["skipped"]


def test_a_check_with_nothing_to_judge_is_skipped_with_its_reason() -> None:
    def nothing() -> tuple[bool, str]:
        raise NotApplicable("no GPU")

    assert judge("c", "m", "r", nothing) == dict(
        zip(COLUMNS, ("c", "m", "none", "skipped", "no GPU", "r"), strict=True)
    )


# --- the whole


def registered(monkeypatch: pytest.MonkeyPatch, **metrics: Callable[..., Any]) -> None:
    """Let these metrics be all that there are."""
    monkeypatch.setattr(verify, "discover", lambda kind: (metrics, []))
    monkeypatch.setattr(verify, "make_metric", lambda name, **settings: metrics[name]())
    items = [item(i) for i in range(12)]
    monkeypatch.setattr(verify, "make_dataset", lambda name: SimpleNamespace(reference=lambda n, seed: items))
    monkeypatch.setattr(machine_checks, "check_weights", lambda: [])


def test_all_registered_metrics_are_verified_and_shared_extractors_once(monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, one=Agreement, two=Agreement, three=Distance)
    rows = verify.verify_metrics(num_samples=12, quiet=True)
    assert {row["status"] for row in rows} == {"pass"}
    assert [r["metric"] for r in rows if r["check"] == "determinism"] == [
        "peak_video (one, two)",
        "peak_audio (one, two)",
        "statistics_video (three)",
    ]
    assert verify.notes(rows) == [f"{len(rows)} passed, 0 failed, 0 skipped."]


def test_a_metric_that_cannot_be_made_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise MMBenchError("no such file")

    registered(monkeypatch, one=Agreement, two=broken)
    rows = verify.verify_metrics(num_samples=12, quiet=True)
    assert [(r["metric"], r["measured"]) for r in rows if r["status"] == "fail"] == [
        ("two", "MMBenchError: no such file")
    ]


def test_quick_leaves_out_what_is_slow_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, one=Agreement)
    monkeypatch.setattr(verify, "seconds_per_clip", lambda extractor, material: 0.9)
    rows = verify.verify_metrics(num_samples=12, quick=True, quiet=True)
    assert [(r["status"], r["measured"]) for r in rows if r["metric"] == "one"] == [
        ("skipped", "--quick: 0.9 s of CPU time per clip")
    ]
    assert "signature" in {r["check"] for r in verify.verify_metrics(num_samples=12, quiet=True)}


def test_the_price_of_a_clip_leaves_out_loading_and_waiting(material: Material) -> None:
    class Slow(Statistics):
        seconds = 0.4

        def extract(self, batch: Sequence[Any]) -> list[Features]:
            until, self.seconds = time.process_time() + self.seconds, 0.05
            time.sleep(0.1)
            while time.process_time() < until:
                pass
            return super().extract(batch)

    assert 0.05 <= verify.seconds_per_clip(Slow(), material) < 0.1  # type: ignore[arg-type]


def test_published_weights_are_used_where_all_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    state = "missing"
    monkeypatch.setattr(verify, "status", lambda: [{"name": "vggish", "status": state}])
    assert Subject("fad", verify.best_build("fad")).weights == "random"
    state = "present"
    assert Subject("fad", verify.best_build("fad")).weights == "real"
    assert Subject("av_align", verify.best_build("av_align")).weights == "none"


def test_random_weights_are_named_below_the_table() -> None:
    row = dict(zip(COLUMNS, ("identity", "fvd", "random", "pass", "0", "0"), strict=True))
    assert "Random weights stand in for the published ones in fvd" in verify.notes([row])[1]


def test_wrong_arguments_end_before_any_work() -> None:
    with pytest.raises(UsageError, match="num-samples is 3"):
        verify.verify_metrics(num_samples=3)
    with pytest.raises(UsageError, match="Unknown metric"):
        verify.verify_metrics(["fvdd"])
    with pytest.raises(UsageError, match="Unknown variant"):
        verify.verify_metrics(["av_align.none"])


def test_a_metric_of_longer_clips_is_skipped_with_the_length_it_needs() -> None:
    (row,) = [row for row in verify.verify_metrics(["desync"], quiet=True) if row["metric"] == "desync"]
    assert row["status"] == "skipped"
    assert "needs clips of 4.8 s; these have 2 s. try: mmbench verify --metric desync --dataset" in row["measured"]


def test_pairs_stay_together_and_places_may_count() -> None:
    rows = [
        row
        for row in verify.verify_metrics(["kl_pann", "is_pann"], quiet=True)
        if row["metric"].startswith(("kl", "is"))
    ]
    found = {(row["metric"], row["check"]): row["status"] for row in rows}
    assert "fail" not in found.values()
    assert found["kl_pann", "order of samples"] == found["kl_pann", "missing sample"] == "pass"
    assert found["is_pann", "order of samples"] == "skipped"
    assert "splits the samples by their places" in str(rows)


def test_av_align_on_bounce_means_what_it_says() -> None:
    rows = verify.verify_metrics(["av_align.matched"], quiet=True)
    assert [r["check"] for r in rows if r["status"] == "fail"] == []
    (shift,) = [r for r in rows if r["check"] == "answer to shift"]
    assert shift["status"] == "pass"


def test_the_command_prints_rows_and_fails_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, good=Agreement)
    result = CliRunner().invoke(app, ["verify", "--num-samples", "12"])
    assert result.exit_code == 0
    assert "answer to shift" in result.output
    assert "passed, 0 failed" in result.output
    registered(monkeypatch, bad=Offset)
    result = CliRunner().invoke(app, ["verify", "--num-samples", "12", "--format", "json"])
    assert isinstance(result.exception, MMBenchError)
    assert result.exception.exit_code == 1
    assert "identity of bad" in result.exception.found
    assert {"check", "metric", "status", "measured", "required"} <= set(json.loads(result.stdout)[0])
