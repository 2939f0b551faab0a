"""CLIP ViT-B/32's embeddings of a video and of a text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from mmbench.metrics.extractors.base import PublishedExtractor
from mmbench.networks.random_weights import fill_randomly
from mmbench.types import Clip, Features, Modality, Spec
from mmbench.weights import checkpoints as published

FRAMES_AT_A_TIME = 16  # through the network


class CLIPTower(PublishedExtractor):
    """One tower of CLIP: (512,) `embedding`; random weights come in a small size, (20,)."""

    tower: ClassVar[Literal["vision", "text"]]

    def _real(self) -> Any:
        from mmbench.metrics.networks.clip import FULL, build_tower, load_tower

        network = build_tower(self.tower, FULL)
        load_tower(network, self.tower, published.load_state_dict("clip_vit_b32"))
        return network

    def _random(self) -> Any:
        from mmbench.metrics.networks.clip import SMALL, build_tower

        network = build_tower(self.tower, SMALL)
        fill_randomly(network, self.salt)
        return network


class CLIPVideo(CLIPTower):
    """`embedding` of a video: the mean of the unit vectors of 48 frames, of which only distinct ones are computed.

    Args:
        weights: "real" or "random".
        bgr: The network sees blue where red belongs, as in JavisBench.
        **placement: As for every network: device, batch_size, salt.
    """

    modality: Modality = "video"
    official = ("clip_vit_b32",)
    preprocessing = "48 frames, Pillow's bicubic on uint8, centre 224, mean of unit vectors (1)"
    tower = "vision"
    default_batch_size = 4  # long clips are large

    def __init__(self, weights: Literal["real", "random"] = "real", *, bgr: bool = False, **placement: Any) -> None:
        super().__init__(weights, **placement)
        self.bgr, self.name = bgr, f"clip_video_{'bgr' if bgr else 'rgb'}"

    def spec(self) -> Spec:
        """Digest of the weights, preprocessing, and the order of channels."""
        return {**super().spec(), "bgr": self.bgr}

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        return [{"embedding": self._look_at(network, clip.video)} for clip in batch]

    def _look_at(self, network: Any, video: np.ndarray) -> np.ndarray:
        import torch

        from mmbench.metrics.networks.clip import mean_direction, shown_frames
        from mmbench.metrics.networks.pillow_views import pictures

        used, shown = np.unique(shown_frames(len(video)), return_inverse=True)
        frames = np.ascontiguousarray(video[used][..., ::-1] if self.bgr else video[used])
        parts = pictures(frames).split(FRAMES_AT_A_TIME)
        rows = torch.cat([network(pixel_values=part.to(self.device)).image_embeds for part in parts])
        return mean_direction(rows[torch.from_numpy(shown).to(self.device)]).cpu().numpy()


class CLIPText(CLIPTower):
    """`embedding` of a text, of length 1; random weights come with tokens of single bytes, which need no file."""

    name = "clip_text"
    modality: Modality = "text"
    official = ("clip_vit_b32", "clip_bpe")
    preprocessing = "CLIP tokens, 77 with the end kept (1)"
    tower = "text"

    @cached_property
    def tokenizer(self) -> Any:
        """Texts to (n, 77) int64."""
        from mmbench.networks.clip_tokens import ClipTokenizer

        return ClipTokenizer(published.verify("clip_bpe").path if self.weights == "real" else None)

    def _features(self, network: Any, batch: Sequence[str]) -> list[Features]:
        import torch
        import torch.nn.functional as F

        tokens = torch.from_numpy(self.tokenizer(batch)).to(self.device)
        return [{"embedding": row} for row in F.normalize(network(input_ids=tokens).text_embeds, dim=-1).cpu().numpy()]
