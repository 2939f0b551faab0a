"""Whether a record is of the metric that it names: its signature, direction and `optimised_for` recomputed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from mmbench import __version__
from mmbench.errors import MMBenchError
from mmbench.leaderboard.submission import Entry
from mmbench.registry import make_metric
from mmbench.scores.evaluate import signature
from mmbench.scores.optimised import optimised_for


def find_definition_faults(entry: Entry) -> list[str]:
    """What contradicts the metric of this name as it is defined here; nothing for metrics that are not."""
    r = entry.record
    known = _definition(r.metric, r.extractor_weights)
    if known is None:
        return []
    text, higher_is_better = known
    faults = []
    if r.higher_is_better != higher_is_better:
        faults.append(f"higher_is_better is {r.higher_is_better}, of {r.metric} {higher_is_better}")
    if entry.author.mmbench == __version__ and _without_sizes(r.signature) != text:
        faults.append(f"its signature is {r.signature}, of {r.metric} here {text} with the sizes of the clips")
    try:
        declared = optimised_for(entry.run, make_metric(r.metric))
    except MMBenchError:  # it declares a metric that is not known here
        declared = r.optimised_for
    if declared != r.optimised_for:
        faults.append(f"optimised_for is {r.optimised_for!r}, by its run {declared!r}")
    return faults


@cache
def _definition(metric: str, weights: str) -> tuple[str, bool] | None:
    """Signature without sizes and direction of a metric; None where this installation has none of that name."""
    try:
        found = make_metric(metric, **({"weights": "random"} if weights == "random" else {}))
    except MMBenchError:
        return None
    return _without_sizes(signature(found, [])), found.higher_is_better


def _without_sizes(text: str) -> str:
    return "|".join(part for part in text.split("|") if not part.startswith("size:"))


def note_unchecked(entries: Sequence[Entry]) -> list[str]:
    """What could not be held against a definition."""
    judged = {(e.record.metric, e.record.extractor_weights) for e in entries}
    unknown = sorted({metric for metric, weights in judged if _definition(metric, weights) is None})
    notes = [f"Not known here, taken as it is: {', '.join(unknown)}."] if unknown else []
    other = sorted({e.author.mmbench for e in entries} - {__version__})
    return [*notes, *(f"Signatures were not recomputed: mmbench {v} wrote them, this is {__version__}." for v in other)]
