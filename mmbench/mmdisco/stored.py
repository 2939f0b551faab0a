"""Real pairs that are noised a few times beforehand, with what the base models predict of each.

Base models are frozen, so what they predict of a noised pair can be stored, and none of them is needed while the
discriminator trains. Of a draw only the predictions are kept: noise, timesteps and dropped texts are drawn again from
(seed, pair, draw). A step of training takes one of the draws of each of its pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from mmbench.mmdisco.losses import JointEpsilon, Pair, Times
from mmbench.mmdisco.noising import Batch, Noising, stack
from mmbench.mmdisco.pairs import PairSource, generator


@dataclass(frozen=True, eq=False)
class StoredDraws:
    """Draws of noise for each real pair, made beforehand; draw k of pair i is the place k num_real + i.

    Attributes:
        real: The pairs, the same in every epoch.
        noising: How they are noised.
        seed: Of the draws.
        draws: How many each pair has.
        predictions: By place, (eps_phi of video, eps_phi of audio, None, None), float32: what `predict_noise` gave.
        name: What tells them from others.
    """

    real: PairSource
    noising: Noising
    seed: int
    draws: int
    predictions: PairSource
    name: str = ""

    def times(self, index: int, draw: int) -> Times:
        """The timesteps of a draw of a pair."""
        return self.noising.draw_times(generator(self.seed, "stored timestep", index, draw))

    def noised(self, index: int, draw: int) -> Batch:
        """A draw of a pair without a batch axis, predictions left out."""
        g = generator(self.seed, "stored", index, draw)
        return self.noising.noise(self.real[index], self.times(index, draw), g)

    def __call__(self, index: int, draw: int) -> Batch:
        """A draw of a pair without a batch axis."""
        video, audio = self.predictions[draw * len(self.real) + index][:2]
        return replace(self.noised(index, draw), predicted=(video, audio))

    def batch(self, places: Sequence[int]) -> Batch:
        """The draws at some places, predictions left out."""
        pairs = [divmod(place, len(self.real)) for place in places]
        return stack([self.noised(index, draw) for draw, index in pairs])


def predict_noise(epsilon: JointEpsilon, batch: Batch, alphas_cumprod: Pair) -> Pair:
    """What base models predict of the noise of a batch, float32 on the CPU.

    Args:
        epsilon: The base models.
        batch: Noised pairs.
        alphas_cumprod: (T,) per modality, float64, on the device of the base models.
    """
    noised = batch.on(alphas_cumprod[0].device)
    with torch.no_grad():
        video, audio = epsilon(*noised.at(alphas_cumprod), noised.t, noised.condition)
    return video.float().cpu().contiguous(), audio.float().cpu().contiguous()
