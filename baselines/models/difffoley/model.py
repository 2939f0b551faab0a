"""Diff-Foley as a video-to-sound model: from the frames of one clip to 8.2 s of mel spectrogram."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn

from mmbench.baselines.models.difffoley import checkpoints, networks
from mmbench.baselines.models.difffoley.cavp import CAVP, frames_for_cavp
from mmbench.baselines.models.difffoley.sampling import DoubleGuidance, Sampling, solver
from mmbench.baselines.parts import stable_diffusion as sd
from mmbench.baselines.parts.loading import Parts

LATENT = (4, 16, 64)  # channels, mel / 8, columns / 8
WINDOW = 32  # features that the U-Net attends to: 8 s
TINY: Mapping[str, Mapping[str, Any]] = {
    "cavp": {"base_channels": 2, "embed_dim": sd.TINY_WIDTH},
    "condition": {"origin_dim": sd.TINY_WIDTH, "embed_dim": sd.TINY_WIDTH},
    "unet": sd.TINY["unet"],
    "vae": sd.TINY["vae"],
    "classifier": {
        "block_out_channels": (4, 8),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "cross_attention_dim": sd.TINY_WIDTH,
        "attention_head_dim": 2,
        "norm_num_groups": 4,
    },
}
FULL: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    "cavp": (CAVP, {}),
    "condition": (networks.VideoConditionEncoder, {}),
    "unet": (UNet2DConditionModel, networks.unet_config(networks.UNET)),
    "vae": (AutoencoderKL, sd.VAE),
    "classifier": (networks.AlignmentClassifier, networks.classifier_config(networks.CLASSIFIER)),
}


def build(parts: Mapping[str, Parts]) -> dict[str, Any]:
    """The networks whose checkpoint is in `parts`, by their names in `difffoley_checkpoints.PARTS`; not placed yet."""
    built: dict[str, Any] = {}
    for checkpoint, source in parts.items():
        names = [name for name, part in checkpoints.PARTS.items() if part.checkpoint == checkpoint]
        if source.weights == "real":
            with torch.device("meta"):  # they get every tensor from the checkpoint, without a copy
                found: dict[str, nn.Module] = {name: FULL[name][0](**FULL[name][1]) for name in names}
            checkpoints.load(checkpoint, found)
        else:
            found = {name: source.new(*FULL[name], TINY[name], name) for name in names}
        built |= found
    return built


class DiffFoleyModel:
    """CAVP features of a clip condition a latent diffusion model of mel images.

    Args:
        parts: Where each checkpoint comes from and where it goes, by its name in `mmbench.weights.known`.
        sampling: How it is sampled.
    """

    def __init__(self, parts: Mapping[str, Parts], sampling: Sampling) -> None:
        built, ldm = build(parts), parts["difffoley_ldm"]
        self.device, self.sampling = ldm.device, sampling
        self.unet = ldm.denoiser(built.pop("unet"))
        placed = {name: ldm.place(network) for name, network in built.items()}
        self.cavp, self.condition, self.vae = placed["cavp"], placed["condition"], placed["vae"]
        self.classifier: Any = placed.get("classifier")
        self.solver = solver(sampling.num_inference_steps)

    @torch.no_grad()
    def features(self, video: np.ndarray) -> Tensor:
        """(t, width) float32 of (t, h, w, 3) uint8 at 4 frames per second, t from 32 to 40."""
        return self.cavp(frames_for_cavp(video)[None].to(self.device))[0]

    def epsilon(self, x_t: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Predicted noise of (n, 4, 16, 64) latents at times t (n,) that need not be whole."""
        dtype = self.unet.dtype
        return self.unet(x_t.to(dtype), t, condition.to(dtype)).sample.float()

    @torch.no_grad()
    def sample(self, features: Tensor, noise: Tensor) -> Tensor:
        """Clean latents of n clips.

        Args:
            features: (n, t, width) of whole clips: the classifier sees them all, the U-Net the first 32.
            noise: (n, 4, 16, 64) standard normal.
        """
        condition, how = self.condition(features[:, :WINDOW]), self.sampling
        gradient = self.classifier and partial(self._gradient, features)
        predict = DoubleGuidance(
            self.epsilon,
            condition,
            torch.zeros_like(condition),
            self.solver.log_snr[0],
            how.guidance_scale,
            gradient,
            how.classifier_scale,
        )
        (latents,) = self.solver.sample(predict, (noise.to(self.device),))
        return latents

    def _gradient(self, features: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        return self.classifier.log_probability_gradient(x_t, t, features)

    @torch.no_grad()
    def image(self, latent: Tensor) -> np.ndarray:
        """(128, 512) float32 mel image, about [0, 1], of one latent: the first of three channels."""
        decoded = self.vae.decode(latent[None] / self.vae.config.scaling_factor).sample
        return decoded[0, 0].float().cpu().numpy()
