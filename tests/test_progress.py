"""Progress of a whole job: one line, whose time left is right though its stages differ in speed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import StringIO

import pytest

from mmbench import progress as module
from mmbench.progress import Progress, describe_seconds, progress, report_step, track
from mmbench.scores.progress import FEATURES, SCORES, ScoringSizes, plan_scoring

Speeds = tuple[list[float], float, float]  # seconds per sample of each system, per feature, per metric
JOBS: dict[str, Speeds] = {
    "alike": ([1.0, 1.0], 0.05, 0.4),
    "controls first": ([0.11, 0.16, 1.0, 1.3, 1.1, 0.9], 0.034, 0.1),  # the default job, as timed on two cores
    "only scoring to do": ([0.0, 0.0], 0.3, 5.0),
    "hours": ([30.0, 55.0], 0.5, 5.0),
}


class Clock:
    """Time that goes on when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def carried_out(job: Progress, clock: Clock, speeds: Speeds, num: int = 64, batch: int = 16) -> Iterator[float]:
    """Carry out a job of generation and scoring on a fake clock; yields the time after each piece of it."""
    per_sample, per_feature, per_metric = speeds
    generation = [job.plan("generate", f"s{k}", num) for k in range(len(per_sample))]
    scoring = [
        (job.plan("features", f"s{k}", 2 * num, FEATURES), job.plan("scores", f"s{k}", 3, SCORES))
        for k in range(len(per_sample))
    ]
    for stage, seconds in zip(generation, per_sample, strict=True):
        with stage:
            if not seconds:
                stage.skip(num)
                continue
            for _ in range(num // batch):
                stage.begin(batch)
                for step in range(10):
                    report_step(step, 10)
                    yield clock.now
                    clock.now += batch * seconds / 10
                stage.advance(batch)
                yield clock.now
    for features, scores in scoring:
        with features:
            for _ in range(2 * num):
                clock.now += per_feature
                features.advance()
                yield clock.now
        for _ in scores.each(range(3)):
            clock.now += per_metric
            yield clock.now


@pytest.mark.parametrize("name", JOBS)
def test_the_time_left_is_right_within_a_factor_of_two_after_a_tenth_of_the_time(name: str) -> None:
    clock = Clock()
    start = clock.now
    job = Progress(quiet=True, clock=clock)
    guesses = [(now, job.seconds_left()) for now in carried_out(job, clock, JOBS[name])]
    whole = clock.now - start
    late = [(start + whole - now, left) for now, left in guesses if whole / 10 <= now - start <= whole * 0.97]
    assert len(late) > 50
    assert wrong_ones(late) == []


def wrong_ones(guesses: list[tuple[float, float | None]]) -> list[tuple[float, float | None]]:
    """True and guessed seconds that differ by more than a factor of two."""
    return [(true, left) for true, left in guesses if left is None or not 0.5 <= left / true <= 2.0]


def test_scoring_that_takes_longer_than_generation_is_known_when_its_first_clips_are() -> None:
    clock = Clock()
    job = Progress(quiet=True, clock=clock)
    guesses: list[tuple[float, float | None]] = []
    for now in carried_out(job, clock, ([0.1, 0.1, 0.1], 0.5, 2.0)):
        if job.stages[3].done > 1:
            guesses.append((now, job.seconds_left()))
    late = [(clock.now - now, left) for now, left in guesses if now < clock.now - 2.0]
    assert len(late) > 300
    assert wrong_ones(late) == []


def test_a_single_batch_moves_with_its_steps_and_never_back() -> None:
    clock = Clock()
    job = Progress(quiet=True, clock=clock)
    seen, left = [], []
    with job.plan("generate", "tiny", 8) as stage:
        stage.begin(8)
        for _ in range(2):  # two tiles, or sound after video
            for step in range(4):
                report_step(step, 4)
                seen.append(job.share())
                left.append(job.seconds_left())
                clock.now += 1.0
        stage.advance(8)
        seen.append(job.share())
    assert seen == sorted(seen)
    assert seen[2] == 0.5
    assert left[2] == pytest.approx(2.0)
    assert seen[-1] == 1.0
    report_step(3, 4)  # nothing is at work


def test_a_first_batch_that_takes_long_is_not_said_to_be_nearly_done() -> None:
    clock = Clock()
    job = Progress(quiet=True, clock=clock)
    fast, slow = job.plan("generate", "ground_truth", 16), job.plan("generate", "tiny", 16)
    with fast:
        clock.now += 1.0
        fast.advance(16)
    with slow:
        slow.begin(16)  # loads its models
        for _ in range(20):
            clock.now += 1.0
            assert (job.seconds_left() or 0.0) >= clock.now - 1001.0
        assert job.share() == 0.5


def test_clips_are_counted_not_their_features(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    job = Progress(clock=clock)
    (stages,) = plan_scoring(job, ScoringSizes(extractors=5, of_real=2, metrics=3), [("tiny", 16)])
    with stages.features as stage:
        clock.now += 20.0
        stage.advance(42)
    assert "features tiny 8/16, " in capsys.readouterr().err


def test_what_was_there_already_says_nothing_about_the_time() -> None:
    clock = Clock()
    job = Progress(quiet=True, clock=clock)
    with job.plan("generate", "tiny", 64) as stage:
        stage.skip(56)
        assert job.seconds_left() is None
        clock.now += 10.0
        stage.advance(4)
        assert job.seconds_left() == pytest.approx(10.0)


def test_without_a_terminal_there_is_at_most_a_line_per_tenth_and_ten_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    job = Progress(clock=clock)
    for _ in carried_out(job, clock, JOBS["hours"]):
        pass
    lines = capsys.readouterr().err.splitlines()
    hours = (clock.now - 1000.0) / 3600
    assert 5 <= len(lines) <= 10 + 3600 * hours / module.MOST_SECONDS
    assert all(line.endswith(" left") and " %, " in line for line in lines)
    quick = Clock()
    for _ in carried_out(Progress(clock=quick), quick, ([0.02], 0.01, 0.1)):
        pass
    assert capsys.readouterr().err == ""


def test_a_job_of_one_stage_says_no_share(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    job = Progress(clock=clock)
    with job.plan("toy", "", 8) as stage:
        stage.advance()
        clock.now += 29.0
        stage.advance(1, "1 failed")
    assert capsys.readouterr().err == "toy 2/8; 1 failed, 87 s left\n"


def test_a_bar_is_one_line_and_gone_before_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with track() as job:
        first, second = job.plan("generate", "s" * 90, 4), job.plan("scores", "b", 2)
        with first:
            first.advance(4)
            with progress("download", 3) as inner:  # one bar, whatever begins inside
                inner.advance(3)
            job.bar.refresh()  # type: ignore[attr-defined]
        for _ in second.each("xy"):
            pass
    drawn = screen.getvalue()
    assert "generate sss" in drawn
    assert "…" in drawn, "a line that is too long is cut, never folded"
    assert drawn.rstrip("\r\n").endswith("\x1b[2K") or drawn.endswith("\x1b[?25h"), "the last line is erased"
    assert "download" not in drawn


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_SECONDS", 0.0)
    with progress("generate", 8, quiet=True) as stage:
        stage.advance(8)
    assert (stage.done, capsys.readouterr().err) == (8, "")
    with progress("generate", 8) as stage:
        stage.advance(7)
        stage.advance(1)  # the table says that it is done
    assert capsys.readouterr().err == "generate 7/8, 0 s left\n"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "0 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min"), (7800, "2 h 10 min")]
)
def test_seconds_in_words(seconds: float, words: str) -> None:
    assert describe_seconds(seconds) == words
