"""The configuration of a discriminator, and the published sizes.

With `embed_channels` equal to C, as here, the parameter counts are those of the paper (arXiv 2405.17842, Tables 6, 9).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError, UsageError, one_line
from mmbench.mmdisco.pairing import Pairing, read_pairing
from mmbench.types import DESIGNS, Design
from mmbench.weights.headers import require_whole
from mmbench.weights.safetensors_header import read_header

LARGEST_SIZE = 1 << 24  # of anything that a stored config states


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Everything that fixes the shapes and the arithmetic of a discriminator, and the noise levels that it knows.

    JSON-able through `asdict`.

    Attributes:
        design: Extractor and fusion, "res_mlp" to "vit_frieren". With mlp, h is a sum of one function per modality
            given the text, so its gradient on one half does not see the other.
        video_channels: Channels of the video, 3 for pixels.
        audio_channels: Channels of the audio, 1 for a waveform.
        audio_ndim: 1 for waveforms and latents of them (b, c, l), 2 for latents of spectra (b, c, t, m).
        channels: C, the width of the first level; res only.
        num_blocks: L, residual blocks per level; res only.
        channel_mult: Width of each level as a multiple of C; res only.
        dilation_cycle: Dilation of the k-th residual block's audio is 2^(k mod cycle); 1 means none. res only.
        audio_pool: Steps of audio (b, c, l) that are averaged between levels, 1 for none; res only.
        embed_channels: Width of the timestep embedding; C in every published size.
        video_text_channels: Width of the text given with the video; None for a discriminator without text.
        audio_text_channels: Width of the text given with the audio.
        fusion_channels: Token width of the fusion transformer.
        fusion_layers: Its layers; the class token adds one.
        fusion_out_channels: Width of what it hands to the last linear layer.
        fusion_class_token: Read a class token instead of the mean over tokens.
        max_tokens: Its positions: class token, timestep, and frames and audio steps (naive) or the longer of them.
        video_size: (f, h, w); vit only.
        audio_size: (l,) or (t, m); vit only.
        video_patch: Patch along the same axes; vit only.
        audio_patch: Patch along the same axes; vit only.
        vit_channels: Token width; vit only.
        vit_layers: Blocks; vit only.
        vit_heads: Heads; vit only.
        vit_out_channels: Width of the features; vit only.
        video_times: Audio step, whole or not, at which each frame of the video begins, from 0 and rising: causal
            autoencoders' first latent is one picture, the others stand for 4 or 8. frieren only. None: frames and
            audio steps are evenly spaced over the same time, as published.
        video_frames_first: The caller's video is (b, f, c, h, w), as MM-Diffusion's.
        audio_mel_first: The caller's audio is (b, c, m, t), as Auffusion's.
        pairing: How its training draws the timesteps of video and audio: one for both ("index"), the audio's at most
            20 % of T from the video's ("band"), or each its own ("independent"). Which paths a sampler may take
            follows (`mmbench.mmdisco.pairing.require_path`).
    """

    design: Design
    video_channels: int
    audio_channels: int
    audio_ndim: int
    channels: int = 128
    num_blocks: int = 2
    channel_mult: tuple[int, ...] = (1, 2, 4)
    dilation_cycle: int = 1
    audio_pool: int = 4
    embed_channels: int = 128
    video_text_channels: int | None = None
    audio_text_channels: int | None = None
    fusion_channels: int = 256
    fusion_layers: int = 4
    fusion_out_channels: int = 256
    fusion_class_token: bool = True
    max_tokens: int = 128
    video_size: tuple[int, ...] = (16, 32, 32)
    audio_size: tuple[int, ...] = (50, 16)
    video_patch: tuple[int, ...] = (2, 4, 4)
    audio_patch: tuple[int, ...] = (5, 4)
    vit_channels: int = 256
    vit_layers: int = 4
    vit_heads: int = 4
    vit_out_channels: int = 512
    video_times: tuple[float, ...] | None = None
    video_frames_first: bool = False
    audio_mel_first: bool = False
    pairing: Pairing = "index"

    def __post_init__(self) -> None:
        if self.design not in DESIGNS:
            raise UsageError(f"Unknown discriminator design {self.design!r}.", f"one of {', '.join(DESIGNS)}")
        read_pairing(self.pairing)
        for name in ("channel_mult", "video_size", "audio_size", "video_patch", "audio_patch"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON gives lists
        if self.audio_pool < 1:
            raise UsageError(f"audio_pool={self.audio_pool}.", "1 for no pool, or more", "audio_pool=1")
        if self.video_times is not None:
            times = tuple(self.video_times)
            object.__setattr__(self, "video_times", times)
            if times[:1] != (0,) or any(a >= b for a, b in pairwise(times)):
                raise UsageError(f"The video's frames begin at {times}.", "times that rise from 0")

    @property
    def extractor(self) -> str:
        """res or vit."""
        return self.design.partition("_")[0]

    @property
    def fusion(self) -> str:
        """mlp, naive or frieren."""
        return self.design.partition("_")[2]

    @property
    def text(self) -> bool:
        """Whether it reads text."""
        return self.video_text_channels is not None

    @property
    def feature_starts(self) -> tuple[float, ...] | None:
        """`video_times` behind pools and patches: when each feature of the video begins, in features of the audio."""
        if self.video_times is None:
            return None
        if self.extractor == "vit":
            frames, step = self.video_patch[0], self.audio_patch[0]
            starts = self.video_times[: len(self.video_times) // frames * frames : frames]
        else:
            starts, step = self.video_times, self.audio_pool ** (len(self.channel_mult) - 1)
            step = step if self.audio_ndim == 1 else 1
        return tuple(start / step for start in starts)


def read_config(path: Path) -> DiscriminatorConfig | None:
    """The config that a discriminator's file holds, as `mmbench train` writes it; None for files without one.

    Raises:
        MMBenchError: The file is damaged, or what it holds is no config of its tensors.
    """
    if path.suffix != ".safetensors":
        return None
    require_whole(path)
    header = read_header(path)
    text = header.metadata.get("config")
    if text is None:
        return None
    try:
        stored = json.loads(text)
        if not _is_modest(stored, len(header.shapes)):
            raise ValueError("its sizes are no numbers, or more or larger than the file's tensors")
        return DiscriminatorConfig(**stored)
    except (ValueError, TypeError, RecursionError, MMBenchError) as error:
        found = f"{path} holds a config that is none: {one_line(error).rstrip('.')}."
        raise MMBenchError(found, "a discriminator as mmbench train writes it") from error


def _is_modest(stored: Any, num_tensors: int) -> bool:
    """Whether sizes in a stored config can be those of a file's tensors, so that building it takes no time."""
    if not isinstance(stored, dict):
        return False
    layers = ("num_blocks", "fusion_layers", "vit_layers")
    values = [n for v in stored.values() for n in (v if isinstance(v, list) else [v])]
    sizes = [n for key, v in stored.items() if key != "video_times" for n in (v if isinstance(v, list) else [v])]
    return (
        all(isinstance(v, int | float | None) or v in (stored.get("design"), stored.get("pairing")) for v in values)
        and all(0 <= n <= LARGEST_SIZE for n in values if isinstance(n, int | float))
        and all(n > 0 for n in sizes if isinstance(n, int | float) and not isinstance(n, bool))
        and all(stored.get(key, 0) <= num_tensors for key in layers)
        and len(stored.get("channel_mult", ())) <= num_tensors
    )


def in_domain(
    design: Design = "res_mlp", *, channels: int = 128, num_blocks: int = 2, **settings: Any
) -> DiscriminatorConfig:
    """For pixels and waveforms, MM-Diffusion's: 16 frames of 64 x 64 and 25,600 samples, no text (12.7M as published).

    Args:
        design: Extractor and fusion.
        channels: C; the timestep embedding is as wide.
        num_blocks: L.
        **settings: Any other field of `DiscriminatorConfig`.
    """
    sizes = {"video_size": (16, 64, 64), "audio_size": (25600,), "video_patch": (2, 8, 8), "audio_patch": (400,)}
    common = {"channels": channels, "num_blocks": num_blocks, "embed_channels": channels, "dilation_cycle": 10}
    tokens = {"max_tokens": 2048}  # 1600 audio steps and 16 frames reach the transformer
    return DiscriminatorConfig(design, 3, 1, 1, **{**common, **sizes, **tokens, **settings})


def out_of_domain(
    design: Design = "res_mlp", *, channels: int = 256, num_blocks: int = 4, **settings: Any
) -> DiscriminatorConfig:
    """For latents and text, AudioLDM's and AnimateDiff's unless `settings` say otherwise (132M as published)."""
    latents = {"video_channels": 4, "audio_channels": 8, "audio_ndim": 2}
    latents |= {"video_text_channels": 768, "audio_text_channels": 512}
    common = {"channels": channels, "num_blocks": num_blocks, "embed_channels": channels}
    return DiscriminatorConfig(design, **{**common, **latents, **settings})


def for_latents(
    design: Design, video: Sequence[int], audio: Sequence[int], *, channels: int = 256, **settings: Any
) -> DiscriminatorConfig:
    """For latents of any two models: `out_of_domain` of their shapes, with text unless `settings` say otherwise.

    Time is not pooled, and a transformer's patches are the published ones, 2 x 4 x 4 of video and 5 (x 4) of audio, or
    the largest below that divide the latents, so that each element has its part in h.

    Args:
        design: Extractor and fusion.
        video: (c, f, h, w).
        audio: (c, l) or (c, t, m).
        channels: C; the timestep embedding is as wide.
        **settings: Any other field of `DiscriminatorConfig`.
    """
    shapes: dict[str, Any] = {
        "video_channels": video[0],
        "audio_channels": audio[0],
        "video_size": tuple(video[1:]),
        "audio_size": tuple(audio[1:]),
        "video_patch": tuple(map(largest_divisor, video[1:], (2, 4, 4))),
        "audio_patch": tuple(map(largest_divisor, audio[1:], (5, 4)[: len(audio) - 1])),
        "max_tokens": max(128, 2 + video[1] + audio[1]),  # class token, timestep, frames and audio steps
        "audio_pool": 1,
        "audio_ndim": len(audio) - 1,
    }
    return out_of_domain(design, channels=channels, **{**shapes, **settings})


def largest_divisor(n: int, limit: int) -> int:
    """The largest divisor of n that is at most `limit`."""
    return next(k for k in range(limit, 0, -1) if n % k == 0)
