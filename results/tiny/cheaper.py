"""Prints what cheaper guidance costs and loses: paired differences to guidance at every evaluation, per metric.

    python results/tiny/cheaper.py RUNS bounce

RUNS holds runs of `tiny+mmdisco-res_frieren` with various guided_every and guided_steps, on the same seed; gradients
are counted of the 25 evaluations of the sampler.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mmbench.scores.records import Scored, read_records, read_scored
from mmbench.statistics.paired import paired_difference

STEPS = 25


def gradients(every: int, steps: list[int] | None) -> int:
    """Gradients that a run of the sampler computes."""
    first, end = steps or (0, STEPS)
    return -(-(min(end, STEPS) - first) // every)


def main(runs: Path, dataset: str) -> None:
    """Print the table of one world as Markdown."""
    found: dict[tuple[int, str], dict[str, Scored]] = {}
    for folder in sorted(runs.glob(f"tiny+mmdisco*-{dataset}-s*")):
        spec = json.loads((folder / "manifest.json").read_text())["spec"]["system"]["mmdisco"]
        every, steps = spec.get("guided_every", 1), spec.get("guided_steps")
        where = f"evaluations {steps[0]} to {steps[1] - 1}" if steps else "all"
        label = f"{where}, each {every}" if every > 1 else where
        scored = {
            r.metric.partition(".")[0]: read_scored(folder, r) for r in read_records(folder) if r.n_expected > 500
        }
        if scored:  # not the run that is being made
            found[gradients(every, steps), label] = scored
    full = found[STEPS, "all"]
    print("| guided | gradients | " + " | ".join(full) + " |")
    print("|---" * (len(full) + 2) + "|")
    for (count, label), scored in sorted(found.items(), reverse=True):
        cells = []
        for metric, record in full.items():
            if label == "all":
                cells.append(f"{record.record.value:.3f}")
                continue
            d = paired_difference(record.score, scored[metric].score)
            lost = "" if d.low <= 0 <= d.high else " !"
            cells.append(f"{d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}]{lost}")
        print(f"| {label} | {count} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
