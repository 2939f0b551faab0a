"""Synchformer's features of video and of sound by segments of 0.64 s, and its head, which compares the two."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from mmbench.media.resample import exact_rate
from mmbench.metrics.extractors.base import PublishedExtractor, require_sound
from mmbench.metrics.networks.synchformer_segments import FPS, FRAME_STEP, SAMPLE_STEP, Stretch
from mmbench.networks.random_weights import fill_randomly
from mmbench.networks.state_dicts import load_state
from mmbench.types import Clip, Features, Modality, Spec
from mmbench.weights import checkpoints as published

SEGMENTS_AT_A_TIME = 4  # through a tower: 1569 tokens each
Pair = tuple[np.ndarray, np.ndarray]  # features of 14 segments of video (14, 8, 768) and of sound (14, 6, 768)


class SynchformerPart(PublishedExtractor):
    """A part of Synchformer; random weights come in a small size, of width 24."""

    official = ("synchformer",)
    default_batch_size = 2  # clips of eight seconds are large

    def _real(self) -> Any:
        import torch

        from mmbench.metrics.networks.synchformer import FULL, Synchformer

        with torch.device("meta"):
            whole = Synchformer(FULL)
        load_state(whole, published.load_state_dict("synchformer"), "the Synchformer checkpoint")
        return self._part(whole)

    def _random(self) -> Any:
        from mmbench.metrics.networks.synchformer import SMALL, Synchformer

        whole = Synchformer(SMALL)
        fill_randomly(whole, self.salt)
        for name, weight in whole.named_parameters():
            if name.endswith("attn.query.weight"):  # a sharp head, so that its answer depends on the clip
                weight.data.mul_(10)
        return self._part(whole)

    @abstractmethod
    def _part(self, whole: Any) -> Any:
        """This part of the whole network; the rest is let go."""


class SynchformerTower(SynchformerPart):
    """A tower, on one stretch of clips.

    Args:
        stretch: What of a clip is looked at; it is part of the name.
        weights: "real" or "random".
        **placement: As for every network: device, batch_size, salt.
    """

    def __init__(self, stretch: Stretch, weights: Literal["real", "random"] = "real", **placement: Any) -> None:
        super().__init__(weights, **placement)
        self.stretch = stretch
        self.name = f"synchformer_{self.modality}_{stretch.seconds}s"

    def spec(self) -> Spec:
        """Digest of the weights, preprocessing, and what of a clip is looked at."""
        return {**super().spec(), **asdict(self.stretch)}

    def _encode(self, network: Any, source: np.ndarray, segments: np.ndarray) -> np.ndarray:
        """Features (n, steps, width) of segments that are parts of `source`, by their indices (n, ...) in it."""
        import torch

        parts = np.split(segments, range(SEGMENTS_AT_A_TIME, len(segments), SEGMENTS_AT_A_TIME))
        encoded = [network(torch.from_numpy(source[part]).to(self.device)) for part in parts]
        return np.concatenate([part.cpu().numpy() for part in encoded])


class SynchformerVideo(SynchformerTower):
    """(n, 8, 768) `segments` of a video at 25 fps, which ffmpeg's rule drops and repeats frames for."""

    modality: Modality = "video"
    preprocessing = "fps=25, Pillow's bicubic on uint8, centre 224, [-1, 1], 16 frames every 8 (1)"

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        return [{"segments": self._look_at(network, clip)} for clip in batch]

    def _look_at(self, network: Any, clip: Clip) -> np.ndarray:
        from mmbench.metrics.networks import synchformer_preprocess as pre
        from mmbench.metrics.networks.video_frontend import fps_filter

        shown = fps_filter(len(clip.video), exact_rate(clip.fps), FPS)
        looked_at = shown[self.stretch.first_frame : self.stretch.seconds * FPS]
        segments = pre.video_segments(looked_at)
        self.stretch.require(len(segments), "picture", len(shown) / FPS)
        used, segments = np.unique(segments, return_inverse=True)
        return self._encode(network, pre.prepare_frames(clip.video[used], self.stretch.short_side), segments)

    def _part(self, whole: Any) -> Any:
        return whole.vfeat_extractor


class SynchformerAudio(SynchformerTower):
    """(n, 6, 768) `segments` of a sound, and whether it is `silent`: digital silence from its beginning to its end."""

    modality: Modality = "audio"
    preprocessing = "torchaudio's Resample to 16 kHz, log-mel 128x66 of 10240 samples every 5120 (1)"

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        return [self._listen_to(network, clip) for clip in batch]

    def _listen_to(self, network: Any, clip: Clip) -> Features:
        from mmbench.metrics.networks import synchformer_preprocess as pre

        audio = require_sound(clip)
        first = self.stretch.first_frame * SAMPLE_STEP // FRAME_STEP
        mels = pre.audio_segments(audio, clip.sample_rate, self.stretch.seconds, first)
        self.stretch.require(len(mels), "sound", len(audio) / clip.sample_rate)
        return {"segments": self._encode(network, mels, np.arange(len(mels))), "silent": np.array(not audio.any())}

    def _part(self, whole: Any) -> Any:
        return whole.afeat_extractor


class SynchformerHead(SynchformerPart):
    """The head, which a metric runs on features of the towers: on pairs that belong together, and on others."""

    name = "synchformer_head"
    preprocessing = "14 segments of video, 14 of sound (1)"

    def logits(self, pairs: Iterable[Pair]) -> np.ndarray:
        """Logits (n, 21) float32 of the offsets -2, -1.8, ... 2 s of pairs, taken one at a time.

        A batch would make the last bits of a clip's value depend on its neighbours.
        """
        rows = [features["logits"] for pair in pairs for features in self.extract([pair])]
        return np.stack(rows) if rows else np.empty((0, 21), np.float32)

    def _features(self, network: Any, batch: Sequence[Pair]) -> list[Features]:
        import torch

        video, audio = (torch.from_numpy(np.stack(half)).to(self.device) for half in zip(*batch, strict=True))
        return [{"logits": row} for row in network(video, audio).cpu().numpy()]

    def _part(self, whole: Any) -> Any:
        del whole.vfeat_extractor, whole.afeat_extractor
        return whole
