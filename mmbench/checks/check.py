"""Compares a small run of the default systems with its expected scores: what moved, how far, and who changed.

Seeds are fixed, so the same code gives the same samples: nothing of the scatter between samples is left in the change
of a value, only rounding that differs between machines, and what somebody changed. Two comparisons per system and
metric, both allowed FACTOR of the scatter:

    |found - expected|                    <= FACTOR * standard error
    rms over samples of found - expected  <= FACTOR * standard deviation of samples

The first sees a shift that all samples share. The second sees samples that changed each in its own direction, as when
guidance is left out, although their mean hardly moves; set metrics have the first only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mmbench.checks.expectation import (
    NUM_SAMPLES,
    Expectation,
    MetricValue,
    SystemValues,
    measure,
    merged,
    read_expectation,
    require_same_job,
    write_expectation,
)
from mmbench.jobs.settings import Settings
from mmbench.tables.format import digits_of, with_error

FACTOR = 0.5  # rounding as on another machine moves no metric by more than 0.31, planted faults some by 7 and more
ROUNDING = 1e-5  # relative; values are written with six digits
COLUMNS = ("system", "metric", "expected", "found", "change", "allowed", "samples", "verdict")


def check_scores(
    settings: Settings, file: Path, *, num_samples: int | None = None, out: Path | None = None, update: bool = False
) -> tuple[list[dict[str, Any]], list[str]]:
    """Measure the systems of `settings` anew, compare with the expectation in `file`, and with `update` replace it.

    Args:
        settings: Systems, dataset, seed, device; `out` and `num_samples` of it are not looked at.
        file: The expectation.
        num_samples: Samples per system; by default as many as the expectation has.
        out: An empty folder that keeps samples and records; by default nothing is kept.
        update: Write what was found to `file`.

    Returns:
        Rows of COLUMNS, and notes on who changed. A row whose `verdict` is not "ok" is a failure.

    Raises:
        MMBenchError: There is no expectation, or it is of other samples.
    """
    part = tuple(settings.systems) != tuple(Settings().systems)
    expected = None if update and not file.exists() else read_expectation(file)
    n = num_samples or (expected.n if expected else NUM_SAMPLES)
    if expected and (part or not update):
        require_same_job(expected, settings.dataset, settings.seed, n)
    with TemporaryDirectory(prefix="mmbench-check-") as folder:
        found = measure(replace(settings, out=out or Path(folder), num_samples=n))
    if expected and part:
        expected = replace(expected, systems={k: v for k, v in expected.systems.items() if k in found.systems})
    comparable = expected and (expected.dataset, expected.seed, expected.n) == (found.dataset, found.seed, found.n)
    rows = compare(expected if comparable else None, found)
    if update:
        write_expectation(file, merged(read_expectation(file), found) if part and file.exists() else found)
    return rows, notes(expected, found)


def compare(expected: Expectation | None, found: Expectation) -> list[dict[str, Any]]:
    """One row per system and metric of either side."""
    before: dict[str, SystemValues] = dict(expected.systems) if expected else {}
    rows = []
    for system in dict.fromkeys([*found.systems, *before]):
        old, new = (dict(side[system].metrics) if system in side else {} for side in (before, found.systems))
        for metric in dict.fromkeys([*new, *old]):
            rows.append({"system": system, "metric": metric, **_row(old.get(metric), new.get(metric))})
    return rows


def _row(expected: MetricValue | None, found: MetricValue | None) -> dict[str, Any]:
    shown = {"expected": _text(expected), "found": _text(found)}
    if expected is None or found is None:
        return {**shown, "verdict": "not expected" if expected is None else "no longer there"}
    if expected.signature != found.signature:
        return {**shown, "verdict": f"metric changed: {expected.signature} -> {found.signature}"}
    if expected.value is None or found.value is None:
        return {**shown, "verdict": "ok" if expected.value == found.value else "differs"}
    change = found.value - expected.value
    allowed = FACTOR * (expected.stderr or 0.0) + ROUNDING * abs(expected.value)
    k = digits_of(allowed)
    verdict = "ok" if abs(change) <= allowed else "differs"
    row = {**shown, "change": f"{change:+.{k}f}", "allowed": f"{allowed:.{k}f}"}
    if expected.samples is not None and found.samples is not None:
        moved, bound = rms_change(expected.samples, found.samples)
        row["samples"] = f"{moved:.{k}f} (allowed {bound:.{k}f})"
        if verdict == "ok" and moved > bound:
            verdict = "samples differ"
    return row | {"verdict": verdict, "of stderr": abs(change) / expected.stderr if expected.stderr else None}


def _text(value: MetricValue | None) -> str | None:
    return None if value is None else with_error(value.value, value.stderr) or "undefined"


def rms_change(expected: Sequence[float | None], found: Sequence[float | None]) -> tuple[float, float]:
    """Root mean square of the change per sample, and the most that is allowed.

    A sample that only one side scores counts as changed by one standard deviation.
    """
    a, b = (np.array([math.nan if x is None else x for x in side], np.float64) for side in (expected, found))
    scored = a[~np.isnan(a)]
    deviation = float(scored.std(ddof=1)) if len(scored) > 1 else 0.0
    change = np.where(np.isnan(a) & np.isnan(b), 0.0, np.where(np.isnan(a) | np.isnan(b), deviation, b - a))
    scale = float(np.abs(scored).max()) if len(scored) else 0.0
    return float(np.sqrt(np.mean(change**2))), FACTOR * deviation + ROUNDING * scale


def notes(expected: Expectation | None, found: Expectation) -> list[str]:
    """What a reader of the rows must know: whose samples and specs changed, on which machine."""
    lines = [
        f"Allowed: {FACTOR:g} standard errors of a value; {FACTOR:g} standard deviations of the samples' rms change.",
    ]
    if expected is None:
        return lines
    for system, new in found.systems.items():
        if old := expected.systems.get(system):
            lines += _who(system, old, new)
    for what, a, b in (("machine", expected.machine, found.machine), ("packages", expected.packages, found.packages)):
        if changed := _changes(a, b):
            lines.append(f"Other {what} than expected: {changed}.")
    return lines


def _who(system: str, old: SystemValues, new: SystemValues) -> list[str]:
    """What changed about a system: spec, samples, or neither."""
    spec = _changes(old.spec, new.spec)
    other = sum(a != b for a, b in zip(old.samples, new.samples, strict=False))
    samples = f"{other} of {len(new.samples)} samples are other ones"
    if spec:
        return [f"{system}: the system changed ({spec}); {samples if other else 'its samples are the same'}."]
    return [f"{system}: {samples}, although its spec is the same."] if other else []


def _changes(a: Any, b: Any) -> str:
    keys = sorted(k for k in {*a, *b} if a.get(k) != b.get(k))
    return ", ".join(f"{k} {a.get(k, 'absent')} -> {b.get(k, 'absent')}" for k in keys)
