"""What frozen base models predict of noised real pairs, made beforehand and kept in a pool.

POOLS/SYSTEM-stored-0a1b…/     predicted noises of video and audio by draw and pair, in float32; chunks as of any pool

A draw of a pair takes 4 bytes for each element of its latents. Fewer draws are the beginning of more, so a pool grows.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from mmbench.baselines.kinds.pair import DiffusionPair
from mmbench.experiments.training.bases import BaseModels, PairDescription, digest_of_pool
from mmbench.experiments.training.pools import CHUNK, Example, Pool
from mmbench.experiments.training.settings import TrainSettings
from mmbench.mmdisco.noising import Noising
from mmbench.mmdisco.pairs import entropy
from mmbench.mmdisco.stored import StoredDraws, predict_noise
from mmbench.mmdisco.trainer import cast_to
from mmbench.mmdisco.training_config import TrainConfig
from mmbench.networks.devices import deterministic_kernels, ieee_float32
from mmbench.types import Dataset, Prompt, Request

VERSION = 1  # of the rule by which draws are made; raised by hand when it changes


def bytes_per_draw(description: PairDescription) -> int:
    """Size of a stored draw of one pair: float32, as many as its latents have elements."""
    return 4 * sum(map(prod, description.shapes))


def fill_stored_draws(
    settings: TrainSettings,
    config: TrainConfig,
    dataset: Dataset,
    bases: BaseModels,
    description: PairDescription,
    real: Pool,
    seed: int,
    require: Callable[[str], None],
) -> StoredDraws:
    """Fills the pool of stored draws that trainings of all designs share; loads nothing if it is full.

    Args:
        settings: Of the training: how many draws.
        config: Which noise: pairing of levels, dropped texts; and in which precision the base models predict.
        dataset: Of the real pairs.
        bases: Predict.
        description: Of the base models.
        real: The real pairs.
        seed: Of the real pairs and their draws.
        require: Called with the name of the draws before they are made; refuses what a training has not begun with.

    Returns:
        The draws with their predictions, which are read when a step asks for them.
    """
    pairing = config.discriminator.pairing
    rule: dict[str, Any] = {"text_drop": config.text_drop, "pairing": pairing, "precision": config.precision}
    rule |= {"lost": sorted(real.lost)} if real.lost else {}
    of_draws = digest_of_pool(bases, dataset, kind="stored", seed=seed, version=VERSION, num_real=len(real), **rule)
    pool = Pool(settings.pools / f"{bases.label}-stored-{of_draws}", len(real) * settings.stored_draws)
    timesteps = description.schedules[0].num_train_timesteps
    noising = Noising(timesteps, config.text_drop, description.unconditional, pairing)
    name = f"{pool.name}, {settings.stored_draws} draws"
    require(name)
    draws = StoredDraws(real, noising, seed, settings.stored_draws, pool, name)
    label = f"predict noise, {len(pool) * bytes_per_draw(description) / 1e9:.2g} GB"
    pool.fill(lambda places: _predict(bases.pair, draws, places, config), CHUNK, label, settings.quiet)
    return draws


def _predict(pair: DiffusionPair, draws: StoredDraws, places: list[int], config: TrainConfig) -> list[Example]:
    """Predictions at some places, in tiles that are filled up, so that no other place changes them."""
    tile, own = pair.tile or 1, entropy("stored draws", draws.seed)
    x, y = (schedule.alphas_cumprod.to(pair.device) for schedule in pair.schedules)
    examples: list[Example] = []
    for start in range(0, len(places), tile):
        rows = places[start : start + tile]
        rows = [*rows, *[rows[-1]] * (tile - len(rows))]
        epsilon = pair.epsilon_for([Request(Prompt(f"{place:06d}", ""), place, own) for place in rows])
        with deterministic_kernels(pair.device), ieee_float32(), cast_to(config.precision, x.device.type):
            videos, audios = predict_noise(epsilon, draws.batch(rows), (x, y))
        examples += [(video, audio, None, None) for video, audio in zip(videos, audios, strict=True)]
    return examples[: len(places)]
