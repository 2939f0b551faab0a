"""Lists runs, and brings those of several folders together: `mmbench list runs`, `mmbench merge`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError
from mmbench.runs.find import run_folders
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import SampleStore, Status, read_manifest
from mmbench.scores.records import Record, read_records
from mmbench.tables.runs import read_runs


def list_runs(out: Path) -> list[dict[str, Any]]:
    """One row per run in a folder, where a damaged one is listed with what is wrong, or in a packed file."""
    rows: list[dict[str, Any]] = []
    if out.is_file():
        return [_list_run(run.name, run.spec, run.records, None) | {"status": "packed"} for run in read_runs(out)]
    for folder in run_folders(out):
        try:
            spec, records = read_manifest(folder), read_records(folder)
        except MMBenchError as error:
            rows.append({"run": folder.name, "status": f"damaged: {error.found}"})
            continue
        has_samples = (folder / "samples").is_dir()
        status = SampleStore.open(folder).status() if has_samples else None
        rows.append(_list_run(folder.name, spec, records, status) | {"status": "" if has_samples else "submission"})
    return rows


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
