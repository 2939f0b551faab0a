"""The metrics that a job was asked for by a suite, and which of them cannot score the clips at hand."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from mmbench.errors import UsageError
from mmbench.jobs.given_clips import GivenClips
from mmbench.jobs.settings import Settings
from mmbench.optional_protocols import NeedsLength
from mmbench.registry import discover, full_metric_name
from mmbench.tables.known_suites import suite_named
from mmbench.types import Metric, full_name


def choose_metrics(settings: Settings) -> tuple[str, ...]:
    """The metrics of the suite, then those asked for by name, each once, without those to skip; () for none asked.

    Raises:
        UsageError: No such suite; metrics that are not registered; a metric to skip that is not asked for.
    """
    of_suite = suite_named(settings.suite).metrics if settings.suite else ()
    if absent := [name for name in of_suite if name.partition(".")[0] not in discover("metric")[0]]:
        unknown = [name for name in absent if not _is_named(name, settings.skip)]
        of_suite = tuple(name for name in of_suite if name not in absent)
        if unknown:
            found = f"Metrics of the suite {settings.suite} are not installed: {', '.join(unknown)}."
            raise UsageError(found, "the suite without them", _without(settings, unknown))
    chosen: dict[str, str] = {}
    for name in (*of_suite, *settings.metrics):
        chosen.setdefault(full_metric_name(name), name)
    for name in settings.skip:
        if not any(_is_named(full, [name]) for full in (*chosen, *absent)):
            known = ", ".join(chosen) or "no metric"
            raise UsageError(f"--skip {name}: it is not asked for.", f"one of {known}", "mmbench list metrics")
    left = {full: name for full, name in chosen.items() if not _is_named(full, settings.skip)}
    if chosen and not left:
        raise UsageError("--skip leaves no metric.", "one at least", "mmbench list metrics")
    return tuple(left.values())


def _is_named(full: str, names: Sequence[str]) -> bool:
    """Whether a metric, name.variant, is among names with or without variants."""
    return full in names or full.partition(".")[0] in names


def require_long_clips(metric: Metric, given: Sequence[GivenClips]) -> None:
    """Raise UsageError if a metric cannot score any clip of a set because all are too short."""
    for clips in given if isinstance(metric, NeedsLength) else ():
        if clips.seconds < metric.min_seconds:  # type: ignore[attr-defined]
            needed = f"{metric.min_seconds:g} s"  # type: ignore[attr-defined]
            found = f"{full_name(metric)} needs clips of {needed}; those of {clips.name} have {clips.seconds:.3g} s."
            raise UsageError(found, "longer clips, or other metrics", f"mmbench show {metric.name}")


def require_prompts(metric: Metric, given: Sequence[GivenClips]) -> None:
    """Raise UsageError if a metric compares with prompts and a set has none."""
    for clips in given if any(extractor.modality == "text" for extractor in metric.extractors()) else ():
        if not clips.has_prompts:
            raise UsageError(f"{full_name(metric)} compares with prompts; {clips.name} has none.", "a CSV file,prompt")


def refuse_suite(settings: Settings, found: Mapping[str, UsageError], num: int) -> UsageError:
    """The error of a suite of which some of `num` metrics cannot score the clips: which, why, and what to type."""
    reasons = "".join(f"\n  {error.found}" for error in found.values())
    words = f"{len(found)} of {num} metrics of the suite {settings.suite} cannot be computed:{reasons}"
    next = _without(settings, list(found)) if len(found) < num else "mmbench list metrics"
    return UsageError(words, "what they need, or the suite without them", next)


def _without(settings: Settings, metrics: Sequence[str]) -> str:
    return shlex.join([*settings.command, *(word for name in metrics for word in ("--skip", name))])
