"""Real clips as a metric sees them: features of a dataset's reference, and the same as one small file without clips.

A reference file is safetensors, readable without mmbench:

    statistics/<metric>/<extractor>/n, mean, scatter ...   sufficient; scatter / (n - ddof) is the covariance
    features/<extractor>/<entry>                           (clips, ...) features as computed, unless left out
    features/<extractor>/<entry>/lengths                   (clips,) rows per clip, where clips differ in length

and its header, `mmbench`, says as JSON which dataset, seed, extractors (with digests of their weights) and metrics.
Distances from the features equal those from the clips in everything; from the statistics alone in the value, its
standard error and the floor, while the kernel distance and the value at infinite n, which need single clips, are None.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mmbench import __version__
from mmbench.console import log
from mmbench.errors import IntegrityError, MMBenchError, UsageError
from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Extraction, Sample, extract
from mmbench.features.extractor_identity import extractor_code
from mmbench.identity import digest_of
from mmbench.optional_protocols import HasSufficientStatistics, in_pairs
from mmbench.progress import Stage
from mmbench.tensor_files import TensorFile, read_tensors, write_tensors
from mmbench.types import Clip, Dataset, Extractor, Features, FeatureTable, Item, Metric, distinct_extractors, full_name

FORMAT = 1  # raised when the layout changes
HEADER = "mmbench"


@dataclass(frozen=True)
class ItemSource:
    """A dataset's item as a ClipSource."""

    items: Sequence[Item]
    index: int
    dataset_digest: str

    @property
    def id(self) -> str:
        return f"{self.index:06d}"

    @cached_property
    def digest(self) -> str:
        return digest_of([self.dataset_digest, self.index])

    def load(self) -> Clip:
        return self.items[self.index].clip


def real_features(
    dataset: Dataset,
    num: int,
    seed: int,
    extractors: Sequence[Extractor],
    cache: FeatureCache,
    workers: int | None,
    stage: Stage | None = None,
) -> Extraction:
    """Features of the first `num` clips of a dataset's reference, or of all it has; warns of those without."""
    items = dataset.reference(num, seed)
    digest = digest_of({"dataset": dict(dataset.spec()), "seed": seed, "num": num})
    real: list[Sample | None] = [Sample(ItemSource(items, i, digest), "") for i in range(min(len(items), num))]
    found = extract(real, extractors, cache, workers=workers, stage=stage)
    for (name, reason), count in Counter((name, reason) for (name, _), reason in found.reasons.items()).items():
        log.warning("%d real clips have no %s: %s", count, name, reason)
    return found


def export(
    path: Path,
    dataset: Dataset,
    metrics: Sequence[Metric],
    num: int,
    seed: int,
    cache: FeatureCache,
    *,
    statistics_only: bool = False,
    workers: int | None = None,
) -> ReferenceFile:
    """Write what metrics need of a dataset's real clips.

    Args:
        path: The file; replaced if it exists.
        dataset: Gives the clips.
        metrics: Metrics with a reference.
        num: Clips, at most.
        seed: Seed of the order of the dataset's clips and of the floor; a run of this seed and n is scored alike.
        cache: Read and added to.
        statistics_only: Leave the features of single clips out.
        workers: Processes for plain CPU extractors.

    Raises:
        UsageError: No metric, one that needs no reference, that compares in pairs, or without sufficient statistics.
        MMBenchError: Fewer than two clips have features.
    """
    for metric in metrics:
        if not metric.needs_reference:
            raise UsageError(f"{metric.name} compares with no real clips.", "metrics that do", "--metric fvd")
        if in_pairs(metric):
            found_words = f"{metric.name} compares each clip with its own real one."
            raise UsageError(found_words, "metrics that compare whole sets", "--metric fad")
        if statistics_only and not isinstance(metric, HasSufficientStatistics):
            raise UsageError(f"{metric.name} has no sufficient statistics.", "features", "without --statistics-only")
    extractors = distinct_extractors(metrics)
    found = real_features(dataset, num, seed, extractors, cache, workers)
    table: dict[str, list[Features]] = {n: [f for f in rows if f is not None] for n, rows in found.features.items()}
    clips = min(len(rows) for rows in table.values())
    if clips < 2:
        raise MMBenchError(f"{clips} clips of {dataset.name} have features.", "at least 2", "a larger reference")
    tensors: dict[str, np.ndarray] = {}
    for metric in metrics:
        if isinstance(metric, HasSufficientStatistics):
            for name, arrays in metric.condense(table, seed).items():
                tensors |= {f"statistics/{full_name(metric)}/{name}/{k}": v for k, v in arrays.items()}
    for name in () if statistics_only else table:
        for entry in table[name][0]:
            tensors |= _packed(f"features/{name}/{entry}", [f[entry] for f in table[name]])
    about = {
        "format": FORMAT,
        "mmbench": __version__,
        "dataset": {"name": dataset.name, **dataset.spec()},
        "seed": seed,
        "clips": clips,
        "formats": sorted({content.size for content in found.contents if content}),
        "features": not statistics_only,
        "extractors": {e.name: dict(e.spec()) for e in extractors},
        "code": {e.name: extractor_code(e) for e in extractors},
        "metrics": {
            full_name(m): {"version": m.version, "extractors": [e.name for e in m.extractors()]} for m in metrics
        },
    }
    header = {HEADER: json.dumps(about, sort_keys=True)}
    write_tensors(path, {k: np.array(v, order="C") for k, v in tensors.items()}, header)
    return read_reference(path)


def _packed(name: str, rows: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    if len({row.shape for row in rows}) == 1:
        return {name: np.stack(rows)}
    return {name: np.concatenate(rows), f"{name}/lengths": np.array([len(row) for row in rows])}


def _unpacked(name: str, tensors: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    whole, lengths = tensors[name], tensors.get(f"{name}/lengths")
    return list(whole) if lengths is None else np.split(whole, np.cumsum(lengths)[:-1])


@dataclass(frozen=True)
class ReferenceFile:
    """A reference file; its tensors are read when a metric asks.

    Attributes:
        path: Where it is.
        sha256: Of its bytes.
        about: Its header.
    """

    path: Path
    sha256: str
    about: Mapping[str, Any]

    @property
    def default_metrics(self) -> tuple[str, ...]:
        """The metrics it serves, name.variant."""
        return tuple(self.about["metrics"])

    @property
    def name(self) -> str:
        """Name of the dataset it was made of."""
        return str(self.about["dataset"]["name"])

    def note(self) -> dict[str, Any]:
        """What a record says of it."""
        known = {k: self.about[k] for k in ("seed", "features", "formats") if k in self.about}
        return {"dataset": self.name, "n": self.about["clips"], **known, "file_sha256": self.sha256}

    def check(self, metric: Metric) -> None:
        """Refuse to serve a metric that would compare unlike features.

        Raises:
            UsageError: The file was made for other metrics, another version of this one, or another extractor.
        """
        known = self.about["metrics"].get(full_name(metric))
        if known is None:
            found = (
                f"{self.path} holds the real clips of {', '.join(self.default_metrics)}, not of {full_name(metric)}."
            )
            raise UsageError(found, "a metric it was made for", f"--metric {self.default_metrics[0]}")
        if known["version"] != metric.version:
            found = f"{self.path} was made for version {known['version']} of {full_name(metric)}, not {metric.version}."
            raise UsageError(found, "one version", "export the file again: mmbench stats export ...")
        for e in metric.extractors():
            theirs, ours = self.about["extractors"][e.name], dict(e.spec())
            differing = [k for k in sorted({*theirs, *ours}) if digest_of(theirs.get(k)) != digest_of(ours.get(k))]
            if differing:
                what = "; ".join(f"{k} {theirs.get(k)!r} there, {ours.get(k)!r} here" for k in differing)
                found = f"{self.path} was made with another {e.name}: {what}."
                raise UsageError(found, "features of one extractor", "the same --weights, or export the file again")
            if self.about.get("code", {}).get(e.name, extractor_code(e)) != extractor_code(e):
                log.warning("%s was made by other code of %s: export it again unless that is equal", self.path, e.name)

    def table(self, metric: Metric) -> FeatureTable:
        """Features of its real clips for a metric, or in their place a single entry, their sufficient statistics.

        Raises:
            UsageError: See `check`.
            IntegrityError: The file lacks what its header promises.
        """
        self.check(metric)
        table: dict[str, list[Features]] = {}
        try:
            tensors = read_tensors(self.path)
            for e in metric.extractors():
                kind = f"features/{e.name}/" if self.about["features"] else f"statistics/{full_name(metric)}/{e.name}/"
                entries = [k.removeprefix(kind) for k in tensors if k.startswith(kind) and not k.endswith("/lengths")]
                if not entries:
                    raise KeyError(kind)
                if self.about["features"]:
                    columns = {k: _unpacked(kind + k, tensors) for k in entries}
                    table[e.name] = [{k: columns[k][i] for k in entries} for i in range(len(columns[entries[0]]))]
                else:
                    table[e.name] = [{k: tensors[kind + k] for k in entries}]
        except (IntegrityError, KeyError, ValueError, IndexError) as error:
            raise _damaged(self.path, error) from error
        return table


def _damaged(path: Path, error: object) -> IntegrityError:
    reason = error.found if isinstance(error, IntegrityError) else f"{error}."
    found = f"{path} is not a whole reference file: {reason}"
    again = f"mmbench stats export --dataset bounce --out {shlex.quote(f'{path.stem}_2.safetensors')}"
    return IntegrityError(found, "a file of mmbench stats export", again)


def read_reference(path: Path) -> ReferenceFile:
    """Open a reference file.

    Raises:
        UsageError: There is no such file.
        IntegrityError: It is damaged, or another kind of file.
        MMBenchError: It is of a later format.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}.", "a file of mmbench stats export", f"ls {path.parent}")
    try:
        with TensorFile(path) as file:
            about = json.loads(file.metadata[HEADER])
        missing = {"format", "dataset", "seed", "clips", "features", "extractors", "metrics"} - set(about)
        if missing:
            raise ValueError(f"its header lacks {', '.join(sorted(missing))}")
    except (IntegrityError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    if about["format"] != FORMAT:
        raise MMBenchError(f"{path} has format {about['format']}.", f"format {FORMAT}", "a newer mmbench")
    with open(path, "rb") as raw:
        return ReferenceFile(path, hashlib.file_digest(raw, "sha256").hexdigest(), about)
