"""Sources of training pairs, the order in which they are visited, and the seeds of all that is drawn."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

Example = tuple[Tensor, Tensor, Tensor | None, Tensor | None]


class PairSource(Protocol):
    """Pairs by index, as tensors on the CPU: read when asked for, and the same each time."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example:
        """(video, audio, video_text, audio_text), without a batch axis; texts are None where there are none."""
        ...


@runtime_checkable
class ChangesByEpoch(Protocol):
    """A source that gives other pairs in other epochs, as clips that are cut anew from the same videos."""

    def in_epoch(self, index: int, epoch: int) -> Example:
        """The pair of an index in an epoch, the same each time."""
        ...


def entropy(*words: Any) -> int:
    """A 32-bit seed from named things."""
    return int.from_bytes(hashlib.sha256("\0".join(map(str, words)).encode()).digest()[:4], "little")


def generator(*words: Any) -> torch.Generator:
    """A fresh generator on the CPU for named things."""
    return torch.Generator().manual_seed(entropy(*words))


@lru_cache(maxsize=4)
def order(seed: int, kind: str, epoch: int, num: int) -> list[int]:
    """The order in which an epoch visits `num` pairs."""
    return torch.randperm(num, generator=generator(seed, kind, "epoch", epoch)).tolist()


class RePaired:
    """Generated videos and audios in new pairs: the models made them independently, so any two of one text are a pair.

    Index k is the video of pair k mod n and the audio of a pair with equal texts, another one for every k, so an epoch
    over `times` n pairs sees each video and audio `times` times, rarely with the same partner. Not for models that
    predict both modalities at once, whose video and audio belong together.

    Args:
        pairs: n generated pairs.
        seed: Of the choice of partners.
        times: New pairs of every video.
    """

    def __init__(self, pairs: PairSource, seed: int, times: int = 64) -> None:
        self.pairs, self.seed, self.times = pairs, seed, times
        alike = dict[bytes, list[int]]()
        texts = [[text for text in pairs[i][2:] if text is not None] for i in range(len(pairs))]
        keys = [b"".join(text.numpy().tobytes() for text in row) for row in texts]
        for i, key in enumerate(keys):
            alike.setdefault(key, []).append(i)
        self.partners = [alike[key] for key in keys]

    def __len__(self) -> int:
        return len(self.pairs) * self.times

    def __getitem__(self, index: int) -> Example:
        place = index % len(self.pairs)
        partners = self.partners[place]
        other = partners[entropy(self.seed, "partner", index) % len(partners)]
        video, _, *texts = self.pairs[place]
        return video, self.pairs[other][1], texts[0], texts[1]
