"""Which discriminator guides a pair, and where its file is: given, trained here, released or shipped."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from mmbench.console import log
from mmbench.errors import MMBenchError, UsageError
from mmbench.mmdisco.design import read_config
from mmbench.mmdisco.pairing import Pairing
from mmbench.optional_protocols import HasLabel
from mmbench.system_names import SystemName
from mmbench.types import Dataset, Weights, is_untrained
from mmbench.weights import checkpoints as published
from mmbench.weights.file_digests import hash_files
from mmbench.weights.headers import require_whole

SHIPPED = Path(__file__).parents[1] / "data"


INDEPENDENT: Pairing = "independent"  # what is trained on every pair of levels knows those of any path
FOLDER_VARIABLE, DEFAULT_FOLDER = "MMBENCH_DISCRIMINATORS", "runs/discriminators"


@dataclass(frozen=True)
class Guide:
    """Which discriminator guides a pair with +mmdisco.

    Attributes:
        file: A discriminator that the user names; "" for the one that belongs to system and dataset.
        released: Name in `mmbench.weights.known` of the discriminator that +mmdisco-release asks for; "" for none.
        released_design: Its design.
        released_logit: Guide by the logit of the released code, which is flat where the discriminator is sure.
        untrained: Use random weights where there is no trained discriminator, to try the plumbing.
        label: Stands for the base models in names of files, where their own is a file's.
    """

    file: str = ""
    released: str = ""
    released_design: str = "res_mlp"
    released_logit: bool = False
    untrained: bool = False
    label: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.file, str | Path):
            found = f"discriminator={self.file!r} is no file."
            raise UsageError(found, "a discriminator's file", "--set discriminator=FILE")

    def refuse_other_designs(self, name: SystemName) -> None:
        """Raise UsageError if a name asks for a released discriminator of another design than the released one."""
        if name.option == "release" and name.design not in ("res_mlp", self.released_design):
            found = f"{name}: the released discriminator is a {self.released_design}."
            raise UsageError(found, f"{name.base}+mmdisco-release", "leave the design out")

    def find(self, name: SystemName, dataset: Dataset, weights: Weights, pairing: Pairing = "index") -> Path | None:
        """The discriminator's file; None if a discriminator with random weights is to be used.

        Args:
            name: The system.
            dataset: What it is trained on.
            weights: Kind of the base models' weights.
            pairing: How its training drew noise levels; a file that the user names may have another.

        Raises:
            UsageError: The file that the user names does not exist.
            MMBenchError: There is no discriminator; says how to get one.
        """
        if self.file:
            if not Path(self.file).is_file():
                raise UsageError(f"There is no file {self.file}.", "a discriminator", "mmbench train")
            require_whole(Path(self.file))
            return Path(self.file)
        try:
            if name.option == "release" and self.released:
                return published.verify(self.released).path
            return find_discriminator(name, dataset, weights, self.label, pairing)
        except MMBenchError:
            if not self.untrained:
                raise
            return None

    def knows_every_path(self, name: SystemName | None, dataset: Dataset) -> bool:
        """Whether the discriminator of trained base models was trained on independent noise levels; without one, no."""
        if name is None or not name.design:
            return False
        try:
            return pairing_of(self.find(name, dataset, "trained")) == INDEPENDENT
        except MMBenchError:  # said where the discriminator is needed
            return False

    def design(self, name: SystemName, path: Path | None) -> str:
        """The design that a discriminator's file declares, else the one of the system's name."""
        declared = read_config(path) if path else None
        if declared:
            return declared.design
        return str(self.released_design if name.option == "release" else name.design)


def pairing_of(path: Path | None) -> Pairing:
    """How a discriminator's training drew timesteps, as its file declares it; "index" for None and other files."""
    declared = read_config(path) if path else None
    return declared.pairing if declared else "index"


OWN_DISCRIMINATOR = Guide()  # the one that belongs to system and dataset


def file_digest(path: Path | None) -> str:
    """Digest of a discriminator's file, 32 hex digits; "random" for None."""
    return hash_files(path)[path.name][:32] if path else "random"


def discriminator_stem(name: SystemName, dataset: Dataset, weights: Weights, label: str = "") -> str:
    """The beginning of the name of a discriminator's folder, which its sizes and seed follow.

    It tells untrained base models from real ones, and folders of clips by their content, so that no discriminator
    guides what it was not trained for.

    Args:
        name: The guided system.
        dataset: What it is trained on.
        weights: Kind of the base models' weights.
        label: Stands for the base models instead of their name, which may be a file's.
    """
    untrained = f"-{weights}" if is_untrained(weights) else ""
    guided = replace(name, fast=False, base=label or name.base, argument="" if label else name.argument)
    return f"{guided}-{dataset.label if isinstance(dataset, HasLabel) else dataset.name}{untrained}"


def pairing_suffix(pairing: Pairing) -> str:
    """What follows stem and sizes in the name of a discriminator of other levels, so that none takes it for its own."""
    return f"-{pairing}" * (pairing != "index")


def find_discriminator(
    name: SystemName, dataset: Dataset, weights: Weights, label: str = "", pairing: Pairing = "index"
) -> Path:
    """The file of a guided system's discriminator: of `mmbench train` the one of the lowest seed, else a shipped one.

    Args:
        name: The system.
        dataset: What it was trained on.
        weights: Kind of the base models' weights.
        label: Of `discriminator_stem`.
        pairing: How its training drew noise levels; a shipped one of independent levels stands for all pairings.

    Raises:
        MMBenchError: There are none; says how to train them.
    """
    plain = discriminator_stem(name, dataset, weights, label)
    stem = plain + pairing_suffix(pairing)
    folder = Path(os.environ.get(FOLDER_VARIABLE, DEFAULT_FOLDER))
    trained = [p for p in folder.glob(f"{stem}-s*/discriminator.safetensors") if seed_of(p).isdecimal()]
    shipped = [SHIPPED / f"{plain}{pairing_suffix(one)}.safetensors" for one in (pairing, INDEPENDENT)]
    for path in (*sorted(trained, key=lambda p: int(seed_of(p))), *shipped):
        if path.is_file():
            if path not in shipped and any(file.is_file() for file in shipped):
                _say_whose(str(name), path)
            return path
    loss = f" --loss {name.option}" if name.option in ("all", "disc", "denoise") else ""
    remedy = f"mmbench train --system {name.alone} --dataset {dataset.name} --discriminator {name.design}{loss}"
    remedy += f" --pairing {pairing}" * (pairing != "index")
    apart = f" at {pairing} noise levels" * (pairing != "index")
    raise MMBenchError(
        f"{name} needs a discriminator trained on {dataset.name}{apart}, and there is none.",
        f"{folder / f'{stem}-s0' / 'discriminator.safetensors'}, or another folder in {FOLDER_VARIABLE}",
        f"{remedy} --out {folder}",
    )


@cache
def _say_whose(name: str, path: Path) -> None:
    """Say, once in a command, that a discriminator is not the one that the name stands for elsewhere."""
    log.warning("%s is guided by %s, which was trained here, not by the one that mmbench brings.", name, path)


def seed_of(weights: Path) -> str:
    """The seed in the name of a discriminator's folder, after the last "-s"."""
    return weights.parent.name.rpartition("-s")[2]
