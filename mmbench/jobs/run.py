"""The whole job: generate, evaluate and compare, with its dataset and networks opened once: `mmbench run`."""

from __future__ import annotations

import time

from mmbench.errors import IncompleteError
from mmbench.jobs.evaluate import score_store
from mmbench.jobs.generate import generate_runs
from mmbench.jobs.opening import open_dataset, open_evaluation
from mmbench.jobs.settings import Settings
from mmbench.runs.generate import Shard
from mmbench.runs.store import SampleStore
from mmbench.scores.records import Scored


def run(settings: Settings) -> list[Scored]:
    """Generate, evaluate and record every system of a job.

    Of the processes of a launcher the first waits for the others and does what follows generation; theirs is [].

    Raises:
        IncompleteError: Samples are still missing: another process makes them.
    """
    dataset = open_dataset(settings.dataset)
    with open_evaluation(settings, dataset) as evaluation:
        evaluation.find_weights()  # what is missing ends here, not in hours
        stores = generate_runs(settings, dataset, scored=True)
        shard = settings.shard or Shard()
        if shard.rank:
            return []
        for store in stores:
            _require_all_samples(store, settings.num_samples, wait=shard.count > 1)
        n = settings.num_samples
        return [scored for store in stores for scored in score_store(settings, evaluation, store, n, dataset)]


def _require_all_samples(store: SampleStore, num: int, wait: bool) -> None:
    """Refuse to go on while samples are missing; `wait` for the processes that make them."""
    while (missing := len(store.status(num).missing)) and wait:
        time.sleep(1.0)  # if one of them dies, its launcher ends us, too
    if missing:
        raise IncompleteError(
            f"{store.folder.name} still lacks {missing} of {num} samples.",
            "all shards done",
            "the same command again when the other processes have finished",
        )
