"""Jobs that are killed, and what of their results must be the same as if nothing had happened."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mmbench.mmdisco.checkpoint import CHECKPOINT, PREVIOUS
from tests.chaos.starter import Command, Starter
from tests.vggsound_copy import write_copy

QUICK = "-d bounce --set num_inference_steps=2"
# Of a fact: when it was made, how long it took, both in one; and whether the repository is as committed, which it is
# not once the first attack has appended to its record there.
VOLATILE = {"time", "changed", "seconds", "checksum", "dirty"}
LOGS = {"invocations.jsonl", "resources.jsonl", ".lock"}  # of what happened, not of what was made


@dataclass(frozen=True)
class Job:
    """A command and the folder that it fills, below a root of its own.

    Attributes:
        command: Its words; ROOT is the root, SHARED a folder of inputs that all roots share.
        folder: Of its results, below the root.
        launched: Whether processes of a launcher may share it, by RANK and WORLD_SIZE.
    """

    command: str
    folder: str
    launched: bool = False

    def arguments(self, root: Path, shared: Path) -> list[str]:
        """The words of the command in one place."""
        return [word.replace("ROOT", str(root)).replace("SHARED", str(shared)) for word in self.command.split()]


JOBS: Mapping[str, Job] = {
    "generate": Job(f"generate -s tiny -n 6 --seed 1 --batch-size 2 {QUICK} --out ROOT/generate", "generate", True),
    "run": Job(
        f"run -s ground_truth -s tiny+mmdisco-res_frieren -n 3 --seed 2 {QUICK} --workers 1 -m av_align "
        "-m ib_bounce_av --out ROOT/run",
        "run",
        launched=True,
    ),
    "evaluate": Job(
        "evaluate SHARED/clips -d bounce --name mine -m av_align -m fvd_bounce --workers 1 --out ROOT/evaluate",
        "evaluate",
    ),
    "train": Job(
        "train -s tiny -d bounce --channels 32 --num-real 4 --num-fake 4 --batch-size 2 --steps 6 --workers 0 "
        "--set num_inference_steps=2 --out ROOT/train",
        "train",
    ),
    "sweep": Job(
        f"sweep table7 -s tiny -n 2 --steps 2 --num-real 4 --num-fake 4 --train-batch-size 2 {QUICK} -m av_align "
        "--workers 1 --out ROOT/sweep",
        "sweep",
    ),
    "stats": Job(
        "stats export -d bounce -m fvd_bounce -m fad_bounce -n 6 --workers 1 --cache ROOT/stats/runs "
        "--out ROOT/stats/bounce.safetensors",
        "stats",
    ),
    "prepare": Job("data prepare vggsound --root ROOT/prepare --workers 2", "prepare/prepared"),
}


def write_inputs(shared: Path, starter: Starter) -> None:
    """Write what jobs start from: clips to evaluate, and videos to prepare."""
    made = starter.start(["generate", "-s", "ground_truth", "-n", "4", "--seed", "5", "--out", shared / "runs"])
    assert made.wait(120) == 0, made.said
    (samples,) = (shared / "runs").glob("*/samples")
    (shared / "clips").mkdir()
    for clip in samples.glob("*.mkv"):
        shutil.copy(clip, shared / "clips")
    write_copy(shared / "videos")


def start_job(starter: Starter, name: str, root: Path, shared: Path, **variables: str) -> Command:
    """Start a job in its root, where its inputs come to if they are not there."""
    job = JOBS[name]
    if name == "prepare" and not (root / "prepare").exists():
        shutil.copytree(shared / "videos", root / "prepare")
    own = {"MMBENCH_DISCRIMINATORS": str(root / job.folder / "discriminators")}
    return starter.start(job.arguments(root, shared), **own, **variables)


def results_of(root: Path, job: Job) -> dict[str, Any]:
    """What a job has left, by file: digests, and the facts of records and manifests that do not tell when.

    Feature caches are left out: what they hold shows in the records.
    """
    folder = root / job.folder
    for spare in folder.rglob(PREVIOUS):  # of a training that was stopped, besides what an undisturbed one leaves
        assert _steps_of(spare) < _steps_of(spare.with_name(CHECKPOINT)), f"{spare} is no earlier checkpoint"
    files = [file for file in folder.rglob("*") if file.is_file() and "features" not in file.relative_to(folder).parts]
    return {str(f.relative_to(folder)): _told_by(f, root) for f in sorted(files) if f.name not in {*LOGS, PREVIOUS}}


def _steps_of(checkpoint: Path) -> int:
    return int(torch.load(checkpoint, weights_only=True)["step"])


def _told_by(file: Path, root: Path) -> Any:
    data = file.read_bytes()
    if file.suffix in (".json", ".jsonl"):
        texts = data.decode().split("\n") if file.suffix == ".jsonl" else [data.decode()]
        told = [_lasting(json.loads(text)) for text in texts if text]
        return sorted({json.dumps(fact, sort_keys=True).replace(str(root), "ROOT") for fact in told})
    return hashlib.sha256(data).hexdigest()


def _lasting(fact: Any) -> Any:
    if isinstance(fact, dict):
        return {k: _lasting(v) for k, v in fact.items() if k not in VOLATILE}
    return [_lasting(v) for v in fact] if isinstance(fact, list) else fact
