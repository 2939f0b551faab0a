"""Progress of a job on stderr: one line for all of it, with the time left as its stages' speeds are learned."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TypeVar

from mmbench.markup import visible

Piece = TypeVar("Piece")
LEAST_SECONDS = 10.0  # between two lines where stderr is no terminal
MOST_SECONDS = 300.0  # without a line, however slow the job is
_at_work: list[Stage] = []  # of this process, the innermost last


class Stage:
    """Pieces of work that cost about the same, such as the samples of one system; timed between `with` and its end.

    Args:
        job: The job that it is a part of.
        kind: Stages of one kind are expected to take about as long per piece: "generate", "features".
        name: What it is of, as shown after its kind; "" for a job of one stage.
        total: Pieces there are.
        weight: What the whole stage is expected to cost beside others, until a stage of its kind is timed.
        of_each: Pieces of each thing that the line counts: of each clip, one for each of its extractors.
    """

    def __init__(self, job: Progress, kind: str, name: str, total: int, weight: float, of_each: int) -> None:
        self.job, self.kind, self.name, self.total = job, kind, name, total
        self.weight, self.of_each = weight, of_each
        self.done = self.timed = 0  # pieces, and those of them that took time here
        self.seconds, self.note = 0.0, ""
        self._since: float | None = None  # when the pieces in hand were begun
        self._in_hand, self._round, self._rounds, self._part = 1, 0, 1, 0.0

    def __enter__(self) -> Stage:
        self._since = self.job.clock()
        _at_work.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _at_work.remove(self)
        if error is None:
            self.done = self.total
        self._since = None
        self.job.show()

    def begin(self, count: int) -> None:
        """Say that `count` pieces are made at once from now on, until `advance` counts them."""
        self._in_hand, self._round, self._part = count, 0, 0.0

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count finished pieces; `note` is added to the line."""
        now = self.job.clock()
        self.seconds += 0.0 if self._since is None else now - self._since
        self._since, self.note = now, note
        self._rounds, self._round, self._part = max(self._round, 1), 0, 0.0
        self.done, self.timed = self.done + count, self.timed + count
        self.job.show()

    def each(self, pieces: Sequence[Piece]) -> Iterator[Piece]:
        """Go through the pieces of the stage, counting each when the next is asked for."""
        with self:
            for piece in pieces:
                yield piece
                self.advance()

    def skip(self, count: int) -> None:
        """Count pieces that were there already: they say nothing about the time that the others take."""
        self.done += count

    def report_step(self, step: int, steps: int) -> None:
        """Note that the pieces in hand are at step `step` of `steps`, which may come round several times."""
        if step == 0:
            self._round += 1
        self._rounds = max(self._rounds, self._round)
        part = (max(self._round, 1) - 1 + step / steps) / self._rounds
        self._part = max(self._part, part)  # more rounds than before never move it back
        self.job.show()

    def pieces(self) -> float:
        """Pieces done, with the part of those in hand that is done."""
        return min(self.done + self._part * self._in_hand, self.total)

    def measured(self) -> tuple[float, float]:
        """Pieces and the seconds that they took here: those finished, else those in hand as far as they are."""
        if not self.timed and self._part and self._since is not None:
            return self._part * self._in_hand, self.job.clock() - self._since
        return self.timed, self.seconds

    def seconds_left(self, pace: float) -> float:
        """Seconds that the rest takes at `pace` seconds per piece."""
        since = 0.0 if self._since is None or self._part else self.job.clock() - self._since
        rest = self.total - self.pieces()
        if not self.timed:
            return rest * max(pace, since / self._in_hand)  # where others were faster, that is seen by now
        return (rest - min(since / max(pace, 1e-9), self._in_hand, rest)) * pace

    def __str__(self) -> str:
        words = f"{self.kind} {self.name}".strip()
        counts = f"{int(self.pieces()) // self.of_each}/{self.total // self.of_each}"
        return f"{words} {counts}" + (f"; {self.note}" if self.note else "")


class Progress:
    """A job in stages, and a line about it on stderr: a bar on a terminal, else a line now and then.

    Args:
        quiet: Print nothing.
        clock: Seconds, from any time on.
    """

    def __init__(self, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.quiet, self.clock = quiet, clock
        self.stages: list[Stage] = []
        self._last_line, self._tenth = self.clock(), 0

    def plan(self, kind: str, name: str, total: int, weight: float = 1.0, of_each: int = 1) -> Stage:
        """Add a stage to the job; all of them before the first begins, so that the time left is that of the job."""
        self.stages.append(Stage(self, kind, name, total, weight, max(of_each, 1)))
        return self.stages[-1]

    def share(self) -> float:
        """The share of the job that is done, from 0 to 1, by weights of its stages; a stage added late lowers it."""
        stages = [stage for stage in self.stages if stage.total]
        whole = sum(stage.weight for stage in stages)
        return sum(stage.weight * stage.pieces() / stage.total for stage in stages) / whole if whole else 0.0

    def seconds_left(self) -> float | None:
        """Seconds until the job is done; None while no piece has been timed.

        A stage that is not timed yet is expected to take per piece what those of its kind take; the first of its kind
        as a whole what the others take, by their weights. Of several, those that took longest count most: controls,
        which often come first, are fast.
        """
        measured = {stage: taken for stage in self.stages if (taken := stage.measured())[0]}
        if not measured:
            return None
        left = 0.0
        for stage in self.stages:
            known = [stage] if stage in measured else [other for other in measured if other.kind == stage.kind]
            paces = [(seconds / pieces, seconds) for pieces, seconds in (measured[other] for other in known)]
            if not known:
                beside = stage.weight / max(stage.total, 1)
                paces = [
                    (seconds / pieces * other.total / other.weight * beside, seconds)
                    for other, (pieces, seconds) in measured.items()
                ]
            left += stage.seconds_left(_mean(paces))
        return left

    def line(self) -> str:
        """The job in one line: "34 %, generate tiny 12/64, 2 min left"."""
        at_work = [stage for stage in _at_work if stage.job is self]
        left = self.seconds_left()
        parts = [f"{100 * self.share():.0f} %"] * (len(self.stages) > 1) + [str(stage) for stage in at_work[-1:]]
        return ", ".join([*parts, *([f"{describe_seconds(left)} left"] if left is not None else [])])

    def show(self) -> None:
        """Print the line if the next tenth of the job is reached, or none was printed for long."""
        now, tenth = self.clock(), int(10 * self.share())
        waited = now - self._last_line
        due = (self._tenth < tenth < 10 and waited >= LEAST_SECONDS) or waited >= MOST_SECONDS
        if due and not self.quiet and any(stage.job is self for stage in _at_work):
            self._last_line, self._tenth = now, tenth
            print(visible(self.line()), file=sys.stderr)


def _mean(weighted: Sequence[tuple[float, float]]) -> float:
    """The mean of values with their weights; of those alone where all weights are 0."""
    total = sum(weight for _, weight in weighted)
    return sum(value * weight for value, weight in weighted) / total if total else weighted[0][0]


class _Bar(Progress):
    """A line that is drawn anew while the job goes on, above which everything else is printed."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, ProgressColumn, Task
        from rich.progress import Progress as RichProgress
        from rich.table import Column
        from rich.text import Text

        job = self

        class Line(ProgressColumn):
            max_refresh = 0.5  # [s]

            def render(self, task: Task) -> Text:
                return Text(job.line())

        line = Line(Column(no_wrap=True, overflow="ellipsis"))
        self.bar = RichProgress(BarColumn(16), line, console=Console(stderr=True), transient=True)
        self.task = self.bar.add_task("", total=1.0)

    def show(self) -> None:
        self.bar.update(self.task, completed=self.share())


@contextmanager
def track(quiet: bool = False) -> Iterator[Progress]:
    """Show the progress of a job on stderr until it ends: a bar on a terminal, else lines; nothing when quiet.

    Within another job's stage it is lines, too: there is one bar.
    """
    if quiet or _at_work or not sys.stderr.isatty():
        yield Progress(quiet)
        return
    job = _Bar()
    with job.bar:
        yield job


@contextmanager
def progress(label: str, total: int, quiet: bool = False) -> Iterator[Stage]:
    """Show the progress of a job of one stage."""
    with track(quiet) as job, job.plan(label, "", total) as stage:
        yield stage


def report_step(step: int, steps: int) -> None:
    """Say that the work in hand is at step `step` of `steps`, from 0 on: a batch is seen to move.

    Anything that works in steps may call it, wherever it runs; it changes no sample, so the identity of a run does not
    know it (`mmbench.code_identity`).
    """
    if _at_work:
        _at_work[-1].report_step(step, steps)


def describe_seconds(seconds: float) -> str:
    """Seconds as one reads them: "50 s", "3 min", "2 h 10 min"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
