"""`mmbench train`: a discriminator for a guidable pair, from real clips of a dataset and pairs the base models make."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmbench.baselines.kinds.discriminators import discriminator_stem, pairing_suffix
from mmbench.baselines.kinds.pair import DiffusionPair
from mmbench.console import log
from mmbench.errors import BusyError, StoppedError, UsageError
from mmbench.experiments.training.bases import BaseModels, PairDescription, describe
from mmbench.experiments.training.filling import fill_pools
from mmbench.experiments.training.memory import Measured, announce, free_memory, predict
from mmbench.experiments.training.pools import Pool
from mmbench.experiments.training.settings import TrainSettings
from mmbench.experiments.training.stored import fill_stored_draws
from mmbench.files import append_line, make_folder, remove_unfinished
from mmbench.leases import STALE, LeaseTable
from mmbench.mmdisco.pairing import read_pairing
from mmbench.registry import discover, lookup, make_dataset
from mmbench.runs.circumstances import invocation
from mmbench.runs.generate import Shard, StopSignal
from mmbench.system_names import make_system, parse_system_name, read_options
from mmbench.types import Dataset

if TYPE_CHECKING:
    from mmbench.mmdisco.training_config import TrainConfig


def load_guidable(settings: TrainSettings, dataset: Dataset) -> BaseModels:
    """The base models of the system that a training is for; refuses systems that cannot be guided."""
    name = settings.system
    parsed = parse_system_name(name)
    if parsed.addition:
        found = f"{name!r} names a guided system, or a choice of samples."
        design = f" --discriminator {parsed.design}" if parsed.design else ""
        raise UsageError(found, "the pair alone", f"--system {parsed.alone}{design}")
    if not lookup("system", parsed.base).guidable:
        guidable = ", ".join(e.name for e in discover("system")[0].values() if e.guidable)
        found = f"{name!r} is not a pair of diffusion models: there is nothing to train a discriminator for."
        raise UsageError(found, f"one of {guidable or 'none registered yet'}", "mmbench list systems")
    common = {"device": settings.device, "weights": settings.weights, "dtype": settings.dtype}
    options = read_options(settings.system_options, [name])[name]
    return BaseModels(lambda: make_system(name, dataset=dataset, **common, **options))


def train_discriminator(settings: TrainSettings) -> dict[str, Any]:
    """Trains a discriminator: encodes real pairs, generates fake ones, trains; every part resumes where it was stopped.

    Returns:
        Path of the weights, steps, and the last losses.
    """
    settings.refuse_impossible()
    dataset = make_dataset(settings.dataset)
    bases = load_guidable(settings, dataset)
    pair = describe(bases, dataset, settings) if settings.stored_draws else bases.pair
    from mmbench.mmdisco.training_config import TrainConfig

    design = pair.discriminator(settings.discriminator, **settings.sizes)
    given: dict[str, Any] = {"loss": settings.loss, **settings.options}
    pairing = read_pairing(settings.pairing)
    config = TrainConfig(replace(design, pairing=pairing), **given)
    if pair.coupled:
        _refuse_halves_of_their_own(settings)
    shape = "".join(f"-{k}{v}" for k, v in sorted(settings.sizes.items()))
    shape += pairing_suffix(pairing)
    usual = f"{discriminator_stem(settings.name, dataset, bases.weights, bases.label)}{shape}-s{config.seed}"
    folder = settings.out / (settings.folder or usual)
    make_folder(folder)  # every process of a launcher writes its invocation there
    with _hold_training(folder):
        remove_unfinished(settings.pools, folder)
        return _train(settings, config, dataset, bases, pair, folder)


def _refuse_halves_of_their_own(settings: TrainSettings) -> None:
    """Raise UsageError for settings that take the halves of a coupled model apart."""
    if settings.re_pair:
        found = f"--re-pair: {settings.system} makes the video and the audio of a pair together."
        raise UsageError(found, "models that make each modality on its own", "the same command without --re-pair")
    if settings.pairing != "index":
        found = f"--pairing {settings.pairing}: {settings.system} predicts both halves at once, at one timestep."
        raise UsageError(found, "models that predict each modality on its own", "the same command without --pairing")


@contextmanager
def _hold_training(folder: Path) -> Iterator[None]:
    """Holds the lease of a training, so that no second process writes its checkpoints; one launcher counts as one.

    One that a process elsewhere holds without a sign of life is waited for: a job that goes on after its node was lost.
    """
    if Shard.from_environment(os.environ).rank:
        yield
        return
    leases = LeaseTable(folder / "leases")
    lease = leases.acquire("training")
    owner = leases.owner("training") or {}
    if lease is None and not leases.is_here(owner):
        log.warning(
            "%s was being trained on %s, which is watched for a sign of life, up to %.0f minutes.",
            *(folder, owner.get("host"), STALE / 60),
        )
        lease = leases.await_silence("training")
    if lease is None:
        found = f"{folder} is being trained by process {owner.get('pid')} on {owner.get('host')}."
        raise BusyError(found, "one process, or one launcher, per training", "wait for it, or another --seed")
    try:
        yield
    finally:
        lease.release()


def _train(
    settings: TrainSettings,
    config: TrainConfig,
    dataset: Dataset,
    bases: BaseModels,
    pair: DiffusionPair | PairDescription,
    folder: Path,
) -> dict[str, Any]:
    from mmbench.mmdisco.checkpoint import refuse_other_pairs
    from mmbench.mmdisco.pairs import RePaired
    from mmbench.mmdisco.training import train

    require = partial(refuse_other_pairs, folder)
    pool_seed = config.seed if settings.pool_seed is None else settings.pool_seed
    real, pool = fill_pools(settings, dataset, bases, pair.encodes, pool_seed, require)
    fake = RePaired(pool, config.seed) if settings.re_pair else pool
    names, stored, beside = [real.name, pool.name], None, " beside the base models"
    if isinstance(pair, PairDescription):
        assert isinstance(real, Pool)  # `fill_pools` refuses to store draws of others
        stored = fill_stored_draws(settings, config, dataset, bases, pair, real, pool_seed, require)
        bases.free()
        names.append(stored.name)
        beside = ""
    shown = {k: str(v) if isinstance(v, Path) else v for k, v in vars(settings).items() if k != "command"}
    append_line(folder / "invocations.jsonl", invocation(list(settings.command), shown))
    lost = len(real.lost) if isinstance(real, Pool) else 0
    of_real = f"{len(real)} real pairs{f', {lost} more cannot be read' if lost else ''}"
    memory, _ = announce(config, free_memory(pair.device), lambda other: predict(other, pair), beside)
    drawn = f", {stored.draws} stored draws of each" if stored else ""
    stop = StopSignal("the step in hand is finished and a checkpoint stored first; Ctrl-C again leaves it")
    with Measured(folder, memory, pair.device), stop.listening():
        result = train(
            config,
            pair,
            real,
            fake,
            folder,
            device=pair.device,
            pairs=names,
            trained_on=f"{dataset.name} ({of_real}{drawn}), {bases.label} ({len(pool)} generated pairs"
            f"{', re-paired' * settings.re_pair}){f', pools of seed {pool_seed}' if pool_seed != config.seed else ''}",
            stored=stored,
            stop=lambda: stop.name,
        )
    if stop.name:  # what would follow, such as the next cell of a sweep, is not wanted
        found = f"Stopped by {stop.name} after the last step; the weights are stored in {folder}."
        raise StoppedError(found, "", "the same command again shows them")
    last = result.losses[-1] if result.losses else {}
    return {
        "discriminator": str(settings.name),
        "weights": str(result.weights),
        "steps": result.steps,
        "resumed at": result.resumed_at,
        **({"real pairs that cannot be read": lost} if lost else {}),
        **{k: f"{v:.4f}" for k, v in last.items() if k != "step"},
    }
