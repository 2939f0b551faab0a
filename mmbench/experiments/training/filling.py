"""The pools of encoded real and of generated pairs that trainings of one system, dataset and seed share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from mmbench.console import log
from mmbench.errors import MediaError, MMBenchError, UsageError
from mmbench.experiments.training.bases import BaseModels, digest_of_pool
from mmbench.experiments.training.fakes import VERSION as FAKES_VERSION
from mmbench.experiments.training.fakes import requests_of_fakes, texts_of
from mmbench.experiments.training.fresh_clips import CutsAnywhere, FreshClips
from mmbench.experiments.training.pools import CHUNK, Example, Pool
from mmbench.experiments.training.settings import TrainSettings
from mmbench.identity import digest_of
from mmbench.types import Dataset, Item


def fill_pools(
    settings: TrainSettings,
    dataset: Dataset,
    bases: BaseModels,
    encodes: bool,
    seed: int,
    require: Callable[[str], None],
) -> tuple[Pool | FreshClips, Pool]:
    """Fills the pools of encoded real pairs and of generated pairs; nothing is loaded if both are full.

    Args:
        settings: Of the training.
        dataset: Real pairs.
        bases: Encode the former and generate the latter.
        encodes: Whether encoding takes a network; without one, clips that can be cut anywhere need no pool.
        seed: Of which pairs there are.
        require: Called with the name of a pool before it is filled; refuses what a training has not begun with.

    Returns:
        (real, generated). Real pairs whose clips cannot be read are named on stderr, and none of either.

    Raises:
        MMBenchError: None of the real pairs can be read.
        UsageError: Draws are to be stored of real pairs that are cut anew in every epoch.
    """
    fresh = settings.num_real is None and not encodes and isinstance(dataset, CutsAnywhere)
    items = dataset.reference(settings.num_real, seed)
    if fresh and settings.stored_draws:
        found = "--stored-draws: real pairs are cut anew in every epoch unless their number is given."
        raise UsageError(found, "a fixed number of real pairs", f"the same command with --num-real {len(items)}")
    of_real = digest_of_pool(bases, dataset, kind="real", seed=seed)

    def load(index: int) -> Item | str:
        try:
            return items[index]
        except MediaError as error:
            return f"real pair {index}: {error.found}"

    def encode(indices: list[int]) -> list[Example | str]:
        with ThreadPoolExecutor() as threads:  # clips are decoded ahead of the one that is encoded
            loaded = threads.map(load, indices)
            return [item if isinstance(item, str) else bases.pair.encode(item) for item in loaded]

    real: Pool | FreshClips
    if fresh:
        cut = cast(CutsAnywhere, dataset)
        real = FreshClips(cut, bases.pair.encode, seed, f"{bases.label}-fresh-{of_real}")
    else:
        real = Pool(settings.pools / f"{bases.label}-real-{of_real}", len(items))
        require(real.name)
        real.fill(encode, CHUNK, "encode real pairs", settings.quiet)
        for reason in real.lost.values():
            log.warning("Not trained on: %s", reason)
        if not len(real):
            found = f"None of {real.num} real pairs of {settings.dataset} can be read; {real.lost[0]}"
            raise MMBenchError(found, "clips that can be decoded", "the same command with another --dataset")
    lost = real.lost if isinstance(real, Pool) else {}
    texts = [text for i, text in enumerate(texts_of(items)) if i not in lost]
    of_fake = digest_of_pool(bases, dataset, kind="fake", seed=seed, version=FAKES_VERSION, texts=digest_of(texts))
    fake = Pool(settings.pools / f"{bases.label}-fake-{of_fake}", settings.num_fake)
    require(fake.name)
    requests = requests_of_fakes(texts, settings.num_fake, seed)

    def draw(indices: list[int]) -> Sequence[Example]:
        return bases.pair.draw([requests[i] for i in indices])

    fake.fill(draw, bases.batch_size, "generate pairs", settings.quiet)
    return real, fake
