"""The U-Net of latent diffusion models under its original names, as the U-Nets of diffusers.

The names are those of CompVis/latent-diffusion's UNetModel, kept by Diff-Foley
(luosiallen/Diff-Foley@0ba1e8a:diff_foley/modules/diffusionmodules/openai_unetmodel.py) and, with layers in time, by
AILab-CVC/VideoCrafter@11bcd76:lvdm/modules/networks/openaimodel3d.py.
"""

from __future__ import annotations

import re

OUTER = {
    "input_blocks.0.0": "conv_in",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "init_attn.0": "transformer_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
RESIDUAL = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}


def unet_name(name: str, layers: int, members: int) -> str | None:
    """diffusers' name of an original tensor; None if there is none.

    Args:
        name: Original name.
        layers: Residual blocks per level on the way down; the way up has one more.
        members: 2 for a residual block with attention in space; 3 where attention in time follows.
    """
    if match := re.fullmatch(r"(?:input_blocks\.0\.0|time_embed\.([02])|init_attn\.0|out\.([02]))\.(.+)", name):
        head = name.removesuffix(f".{match[3]}")
        return f"{OUTER[head]}.{match[3]}"
    if match := re.fullmatch(r"input_blocks\.(\d+)\.(\d)\.(.+)", name):
        block, layer = divmod(int(match[1]) - 1, layers + 1)
        if layer == layers:
            return f"down_blocks.{block}.downsamplers.0.{match[3].replace('op.', 'conv.')}"
        return _member(f"down_blocks.{block}", layer, int(match[2]), match[3])
    if match := re.fullmatch(r"output_blocks\.(\d+)\.(\d)\.(.+)", name):
        block, layer = divmod(int(match[1]), layers + 1)
        if match[3].startswith("conv."):
            return f"up_blocks.{block}.upsamplers.0.{match[3]}"
        return _member(f"up_blocks.{block}", layer, int(match[2]), match[3])
    if (match := re.fullmatch(r"middle_block\.(\d)\.(.+)", name)) and int(match[1]) <= members:
        return _member("mid_block", *divmod(int(match[1]), members), match[2])
    return None


def _member(block: str, layer: int, member: int, rest: str) -> str | None:
    """A tensor of a residual block (member 0), of attention in space (1) or in time (2)."""
    if member in (1, 2):
        return f"{block}.{'attentions' if member == 1 else 'temp_attentions'}.{layer}.{rest}"
    head, _, kind = rest.rpartition(".")
    if head.startswith("temopral_conv."):  # the official spelling
        return f"{block}.temp_convs.{layer}.{rest.removeprefix('temopral_conv.')}"
    return f"{block}.resnets.{layer}.{RESIDUAL[head]}.{kind}" if head in RESIDUAL else None
