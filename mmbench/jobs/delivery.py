"""Clips that were made from a list of requests: which are there, which are missing, which have another name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from mmbench.console import log
from mmbench.errors import MMBenchError
from mmbench.features.extract import Sample
from mmbench.identity import digest_of
from mmbench.media.sources import Rejected, Source, clip_name
from mmbench.runs.requests import RequestLine
from mmbench.scores.accounting import Counts
from mmbench.scores.warnings import describe, summarize

GUESSED = 20  # names that nobody requested for which the meant one is looked for; each costs a look at all others


@dataclass(frozen=True)
class Delivery:
    """Clips in the order of their requests.

    Attributes:
        texts: Prompts by file name.
        samples: Sample i of request i, None where there is none.
        counts: How many were requested, why some have no clip, and what is odd about the names.
        digest: Of the list of requests.
    """

    texts: dict[str, str]
    samples: Sequence[Sample | None]
    counts: Counts
    digest: str


def match_requests(
    path: Path, sources: Sequence[Source], rejected: Sequence[Rejected], lines: Sequence[RequestLine]
) -> Delivery:
    """Give every request its clip, by the stem of the file's name; warns of those missing and of names not requested.

    Args:
        path: The folder.
        sources: Its clips.
        rejected: Its files that are no clip.
        lines: What was requested.

    Raises:
        MMBenchError: Nothing has a name that was requested.
    """
    clips = {source.id: source for source in sources}
    bad = {clip_name(Path(r.path)): r for r in rejected}
    asked = {line.id: line for line in lines}
    samples: list[Sample | None] = [None] * len(lines)
    used: list[Source] = []
    failures, missing = {}, {}
    for i, line in enumerate(lines):
        if line.id in clips:
            used.append(clips[line.id])
            samples[i] = Sample(clips[line.id], line.prompt, requested=line.size)
        elif line.id in bad:
            failures[i] = Path(bad[line.id].path).name, bad[line.id].reason
        else:
            missing[line.file] = ""
    others = [*(Path(s.path).name for s in sources if s.id not in asked)]
    others += [Path(r.path).name for stem, r in bad.items() if stem not in asked]
    absent = [line for line in lines if line.file in missing]
    unexpected = {name: guess_name(name, absent) if k < GUESSED else "" for k, name in enumerate(others)}
    warned = {name: ids for name, ids in (("missing", missing), ("unexpected", unexpected)) if ids}
    if not used:
        name, meant = next(iter(unexpected.items()), ("", ""))
        found = f"No file of {path} has a name that was requested" + (
            f": {name}{meant and f' ({meant})'}." if name else "."
        )
        raise MMBenchError(found, f"{lines[0].file} to {lines[-1].file}", f"ls {path}")
    for words in describe(summarize(warned)):
        log.warning("%s: %s", path, words)
    texts = {Path(source.path).name: asked[source.id].prompt for source in used}
    digest = digest_of([line.sha256 for line in lines])
    return Delivery(texts, samples, Counts(len(lines), failures, warned=warned), digest)


def guess_name(name: str, absent: Sequence[RequestLine]) -> str:
    """Which missing file a name that nobody requested may stand for: "is it 000012.mp4?"; "" where nothing is near.

    The prompt's id or the index as a number count most, then likeness.
    """
    stem = Path(name).stem
    numbers = [int(n) for n in re.findall(r"\d+", stem)]
    meant = next((line.file for line in absent if line.prompt_id == stem), "")
    meant = meant or next((line.file for line in absent if numbers and line.index == numbers[-1]), "")
    meant = meant or next(iter(get_close_matches(name, [line.file for line in absent], 1, 0.8)), "")
    return f"is it {meant}?" if meant else ""
