"""Scores by groups of their samples: by prompt, or by what a table of prompts or a dataset says of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mmbench.media.sources import natural_key
from mmbench.scores.records import Scored, finite, read_samples
from mmbench.statistics.estimates import mean_score

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


def split_score(scored: Scored, by: str) -> dict[str, Scored]:
    """A score by groups: mean, t interval and counts of each; {} for a metric without values per sample.

    A group's values stand where they stood, NaN for samples of other groups, so that groups of two scores pair as the
    scores do. Samples that are missing, or could not be read as a clip, belong to no group.

    Args:
        scored: With its values per sample.
        by: "prompt" or a label.
    """
    if scored.score.per_sample is None:
        return {}
    samples = read_samples(scored.folder, scored.record)
    groups = [group_of(sample, by) or UNNAMED if "missing" not in sample else None for sample in samples]
    return {name: _part(scored, samples, groups, name) for name in order_groups(g for g in groups if g)}


def order_groups(names: Any) -> list[str]:
    """Names of groups, each once, in natural order; those without a label last."""
    return sorted(set(names), key=lambda name: (name == UNNAMED, natural_key(name)))


def _part(scored: Scored, samples: Sequence[Mapping[str, Any]], groups: Sequence[str | None], name: str) -> Scored:
    mine = [sample for sample, group in zip(samples, groups, strict=True) if group == name]
    inside = np.array([group == name for group in groups])
    score = mean_score(np.where(inside, np.asarray(scored.score.per_sample, np.float64), np.nan))
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


def split_column(column: Mapping[int, Scored], by: str) -> dict[str, dict[int, Scored]]:
    """The scores of one metric by groups, `ALL` first: of each group the scores of the sets that have it."""
    parts = {k: split_score(scored, by) for k, scored in column.items()}
    names = order_groups(name for groups in parts.values() for name in groups)
    return {ALL: dict(column)} | {name: {k: p[name] for k, p in parts.items() if name in p} for name in names}


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
