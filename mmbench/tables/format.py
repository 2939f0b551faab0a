"""Numbers, counts and records as text for tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmbench.scores.records import Record

ROUNDING = 5e-7  # an error below that is zero in all of the six decimals that a table has at most


def record_row(record: dict[str, Any]) -> dict[str, Any]:
    """A record as a row on its own: value, interval, shuffled baseline, counts, further numbers, signature."""
    r = Record(**record)
    k = digits_of(r.stderr)
    return {
        "metric": r.metric,
        "value": with_error(r.value, r.stderr),
        "95 %": None if r.low is None or r.high is None else f"[{r.low:z.{k}f}, {r.high:z.{k}f}]",
        "shuffled": with_error(r.baseline, r.baseline_stderr),
        "n": "; ".join([count_text(r), *(f"{count} for: {reason}" for reason, count in r.unscored.items())]),
        "beside": "; ".join(filter(None, [details_text(r.details, bool(r.reference)), *_describe_clips(r)])) or None,
        "signature": r.signature,
        "time": r.time,
    }


def _describe_clips(r: Record) -> list[str]:
    """How many real clips a record compared with, how they differ, and what was done to lossy ones."""
    about = r.reference or {}
    real = f"real clips: {about['n']} of {about['dataset']}" if "n" in about else None
    return [words for words in (real, about.get("differs"), r.fitted) if words]


def details_text(details: Mapping[str, Any], compared: bool) -> str | None:
    """The further numbers of a metric as text, with their standard errors: "kvd 0.41 ± 0.06, floor 3.200".

    Args:
        details: Of a record.
        compared: Whether the metric compares with real clips.
    """
    bounds = "infinity_low", "infinity_high"
    errors = {name + "_stderr" for name in details} | set(bounds)
    shown = {k: v for k, v in details.items() if isinstance(v, int | float) and k not in errors}
    parts = [f"{k} {v if isinstance(v, int) else with_error(v, details.get(k + '_stderr'))}" for k, v in shown.items()]
    low, high = (details.get(name) for name in bounds)
    if low is not None and high is not None:
        k = digits_of(high - low)
        against = " from these real clips" if compared else ""
        parts.append(f"95 % at infinite n{against} [{low:.{k}f}, {high:.{k}f}]")
    return ", ".join(parts) or None


def digits_of(error: float | None) -> int:
    """The number of decimals that shows an error with two significant digits, from 0 to 6; 3 for none or zero."""
    if not error or abs(error) < ROUNDING:
        return 3
    from math import floor, log10

    return min(max(1 - floor(log10(error)), 0), 6)


def with_error(value: float | None, error: float | None) -> str | None:
    """A value with its standard error as text: "0.312 ± 0.021"; None for no value."""
    if value is None:
        return None
    k = digits_of(error)
    return f"{value:z.{k}f}" + ("" if error is None else f" ± {error:.{k}f}")


def signed(value: float, error: float | None) -> str:
    """A difference with its standard error as text: "+0.120 ± 0.021"."""
    k = digits_of(error)
    return f"{value:+z.{k}f}" + ("" if error is None else f" ± {error:.{k}f}")


def count_text(r: Record) -> str:
    """The count of scored samples as text: "64", or "60/64 (1 unscored, 3 failed)"."""
    if r.n_scored == r.n_expected:
        return str(r.n_expected)
    missing = r.n_expected - r.n_present - r.n_failed
    reasons = [(r.n_unscored, "unscored"), (r.n_failed, "failed"), (missing, "missing")]
    return f"{r.n_scored}/{r.n_expected} ({', '.join(f'{n} {what}' for n, what in reasons if n > 0)})"
