"""Records: one JSON line per (run, metric), its per-sample values beside it.

RUN/records.jsonl             one line per evaluation; the latest of a signature and n counts
RUN/scores/<key>.jsonl        one line per sample
RUN/scores/<key>.safetensors  bootstrap replicates of a set metric; older ones are .npy. Of a metric with a shuffled
                              baseline the pairs behind it, which older records lack

All of them have checksums, which are verified when they are read.
"""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.console import log
from mmbench.errors import IntegrityError
from mmbench.files import append_lines, format_lines, make_folder, read_lines, write_whole
from mmbench.identity import digest_of
from mmbench.scores.valid_score import are_pairs
from mmbench.statistics.estimates import interval_of
from mmbench.tensor_files import read_tensors, write_tensors
from mmbench.types import Score, ShuffledPairs

RECORDS = "records.jsonl"
REPLICATES = "replicates"
SHUFFLED = {field.name: f"shuffled_{field.name}" for field in fields(ShuffledPairs)}


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
        excess, excess_stderr, excess_low, excess_high: The paired excess, value less baseline, with an error that knows
            that both are of the same clips. Records from before it was kept have the number alone.
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
    excess: float | None = None
    excess_stderr: float | None = None
    excess_low: float | None = None
    excess_high: float | None = None

    @cached_property
    def key(self) -> str:
        """Name of the files that belong to this record."""
        return f"{self.metric}-n{self.n_expected}-{digest_of(self.signature)[:8]}"


def parse_record(line: Mapping[str, Any]) -> Record:
    """The record of one JSON line, also of older ones.

    These lack the excess over shuffled pairs, and their interval of a distance was that at infinite n.

    Raises:
        TypeError: The line is not a record.
    """
    record = Record(**line)
    if record.excess is None and record.value is not None and record.baseline is not None:
        record = replace(record, excess=record.value - record.baseline)
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
    make_folder(scores)
    for (record, score), rows in zip(((s.record, s.score) for s in scored), samples, strict=True):
        nothing = (None,) * len(rows)
        values = nothing if score.per_sample is None else finite_all(*score.per_sample.tolist())
        lines = list[dict[str, Any]]()
        for index, (sample, value) in enumerate(zip(rows, values, strict=True)):
            shown = {} if score.per_sample is None else {"value": value}
            lines.append({"index": index, **shown, **(sample or {"missing": True})})
        write_whole(scores / f"{record.key}.jsonl", format_lines(lines))
        if tensors := _tensors_of(score):
            write_tensors(scores / f"{record.key}.safetensors", tensors)
    append_lines(folder / RECORDS, [asdict(s.record) for s in scored])


def _tensors_of(score: Score) -> dict[str, np.ndarray]:
    """What of a score is kept beside its values per sample."""
    tensors = {} if score.replicates is None else {REPLICATES: np.array(score.replicates, np.float64, order="C")}
    pairs = {} if score.shuffled is None else vars(score.shuffled)
    return tensors | {SHUFFLED[name]: np.ascontiguousarray(values) for name, values in pairs.items()}


def read_records(folder: Path) -> list[Record]:
    """The records of a run, the latest of each (signature, n).

    Raises:
        IntegrityError: A line is not a record; names file and line.
    """
    path = folder / RECORDS
    again = evaluate_again(folder)
    latest: dict[str, Record] = {}
    for number, line in enumerate(read_lines(path, again), start=1):
        try:
            record = parse_record(line)
        except (ValueError, TypeError, AttributeError) as error:
            raise IntegrityError(
                f"{path} line {number} is corrupt: {error}.",
                "one record per line, as mmbench wrote it",
                f"sed -i.damaged {number}d {shlex.quote(str(path))} && {again}",
            ) from error
        latest[record.key] = record
    for lost in _without_record(folder, latest):
        log.warning("%s has no record of %s, whose scores are there. try: %s", path, lost, again)
    return list(latest.values())


def _without_record(folder: Path, known: Container[str]) -> list[str]:
    """Scores whose record was lost, as when a file is cut off at its end, or the process before it was written."""
    scores = folder / "scores"
    names = sorted(os.listdir(scores)) if scores.is_dir() else []
    return [key for name in names if name.endswith(".jsonl") and (key := name.removesuffix(".jsonl")) not in known]


def evaluate_again(folder: Path) -> str:
    """The command that scores a run or submission once more."""
    return shlex.join(["mmbench", "evaluate", str(folder), "--out", str(folder.parent)])


def _damaged(folder: Path, record: Record, error: Exception) -> IntegrityError:
    reason = error.found if isinstance(error, IntegrityError) else f"{error}."
    found = f"The samples behind {record.metric} in {folder} are corrupt: {reason}"
    return IntegrityError(found, "the files mmbench wrote", evaluate_again(folder))


def read_samples(folder: Path, record: Record) -> list[dict[str, Any]]:
    """What went into a record, one entry per sample; `missing` or `unreadable` marks those that did not."""
    path = folder / "scores" / f"{record.key}.jsonl"
    try:
        rows = read_lines(path)
        if [row["index"] for row in rows] != list(range(record.n_expected)):
            raise ValueError(f"{len(rows)} samples where {record.n_expected} are expected")
    except (IntegrityError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, record, error) from error
    return rows


def read_scored(folder: Path, record: Record) -> Scored:
    """A record of a run with the score behind it."""
    rows = read_samples(folder, record)
    absent = [row["index"] for row in rows if "missing" in row or "unreadable" in row]
    return Scored(folder, record, _restore_score(folder, record, rows), tuple(absent))


def read_score(folder: Path, record: Record) -> Score:
    """The score behind a record, with its per-sample values or replicates."""
    return _restore_score(folder, record, read_samples(folder, record))


def _restore_score(folder: Path, record: Record, rows: Sequence[Mapping[str, Any]]) -> Score:
    """The score behind a record whose samples were read."""
    per_sample = replicates = shuffled = None
    beside = folder / "scores" / f"{record.key}.safetensors"
    older = beside.with_suffix(".npy")
    try:
        tensors = read_tensors(beside) if beside.exists() else {}
        if all("value" in row for row in rows):
            per_sample = np.array([math.nan if r["value"] is None else r["value"] for r in rows], np.float64)
            shuffled = _read_pairs(tensors, len(rows)) if tensors else None
        elif tensors:
            replicates = tensors[REPLICATES]
        elif older.exists():
            replicates = np.load(older, allow_pickle=False)
    except (IntegrityError, ValueError, TypeError, LookupError) as error:
        raise _damaged(folder, record, error) from error
    found = replace(score_on_record(record), per_sample=per_sample, replicates=replicates, shuffled=shuffled)
    if replicates is not None and "infinity_low" not in record.details:  # of then: for the distance at infinite n
        low, high = interval_of(found.value, record.stderr)
        found = replace(found, low=low, high=high)
    return found


def _read_pairs(tensors: Mapping[str, np.ndarray], num_samples: int) -> ShuffledPairs:
    """The shuffled pairs that a file holds; ValueError if they are none of so many samples."""
    pairs = ShuffledPairs(**{name: tensors[key] for name, key in SHUFFLED.items()})
    if not are_pairs(pairs, num_samples):
        raise ValueError(f"it holds no shuffled pairs of {num_samples} samples")
    return pairs


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
