"""A submission: who sends which records of which runs, as JSON lines that carry checksums.

line 1    {"kind": "submission", "format", "mmbench", "team", "version", "link", "licence", "date", "lines", "sha256"}
then      {"kind": "run", **manifest, "dataset_digest", "sha256"}                               one per run
          {"kind": "record", "run", "record", "prompts", "clips", "samples", "sha256"}          its records below it

`prompts` and `clips` are digests of the texts and of the clips that were scored; `samples` lists these with their
values, or is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mmbench.identity import digest_of
from mmbench.runs.requests import line_digest
from mmbench.runs.spec import RunSpec
from mmbench.scores.records import Record

FORMAT_VERSION = 1  # raised when the lines change
Line = dict[str, Any]


@dataclass(frozen=True)
class Author:
    """Who sends records, and what may be done with them.

    Attributes:
        team: Who made the systems, or ran them.
        version: Of the systems, so that a name may come again.
        link: Page of the system; "" or http(s).
        licence: Under which the records may be shown.
        date: When they were sent, YYYY-MM-DD.
        mmbench: Version of mmbench that wrote them.
    """

    team: str
    version: str
    link: str
    licence: str
    date: str
    mmbench: str


@dataclass(frozen=True)
class Sample:
    """One sample behind a record.

    Attributes:
        id: In its run.
        text: Its prompt.
        video, audio: Digests of its halves; "" where it is missing or cannot be read.
        value: Of the metric; None where it is unscored, or the metric has no values per sample.
    """

    id: str
    text: str
    video: str
    audio: str
    value: float | None


@dataclass(frozen=True)
class Entry:
    """A record on a leaderboard, with what it must not travel without.

    Attributes:
        author: Who sent it.
        run: Identity of the run.
        record: The number.
        dataset_digest: Of the dataset's content; "" where a metric was given none.
        prompts: Digest of the texts, whatever their order.
        clips: Digest of the clips that were scored, in order.
        samples: What is behind the number; None where it was not sent.
        origin: File and line.
    """

    author: Author
    run: RunSpec
    record: Record
    dataset_digest: str
    prompts: str
    clips: str
    samples: tuple[Sample, ...] | None
    origin: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Team, system and version: one number of these under a protocol."""
        return self.author.team, self.record.system, self.author.version

    @property
    def name(self) -> str:
        """The same in words."""
        return " / ".join(self.key)


def digest_prompts(samples: Sequence[Sample]) -> str:
    """Digest of the texts of samples, whatever their order: what was asked for."""
    return digest_of(sorted(sample.text for sample in samples))


def digest_clips(samples: Sequence[Sample]) -> str:
    """Digest of the clips of samples, in order: what was scored."""
    return digest_of([[sample.video, sample.audio] for sample in samples])


def digest_dataset(about: Mapping[str, Any]) -> str:
    """Digest of a dataset's spec without that of its code, which changes where its clips do not."""
    return digest_of({k: v for k, v in about.items() if k != "code"})


def head_line(author: Author, lines: int) -> Line:
    """The first line of a submission of so many lines below it."""
    return _signed({"kind": "submission", "format": FORMAT_VERSION, **asdict(author), "lines": lines})


def run_line(run: RunSpec, dataset_digest: str) -> Line:
    """The line of a run."""
    return _signed({"kind": "run", **run.to_json(), "dataset_digest": dataset_digest})


def record_line(record: Record, samples: Sequence[Sample], with_samples: bool) -> Line:
    """The line of a record, with its samples or their digests alone."""
    sent = [asdict(sample) for sample in samples] if with_samples else None
    digests = {"prompts": digest_prompts(samples), "clips": digest_clips(samples)}
    return _signed({"kind": "record", "run": record.run_id, "record": asdict(record), **digests, "samples": sent})


def _signed(line: Line) -> Line:
    return {**line, "sha256": line_digest(line)}
