"""A sweep as it is declared: a grid, what a user put in place of its published setting, and the cells of both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mmbench.dataset_names import published_name
from mmbench.experiments.sweep.grids import GRIDS, Grid, Row
from mmbench.identity import digest_of
from mmbench.jobs.opening import make_metrics, open_dataset
from mmbench.jobs.settings import Settings
from mmbench.types import Dataset, Metric


@dataclass(frozen=True)
class Cell:
    """One row under one training seed, None where nothing is trained, and one seed of its run."""

    row: Row
    train_seed: int | None
    sample_seed: int

    @property
    def name(self) -> str:
        """Label and training seed, as reports have it."""
        return self.row.label if self.train_seed is None else f"{self.row.label}, training seed {self.train_seed}"


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A grid under a user's settings; its dataset and metrics are opened once, when first needed.

    Attributes:
        table: Name of the grid.
        run: How cells are generated and scored; its systems are not used.
        system: The pair.
        training: Fields of TrainConfig; with "steps", whole trainings have so many instead of epochs.
        num_real: Real pairs; all the dataset has if None.
        num_fake: Generated pairs.
        train_seeds: Trainings of every discriminator, with seeds from 0, on the same pairs.
        sample_seeds: Runs of every row, with seeds from that of `run`; above 1 only with one training.
        rows: Labels of the rows that are wanted; all if empty.
        micro_batch: Pairs in memory at once in training, which changes no number; None for the whole batch.
        checkpointing: Compute activations again instead of keeping them, which changes no number either.
    """

    table: str
    run: Settings
    system: str
    training: dict[str, Any]
    num_real: int | None = None
    num_fake: int = 1000
    train_seeds: int = 1
    sample_seeds: int = 1
    rows: Sequence[str] = ()
    micro_batch: int | None = None
    checkpointing: bool = False

    @property
    def grid(self) -> Grid:
        """The grid's published setting."""
        return GRIDS[self.table]

    @cached_property
    def cells(self) -> list[Cell]:
        """Every row under one seed, then under the next: tables fill from coarse to fine."""
        wanted = [row for row in self.grid.rows if not self.rows or row.label in self.rows]
        seeds, samplings = range(self.train_seeds), [self.run.seed + k for k in range(self.sample_seeds)]
        return [Cell(row, None, sampling) for sampling in samplings for row in wanted if not row.design] + [
            Cell(row, seed, sampling) for sampling in samplings for seed in seeds for row in wanted if row.design
        ]

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that the numbers of this sweep have in common."""
        run = self.run
        common = {"system": self.system, "dataset": run.dataset, "n": run.num_samples, "seed": run.seed}
        how = {"dtype": run.dtype, "weights": run.weights, "options": list(run.options)}
        pools = {"num_real": self.num_real, "num_fake": self.num_fake}
        samplings = {"sampled": "repeatedly"} if self.sample_seeds > 1 else {}
        return {"table": self.table, **common, **how, **pools, "training": self.training, **samplings}

    @property
    def id(self) -> str:
        """Name of the sweep's file, by grid, pair, dataset, samples, seed and a digest of the identity."""
        clean = "".join(c if c.isalnum() or c in "+_-." else "_" for c in f"{self.system}-{self.run.dataset}")
        return f"{self.table}-{clean}-n{self.run.num_samples}-s{self.run.seed}-{digest_of(self.identity)[:8]}"

    @property
    def file(self) -> Path:
        """The sweep's log, in the folder of its runs."""
        return self.run.out / f"{self.id}.jsonl"

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset of all cells."""
        return open_dataset(self.run.dataset)

    @cached_property
    def available(self) -> int:
        """Real pairs that a training sees."""
        return len(self.dataset.reference(self.num_real, 0))

    @cached_property
    def metrics(self) -> list[Metric]:
        """Columns: those of the settings, else those that the dataset recommends."""
        return make_metrics(self.run, self.dataset)

    def steps(self, row: Row) -> int:
        """Steps that a row's training has."""
        whole = self.training.get("steps")
        if whole is None:
            whole = math.ceil(self.training["epochs"] * self.available / self.training["batch_size"])
        return max(1, round(row.part * whole))

    def x(self, row: Row) -> float | None:
        """The place of a row on the axis of a curve; None in a table."""
        if row.x is not None or not self.grid.axis:
            return row.x
        return self.steps(row) * self.training["batch_size"] / self.available


def declare_sweep(
    table: str,
    run: Settings,
    *,
    system: str | None = None,
    training: Mapping[str, Any],
    num_real: int | None = None,
    num_fake: int | None = None,
    train_seeds: int | None = None,
    sample_seeds: int = 1,
    rows: Sequence[str] = (),
    micro_batch: int | None = None,
    checkpointing: bool = False,
) -> Sweep:
    """Makes the sweep of a grid; what is None or absent is as published.

    Args:
        table: Name of the grid.
        run: How cells are generated and scored. An empty dataset is the published one, under whose metrics the columns
            are those of the paper unless `run` names others.
        system: The pair.
        training: Fields of TrainConfig; those that are None are left as published.
        num_real: Real pairs; all the dataset has if None.
        num_fake: Generated pairs.
        train_seeds: Trainings of every discriminator; None as published, or 1 where `sample_seeds` is above 1.
        sample_seeds: Runs of every row, with seeds from that of `run`.
        rows: Labels of the rows that are wanted; all if empty.
        micro_batch: Pairs in memory at once in training.
        checkpointing: Compute activations again instead of keeping them.
    """
    grid = GRIDS[table]
    dataset = run.dataset or grid.dataset
    columns = grid.metrics if published_name(dataset) == grid.dataset else ()
    trainings = 1 if sample_seeds > 1 else grid.train_seeds
    return Sweep(
        table=table,
        run=replace(run, dataset=dataset, metrics=tuple(run.metrics or columns)),
        system=system or grid.system,
        training={**grid.training, **{k: v for k, v in training.items() if v is not None}},
        num_real=num_real,
        num_fake=grid.num_fake if num_fake is None else num_fake,
        train_seeds=trainings if train_seeds is None else train_seeds,
        sample_seeds=sample_seeds,
        rows=tuple(rows),
        micro_batch=micro_batch,
        checkpointing=checkpointing,
    )
