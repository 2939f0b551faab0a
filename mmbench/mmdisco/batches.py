"""Training batches: which pairs, noised how.

All of it belongs to (seed, step, place in the global batch) and is drawn on the CPU, so it does not depend on how many
processes share a batch or on where a training was resumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch.utils.data import Dataset

from mmbench.mmdisco.losses import Times
from mmbench.mmdisco.noising import Batch, Noising, stack
from mmbench.mmdisco.pairs import ChangesByEpoch, PairSource, entropy, generator, order
from mmbench.mmdisco.stored import StoredDraws


@dataclass(frozen=True, eq=False)
class Batches(Dataset[tuple[Batch, Batch]]):
    """By step, one process's share of the real and of the generated batch.

    Attributes:
        real: Pairs of the data.
        fake: Pairs whose video and audio were generated independently.
        seed: Of everything drawn here.
        batch_size: Pairs of either kind per process.
        noising: How pairs are noised; real and generated pairs at the same place share their timesteps.
        rank: Which process this is.
        world: Of how many.
        stored: Draws of the real pairs that were made beforehand, of which each step takes one; None to draw anew.
    """

    real: PairSource
    fake: PairSource
    seed: int
    batch_size: int
    noising: Noising
    rank: int = 0
    world: int = 1
    stored: StoredDraws | None = None

    def __getitem__(self, step: int) -> tuple[Batch, Batch]:
        """(real, generated) of `step`."""
        first = self.rank * self.batch_size
        places = range(first, first + self.batch_size)
        return stack([self._real(step, place) for place in places]), stack(
            [self._fake(step, place) for place in places]
        )

    def _real(self, step: int, place: int) -> Batch:
        if self.stored is not None:
            return self.stored(*self._stored(self.stored, step, place))
        return self._noise("real", self.real, step, place)

    def _fake(self, step: int, place: int) -> Batch:
        return self._noise("fake", self.fake, step, place)

    def _noise(self, kind: Literal["real", "fake"], source: PairSource, step: int, place: int) -> Batch:
        epoch, index = self._visit(kind, source, step, place)
        example = source.in_epoch(index, epoch) if isinstance(source, ChangesByEpoch) else source[index]
        return self.noising.noise(example, self._times(step, place), generator(self.seed, kind, step, place))

    def _visit(self, kind: Literal["real", "fake"], source: PairSource, step: int, place: int) -> tuple[int, int]:
        """(epoch, index) of the pair that comes at a place of a step."""
        epoch, position = divmod(step * self.batch_size * self.world + place, len(source))
        return epoch, order(self.seed, kind, epoch, len(source))[position]

    def _stored(self, stored: StoredDraws, step: int, place: int) -> tuple[int, int]:
        """(index, draw) of the real pair at a place of a step."""
        _, index = self._visit("real", self.real, step, place)
        return index, entropy(self.seed, "draw", step, place) % stored.draws

    def _times(self, step: int, place: int) -> Times:
        if self.stored is not None:
            return self.stored.times(*self._stored(self.stored, step, place))
        return self.noising.draw_times(generator(self.seed, "timestep", step, place))
