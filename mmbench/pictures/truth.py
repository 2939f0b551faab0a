"""True times of events, where they are known: of clips that show or sound the real clip of their row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from mmbench.baselines.ground_truth import STREAM
from mmbench.errors import MMBenchError
from mmbench.identity import digest_of
from mmbench.optional_protocols import KnowsEvents
from mmbench.pictures.columns import Column
from mmbench.registry import make_dataset
from mmbench.runs.spec import make_requests
from mmbench.types import Clip, Item, Request


@dataclass(frozen=True)
class Look:
    """Tells true times of events in clips of one row, by comparing them with its real clip.

    Attributes:
        of: Digest of what makes the real clip; "" where none is known.
        make: Makes it; called for the first clip alone.
        key: The name of the times in `Item.truth`.
    """

    of: str = ""
    make: Callable[[], Item] | None = None
    key: str = ""

    def __call__(self, clip: Clip) -> Mapping[str, Sequence[float]]:
        """True times [s] of a clip of that row, by modality: of those it shares with the real clip.

        Equal content alone counts, so a clip that was made has none, and a real video with another sound has those of
        its video.
        """
        if self.make is None:
            return {}
        times, real = self._real
        found = {"video": clip.video_digest(), "audio": clip.audio_digest()}
        return {half: times for half, digest in found.items() if digest == real[half]}

    @cached_property
    def _real(self) -> tuple[list[float], dict[str, str]]:
        assert self.make is not None
        item = self.make()
        digests = {"video": item.clip.video_digest(), "audio": item.clip.audio_digest()}
        return [float(t) for t in item.truth[self.key]], digests


@dataclass(frozen=True)
class Truth:
    """True event times of a report's rows.

    Attributes:
        name: What the events are, for a legend; "" where nothing knows any.
        rows: Of each row what tells them.
        note: Why they are unknown though they might not be; "" otherwise.
    """

    name: str = ""
    rows: Sequence[Look] = ()
    note: str = ""

    def of_row(self, row: int) -> Look:
        """What tells true times of a clip of that row."""
        return self.rows[row] if self.rows else Look()


UNKNOWN = Truth()


def find_truth(columns: Sequence[Column], rows: Sequence[Sequence[int | None]]) -> Truth:
    """True event times of rows of samples: those that the dataset of their runs knows of its real clips.

    Args:
        columns: Sets of samples; the first run among them says which dataset and seed.
        rows: Of each row the index of each column's sample; None where it has none.
    """
    k = next((k for k, c in enumerate(columns) if c.run is not None and not c.is_submission), None)
    run = None if k is None else columns[k].run
    if k is None or run is None:
        return UNKNOWN
    try:
        dataset = make_dataset(run.dataset)
    except MMBenchError as error:
        return Truth(note=f"True times of events are not looked for: {error.found}")
    if not isinstance(dataset, KnowsEvents):
        return UNKNOWN
    indices = [row[k] for row in rows]
    requests = make_requests(dataset, 1 + max((i for i in indices if i is not None), default=-1), run.seed)

    def make(request: Request) -> Item:
        return dataset.real(request, STREAM)

    def look(i: int) -> Look:
        of = digest_of([dict(dataset.spec()), dataset.event_times, run.seed, i])
        return Look(of, partial(make, requests[i]), dataset.event_times)

    return Truth(dataset.events, [Look() if i is None else look(i) for i in indices])
