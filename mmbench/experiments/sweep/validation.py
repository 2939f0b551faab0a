"""Refuses a sweep that would fail in every cell, before anything is made."""

from __future__ import annotations

from mmbench.errors import UsageError
from mmbench.experiments.sweep.cells import Sweep
from mmbench.features.extract import find_weights
from mmbench.registry import discover, lookup
from mmbench.system_names import options_of, read_options


def refuse_impossible(sweep: Sweep) -> None:
    """Refuses a sweep whose rows, numbers, dataset, system or metrics cannot be.

    Raises:
        UsageError: Says which, and what would do.
        MMBenchError: Weights of a metric's network are missing.
    """
    sweep.run.check()
    _refuse_rows_and_numbers(sweep)
    if sweep.run.dataset == sweep.grid.dataset and sweep.run.dataset not in discover("dataset")[0]:
        found = f"{sweep.table} was measured on {sweep.run.dataset} at 256x256 with captions, no dataset of ours."
        raise UsageError(found, "its clips in a folder, with a table file,prompt", "--dataset folder:PATH")
    entry = lookup("system", sweep.system)
    if not entry.guidable or "discriminator" not in options_of(entry):
        found = f"{sweep.system} cannot be guided by a discriminator that it is given."
        raise UsageError(found, "a pair such as tiny or mm_diffusion", "mmbench list systems")
    read_options(sweep.run.options, [sweep.system])
    for metric in sweep.metrics:
        for extractor in metric.extractors():
            find_weights(extractor)


def _refuse_rows_and_numbers(sweep: Sweep) -> None:
    labels = [row.label for row in sweep.grid.rows]
    for label in sweep.rows:
        if label not in labels:
            raise UsageError(f"{sweep.table} has no row {label!r}.", f"one of {', '.join(labels)}", "--row LABEL")
    if sweep.train_seeds < 1 or sweep.num_fake < 1 or (sweep.num_real is not None and sweep.num_real < 1):
        raise UsageError("There would be nothing to train.", "numbers from 1", "--train-seeds 1 --num-fake 1000")
    if sweep.sample_seeds < 1 or (sweep.sample_seeds > 1 and sweep.train_seeds > 1):
        found = (
            f"{sweep.sample_seeds} seeds of sampling of {sweep.train_seeds} trainings: their spread would be a mixture."
        )
        raise UsageError(found, "one training sampled several times, or several trainings", "--sample-seeds 5")
    if any(sweep.training.get(k, 1) <= 0 for k in ("steps", "epochs", "batch_size", "learning_rate")):
        raise UsageError(f"{sweep.training} cannot train.", "numbers above 0", "--steps 1400 --batch-size 16")
