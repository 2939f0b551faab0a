"""What kept keys and values save SpecVQGAN's transformer: the same codes with and without, as ratios of CPU time.

With `--benchmark-enable` at the published size (24 blocks, 1024 channels, 16 heads, random weights): the first 16 codes
of a sample both ways, and all 265, as single tokens at four lengths, summed over those between by lines. Otherwise a
small network, to keep the code running. Numbers are in `extra_info`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmbench.baselines.models.specvqgan.features import COLUMNS
from mmbench.baselines.models.specvqgan.gpt import Choose, GPTFeats, generate_codes, sampler
from mmbench.baselines.models.specvqgan.model import HEIGHT, TRANSFORMER, WIDTH
from mmbench.networks.devices import exact_float32, one_thread
from mmbench.networks.random_weights import fill_randomly

ALL, FIRST, TOGETHER, REPEATS = HEIGHT * WIDTH, 16, 8, 3
LENGTHS = (COLUMNS + 1, 93, 181, COLUMNS + ALL - 1)  # tokens in front of a code


def recomputed_codes(gpt: GPTFeats, feats: Tensor, num: int, choose: Choose) -> Tensor:
    """The codes of `generate_codes`, from the whole sequence every time."""
    codes = torch.zeros(len(feats), 0, dtype=torch.long)
    for k in range(num):
        codes = torch.cat([codes, choose(gpt(codes, feats)[:, -1], k)[:, None]], 1)
    return codes


def seconds(function: Callable[[], object]) -> float:
    """CPU time of one call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def token_seconds(gpt: GPTFeats, feats: Tensor, length: int) -> tuple[float, float]:
    """CPU times of the last of `length` tokens: with all before it recomputed, and with their keys and values kept."""
    codes, times = torch.zeros(len(feats), length - COLUMNS, dtype=torch.long), []
    cache = gpt.cache(len(feats))
    recomputed = seconds(lambda: gpt(codes, feats, cache))
    for _ in range(REPEATS):
        cache.length = length - 1
        times.append(seconds(lambda: gpt(codes[:, -1:], cache=cache)))
    return recomputed, statistics.median(times)


def test_codes_with_and_without_kept_keys_and_values(benchmark: Any) -> None:
    size = TRANSFORMER if benchmark.enabled else {**TRANSFORMER, "n_layer": 2, "n_embd": 32, "n_head": 2}
    gpt = GPTFeats(**size).eval()
    fill_randomly(gpt, "benchmark")
    feats = torch.randn(1, size["feat_depth"], COLUMNS, generator=torch.Generator().manual_seed(0))
    choose = sampler(np.random.default_rng(0).random((1, ALL)), 512, 1.0)
    codes: dict[str, Tensor] = {}
    with exact_float32(), one_thread():
        gpt(torch.zeros(1, 1, dtype=torch.long), feats)  # pages in the weights
        without = seconds(lambda: codes.update(without=recomputed_codes(gpt, feats, FIRST, choose)))
        kept = seconds(lambda: codes.update(kept=generate_codes(gpt, feats, FIRST, choose)))
        assert torch.equal(codes["without"], codes["kept"]), "a timing counts only if the result is right"
        ones = np.array([token_seconds(gpt, feats, t) for t in LENGTHS])
        eight = token_seconds(gpt, feats.expand(TOGETHER, -1, -1), LENGTHS[1])[1]
    lengths = np.arange(COLUMNS, COLUMNS + ALL)
    all_without, all_kept = (float(np.interp(lengths, LENGTHS, column).sum()) for column in ones.T)
    figures = {
        "first_16_without_s": without,
        "first_16_kept_s": kept,
        "first_16_ratio": without / kept,
        "all_265_without_s": all_without,
        "all_265_kept_s": all_kept,
        "all_265_ratio": all_without / all_kept,
        "eight_samples_over_one": eight / ones[1, 1],
    }
    benchmark.extra_info.update(figures)
    print({name: round(value, 3) for name, value in figures.items()})
    benchmark.pedantic(generate_codes, args=(gpt, feats, 1, choose), rounds=1)
