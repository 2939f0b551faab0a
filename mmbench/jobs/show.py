"""Everything known about one name or one run."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmbench.errors import UsageError
from mmbench.files import has_checksums, read_lines
from mmbench.optional_protocols import HasVariants
from mmbench.registry import Kind, discover
from mmbench.runs.find import find_run
from mmbench.runs.store import RESOURCES, SampleStore, read_manifest
from mmbench.runs.stored import INVOCATIONS
from mmbench.scores.records import RECORDS, Record, read_records, read_samples
from mmbench.system_names import ADDITIONS, options_of, parse_system_name
from mmbench.tables.packed import DIFFERENCES, PackedRun, find_packed


def show(name: str, out: Path, verify: bool = False) -> dict[str, Any]:
    """A run's manifest, status, records and circumstances, or a registered name's description.

    Args:
        name: A run's id (or its unique beginning), its folder, or the name of a system, dataset or metric.
        out: Folder of runs, or a packed file.
        verify: Also decode every sample of the run and compare it with its digest.
    """
    plain = re.fullmatch(r"\w+", name) and not (Path(name) / "manifest.json").is_file()
    found = _registered(name) if plain else {}  # `show tiny` is the system, however many of its runs there are
    if not found:
        folder = None if out.is_file() else find_run(name, out)
        if folder is not None:
            return _run(folder, verify)
        if out.is_file() and (run := find_packed(name, out)) is not None:
            return _packed_run(run, out)
        found = _registered(name)
    if not found:
        raise UsageError(
            f"Nothing is called {name!r}: no run in {out}, no system, dataset or metric.",
            "a name that exists",
            "\n       ".join(f"mmbench list {kind}" for kind in ("runs", "systems", "datasets", "metrics")),
        )
    return found


def _registered(name: str) -> dict[str, Any]:
    kinds: tuple[Kind, ...] = ("system", "dataset", "metric")
    base = parse_system_name(name).base.partition(":")[0].partition(".")[0]
    out: dict[str, Any] = {}
    for kind in kinds:
        entries, broken = discover(kind)
        if base in entries:
            entry = entries[base]
            module = inspect.getmodule(entry.factory)
            about = inspect.getdoc(entry.factory) or inspect.getdoc(module) or entry.summary
            out |= {"name": base, "kind": kind, "summary": entry.summary, "from": entry.origin, "about": about}
            out |= {"variants": list(entry.factory.variants)} if isinstance(entry.factory, HasVariants) else {}
            if kind == "system":
                options = [f"{k}={v!r}" for k, v in options_of(entry).items()]
                forms = [f"+{form}" for form in ADDITIONS.values()] if entry.guidable else ["nothing after its name"]
                out |= {"accepts": ", ".join(forms)} | ({"--set": ", ".join(options)} if options else {})
        out |= (
            {"name": b.name, "kind": kind, "from": b.origin, "broken": b.error} if (b := _named(broken, base)) else {}
        )
    return out


def _named(broken: list[Any], name: str) -> Any:
    return next((b for b in broken if b.name == name), None)


def _packed_run(run: PackedRun, file: Path) -> dict[str, Any]:
    about = {"file": str(file), **run.spec.to_json(), "sweeps": run.sweeps}
    lines = {name: run.files.get(f"{name}.jsonl", []) for name in ("resources", "invocations")}
    return about | {"differences": run.differences, "records": [asdict(r) for r in run.records], **lines}


def _run(folder: Path, verify: bool) -> dict[str, Any]:
    run = read_manifest(folder)
    out: dict[str, Any] = {"folder": str(folder), **run.to_json()}
    if (folder / "samples").is_dir():
        store = SampleStore.open(folder)
        status = store.status()
        packs = store.packs.files()
        counts = {"present": len(status.present), "failed": len(status.failed)}
        out["samples"] = counts | ({"packs": len(packs)} if packs else {})
        out["failures"] = [asdict(store.failure(i)) for i in status.failed]
        if verify:
            for index in status.present:
                store.verify(index)
            out["verified"] = len(status.present)
    records = read_records(folder)
    out |= _list_unreadable(folder, records)
    out["records"] = [asdict(r) for r in records]
    for name, file in (("differences", DIFFERENCES), ("resources", RESOURCES), ("invocations", INVOCATIONS)):
        out[name] = read_lines(folder / file)
    told = ("manifest.json", RECORDS, DIFFERENCES, RESOURCES, INVOCATIONS)
    older = [name for name in told if not has_checksums(folder / name)]
    return out | ({"without checksums": ", ".join(older)} if older else {})


def _list_unreadable(folder: Path, records: Sequence[Record]) -> dict[str, Any]:
    """The samples that could not be read when the run was scored last, each with the reason; {} without any."""
    if not records:
        return {}
    rows = read_samples(folder, max(records, key=lambda r: (r.n_expected, r.time)))
    reasons = {row.get("id", row["index"]): row.get("failed") or row.get("unreadable") for row in rows}
    found = [{"id": id, "reason": reason} for id, reason in reasons.items() if reason]
    return {"unreadable": found} if found else {}
