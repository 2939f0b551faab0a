"""True times of events, where they are known: of clips that show or sound the real clip of their row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from mmbench.baselines.ground_truth import STREAM
from mmbench.errors import MMBenchError
from mmbench.optional_protocols import KnowsEvents
from mmbench.pictures.columns import Column
from mmbench.registry import make_dataset
from mmbench.runs.spec import make_requests
from mmbench.types import Clip, Item, Request


@dataclass(frozen=True)
class Truth:
    """True event times of a report's rows.

    Attributes:
        name: What the events are, for a legend; "" where nothing knows any.
        items: Of each row what makes its real item; None where none is known.
        key: The name of the times in `Item.truth`.
        note: Why they are unknown though they might not be; "" otherwise.
    """

    name: str = ""
    items: Sequence[Callable[[], Item] | None] = ()
    key: str = ""
    note: str = ""

    def of_row(self, row: int) -> Callable[[Clip], Mapping[str, Sequence[float]]]:
        """What tells true times [s] of a clip of that row, by modality: of those it shares with the real clip.

        Equal content alone counts, so a clip that was made has none, and a real video with another sound has those of
        its video.
        """
        make = self.items[row] if self.items else None
        if make is None:
            return lambda clip: {}
        item = make()
        times = [float(t) for t in item.truth[self.key]]
        real = {"video": item.clip.video_digest(), "audio": item.clip.audio_digest()}

        def look(clip: Clip) -> dict[str, Sequence[float]]:
            found = {"video": clip.video_digest(), "audio": clip.audio_digest()}
            return {half: times for half, digest in found.items() if digest == real[half]}

        return look


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

    items = [None if i is None else partial(make, requests[i]) for i in indices]
    return Truth(dataset.events, items, dataset.event_times)
