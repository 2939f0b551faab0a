"""ImageBind embeddings of video, sound and text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from mmbench.metrics.extractors.base import require_sound
from mmbench.metrics.extractors.precision import PrecisionExtractor
from mmbench.networks.random_weights import fill_randomly
from mmbench.types import Clip, Features, Modality
from mmbench.weights import checkpoints as published

_towers: WeakValueDictionary[tuple[str, ...], Any] = WeakValueDictionary()  # those that an extractor holds


class ImageBindTower(PrecisionExtractor):
    """One tower of ImageBind: (1024,) `embedding`; random weights come in a small size, (20,).

    Extractors that look at clips in different ways share one network in memory.
    """

    tower: ClassVar[str]

    @cached_property
    def network(self) -> Any:
        """The tower, which an extractor beside this one may have loaded."""
        path = str(published.verify("imagebind").path) if self.weights == "real" else ""
        key = (self.tower, self.weights, path, self.salt, str(self.device), self.precision)
        network = _towers.get(key)
        if network is None:
            network = _towers[key] = self._load().to(self.device)
        return network

    def _embed(self, network: Any, inputs: Any) -> Any:
        """Embeddings (n, dim) float32 of what the tower reads."""
        with self.computing():
            return getattr(network, f"embed_{self.tower}")(inputs.to(self.device))

    def _real(self) -> Any:
        import torch

        from mmbench.metrics.networks.imagebind import HUGE, ImageBind, load_towers

        with torch.device("meta"):
            network = ImageBind(HUGE, [self.tower])
        # mapped, not read: the file holds six towers
        state = torch.load(published.verify("imagebind").path, map_location="cpu", mmap=True, weights_only=True)
        load_towers(network, state)
        return network

    def _random(self) -> Any:
        from mmbench.metrics.networks.imagebind import SMALL, ImageBind

        network = ImageBind(SMALL, [self.tower])
        fill_randomly(network, self.salt)
        return network


class ImageBindVideo(ImageBindTower):
    """`embedding` of a video: the mean over ImageBind's 15 views, of which only distinct ones are computed."""

    name = "imagebind_video"
    modality: Modality = "video"
    official = ("imagebind",)
    preprocessing = "5 clips of 2 frames, bilinear 224, 3 crops, mean of unit vectors (1)"
    tower = "vision"

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        from mmbench.metrics.networks.imagebind_preprocess import mean_over_views, video_views

        views = [video_views(clip.video, float(clip.fps)) for clip in batch]
        rows = mean_over_views(partial(self._embed, network), views, self.batch_size)
        return [{"embedding": row} for row in rows.cpu().numpy()]


class ImageBindAudio(ImageBindTower):
    """`embedding` of a sound: the mean over ImageBind's three views, of which only distinct ones are computed."""

    name = "imagebind_audio"
    modality: Modality = "audio"
    official = ("imagebind",)
    preprocessing = "16 kHz, 3 clips, centred in place, Kaldi filter bank 128x204, float64 (1)"
    tower = "audio"

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        from mmbench.metrics.networks.imagebind_preprocess import audio_views, mean_over_views

        views = [audio_views(require_sound(clip), clip.sample_rate) for clip in batch]
        rows = mean_over_views(partial(self._embed, network), views, self.batch_size)
        return [{"embedding": row} for row in rows.cpu().numpy()]


class ImageBindText(ImageBindTower):
    """`embedding` of a text; random weights come with tokens of single bytes, so that they need no file."""

    name = "imagebind_text"
    modality: Modality = "text"
    official = ("imagebind", "clip_bpe")
    preprocessing = "CLIP tokens, 77 with the end kept (1)"
    tower = "text"

    @cached_property
    def tokenizer(self) -> Any:
        """Texts to (n, 77) int64."""
        from mmbench.networks.clip_tokens import ClipTokenizer

        return ClipTokenizer(published.verify("clip_bpe").path if self.weights == "real" else None)

    def _features(self, network: Any, batch: Sequence[str]) -> list[Features]:
        import torch

        tokens = torch.from_numpy(self.tokenizer(batch))
        return [{"embedding": row} for row in self._embed(network, tokens).cpu().numpy()]
