"""The towers of LAION's CLAP (arXiv 2211.06687): HTSAT for sound, RoBERTa for text, both into one space.

They are transformers' classes, which give the numbers of LAION-AI/CLAP@1fd4c37 (src/laion_clap/clap_module) with the
same weights; only names differ. RoBERTa's LayerNorm has eps 1e-5 there, 1e-12 by default in transformers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import ClapAudioConfig, ClapAudioModelWithProjection, ClapTextConfig, ClapTextModelWithProjection

from mmbench.networks.state_dicts import State, load_state

Tower = Literal["audio", "text"]


@dataclass(frozen=True)
class ClapConfig:
    """Sizes of CLAP; what is not named in `text` is as in roberta-base."""

    width: int = 128  # of HTSAT's first stage
    depths: tuple[int, ...] = (2, 2, 12, 2)
    heads: tuple[int, ...] = (4, 8, 16, 32)
    embedding: int = 512
    text: Mapping[str, Any] = field(default_factory=dict)


HTSAT_BASE = ClapConfig()
HTSAT_TINY = ClapConfig(width=96, depths=(2, 2, 6, 2))
SMALL_TEXT = {"vocab_size": 261, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}
SMALL = ClapConfig(16, (1, 1, 2, 1), (2, 4, 4, 8), 20, {**SMALL_TEXT, "intermediate_size": 40})


class ClapAudio(nn.Module):
    """Log-mel spectrograms (n, 1001, 64) [dB] to unit vectors (n, 512)."""

    def __init__(self, config: ClapConfig) -> None:
        super().__init__()
        sizes = ClapAudioConfig(
            patch_embeds_hidden_size=config.width,
            hidden_size=config.width * 2 ** (len(config.depths) - 1),
            depths=list(config.depths),
            num_attention_heads=list(config.heads),
            projection_dim=config.embedding,
        )
        self.model = ClapAudioModelWithProjection(sizes).eval()

    def pooled(self, mel: Tensor) -> Tensor:
        """HTSAT's own embedding (n, 1024), before the projection."""
        pooled: Tensor = self.model.audio_model(input_features=mel[:, None]).pooler_output
        return pooled

    def forward(self, mel: Tensor) -> Tensor:
        return F.normalize(self.model.audio_projection(self.pooled(mel)), dim=-1)


class ClapText(nn.Module):
    """Tokens (n, length) and the mask of those that are no padding to unit vectors (n, 512)."""

    def __init__(self, config: ClapConfig) -> None:
        super().__init__()
        sizes = ClapTextConfig(**{"layer_norm_eps": 1e-5, **config.text, "projection_dim": config.embedding})
        self.model = ClapTextModelWithProjection(sizes).eval()

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        pooled = self.model.text_model(input_ids=tokens, attention_mask=mask).pooler_output
        return F.normalize(self.model.text_projection(pooled), dim=-1)


TOWERS: dict[Tower, type[ClapAudio] | type[ClapText]] = {"audio": ClapAudio, "text": ClapText}
# what LAION's files have besides: the front end, which is computed, and heads of other tasks
UNUSED = re.compile(r"audio_branch\.(spectrogram_extractor|logmel_extractor|tscam_conv|head)\.|.*_transform\.")
DERIVED = re.compile(r".*(relative_position_index|attn_mask|position_ids|token_type_ids)$")  # buffers that follow
RENAMED = (
    ("text_branch.", "text_model."),
    ("audio_branch.", "audio_model.audio_encoder."),
    (".bn0.", ".batch_norm."),
    (".attn.proj.", ".attention.output.dense."),
    (".attn.relative_position_bias_table", ".attention.self.relative_position_bias_table"),
    (".mlp.fc1.", ".intermediate.dense."),
    (".mlp.fc2.", ".output.dense."),
    (".norm1.", ".layernorm_before."),
    (".norm2.", ".layernorm_after."),
    ("_projection.0.", "_projection.linear1."),
    ("_projection.2.", "_projection.linear2."),
)


def from_official(state: State) -> dict[str, Tensor]:
    """LAION's tensors, of both towers, under the names of transformers' ClapModel."""
    renamed: dict[str, Tensor] = {}
    for name, value in state.items():
        name = name.removeprefix("module.")
        if UNUSED.match(name):
            continue
        for old, new in RENAMED:
            name = name.replace(old, new)
        if ".attn.qkv." in name:
            for part, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                renamed[name.replace(".attn.qkv.", f".attention.self.{part}.")] = third
        else:
            renamed[name] = value
    return renamed


def load_tower(network: ClapAudio | ClapText, tower: Tower, state: State, source: str) -> None:
    """Give a tower its tensors of a state under the names of transformers' ClapModel.

    Raises:
        MMBenchError: A tensor is missing, has another shape, or has no place in either tower.
    """
    weights = {k: v for k, v in state.items() if not DERIVED.match(k) and not k.startswith("logit_scale_")}
    buffers = {k: v for k, v in network.model.state_dict().items() if DERIVED.match(k)}
    others = {k for k in weights if k.startswith(tuple(f"{t}_" for t in TOWERS if t != tower))}
    load_state(network.model, {**{k: v for k, v in weights.items() if k not in others}, **buffers}, source)
