"""MM-Diffusion as a pair of base models: pixels and waveforms, both predicted by one coupled network, without text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmbench.baselines.kinds.pair import DiffusionPair, Sampling, generator_of
from mmbench.baselines.models.mm_diffusion import super_resolution as enlarging
from mmbench.baselines.models.mm_diffusion import unet as coupled
from mmbench.baselines.models.mm_diffusion.super_resolution import SuperResolutionUNet, super_resolve
from mmbench.baselines.models.mm_diffusion.unet import CoupledUNet
from mmbench.baselines.parts.imagebind_agreement import agreement
from mmbench.baselines.parts.options import CommonOptions
from mmbench.errors import UsageError
from mmbench.mmdisco.design import DiscriminatorConfig, in_domain
from mmbench.mmdisco.discriminator import Discriminator, load_discriminator
from mmbench.mmdisco.dpm_solver import DPMSolver
from mmbench.mmdisco.losses import JointEpsilon, Times
from mmbench.mmdisco.schedule import NoiseSchedule
from mmbench.networks.devices import local_device
from mmbench.networks.state_dicts import load_state
from mmbench.types import Clip, ClipFormat, Item, Request, Weights
from mmbench.weights import checkpoints as published

# What the released MMDisCo samples MM-Diffusion with, and what MM-Diffusion's own script does; both are DPM-Solver of
# order 3 in 20 evaluations, evenly in log SNR. SonyResearch/MMDisCo@3b9f84f:mmdisco/models/networks.py,
# researchmm/MM-Diffusion@7250222:py_scripts/multimodal_sample_sr.py.
PRESETS: dict[str, dict[str, Any]] = {
    "mmdisco": {"predict_sample": True, "thresholding": True},
    "mm-diffusion": {"predict_sample": False, "thresholding": False},
}
SHIFTS, ENLARGING = "window shifts", "super-resolution noise"  # streams of a request
LARGE = 4  # super-resolution: 64 to 256
SMALL_DISCRIMINATOR = {"channels": 32, "num_blocks": 1}
RANDOM_SEED = 0


class MMDiffusionPair(DiffusionPair):
    """The coupled U-Net with its sampler, and optionally the super-resolution of its frames.

    Its generated pairs are joint ones: a discriminator that tells real from them corrects the joint score it guides.

    Args:
        unet: Predicts the noise in both modalities.
        form: What it generates: frames, size and samples.
        sampling: `sampler` is one of `PRESETS`.
        device: Where the networks are.
        dtype: Precision the U-Net is autocast to; None for none.
        enlarge: Makes frames four times larger; None leaves them alone.
        discriminator_sizes: Defaults of `discriminator`.
        compiled: The U-Net is compiled by torch when first called; it is one graph.
    """

    schedules = (NoiseSchedule("linear", 1e-4, 0.02), NoiseSchedule("linear", 1e-4, 0.02))
    coupled = True
    encodes = False

    def __init__(
        self,
        unet: CoupledUNet,
        form: ClipFormat,
        sampling: Sampling,
        device: str = "cpu",
        dtype: torch.dtype | None = None,
        enlarge: SuperResolutionUNet | None = None,
        discriminator_sizes: dict[str, int] | None = None,
        compiled: bool = False,
    ) -> None:
        self.form, self.sampling, self.device, self.dtype = form, sampling, device, dtype
        self.shapes = (form.num_frames, unet.config.video_channels, form.height, form.width), (1, form.num_samples)
        self.tile = 1 if device == "cpu" else 8  # a CPU gains nothing by batches
        self.unet = unet.to(device).eval().requires_grad_(False)
        self._predict = torch.compile(self.unet) if compiled else self.unet
        self.enlarge = None if enlarge is None else enlarge.to(device).eval().requires_grad_(False)
        self._discriminator_sizes = discriminator_sizes or {}

    @property
    def denoisers(self) -> tuple[Any, ...]:
        """The coupled U-Net, as a tuple of one."""
        return (self.unet,)

    def texts(self, prompts: Sequence[str]) -> tuple[Tensor, ...]:
        """Return (), for the model has no text."""
        return ()

    def epsilon_for(self, requests: Sequence[Request]) -> JointEpsilon:
        """The `epsilon` of these requests' samples, with attention windows shifted by their own streams."""
        rngs = [request.rng(SHIFTS) for request in requests]

        def epsilon(x_t: Tensor, y_t: Tensor, t: Tensor, condition: Any) -> tuple[Tensor, Tensor]:
            return self._predict(x_t, y_t, t, self.unet.draw_shifts(rngs, self.form.num_frames))

        return epsilon

    def epsilon(self, x_t: Tensor, y_t: Tensor, t: Times, condition: Any) -> tuple[Tensor, Tensor]:
        """Predicted noise of both modalities, attention windows shifted by torch's global generator (in training).

        Raises:
            UsageError: `t` is a pair: the network has one timestep.
        """
        if isinstance(t, tuple):
            found = "MM-Diffusion predicts both halves with one network, which takes one timestep, and was given two."
            raise UsageError(found, "a discriminator of pairing 'index'", "mmbench train ... --pairing index")
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        return self._predict(x_t, y_t, t, self.unet.draw_shifts([rng] * len(x_t), self.form.num_frames))

    def epsilon_video(self, x_t: Tensor, t: Tensor, text: Tensor | None) -> Tensor:
        """Raise TypeError: the noise in the video cannot be predicted without the sound (`epsilon`)."""
        raise TypeError("MM-Diffusion predicts both modalities at once; call epsilon")

    epsilon_audio = epsilon_video

    def sampler(self) -> DPMSolver:
        """The solver of the preset."""
        alphas_cumprod = tuple(schedule.alphas_cumprod.float() for schedule in self.schedules)
        return DPMSolver(alphas_cumprod, self.sampling.num_inference_steps, **PRESETS[self.sampling.sampler])

    def decode(self, video: Tensor, audio: Tensor, requests: Sequence[Request]) -> list[Clip]:
        """(n, f, 3, h, w) and (n, 1, s) in [-1, 1] to clips."""
        return [self._clip(*sample) for sample in zip(video, audio, requests, strict=True)]

    def _clip(self, video: Tensor, audio: Tensor, request: Request) -> Clip:
        if self.enlarge is not None:
            size = (video.shape[1], LARGE * video.shape[2], LARGE * video.shape[3])
            noise = torch.randn(size, generator=generator_of(request, ENLARGING))
            video = super_resolve(self.enlarge, video.clamp(-1, 1), noise.to(self.device))
        pixels = video.permute(0, 2, 3, 1).float().cpu().numpy() / 2 + 0.5
        return Clip.from_float(pixels, self.form.fps, audio[0].float().cpu().numpy(), self.form.sample_rate)

    def agreement(self, video: Tensor, audio: Tensor, video_tower: Any, audio_tower: Any) -> Tensor:
        """The cosine of `ib_av` of the small frames and their sound."""
        frames = (video[:, [0, -1]] / 2 + 0.5).clamp(0, 1)
        return agreement(frames, audio[:, 0].clamp(-1, 1), video_tower, audio_tower)

    def encode(self, item: Item) -> tuple[Any, ...]:
        """Video (f, 3, h, w) and audio (1, s) in [-1, 1] of a real item, and no texts."""
        video = torch.from_numpy(item.clip.video).permute(0, 3, 1, 2).float() / 127.5 - 1
        return video.contiguous(), torch.from_numpy(item.clip.audio)[None].clone(), None, None

    def discriminator(self, design: str, **sizes: int) -> DiscriminatorConfig:
        """A discriminator of pixels and waveforms; C = 128 and L = 2 unless `sizes` say otherwise."""
        form = self.form
        shapes = {"video_size": (form.num_frames, form.height, form.width), "audio_size": (form.num_samples,)}
        return in_domain(design, video_frames_first=True, **{**self._discriminator_sizes, **shapes, **sizes})  # type: ignore[arg-type]

    def released(self, path: Path) -> Discriminator:
        """The discriminator that MMDisCo released, of 128 channels and 2 blocks.

        Source of the sizes: SonyResearch/MMDisCo@3b9f84f:conf/model/mmdiffusion_landscape.yaml and
        mmdiffusion_aist++.yaml.
        """
        return load_discriminator(path, in_domain("res_mlp", video_frames_first=True), self.device)


def network(kind: Weights, name: str, build: Callable[[Any], nn.Module], full: Any, tiny: Any) -> Any:
    """Build a network with the checkpoint's weights, or with random ones at full or tiny size.

    Args:
        kind: "real", "random" or "tiny".
        name: Of the checkpoint in `mmbench.weights.known`.
        build: Makes the network of a config.
        full: Config of the checkpoint.
        tiny: Config of the small one.
    """
    if kind == "real":
        with torch.device("meta"):
            model = build(full)
        load_state(model, {k: v.float() for k, v in published.load_state_dict(name).items()}, name)
        return model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        return build(tiny if kind == "tiny" else full)


def load_pair(
    common: CommonOptions,
    names: Mapping[str, str],
    form: ClipFormat,
    sampling: Sampling,
    device: str,
    compiled: bool = False,
) -> MMDiffusionPair:
    """Load the pair that `mmbench.baselines.mm_diffusion` describes.

    Args:
        common: Kind of the weights, and precision of the coupled U-Net.
        names: Checkpoints by part: "unet", and "super_resolution" if frames are to be enlarged.
        form: Frames, size and samples of the clips.
        sampling: The preset.
        device: auto, cpu, cuda.
        compiled: Whether torch compiles the U-Net.
    """
    device = local_device(device)
    enlarge = None
    if "super_resolution" in names:
        sizes = enlarging.SuperResolutionConfig(), enlarging.TINY
        enlarge = network(common.weights, names["super_resolution"], SuperResolutionUNet, *sizes)
    return MMDiffusionPair(
        network(common.weights, names["unet"], CoupledUNet, coupled.CoupledUNetConfig(), coupled.TINY),
        form,
        sampling,
        device,
        common.torch_dtype(),
        enlarge,
        SMALL_DISCRIMINATOR if common.weights == "tiny" else {},
        compiled,
    )
