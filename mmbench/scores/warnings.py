"""What a reader of scores must know of the clips behind them: duplicates, frozen pictures, silence, wrong rates.

Nothing of it stops a job or changes a number. Every finding is counted under its name, with the clips that have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmbench.features.content import Content
from mmbench.features.extract import Extraction, Sample
from mmbench.media.padding import CODEC_FRAME
from mmbench.metrics.extractors.anomalies import AudioAnomalies, VideoAnomalies
from mmbench.scores.accounting import SIZE, in_words
from mmbench.types import Extractor

REPEATED = 0.1  # share of frames: a rate raised from 24 to 25 repeats 0.04 of them, from 24 to 30 already 0.2
CLIPPED = 0.001  # share of samples: 2 ms of every 2 s in flat tops
IDS = 10  # of clips that a record names under one warning; the file of its samples names all
NAMED = 3  # that a line names

MEANINGS = {  # of each warning: what it says of the clips that it counts, in the order of reports
    "missing": "requested, and not there",
    "unexpected": "nothing of that name was requested, so it is not scored",
    "format": "another length, size or rate than requested",
    "duplicate": "picture and sound are those of an earlier clip",
    "duplicate_video": "the picture is that of an earlier clip, the sound is not",
    "duplicate_audio": "the sound is that of an earlier clip, the picture is not",
    "frozen": "the picture never changes",
    "repeated_frames": "more than a tenth of the frames repeat the one before",
    "no_audio": "no sound",
    "silent": "no sample of the sound is above -60 dBFS",
    "clipped": "more than 0.1 % of the samples are in flat tops at full scale",
    "sample_rate": "nothing above the Nyquist frequency of a lower sample rate than is declared",
    "lengths": "sound and picture differ in length",
    "unexamined": "looking for the above failed",
}
SAID_EARLIER = ("missing", "unexpected")  # where the clips were listed
Found = Mapping[str, Mapping[str, str]]  # name of a warning -> id of a clip -> what exactly, "" if the name says it


def anomaly_extractors(extractors: Sequence[Extractor]) -> list[Extractor]:
    """The extractors that warnings rest on, for the pass in which clips are decoded for those of the metrics."""
    sizes = [e.batch_size for e in extractors if e.modality != "text"]
    size = 1 if 1 in sizes else max(sizes, default=1)
    return [VideoAnomalies(size), AudioAnomalies(size)]


def find_warnings(samples: Sequence[Sample | None], found: Extraction, earlier: Found) -> dict[str, dict[str, str]]:
    """Everything that is odd about the clips of a run, by the name of the warning; `MEANINGS` has all names.

    Args:
        samples: Sample i, None where there is none.
        found: What they hold, with the features of `anomaly_extractors`.
        earlier: What was found when they were listed.
    """
    out: dict[str, dict[str, str]] = {name: dict(ids) for name, ids in earlier.items()}
    seen: dict[str, dict[str, str]] = {"duplicate": {}, "duplicate_video": {}, "duplicate_audio": {}}
    for i, sample in enumerate(samples):
        content = found.contents[i]
        if sample is None or content is None:
            continue
        video, audio = (found.features[name][i] or {} for name in (VideoAnomalies.name, AudioAnomalies.name))
        numbers = {name: float(value[0]) for name, value in (*video.items(), *audio.items())}
        for name, exactly in (*_odd(content, numbers), *_repeats(content, numbers, sample.source.id, seen)):
            out.setdefault(name, {})[sample.source.id] = exactly
        if why := [found.reasons[e, i] for e in (VideoAnomalies.name, AudioAnomalies.name) if (e, i) in found.reasons]:
            out.setdefault("unexamined", {})[sample.source.id] = why[0]
        asked, got = in_words(sample.requested), in_words(content.size)  # to three digits: a sample more is no other
        if asked and asked != got:
            out.setdefault("format", {})[sample.source.id] = f"{got}; requested: {asked}"
    return {name: out[name] for name in MEANINGS if out.get(name)}


def _odd(content: Content, numbers: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Names of what is odd about one clip, each with what exactly."""
    match = SIZE.fullmatch(content.size)
    has_audio = match is None or match[5] != "0"
    if numbers.get("frozen"):
        yield "frozen", ""
    elif (share := numbers.get("repeated", 0.0)) > REPEATED:
        yield "repeated_frames", f"{100 * share:.0f} % of the frames"
    if not has_audio:
        yield "no_audio", ""
    elif numbers.get("silent"):
        yield "silent", ""
    if (share := numbers.get("clipped", 0.0)) > CLIPPED:
        yield "clipped", f"{100 * share:.2g} % of the samples"
    if (rate := numbers.get("lower_rate", 0.0)) and "opus" not in content.codecs:  # Opus knows 48 kHz alone
        yield "sample_rate", f"as sampled at about {rate / 1000:g} kHz"
    if match is not None and has_audio and (words := compare_lengths(content)):
        yield "lengths", words


def compare_lengths(content: Content) -> str:
    """The lengths of a clip's picture and sound in words, where they differ by more than can be expected; else "".

    Expected is a frame of the picture and, of lossy sound, a frame of its codec. The sound counts as the file had it,
    before it was fitted to the picture.
    """
    match = SIZE.fullmatch(content.size)
    if match is None:
        return ""
    top, _, bottom = match[4].partition("/")
    fps, rate = float(top) / float(bottom or 1), int(match[6])
    picture, sound = int(match[1]) / fps, (int(match[5]) - int(content.fitted or 0)) / rate
    lossy = CODEC_FRAME / rate if content.codecs.endswith("lossy") else 0.0
    if abs(picture - sound) <= 1 / fps + lossy:
        return ""
    return f"{picture:.3g} s of picture, {sound:.3g} s of sound"


def _repeats(
    content: Content, numbers: Mapping[str, float], name: str, seen: Mapping[str, dict[str, str]]
) -> Iterator[tuple[str, str]]:
    """Which earlier clip this one repeats, whole, or in picture or sound; silence repeats nothing."""
    halves = {"duplicate_video": content.video, "duplicate_audio": content.audio}
    if numbers.get("silent") or "+0@" in content.size:
        del halves["duplicate_audio"]
    whole = {"duplicate": content.video + content.audio}
    for kinds in (whole, halves):
        known = [(kind, seen[kind][digest]) for kind, digest in kinds.items() if digest in seen[kind]]
        for kind, digest in kinds.items():
            seen[kind].setdefault(digest, name)
        if known:
            yield from ((kind, f"as {earlier}") for kind, earlier in known)
            if kinds is whole:
                return


def summarize(found: Found) -> dict[str, dict[str, Any]]:
    """What a record keeps: the count of each warning, and its first clips with what exactly."""
    return {name: {"n": len(ids), "ids": dict(list(ids.items())[:IDS])} for name, ids in found.items()}


def describe(summary: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line for each warning of a record: "frozen, 3 clips: the picture never changes (a; b; c)"."""
    lines = []
    for name, about in summary.items():
        ids = [f"{clip}: {exactly}" if exactly else clip for clip, exactly in list(about["ids"].items())[:NAMED]]
        more = f" and {about['n'] - len(ids)} more" if about["n"] > len(ids) else ""
        count = f"{about['n']} {'clip' if about['n'] == 1 else 'clips'}"
        lines.append(f"{name}, {count}: {MEANINGS.get(name, name)} ({'; '.join(ids)}{more})")
    return lines
