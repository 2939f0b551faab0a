"""WavLM (arXiv 2110.13900) as Audiobox Aesthetics runs it: transformers' layers, and its own rule of what is padding.

Own writing of facebookresearch/audiobox-aesthetics@2618e9d (src/audiobox_aesthetics/model/wavlm.py). The layers of
transformers' WavLM equal its; how it counts the frames of a sound that was completed with zeros does not.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from torch import Tensor, nn
from transformers import WavLMConfig, WavLMModel


@dataclass(frozen=True)
class WavLMSizes:
    """Sizes, by default of WavLM-base.

    Attributes:
        width: Of the layers; a multiple of `heads` and of `position_groups`.
        depth: Layers.
        heads: Of attention.
        feedforward: Width between a layer's two products.
        convolutions: Channels, kernel and stride of each.
        position_kernel: Of the convolution over frames that stands for positions.
        position_groups: Its groups.
        buckets: Of relative positions.
        max_distance: From which on all share a bucket [frames].
    """

    width: int = 768
    depth: int = 12
    heads: int = 12
    feedforward: int = 3072
    convolutions: tuple[tuple[int, int, int], ...] = ((512, 10, 5), *((512, 3, 2),) * 4, *((512, 2, 2),) * 2)
    position_kernel: int = 128
    position_groups: int = 16
    buckets: int = 320
    max_distance: int = 800


class WavLM(nn.Module):
    """Sounds at 16 kHz to hidden states, 50 per second.

    Args:
        sizes: Sizes.
    """

    def __init__(self, sizes: WavLMSizes) -> None:
        super().__init__()
        channels, kernels, strides = zip(*sizes.convolutions, strict=True)
        config = WavLMConfig(
            hidden_size=sizes.width,
            num_hidden_layers=sizes.depth,
            num_attention_heads=sizes.heads,
            intermediate_size=sizes.feedforward,
            conv_dim=channels,
            conv_kernel=kernels,
            conv_stride=strides,
            num_conv_pos_embeddings=sizes.position_kernel,
            num_conv_pos_embedding_groups=sizes.position_groups,
            num_buckets=sizes.buckets,
            max_bucket_distance=sizes.max_distance,
            mask_time_prob=0.0,
        )
        self.model = WavLMModel(config).eval()
        if channels[-1] == sizes.width:  # then the official network has no projection
            self.model.feature_projection.projection = nn.Identity()

    def convolve(self, waves: Tensor) -> Tensor:
        """(n, s) to (n, frames, channels); the first layer's norm sees the padding, too."""
        found: Tensor = self.model.feature_extractor(waves).transpose(1, 2)
        return found

    def hidden_states(self, convolved: Tensor, valid: Tensor) -> list[Tensor]:
        """The input of the layers and what each gives: depth + 1 of (n, frames, width).

        Args:
            convolved: (n, frames, channels).
            valid: (n, frames) bool, False where a frame is padding.
        """
        encoder = self.model.encoder
        x = self.model.feature_projection(convolved)[0].masked_fill(~valid[..., None], 0.0)
        states, bias = [encoder.layer_norm(x + encoder.pos_conv_embed(x))], None
        with warnings.catch_warnings():  # of transformers' own masks
            warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask", UserWarning)
            for layer in encoder.layers:
                x, bias = layer(states[-1], attention_mask=valid, position_bias=bias)
                states.append(x)
        return states


def valid_frames(real: Tensor, frames: int) -> Tensor:
    """Which frames (n, frames) hold a real sample (n, s): each stands for s // frames of them, the rest is left out."""
    each = real.shape[1] // frames
    return real[:, : each * frames].unflatten(1, (frames, each)).any(-1)


RENAMED = (
    ("post_extract_proj.", "feature_projection.projection."),
    (".pos_conv.0.weight_g", ".pos_conv_embed.conv.parametrizations.weight.original0"),
    (".pos_conv.0.weight_v", ".pos_conv_embed.conv.parametrizations.weight.original1"),
    (".pos_conv.0.bias", ".pos_conv_embed.conv.bias"),
    (".grep_a", ".gru_rel_pos_const"),
    (".grep_linear.", ".gru_rel_pos_linear."),
    (".relative_attention_bias.", ".rel_attn_embed."),
    (".self_attn_layer_norm.", ".layer_norm."),
    (".self_attn.", ".attention."),
    (".fc1.", ".feed_forward.intermediate_dense."),
    (".fc2.", ".feed_forward.output_dense."),
)


def wavlm_name(name: str) -> str:
    """transformers' name of a tensor of the official network."""
    if name.startswith("layer_norm."):
        return f"feature_projection.{name}"
    if name.startswith("feature_extractor."):  # conv_layers.0.0 is a convolution, conv_layers.0.2 its norm
        stem, part, kind = name.rsplit(".", 2)
        return f"{stem}.{'conv' if part == '0' else 'layer_norm'}.{kind}"
    for old, new in RENAMED:
        name = name.replace(old, new)
    return name
