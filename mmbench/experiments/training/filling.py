"""The pools of encoded real and of generated pairs that trainings of one system, dataset and seed share."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from mmbench.errors import UsageError
from mmbench.experiments.training.bases import BaseModels, digest_of_pool
from mmbench.experiments.training.fakes import VERSION as FAKES_VERSION
from mmbench.experiments.training.fakes import requests_of_fakes, texts_of
from mmbench.experiments.training.fresh_clips import CutsAnywhere, FreshClips
from mmbench.experiments.training.pools import CHUNK, Example, Pool
from mmbench.experiments.training.settings import TrainSettings
from mmbench.identity import digest_of
from mmbench.types import Dataset


def fill_pools(
    settings: TrainSettings, dataset: Dataset, bases: BaseModels, encodes: bool, seed: int
) -> tuple[Pool | FreshClips, Pool]:
    """Fills the pools of encoded real pairs and of generated pairs; nothing is loaded if both are full.

    Args:
        settings: Of the training.
        dataset: Real pairs.
        bases: Encode the former and generate the latter.
        encodes: Whether encoding takes a network; without one, clips that can be cut anywhere need no pool.
        seed: Of which pairs there are.

    Returns:
        (real, generated).

    Raises:
        UsageError: Draws are to be stored of real pairs that are cut anew in every epoch.
    """
    fresh = settings.num_real is None and not encodes and isinstance(dataset, CutsAnywhere)
    items = dataset.reference(settings.num_real, seed)
    if fresh and settings.stored_draws:
        found = "--stored-draws: real pairs are cut anew in every epoch unless their number is given."
        raise UsageError(found, "a fixed number of real pairs", f"the same command with --num-real {len(items)}")
    texts = texts_of(items)
    of_real = digest_of_pool(bases, dataset, kind="real", seed=seed)

    def encode(indices: list[int]) -> list[Example]:
        with ThreadPoolExecutor() as threads:  # clips are decoded ahead of the one that is encoded
            return [bases.pair.encode(item) for item in threads.map(items.__getitem__, indices)]

    real: Pool | FreshClips
    if fresh:
        cut = cast(CutsAnywhere, dataset)
        real = FreshClips(cut, bases.pair.encode, seed, f"{bases.label}-fresh-{of_real}")
    else:
        real = Pool(settings.pools / f"{bases.label}-real-{of_real}", len(items))
        real.fill(encode, CHUNK, "encode real pairs", settings.quiet)
    of_fake = digest_of_pool(bases, dataset, kind="fake", seed=seed, version=FAKES_VERSION, texts=digest_of(texts))
    fake = Pool(settings.pools / f"{bases.label}-fake-{of_fake}", settings.num_fake)
    requests = requests_of_fakes(texts, settings.num_fake, seed)

    def draw(indices: list[int]) -> Sequence[Example]:
        return bases.pair.draw([requests[i] for i in indices])

    fake.fill(draw, bases.batch_size, "generate pairs", settings.quiet)
    return real, fake
