"""I3D logits of a video, as FVD uses them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from mmbench.errors import MMBenchError
from mmbench.metrics.extractors.precision import PrecisionExtractor
from mmbench.networks.random_weights import fill_randomly
from mmbench.types import Clip, Features, Modality, Spec
from mmbench.weights import checkpoints as published


class I3DExtractor(PrecisionExtractor):
    """(400,) `logits` of the first frames of a video, averaged over time: what StyleGAN-V computes FVD from.

    Args:
        weights: "real" or "random".
        num_frames: Frames looked at; a shorter clip is refused, as fewer frames give another feature.
        **placement: precision, and as for every network: device, batch_size, salt.
    """

    name = "i3d"
    modality: Modality = "video"
    official = ("i3d",)
    preprocessing = "uint8, bilinear 224x224, [-1, 1], BN epsilon 1e-3, mean logits (1)"
    default_batch_size = 8

    def __init__(self, weights: Literal["real", "random"] = "real", *, num_frames: int = 16, **placement: Any) -> None:
        super().__init__(weights, **placement)
        self.num_frames = num_frames

    def spec(self) -> Spec:
        """Digest of the weights, preprocessing, and how many frames."""
        return {**super().spec(), "num_frames": self.num_frames}

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        import torch

        from mmbench.metrics.networks.i3d import preprocess_frames

        for clip in batch:
            if len(clip.video) < self.num_frames:
                raise MMBenchError(f"The clip has {len(clip.video)} frames.", f"at least {self.num_frames} for FVD")
        frames = (torch.from_numpy(clip.video[None, : self.num_frames]).to(self.device) for clip in batch)
        x = torch.cat([preprocess_frames(x) for x in frames])
        with self.computing():
            logits = network(x)
        return [{"logits": row} for row in logits.cpu().numpy()]

    def _real(self) -> Any:
        from mmbench.metrics.networks.i3d_torchscript import check_against_torchscript, read_state

        script = published.open_torchscript("i3d")
        network = read_state(script.state_dict())
        check_against_torchscript(network, script)
        return network

    def _random(self) -> Any:
        from mmbench.metrics.networks.i3d import I3D

        network = I3D()
        fill_randomly(network, self.salt)
        return network
