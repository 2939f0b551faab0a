"""ImageBind's embeddings of every frame of a video, and of every two seconds of a sound, as JavisBench makes them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from mmbench.metrics.extractors.base import require_sound
from mmbench.metrics.extractors.imagebind import ImageBindTower
from mmbench.types import Clip, Features, Modality

FRAMES_AT_A_TIME = 16  # through the network


class ImageBindFrames(ImageBindTower):
    """(t, 1024) `frames` of a video, each as a picture, and its `fps`; equal frames are computed once."""

    name = "imagebind_frames"
    modality: Modality = "video"
    official = ("imagebind",)
    preprocessing = "Pillow's bicubic on uint8, centre 224, each frame twice (1)"
    tower = "vision"

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        return [{"frames": self._look_at(network, clip.video), "fps": np.array(float(clip.fps))} for clip in batch]

    def _look_at(self, network: Any, video: np.ndarray) -> np.ndarray:
        from mmbench.metrics.networks.pillow_views import pictures

        first: dict[bytes, int] = {}
        equal = [first.setdefault(frame.tobytes(), len(first)) for frame in video]
        distinct = [equal.index(i) for i in range(len(first))]
        parts = np.split(distinct, range(FRAMES_AT_A_TIME, len(distinct), FRAMES_AT_A_TIME))
        rows = [self._embed(network, pictures(video[part])).cpu().numpy() for part in parts]
        return np.concatenate(rows)[equal]


class ImageBindAudioWindows(ImageBindTower):
    """(w, 1024) `windows` of a sound, two seconds every half second, and its number of `samples` at 16 kHz.

    As in the original each is centred in place, so that what overlaps an earlier one has lost that one's mean, too.
    """

    name = "imagebind_audio_windows"
    modality: Modality = "audio"
    official = ("imagebind",)
    preprocessing = "16 kHz, 32000 samples every 8000, centred in place, Kaldi filter bank 128x204, float64 (1)"
    tower = "audio"

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        return [self._listen_to(network, clip) for clip in batch]

    def _listen_to(self, network: Any, clip: Clip) -> Features:
        from mmbench.metrics.arithmetic.sliding_windows import sample_windows
        from mmbench.metrics.networks.audio_frontend import SAMPLE_RATE, resample
        from mmbench.metrics.networks.imagebind_preprocess import audio_views, mean_over_views

        samples = resample(require_sound(clip), clip.sample_rate, SAMPLE_RATE).astype(np.float64)
        views = []
        for first, stop in sample_windows(len(samples)):
            samples[first:stop] -= samples[first:stop].mean()
            views.append(audio_views(samples[first:stop], SAMPLE_RATE))
        rows = mean_over_views(partial(self._embed, network), views, self.batch_size)
        return {"windows": rows.cpu().numpy(), "samples": np.array(len(samples))}
