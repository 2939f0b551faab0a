"""Scores by groups of their samples: by prompt, or by what a table of prompts or a dataset says of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmbench.media.sources import natural_key
from mmbench.scores.records import Scored, finite, read_samples
from mmbench.statistics.estimates import mean_score
from mmbench.tables.pairing import Pairing

ALL = "all"  # the group of every sample
UNNAMED = "none"  # the group of samples without a label where others have one
NAMED = 5  # groups that a note names


def group_of(sample: Mapping[str, Any], by: str) -> str:
    """The group of a sample as `scores.records.read_samples` gives it: its prompt, or the label `by`; "" without."""
    return str((sample.get("text") if by == "prompt" else sample.get("labels", {}).get(by)) or "")


def labels_on_record(samples: Sequence[Mapping[str, Any]]) -> list[str]:
    """What samples on record can be grouped by."""
    labels = dict.fromkeys(key for sample in samples for key in sample.get("labels", {}))
    return [*(["prompt"] if any(sample.get("text") for sample in samples) else []), *labels]


@dataclass(frozen=True)
class Group:
    """The score of one group of samples.

    Attributes:
        scored: Of these samples alone, in their order.
        places: Where they stand among all samples.
    """

    scored: Scored
    places: Sequence[int]


def split_score(scored: Scored, by: str) -> dict[str, Group]:
    """A score by groups: mean, t interval and counts of each; {} for a metric without values per sample.

    Samples that are missing, or could not be read as a clip, belong to no group.

    Args:
        scored: With its values per sample.
        by: "prompt" or a label.
    """
    if scored.score.per_sample is None:
        return {}
    samples, places = read_samples(scored.folder, scored.record), dict[str, list[int]]()
    for i, sample in enumerate(samples):
        if "missing" not in sample:
            places.setdefault(group_of(sample, by) or UNNAMED, []).append(i)
    values = np.asarray(scored.score.per_sample, np.float64)
    return {
        name: Group(_part(scored, [samples[i] for i in mine], values[mine]), mine)
        for name in order_groups(places)
        for mine in [places[name]]
    }


def split_pairing(pairing: Pairing, first: Mapping[str, Group], second: Mapping[str, Group]) -> dict[str, Pairing]:
    """The pairs of two sets by groups, of those in which both samples are in one, by their places in the group.

    Args:
        pairing: Of all samples.
        first: Groups of the first set.
        second: Groups of the second.
    """
    ours, theirs = (
        {place: (name, at) for name, group in groups.items() for at, place in enumerate(group.places)}
        for groups in (first, second)
    )
    pairs: dict[str, list[tuple[int, int]]] = {}
    for i, j in pairing.pairs:
        if i in ours and j in theirs and ours[i][0] == theirs[j][0]:
            pairs.setdefault(ours[i][0], []).append((ours[i][1], theirs[j][1]))
    return {name: Pairing(pairing.rule, tuple(found)) for name, found in pairs.items()}


def order_groups(names: Any) -> list[str]:
    """Names of groups, each once, in natural order; those without a label last."""
    return sorted(set(names), key=lambda name: (name == UNNAMED, natural_key(name)))


def _part(scored: Scored, mine: Sequence[Mapping[str, Any]], values: np.ndarray) -> Scored:
    score = mean_score(values)
    failed = sum("unreadable" in sample for sample in mine)
    record = replace(
        scored.record,
        value=finite(score.value),
        stderr=score.stderr,
        low=score.low,
        high=score.high,
        n_expected=len(mine),
        n_present=len(mine) - failed,
        n_failed=failed,
        n_nonfinite=0,
        n_unscored=len(mine) - failed - score.num_scored,
        n_scored=score.num_scored,
        n_missing=0,
        unscored=dict(Counter(sample["unscored"] for sample in mine if "unscored" in sample)),
        baseline=None,
        baseline_stderr=None,
        details={},
        excess=None,
        excess_stderr=None,
        excess_low=None,
        excess_high=None,
    )
    return replace(scored, record=record, score=score)


def note_groups(scored: Sequence[tuple[str, Scored]], by: str) -> list[str]:
    """What to know of a table by groups: which are small, and which metrics have no value in them.

    Args:
        scored: Group and score of each number shown.
        by: What they are grouped by.
    """
    small = dict.fromkeys(name for name, s in scored if name != ALL and s.record.n_scored < 2)
    packed = dict.fromkeys(s.record.system for _, s in scored if s.folder.is_file())
    whole = dict.fromkeys(s.record.metric for _, s in scored if s.score.per_sample is None and s.folder.is_dir())
    notes = []
    if packed:
        notes.append(f"{', '.join(packed)}: over all samples alone, for a packed file holds no values per sample.")
    if small:
        more = f" and {len(small) - NAMED} more" if len(small) > NAMED else ""
        named = ", ".join(list(small)[:NAMED]) + more
        notes.append(f"Fewer than 2 samples scored, so no error and no difference: {named}.")
    if whole:
        distances = f"{', '.join(whole)}: over all samples alone; a distance between sets falls with n, and groups"
        notes.append(f"{distances} of a {by} are small and of unequal n.")
    return notes
