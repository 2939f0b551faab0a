"""Records: one JSON line per (run, metric), its per-sample values beside it.

RUN/records.jsonl             one line per evaluation; the latest of a signature and n counts
RUN/scores/<key>.jsonl        one line per sample
RUN/scores/<key>.npy          bootstrap replicates of a set metric
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.errors import IntegrityError
from mmbench.files import append_lines, json_bytes, read_lines, write_whole
from mmbench.identity import digest_of
from mmbench.statistics.estimates import interval_of
from mmbench.types import Score


@dataclass(frozen=True)
class Record:
    """A number with everything it must not travel without (Law 6).

    Attributes:
        run_id: The run's folder name.
        digest: Digest of the run's spec.
        system, dataset, seed: What was run.
        weights: "real", "trained", "tiny", "random" or "none" (no network): the system's.
        metric: name.variant.
        signature: name | variant | extractors | sizes | version; equal signatures may be compared.
        value, stderr, low, high: The metric, its standard error and 95 % interval; None where undefined. Distances
            between sets fall with n; the interval for one at infinite n is in the details, `infinity_low` and
            `infinity_high`.
        higher_is_better: Which direction is good.
        n_expected, n_present, n_failed, n_nonfinite, n_unscored, n_scored, n_missing: What became of the samples asked
            for: each is scored, unscored, failed or missing, and present is scored or unscored. n_failed counts
            recorded failures and unreadable clips, n_nonfinite those among them with NaN or infinity. n_missing is
            None in records from before it was counted.
        unscored: How many samples are unscored for which reason.
        fitted: Which clips' sound was brought to the length of their picture, and by how much; "" if none was.
        baseline, baseline_stderr: The metric over shuffled pairs.
        lossy: Whether any clip came through a lossy codec.
        extractor_weights: How real the networks are.
        reference: What the metric compared with, for metrics that need one.
        time: When it was computed (UTC).
        details: Further numbers of the metric.
        video_of: The system whose videos the run shows, where that is another one.
        warnings: What is odd about the clips, as `mmbench.scores.warnings.summarize` gives it: by name, how many clips
            and the first of them; {} if nothing is, None in records from before it was looked at.
        optimised_for: The metric that the samples were chosen or guided by, where this is that metric or looks through
            one of its networks; "" where the number is independent of it.
    """

    run_id: str
    digest: str
    system: str
    dataset: str
    seed: int
    weights: str
    metric: str
    signature: str
    value: float | None
    stderr: float | None
    low: float | None
    high: float | None
    higher_is_better: bool
    n_expected: int
    n_present: int
    n_failed: int
    n_nonfinite: int
    n_unscored: int
    n_scored: int
    baseline: float | None
    baseline_stderr: float | None
    lossy: bool
    extractor_weights: str
    reference: Mapping[str, Any] | None
    time: str
    details: Mapping[str, Any] = field(default_factory=dict)
    video_of: str = ""
    n_missing: int | None = None
    unscored: Mapping[str, int] = field(default_factory=dict)
    fitted: str = ""
    warnings: Mapping[str, Mapping[str, Any]] | None = None
    optimised_for: str = ""

    @cached_property
    def key(self) -> str:
        """Name of the files that belong to this record."""
        return f"{self.metric}-n{self.n_expected}-{digest_of(self.signature)[:8]}"


def parse_record(line: Mapping[str, Any]) -> Record:
    """The record of one JSON line, also of older ones, whose interval of a distance was that at infinite n.

    Raises:
        TypeError: The line is not a record.
    """
    record = Record(**line)
    details = record.details
    if "infinity" not in details or "infinity_low" in details or record.value is None:
        return record
    low, high = interval_of(record.value, record.stderr)
    own = {"infinity_low": record.low, "infinity_high": record.high}
    return replace(record, low=low, high=high, details={**details, **own})


@dataclass(frozen=True)
class Scored:
    """A record with the score behind it, as it was just computed or read again.

    Attributes:
        folder: The run's folder.
        record: The record.
        score: Its values per sample or replicates.
        absent: Indices of samples that are missing or could not be read.
    """

    folder: Path
    record: Record
    score: Score
    absent: tuple[int, ...] = ()


def finite(x: float | None) -> float | None:
    """A number, or None in place of NaN and infinity: JSON has neither."""
    return None if x is None or not math.isfinite(x) else float(x)


def finite_all(*numbers: float | None) -> tuple[float | None, ...]:
    """`finite` of each number."""
    return tuple(finite(x) for x in numbers)


def save(folder: Path, record: Record, score: Score, samples: Sequence[Mapping[str, Any] | None]) -> None:
    """Write one record and what it was made of, as `save_all`."""
    save_all(folder, [Scored(folder, record, score)], [samples])


def save_all(folder: Path, scored: Sequence[Scored], samples: Sequence[Sequence[Mapping[str, Any] | None]]) -> None:
    """Write the records of an evaluation and what they were made of; the records' lines come last.

    Args:
        folder: The run's folder.
        scored: Records, with scores whose per-sample values or replicates are kept, so that runs can be compared later.
        samples: For each record, what identifies each sample (id, prompt, digests), with the reason why one is not
            scored; None where it is missing.
    """
    scores = folder / "scores"
    scores.mkdir(exist_ok=True)
    for (record, score), rows in zip(((s.record, s.score) for s in scored), samples, strict=True):
        nothing = (None,) * len(rows)
        values = nothing if score.per_sample is None else finite_all(*score.per_sample.tolist())
        lines = []
        for index, (sample, value) in enumerate(zip(rows, values, strict=True)):
            shown = {} if score.per_sample is None else {"value": value}
            lines.append(json_bytes({"index": index, **shown, **(sample or {"missing": True})}) + b"\n")
        write_whole(scores / f"{record.key}.jsonl", b"".join(lines))
        if score.replicates is not None:
            buffer = io.BytesIO()
            np.save(buffer, np.asarray(score.replicates, np.float64), allow_pickle=False)
            write_whole(scores / f"{record.key}.npy", buffer.getvalue())
    append_lines(folder / "records.jsonl", [asdict(s.record) for s in scored])


def read_records(folder: Path) -> list[Record]:
    """The records of a run, the latest of each (signature, n).

    Raises:
        IntegrityError: A line is not a record; names file and line.
    """
    path = folder / "records.jsonl"
    if not path.exists():
        return []
    latest: dict[str, Record] = {}
    for number, line in enumerate(read_lines(path), start=1):
        try:
            record = parse_record(json.loads(line))
        except (ValueError, TypeError) as error:
            raise IntegrityError(
                f"{path} line {number} is corrupt: {error}.",
                "one record per line, as mmbench wrote it",
                f"delete line {number} and evaluate again: mmbench evaluate {folder}",
            ) from error
        latest[record.key] = record
    return list(latest.values())


def _damaged(folder: Path, record: Record, error: Exception) -> IntegrityError:
    found = f"The samples behind {record.metric} in {folder} are corrupt: {error}."
    return IntegrityError(found, "the files mmbench wrote", f"mmbench evaluate {folder}")


def read_samples(folder: Path, record: Record) -> list[dict[str, Any]]:
    """What went into a record, one entry per sample; `missing` or `unreadable` marks those that did not."""
    path = folder / "scores" / f"{record.key}.jsonl"
    try:
        rows = [json.loads(line) for line in read_lines(path)]
        if [row["index"] for row in rows] != list(range(record.n_expected)):
            raise ValueError(f"{len(rows)} samples where {record.n_expected} are expected")
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise _damaged(folder, record, error) from error
    return rows


def read_scored(folder: Path, record: Record) -> Scored:
    """A record of a run with the score behind it."""
    absent = [row["index"] for row in read_samples(folder, record) if "missing" in row or "unreadable" in row]
    return Scored(folder, record, read_score(folder, record), tuple(absent))


def read_score(folder: Path, record: Record) -> Score:
    """The score behind a record, with its per-sample values or replicates."""
    per_sample = replicates = None
    rows, draws = read_samples(folder, record), folder / "scores" / f"{record.key}.npy"
    try:
        if all("value" in row for row in rows):
            per_sample = np.array([math.nan if r["value"] is None else r["value"] for r in rows], np.float64)
        elif draws.exists():
            replicates = np.load(draws, allow_pickle=False)
    except (ValueError, TypeError) as error:
        raise _damaged(folder, record, error) from error
    found = replace(score_on_record(record), per_sample=per_sample, replicates=replicates)
    if replicates is not None and "infinity_low" not in record.details:  # of then: for the distance at infinite n
        low, high = interval_of(found.value, record.stderr)
        found = replace(found, low=low, high=high)
    return found


def score_on_record(record: Record) -> Score:
    """The score that a record tells, without per-sample values and replicates."""
    return Score(
        math.nan if record.value is None else record.value,
        record.stderr,
        record.n_scored,
        record.n_unscored,
        baseline=record.baseline,
        baseline_stderr=record.baseline_stderr,
        details=record.details,
        low=record.low,
        high=record.high,
    )
