"""The requests of generated training pairs: texts of the real pairs, and noise that no run has.

A discriminator that trained on the very samples of a run would know them by heart, and one that saw other texts on
generated pairs than on real ones could tell them apart by the text alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from mmbench.types import Item, Prompt, Request

VERSION = 2  # of the rule by which texts and noise are chosen; raised by hand when it changes


@runtime_checkable
class HasTexts(Protocol):
    """Items that know their texts without being read."""

    texts: Sequence[str]


def texts_of(items: Sequence[Item]) -> list[str]:
    """The texts of real pairs, in order; items that do not know them beforehand are read."""
    return list(items.texts) if isinstance(items, HasTexts) else [item.prompt.text for item in items]


def requests_of_fakes(texts: Sequence[str], num: int, seed: int) -> list[Request]:
    """The first `num` requests of a pool of generated pairs; those of a longer pool begin with them.

    Their seed is a digest of `seed`, so that their noise is that of no run, whatever its seed. Each text of the real
    pairs comes once before any comes again, so texts are as frequent among generated pairs as among real ones.

    Args:
        texts: Of the real pairs; not empty.
        num: Generated pairs.
        seed: Of the pool.
    """
    digest = hashlib.sha256(f"generated training pairs\0{seed}".encode()).digest()
    own = int.from_bytes(digest[:8], "little")
    turns = [np.random.default_rng([own, turn]).permutation(len(texts)) for turn in range(-(-num // len(texts)))]
    chosen = [texts[k] for turn in turns for k in turn.tolist()][:num]
    return [Request(Prompt(f"{index:06d}", text), index, own) for index, text in enumerate(chosen)]
