"""Features of the package's own networks, trained on the dataset bounce."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from mmbench.metrics.extractors.base import NetworkExtractor
from mmbench.networks.devices import one_thread
from mmbench.types import Clip, Features, Modality, Spec

WEIGHTS = Path(__file__).parents[1] / "data" / "bounce_features.safetensors"


class BounceExtractor(NetworkExtractor):
    """Base of the bounce extractors; each clip passes alone, so that not even rounding depends on the batch.

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
        from mmbench.metrics.networks.bounce import load

        return load(self.tower, WEIGHTS)


class BounceClips(BounceExtractor):
    """Base of those that look at the pictures or the sound of a clip."""

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
        from mmbench.metrics.networks.bounce import frames_of

        return frames_of(clip.video, float(clip.fps))


class BounceAudio(BounceClips):
    """(32,) `features` and (160,) `embedding` of a sound, of its first two seconds."""

    name = "bounce_audio"
    modality: Modality = "audio"
    tower = "audio"
    preprocessing = "16 kHz, 2 s, log-mel 128x48 (1)"

    def _read(self, clip: Clip) -> Any:
        from mmbench.metrics.networks.bounce import log_mel

        return log_mel(clip.audio, clip.sample_rate)


class BounceText(BounceExtractor):
    """(160,) `embedding` of a prompt; words that no prompt of the dataset holds are passed over."""

    name = "bounce_text"
    modality: Modality = "text"
    tower = "text"
    preprocessing = "bag of 12 words (1)"

    def _features(self, network: Any, batch: Sequence[Any]) -> list[Features]:
        from mmbench.metrics.networks.bounce import words_of

        rows = [network(words_of([text]).to(self.device))[0] for text in batch]
        return [{"embedding": row.cpu().numpy()} for row in rows]
