"""ImageBind's embedding of a video as av-benchmark makes it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from mmbench.errors import MMBenchError
from mmbench.media.resample import exact_rate
from mmbench.metrics.extractors.imagebind import ImageBindTower
from mmbench.types import Clip, Features, Modality

SHORTEST = 4.0  # [s]: a pair of frames


class ImageBindSlowVideo(ImageBindTower):
    """`embedding` of a video's first eight seconds at half a frame per second: the mean over up to nine views."""

    name = "imagebind_slow_video"
    modality: Modality = "video"
    official = ("imagebind",)
    preprocessing = "first 8 s, fps=0.5, Pillow's bicubic on uint8, pairs of frames, 3 crops, mean of unit vectors (1)"
    tower = "vision"

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        from mmbench.metrics.networks.imagebind_preprocess import mean_over_views
        from mmbench.metrics.networks.pillow_views import consecutive_views, slow_frames

        views = []
        for clip in batch:
            shown = slow_frames(len(clip.video), exact_rate(clip.fps))
            if len(shown) < 2:
                seconds = len(clip.video) / float(clip.fps)
                found = f"The picture lasts {seconds:.2f} s, and IB-score needs {SHORTEST:g} s, two frames 2 s apart."
                raise MMBenchError(found, "longer clips")
            views.append(consecutive_views(clip.video[shown]))
        rows = mean_over_views(partial(self._embed, network), views, self.batch_size)
        return [{"embedding": row} for row in rows.cpu().numpy()]
