"""VideoMAE-v2's features of a video, as cd-FVD uses them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmbench.errors import MMBenchError
from mmbench.metrics.extractors.base import PublishedExtractor
from mmbench.networks.random_weights import fill_randomly
from mmbench.networks.state_dicts import load_state
from mmbench.types import Clip, Features, Modality
from mmbench.weights import checkpoints as published

FRAMES = 16


class VideoMAEExtractor(PublishedExtractor):
    """(1408,) `features` of the first 16 frames of a video; random weights come in a small size, (44,).

    A shorter clip is refused, as fewer frames give another feature.
    """

    name = "videomae"
    modality: Modality = "video"
    official = ("videomae_g_ssv2",)
    preprocessing = "first 16 frames, [0, 1], bilinear 224x224, before the head (1)"
    default_batch_size = 4

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        import torch

        from mmbench.metrics.networks.videomae import preprocess_frames

        for clip in batch:
            if len(clip.video) < FRAMES:
                found = f"The clip has {len(clip.video)} frames, and cd-FVD needs {FRAMES}."
                raise MMBenchError(found, "a longer clip")
        frames = [preprocess_frames(torch.from_numpy(clip.video[:FRAMES]).to(self.device)) for clip in batch]
        rows = [network(x[None])[0] for x in frames]
        return [{"features": row.cpu().numpy()} for row in rows]

    def _real(self) -> Any:
        import torch

        from mmbench.metrics.networks.videomae import FULL, VideoMAE

        with torch.device("meta"):
            network = VideoMAE(FULL)
        saved = published.load_state_dict("videomae_g_ssv2")
        state = next((saved[key] for key in ("model", "module") if key in saved), saved)
        load_state(network, state, "the VideoMAE checkpoint")
        return network.float()  # it is stored in half precision

    def _random(self) -> Any:
        from mmbench.metrics.networks.videomae import SMALL, VideoMAE

        network = VideoMAE(SMALL)
        fill_randomly(network, self.salt)
        return network
