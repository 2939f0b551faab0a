"""Every sample asked for is scored, unscored, failed or missing: in exactly one, with a reason but for the first."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmbench.errors import IntegrityError
from mmbench.features.content import Content
from mmbench.features.extract import Extraction, Sample
from mmbench.types import Score

UNDEFINED = "the metric is undefined for it"  # as of a silent or a static clip


@dataclass(frozen=True)
class Counts:
    """What became of the samples asked for, before any metric looked at them.

    Attributes:
        expected: How many were asked for.
        failures: Index of a sample that failed, or of a file that is no clip, to its id and the reason.
        nonfinite: Those of them that held NaN or infinity.
        warned: What was odd when they were listed, by name of the warning and id, as `scores.warnings` has it.
    """

    expected: int
    failures: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    nonfinite: int = 0
    warned: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of each sample under one metric; keys are indices, values reasons.

    Attributes:
        scored: Those that entered the value.
        unscored: Those that are there and did not, as a silent clip under a metric of sound.
        failed: Those whose making or reading failed.
        missing: Those that nobody has made.
    """

    scored: frozenset[int]
    unscored: Mapping[int, str]
    failed: Mapping[int, str]
    missing: frozenset[int]

    def check(self, expected: int) -> None:
        """Raise IntegrityError unless each of `expected` samples is in exactly one part."""
        parts = [self.scored, frozenset(self.unscored), frozenset(self.failed), self.missing]
        if sum(map(len, parts)) != expected or frozenset().union(*parts) != frozenset(range(expected)):
            sizes = ", ".join(f"{len(part)} {name}" for part, name in zip(parts, vars(self), strict=True))
            raise IntegrityError(f"{sizes} do not make {expected} samples.", "each in exactly one", "report this")

    def lines(self, samples: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What identifies each sample, with the reason why one is not scored."""
        reasons = {i: {"unscored": reason} for i, reason in self.unscored.items()}
        return [{**sample, **reasons.get(i, {})} for i, sample in enumerate(samples)]


def account(
    samples: Sequence[Sample | None], found: Extraction, counts: Counts, extractors: Sequence[str], score: Score
) -> Outcome:
    """Says what became of each sample under a metric.

    Args:
        samples: Sample i, None where there is none.
        found: Their features, and why some have none.
        counts: Recorded failures.
        extractors: Those of the metric, by name.
        score: What it gave.

    Raises:
        IntegrityError: The metric scored another number of samples than have a value.
    """
    failed = {i: reason for i, (_, reason) in counts.failures.items()} | found.unreadable
    scored, unscored, missing = set(), dict[int, str](), set()
    for i in range(counts.expected):
        if i in failed:
            continue
        if i >= len(samples) or samples[i] is None:
            missing.add(i)
            continue
        reason = next((found.reasons.get((e, i), UNDEFINED) for e in extractors if found.features[e][i] is None), "")
        if not reason and score.per_sample is not None and np.isnan(score.per_sample[i]):
            reason = score.reasons.get(i, UNDEFINED)
        if not reason and score.num_scored == 0:
            reason = score.reasons.get(i, "too few clips for the metric")
        if reason:
            unscored[i] = reason
        else:
            scored.add(i)
    outcome = Outcome(frozenset(scored), unscored, failed, frozenset(missing))
    outcome.check(counts.expected)
    if len(scored) != score.num_scored:
        found_words = f"The metric scored {score.num_scored} samples, and {len(scored)} have a value."
        raise IntegrityError(found_words, "as many: num_scored, and NaN for each unscored sample", "mend the metric")
    return outcome


def identify(
    samples: Sequence[Sample | None], found: Extraction, counts: Counts, warned: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Any]]:
    """What identifies each sample: id, text, labels, digests and warnings, or the reason why it is not there."""
    lines: list[dict[str, Any]] = []
    for i, sample in enumerate(samples):
        if sample is None:
            name, reason = counts.failures.get(i, ("", ""))
            lines.append({"missing": True, **({"id": name, "failed": reason} if name else {})})
            continue
        content = found.contents[i]
        known = {k: v for k, v in vars(content).items() if v} if content else {}
        unreadable = {"unreadable": found.unreadable[i]} if i in found.unreadable else {}
        labels = {"labels": dict(sample.labels)} if sample.labels else {}
        odd = {name: ids[sample.source.id] for name, ids in warned.items() if sample.source.id in ids}
        said = {"warnings": odd} if odd else {}
        lines.append({"id": sample.source.id, "text": sample.text, **labels, **known, **unreadable, **said})
    return lines


def describe_fitting(contents: Sequence[Content | None]) -> str:
    """What a record says of lossy clips whose sound was brought to the length of their picture; "" if none was."""
    fitted = [(int(c.fitted), int(c.size.rpartition("@")[2])) for c in contents if c and c.fitted]
    if not fitted:
        return ""
    most, rate = max(fitted, key=lambda pair: abs(pair[0]))
    what = f"the sound of {len(fitted)} lossy clips was cut or completed with silence to the length of their picture"
    return f"{what}, by up to {abs(most)} samples ({1000 * abs(most) / rate:.0f} ms)"


SIZE = re.compile(r"(\d+)x(\d+)x(\d+)@([\d./]+)\+(\d+)@(\d+)")  # of Clip.size


def length_of(size: str) -> tuple[float, bool]:
    """Length of the shorter half of a clip [s], and whether it has sound, from its size."""
    match = SIZE.fullmatch(size)
    if match is None:
        raise ValueError(f"{size!r} is no size of a clip")
    top, _, bottom = match[4].partition("/")
    video, sound = int(match[1]) * float(bottom or 1) / float(top), int(match[5]) / int(match[6])
    return (min(video, sound) if sound else video), sound > 0


def in_words(size: str) -> str:
    """A clip's size for a reader: "2 s of 64x64 at 8 fps, sound of 2 s at 16 kHz"."""
    match = SIZE.fullmatch(size)
    if match is None:
        return size
    frames, height, width, samples, rate = (int(match[k]) for k in (1, 2, 3, 5, 6))
    top, _, bottom = match[4].partition("/")
    fps = float(top) / float(bottom or 1)
    sound = f"sound of {samples / rate:.3g} s at {rate / 1000:g} kHz" if samples else "no sound"
    return f"{frames / fps:.3g} s of {height}x{width} at {fps:.4g} fps, {sound}"


def compare_formats(reference: Sequence[str], evaluated: Sequence[str]) -> dict[str, Any]:
    """What a record says of clips whose length, size or rates are not those of the real ones; {} if all agree.

    Args:
        reference: Sizes of the real clips, as `Clip.size` gives them.
        evaluated: Sizes of the clips that are scored.
    """
    theirs, ours = (sorted({in_words(size) for size in sizes}) for sizes in (reference, evaluated))
    if not theirs or theirs == ours:
        return {}
    sides = (f"{len(side)} formats, such as {side[0]}" if len(side) > 3 else "; ".join(side) for side in (theirs, ours))
    real, scored = sides
    return {"differs": f"real clips are {real}; evaluated ones {scored}"}
