"""The number of samples that a comparison needs, from how much a pilot's records scatter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from mmbench.console import log
from mmbench.errors import IntegrityError, MMBenchError, UsageError
from mmbench.scores.records import Record, read_scored
from mmbench.statistics.planning import plan
from mmbench.tables.compare import comparable, compare
from mmbench.tables.runs import read_runs
from mmbench.tables.table import gather
from mmbench.types import is_untrained

LEVEL = 0.95
COLUMNS = ("metric", "pilot", "n", "s.e. of difference", "detectable", "effect", "needed")


@dataclass(frozen=True)
class Pilot:
    """The scatter of a metric on record.

    Attributes:
        metric: name.variant.
        systems: The two that were compared, or the only one.
        dataset: What they were compared on.
        n: Samples that were scored of each.
        stderr: Standard error of the difference of two systems at that n.
        untrained: Whether a system or network has random or tiny weights.
    """

    metric: str
    systems: tuple[str, ...]
    dataset: str
    n: int
    stderr: float
    untrained: bool = False

    @property
    def paired(self) -> bool:
        """Whether the standard error is that of a paired difference."""
        return len(self.systems) == 2


def plan_samples(
    out: Path,
    metric: str,
    *,
    effect: float | None = None,
    systems: Sequence[str] = (),
    dataset: str | None = None,
    power: float = 0.8,
) -> dict[str, Any]:
    """The samples that an effect needs, and the difference that the pilot itself could show.

    Args:
        out: Folder of runs, or a packed file.
        metric: Name or name.variant.
        effect: True difference to find, in units of the metric.
        systems: One or two; whatever is recorded if empty.
        dataset: Only records on this one.
        power: Probability of finding the effect.

    Returns:
        A row of COLUMNS, with `power` and the `assumptions`.

    Raises:
        UsageError: An impossible effect or power, or more than two systems.
        MMBenchError: No record fits, several metrics or datasets fit, or the pilot has no scatter.
    """
    if effect is not None and not 0 < effect < math.inf:
        raise UsageError(f"--effect is {effect:g}.", "a positive difference, in units of the metric", "--effect 20")
    if not 0 < power < 1:
        raise UsageError(f"--power is {power:g}.", "a probability between 0 and 1", "--power 0.8")
    if len(systems) > 2:
        raise UsageError(f"{len(systems)} systems were given.", "one or two", "--system A --system B")
    found = pilot(out, metric, systems, dataset)
    answer = plan(found.stderr, found.n, effect, power, LEVEL)
    return {
        "metric": found.metric,
        "pilot": f"{' and '.join(found.systems)} on {found.dataset}",
        "n": found.n,
        "s.e. of difference": _short(found.stderr),
        "detectable": _short(answer.detectable),
        "effect": effect,
        "needed": answer.needed,
        "power": power,
        "assumptions": assumptions(found, power),
    }


def pilot(out: Path, metric: str, systems: Sequence[str], dataset: str | None) -> Pilot:
    """The largest pilot on record: a paired one if two systems have it, the least favourable pair if several do."""
    try:
        records = gather(out, dataset=dataset, systems=systems, metrics=(metric,))
    except MMBenchError as error:
        asked = "".join(f" --system {s}" for s in systems) + (f" --dataset {dataset}" if dataset else "")
        raise MMBenchError(
            f"No record of {metric} in {out} fits.", "a pilot of a few dozen samples", f"mmbench run{asked} -m {metric}"
        ) from error
    _one("metric", "--metric", [r.metric for r in records])
    _one("dataset", "--dataset", [r.dataset for r in records])
    known = {r.system for r in records}
    for system in systems:
        if system not in known:
            here = ", ".join(sorted(known))
            next = f"mmbench run --system {system} --dataset {records[0].dataset} -m {metric}"
            raise MMBenchError(f"No record of {metric} for {system} in {out}.", f"one of {here}", next)
    pairs = [
        (a, b)
        for a, b in combinations(sorted(records, key=lambda r: r.system), 2)
        if a.system != b.system and (a.n_expected, a.seed) == (b.n_expected, b.seed)
    ]
    pilots = [p for p in (_pair(out, a, b, asked=len(systems) == 2) for a, b in pairs) if p is not None]
    if len(systems) != 1 and pilots:
        return max(pilots, key=lambda p: (p.n, p.stderr))
    single = [r for r in records if r.stderr and r.n_scored > 1]
    if not single or len(systems) == 2:
        raise MMBenchError(
            f"The records of {metric} in {out} show no scatter.",
            "two systems of equal n and seed, or one with a standard error",
            f"mmbench run --num-samples 64 -m {metric}",
        )
    r = max(single, key=lambda r: (r.n_scored, r.stderr))
    untrained = any(map(is_untrained, (r.weights, r.extractor_weights)))
    return Pilot(r.metric, (r.system,), r.dataset, r.n_scored, math.sqrt(2) * (r.stderr or 0.0), untrained)


def _pair(out: Path, a: Record, b: Record, asked: bool) -> Pilot | None:
    """The paired difference of two records; None without scatter, or if they do not compare and nobody asked for it.

    Warns where nobody asked for a pair whose scores are damaged.
    """
    try:
        n, stderr = _kept_difference(out, a, b) if out.is_file() else _difference(out, a, b)
    except MMBenchError as error:
        if asked:
            raise
        if isinstance(error, IntegrityError):
            log.warning("%s and %s make no pilot: %s try: %s", a.system, b.system, error.found, error.next)
        return None
    if not stderr:
        return None
    untrained = any(map(is_untrained, (a.weights, b.weights, a.extractor_weights)))
    return Pilot(a.metric, (a.system, b.system), a.dataset, n, stderr, untrained)


def _difference(out: Path, a: Record, b: Record) -> tuple[int, float | None]:
    """Number of pairs and standard error of a paired difference; none where samples do not pair."""
    comparable([a, b])
    found = compare([read_scored(out / r.run_id, r) for r in (a, b)])[1].difference
    return (found.n, found.stderr) if found else (0, None)


def _kept_difference(file: Path, a: Record, b: Record) -> tuple[int, float | None]:
    """The same of a packed file, as far as it keeps the difference of these two."""
    comparable([a, b])
    for run in read_runs(file):
        for d in run.differences if run.name in (a.run_id, b.run_id) else ():
            same = (d["metric"], d["n_expected"]) == (a.metric, a.n_expected)
            if same and {run.spec.system, d["against"]} == {a.system, b.system}:
                return d["n"], d["stderr"]
    return 0, None


def _one(what: str, option: str, values: Sequence[str]) -> None:
    distinct = sorted(set(values))
    if len(distinct) > 1:
        raise UsageError(f"Records of several {what}s fit: {', '.join(distinct)}.", "one", f"{option} {distinct[0]}")


def assumptions(found: Pilot, power: float) -> list[str]:
    """The assumptions behind a plan, as sentences."""
    source = (
        f"The pilot pairs {' and '.join(found.systems)} by sample; other systems may pair less well."
        if found.paired
        else f"The pilot is {found.systems[0]} alone: √2 times its standard error, as if systems did not pair. "
        "Pairs of systems with shared seeds need fewer samples."
    )
    random = ["The pilot has random or tiny weights: no guide to what real ones scatter."] if found.untrained else []
    return [
        source,
        *random,
        f"Standard errors fall with the root of n; two-sided t test at {100 * (1 - LEVEL):.0f} %, "
        f"power {100 * power:.3g} %; one comparison, so that a table of many needs more.",
        "A set metric such as FVD also falls with n: compare equal n only, and not with values of the pilot.",
    ]


def _short(value: float) -> float:
    return float(f"{value:.3g}")
