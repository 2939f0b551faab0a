"""The settings of `mmbench train`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmbench.errors import UsageError
from mmbench.mmdisco.pairing import read_pairing
from mmbench.system_names import SystemName, parse_system_name
from mmbench.types import LOSSES


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """The settings of a training with its data and base models; None leaves a value to the library's default.

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
        pairing: How training draws the noise levels of video and audio, one of `mmbench.mmdisco.pairing.PAIRINGS`.
        stored_draws: Draws of noise for each real pair that are made beforehand, with what the base models predict of
            them, so that none of these is in memory while the discriminator trains; 0 to draw anew in every step.
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
    pairing: str = "index"
    stored_draws: int = 0
    re_pair: bool = False
    pool_seed: int | None = None

    @property
    def name(self) -> SystemName:
        """The guided system that this training is for."""
        alone = parse_system_name(self.system)
        return replace(alone, design=self.discriminator, option="" if self.loss == "all" else self.loss)

    @property
    def pools(self) -> Path:
        """The folder of the pools, which all trainings of `out` share."""
        return self.out / "pools"

    def refuse_impossible(self) -> None:
        """Raise UsageError for settings that contradict each other, whatever the system and the dataset are."""
        if self.loss not in LOSSES:
            raise UsageError(f"--loss is {self.loss!r}.", ", ".join(LOSSES), "--loss all")
        if self.num_fake < 1 or (self.num_real is not None and self.num_real < 1):
            raise UsageError("The pools would be empty.", "at least one real and one generated pair", "--num-fake 1000")
        from mmbench.mmdisco.kernels.normalization import NUM_GROUPS

        channels, blocks = self.sizes.get("channels", NUM_GROUPS), self.sizes.get("num_blocks", 1)
        if channels < 1 or (channels % NUM_GROUPS and self.discriminator.startswith("res")):
            found = f"--channels is {channels}, and its layers are normalised in {NUM_GROUPS} groups."
            raise UsageError(found, f"a multiple of {NUM_GROUPS}", f"--channels {NUM_GROUPS}")
        if blocks < 1:
            raise UsageError(f"--blocks is {blocks}.", "a whole number from 1", "--blocks 2")
        read_pairing(self.pairing)
        if self.stored_draws < 0:
            found = f"--stored-draws is {self.stored_draws}."
            raise UsageError(found, "the draws of each real pair, or 0 for none beforehand", "--stored-draws 8")
        if self.stored_draws and self.loss == "disc":
            found = "--stored-draws: the loss disc asks nothing of the base models, so nothing of theirs can be stored."
            raise UsageError(found, "the loss all or denoise", "the same command without --stored-draws")
