"""The base models of a training: loaded when their networks are needed, described on disk so that they need not be.

POOLS/SYSTEM-pair-0a1b….safetensors     schedules, shapes, unconditional texts, and the discriminator's config
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmbench.baselines.kinds.pair import DiffusionPair
from mmbench.console import log
from mmbench.errors import IntegrityError
from mmbench.experiments.training.settings import TrainSettings
from mmbench.files import make_folder
from mmbench.identity import digest_of
from mmbench.mmdisco.design import DiscriminatorConfig
from mmbench.mmdisco.schedule import Schedule
from mmbench.networks.devices import local_device
from mmbench.optional_protocols import HasLabel, batch_size_of
from mmbench.runs.spec import dataset_code, system_code
from mmbench.tensor_files import TensorFile, write_tensors
from mmbench.types import Dataset

if TYPE_CHECKING:
    from mmbench.mmdisco.seen import View


class BaseModels:
    """A guidable system's pair of base models, loaded when first asked for, until it is freed.

    Args:
        make: Makes the system, whose networks are not loaded by that.

    Attributes:
        label: What its pools and discriminators are filed under: its label, else its name.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self.label = self.system.label if isinstance(self.system, HasLabel) else self.system.name
        self.weights = self.system.weights
        self.identity = {**self.system.spec(), "code": system_code(self.system)}
        self.batch_size = batch_size_of(self.system)

    @cached_property
    def system(self) -> Any:
        """The system."""
        return self._make()

    @cached_property
    def pair(self) -> DiffusionPair:
        """Its pair."""
        pair: DiffusionPair = self.system.pair()
        return pair

    def free(self) -> None:
        """Let the networks go; they would be loaded anew."""
        import torch

        loaded = self.__dict__.pop("pair", None) is not None
        self.__dict__.pop("system", None)
        if loaded:
            gc.collect()
            torch.cuda.empty_cache()  # does nothing where no GPU was used


@dataclass(frozen=True, eq=False)
class DescribedSchedule:
    """A `Schedule` of any kind, as training reads it.

    Attributes:
        alphas_cumprod: (T,) float64.
        said: The schedule's own record.
    """

    alphas_cumprod: Any
    said: dict[str, Any]

    @property
    def num_train_timesteps(self) -> int:
        """T."""
        return len(self.alphas_cumprod)

    def record(self) -> dict[str, Any]:
        """What tells the schedule from others, JSON-able."""
        return self.said


@dataclass(frozen=True, eq=False)
class PairDescription:
    """What a training asks of a pair of base models besides the outputs of their networks.

    Attributes:
        schedules: Of video and audio.
        shapes: Of one video and one audio latent.
        unconditional: (video_text, audio_text) of the empty prompt; () for models without text.
        coupled: Whether each model sees both modalities.
        encodes: Whether a network encodes clips.
        config: Of the discriminator that is to be trained.
        view: What it sees of latents and texts; None for all as they are.
        device: Where the models would be.
    """

    schedules: tuple[Schedule, Schedule]
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    unconditional: tuple[Any, ...]
    coupled: bool
    encodes: bool
    config: DiscriminatorConfig
    view: View | None
    device: str

    def discriminator(self, design: str, **sizes: int) -> DiscriminatorConfig:
        """The config of a discriminator, which is described for one design and its sizes."""
        return self.config

    def epsilon(self, x_t: Any, y_t: Any, t: Any, condition: Any) -> Any:
        """Refuse to predict: there are no networks."""
        raise RuntimeError("the base models are described, not loaded: what they predict is stored")


def digest_of_pool(bases: BaseModels, dataset: Dataset, **kind: Any) -> str:
    """12 hex digits of all that a pool's content depends on: base models, dataset, their code, what its kind needs."""
    data = {"name": dataset.name, "code": dataset_code(dataset), **dataset.spec()}
    return digest_of(json.loads(json.dumps({"system": bases.identity, "dataset": data, **kind})))[:12]


def describe(bases: BaseModels, dataset: Dataset, settings: TrainSettings) -> PairDescription:
    """Reads the description of a training's base models; without one loads them, and writes it down."""
    from mmbench.baselines.models.pipelines.pair_view import PairView
    from mmbench.mmdisco.seen import view_of

    design, sizes = settings.discriminator, settings.sizes
    digest = digest_of_pool(bases, dataset, kind="pair", design=design, sizes=sizes)
    file = settings.pools / f"{bases.label}-pair-{digest}.safetensors"
    if (known := _read_description(file)) is None:
        pair = bases.pair
        facts: dict[str, Any] = {
            "schedules": [schedule.record() for schedule in pair.schedules],
            "shapes": pair.shapes,
            "coupled": pair.coupled,
            "encodes": pair.encodes,
            "view": view.record() if (view := view_of(pair)) else None,
            "config": asdict(pair.discriminator(design, **sizes)),
        }
        tensors = {f"levels {k}": schedule.alphas_cumprod for k, schedule in enumerate(pair.schedules)}
        tensors |= {f"text {k}": text.contiguous() for k, text in enumerate(pair.unconditional)}
        make_folder(settings.pools)
        write_tensors(file, tensors, {"pair": json.dumps(facts)})
        known = json.loads(json.dumps(facts)), tensors
    stored, parts = known
    first, second = (DescribedSchedule(parts[f"levels {k}"], said) for k, said in enumerate(stored["schedules"]))
    video, audio = (tuple(shape) for shape in stored["shapes"])
    return PairDescription(
        schedules=(first, second),
        shapes=(video, audio),
        unconditional=tuple(tensor for name, tensor in parts.items() if name.startswith("text")),
        coupled=stored["coupled"],
        encodes=stored["encodes"],
        config=DiscriminatorConfig(**stored["config"]),
        view=PairView.from_record(stored["view"]) if stored["view"] else None,
        device=local_device(settings.device),
    )


def _read_description(file: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The facts and tensors of a description; None if there is none, or it is damaged, and then it goes."""
    if not file.exists():
        return None
    try:
        with TensorFile(file, "pt") as opened:
            return json.loads(opened.metadata["pair"]), {name: opened[name] for name in opened.names}
    except (IntegrityError, ValueError, KeyError) as error:
        log.warning("%s is damaged and made again: %s", file, error)
        file.unlink(missing_ok=True)
        return None
