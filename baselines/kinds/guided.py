"""What every pair of diffusion models shares: from requests to clips, alone or guided by a discriminator (MMDisCo).

A new pair is a `DiffusionPair`; `PairSystem` makes a system of it. Initial noise comes from the request's own streams,
so base and guided runs of a pair start from the same noise, whatever batch a sample is in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmbench.baselines.kinds.discriminators import find_discriminator
from mmbench.baselines.kinds.pair import DiffusionPair, Sampling
from mmbench.errors import MMBenchError, UsageError
from mmbench.system_names import SystemName
from mmbench.types import Clip, Dataset, Request, Spec, Weights
from mmbench.weights import checkpoints as published

if TYPE_CHECKING:
    pass


class PairSystem:
    """A `DiffusionPair` as a system: the pair alone, or with +mmdisco guided by a discriminator.

    Args:
        base: Registered name of the pair.
        load: Makes the pair; called once, when something is first generated, trained or guided.
        components: Name and digest of everything the pair is made of.
        weights: How far they are real.
        sampling: The pair's sampling, of which the run's spec tells.
        dataset: What is generated for; picks the discriminator.
        guidance: The name with +mmdisco; None for the pair alone.
        batch_size: Samples to be made at once unless a user says otherwise.
        discriminator: File of the discriminator, instead of the one that belongs to name and dataset.
        untrained_guide: Let a discriminator with random weights guide where none was trained, to try the plumbing.
        released: Name in `mmbench.weights.known` of the discriminator that +mmdisco-release asks for.
        released_design: Its design.
        released_logit: Guide by the logit of the released code, flat where the discriminator is sure.
        version: Raised by hand when the code changes what it draws.
    """

    def __init__(
        self,
        base: str,
        load: Callable[[], DiffusionPair],
        components: Spec,
        weights: Weights,
        sampling: Sampling,
        dataset: Dataset,
        guidance: SystemName | None = None,
        batch_size: int = 1,
        discriminator: str = "",
        untrained_guide: bool = False,
        released: str = "",
        released_design: str = "res_mlp",
        released_logit: bool = False,
        version: int = 1,
    ) -> None:
        self.name = str(guidance) if guidance else base
        self.weights: Weights = weights
        self.batch_size = batch_size
        self._base, self._load, self._sampling, self._version = base, load, sampling, version
        self._components, self._guidance, self._dataset = components, guidance, dataset
        self._given = discriminator
        self._untrained_guide, self._released, self._released_logit = untrained_guide, released, released_logit
        self._released_design = released_design
        if guidance and guidance.option == "release" and guidance.design not in ("res_mlp", released_design):
            found = f"{guidance}: the released discriminator is a {released_design}."
            raise UsageError(found, f"{base}+mmdisco-release", "leave the design out")

    @property
    def guided(self) -> bool:
        """Whether a discriminator guides it."""
        return self._guidance is not None

    @cached_property
    def _discriminator_path(self) -> Path | None:
        assert self._guidance is not None
        if self._given:
            if not Path(self._given).is_file():
                raise UsageError(f"There is no file {self._given}.", "a discriminator", "mmbench train")
            return Path(self._given)
        try:
            if self._guidance.option == "release" and self._released:
                return published.verify(self._released).path
            return find_discriminator(self._guidance, self._dataset, self.weights)
        except MMBenchError:
            if not self._untrained_guide:
                raise
            return None

    def spec(self) -> Spec:
        """Components and their digests, sampling, and the discriminator's digest where there is one."""
        sampling = asdict(self._sampling)
        joint_scale = sampling.pop("joint_scale")
        spec = {"system": self._base, "version": self._version, "components": self._components, "sampling": sampling}
        if self._guidance is None:
            return spec
        path = self._discriminator_path
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32] if path else "random"
        guided = {"design": self._design, "option": self._guidance.option, "weights": digest}
        guided |= {"logit": "released"} if self._released_logit else {}
        return {**spec, "mmdisco": {**guided, "joint_scale": joint_scale}}

    @cached_property
    def _design(self) -> str:
        """Of the discriminator that guides: what its file says, for a file may be given; else what the name says."""
        assert self._guidance is not None
        path = self._discriminator_path
        if path is not None and path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="np") as file:
                if config := (file.metadata() or {}).get("config"):
                    return str(json.loads(config)["design"])
        return self._released_design if self._guidance.option == "release" else str(self._guidance.design)

    @cached_property
    def _pair(self) -> DiffusionPair:
        return self._load()

    def pair(self) -> DiffusionPair:
        """The base models, for training a discriminator."""
        return self._pair

    @cached_property
    def _discriminator(self) -> Any:
        from mmbench.mmdisco.discriminator import load_discriminator

        path, device = self._discriminator_path, self._pair.device
        if path is None:
            return self._untrained().to(device)
        if self._guidance is not None and self._guidance.option == "release":
            return self._pair.released(path).requires_grad_(False)
        return load_discriminator(path, device=device).requires_grad_(False)

    def _untrained(self) -> Any:
        import torch

        from mmbench.mmdisco.discriminator import Discriminator

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = Discriminator(self._pair.discriminator(self._design))
        return model.requires_grad_(False).eval()

    def guide(self, text: tuple[Any, ...], unconditional: tuple[Any, ...]) -> Any:
        """What guides samples of these texts: the discriminator, its scales and what it reads."""
        from mmbench.mmdisco.guidance import Guidance, release_logit

        reads = self._discriminator.config.text
        return Guidance(
            self._discriminator,
            self._sampling.joint_scale,
            text if reads else (),
            unconditional if reads else (),
            release_logit if self._released_logit else None,
        )

    def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
        """Yield one clip per request, in order."""
        guide = self.guide if self.guided else None
        video, audio = self._pair.sample(requests, guide)
        yield from self._pair.decode(video, audio, requests)
