"""Lists runs, and brings those of several folders together: `mmbench list runs`, `mmbench merge`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError
from mmbench.runs.find import run_folders
from mmbench.runs.store import SampleStore, read_manifest
from mmbench.scores.records import read_records


def list_runs(out: Path) -> list[dict[str, Any]]:
    """One row per run in `out`; a damaged one is listed with what is wrong."""
    rows: list[dict[str, Any]] = []
    for folder in run_folders(out):
        try:
            spec, records = read_manifest(folder), read_records(folder)
        except MMBenchError as error:
            rows.append({"run": folder.name, "status": f"damaged: {error.found}"})
            continue
        has_samples = (folder / "samples").is_dir()
        status = SampleStore.open(folder).status() if has_samples else None
        rows.append(
            {
                "run": folder.name,
                "system": spec.system,
                "dataset": spec.dataset,
                "seed": spec.seed,
                "weights": spec.weights,
                "present": len(status.present) if status else None,
                "failed": len(status.failed) if status else None,
                "records": ", ".join(dict.fromkeys(r.metric for r in records)),
                "status": "" if has_samples else "submission",
            }
        )
    return rows


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
