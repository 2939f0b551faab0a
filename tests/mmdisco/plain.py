"""The discriminator written down plainly, in the official layouts: an oracle for ours and the reference of its timings.

Every call is one text condition; video travels as (b, f, c, h, w) and is rearranged around each convolution; pooling
follows the convolution; attention is an explicit softmax. Layouts and order of operations as in
SonyResearch/MMDisCo@3b9f84f:mmdisco/models/residual_predictor/mm_block.py, vit.py and x_formers.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

State = Mapping[str, Tensor]


def linear(state: State, name: str, x: Tensor) -> Tensor:
    return F.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))


def layer_norm(state: State, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])


def video_conv(state: State, name: str, x: Tensor) -> Tensor:
    """(b, f, c, h, w) through 3x3 in space, then 3 in time."""
    b, f, _, h, w = x.shape
    spatial, temporal = f"{name}.video_conv_spatial", f"{name}.video_conv_temporal"
    x = F.conv2d(x.reshape(b * f, -1, h, w), state[f"{spatial}.weight"], state[f"{spatial}.bias"], padding="same")
    x = x.reshape(b, f, -1, h, w).permute(0, 3, 4, 2, 1).reshape(b * h * w, -1, f)
    x = F.conv1d(x, state[f"{temporal}.weight"], state[f"{temporal}.bias"], padding="same")
    return x.reshape(b, h, w, -1, f).permute(0, 4, 3, 1, 2)


def video_pointwise(state: State, name: str, x: Tensor) -> Tensor:
    x = F.conv3d(x.transpose(1, 2), state[f"{name}.video_conv.weight"], state[f"{name}.video_conv.bias"])
    return x.transpose(1, 2)


def audio_conv(state: State, name: str, x: Tensor, dilation: int = 1) -> Tensor:
    weight, bias = state[f"{name}.audio_conv.weight"], state[f"{name}.audio_conv.bias"]
    convolve = F.conv1d if x.ndim == 3 else F.conv2d
    return convolve(x, weight, bias, padding="same", dilation=dilation)


def group_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    if x.ndim == 5:
        return F.group_norm(x.transpose(1, 2), 32, weight, bias).transpose(1, 2)
    return F.group_norm(x, 32, weight, bias)


def modulate(state: State, name: str, x: Tensor, emb: Tensor) -> Tensor:
    scale, shift = linear(state, f"{name}.projection.1", F.silu(emb)).chunk(2, dim=1)
    shape = (len(x), 1, -1, 1, 1) if x.ndim == 5 else (len(x), -1, *[1] * (x.ndim - 2))
    return group_norm(x, None, None) * (1 + scale.reshape(shape)) + shift.reshape(shape)


def pool(x: Tensor, audio_pool: int) -> Tensor:
    if x.ndim == 5:
        return F.avg_pool3d(x.transpose(1, 2), (1, 2, 2)).transpose(1, 2)
    return F.avg_pool1d(x, audio_pool) if x.ndim == 3 else F.avg_pool2d(x, (1, 2))


def res_block(
    state: State, name: str, v: Tensor, a: Tensor, emb: tuple[Tensor, Tensor], dilation: int, audio_pool: int | None
):
    streams = []
    for kind, x, e in (("video", v, emb[0]), ("audio", a, emb[1])):
        weight = state[f"{name}.{kind}_in_layers.0.GroupNorm.weight"]
        h = F.silu(group_norm(x, weight, state[f"{name}.{kind}_in_layers.0.GroupNorm.bias"]))
        inner = f"{name}.{kind}_in_layers.2"
        h = video_conv(state, inner, h) if kind == "video" else audio_conv(state, inner, h, dilation)
        if audio_pool is not None:
            h, x = pool(h, audio_pool), pool(x, audio_pool)
        h = F.silu(modulate(state, f"{name}.{kind}_out_layers.0", h, e))
        pointwise = video_pointwise if kind == "video" else audio_conv
        h = pointwise(state, f"{name}.{kind}_out_layers.3", h)
        if f"{name}.{kind}_skip_connection.{kind}_conv.weight" in state:
            x = pointwise(state, f"{name}.{kind}_skip_connection", x)
        streams.append(x + h)
    return streams


def res_features(
    state: State, v: Tensor, a: Tensor, emb: tuple[Tensor, Tensor], levels: int, num_blocks: int, cycle: int, pool: int
) -> tuple[Tensor, Tensor]:
    """Video (b, f, c, h, w) and audio (b, c, l[, m]) to (b, f, d) and (b, l, d)."""
    name = "feature_extractor.input_blocks"
    v, a = video_conv(state, f"{name}.0.0.video_conv", v), audio_conv(state, f"{name}.0.0.audio_conv", a)
    for k in range(1, levels * (num_blocks + 1)):
        between = pool if k % (num_blocks + 1) == 0 else None
        v, a = res_block(state, f"{name}.{k}.0", v, a, emb, 2 ** (k % cycle), between)
    return v.mean((3, 4)), (a if a.ndim == 3 else a.mean(3)).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), dim=-1)
    return (weights @ v).transpose(1, 2).flatten(2)


def vit_features(state: State, kind: str, x: Tensor, emb: Tensor, patch: tuple[int, ...], heads: int) -> Tensor:
    """(b, c, time, ...) to (b, time patches, d)."""
    name = f"feature_extractor.{kind}_extractor"
    steps = x.shape[2] // patch[0]
    convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[len(patch)]
    x = convolve(x, state[f"{name}.conv1.weight"], stride=patch).flatten(2).transpose(1, 2)
    first = state[f"{name}.class_embedding"].expand(len(x), 1, -1)
    x = torch.cat([first, linear(state, f"{name}.time_embed_in", emb)[:, None], x], dim=1)
    x = layer_norm(state, f"{name}.ln_pre", x + state[f"{name}.positional_embedding"])
    k = 0
    while f"{name}.transformer.resblocks.{k}.ln_1.weight" in state:
        block = f"{name}.transformer.resblocks.{k}"
        n = layer_norm(state, f"{block}.ln_1", x)
        qkv = F.linear(n, state[f"{block}.attn.in_proj_weight"], state[f"{block}.attn.in_proj_bias"])
        x = x + linear(state, f"{block}.attn.out_proj", attend(*qkv.chunk(3, dim=-1), heads))
        n = linear(state, f"{block}.mlp.c_fc", layer_norm(state, f"{block}.ln_2", x))
        x = x + linear(state, f"{block}.mlp.c_proj", n * torch.sigmoid(1.702 * n))
        k += 1
    x = layer_norm(state, f"{name}.ln_post", x[:, 2:]) @ state[f"{name}.proj"]
    return x.reshape(len(x), steps, -1, x.shape[-1]).mean(2)


def stretch(v: Tensor, a: Tensor, starts: Sequence[float] | None) -> tuple[Tensor, Tensor]:
    """Both to the length of the longer; `starts` of the frames are in audio steps."""
    if starts is None:
        length = max(v.shape[1], a.shape[1])
        v, a = (F.interpolate(x.transpose(1, 2), length).transpose(1, 2) for x in (v, a))
        return v, a
    frames, steps = range(v.shape[1]), range(a.shape[1])
    if len(frames) > len(steps):
        covers = [max(j for j in steps if j <= starts[i]) for i in frames]
        return v, torch.stack([a[:, j] for j in covers], dim=1)
    covers = [max(i for i in frames if starts[i] <= j) for j in steps]
    return torch.stack([v[:, i] for i in covers], dim=1), a


def fuse(
    state: State, v: Tensor, a: Tensor, temb: Tensor, fusion: str, starts: Sequence[float] | None = None
) -> Tensor:
    """(b, f, d), (b, l, d), (b, e) to (b, features)."""
    if fusion == "mlp":
        return torch.cat([v.mean(1), a.mean(1)], dim=1)
    time = linear(state, "fusion_model.fm_time_in", temb)[:, None]
    if fusion == "frieren":
        v, a = stretch(v, a, starts)
    v, a = linear(state, "fusion_model.fm_video_in", v), linear(state, "fusion_model.fm_audio_in", a)
    x = torch.cat([time, torch.cat([v, a], dim=2)] if fusion == "frieren" else [time, v, a], dim=1)
    token = state.get("fusion_model.fm.cls_emb")
    if token is not None:
        x = torch.cat([token.expand(len(x), 1, -1), x], dim=1)
    x = x + state["fusion_model.fm.pos_emb.emb.weight"][: x.shape[1]]
    k = 0
    while f"fusion_model.fm.attn_layers.layers.{2 * k}.0.weight" in state:
        attention, feedforward = (f"fusion_model.fm.attn_layers.layers.{2 * k + i}" for i in (0, 1))
        n = layer_norm(state, f"{attention}.0", x)
        q, key, value = (linear(state, f"{attention}.1.to_{i}", n) for i in "qkv")
        x = x + linear(state, f"{attention}.1.to_out", attend(q, key, value, 8))
        n = F.gelu(linear(state, f"{feedforward}.1.net.0.0", layer_norm(state, f"{feedforward}.0", x)))
        x = x + linear(state, f"{feedforward}.1.net.2", n)
        k += 1
    x = linear(state, "fusion_model.fm.out_layer", layer_norm(state, "fusion_model.fm.norm", x))
    return x[:, 0] if token is not None else x.mean(1)


def plain_logit(
    state: State,
    config,
    video: Tensor,
    audio: Tensor,
    timesteps: Tensor,
    video_text: Tensor | None = None,
    audio_text: Tensor | None = None,
) -> Tensor:
    """Logit (b,) of video (b, c, f, h, w) with audio (b, c, l) or (b, c, t, m) for one text condition."""
    half = config.embed_channels // 2
    freqs = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / (half - 1))
    angles = timesteps[:, None].float() * freqs
    temb = torch.cat([angles.sin(), angles.cos()], dim=1).to(video.dtype)
    temb = linear(state, "time_embed.projection.linear_1", temb)
    temb = linear(state, "time_embed.projection.linear_2", F.silu(temb))
    video_emb = audio_emb = temb
    if video_text is not None and audio_text is not None:
        texts = [text.mean(1) if text.ndim == 3 else text for text in (video_text, audio_text)]
        video_emb = temb + linear(state, "video_text_embed", texts[0])
        audio_emb = temb + linear(state, "audio_text_embed", texts[1])
    extractor, _, fusion = config.design.partition("_")
    if extractor == "res":
        sizes = (len(config.channel_mult), config.num_blocks, config.dilation_cycle, config.audio_pool)
        v, a = res_features(state, video.transpose(1, 2), audio, (video_emb, audio_emb), *sizes)
    else:
        v = vit_features(state, "video", video, video_emb, config.video_patch, config.vit_heads)
        a = vit_features(state, "audio", audio, audio_emb, config.audio_patch, config.vit_heads)
    starts = None
    if config.video_times is not None:
        pooled = config.audio_pool ** (len(config.channel_mult) - 1) if audio.ndim == 3 else 1
        frames, step = (config.video_patch[0], config.audio_patch[0]) if extractor == "vit" else (1, pooled)
        starts = [config.video_times[frames * i] / step for i in range(v.shape[1])]
    return linear(state, "last_linear", fuse(state, v, a, temb, fusion, starts)).squeeze(1)
