"""`mmbench train`: a discriminator for a guidable pair, from real clips of a dataset and pairs the base models make."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from mmbench.baselines.kinds.discriminators import discriminator_stem
from mmbench.baselines.kinds.pair import DiffusionPair
from mmbench.errors import BusyError, UsageError
from mmbench.experiments.training.fakes import VERSION as FAKES_VERSION
from mmbench.experiments.training.fakes import requests_of_fakes, texts_of
from mmbench.experiments.training.fresh_clips import CutsAnywhere, FreshClips
from mmbench.experiments.training.memory import Measured, announce, free_memory, predict
from mmbench.experiments.training.pools import CHUNK, Example, Pool
from mmbench.files import append_line
from mmbench.identity import digest_of
from mmbench.optional_protocols import batch_size_of
from mmbench.registry import discover, lookup, make_dataset
from mmbench.runs.circumstances import invocation
from mmbench.runs.generate import Shard
from mmbench.runs.leases import LeaseTable
from mmbench.runs.spec import system_code
from mmbench.system_names import SystemName, make_system, parse_system_name, read_options
from mmbench.types import LOSSES, Dataset


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """The settings of a training; None leaves a value to the library's default.

    Attributes:
        system: A guidable pair, without +mmdisco.
        dataset: Real pairs.
        discriminator: Design.
        loss: "all", "disc" or "denoise".
        num_real: Real pairs, encoded beforehand; None for all the dataset has, and for clips that are cut anew in every
            epoch where that takes no encoder (`FreshClips`).
        num_fake: Generated pairs, made before training.
        sizes: channels and num_blocks of the discriminator, where given.
        options: Further fields of `mmbench.mmdisco.training_config.TrainConfig`.
        system_options: Options of the system, "NAME=VALUE".
        weights: Of the system: "real", or "random" to try the plumbing.
        device: auto, cpu, cuda, cuda:1.
        dtype: Precision of the base models that generate pairs; "float32" for the system's own.
        out: Folder; pools of encoded pairs go to OUT/pools and are shared by designs and losses.
        command: What was typed.
        folder: Where below `out` the training goes; "" for a name made of system, dataset, sizes and seed, under which
            +mmdisco finds it.
        pool_seed: Of which pairs the pools hold; None for the training's. Trainings of one pool seed share pools.
        re_pair: Pair generated videos and audios of equal texts anew throughout (`mmbench.mmdisco.pairs.RePaired`).
    """

    system: str
    dataset: str
    discriminator: str = "res_mlp"
    loss: str = "all"
    num_real: int | None = None
    num_fake: int = 1000
    sizes: dict[str, int] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    system_options: Sequence[str] = ()
    weights: str = "real"
    device: str = "auto"
    dtype: str = "float32"
    out: Path = Path("runs/discriminators")
    quiet: bool = False
    command: Sequence[str] = ()
    folder: str = ""
    re_pair: bool = False
    pool_seed: int | None = None

    @property
    def name(self) -> SystemName:
        """The guided system that this training is for."""
        return SystemName(self.system, self.discriminator, "" if self.loss == "all" else self.loss)


def make_guidable_pair(
    name: str, dataset: Dataset, options: Sequence[str] = (), **common: Any
) -> tuple[Any, DiffusionPair]:
    """Makes the system called `name` and its pair of base models; refuses systems that cannot be guided.

    Args:
        name: The pair, without +mmdisco.
        dataset: Real pairs.
        options: Of the system, "NAME=VALUE".
        **common: Arguments of every system: device, dtype, weights.
    """
    parsed = parse_system_name(name)
    if parsed.addition:
        found = f"{name!r} names a guided system, or a choice of samples."
        design = f" --discriminator {parsed.design}" if parsed.design else ""
        raise UsageError(found, "the pair alone", f"--system {parsed.base}{design}")
    if not lookup("system", name).guidable:
        guidable = ", ".join(e.name for e in discover("system")[0].values() if e.guidable)
        found = f"{name!r} is not a pair of diffusion models: there is nothing to train a discriminator for."
        raise UsageError(found, f"one of {guidable or 'none registered yet'}", "mmbench list systems")
    system = make_system(name, dataset=dataset, **common, **read_options(options, [name])[name])
    return system, system.pair()


def train_discriminator(settings: TrainSettings) -> dict[str, Any]:
    """Trains a discriminator: encodes real pairs, generates fake ones, trains; every part resumes where it was stopped.

    Returns:
        Path of the weights, steps, and the last losses.
    """
    if settings.loss not in LOSSES:
        raise UsageError(f"--loss is {settings.loss!r}.", ", ".join(LOSSES), "--loss all")
    if settings.num_fake < 1 or (settings.num_real is not None and settings.num_real < 1):
        raise UsageError("The pools would be empty.", "at least one real and one generated pair", "--num-fake 1000")
    dataset = make_dataset(settings.dataset)
    common = {"device": settings.device, "weights": settings.weights, "dtype": settings.dtype}
    system, pair = make_guidable_pair(settings.system, dataset, settings.system_options, **common)
    from mmbench.mmdisco.training_config import TrainConfig

    config = TrainConfig(
        discriminator=pair.discriminator(settings.discriminator, **settings.sizes),
        loss=settings.loss,
        **settings.options,
    )
    if settings.re_pair and pair.coupled:
        found = f"--re-pair: {settings.system} makes the video and the audio of a pair together."
        raise UsageError(found, "models that make each modality on its own", "the same command without --re-pair")
    shape = "".join(f"-{k}{v}" for k, v in sorted(settings.sizes.items()))
    usual = f"{discriminator_stem(settings.name, dataset, system.weights)}{shape}-s{config.seed}"
    folder = settings.out / (settings.folder or usual)
    folder.mkdir(parents=True, exist_ok=True)  # every process of a launcher writes its invocation there
    with _hold_training(folder):
        return _train(settings, config, dataset, system, pair, folder)


@contextmanager
def _hold_training(folder: Path) -> Iterator[None]:
    """Holds the lease of a training, so that no second process writes its checkpoints; one launcher counts as one."""
    if Shard.from_environment(os.environ).rank:
        yield
        return
    leases = LeaseTable(folder / "leases")
    with leases.hold("training") as lease:
        if lease is None:
            owner = leases.owner("training") or {}
            found = f"{folder} is being trained by process {owner.get('pid')} on {owner.get('host')}."
            raise BusyError(found, "one process, or one launcher, per training", "wait for it, or another --seed")
        yield


def _train(
    settings: TrainSettings, config: Any, dataset: Dataset, system: Any, pair: DiffusionPair, folder: Path
) -> dict[str, Any]:
    from mmbench.mmdisco.pairs import RePaired
    from mmbench.mmdisco.training import train

    pool_seed = config.seed if settings.pool_seed is None else settings.pool_seed
    real, pool = _fill_pools(settings, dataset, system, pair, pool_seed)
    fake = RePaired(pool, config.seed) if settings.re_pair else pool
    shown = {k: str(v) if isinstance(v, Path) else v for k, v in vars(settings).items() if k != "command"}
    append_line(folder / "invocations.jsonl", invocation(list(settings.command), shown))
    memory, _ = announce(config, free_memory(pair.device), lambda other: predict(other, pair))
    with Measured(folder, memory, pair.device):
        result = train(
            config,
            pair,
            real,
            fake,
            folder,
            device=pair.device,
            pairs=[real.name, pool.name],
            trained_on=f"{dataset.name} ({len(real)} real pairs), {settings.system} ({len(pool)} generated pairs"
            f"{', re-paired' * settings.re_pair}){f', pools of seed {pool_seed}' if pool_seed != config.seed else ''}",
        )
    last = result.losses[-1] if result.losses else {}
    return {
        "discriminator": str(settings.name),
        "weights": str(result.weights),
        "steps": result.steps,
        "resumed at": result.resumed_at,
        **{k: f"{v:.4f}" for k, v in last.items() if k != "step"},
    }


def _fill_pools(
    settings: TrainSettings, dataset: Dataset, system: Any, pair: DiffusionPair, seed: int
) -> tuple[Pool | FreshClips, Pool]:
    """Fills the pools of encoded real and generated pairs that trainings of one system, dataset and seed share."""
    fresh = settings.num_real is None and not pair.encodes and isinstance(dataset, CutsAnywhere)
    items = dataset.reference(settings.num_real, seed)
    texts = texts_of(items)
    common = {"system": {**system.spec(), "code": system_code(system)}, "dataset": dict(dataset.spec()), "seed": seed}
    kinds: dict[str, dict[str, Any]] = {
        "real": {"kind": "real"},
        "fake": {"kind": "fake", "version": FAKES_VERSION, "texts": digest_of(texts)},
    }
    key = {name: digest_of(json.loads(json.dumps({**common, **kind})))[:12] for name, kind in kinds.items()}
    pools = settings.out / "pools"

    def encode(indices: list[int]) -> list[Example]:
        with ThreadPoolExecutor() as threads:  # clips are decoded ahead of the one that is encoded
            return [pair.encode(item) for item in threads.map(items.__getitem__, indices)]

    real: Pool | FreshClips
    if fresh:
        real = FreshClips(cast(CutsAnywhere, dataset), pair.encode, seed, f"{settings.system}-fresh-{key['real']}")
    else:
        real = Pool(pools / f"{settings.system}-real-{key['real']}", len(items))
        real.fill(encode, CHUNK, "encode real pairs", settings.quiet)
    fake = Pool(pools / f"{settings.system}-fake-{key['fake']}", settings.num_fake)
    requests = requests_of_fakes(texts, settings.num_fake, seed)
    batch = batch_size_of(system)
    fake.fill(lambda indices: pair.draw([requests[i] for i in indices]), batch, "generate pairs", settings.quiet)
    return real, fake
