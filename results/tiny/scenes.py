"""Are the balls those that the prompt asks for? Counts them, frame by frame, in runs of bounce.

    python results/tiny/scenes.py RUN ...

Shares of the samples of each run, by the number of balls that prompts ask for, with 95 % intervals (Wilson 1927). What
counts as right, number, material and constant is said at `Shown` in mmbench/datasets/bounce_world/seen_balls.py. A run
of ground_truth shows how often the detector itself is right.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from mmbench.dataset_names import parse_dataset_name
from mmbench.datasets.bounce_world.seen_balls import Shown, judge, seen_balls
from mmbench.errors import MMBenchError
from mmbench.pictures.events import BOUNCE
from mmbench.registry import make_dataset
from mmbench.runs.store import SampleStore
from mmbench.statistics.paired import wilson_interval

RULES = [field.name for field in fields(Shown)]


def shown_by(store: SampleStore) -> dict[int, list[Shown]]:
    """What a run's samples show, by the number of balls that their prompts ask for.

    Raises:
        MMBenchError: It is no run of a bounce dataset, or has no sample.
    """
    run, present = store.run, store.status().present
    if parse_dataset_name(run.dataset).base not in BOUNCE or not present:
        found = f"{store.folder} holds {len(present)} samples of {run.dataset}."
        raise MMBenchError(found, f"samples of {' or '.join(BOUNCE)}", "mmbench run -s tiny -d bounce -n 64")
    prompts = make_dataset(run.dataset).prompts(present[-1] + 1, run.seed)
    found: dict[int, list[Shown]] = {}
    for i in present:
        asked = prompts[i].data
        balls = seen_balls(store.source(i).load().video)
        found.setdefault(asked["num_balls"], []).append(judge(balls, asked["material"], asked["num_balls"]))
    return found


def share(which: Sequence[bool]) -> str:
    """A share with its interval, for a table."""
    value = sum(which) / len(which)
    low, high = wilson_interval(value, len(which))
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def main(folders: Sequence[str]) -> None:
    """Print the table as Markdown."""
    print("| run | balls | n | " + " | ".join(RULES) + " |")
    print("|---" * (3 + len(RULES)) + "|")
    for folder in folders:
        store = SampleStore.open(Path(folder))
        found = shown_by(store)
        for number, shown in sorted(found.items()):
            cells = [share([getattr(clip, rule) for clip in shown]) for rule in RULES]
            print(f"| {store.run.run_id} | {number} | {len(shown)} | " + " | ".join(cells) + " |")
        status = store.status()
        if status.failed:
            print(f"\n{store.run.run_id}: {len(status.failed)} samples failed and are not counted.\n")


if __name__ == "__main__":
    main(sys.argv[1:])
