"""What is wrong with a record that somebody sent: fields, counts, intervals, names, and what its samples say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

from mmbench.leaderboard.submission import Author, Entry, digest_clips, digest_prompts
from mmbench.runs.spec import RunSpec
from mmbench.scores.records import Record
from mmbench.types import LEAST_REAL

LONGEST = 200  # characters of a name
TYPES: dict[str, tuple[type, ...]] = {  # of a record's fields, by the first word of their annotation
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "Mapping[str,": (dict,),
}
OF_RUN = ("run_id", "digest", "system", "dataset", "seed", "weights", "video_of")
NARROWEST, WIDEST = 1.9, 12.8  # half of a 95 % interval in standard errors: normal; t with one degree of freedom
MOST_SAMPLES, LARGEST = 10**7, 1e15  # what no honest number exceeds, so that a page can be drawn of all
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def find_author_faults(author: Author) -> list[str]:
    """What is wrong with who a submission says that it is of."""
    faults = [f"{name} {fault}" for name, text in vars(author).items() if (fault := _name_fault(text, name == "link"))]
    if isinstance(author.link, str) and author.link and not is_web_address(author.link):
        faults.append(f"link {author.link!r} is no address that begins with https:// or http://")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", str(author.date)):
        faults.append(f"date {author.date!r} is not YYYY-MM-DD")
    return faults


def is_web_address(text: str) -> bool:
    """Whether a text is an http(s) address that names a host."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not re.search(r"\s", text)


def _name_fault(text: Any, may_be_empty: bool = False) -> str:
    if not isinstance(text, str):
        return f"is a {type(text).__name__}, no text"
    if not text.strip() and not (may_be_empty and not text):
        return "is empty"
    if len(text) > LONGEST:
        return f"has {len(text)} characters, more than {LONGEST}"
    return "" if text.isprintable() else f"{text!r} has characters that are not printed"


def require_fields(line: Any) -> None:
    """Refuse what is no record, field by field.

    Raises:
        TypeError: Names the field.
    """
    if not isinstance(line, dict):
        raise TypeError(f"a {type(line).__name__}, no record")
    kinds = {field.name: str(field.type) for field in fields(Record)}
    if unknown := sorted(set(line) - set(kinds)):
        raise TypeError(f"a record has no {unknown[0]}")
    for name, value in line.items():
        fits = isinstance(value, TYPES[kinds[name].split()[0]]) and isinstance(value, bool) == (kinds[name] == "bool")
        if not fits and not (value is None and kinds[name].endswith("| None")):
            raise TypeError(f"{name} is {value!r:.60}, not {kinds[name]}")


def find_record_faults(record: Record, run: RunSpec) -> Iterator[str]:
    """What in a record contradicts itself or its run."""
    for name in OF_RUN:
        if getattr(record, name) != getattr(run, name):
            yield f"{name} is {getattr(record, name)!r}, in its run {getattr(run, name)!r}"
    for name in ("system", "dataset", "metric"):
        if fault := _name_fault(getattr(record, name)):
            yield f"{name} {fault}"
    metric, variant = (*record.signature.split("|"), "")[:2]
    is_whole = record.signature.count("|") == 4 and record.signature.isprintable()
    if not is_whole or record.metric not in (f"{metric}.{variant}", metric):
        yield f"{record.metric} has the signature {record.signature!r:.120}"
    if record.weights not in LEAST_REAL or record.extractor_weights not in LEAST_REAL:
        yield f"weights are {record.weights!r} and {record.extractor_weights!r}, none of {', '.join(LEAST_REAL)}"
    if not re.fullmatch(TIME, record.time):
        yield f"time {record.time!r} is not as 2026-01-31T12:00:00Z"
    yield from _find_count_faults(record)
    yield from _find_number_faults(record)


def _find_count_faults(r: Record) -> Iterator[str]:
    counts = {name: getattr(r, name) for name in vars(r) if name.startswith("n_")}
    if negative := [name for name, count in counts.items() if count is not None and count < 0]:
        yield f"{negative[0]} is {counts[negative[0]]}"
    if max(count or 0 for count in counts.values()) > MOST_SAMPLES:
        yield f"more than {MOST_SAMPLES:,} samples"
    total = r.n_scored + r.n_unscored + r.n_failed + (r.n_missing or 0)
    if total > r.n_expected or (r.n_missing is not None and total != r.n_expected) or r.n_expected < 1:
        parts = f"{r.n_scored} scored + {r.n_unscored} unscored + {r.n_failed} failed + {r.n_missing} missing"
        yield f"{parts} samples are not the {r.n_expected} expected"
    if r.n_present != r.n_scored + r.n_unscored:
        yield f"{r.n_present} samples are present, {r.n_scored + r.n_unscored} scored or unscored"
    if r.unscored and sum(r.unscored.values()) != r.n_unscored:
        yield f"reasons for {sum(r.unscored.values())} unscored samples, where {r.n_unscored} are"
    if r.n_nonfinite > r.n_failed:
        yield f"{r.n_nonfinite} samples with NaN or infinity among {r.n_failed} that failed"


def _find_number_faults(r: Record) -> Iterator[str]:
    numbers = r.value, r.stderr, r.low, r.high, r.baseline, r.baseline_stderr
    of_excess = r.excess, r.excess_stderr, r.excess_low, r.excess_high
    if any(number is not None and abs(number) > LARGEST for number in (*numbers, *of_excess)):
        yield f"a number beyond {LARGEST:g}"
    if (r.value is None) != (r.n_scored == 0):
        yield f"its value is {r.value} of {r.n_scored} scored samples"
    if r.stderr is not None and (r.stderr < 0 or r.value is None or r.n_scored < 2):
        yield f"its standard error is {r.stderr} of {r.n_scored} scored samples"
    yield from _find_interval_faults("value", r.value, r.stderr, r.low, r.high)
    chance = None if r.value is None or r.baseline is None else r.value - r.baseline
    if r.excess is None or chance is None:
        if (r.excess, r.excess_stderr, chance) != (None, None, None):
            yield f"its excess is {r.excess} of the value {r.value} and the shuffled baseline {r.baseline}"
        return
    if abs(r.excess - chance) > 1e-9 * max(abs(r.value or 0.0), abs(r.baseline or 0.0), 1.0):
        yield f"its excess {r.excess:g} is not its value less its shuffled baseline, {chance:g}"
    yield from _find_interval_faults("excess", r.excess, r.excess_stderr, r.excess_low, r.excess_high)


def _find_interval_faults(
    what: str, value: float | None, stderr: float | None, low: float | None, high: float | None
) -> Iterator[str]:
    if value is None or low is None or high is None:
        return
    slack, half = 1e-9 * max(abs(low), abs(high)), (high - low) / 2
    if not low - slack <= value <= high + slack:
        yield f"its interval [{low:g}, {high:g}] does not hold its {what} {value:g}"
    elif stderr is None or not NARROWEST * stderr - slack <= half <= WIDEST * stderr + slack:
        yield f"its interval [{low:g}, {high:g}] is not that of a standard error of {stderr}"


def find_sample_faults(entry: Entry) -> Iterator[str]:
    """What contradicts a record in the samples that were sent with it."""
    samples, r = entry.samples, entry.record
    if samples is None:
        return
    if len(samples) != r.n_expected or len({s.id for s in samples}) != len(samples):
        yield f"{len(samples)} samples with {len({s.id for s in samples})} names, where {r.n_expected} were scored"
    if (digest_prompts(samples), digest_clips(samples)) != (entry.prompts, entry.clips):
        yield "its samples have other digests than it says"
    values = [float(s.value) for s in samples if s.value is not None]
    if not values or r.value is None:
        return
    if len(values) != r.n_scored:
        yield f"{len(values)} values, where {r.n_scored} samples are scored"
    elif abs(sum(values) / len(values) - r.value) > 1e-6 * max(abs(r.value), 1e-3):
        yield f"its value is {r.value:g}, the mean of its samples {sum(values) / len(values):g}"
