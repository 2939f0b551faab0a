"""`mmbench leaderboard export`: records of runs, and what they were made of, as one file to send."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError, UsageError
from mmbench.files import write_whole
from mmbench.leaderboard.faults import find_author_faults
from mmbench.leaderboard.reading import read_submission, refuse
from mmbench.leaderboard.submission import Author, Line, Sample, digest_dataset, head_line, record_line, run_line
from mmbench.registry import make_dataset
from mmbench.runs.find import find_run, name_out, run_folders
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import read_manifest
from mmbench.scores.records import Record, read_records, read_samples
from mmbench.tables.runs import short_name

WITH_PROMPTS = "try: mmbench evaluate CLIPS --requests FILE, with the file of `mmbench prompts`, or --prompts FILE"


def export(
    names: Sequence[str],
    out: Path,
    author: Author,
    to: Path,
    metrics: Sequence[str] = (),
    num_samples: int | None = None,
    with_samples: bool = False,
    command: Sequence[str] = (),
) -> tuple[list[dict[str, Any]], list[str]]:
    """Write the records of runs to a file that a leaderboard takes.

    Args:
        names: Runs, by id, beginning of it, or folder; all in `out` if empty.
        out: Folder of runs.
        author: Who sends them.
        to: The file, which must not be there yet.
        metrics: Only records of these, named with or without their variant; of all if empty.
        num_samples: Only records of this n.
        with_samples: Send prompts, digests and values of all samples, so that differences to others are paired.
        command: What was typed, for errors.

    Returns:
        A row per record that was written: system, metric, n, value; and notes on what will keep some from a ranking.

    Raises:
        UsageError: The file is there, no such run, or `author` has a name that cannot stand on a page.
        MMBenchError: A run has no record that was asked for, or the file cannot be written.
        IntegrityError: Something on record is damaged, or would be refused by a leaderboard; nothing is written.
    """
    if faults := find_author_faults(author):
        raise UsageError(f"The submission's {faults[0]}.", "--team, --version, --licence, --link and --date as text")
    if to.exists():
        raise UsageError(f"{to} is there already.", "a new file", f"rm {shlex.quote(str(to))}, or another --to")
    folders = [_find(name, out, command) for name in names] or run_folders(out)
    if not folders:
        raise UsageError(f"{out} holds no runs.", "a folder of runs", "mmbench run --num-samples 8")
    lines: list[Line] = []
    rows, notes = [], []
    for folder in dict.fromkeys(folders):
        run, records = read_manifest(folder), _choose(folder, metrics, num_samples)
        lines.append(run_line(run, _digest_dataset(run, records)))
        for record in records:
            samples = _samples_of(folder, record)
            lines.append(record_line(record, samples, with_samples))
            if not any(sample.text for sample in samples):
                notes.append(f"{run.system} has no prompts on record: it is ranked with none that has. {WITH_PROMPTS}")
            rows.append({"system": run.system, "metric": record.metric, "n": record.n_expected, "value": record.value})
    content = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in _headed(author, lines))

    def write(beside: Path) -> None:
        beside.write_text(content, encoding="utf-8")
        if refused := read_submission(beside, str(to))[1]:  # as a leaderboard will
            refuse(refused)

    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        write_whole(to, write)
    except OSError as error:
        raise MMBenchError(f"Cannot write {to}: {error.strerror}.", "a folder you may write to", "--to FILE") from error
    return rows, list(dict.fromkeys(notes))


def _headed(author: Author, lines: Sequence[Line]) -> list[Line]:
    return [head_line(author, len(lines)), *lines]


def _find(name: str, out: Path, command: Sequence[str]) -> Path:
    folder = find_run(name, out, command)
    if folder is None:
        again = shlex.join(["mmbench", "list", "runs", *name_out(out)])
        raise UsageError(f"There is no run {name!r} in {out}.", "a run that was scored: its id or folder", again)
    return folder


def _choose(folder: Path, metrics: Sequence[str], num_samples: int | None) -> list[Record]:
    """The records of a run that are asked for, in the order of metric and n."""
    records = read_records(folder)
    found = [
        r
        for r in records
        if (not metrics or {r.metric, short_name(r)} & set(metrics)) and num_samples in (None, r.n_expected)
    ]
    if not found:
        there = ", ".join(sorted({f"{r.metric} of n = {r.n_expected}" for r in records})) or "none"
        again = ["mmbench", "evaluate", str(folder), *(word for metric in metrics for word in ("--metric", metric))]
        raise MMBenchError(f"{folder} has no such record.", f"one of those on record: {there}", shlex.join(again))
    return sorted(found, key=lambda r: (r.metric, r.n_expected, r.signature))


def _samples_of(folder: Path, record: Record) -> list[Sample]:
    rows = read_samples(folder, record)
    return [
        Sample(
            str(row.get("id", f"{row['index']:06d}")),
            str(row.get("text") or ""),
            str(row.get("video", "")),
            str(row.get("audio", "")),
            row.get("value"),
        )
        for row in rows
    ]


def _digest_dataset(run: RunSpec, records: Sequence[Record]) -> str:
    """Digest of the dataset of a run; of clips made elsewhere that of the dataset as it is here, or its reference file.

    Raises:
        MMBenchError: The dataset is not here.
    """
    about = run.spec.get("dataset")
    if isinstance(about, dict):
        return digest_dataset(about)
    files = {str(r.reference["file_sha256"]) for r in records if r.reference and "file_sha256" in r.reference}
    if run.dataset == "none" or files:
        return next(iter(sorted(files)), "")
    dataset = make_dataset(run.dataset)
    return digest_dataset({"name": dataset.name, **dataset.spec()})
