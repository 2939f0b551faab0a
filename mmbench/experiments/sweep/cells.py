"""What a sweep is: its cells, what trains and runs each of them, and what is on disk of it.

DISCRIMINATORS/sweep/TRAINING/steps-000100.safetensors     weights after so many steps, beside the training itself

No discriminator of a sweep is what +mmdisco finds by itself: it is given to its run by its path.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mmbench.baselines.kinds.discriminators import DEFAULT_FOLDER, FOLDER_VARIABLE, discriminator_stem
from mmbench.errors import UsageError
from mmbench.experiments.sweep.grids import GRIDS, Grid, Row
from mmbench.experiments.training.train import TrainSettings
from mmbench.identity import digest_of
from mmbench.jobs.generate import plan as plan_runs
from mmbench.jobs.opening import make_metrics, open_dataset, prepare
from mmbench.jobs.settings import Settings
from mmbench.registry import discover, lookup
from mmbench.runs.generate import Shard
from mmbench.runs.store import SampleStore
from mmbench.scores.evaluate import signature
from mmbench.scores.records import read_records
from mmbench.system_names import GUIDANCE, SystemName, options_of, read_options
from mmbench.types import Dataset, Metric, full_name


@dataclass(frozen=True)
class Cell:
    """One row under one training seed; None where nothing is trained."""

    row: Row
    train_seed: int | None

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return self.row.label if self.train_seed is None else f"{self.row.label}, training seed {self.train_seed}"


@dataclass(frozen=True)
class State:
    """What is on disk of a cell.

    Attributes:
        trained: Whether its weights are there; True where nothing is trained.
        run: Id of its run, which is known once the weights are there; else "".
        present: Samples.
        failed: Samples with a recorded failure.
        scored: Metrics with a record of these samples by the code as it is.
    """

    trained: bool
    run: str = ""
    present: int = 0
    failed: int = 0
    scored: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sweep:
    """A grid with what a user put in place of its published setting.

    Attributes:
        table: Name of the grid.
        run: How cells are generated and scored; its systems are not used.
        system: The pair.
        training: Fields of TrainConfig; with "steps", whole trainings have so many instead of epochs.
        num_real: Real pairs; all the dataset has if None.
        num_fake: Generated pairs.
        train_seeds: Trainings of every discriminator, with seeds from 0, on the same pairs.
        rows: Labels of the rows that are wanted; all if empty.
    """

    table: str
    run: Settings
    system: str
    training: dict[str, Any]
    num_real: int | None = None
    num_fake: int = 1000
    train_seeds: int = 1
    rows: Sequence[str] = field(default_factory=tuple)

    @property
    def grid(self) -> Grid:
        """The declaration."""
        return GRIDS[self.table]

    @cached_property
    def cells(self) -> list[Cell]:
        """Every row under one seed, then under the next: tables fill from coarse to fine."""
        wanted = [row for row in self.grid.rows if not self.rows or row.label in self.rows]
        seeds = range(self.train_seeds)
        return [Cell(row, None) for row in wanted if not row.design] + [
            Cell(row, seed) for seed in seeds for row in wanted if row.design
        ]

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that the numbers of this sweep have in common."""
        run = self.run
        common = {"system": self.system, "dataset": run.dataset, "n": run.num_samples, "seed": run.seed}
        how = {"dtype": run.dtype, "weights": run.weights, "options": list(run.options)}
        pools = {"num_real": self.num_real, "num_fake": self.num_fake}
        return {"table": self.table, **common, **how, **pools, "training": self.training}

    @property
    def id(self) -> str:
        """Name of the file of this sweep."""
        clean = "".join(c if c.isalnum() or c in "+_-." else "_" for c in f"{self.system}-{self.run.dataset}")
        return f"{self.table}-{clean}-n{self.run.num_samples}-s{self.run.seed}-{digest_of(self.identity)[:8]}"

    @property
    def file(self) -> Path:
        """Where it is written what was asked and what became of it."""
        return self.run.out / f"{self.id}.jsonl"

    @cached_property
    def dataset(self) -> Dataset:
        """Opened once for what does not depend on a cell."""
        return open_dataset(self.run.dataset)

    @cached_property
    def available(self) -> int:
        """Real pairs that a training sees."""
        return len(self.dataset.reference(self.num_real, 0))

    @cached_property
    def metrics(self) -> list[Metric]:
        """Columns: those asked for, else of the published setting, or of another dataset its own."""
        return make_metrics(self.run, self.dataset)

    def steps(self, row: Row) -> int:
        """Steps that a row's training has."""
        whole = self.training.get("steps")
        if whole is None:
            whole = math.ceil(self.training["epochs"] * self.available / self.training["batch_size"])
        return max(1, round(row.part * whole))

    def x(self, row: Row) -> float | None:
        """Where a row stands on the axis of a curve."""
        if row.x is not None or not self.grid.axis:
            return row.x
        return self.steps(row) * self.training["batch_size"] / self.available

    def training_of(self, cell: Cell) -> TrainSettings:
        """What trains a cell's discriminator.

        Its folder is named by all of it but the steps, so that it can grow, and not by how it will guide; a course of
        training has one of its own, for its points are weights on the way. All see the pairs of seed 0: what differs
        between training seeds is the discriminator's first weights, and the order and noise of the pairs.
        """
        row, seed = cell.row, cell.train_seed
        assert seed is not None
        of_bases = [text for text in self.run.options if text.partition("=")[0] not in GUIDANCE]
        options = {k: v for k, v in self.training.items() if k not in ("steps", "epochs")} | {"seed": seed}
        settings = TrainSettings(
            system=self.system,
            dataset=self.run.dataset,
            discriminator=row.design,
            loss=row.loss,
            num_real=self.num_real,
            num_fake=self.num_fake,
            sizes=dict(row.sizes),
            options=options,
            system_options=of_bases,
            weights=self.run.weights,
            device=self.run.device,
            out=Path(os.environ.get(FOLDER_VARIABLE, DEFAULT_FOLDER)),
            quiet=self.run.quiet,
            command=self.run.command,
        )
        about: list[Any] = [
            self.num_real,
            self.num_fake,
            settings.sizes,
            options,
            of_bases,
            self.run.weights,
        ]
        if any(other.part < 1 for other in self.grid.rows):
            about.append([self.table, self.training.get("steps"), self.training["epochs"]])
        stem = discriminator_stem(settings.name, self.dataset, "none")  # what is random is told by the digest
        shape = "".join(f"-{k}{v}" for k, v in sorted(row.sizes.items()))
        folder = f"sweep/{stem}{shape}-s{seed}-{digest_of([stem, *about])[:8]}"
        return replace(settings, options={**options, "steps": self.steps(row)}, folder=folder, pool_seed=0)

    def weights(self, cell: Cell) -> Path:
        """Where the weights of a cell lie once it is trained."""
        settings = self.training_of(cell)
        return settings.out / settings.folder / f"steps-{self.steps(cell.row):06d}.safetensors"

    def lease(self, cell: Cell) -> str:
        """What a process holds while it is at a cell: its training or run, which others may share."""
        if cell.row.design:
            return Path(self.training_of(cell).folder).name
        made = [self.run.dataset, self.run.seed, self.run.dtype, self.run.weights, list(self.run.options)]
        return f"{cell.row.control or self.system}-{digest_of(made)[:8]}".replace("/", "_")

    def run_of(self, cell: Cell) -> Settings:
        """What generates and scores a cell."""
        row = cell.row
        if row.control:
            return replace(self.run, systems=(row.control,), options=())
        if not row.design:
            return replace(self.run, systems=(self.system,))
        name = SystemName(self.system, row.design, "" if row.loss == "all" else row.loss)
        options = (*self.run.options, *row.options, f"discriminator={self.weights(cell)}")
        return replace(self.run, systems=(str(name),), options=options)

    def check(self) -> None:
        """Refuse what would fail in every cell, before anything is made."""
        self.run.check()
        labels = [row.label for row in self.grid.rows]
        for label in self.rows:
            if label not in labels:
                raise UsageError(f"{self.table} has no row {label!r}.", f"one of {', '.join(labels)}", "--row LABEL")
        if self.train_seeds < 1 or self.num_fake < 1 or (self.num_real is not None and self.num_real < 1):
            raise UsageError("There would be nothing to train.", "numbers from 1", "--train-seeds 1 --num-fake 1000")
        if any(self.training.get(k, 1) <= 0 for k in ("steps", "epochs", "batch_size", "learning_rate")):
            raise UsageError(f"{self.training} cannot train.", "numbers above 0", "--steps 1400 --batch-size 16")
        if Shard.from_environment(os.environ).count > 1:
            raise UsageError("A sweep is one process.", "the same command, started several times", "no launcher")
        if self.run.dataset == self.grid.dataset and self.run.dataset not in discover("dataset")[0]:
            found = f"{self.table} was measured on {self.run.dataset} at 256x256 with captions, no dataset of ours."
            raise UsageError(found, "its clips in a folder, with a table file,prompt", "--dataset folder:PATH")
        entry = lookup("system", self.system)
        if not entry.guidable or "discriminator" not in options_of(entry):
            found = f"{self.system} cannot be guided by a discriminator that it is given."
            raise UsageError(found, "a pair such as tiny or mm_diffusion", "mmbench list systems")
        read_options(self.run.options, [self.system])
        for metric in self.metrics:
            for extractor in metric.extractors():
                prepare(extractor)

    def state(self, cell: Cell) -> State:
        """Look at the disk."""
        if cell.row.design and not self.weights(cell).is_file():
            return State(False)
        (plan,) = plan_runs(self.run_of(cell))
        folder, n = self.run.out / plan.run.run_id, self.run.num_samples
        if not folder.is_dir():
            return State(True, plan.run.run_id)
        status = SampleStore.open(folder).status(n)
        records = [r for r in read_records(folder) if r.n_expected == n and r.n_present == len(status.present)]
        known = {(r.metric, _without_size(r.signature)) for r in records}
        names = [full_name(m) for m in self.metrics if (full_name(m), _without_size(signature(m, ()))) in known]
        return State(True, plan.run.run_id, len(status.present), len(status.failed), tuple(names))

    def is_done(self, state: State) -> bool:
        """Whether nothing is left to do of a cell."""
        made = state.present + (0 if self.run.retry_failed else state.failed)
        return state.trained and made == self.run.num_samples and len(state.scored) == len(self.metrics)


def _without_size(signature: str) -> str:
    return re.sub(r"\|size:[^|]*", "", signature)
