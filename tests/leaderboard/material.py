"""Submissions of systems that nobody ran: whole and signed as `mmbench leaderboard export` writes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mmbench import __version__
from mmbench.leaderboard.submission import Author, Line, Sample, digest_dataset, head_line, record_line, run_line
from mmbench.registry import make_metric
from mmbench.runs.requests import line_digest
from mmbench.runs.spec import RunSpec
from mmbench.scores.evaluate import signature
from mmbench.scores.records import Record
from mmbench.statistics.estimates import mean_estimate
from tests.builders import record

DATASET = {"name": "bounce", "version": 1, "code": "0123"}


def an_author(**changes: str) -> Author:
    """Somebody who sends records."""
    author = Author("Lab A", "1", "https://example.org/a", "CC-BY-4.0", "2026-01-02", __version__)
    return replace(author, **changes)


def a_run(system: str, weights: Any = "real", dataset: str = "bounce", seed: int = 0, **spec: Any) -> RunSpec:
    """A run on bounce."""
    about = {"dataset": DATASET, "system": {"name": system, **spec}, "seed": seed}
    return RunSpec(system, dataset, seed, weights, about)


def some_samples(values: Sequence[float], system: str, seed: int = 0) -> list[Sample]:
    """Samples of one list of prompts, whose clips are the system's own."""
    return [
        Sample(f"{i:06d}", f"prompt {seed}-{i}", f"{system}-video-{i}", f"{system}-audio-{i}", float(v))
        for i, v in enumerate(values)
    ]


def a_record(run: RunSpec, values: Sequence[float], metric: str = "av_align.mmdisco_96ms", **changes: Any) -> Record:
    """The record of a mean over values per sample."""
    mean = mean_estimate(np.asarray(values))
    made = make_metric(metric)
    found = record(
        run_id=run.run_id,
        digest=run.digest,
        system=run.system,
        dataset=run.dataset,
        seed=run.seed,
        weights=run.weights,
        metric=metric,
        signature=signature(made, ["16x64x64@8+32000@16000"]),
        higher_is_better=made.higher_is_better,
        value=mean.value,
        stderr=mean.stderr,
        low=mean.low,
        high=mean.high,
        n_missing=0,
        **{name: len(values) for name in ("n_expected", "n_present", "n_scored")},
    )
    return replace(found, **changes)


def scatter(mean: float, n: int = 16, seed: int = 0, spread: float = 0.1) -> list[float]:
    """Values per sample of exactly this mean."""
    noise = np.random.default_rng(seed).normal(size=n)
    return (mean + spread * (noise - noise.mean())).tolist()


def lines_of(
    author: Author, *scored: tuple[RunSpec, Record, Sequence[Sample]], with_samples: bool = False
) -> list[Line]:
    """The lines of a submission of one record per run."""
    body = []
    for run, one, samples in scored:
        body += [run_line(run, digest_dataset(DATASET)), record_line(one, samples, with_samples)]
    return [head_line(author, len(body)), *body]


def write_lines(lines: Sequence[Line], path: Path) -> Path:
    """A file of JSON lines."""
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return path


def send(
    path: Path,
    system: str,
    values: Sequence[float],
    author: Author | None = None,
    with_samples: bool = False,
    run: RunSpec | None = None,
    **changes: Any,
) -> Path:
    """A submission of one record of one system, which differs from a plain one in `changes`."""
    run = run or a_run(system)
    samples = some_samples(values, system)
    one = a_record(run, values, **changes)
    return write_lines(lines_of(author or an_author(), (run, one, samples), with_samples=with_samples), path)


def edit(path: Path, number: int, change: Callable[[Line], Any], sign: bool = True) -> Path:
    """Change line `number` (from 1) of a submission, with a checksum that fits again or the old one."""
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    line = lines[number - 1]
    change(line)
    if sign:
        line["sha256"] = line_digest({k: v for k, v in line.items() if k != "sha256"})
    return write_lines(lines, path)
