"""Lists runs, metrics and pipelines, and brings runs of several folders together: `mmbench list`, `mmbench merge`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmbench.baselines.models.pipelines.survey import survey
from mmbench.errors import MMBenchError, explain
from mmbench.optional_protocols import UsesPublishedWeights
from mmbench.registry import catalogue, discover, make_metric
from mmbench.runs.find import run_folders
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import SampleStore, Status, read_manifest
from mmbench.scores.records import Record, read_records
from mmbench.tables.runs import read_runs
from mmbench.types import is_untrained
from mmbench.weights.locations import entry, find

RUN_COLUMNS = ("run", "system", "dataset", "seed", "weights", "present", "failed", "records", "status")

PIPELINE_COLUMNS = ("pipeline", "makes", "half of a pair", "why, or what to know")


def list_runs(out: Path) -> list[dict[str, Any]]:
    """One row per run in a folder, where a damaged or unreadable one has a row that says so, or in a packed file."""
    rows: list[dict[str, Any]] = []
    if out.is_file():
        return [_list_run(run.name, run.spec, run.records, None) | {"status": "packed"} for run in read_runs(out)]
    for folder in run_folders(out):
        try:
            spec, records = read_manifest(folder), read_records(folder)
            has_samples = (folder / "samples").is_dir()
            status = SampleStore(folder, spec).status() if has_samples else None
        except MMBenchError as error:
            rows.append({"run": folder.name, "status": f"damaged: {error.found}"})
            continue
        except OSError as error:
            rows.append({"run": folder.name, "status": f"unreadable: {explain(error).found}"})
            continue
        rows.append(_list_run(folder.name, spec, records, status) | {"status": "" if has_samples else "submission"})
    return rows


def run_lines(runs: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    """Runs as lines of `width` characters: their ids whole, to be copied, and in short what there is of them."""
    column = max((len(run["run"]) for run in runs), default=0)
    lines = []
    for run in runs:
        told = ", ".join(_say(run))
        if column + 2 + len(told) <= width:
            lines.append(f"{run['run']:<{column}}  {told}")
        else:
            lines += [run["run"], *textwrap.wrap(told, width, initial_indent="    ", subsequent_indent="    ")]
    return lines


def _say(run: Mapping[str, Any]) -> list[str]:
    counts = [(run.get("present"), "samples"), (run.get("failed") or None, "failed")]
    scored = run.get("records", "")
    counts.append((len(scored.split(", ")) if scored else None, "metrics"))
    told = [
        f"{count} {what[:-1] if count == 1 and what != 'failed' else what}"
        for count, what in counts
        if count is not None
    ]
    weights = [f"{run['weights']} weights"] if is_untrained(run.get("weights", "")) else []
    return [*told, *weights, *([run["status"]] if run["status"] else [])]


def list_metrics() -> list[dict[str, Any]]:
    """One row per metric, with what it lacks on this machine: weights, or what keeps it from being imported."""
    broken = {b.origin: b.error for b in discover("metric")[1]}
    rows = []
    for row in catalogue("metric"):
        if row["from"] in broken:
            row |= {"broken": True, "lacks": f"BROKEN: {broken[row['from']]}"}
        else:
            row |= {"lacks": None if row["broken"] else _missing_weights(row["name"])}
        rows.append(row)
    return rows


def list_pipelines() -> list[dict[str, Any]]:
    """One row per pipeline of the installed diffusers that makes video or sound; those that can be halves first."""
    found = sorted(survey(), key=lambda pipeline: (pipeline.reason is not None, pipeline.makes != "video"))
    cells = ((p.name, p.makes, "no" if p.reason else "yes", p.reason or "; ".join(p.remarks)) for p in found)
    return [dict(zip(PIPELINE_COLUMNS, row, strict=True)) for row in cells]


def _missing_weights(metric: str) -> str | None:
    """The published weights that a metric needs and that are not here, and what fetches them."""
    try:
        extractors = make_metric(metric).extractors()
    except Exception as error:  # a plugin of another's that cannot be made is listed all the same
        return f"BROKEN: {error}"
    names = dict.fromkeys(w for e in extractors if isinstance(e, UsesPublishedWeights) for w in e.official)
    absent = [name for name in names if find(entry(name)) is None]
    return f"weights: mmbench weights fetch {' '.join(absent)}" if absent else None


def _list_run(name: str, spec: RunSpec, records: Sequence[Record], status: Status | None) -> dict[str, Any]:
    return {
        "run": name,
        "system": spec.system,
        "dataset": spec.dataset,
        "seed": spec.seed,
        "weights": spec.weights,
        "present": len(status.present) if status else None,
        "failed": len(status.failed) if status else None,
        "records": ", ".join(dict.fromkeys(r.metric for r in records)),
    }


def merge(parts: Sequence[Path], out: Path) -> list[dict[str, Any]]:
    """Bring the samples of runs in several folders together under `out`."""
    rows = []
    for part in parts:
        folders = [part] if (part / "manifest.json").is_file() else run_folders(part)
        if not folders:
            raise MMBenchError(f"{part} holds no run.", "a run's folder, or an --out folder", f"ls {part}")
        for folder in folders:
            other = SampleStore.open(folder)
            store = SampleStore.create(out, other.run)
            added = store.merge(other)
            status = store.status()
            rows.append(
                {"run": store.folder.name, "from": str(part), "added": added, "present": len(status.present)}
                | ({"failed": len(status.failed)} if status.failed else {})
            )
    return rows
