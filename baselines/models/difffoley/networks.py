"""Diff-Foley's denoiser, condition encoder and alignment classifier (arXiv 2306.17203) on the parts of diffusers.

Rules and names: luosiallen/Diff-Foley@0ba1e8a:diff_foley/modules/diffusionmodules/openai_unetmodel.py,
diff_foley/modules/cond_stage/video_feat_encoder.py, diff_foley/modules/double_guidance/alignment_backbone.py;
sizes: inference/config/Stage2_LDM.yaml, inference/config/Double_Guidance_Classifier.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.unets.unet_2d_blocks import UNetMidBlock2DCrossAttn, get_down_block
from torch import Tensor, nn

from mmbench.baselines.parts.unet_names import unet_name
from mmbench.errors import UsageError

UNET: Mapping[str, Any] = {  # the released sizes, as arguments of the original classes
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "attention_resolutions": [4, 2, 1],
    "num_res_blocks": 2,
    "channel_mult": [1, 2, 4, 4],
    "num_heads": 8,
    "transformer_depth": 1,
    "context_dim": 768,
}
CLASSIFIER: Mapping[str, Any] = {
    "in_channels": 4,
    "out_channels": 1,
    "model_channels": 128,
    "attention_resolutions": [2, 4],
    "num_res_blocks": 1,
    "channel_mult": [1, 2, 2],
    "num_heads": 8,
    "transformer_depth": 1,
    "context_dim": 512,
}
FIXED: Mapping[str, Any] = {  # what the classes of diffusers always do, under the names of the original's options
    "use_spatial_transformer": True,
    "legacy": False,
    "resblock_updown": False,
    "use_scale_shift_norm": False,
    "conv_resample": True,
    "num_head_channels": -1,
    "num_classes": None,
}


def classifier_config(constructor: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `AlignmentClassifier` for those of the original classifier.

    Raises:
        UsageError: An option has a value that Diff-Foley does not use.
    """
    other = {name: constructor[name] for name, value in FIXED.items() if constructor.get(name, value) != value}
    if other:
        raise UsageError(f"U-Net options {other} have no counterpart.", ", ".join(f"{k}={FIXED[k]}" for k in other))
    attends = [2**level in constructor["attention_resolutions"] for level in range(len(constructor["channel_mult"]))]
    return {
        "in_channels": constructor["in_channels"],
        "out_channels": constructor["out_channels"],
        "block_out_channels": [constructor["model_channels"] * multiple for multiple in constructor["channel_mult"]],
        "down_block_types": ["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends],
        "layers_per_block": constructor["num_res_blocks"],
        "cross_attention_dim": constructor["context_dim"],
        "attention_head_dim": constructor["num_heads"],  # diffusers' name for the number of heads
        "transformer_layers_per_block": constructor["transformer_depth"],
    }


def unet_config(constructor: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of diffusers' UNet2DConditionModel for those of the original U-Net; raises as `classifier_config`."""
    config = classifier_config(constructor)
    up = [kind.replace("Down", "Up") for kind in reversed(config["down_block_types"])]
    return {**config, "up_block_types": up}


class VideoConditionEncoder(nn.Module):
    """From features of the frames to what the U-Net attends to; tensors have the official names.

    Args:
        origin_dim: Width of the features.
        embed_dim: Width of the U-Net's conditions.
        seq_len: Positions that are known.
    """

    def __init__(self, origin_dim: int = 512, embed_dim: int = 768, seq_len: int = 40) -> None:
        super().__init__()
        self.embedder = nn.Sequential(nn.Linear(origin_dim, embed_dim))
        self.pos_emb = nn.Embedding(seq_len, embed_dim)

    def forward(self, features: Tensor) -> Tensor:
        """(n, t, origin_dim) to (n, t, embed_dim), t up to `seq_len`."""
        return self.embedder(features) + self.pos_emb.weight[: features.shape[1]]


class AlignmentClassifier(nn.Module):
    """Classifier of whether a noised sound fits a video: the encoder of a U-Net, an average and a linear layer.

    Args:
        in_channels: Channels of the latents.
        out_channels: Logits; one.
        block_out_channels: Width of each level.
        down_block_types: Class of each level, by its name in diffusers.
        layers_per_block: Residual blocks per level.
        cross_attention_dim: Width of the features of frames.
        attention_head_dim: Heads of attention, under the name that diffusers' U-Nets have for them.
        transformer_layers_per_block: Transformer blocks after a residual block that attends.
        norm_num_groups: Groups of the norms.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        block_out_channels: Sequence[int],
        down_block_types: Sequence[str],
        layers_per_block: int,
        cross_attention_dim: int,
        attention_head_dim: int,
        transformer_layers_per_block: int = 1,
        norm_num_groups: int = 32,
    ) -> None:
        super().__init__()
        first, last, embedding = block_out_channels[0], block_out_channels[-1], 4 * block_out_channels[0]
        shared: dict[str, Any] = {
            "temb_channels": embedding,
            "resnet_eps": 1e-5,
            "resnet_act_fn": "silu",
            "resnet_groups": norm_num_groups,
            "cross_attention_dim": cross_attention_dim,
            "num_attention_heads": attention_head_dim,
            "transformer_layers_per_block": transformer_layers_per_block,
        }
        self.layers_per_block = layers_per_block
        self.time_proj = Timesteps(first, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(first, embedding)
        self.conv_in = nn.Conv2d(in_channels, first, 3, padding=1)
        widths = [first, *block_out_channels]
        self.down_blocks = nn.ModuleList(
            get_down_block(
                kind,
                num_layers=layers_per_block,
                in_channels=widths[level],
                out_channels=widths[level + 1],
                add_downsample=level + 1 < len(down_block_types),
                downsample_padding=1,
                attention_head_dim=attention_head_dim,  # not used; without it there is a warning
                **shared,
            )
            for level, kind in enumerate(down_block_types)
        )
        self.mid_block = UNetMidBlock2DCrossAttn(in_channels=last, **shared)
        self.conv_norm_out = nn.GroupNorm(norm_num_groups, last, eps=1e-5)
        self.conv_out = nn.Conv2d(last, last // 2, 3, padding=1)
        self.classifier = nn.Linear(last // 2, out_channels)

    def forward(self, x_t: Tensor, t: Tensor, features: Tensor) -> Tensor:
        """Logits (n, 1) of noised latents (n, 4, h, w) at times t (n,), whole or not, for features (n, frames, width).

        The features are CAVP's own of the whole clip, not those that the condition encoder makes of them.
        """
        embedding = self.time_embedding(self.time_proj(t).to(x_t))
        h = self.conv_in(x_t)
        for block in self.down_blocks:
            attended = {"encoder_hidden_states": features} if getattr(block, "has_cross_attention", False) else {}
            h, _ = block(h, embedding, **attended)
        h = self.mid_block(h, embedding, encoder_hidden_states=features)
        return self.classifier(self.conv_out(F.silu(self.conv_norm_out(h))).mean((2, 3)))

    def log_probability_gradient(self, x_t: Tensor, t: Tensor, features: Tensor) -> Tensor:
        """d log p / d x_t for each sample, (n, 4, h, w)."""
        with torch.enable_grad():
            leaf = x_t.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(F.logsigmoid(self(leaf, t, features)).sum(), leaf)
        return gradient


def classifier_name(name: str, layers: int) -> str | None:
    """`AlignmentClassifier`'s name of an original tensor; None if there is none."""
    return name if name.startswith("classifier.") else unet_name(name, layers, members=2)
