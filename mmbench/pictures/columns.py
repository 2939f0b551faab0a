"""What is shown side by side: runs and anybody's clips, with their scores."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.datasets.copies.texts import read_prompts
from mmbench.errors import UsageError
from mmbench.jobs.scored_sets import find_evaluated
from mmbench.jobs.submissions import Cut, find_clips, list_sources
from mmbench.media.sources import holds_clips
from mmbench.runs.find import name_out
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import SampleStore, read_manifest
from mmbench.scores.records import read_records, read_samples, read_score
from mmbench.tables.labels import name_apart
from mmbench.types import ClipSource, is_untrained


@dataclass(frozen=True)
class Column:
    """A run or a submission that is shown beside others.

    Attributes:
        name: Its heading.
        folder: Of its videos.
        sources: Sample i; None where there is none.
        samples: What identifies each, as `scores.records.read_samples` gives it.
        per_sample: Of each metric with values per sample, those; said to be of random networks where they are.
        run: Its identity; None for clips that were not scored.
        failures: Why samples could not be read, by index; filled as they are looked at.
    """

    name: str
    folder: str
    sources: Sequence[ClipSource | None]
    samples: Sequence[Mapping[str, Any]]
    per_sample: Mapping[str, np.ndarray]
    run: RunSpec | None = None
    failures: dict[int, str] = field(default_factory=dict)

    @property
    def is_submission(self) -> bool:
        """Whether somebody's clips, and no run of mmbench."""
        return self.run is None or "submission" in self.run.spec

    def scores(self, index: int) -> dict[str, str]:
        """Scores of one sample, by metric."""
        known = {m: v[index] for m, v in self.per_sample.items() if index < len(v)}
        return {m: "unscored" if np.isnan(x) else f"{x:.3f}" for m, x in known.items()}


def open_columns(places: Sequence[Path], out: Path = Path("runs"), verb: str = "preview") -> list[Column]:
    """Runs and clips as columns, in order; those of one name are told apart by the options that differ.

    Args:
        places: Folders of runs, folders of records of a submission, folders of clips, or videos.
        out: Where records of clips lie.
        verb: The command of mmbench that shows them, for errors.

    Raises:
        MMBenchError: The clips of a submission are not where they were, or are others by now.
        UsageError: Runs alone, and of several datasets or seeds.
    """
    columns = [_open_run(p) if (p / "samples").is_dir() else _open_clips(p, out) for p in dict.fromkeys(places)]
    jobs: dict[tuple[str, int], list[str]] = {}
    for c in columns:
        if c.run is not None and not c.is_submission:
            jobs.setdefault((c.run.dataset, c.run.seed), []).append(c.run.run_id)
    if len(jobs) > 1 and not any(c.is_submission for c in columns):
        what = ", ".join(f"{dataset} seed {seed}" for dataset, seed in jobs)
        together = shlex.join(["mmbench", verb, *next(iter(jobs.values())), *name_out(out)])
        raise UsageError(f"Runs of {what} do not pair.", "runs of one dataset and seed", together)
    told = [
        (c.name, c.run.run_id if c.run else c.folder, c.run.spec if c.run else {"clips": c.folder}) for c in columns
    ]
    kinds = [f", {c.run.weights} weights" if c.run and is_untrained(c.run.weights) else "" for c in columns]
    return [replace(c, name=name + kind) for c, name, kind in zip(columns, name_apart(told), kinds, strict=True)]


def _open_run(folder: Path) -> Column:
    store = SampleStore.open(folder)
    present = store.status().present
    sources: list[ClipSource | None] = [None] * (max(present, default=-1) + 1)
    samples: list[Mapping[str, Any]] = [{"missing": True}] * len(sources)
    for index in present:
        sources[index] = store.source(index)
        samples[index] = {"id": f"{index:06d}", "text": store.record(index).text}
    per_sample = _read_values([folder], [f"{i:06d}" for i in range(len(sources))])
    return Column(store.run.system, folder.name, sources, samples, per_sample, store.run)


def _open_clips(place: Path, out: Path) -> Column:
    """Clips of a folder or video, or those that a folder of records is of."""
    path, cut = find_clips(place) if (place / "manifest.json").is_file() else (place, Cut())
    sources = list_sources(path, cut)
    folders = [place] if path != place else find_evaluated(path, out)
    run = read_manifest(folders[-1]) if folders else None
    name = run.system if run else path.resolve().stem
    texts = _texts_on_record(folders) or (read_prompts(path) if holds_clips(path) else {})
    samples = [{"id": s.id, "text": texts.get(s.id) or texts.get(Path(s.path).name, "")} for s in sources]
    per_sample = _read_values(folders, [s.id for s in sources])
    return Column(name, run.run_id if run else name, sources, samples, per_sample, run)


def _texts_on_record(folders: Sequence[Path]) -> dict[str, str]:
    """Prompts by id of the clip, as they were scored."""
    rows = [row for folder in folders for record in read_records(folder) for row in read_samples(folder, record)]
    return {row["id"]: row["text"] for row in rows if row.get("text")}


def _read_values(folders: Sequence[Path], ids: Sequence[str]) -> dict[str, np.ndarray]:
    """Values by id of the sample of each metric that has them, of the largest n and the latest of it."""
    per_sample = {}
    records = [(record, folder) for folder in folders for record in read_records(folder)]
    for record, folder in sorted(records, key=lambda found: (found[0].n_expected, found[0].time)):
        unreal = f" ({record.extractor_weights} networks)" if is_untrained(record.extractor_weights) else ""
        if (scores := read_score(folder, record).per_sample) is not None:
            rows = read_samples(folder, record)
            known = {row.get("id", ""): x for row, x in zip(rows, scores, strict=True)}
            metric = record.metric.partition(".")[0] + unreal
            per_sample[metric] = np.array([known.get(id, np.nan) for id in ids])
    return per_sample
