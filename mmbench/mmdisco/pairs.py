"""Training batches: which pairs, at which timestep, under which noise, with or without text.

All of it belongs to (seed, step, place in the global batch) and is drawn on the CPU, so it does not depend on how many
processes share a batch or on where a training was resumed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import Dataset

from mmbench.mmdisco.losses import Noised, Pair, drop_text

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


@dataclass(frozen=True)
class Batch:
    """A stack of pairs; `text` is () or (video_text, audio_text), dropped texts already replaced."""

    sample: Pair
    noise: Pair
    t: Tensor
    text: tuple[Tensor, ...]

    def pin_memory(self) -> Batch:
        """In page-locked memory; called by `DataLoader`."""
        return self._map(Tensor.pin_memory)

    def on(self, device: torch.device) -> Noised:
        """On `device`, as the losses take it; the text conditions base models and discriminator alike."""
        moved = self._map(lambda tensor: tensor.to(device, non_blocking=True))
        return Noised(moved.sample, moved.noise, moved.t, moved.text or None, moved.text)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        (x, y), (noise_x, noise_y) = self.sample, self.noise
        pairs = (function(x), function(y)), (function(noise_x), function(noise_y))
        return Batch(*pairs, function(self.t), tuple(map(function, self.text)))


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


@dataclass(frozen=True, eq=False)
class Batches(Dataset[tuple[Batch, Batch]]):
    """By step, one process's share of the real and of the generated batch.

    Attributes:
        real: Pairs of the data.
        fake: Pairs whose video and audio were generated independently.
        seed: Of everything drawn here.
        batch_size: Pairs of either kind per process.
        num_timesteps: T; real and generated pairs at the same place share t, drawn from 0 .. T-1.
        text_drop: Share of pairs whose texts are replaced by the unconditional ones.
        unconditional: () or (video_text, audio_text).
        rank: Which process this is.
        world: Of how many.
    """

    real: PairSource
    fake: PairSource
    seed: int
    batch_size: int
    num_timesteps: int
    text_drop: float
    unconditional: tuple[Tensor, ...] = ()
    rank: int = 0
    world: int = 1

    def __getitem__(self, step: int) -> tuple[Batch, Batch]:
        """(real, generated) of `step`."""
        real, fake = (self._batch(kind, source, step) for kind, source in (("real", self.real), ("fake", self.fake)))
        return real, fake

    def _batch(self, kind: str, source: PairSource, step: int) -> Batch:
        first = self.rank * self.batch_size
        rows = [self._draw(kind, source, step, place) for place in range(first, first + self.batch_size)]
        x, y, noise_x, noise_y, t, *text = (torch.stack(column) for column in zip(*rows, strict=True))
        return Batch((x, y), (noise_x, noise_y), t, tuple(text))

    def _draw(self, kind: str, source: PairSource, step: int, place: int) -> tuple[Tensor, ...]:
        epoch, position = divmod(step * self.batch_size * self.world + place, len(source))
        index = order(self.seed, kind, epoch, len(source))[position]
        x, y, *texts = source.in_epoch(index, epoch) if isinstance(source, ChangesByEpoch) else source[index]
        g = generator(self.seed, kind, step, place)
        noise_x, noise_y = torch.randn(x.shape, generator=g), torch.randn(y.shape, generator=g)
        drop = torch.rand((), generator=g) < self.text_drop
        given = [text for text in texts if text is not None]
        kept = [drop_text(a, b.to(a.dtype), drop) for a, b in zip(given, self.unconditional, strict=True)]
        t = torch.randint(self.num_timesteps, (), generator=generator(self.seed, "timestep", step, place))
        return x.float(), y.float(), noise_x, noise_y, t, *kept
