"""Untrained pipelines of published size: as many parameters as published, counted without their memory."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from mmbench.baselines.models.pipelines import full, schedulers
from mmbench.baselines.models.pipelines.tiny import make_tiny
from mmbench.baselines.models.pipelines.untrained import build_untrained
from mmbench.errors import UsageError

# Millions of parameters of the denoiser and of the autoencoder.
PUBLISHED = {
    "WanPipeline": (1419.0, 126.9),
    "LTXPipeline": (1923.4, 419.2),
    "CogVideoXPipeline": (1693.8, 215.6),
    "AnimateDiffPipeline": (1312.7, 83.7),  # 859.5 of Stable Diffusion 1.5, 453.2 of motion
    "StableAudioPipeline": (1056.9, 156.1),
    "StableAudio3Pipeline": (459.1, 107.5),
    "AudioLDM2Pipeline": (346.9, 55.4),
}


def on_meta(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A full pipeline of networks without memory, whose scheduler has its tables all the same."""
    for key, make in list(vars(schedulers).items()):
        if inspect.isfunction(make):
            monkeypatch.setattr(schedulers, key, partial(on_cpu, make))
    with torch.device("meta"):
        return build_untrained(name, full.BUILDERS[name][0])


def on_cpu(make: Callable[[], Any]) -> Any:
    with torch.device("cpu"):
        return make()


def millions(network: torch.nn.Module) -> float:
    return sum(p.numel() for p in network.parameters()) / 1e6


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_as_many_as_published_and_the_rest_is_as_in_the_small_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (small, call), pipeline = make_tiny(name), on_meta(name, monkeypatch)
    denoiser = pipeline.unet if hasattr(pipeline, "unet") else pipeline.transformer
    assert (millions(denoiser), millions(pipeline.vae)) == pytest.approx(PUBLISHED[name], abs=0.06)
    texts = [part for key, part in pipeline.components.items() if key.startswith("text_encoder")]
    assert sum(map(millions, texts)) < 200  # they stand in for encoders of billions
    assert type(pipeline) is type(small)
    assert pipeline.scheduler.config == small.scheduler.config
    assert set(full.BUILDERS[name][1]) <= set(call)


def test_every_class_is_counted_and_another_is_refused() -> None:
    assert set(full.BUILDERS) == set(PUBLISHED)
    with pytest.raises(UsageError, match="published size of MochiPipeline"):
        full.make_full("MochiPipeline")
