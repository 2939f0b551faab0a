"""What a discriminator sees of a pair of pipelines, written down so that it is there without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from mmbench.baselines.models.pipelines.texts import read_texts
from mmbench.baselines.models.pipelines.views import View


@dataclass(frozen=True)
class PairView:
    """The views of two pipelines' latents, and the mean states of their texts: a `mmbench.mmdisco.seen.View`."""

    video: View
    audio: View

    def __call__(self, video: Tensor, audio: Tensor, *text: Tensor) -> tuple[Tensor, ...]:
        """(n, c, f, h, w), (n, c, l) or (n, c, t, m), and texts (n, channels), of the pair's own latents and texts."""
        return self.video(video), self.audio(audio), *map(read_texts, text)

    def record(self) -> dict[str, Any]:
        """Both views' attributes, JSON-able."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> PairView:
        """The view that a record, as from JSON, tells of."""
        return cls(View(**record["video"]), View(**record["audio"]))
