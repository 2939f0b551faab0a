"""Videos that runs share: a cascade shows those of its video model, and finds them where that one's run made them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mmbench.console import log
from mmbench.errors import MMBenchError
from mmbench.optional_protocols import Videos
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import SampleStore
from mmbench.types import Clip, Request


def videos_for(run: RunSpec, out: Path) -> Videos:
    """A function that finds the video of a request in other runs under `out` that show the same videos.

    Runs are listed once; their samples are looked for when asked, so a run in progress serves, too. A clip from there
    says in its notes as `video_of` which run made the video. A damaged one is passed over with a warning.
    """
    stores = []
    for manifest in sorted(out.glob("*/manifest.json")):
        try:
            store = SampleStore.open(manifest.parent)
        except MMBenchError:  # `mmbench list runs` shows it; here it only has no videos to give
            continue
        if store.run.video == run.video != "" and store.run.digest != run.digest and store.samples.is_dir():
            stores.append(store)
    stores.sort(key=lambda store: store.run.video_of != "")  # those that made their videos themselves come first

    def find(request: Request) -> Clip | None:
        for store in stores:
            if not store.has(request.index):
                continue
            try:
                record = store.record(request.index)
                if record.prompt_id == request.prompt.id:
                    clip = store.source(request.index).load()
                    return replace(clip, notes={"video_of": store.run.run_id, **record.notes})
            except MMBenchError as error:
                log.warning("the video of sample %d is not taken from %s: %s", request.index, store.folder, error.found)
        return None

    return find
