"""MM-Diffusion's coupled U-Net (arXiv 2212.09478): one network that predicts the noise in a video and its sound.

Parameter names and arithmetic of researchmm/MM-Diffusion@7250222:mm_diffusion/multimodal_unet.py:MultimodalUNet, whose
checkpoints it loads as they are. There the windows of cross-modal attention move by Python's global `random`, for a
whole batch alike; here every sample brings its own shifts, so what is made of it does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn

from mmbench.baselines.models.mm_diffusion.blocks import CrossAttention, ResBlock
from mmbench.mmdisco.residual import AudioConv, InitialBlock, Norm, Pair

MAX_DILATION = 10  # the k-th block's audio is dilated by 2^(k mod 10)


@dataclass(frozen=True)
class CoupledUNetConfig:
    """Sizes of the network; the defaults are the released checkpoints'.

    Attributes:
        channels: Width of the first level, and of the timestep embedding.
        num_blocks: Residual blocks per level.
        channel_mult: Width of each level over `channels`; each level halves space and quarters the audio's time.
        attention_factors: Downsampling factors (of space) with attention, within the video and between modalities.
        windows: Window of the cross-modal attention at each of these [frames].
        middle_cross_attention: Whether the middle has one over all frames.
        num_heads: Heads of attention within a modality.
        head_channels: Channels per head of attention between modalities.
        video_channels: Of the video.
        audio_channels: Of the audio.
    """

    channels: int = 128
    num_blocks: int = 2
    channel_mult: tuple[int, ...] = (1, 2, 3, 4)
    attention_factors: tuple[int, ...] = (2, 4, 8)
    windows: tuple[int, ...] = (1, 4, 8)
    middle_cross_attention: bool = True
    num_heads: int = 4
    head_channels: int = 64
    video_channels: int = 3
    audio_channels: int = 1


TINY = CoupledUNetConfig(channels=32, num_blocks=1, channel_mult=(1, 1, 1, 1), num_heads=2, head_channels=16)


class _Output(nn.ModuleDict):
    """Norm, SiLU and a convolution to the samples' channels: children 0 and 2, as officially."""


class _Conv3d(nn.Module):
    """A 3x3x3 convolution of video rows, under its official name."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.video_conv = nn.Conv3d(in_channels, out_channels, 3, padding=1)

    def forward(self, rows: Tensor) -> Tensor:
        """(b, f, h, w, i) to (b, f, o, h, w)."""
        return self.video_conv(rows.permute(0, 4, 1, 2, 3)).transpose(1, 2)


class CoupledUNet(nn.Module):
    """The network; see `CoupledUNetConfig` for its sizes."""

    def __init__(self, config: CoupledUNetConfig) -> None:
        super().__init__()
        self.config = c = config
        self.time_embed = nn.Sequential(nn.Linear(c.channels, c.channels), nn.SiLU(), nn.Linear(c.channels, c.channels))
        widths = [mult * c.channels for mult in c.channel_mult]
        width, k = widths[0], 1
        inputs = [nn.ModuleList([InitialBlock(c.video_channels, c.audio_channels, width, 1)])]
        skips = [width]
        for level, out_width in enumerate(widths):
            for _ in range(c.num_blocks):
                inputs.append(nn.ModuleList(self._stage(width, out_width, 2**level, k)))
                skips.append(width := out_width)
                k += 1
            if level < len(widths) - 1:
                inputs.append(nn.ModuleList([self._block(width, width, k, resize="down")]))
                skips.append(width)
                k += 1
        self.input_blocks = nn.ModuleList(inputs)

        across = [CrossAttention(width, c.head_channels, None, False)] if c.middle_cross_attention else []
        ends = (self._block(width, width, k, video_heads=c.num_heads, audio_heads=c.num_heads) for _ in range(2))
        self.middle_blocks = nn.ModuleList([next(ends), *across, next(ends)])

        outputs = []
        for level, out_width in reversed(list(enumerate(widths))):
            for i in range(c.num_blocks + 1):
                k -= 1
                stage = self._stage(width + skips.pop(), out_width, 2**level, k)
                width = out_width
                if level and i == c.num_blocks:
                    stage.append(self._block(width, width, k - 1, resize="up"))
                outputs.append(nn.ModuleList(stage))
        self.output_blocks = nn.ModuleList(outputs)
        self.video_out = _Output({"0": Norm(width), "2": _Conv3d(width, c.video_channels)})
        self.audio_out = _Output({"0": Norm(width), "2": AudioConv(width, c.audio_channels, 1)})

    def _block(self, in_width: int, out_width: int, k: int, resize: str = "", **heads: int) -> ResBlock:
        return ResBlock(in_width, out_width, self.config.channels, 2 ** (k % MAX_DILATION), resize, **heads)

    def _stage(self, in_width: int, out_width: int, factor: int, k: int) -> list[nn.Module]:
        """A residual block, with attention after it where space is downsampled by one of the factors."""
        c = self.config
        if factor not in c.attention_factors:
            return [self._block(in_width, out_width, k)]
        window = c.windows[c.attention_factors.index(factor)]
        across = CrossAttention(out_width, c.head_channels, window, True)
        return [self._block(in_width, out_width, k, video_heads=c.num_heads), across]

    def windows(self) -> list[int]:
        """Windows [frames] of the cross-modal attentions that move, in the order in which they take their shifts."""
        moving = (m for m in self.modules() if isinstance(m, CrossAttention) and m.shifted)
        return [m.window for m in moving if m.window is not None]

    def draw_shifts(self, rngs: Sequence[np.random.Generator], num_frames: int) -> Tensor:
        """(n, k) int64 shifts for one forward pass: row i from rngs[i] alone, uniform in 0 .. num_frames - window.

        They are where the network is: a GPU gets them from pinned memory, so that nothing waits for it.
        """
        high = [max(num_frames - window, 0) for window in self.windows()]
        drawn = torch.from_numpy(np.stack([rng.integers(0, high, endpoint=True) for rng in rngs]))
        device = next(self.parameters()).device
        return drawn.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else drawn.to(device)

    def forward(self, video: Tensor, audio: Tensor, t: Tensor, shifts: Tensor) -> Pair:
        """Predict the noise in both.

        Args:
            video: (b, f, c, h, w).
            audio: (b, c, samples).
            t: (b,) timesteps.
            shifts: (b, k) int64 on the same device, see `draw_shifts`.

        Returns:
            The same shapes.
        """
        columns = iter(shifts.unbind(1))
        embedding = get_timestep_embedding(t, self.config.channels, flip_sin_to_cos=True, downscale_freq_shift=0)
        embedding = self.time_embed(embedding.to(video.dtype))
        rows = video.permute(0, 1, 3, 4, 2).contiguous(), audio.transpose(1, 2).unsqueeze(2).contiguous()
        skips: list[Pair] = []
        for stage in self.input_blocks:
            rows = _run(stage, rows, embedding, columns)
            skips.append(rows)
        rows = _run(self.middle_blocks, rows, embedding, columns)
        for stage in self.output_blocks:
            skip = skips.pop()
            rows = torch.cat([rows[0], skip[0]], -1), torch.cat([rows[1], skip[1]], -1)
            rows = _run(stage, rows, embedding, columns)
        norm, conv = self.video_out.values()
        video = conv(norm(rows[0]))
        norm, conv = self.audio_out.values()
        return video, conv(norm(rows[1]), (1, 1)).squeeze(2).transpose(1, 2)


def _run(stage: nn.Module, rows: Pair, embedding: Tensor, shifts: Iterator[Tensor]) -> Pair:
    """The blocks of a stage one after the other; each moving window takes the next shifts."""
    assert isinstance(stage, nn.ModuleList)
    for block in stage:
        if isinstance(block, InitialBlock):
            rows = block(*rows)
        elif isinstance(block, CrossAttention):
            still = torch.zeros(len(embedding), dtype=torch.int64, device=embedding.device)
            rows = block(*rows, next(shifts) if block.shifted else still)
        else:
            rows = block(*rows, embedding)
    return rows
