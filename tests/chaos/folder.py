"""A small folder of runs that holds every kind of file that mmbench writes and reads again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.chaos.forked import Outcome, command

DATASET = ("--dataset", "fixture_dataset")
METRICS = ("--metric", "fixture_metric", "--metric", "fvd_bounce")
JOB = (*DATASET, *METRICS, "-n", "3", "--workers", "1", "--format", "json")
RUN = ("run", "--system", "fixture_system", "--system", "fixture_pair", *JOB)
SMALL = ("--num-real", "2", "--num-fake", "2", "--device", "cpu")
TRAIN = ("train", "--system", "fixture_pair", *DATASET, *SMALL, "--out", "trained", "--format", "json")
TABLE = ("table", "--format", "json")
SWEEP = ("sweep", "table7", "--system", "tiny", "--dataset", "bounce", "-n", "2", "--metric", "ib_bounce_av", *SMALL)
SWEEP += ("--workers", "1", "--format", "json", "--steps", "1", "--train-batch-size", "2", "--out", "swept")
SWEEP += ("--row", "no guidance", "--row", "loss disc", "--set", "num_inference_steps=1")
STATS = (
    "stats",
    "export",
    *DATASET,
    "--metric",
    "fvd_bounce",
    "-n",
    "3",
    "--workers",
    "1",
    "--out",
    "real.safetensors",
)
BUILD: Sequence[Sequence[str]] = (
    RUN,
    ("generate", "--system", "fixture_pair", *DATASET, "-n", "3", "--pack"),
    ("evaluate", "fixture_system", *JOB),
    (*STATS, "--out", "real.safetensors"),
    ("pack", "runs", "--out", "packed.jsonl"),
    (*TRAIN, "--steps", "1"),
)


def build(folder: Path, sweep: bool) -> None:
    """Make the folder, with a sweep if asked for, which takes longer than all else.

    Raises:
        RuntimeError: A command failed.
    """
    folder.mkdir()
    for words in [*BUILD, *([SWEEP] if sweep else [])]:
        done = command(folder, words)
        if done.code != 0:
            raise RuntimeError(f"{' '.join(words)}: {done.code}\n{done.out}\n{done.err}")


def readers(file: str) -> list[tuple[str, ...]]:
    """The commands that look at a file of the folder, given by its path there: those that change nothing first."""
    place, _, rest = file.partition("/")
    run = rest.partition("/")[0]
    if place == "packed.jsonl":
        return [("table", "--out", file, "--format", "json")]
    if place == "real.safetensors":
        return [("evaluate", "fixture_system", "--reference", file, "--format", "json", "--workers", "1")]
    if place == "trained":
        return [(*TRAIN, "--steps", "2")]
    if place in ("swept", "discriminators"):
        return [("table", "--out", "swept", "--format", "json"), SWEEP]
    shown = [("show", run, "--format", "json")] if run.startswith("fixture") else []
    return [*shown, ("list", "runs", "--format", "json"), TABLE, ("evaluate", "fixture_system", *JOB), RUN]


def failed(done: Outcome) -> bool:
    """Whether a command hung, crashed, or ended with anything but the exit codes that mmbench has."""
    return done.code not in (0, 1, 2, 3, 4) or "Traceback" in done.err
