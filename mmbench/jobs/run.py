"""The whole job: generate, evaluate and compare, with its dataset and networks opened once: `mmbench run`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from mmbench.errors import IncompleteError
from mmbench.jobs.evaluate import run_samples, score_store
from mmbench.jobs.generate import make_samples, plan, plan_generation, wait_for_others
from mmbench.jobs.given_clips import clips_of_dataset
from mmbench.jobs.opening import open_dataset, open_evaluation
from mmbench.jobs.settings import Settings
from mmbench.leases import STALE
from mmbench.markup import visible
from mmbench.progress import track
from mmbench.runs.store import SampleStore
from mmbench.scores.progress import plan_scoring
from mmbench.scores.records import Scored
from mmbench.tables.format import with_error
from mmbench.tables.marks import short_names


def run(settings: Settings) -> list[Scored]:
    """Generate, evaluate and record every system of a job, each as soon as it is whole, and say its first numbers.

    The processes of a launcher share generation and features; the first of them scores, and what the others return
    is [].

    Raises:
        IncompleteError: Samples are still missing: another process makes them.
    """
    dataset = open_dataset(settings.dataset)
    num, first = settings.num_samples, not settings.follows
    given = [clips_of_dataset(dataset, num, settings.seed)] if settings.suite else []
    with open_evaluation(settings, dataset, given) as evaluation, track(settings.quiet or not first) as job:
        evaluation.find_weights()  # what is missing ends here, not in hours
        plans = plan(settings, dataset, scored=True)
        making = plan_generation(job, settings, plans)
        scoring = plan_scoring(job, evaluation.sizes, [(p.run.system, num) for p in plans] if first else [])
        made: Iterable[tuple[int, SampleStore]] = make_samples(settings, plans, making)
        if settings.processes > 1:  # the shares of all processes come before features and scores
            made = list(made)
        found: dict[int, list[Scored]] = {}
        for k, store in made:
            if settings.processes > 1:
                wait_for_others(store, num, job)
            _require_all_samples(store, num)
            if not first:
                evaluation.compute_features(store.run, run_samples(store, num, dataset)[0])
                continue
            found[k] = score_store(evaluation, store, num, dataset, scoring[k])
            if not settings.quiet:
                print(visible(describe_scores(found[k])), file=sys.stderr)
        return [one for k in sorted(found) for one in found[k]]


def describe_scores(scored: Sequence[Scored]) -> str:
    """The first numbers of a system in one line, excesses over shuffled pairs before all others."""
    records = [one.record for one in scored]
    names = short_names(r.metric for r in records)
    excess = [
        f"{names[r.metric]} excess {with_error(r.excess, r.excess_stderr)}" for r in records if r.excess is not None
    ]
    values = [f"{names[r.metric]} {with_error(r.value, r.stderr) or '-'}" for r in records]
    return f"{records[0].system}: {', '.join([*excess, *values])}"


def _require_all_samples(store: SampleStore, num: int) -> None:
    if missing := len(store.status(num).missing):
        raise IncompleteError(
            f"{store.folder.name} still lacks {missing} of {num} samples.",
            "all shards done",
            "the same command again when the other processes have finished; the work of one that died on another "
            f"machine is taken over after {STALE / 60:.0f} minutes",
        )
