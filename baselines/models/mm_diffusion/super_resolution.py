"""MM-Diffusion's super-resolution of frames, 64x64 to 256x256: a diffusion U-Net and its DDIM loop.

Parameter names and arithmetic of researchmm/MM-Diffusion@7250222:mm_diffusion/image_unet.py:ImageSuperResModel (that of
openai/guided-diffusion), and of gaussian_diffusion.py:ddim_sample_loop after respace.py:space_timesteps("ddim25").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn

from mmbench.mmdisco.kernels.attention import attend
from mmbench.mmdisco.schedule import NoiseSchedule

SCHEDULE = NoiseSchedule("linear", 1e-4, 0.02)
NUM_GROUPS = 32


@dataclass(frozen=True)
class SuperResolutionConfig:
    """Sizes of the network; the defaults are the released checkpoints'.

    Attributes:
        channels: Width of the first level; the timestep embedding is four times as wide.
        num_blocks: Residual blocks per level.
        channel_mult: Width of each level over `channels`; each level halves the picture.
        attention_factors: Downsampling factors with self-attention.
        num_heads: Its heads.
        image_channels: Of the picture; the network predicts twice as many, noise and variance.
    """

    channels: int = 192
    num_blocks: int = 2
    channel_mult: tuple[int, ...] = (1, 1, 2, 2, 4, 4)
    attention_factors: tuple[int, ...] = (8, 16, 32)
    num_heads: int = 4
    image_channels: int = 3


TINY = SuperResolutionConfig(channels=32, num_blocks=1, channel_mult=(1, 1), attention_factors=(2,), num_heads=2)


class ResBlock(nn.Module):
    """norm, SiLU, [resize], conv, modulated norm, SiLU, conv, on top of a skip."""

    def __init__(self, in_channels: int, out_channels: int, embed_channels: int, resize: str = "") -> None:
        super().__init__()
        self.resize = resize
        self.in_layers = nn.Sequential(
            nn.GroupNorm(NUM_GROUPS, in_channels), nn.SiLU(), nn.Conv2d(in_channels, out_channels, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embed_channels, 2 * out_channels))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(NUM_GROUPS, out_channels),
            nn.SiLU(),
            nn.Identity(),  # dropout, officially: it keeps the next name
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        same = in_channels == out_channels
        self.skip_connection = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)

    def _resized(self, x: Tensor) -> Tensor:
        if self.resize == "down":
            return F.avg_pool2d(x, 2)
        return F.interpolate(x, scale_factor=2.0, mode="nearest") if self.resize == "up" else x

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(n, i, h, w) and (n, e) to (n, o, h', w')."""
        h = self.in_layers[2](self._resized(self.in_layers[:2](x)))
        scale, shift = self.emb_layers(embedding)[..., None, None].chunk(2, 1)
        h = self.out_layers[0](h) * (1 + scale) + shift
        return self.skip_connection(self._resized(x)) + self.out_layers[1:](h)


class SelfAttention(nn.Module):
    """Every pixel attends to all, added to the input; query, key and value lie together head by head."""

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm = nn.GroupNorm(NUM_GROUPS, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(n, c, h, w) to the same; the embedding is not used."""
        rows = self.qkv(self.norm(x).flatten(2)).transpose(1, 2)
        query, key, value = (z.flatten(2) for z in rows.unflatten(2, (self.num_heads, 3, -1)).unbind(3))
        out = self.proj_out(attend(query, key, value, self.num_heads).transpose(1, 2))
        return x + out.reshape(x.shape)


class SuperResolutionUNet(nn.Module):
    """The network; see `SuperResolutionConfig` for its sizes."""

    def __init__(self, config: SuperResolutionConfig) -> None:
        super().__init__()
        self.config = c = config
        embed = 4 * c.channels
        self.time_embed = nn.Sequential(nn.Linear(c.channels, embed), nn.SiLU(), nn.Linear(embed, embed))
        widths = [mult * c.channels for mult in c.channel_mult]
        width = widths[0]
        inputs = [nn.ModuleList([nn.Conv2d(2 * c.image_channels, width, 3, padding=1)])]
        skips = [width]
        for level, out_width in enumerate(widths):
            for _ in range(c.num_blocks):
                inputs.append(nn.ModuleList(self._stage(width, out_width, 2**level)))
                skips.append(width := out_width)
            if level < len(widths) - 1:
                inputs.append(nn.ModuleList([ResBlock(width, width, embed, "down")]))
                skips.append(width)
        self.input_blocks = nn.ModuleList(inputs)
        ends = (ResBlock(width, width, embed) for _ in range(2))
        self.middle_block = nn.ModuleList([next(ends), SelfAttention(width, c.num_heads), next(ends)])
        outputs = []
        for level, out_width in reversed(list(enumerate(widths))):
            for i in range(c.num_blocks + 1):
                stage = self._stage(width + skips.pop(), out_width, 2**level)
                width = out_width
                if level and i == c.num_blocks:
                    stage.append(ResBlock(width, width, embed, "up"))
                outputs.append(nn.ModuleList(stage))
        self.output_blocks = nn.ModuleList(outputs)
        last = nn.Conv2d(width, 2 * c.image_channels, 3, padding=1)
        self.out = nn.Sequential(nn.GroupNorm(NUM_GROUPS, width), nn.SiLU(), last)

    def _stage(self, in_width: int, out_width: int, factor: int) -> list[nn.Module]:
        block = ResBlock(in_width, out_width, 4 * self.config.channels)
        attention = factor in self.config.attention_factors
        return [block, SelfAttention(out_width, self.config.num_heads)] if attention else [block]

    def forward(self, x: Tensor, t: Tensor, low_res: Tensor) -> Tensor:
        """Predict noise and variance.

        Args:
            x: (n, c, h, w) noised pictures.
            t: (n,) timesteps.
            low_res: (n, c, h', w') small pictures in [-1, 1].

        Returns:
            (n, 2 c, h, w), noise first.
        """
        h = torch.cat([x, F.interpolate(low_res, x.shape[2:], mode="bilinear")], 1)
        embedding = get_timestep_embedding(t, self.config.channels, flip_sin_to_cos=True, downscale_freq_shift=0)
        embedding = self.time_embed(embedding.to(x.dtype))
        skips = []
        for stage in self.input_blocks:
            h = _run(stage, h, embedding)
            skips.append(h)
        h = _run(self.middle_block, h, embedding)
        for stage in self.output_blocks:
            h = _run(stage, torch.cat([h, skips.pop()], 1), embedding)
        return self.out(h)


def _run(stage: nn.Module, x: Tensor, embedding: Tensor) -> Tensor:
    assert isinstance(stage, nn.ModuleList)
    for block in stage:
        x = block(x) if isinstance(block, nn.Conv2d) else block(x, embedding)
    return x


def ddim_timesteps(num_inference_steps: int, num_train_timesteps: int = 1000) -> list[int]:
    """Steps with a whole stride from 0, latest first: 960, 920, .. 0 for 25 of 1000."""
    return list(range(0, num_train_timesteps, num_train_timesteps // num_inference_steps))[
        num_inference_steps - 1 :: -1
    ]


def ddim_sample(predict: Callable[[Tensor, Tensor], Tensor], noise: Tensor, num_inference_steps: int = 25) -> Tensor:
    """Deterministic DDIM (arXiv 2010.02502, Eq. 12 with eta 0) on samples clamped to [-1, 1].

    Args:
        predict: (x_t, t (n,)) -> predicted noise, shaped like x_t.
        noise: (n, ...) standard normal.
        num_inference_steps: Steps.

    Returns:
        The samples.
    """
    abar = SCHEDULE.alphas_cumprod.tolist()
    steps = ddim_timesteps(num_inference_steps, len(abar))
    x = noise
    for t, earlier in zip(steps, [*steps[1:], None], strict=True):
        epsilon = predict(x, torch.full((len(x),), t, device=x.device))
        clean = ((x - (1 - abar[t]) ** 0.5 * epsilon) / abar[t] ** 0.5).clamp(-1, 1)
        if earlier is None:
            return clean
        epsilon = (x - abar[t] ** 0.5 * clean) / (1 - abar[t]) ** 0.5
        x = abar[earlier] ** 0.5 * clean + (1 - abar[earlier]) ** 0.5 * epsilon
    return x


@torch.no_grad()
def super_resolve(model: SuperResolutionUNet, video: Tensor, noise: Tensor, batch_size: int = 4) -> Tensor:
    """Enlarge every frame of one video from one picture of noise, so that what noise invents stays in place.

    Args:
        model: The network.
        video: (f, c, h, w) in [-1, 1].
        noise: (c, H, W) standard normal.
        batch_size: Frames at a time.

    Returns:
        (f, c, H, W) in [-1, 1].
    """
    large = []
    for frames in video.split(batch_size):

        def epsilon(x: Tensor, t: Tensor, frames: Tensor = frames) -> Tensor:
            return model(x, t, frames)[:, : x.shape[1]]

        large.append(ddim_sample(epsilon, noise.expand(len(frames), *noise.shape)))
    return torch.cat(large)
