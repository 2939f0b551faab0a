"""Numbers, counts and records as text for tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmbench.scores.records import Record
from mmbench.scores.warnings import describe

ROUNDING = 5e-7  # an error below that is zero in all of the six decimals that a table has at most


def record_row(record: dict[str, Any]) -> dict[str, Any]:
    """A record as a row on its own: excess, value, intervals, shuffled baseline, counts, further numbers, signature."""
    r = Record(**record)
    return {
        "metric": r.metric,
        "excess": with_error(r.excess, r.excess_stderr),
        "excess 95 %": interval_text(r.excess_low, r.excess_high, r.excess_stderr),
        "value": with_error(r.value, r.stderr),
        "95 %": interval_text(r.low, r.high, r.stderr),
        "shuffled": with_error(r.baseline, r.baseline_stderr),
        "n": "; ".join([count_text(r), *(f"{count} for: {reason}" for reason, count in r.unscored.items())]),
        "beside": "; ".join(filter(None, [details_text(r.details, bool(r.reference)), *_describe_clips(r)])) or None,
        "signature": r.signature,
        "time": r.time,
    }


def _describe_clips(r: Record) -> list[str]:
    """Real clips that a record compared with, how they differ, what was done to lossy ones, what chose the clips."""
    about = r.reference or {}
    real = f"real clips: {real_clips_text(r)}" if "n" in about else None
    chosen = f"no independent evidence: chosen or guided by {r.optimised_for}" if r.optimised_for else None
    return [words for words in (real, about.get("differs"), r.fitted, chosen) if words]


def real_clips_text(r: Record) -> str:
    """How many real clips a record compares with, and of which dataset, as it was named: "8 of folder:PATH"."""
    about = r.reference or {}
    is_named = r.dataset.startswith(f"{about.get('dataset')}:")
    return f"{about.get('n')} of {r.dataset if is_named else about.get('dataset')}"


def list_warnings(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """What records say is odd about the clips, each once: "n = 64: silent, 3 clips: ..."."""
    lines = [f"n = {r['n_expected']}: {line}" for r in records for line in describe(r.get("warnings") or {})]
    return list(dict.fromkeys(lines))


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


def with_error(value: float | None, error: float | None, digits: int | None = None) -> str | None:
    """A value with its standard error as text: "0.312 ± 0.021"; None for no value.

    Args:
        value: What is measured.
        error: Its standard error; None if it has none.
        digits: Decimals; by default as many as the error allows.
    """
    if value is None:
        return None
    k = digits_of(error) if digits is None else digits
    return f"{value:z.{k}f}" + ("" if error is None else f" ± {error:.{k}f}")


def signed(value: float, error: float | None) -> str:
    """A difference with its standard error as text: "+0.120 ± 0.021"; without a sign where it rounds to zero."""
    k = digits_of(error)
    return _sign(value, k) + ("" if error is None else f" ± {error:.{k}f}")


def interval_text(low: float | None, high: float | None, error: float | None, sign: bool = False) -> str | None:
    """An interval as text: "[0.27, 0.35]"; None without one.

    Args:
        low: Lower end.
        high: Upper end.
        error: The standard error that decides how many decimals are shown.
        sign: Whether ends above zero have a plus.
    """
    if low is None or high is None:
        return None
    k = digits_of(error)
    return f"[{_sign(low, k)}, {_sign(high, k)}]" if sign else f"[{low:z.{k}f}, {high:z.{k}f}]"


def column_digits(errors: Iterable[float | None]) -> int:
    """Decimals for a whole column: two significant digits of its largest error, at least one of its smallest."""
    digits = [digits_of(error) for error in errors if error is not None and error > ROUNDING]
    return max(min(digits), max(digits) - 1) if digits else 3


def _sign(value: float, digits: int) -> str:
    text = f"{value:+z.{digits}f}"
    return text[1:] if float(text) == 0 else text


def count_text(r: Record) -> str:
    """The count of scored samples as text: "64", or "60/64 (1 unscored, 3 failed)"."""
    if r.n_scored == r.n_expected:
        return str(r.n_expected)
    missing = r.n_expected - r.n_present - r.n_failed
    reasons = [(r.n_unscored, "unscored"), (r.n_failed, "failed"), (missing, "missing")]
    return f"{r.n_scored}/{r.n_expected} ({', '.join(f'{n} {what}' for n, what in reasons if n > 0)})"
