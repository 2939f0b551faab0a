"""Scores of the bounce dataset on networks that come with the package: two Fréchet distances and three agreements.

The same arithmetic as FVD, FAD and the ImageBind scores, on features that know materials, sizes, and when balls hit.
Their values compare systems on bounce with each other and with nothing else. Networks: `bounce_networks`.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from mmbench.errors import UsageError
from mmbench.metrics.extractors import NetworkExtractor
from mmbench.metrics.feature_networks import one_thread
from mmbench.metrics.frechet_score import FrechetMetric
from mmbench.metrics.imagebind_score import ImageBindScore
from mmbench.registry import register
from mmbench.types import Clip, Features, Modality, Spec

VARIANT = "bounce_v1"
WEIGHTS = Path(__file__).parent / "data" / "bounce_features.safetensors"


class BounceExtractor(NetworkExtractor):
    """One tower; a clip goes through it alone, so that not even rounding depends on the batch.

    Args:
        device: A torch device; "auto" takes a GPU if there is one.
        batch_size: Clips or texts that are read at a time.
    """

    tower: ClassVar[str]

    def __init__(self, *, device: str = "auto", batch_size: int | None = None) -> None:
        super().__init__(device=device, batch_size=batch_size)
        self.weights = "trained"

    def spec(self) -> Spec:
        """Digest of the weights, and how their input is made."""
        return {"weights": hashlib.sha256(WEIGHTS.read_bytes()).hexdigest(), "preprocessing": self.preprocessing}

    def _load(self) -> Any:
        from mmbench.metrics.bounce_networks import load

        return load(self.tower, WEIGHTS)


class BounceClips(BounceExtractor):
    """A tower for one half of a clip."""

    @abstractmethod
    def _read(self, clip: Clip) -> Any:
        """What the tower reads of a clip."""

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        with one_thread():
            outputs = [network(self._read(clip)[None].to(self.device)) for clip in batch]
        return [
            {"features": features[0].cpu().numpy(), "embedding": embedding[0].cpu().numpy()}
            for features, embedding in outputs
        ]


class BounceVideo(BounceClips):
    """(32,) `features` and (160,) `embedding` of a video, of its first two seconds."""

    name = "bounce_video"
    modality: Modality = "video"
    tower = "video"
    preprocessing = "16 frames at 8 fps, nearest in time, 64x64 (1)"

    def _read(self, clip: Clip) -> Any:
        from mmbench.metrics.bounce_networks import frames_of

        return frames_of(clip.video, float(clip.fps))


class BounceAudio(BounceClips):
    """(32,) `features` and (160,) `embedding` of a sound, of its first two seconds."""

    name = "bounce_audio"
    modality: Modality = "audio"
    tower = "audio"
    preprocessing = "16 kHz, 2 s, log-mel 128x48 (1)"

    def _read(self, clip: Clip) -> Any:
        from mmbench.metrics.bounce_networks import log_mel

        return log_mel(clip.audio, clip.sample_rate)


class BounceText(BounceExtractor):
    """(160,) `embedding` of a prompt; words that no prompt of the dataset holds are passed over."""

    name = "bounce_text"
    modality: Modality = "text"
    tower = "text"
    preprocessing = "bag of 12 words (1)"

    def _features(self, network: Any, batch: Sequence[Any]) -> list[Features]:
        from mmbench.metrics.bounce_networks import words_of

        rows = [network(words_of([text]).to(self.device))[0] for text in batch]
        return [{"embedding": row.cpu().numpy()} for row in rows]


def _checked(name: str, variant: str) -> str:
    if variant != VARIANT:
        raise UsageError(f"Unknown variant {variant!r} of {name}.", VARIANT)
    return variant


class BounceFrechet(FrechetMetric):
    """Fréchet distance between features of generated and of real clips; a feature has variance 1 on real clips.

    Args:
        variant: "bounce_v1".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    variants = (VARIANT,)
    feature = "features"
    tower: ClassVar[type[BounceExtractor]]

    def __init__(self, variant: str = VARIANT, device: str = "auto") -> None:
        self.variant = _checked(self.name, variant)
        self.extractor = self.tower(device=device)


@register("metric", "fvd_bounce", "Fréchet video distance on the package's own bounce features")
class FVDBounce(BounceFrechet):
    """Distance of videos, with FVD's ddof and companion."""

    name = "fvd_bounce"
    tower = BounceVideo
    ddof, companion = 0, "kvd"


@register("metric", "fad_bounce", "Fréchet audio distance on the package's own bounce features")
class FADBounce(BounceFrechet):
    """Distance of sounds, with FAD's ddof and companion."""

    name = "fad_bounce"
    tower = BounceAudio
    ddof, companion = 1, "kad"


class BounceAgreement(ImageBindScore):
    """Mean cosine of two towers' embeddings over samples.

    Args:
        variant: "bounce_v1".
        device: A torch device; "auto" takes a GPU if there is one.

    Raises:
        UsageError: Unknown variant.
    """

    variants = (VARIANT,)
    towers: ClassVar[tuple[type[BounceExtractor], type[BounceExtractor]]]

    def __init__(self, variant: str = VARIANT, device: str = "auto") -> None:
        self.variant = _checked(self.name, variant)
        self.first, self.second = (tower(device=device) for tower in self.towers)


@register("metric", "ib_bounce_tv", "Agreement of prompt and video (cosine of bounce embeddings)")
class IBBounceTV(BounceAgreement):
    """Cosine of prompt and video."""

    name = "ib_bounce_tv"
    towers = (BounceText, BounceVideo)


@register("metric", "ib_bounce_ta", "Agreement of prompt and sound (cosine of bounce embeddings)")
class IBBounceTA(BounceAgreement):
    """Cosine of prompt and sound."""

    name = "ib_bounce_ta"
    towers = (BounceText, BounceAudio)


@register(
    "metric", "ib_bounce_av", "Agreement of video and sound (cosine of bounce embeddings), beside its shuffled baseline"
)
class IBBounceAV(BounceAgreement):
    """Cosine of video and sound."""

    name = "ib_bounce_av"
    towers = (BounceVideo, BounceAudio)
    shuffles = True
