"""ImageBind: one embedding space for video, sound and text.

Own writing of the three towers of facebookresearch/ImageBind@53680b0 (imagebind/models/imagebind_model.py,
multimodal_preprocessors.py, transformer.py, helpers.py) under the key names of the published checkpoint; its depth,
thermal and IMU towers are left out. Any subset of the towers can be built, so that scoring sound loads sound only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmbench.errors import MMBenchError
from mmbench.metrics.networks.imagebind_transformer import TowerConfig, Trunk
from mmbench.networks.clip_tokens import CONTEXT, VOCABULARY
from mmbench.networks.state_dicts import load_state

CROP, PATCH, FRAMES = 224, 14, 2
MELS, MEL_FRAMES, MEL_PATCH, MEL_STRIDE = 128, 204, 16, 10
MAX_LOGIT_SCALE = 100.0


@dataclass(frozen=True)
class ImageBindConfig:
    """Sizes of ImageBind's three towers, and of the embeddings that they share."""

    vision: TowerConfig
    audio: TowerConfig
    text: TowerConfig
    out_dim: int


# HUGE is the published model, with 1.07 G parameters in three towers
HUGE = ImageBindConfig(TowerConfig(1280, 32, 16), TowerConfig(768, 12, 12), TowerConfig(1024, 24, 16), 1024)
SMALL = ImageBindConfig(TowerConfig(40, 2, 4), TowerConfig(24, 3, 3), TowerConfig(16, 2, 2), 20)  # for random weights
MODALITIES = ("vision", "audio", "text")


class Stem(nn.Module):
    """Patches of a picture, video or mel spectrogram as tokens (n, patches, width)."""

    def __init__(self, proj: nn.Module, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.proj, self.norm_layer = proj, norm

    def forward(self, x: Tensor) -> Tensor:
        x = self.proj(x).flatten(2).transpose(1, 2)
        return x if self.norm_layer is None else self.norm_layer(x)


class Positions(nn.Module):
    """Position embeddings, added."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, length, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pos_embed


class PatchTokens(nn.Module):
    """A class token and patch tokens, with positions; inputs of one size only, that of `num_patches`."""

    def __init__(self, stem: Stem, num_patches: int, width: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.rgbt_stem = stem
        self.pos_embedding_helper = Positions(1 + num_patches, width)

    def forward(self, x: Tensor) -> Tensor:
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), self.rgbt_stem(x)], dim=1)
        return self.pos_embedding_helper(tokens)


class TextTokens(nn.Module):
    """Token embeddings plus positions."""

    mask: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, CONTEXT, width))
        self.token_embedding = nn.Embedding(VOCABULARY, width)
        self.register_buffer("mask", torch.full((CONTEXT, CONTEXT), -math.inf).triu_(1))  # a key of the checkpoint

    def forward(self, tokens: Tensor) -> Tensor:
        return self.token_embedding(tokens) + self.pos_embed[:, : tokens.shape[1]]


class RepeatToVideo(nn.Module):
    """A picture (n, 3, h, w), or a video of one frame, becomes a video of two equal frames."""

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, None] if x.ndim == 4 else x
        return x.repeat(1, 1, FRAMES, 1, 1) if x.shape[2] == 1 else x


class LogitScale(nn.Module):
    """Multiply by exp of the stored logarithm, at most 100."""

    log_logit_scale: Tensor

    def __init__(self, init: float, learnable: bool) -> None:
        super().__init__()
        value = torch.tensor(math.log(init))
        self.log_logit_scale = nn.Parameter(value) if learnable else nn.Buffer(value)

    def forward(self, x: Tensor) -> Tensor:
        return self.log_logit_scale.exp().clamp(max=MAX_LOGIT_SCALE) * x


class ClassHead(nn.Sequential):
    """Norm and projection of the class token."""

    def __init__(self, width: int, out_dim: int) -> None:
        super().__init__(nn.LayerNorm(width, eps=1e-6), nn.Identity(), nn.Linear(width, out_dim, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[:, 0])


class EndOfTextHead(nn.Module):
    """Norm and projection of the token at the end of each text."""

    def __init__(self, width: int, out_dim: int) -> None:
        super().__init__()
        self.proj = nn.Sequential(nn.LayerNorm(width, eps=1e-6), nn.Linear(width, out_dim, bias=False))

    def forward(self, x: Tensor, end: Tensor) -> Tensor:
        return self.proj(x[torch.arange(len(x), device=x.device), end])


class ImageBind(nn.Module):
    """The towers of ImageBind that are asked for.

    Args:
        config: Sizes.
        modalities: Of "vision", "audio", "text".
    """

    def __init__(self, config: ImageBindConfig = HUGE, modalities: Sequence[str] = MODALITIES) -> None:
        super().__init__()
        self.modality_preprocessors, self.modality_trunks = nn.ModuleDict(), nn.ModuleDict()
        self.modality_heads, self.modality_postprocessors = nn.ModuleDict(), nn.ModuleDict()
        for modality in modalities:
            tokens, trunk, head, scale = getattr(self, f"_{modality}")(getattr(config, modality), config.out_dim)
            self.modality_preprocessors[modality] = tokens
            self.modality_trunks[modality] = trunk
            self.modality_heads[modality] = head
            if scale is not None:  # module 1 in the checkpoint
                self.modality_postprocessors[modality] = nn.Sequential(nn.Identity(), scale)
        self.eval()

    @staticmethod
    def _vision(config: TowerConfig, out_dim: int) -> tuple[nn.Module, nn.Module, nn.Module, None]:
        kernel = (FRAMES, PATCH, PATCH)
        projection = nn.Sequential(RepeatToVideo(), nn.Conv3d(3, config.width, kernel, kernel, bias=False))
        tokens = PatchTokens(Stem(projection), (CROP // PATCH) ** 2, config.width)
        return tokens, Trunk(config, pre_norm=True), ClassHead(config.width, out_dim), None

    @staticmethod
    def _audio(config: TowerConfig, out_dim: int) -> tuple[nn.Module, nn.Module, nn.Module, nn.Module]:
        projection = nn.Conv2d(1, config.width, MEL_PATCH, MEL_STRIDE, bias=False)
        rows, columns = ((n - MEL_PATCH) // MEL_STRIDE + 1 for n in (MELS, MEL_FRAMES))
        tokens = PatchTokens(Stem(projection, nn.LayerNorm(config.width)), rows * columns, config.width)
        return tokens, Trunk(config, bias_kv=True), ClassHead(config.width, out_dim), LogitScale(20.0, learnable=False)

    @staticmethod
    def _text(config: TowerConfig, out_dim: int) -> tuple[nn.Module, nn.Module, nn.Module, nn.Module]:
        head = EndOfTextHead(config.width, out_dim)
        return TextTokens(config.width), Trunk(config, causal=True), head, LogitScale(1 / 0.07, learnable=True)

    def embed_vision(self, views: Tensor) -> Tensor:
        """Unit vectors (n, out_dim) of normalised views (n, 3, 2, 224, 224), or of pictures (n, 3, 224, 224)."""
        return F.normalize(self._head("vision", views), dim=-1)

    def embed_audio(self, mels: Tensor) -> Tensor:
        """Vectors (n, out_dim) of length 20 for normalised log-mel views (n, 1, 128, 204)."""
        return self.modality_postprocessors["audio"](F.normalize(self._head("audio", mels), dim=-1))

    def embed_text(self, tokens: Tensor) -> Tensor:
        """Scaled vectors (n, out_dim) of CLIP tokens (n, 77) int64.

        The end of each text is its first largest token. What follows the last end is not computed: attention is causal.
        """
        end = tokens.argmax(dim=1)
        x = self.modality_preprocessors["text"](tokens[:, : int(end.max()) + 1])
        x = self.modality_heads["text"](self.modality_trunks["text"](x), end).float()
        return self.modality_postprocessors["text"](F.normalize(x, dim=-1))

    def _head(self, modality: str, x: Tensor) -> Tensor:
        x = self.modality_trunks[modality](self.modality_preprocessors[modality](x), queries=1)
        return self.modality_heads[modality](x).float()


def load_towers(model: ImageBind, state: Mapping[str, Tensor]) -> list[str]:
    """Load the published checkpoint into the towers that `model` has.

    Returns:
        The names of tensors of other towers, which were ignored.

    Raises:
        MMBenchError: A tensor is missing, has another shape, or belongs to a tower of `model` but not into it.
    """
    ignored = load_state(model, state, "the ImageBind checkpoint", extra="leave")
    strange = [key for key in ignored if key.split(".")[1] in model.modality_trunks]
    if strange:
        raise MMBenchError(f"The ImageBind checkpoint holds {len(strange)} unknown tensors, first {strange[0]}.")
    return ignored
