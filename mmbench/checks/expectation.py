"""What a small fixed-seed run of the default systems is expected to score: measured, written, read.

One JSON file per dataset, which ships with the package. `check` compares a new measurement with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from mmbench import __version__
from mmbench.errors import IntegrityError, MMBenchError, UsageError
from mmbench.files import write_whole
from mmbench.identity import digest_of
from mmbench.jobs.run import run as run_job
from mmbench.jobs.settings import Settings
from mmbench.runs.circumstances import in_checkout, machine, packages
from mmbench.runs.store import SampleStore

NUM_SAMPLES = 16  # scores of single samples are compared, so few samples see much
FOLDER = Path(__file__).parent / "data"


@dataclass(frozen=True)
class MetricValue:
    """One metric of one system: its signature, value, standard error, and values per sample (None for set metrics)."""

    signature: str
    value: float | None
    stderr: float | None
    samples: Sequence[float | None] | None = None


@dataclass(frozen=True)
class SystemValues:
    """One system: what its spec says, leaf by leaf, the digests of its samples, and its metrics by name."""

    digest: str
    spec: Mapping[str, Any]
    samples: Sequence[str]
    metrics: Mapping[str, MetricValue]


@dataclass(frozen=True)
class Expectation:
    """The scores of all systems, with the dataset, seed, machine and packages they were measured with."""

    mmbench: str
    dataset: str
    seed: int
    n: int
    machine: Mapping[str, Any]
    packages: Mapping[str, str]
    systems: Mapping[str, SystemValues]


def default_file(dataset: str) -> Path:
    """The file of the package that says what the default systems score on `dataset`, whether or not it is there."""
    return FOLDER / f"{''.join(c if c.isalnum() or c in '_-.' else '_' for c in dataset)}.json"


def file_to_update(dataset: str) -> Path:
    """The default file, if the package runs from a checkout, where a change of it can be committed.

    Raises:
        UsageError: The package is installed; what belongs to it is not to be changed.
    """
    if not in_checkout():
        raise UsageError(
            "The expectation that comes with an installed mmbench is not to be replaced.",
            "--expected FILE, a file of your own",
            f"mmbench check --update --dataset {dataset} --expected {default_file(dataset).name}",
        )
    return default_file(dataset)


def measure(settings: Settings) -> Expectation:
    """Generate and score every system anew under `settings.out`.

    Raises:
        UsageError: `settings.out` holds files: samples of an earlier version must not be taken for new ones.
    """
    if settings.out.is_dir() and any(settings.out.iterdir()):
        raise UsageError(f"--out {settings.out} is not empty.", "a new folder, so that every sample is made anew")
    systems = {}
    for folder, found in groupby(run_job(settings), key=lambda scored: scored.folder):
        metrics = {}
        for scored in found:
            record, per_sample = scored.record, scored.score.per_sample
            samples = None if per_sample is None else [_short(float(x)) for x in per_sample]
            metrics[record.metric] = MetricValue(record.signature, _short(record.value), _short(record.stderr), samples)
        store = SampleStore.open(folder)
        run = store.run
        systems[run.system] = SystemValues(run.digest, leaves(run.spec), _digests(store, settings.num_samples), metrics)
    computer = {k: v for k, v in machine().items() if k != "system"}  # the kernel's release changes no number
    return Expectation(
        __version__, settings.dataset, settings.seed, settings.num_samples, computer, packages(), systems
    )


def _digests(store: SampleStore, num: int) -> list[str]:
    """First 8 hex digits of each sample's digest, "" for failed ones."""
    present = set(store.status(num).present)
    return [store.record(i).digest[:8] if i in present else "" for i in range(num)]


def _short(x: float | None) -> float | None:
    """Six significant digits: more would only show rounding that differs from machine to machine."""
    return None if x is None or x != x else float(f"{x:.6g}")


def leaves(spec: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """The values of a nested spec by their paths, such as "system.steps"; of dataset descriptions only the digest."""
    found: dict[str, Any] = {}
    for key, value in sorted(spec.items()):
        if key == "dataset" and isinstance(value, Mapping):
            found[path + key] = digest_of(value)[:16]
        elif isinstance(value, Mapping):
            found |= leaves(value, f"{path}{key}.")
        else:
            found[path + key] = value
    return found


def read_expectation(file: Path) -> Expectation:
    """Read an expectation.

    Raises:
        MMBenchError: There is none.
        IntegrityError: The file is not one.
    """
    if not file.is_file():
        raise MMBenchError(
            f"There is no expectation at {file}.",
            "bounce, or --expected FILE",
            f"mmbench check --update --expected {file}",
        )
    try:
        data = json.loads(file.read_bytes())
        systems = {
            name: SystemValues(**s | {"metrics": {m: MetricValue(**v) for m, v in s["metrics"].items()}})
            for name, s in data["systems"].items()
        }
        return Expectation(**data | {"systems": systems})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise IntegrityError(
            f"{file} is no expectation: {error}.", "JSON as mmbench check --update wrote it", f"git restore {file}"
        ) from error


def write_expectation(file: Path, expectation: Expectation) -> None:
    """Write the file whole or not at all; one line per metric, so that a diff names what changed."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, (_layout(asdict(expectation), 4) + "\n").encode())
    except OSError as error:
        raise MMBenchError(
            f"Cannot write to {file}: {error.strerror}.", "a file you may write", "--expected FILE"
        ) from error


def _layout(value: Any, depth: int, indent: str = "") -> str:
    """JSON with `depth` levels of objects spread over lines."""
    if not depth or not isinstance(value, Mapping) or not value:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    inner = indent + " "
    lines = [f"{inner}{json.dumps(key)}: {_layout(item, depth - 1, inner)}" for key, item in value.items()]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def merged(old: Expectation | None, new: Expectation) -> Expectation:
    """`new` with the systems of `old` that it did not measure.

    Raises:
        UsageError: They are of another dataset, seed or number of samples.
    """
    if old is None:
        return new
    require_same_job(old, new.dataset, new.seed, new.n)
    return replace(new, systems={**old.systems, **new.systems})


def require_same_job(expected: Expectation, dataset: str, seed: int, n: int) -> None:
    """Refuse to compare unlike samples.

    Raises:
        UsageError: Another dataset, seed or number of samples.
    """
    if (expected.dataset, expected.seed, expected.n) != (dataset, seed, n):
        raise UsageError(
            f"The expectation is of {expected.dataset}, n = {expected.n}, seed {expected.seed}; "
            f"asked for is {dataset}, n = {n}, seed {seed}.",
            "the same samples",
            "without --system, mmbench check --update writes a new expectation",
        )
