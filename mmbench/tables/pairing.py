"""Which sample of one set belongs to which of another: by place, by file name, or by prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLACE = "prompt and seed"  # the rule by which runs of one dataset and seed pair
PACKED = "packed"  # no rule: a packed file has no samples
NAMED = 3  # samples without a partner that a note names


@dataclass(frozen=True)
class Pairing:
    """Pairs of samples of two sets, and what has no partner.

    Attributes:
        rule: How they were found: `PLACE`, "file name" or "prompt and index"; "" where nothing pairs, `PACKED` where
            one of the sets has no samples that could.
        pairs: (index in the first, index in the second).
        only_first: Ids of samples of the first set without a partner.
        only_second: The same of the second.
        broken: Files that are no clip, each with the set (0 or 1) that it is in.
    """

    rule: str
    pairs: tuple[tuple[int, int], ...]
    only_first: tuple[str, ...] = ()
    only_second: tuple[str, ...] = ()
    broken: tuple[tuple[str, int], ...] = ()

    @property
    def in_place(self) -> bool:
        """Whether every sample of one set pairs with that of the same index in the other."""
        alone = self.only_first or self.only_second or self.broken
        return not alone and all(i == j for i, j in self.pairs)

    def describe(self, first: str, second: str) -> str:
        """The pairing in words: "b to a: paired by file name, 50 of 52; only in a: x, y."."""
        if self.rule == PACKED:
            return f"{second} to {first}: no difference, for a packed file holds no values per sample."
        if not self.pairs:
            return (
                f"{second} to {first}: no difference, for they share no file name and no prompt. try: clips of the "
                "same names, or --prompts FILE.csv with columns file,prompt"
            )
        lost = len({name for name, _ in self.broken})
        total = len(self.pairs) + max(len(self.only_first), len(self.only_second)) + lost
        words = f"{second} to {first}: paired by {self.rule}, {len(self.pairs)} of {total}"
        broken = [[file for file, where in self.broken if where == k] for k in (0, 1)]
        for where, ids in (
            (f"only in {first}", self.only_first),
            (f"only in {second}", self.only_second),
            (f"no usable clip in {first}", broken[0]),
            (f"no usable clip in {second}", broken[1]),
        ):
            if ids:
                more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
                words += f"; {where}: {', '.join(ids[:NAMED])}{more}"
        return words + "."


def pair_by_place(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> Pairing:
    """Pairs sample i with sample i, as those of two runs on the same prompts and seed; see `pair_by_content`."""
    shared = min(len(first), len(second))
    pairs = tuple((i, i) for i in range(shared) if _is_there(first[i]) and _is_there(second[i]))
    return _pairing(PLACE, first, second, pairs)


def pair_by_content(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> Pairing:
    """Pairs samples of equal file names (without suffix); where no names agree, the k-th samples of equal prompts.

    A name whose prompts are known and differ is no pair: two sets may number other things alike.

    Args:
        first: What identifies each sample, as `scores.records.read_samples` gives it: id, text, or that it is missing.
        second: The same of the other set.
    """
    for rule, keys in (("file name", _names), ("prompt and index", _prompts)):
        places = {key: j for j, key in enumerate(keys(second)) if key is not None}
        found = [(i, places[key]) for i, key in enumerate(keys(first)) if key is not None and key in places]
        if pairs := tuple((i, j) for i, j in found if _agree(first[i], second[j])):
            return _pairing(rule, first, second, pairs)
    return _pairing("", first, second, ())


def _pairing(
    rule: str,
    first: Sequence[Mapping[str, Any]],
    second: Sequence[Mapping[str, Any]],
    pairs: tuple[tuple[int, int], ...],
) -> Pairing:
    mine, theirs = {i for i, _ in pairs}, {j for _, j in pairs}
    broken = tuple(
        (Path(row["id"]).stem, k)
        for k, rows in enumerate((first, second))
        for row in rows
        if not _is_there(row) and row.get("id")
    )
    lost = {name for name, _ in broken}
    only_first, only_second = (
        tuple(
            str(row.get("id") or f"sample {k}")
            for k, row in enumerate(rows)
            if k not in known and (not row.get("id") or (_is_there(row) and row["id"] not in lost))
        )
        for rows, known in ((first, mine), (second, theirs))
    )
    return Pairing(rule, pairs, only_first, only_second, broken)


def _is_there(row: Mapping[str, Any]) -> bool:
    return "missing" not in row and "unreadable" not in row


def _names(rows: Sequence[Mapping[str, Any]]) -> list[Hashable]:
    return [row["id"] if _is_there(row) else None for row in rows]


def _prompts(rows: Sequence[Mapping[str, Any]]) -> list[Hashable]:
    seen: Counter[str] = Counter()
    keys: list[Hashable] = []
    for row in rows:
        text = row.get("text") or ""
        keys.append((text, seen[text]) if text and _is_there(row) else None)
        seen[text] += 1
    return keys


def _agree(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    texts = a.get("text"), b.get("text")
    return not all(texts) or texts[0] == texts[1]
