"""Systems of a pair of diffusion models: from requests to clips, alone, guided (MMDisCo), or as the best of several.

A new pair is a `DiffusionPair`; `PairSystem` makes a system of it. Initial noise comes from the request's own streams,
so base and guided runs of a pair start from the same noise, whatever batch a sample is in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from mmbench.baselines.kinds.aligner import ALIGNER_SCALE, Aligner
from mmbench.baselines.kinds.best_of import BestOf, list_candidates
from mmbench.baselines.kinds.discriminators import OWN_DISCRIMINATOR, Guide, file_digest, pairing_of
from mmbench.baselines.kinds.pair import DiffusionPair, Sampling
from mmbench.mmdisco.pairing import Pairing, require_path
from mmbench.networks.devices import channels_last, deterministic_kernels
from mmbench.system_names import SystemName
from mmbench.types import Clip, Dataset, Request, Spec, Weights

VERSION = 1  # of what every pair's system draws; raised when its code changes it


class PairSystem:
    """A `DiffusionPair` as a system: alone, guided (+mmdisco, +aligner), or as the best of several (+bestof).

    Args:
        base: Registered name of the pair.
        load: Loads the pair; called once, when something is first generated, trained or guided.
        components: Name and digest of everything the pair is made of.
        weights: Kind of the base models' weights.
        sampling: The pair's sampling, which is part of the run's spec.
        dataset: The dataset that is generated for; picks the discriminator.
        guidance: The name with what follows the plus sign; None for the pair alone.
        batch_size: Samples to be made at once unless a user says otherwise; +bestof counts candidates.
        guide: Which discriminator guides it.
        aligner_scale: Weight of the gradient of +aligner.
    """

    scorer: ClassVar[str] = "ib_av"  # that +aligner raises, and +bestof chooses by unless the name has another

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
        guide: Guide = OWN_DISCRIMINATOR,
        aligner_scale: float = ALIGNER_SCALE,
    ) -> None:
        self.name = str(guidance) if guidance else base
        self.weights: Weights = weights
        self._best_of: BestOf | None = None
        self._aligner: Aligner | None = None
        if guidance and guidance.candidates:
            self._best_of = BestOf(guidance, self.scorer, weights)
        elif guidance and guidance.aligner:
            self._aligner = Aligner(guidance, self.scorer, weights, aligner_scale, sampling.guiding)
        self.batch_size = max(1, batch_size // (self._best_of.num if self._best_of else 1))
        self._base, self._load, self._sampling = base, load, sampling
        self.untrained_sizes: dict[str, int] = {}  # channels and num_blocks of a discriminator with random weights
        self._components, self._dataset, self._guide = components, dataset, guide
        self._guidance = guidance if guidance and guidance.design else None
        if self._guidance:
            guide.refuse_other_designs(self._guidance)
            if sampling.guiding.path != "fraction" and self._discriminator_path is not None:
                require_path(pairing_of(self._discriminator_path), sampling.guiding.path)

    @property
    def joined(self) -> bool:
        """Whether what is guided or chosen makes each half depend on the other."""
        return self.guided or self._best_of is not None

    @property
    def label(self) -> str:
        """What its discriminators are filed under."""
        return self._guide.label or self._base

    @property
    def guided(self) -> bool:
        """Whether a discriminator or an embedding guides it."""
        return self._guidance is not None or self._aligner is not None

    @cached_property
    def _discriminator_path(self) -> Path | None:
        assert self._guidance is not None
        pairing: Pairing = "index" if self._sampling.guiding.path == "fraction" else "independent"
        return self._guide.find(self._guidance, self._dataset, self.weights, pairing)

    @cached_property
    def _design(self) -> str:
        assert self._guidance is not None
        return self._guide.design(self._guidance, self._discriminator_path)

    def spec(self) -> Spec:
        """Components and their digests, sampling, and what guides or chooses with its digests."""
        sampling = asdict(self._sampling)
        joint_scale, guiding = sampling.pop("joint_scale"), self._sampling.guiding.spec()
        del sampling["guiding"]
        spec = {"system": self._base, "version": VERSION, "components": self._components, "sampling": sampling}
        if rival := self._best_of or self._aligner:
            return {**spec, **rival.spec()}
        if self._guidance is None:
            return spec
        digest = file_digest(self._discriminator_path)
        guided = {"design": self._design, "option": self._guidance.option, "weights": digest}
        guided |= {"logit": "released"} if self._guide.released_logit else {}
        pairing = pairing_of(self._discriminator_path)
        guided |= {"pairing": pairing} if pairing != "index" else {}
        return {**spec, "mmdisco": {**guided, "joint_scale": joint_scale, **guiding}}

    @cached_property
    def _pair(self) -> DiffusionPair:
        return self._load()

    def pair(self) -> DiffusionPair:
        """The base models, loaded when first asked for."""
        return self._pair

    @cached_property
    def _discriminator(self) -> Any:
        model = self._make_discriminator()
        channels_last(model)  # as its rows are: else cuDNN would turn every weight around in every call
        return model.requires_grad_(False)

    def _make_discriminator(self) -> Any:
        from mmbench.mmdisco.discriminator import load_discriminator

        path, device = self._discriminator_path, self._pair.device
        if path is None:
            return self._untrained().to(device)
        if self._guidance is not None and self._guidance.option == "release":
            return self._pair.released(path)
        return load_discriminator(path, device=device)

    def _untrained(self) -> Any:
        import torch

        from mmbench.mmdisco.discriminator import Discriminator
        from mmbench.networks.random_weights import fill_randomly

        with torch.random.fork_rng(devices=[]):  # leaves the global generator alone
            model = Discriminator(self._pair.discriminator(self._design, **self.untrained_sizes))
        fill_randomly(model, "untrained")  # a fresh one's last layers are zero, and so would most of its gradient be
        return model.eval()

    @cached_property
    def _alignment(self) -> Any:
        assert self._aligner is not None
        return self._aligner.guide(self._pair)

    def guide(self, text: tuple[Any, ...], unconditional: tuple[Any, ...]) -> Any:
        """The guidance of samples of these texts: a `Guidance` by the discriminator, or an `Alignment`."""
        from mmbench.mmdisco.guidance import Guidance, release_logit
        from mmbench.mmdisco.seen import seen_by, view_of

        if self._aligner:
            return self._alignment

        reads, guiding = self._discriminator.config.text, self._sampling.guiding
        return Guidance(
            seen_by(self._discriminator, view_of(self._pair)),
            self._sampling.joint_scale,
            text if reads else (),
            unconditional if reads else (),
            release_logit if self._guide.released_logit else None,
            guiding.evaluations(),
            guiding.every,
            guiding.precision,
        )

    def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
        """Yield one clip per request, in order."""
        guide = self.guide if self.guided else None
        rows = list_candidates(requests, self._best_of.num) if self._best_of else requests
        video, audio = self._pair.sample(rows, guide)
        with deterministic_kernels(self._pair.device):
            clips = self._pair.decode(video, audio, rows)
            if self._best_of:
                clips = self._best_of.choose(requests, clips, self._pair.device)
        yield from clips
