"""Real training pairs that are cut anew from their videos in every epoch, for models whose clips need no encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Protocol, runtime_checkable

from mmbench.console import log
from mmbench.errors import MediaError
from mmbench.experiments.training.pools import Example
from mmbench.types import Item


@runtime_checkable
class CutsAnywhere(Protocol):
    """A dataset whose videos are longer than its clips, which may begin at any frame."""

    def every_clip(self, seed: int) -> tuple[Sequence[Item], int]:
        """All clips that can be cut, one of each video before the next of any, and the number of videos."""
        ...


class FreshClips:
    """Pairs of a dataset's training videos: in each epoch as many as there are videos, until every clip was seen.

    Clips come in the order of `CutsAnywhere.every_clip`, epoch after epoch, and begin anew after the last one. So every
    clip is seen as often as any other, as by researchmm/MM-Diffusion@7250222:mm_diffusion/multimodal_datasets.py, whose
    loader indexes every start.

    Args:
        dataset: Whose clips.
        encode: Makes an example of a clip.
        seed: Of the order.
        name: What tells these pairs from others.
    """

    def __init__(self, dataset: CutsAnywhere, encode: Callable[[Item], Example], seed: int, name: str) -> None:
        self._items, self._per_epoch = dataset.every_clip(seed)
        self._encode, self.name = encode, name

    def __len__(self) -> int:
        return self._per_epoch

    def __getitem__(self, index: int) -> Example:
        return self.in_epoch(range(len(self))[index], 0)

    def in_epoch(self, index: int, epoch: int) -> Example:
        """The pair at an index of an epoch, counted from 0, or the next in the order that can be read.

        Raises:
            MediaError: No clip of any video can be read.
        """
        first = epoch * len(self) + index
        for turn in range(len(self._items)):  # not as many as videos: at the end come many clips of the longest alone
            try:
                return self._encode(self._items[(first + turn) % len(self._items)])
            except MediaError as error:
                if turn + 1 == len(self._items):
                    raise
                _say_lost(error.found)
        raise IndexError(index)


@cache
def _say_lost(found: str) -> None:
    """Name a clip that cannot be read, once."""
    log.warning("Not trained on, the next clip is taken instead: %s", found)
