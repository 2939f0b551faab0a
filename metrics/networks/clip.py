"""CLIP ViT-B/32's two towers, by `transformers`, and which frames JavisBench shows it.

openai/CLIP@a9b1bf5 under the names of openai/clip-vit-base-patch32; frames as
JavisVerse/JavisDiT@b505b37:eval/javisbench/src/{utils,metrics}.py takes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from mmbench.errors import MMBenchError
from mmbench.networks.state_dicts import load_state

FRAMES = 48  # of a clip, whatever its length
SOURCE = "the CLIP checkpoint"
Tower = Literal["vision", "text"]


@dataclass(frozen=True)
class CLIPConfig:
    """Sizes of the two towers, and of the embeddings that they share; a head has 64 channels."""

    vision: tuple[int, int]  # width, depth
    text: tuple[int, int]
    out_dim: int
    head: int = 64


# FULL is ViT-B/32, with 151 M parameters; SMALL is for random weights
FULL = CLIPConfig((768, 12), (512, 12), 512)
SMALL = CLIPConfig((32, 2), (16, 2), 20, head=8)


def build_tower(tower: Tower, config: CLIPConfig) -> Any:
    """One tower of CLIP with its projection, of `transformers`' random weights."""
    from transformers import (
        CLIPTextConfig,
        CLIPTextModelWithProjection,
        CLIPVisionConfig,
        CLIPVisionModelWithProjection,
    )

    width, depth = getattr(config, tower)
    sizes = {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": depth,
        "num_attention_heads": width // config.head,
        "projection_dim": config.out_dim,
    }
    if tower == "vision":
        return CLIPVisionModelWithProjection(CLIPVisionConfig(**sizes, image_size=224, patch_size=32)).eval()
    return CLIPTextModelWithProjection(CLIPTextConfig(**sizes)).eval()


def load_tower(network: Any, tower: Tower, state: Mapping[str, Tensor]) -> None:
    """Load the published checkpoint of both towers into one.

    Raises:
        MMBenchError: A tensor is missing, has another shape, or belongs to this tower but not into it.
    """
    left = load_state(network, state, SOURCE, extra="leave")
    own = (f"{tower}_model.", "visual_projection." if tower == "vision" else "text_projection.")
    strange = [name for name in left if name.startswith(own) and not name.endswith(".position_ids")]
    if strange:
        raise MMBenchError(f"{SOURCE} holds {len(strange)} unknown tensors, first {strange[0]}.")


def shown_frames(num_frames: int) -> np.ndarray:
    """(48,) indices of frames, evenly spaced from the first to the last; short clips show frames repeatedly."""
    return np.linspace(0, num_frames - 1, FRAMES).round().astype(np.int64)


def mean_direction(embeddings: Tensor) -> Tensor:
    """The mean (..., d) of embeddings (..., n, d) at length 1 each: times a unit vector it is their mean cosine."""
    return F.normalize(embeddings, dim=-1).mean(dim=-2)
