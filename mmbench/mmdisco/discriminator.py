"""MMDisCo's discriminator: the logit h that a noised video and a noised audio belong together (arXiv 2405.17842).

Six designs, feature extractor x fusion: res or vit, mlp or naive or frieren. State dicts have the official names
(SonyResearch/MMDisCo@3b9f84f:mmdisco/models/residual_predictor/mm_block.py, MultimodalDiscriminator), so released
checkpoints load.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmbench.errors import MMBenchError, UsageError, one_line
from mmbench.mmdisco.design import DiscriminatorConfig, read_config
from mmbench.mmdisco.fusion import MeanFusion, TransformerFusion
from mmbench.mmdisco.residual import ResidualExtractor
from mmbench.mmdisco.vit import TransformerExtractor, VisionTransformer
from mmbench.weights.headers import read_meta
from mmbench.weights.tensors import read_tensors

PREFIX = "residual_predictor."


def timestep_embedding(t: Tensor, channels: int) -> Tensor:
    """(b,) timesteps, integer or not, to (b, channels) float32: sines, then cosines, periods 2 pi to 2 pi 10^4."""
    half = channels // 2
    exponent = -math.log(10000) * torch.arange(half, dtype=torch.float32, device=t.device) / (half - 1)
    angles = t[:, None].float() * torch.exp(exponent)
    return F.pad(torch.cat([angles.sin(), angles.cos()], dim=1), (0, channels % 2))


class TimestepEncoder(nn.Module):
    """Linear, SiLU, linear on the sinusoidal embedding, under the official names."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.projection = nn.ModuleDict({name: nn.Linear(channels, channels) for name in ("linear_1", "linear_2")})
        self.channels = channels

    def forward(self, t: Tensor) -> Tensor:
        first, second = self.projection.values()
        sinusoids = timestep_embedding(t, self.channels).to(next(first.parameters()).dtype)
        return second(F.silu(first(sinusoids)))


def _residual(config: DiscriminatorConfig) -> ResidualExtractor:
    return ResidualExtractor(
        config.video_channels,
        config.audio_channels,
        config.audio_ndim,
        config.channels,
        config.embed_channels,
        config.num_blocks,
        config.channel_mult,
        config.dilation_cycle,
        config.audio_pool,
    )


def _transformers(config: DiscriminatorConfig) -> TransformerExtractor:
    sizes = (config.embed_channels, config.vit_channels, config.vit_layers, config.vit_heads, config.vit_out_channels)
    return TransformerExtractor(
        VisionTransformer(config.video_channels, config.video_size, config.video_patch, *sizes),
        VisionTransformer(config.audio_channels, config.audio_size, config.audio_patch, *sizes),
    )


def _fusion(config: DiscriminatorConfig, in_channels: int) -> MeanFusion | TransformerFusion:
    if config.fusion == "mlp":
        return MeanFusion(in_channels)
    return TransformerFusion(
        in_channels,
        config.embed_channels,
        config.fusion_channels,
        config.fusion_layers,
        config.fusion_out_channels,
        config.max_tokens,
        config.fusion_class_token,
        side_by_side=config.fusion == "frieren",
        video_starts=config.feature_starts,
    )


class Discriminator(nn.Module):
    """h = log D / (1 - D) for noised pairs at a timestep, with or without text. Twice differentiable."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        self.time_embed = TimestepEncoder(config.embed_channels)
        if config.video_text_channels is not None and config.audio_text_channels is not None:
            self.video_text_embed = nn.Linear(config.video_text_channels, config.embed_channels)
            self.audio_text_embed = nn.Linear(config.audio_text_channels, config.embed_channels)
        self.feature_extractor = _residual(config) if config.extractor == "res" else _transformers(config)
        self.fusion_model = _fusion(config, self.feature_extractor.out_channels)
        self.last_linear = nn.Linear(self.fusion_model.out_channels, 1)

    def forward(
        self,
        video: Tensor,
        audio: Tensor,
        timesteps: Tensor | tuple[Tensor, Tensor],
        video_text: Tensor | None = None,
        audio_text: Tensor | None = None,
    ) -> Tensor:
        """Return the logit h of every pair, (b,).

        Halves at levels of their own have a timestep each: the video's goes into its features, the audio's into its,
        their mean into the fusion. So the same parameters serve both, and equal timesteps give the bits of one.

        Args:
            video: (b, c, f, h, w) noised video, or (b, f, c, h, w) with `video_frames_first`.
            audio: (b, c, l) or (b, c, t, m) noised audio, or (b, c, m, t) with `audio_mel_first`.
            timesteps: (b,) integers or floats in [0, T), or a pair of such: the video's and the audio's.
            video_text: (b, d), or (b, tokens, d) of which the mean is taken; None for a discriminator without text.
            audio_text: The same for audio.

        Raises:
            UsageError: If text is missing or not expected, or a shape contradicts the config.
        """
        if self.config.video_frames_first:
            video = video.transpose(1, 2)
        if self.config.audio_mel_first:
            audio = audio.transpose(2, 3)
        self._check(video, audio, video_text, audio_text)
        if isinstance(timesteps, tuple):
            by_modality = self.time_embed(timesteps[0]), self.time_embed(timesteps[1])
            time = (by_modality[0] + by_modality[1]) / 2
        else:
            time = self.time_embed(timesteps)
            by_modality = time, time
        embeddings = by_modality
        if video_text is not None and audio_text is not None:
            by_video, by_audio = (
                (text.mean(1) if text.ndim == 3 else text).to(time.dtype) for text in (video_text, audio_text)
            )
            embeddings = (
                by_modality[0] + self.video_text_embed(by_video),
                by_modality[1] + self.audio_text_embed(by_audio),
            )
        features = self.feature_extractor(video, audio, embeddings)
        return self.last_linear(self.fusion_model(*features, time)).squeeze(1)

    def _check(self, video: Tensor, audio: Tensor, video_text: Tensor | None, audio_text: Tensor | None) -> None:
        config = self.config
        found = f"The discriminator got video {tuple(video.shape)} and audio {tuple(audio.shape)} as (b, c, ...)."
        if (video.ndim, audio.ndim) != (5, 2 + config.audio_ndim) or len(video) != len(audio):
            raise UsageError(found, f"5 and {2 + config.audio_ndim} axes, with the same b")
        if (video.shape[1], audio.shape[1]) != (config.video_channels, config.audio_channels):
            raise UsageError(found, f"{config.video_channels} and {config.audio_channels} channels")
        texts = [text for text in (video_text, audio_text) if text is not None]
        if len(texts) != (2 if config.text else 0):
            wanted = "video_text and audio_text" if config.text else "none: this discriminator was built without"
            raise UsageError(f"The discriminator got {len(texts)} text embeddings.", wanted)
        if any(len(text) != len(video) for text in texts):
            rows = " and ".join(str(len(text)) for text in texts)
            raise UsageError(f"{rows} rows of text came with {len(video)} pairs.", "one row for each pair")


def load_discriminator(
    source: str | Path | Mapping[str, Tensor], config: DiscriminatorConfig | None = None, device: str = "cpu"
) -> Discriminator:
    """Build a discriminator with the weights of a checkpoint, in float32 and in evaluation mode.

    Args:
        source: A safetensors file, a file that `torch.load(weights_only=True)` reads, or a state dict; with or without
            the prefix `residual_predictor.`, as in a checkpoint of the joint model.
        config: What the weights belong to. Files written by `train` hold theirs.
        device: Where to put it.

    Raises:
        MMBenchError: If the file cannot be read, or names and shapes differ from those of the config: says which.
    """
    path = None if isinstance(source, Mapping) else Path(source)
    where = "The state dict" if path is None else str(path)
    config = config or (read_config(path) if path else None)
    if config is None:
        raise MMBenchError(
            f"{where} does not say which discriminator it belongs to.",
            "a DiscriminatorConfig",
            'load_discriminator(..., config=in_domain()) or out_of_domain("res_mlp")',
        )
    try:
        with torch.device("meta"):
            model = Discriminator(config)
    except (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError) as error:
        found = f"{where} belongs to a discriminator that cannot be built: {one_line(error)}."
        raise MMBenchError(found, "its config") from error
    if path is not None:  # first the shapes alone: a file that does not fit is not read
        _compare(_own_part(read_meta(path), where), model.state_dict(), where, config)
    state = _own_part(dict(source) if isinstance(source, Mapping) else read_tensors(Path(source)), where)
    _compare(state, model.state_dict(), where, config)
    state = {key: value.to(device, torch.float32) for key, value in state.items()}
    model.load_state_dict(state, strict=True, assign=True)
    return model.requires_grad_().eval()


def _own_part(state: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """The discriminator's tensors of a checkpoint, which may be that of the joint model, by their names in it."""
    if not all(isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()):
        raise MMBenchError(
            f"{where} holds something else than named tensors.", "a flat state dict, as safetensors or of torch.save"
        )
    own = {key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)}
    return own or dict(state)


def _compare(state: Mapping[str, Tensor], want: Mapping[str, Tensor], where: str, config: DiscriminatorConfig) -> None:
    missing, unknown = sorted(want.keys() - state.keys()), sorted(state.keys() - want.keys())
    common = want.keys() & state.keys()
    reshaped = sorted(k for k in common if state[k].shape != want[k].shape)
    problems = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for what, names in (("tensors missing", missing), ("unknown tensors", unknown), ("of another shape", reshaped))
        if names
    ]
    if not problems:
        return
    shapes = "".join(f"; {k} is {tuple(state[k].shape)}, not {tuple(want[k].shape)}" for k in reshaped[:1])
    raise MMBenchError(
        f"{where} does not fit the discriminator {config.design}: {', '.join(problems)}{shapes}.",
        f"the {len(want)} tensors of {config}",
        "another config (design, channels, num_blocks, text widths), or the checkpoint that belongs to this one",
    )
