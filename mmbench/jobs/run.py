"""What the commands do: plan, generate, evaluate, compare. The command line only parses and prints."""

from __future__ import annotations

import time

from mmbench.errors import IncompleteError
from mmbench.jobs.evaluate import evaluate_run, table_of
from mmbench.jobs.generate import generate_runs
from mmbench.jobs.opening import make_metrics, prepare
from mmbench.jobs.settings import Settings
from mmbench.registry import make_dataset
from mmbench.runs.generate import Shard
from mmbench.tables.compare import Cell


def run(settings: Settings) -> list[list[Cell]]:
    """Generate, evaluate and record every system; returns one list of cells per metric.

    Of the processes of a launcher the first waits for the others and does what follows generation; theirs is [].

    Raises:
        IncompleteError: Samples are still missing: another process makes them.
    """
    for metric in make_metrics(settings, make_dataset(settings.dataset)):  # what is wrong ends here, not in hours
        for extractor in metric.extractors():
            prepare(extractor)
    stores = generate_runs(settings, scored=True)
    shard = settings.shard or Shard()
    if shard.rank:
        return []
    for store in stores:
        while shard.count > 1 and store.status(settings.num_samples).missing:
            time.sleep(1.0)  # if one of them dies, its launcher ends us, too
        missing = len(store.status(settings.num_samples).missing)
        if missing:
            raise IncompleteError(
                f"{store.folder.name} still lacks {missing} of {settings.num_samples} samples.",
                "all shards done",
                "the same command again when the other processes have finished",
            )
    records = [evaluate_run(settings, store.folder) for store in stores]
    return table_of([(s.folder, r) for s, rs in zip(stores, records, strict=True) for r in rs])
