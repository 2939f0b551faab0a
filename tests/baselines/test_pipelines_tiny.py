"""Small untrained pipelines: of the real classes, the same everywhere, and led by any prompt."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from mmbench.baselines.models.pipelines.tiny import TINY, make_tiny
from mmbench.baselines.models.pipelines.untrained import quiet
from mmbench.errors import UsageError

SHAPES = {
    "WanPipeline": (17, 32, 32, 3),
    "LTXPipeline": (17, 128, 128, 3),
    "CogVideoXPipeline": (17, 32, 32, 3),
    "AnimateDiffPipeline": (16, 32, 32, 3),
    "MochiPipeline": (19, 32, 32, 3),
    "StableAudioPipeline": (2, 16000),
    "StableAudio3Pipeline": (2, 16000),
    "AudioLDM2Pipeline": (32000,),
    "AudioLDMPipeline": (32000,),
    "LongCatAudioDiTPipeline": (1, 15872),  # whole latents of 512 samples
}


def sample(pipeline: Any, call: dict[str, Any], prompt: str) -> np.ndarray:
    with quiet():  # torchsde and autocast on a CPU speak at every call
        made = pipeline(prompt=prompt, generator=torch.Generator().manual_seed(0), output_type="np", **call)
    return np.asarray(made[0][0])


def test_every_class_has_a_shape_here() -> None:
    assert set(TINY) == set(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_the_real_class_makes_two_seconds_that_any_prompt_changes(name: str) -> None:
    before = torch.get_rng_state()
    pipeline, call = make_tiny(name)
    assert type(pipeline) is getattr(diffusers, name)
    made = [
        sample(pipeline, call, text) for text in ("Thunder over the quay.", "thunder over the Quay?", "犬 🐕 zürich")
    ]
    assert made[0].shape == SHAPES[name]
    assert all(np.isfinite(x).all() and x.std() > 0.01 for x in made)
    assert not np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["WanPipeline", "AudioLDM2Pipeline"])
def test_weights_depend_on_the_name_alone_and_are_frozen(name: str) -> None:
    torch.manual_seed(1)
    first = TINY[name]()[0]
    torch.manual_seed(2)
    second = TINY[name]()[0]
    networks = {k: part for k, part in first.components.items() if isinstance(part, torch.nn.Module)}
    assert networks
    for key, network in networks.items():
        other = second.components[key].state_dict()
        assert all(torch.equal(value, other[k]) for k, value in network.state_dict().items())
        assert not network.training
        assert not any(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("name", SHAPES)
def test_saved_and_loaded_it_makes_the_same(name: str, tmp_path: Path) -> None:
    pipeline, call = make_tiny(name)
    with quiet():
        pipeline.save_pretrained(tmp_path)
        loaded = diffusers.DiffusionPipeline.from_pretrained(tmp_path, local_files_only=True)
    loaded.set_progress_bar_config(disable=True)
    here, there = sample(pipeline, call, "a fountain"), sample(loaded, call, "a fountain")
    assert np.allclose(here, there, atol=1e-5)  # where weights lie in memory may round another way


def test_latents_of_video_keep_the_statistics_that_their_autoencoders_are_given() -> None:
    wan, ltx = make_tiny("WanPipeline")[0].vae, make_tiny("LTXPipeline")[0].vae
    assert len(set(wan.config.latents_mean)) == 16
    assert len(set(wan.config.latents_std)) == 16
    assert len(set(ltx.latents_mean.tolist())) == len(set(ltx.latents_std.tolist())) == 8
    assert ltx.config.scaling_factor != 1


def test_nothing_stays_muted(recwarn: pytest.WarningsRecorder) -> None:
    logger = logging.getLogger("diffusers")
    level = logger.level
    with quiet():
        assert logger.level == logging.ERROR
        warnings.warn("unheard", stacklevel=1)
    warnings.warn("heard", stacklevel=1)
    assert logger.level == level
    assert [str(w.message) for w in recwarn] == ["heard"]


def test_another_class_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="no small AllegroPipeline"):
        make_tiny("AllegroPipeline")
