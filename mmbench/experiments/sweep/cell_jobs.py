"""The jobs of a cell: the training of its discriminator, and the run that is generated and scored with it.

DISCRIMINATORS/sweep/TRAINING/steps-000100.safetensors     weights after so many steps, beside the training itself

No discriminator of a sweep is what +mmdisco finds by itself: it is given to its run by its path.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmbench.baselines.kinds.discriminators import DEFAULT_FOLDER, FOLDER_VARIABLE, discriminator_stem
from mmbench.experiments.sweep.cells import Cell, Sweep
from mmbench.experiments.training.fakes import VERSION as FAKES_VERSION
from mmbench.experiments.training.settings import TrainSettings
from mmbench.identity import digest_of
from mmbench.jobs.settings import Settings
from mmbench.system_names import GUIDANCE, SystemName


def training_of(sweep: Sweep, cell: Cell) -> TrainSettings:
    """The training of a cell's discriminator.

    Its folder is named by all of it but the steps, so that it can grow, and not by how it will guide; a course of
    training has one of its own, for its points are weights on the way. All see the pairs of seed 0: what differs
    between training seeds is the discriminator's first weights, and the order and noise of the pairs.
    """
    row, seed = cell.row, cell.train_seed
    assert seed is not None
    of_bases = [text for text in sweep.run.options if text.partition("=")[0] not in GUIDANCE]
    options = {k: v for k, v in sweep.training.items() if k not in ("steps", "epochs")} | {"seed": seed}
    settings = TrainSettings(
        system=sweep.system,
        dataset=sweep.run.dataset,
        discriminator=row.design,
        loss=row.loss,
        num_real=sweep.num_real,
        num_fake=sweep.num_fake,
        sizes=dict(row.sizes),
        options=options,
        system_options=of_bases,
        weights=sweep.run.weights,
        device=sweep.run.device,
        dtype=sweep.run.dtype,
        out=Path(os.environ.get(FOLDER_VARIABLE, DEFAULT_FOLDER)),
        quiet=sweep.run.quiet,
        command=sweep.run.command,
    )
    named_by: list[Any] = [
        FAKES_VERSION,
        sweep.num_real,
        sweep.num_fake,
        settings.sizes,
        options,
        of_bases,
        sweep.run.weights,
        *[sweep.run.dtype] * (sweep.run.dtype != "float32"),
    ]
    if any(other.part < 1 for other in sweep.grid.rows):
        named_by.append([sweep.table, sweep.training.get("steps"), sweep.training["epochs"]])
    stem = discriminator_stem(settings.name, sweep.dataset, "none")  # that weights are random is in the digest
    shape = "".join(f"-{k}{v}" for k, v in sorted(row.sizes.items()))
    folder = f"sweep/{stem}{shape}-s{seed}-{digest_of([stem, *named_by])[:8]}"
    rest = {"steps": sweep.steps(row), "micro_batch": sweep.micro_batch, "checkpointing": sweep.checkpointing}
    return replace(settings, options={**options, **rest}, folder=folder, pool_seed=0)


def weights_path(sweep: Sweep, cell: Cell) -> Path:
    """Path of a cell's weights, which are there once it is trained."""
    settings = training_of(sweep, cell)
    return settings.out / settings.folder / f"steps-{sweep.steps(cell.row):06d}.safetensors"


def lease_name(sweep: Sweep, cell: Cell) -> str:
    """Name of the lease that a process holds while it works on a cell: its training or run, which others may share."""
    if cell.row.design:
        return Path(training_of(sweep, cell).folder).name
    made = [sweep.run.dataset, cell.sample_seed, sweep.run.dtype, sweep.run.weights, list(sweep.run.options)]
    return f"{cell.row.control or sweep.system}-{digest_of(made)[:8]}".replace("/", "_")


def run_settings(sweep: Sweep, cell: Cell) -> Settings:
    """Settings of the run that generates and scores a cell."""
    row, job = cell.row, replace(sweep.run, seed=cell.sample_seed)
    if row.control:
        return replace(job, systems=(row.control,), options=())
    if not row.design:
        of_pair = [text for text in job.options if text.partition("=")[0] not in GUIDANCE]
        return replace(job, systems=(sweep.system,), options=of_pair)
    name = SystemName(sweep.system, row.design, "" if row.loss == "all" else row.loss)
    options = (*job.options, *row.options, f"discriminator={weights_path(sweep, cell)}")
    return replace(job, systems=(str(name),), options=options)
