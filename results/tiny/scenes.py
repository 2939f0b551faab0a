"""Are the balls those that the prompt asks for? Counts them, frame by frame, in runs of bounce.

    python results/tiny/scenes.py RUN ...
    python results/tiny/scenes.py --codec 400 --seed 907    # real clips, encoded and decoded

Shares of the samples of each run, by the number of balls that prompts ask for, with 95 % intervals (Wilson 1927). What
counts as right, number, material and constant is said at `Shown` in mmbench/datasets/bounce_world/seen_balls.py. A run
of ground_truth shows how often the detector itself is right.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmbench.baselines.kinds.discriminators import SHIPPED
from mmbench.baselines.models.tiny.networks import unpack
from mmbench.baselines.models.tiny.pair import pixels
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


def shown_by_codec(num: int, seed: int) -> dict[int, list[Shown]]:
    """What real clips of `bounce` show after the video codec of `tiny`, by the number of balls asked for."""
    codec: Any = unpack("video_codec", SHIPPED / "tiny.safetensors")
    reference, found = make_dataset("bounce").reference(num, seed), dict[int, list[Shown]]()
    for i in range(num):
        item = reference[i]
        frames = torch.from_numpy(item.clip.video).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.inference_mode():
            video = np.rint(255 * pixels(codec.decode(codec.encode(frames))).clip(0, 1)).astype(np.uint8)
        asked = item.prompt.data
        shown = judge(seen_balls(video), asked["material"], asked["num_balls"])
        found.setdefault(asked["num_balls"], []).append(shown)
    return found


def share(which: Sequence[bool]) -> str:
    """A share with its interval, for a table."""
    value = sum(which) / len(which)
    low, high = wilson_interval(value, len(which))
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def rows(name: str, found: Mapping[int, Sequence[Shown]]) -> None:
    """Print one run's rows."""
    for number, shown in sorted(found.items()):
        cells = [share([getattr(clip, rule) for clip in shown]) for rule in RULES]
        print(f"| {name} | {number} | {len(shown)} | " + " | ".join(cells) + " |")


def main(words: Sequence[str]) -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--codec", type=int, default=0, help="so many real clips after the codec")
    parser.add_argument("--seed", type=int, default=907, help="of those clips")
    arguments = parser.parse_args(words)
    print("| run | balls | n | " + " | ".join(RULES) + " |")
    print("|---" * (3 + len(RULES)) + "|")
    if arguments.codec:
        rows(f"codec, seed {arguments.seed}", shown_by_codec(arguments.codec, arguments.seed))
    for folder in arguments.runs:
        store = SampleStore.open(folder)
        rows(store.run.run_id, shown_by(store))
        status = store.status()
        if status.failed:
            print(f"\n{store.run.run_id}: {len(status.failed)} samples failed and are not counted.\n")


if __name__ == "__main__":
    main(sys.argv[1:])
