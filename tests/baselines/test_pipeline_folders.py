"""Folders of pipelines: what is refused before anything is loaded, and what the user is told of a call that fails."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmbench.baselines.models.pipelines.description import HalfDescription
from mmbench.baselines.models.pipelines.loading import content_of, load_pipeline
from mmbench.baselines.models.pipelines.model import PipelineModel
from mmbench.baselines.models.pipelines.tiny import make_tiny
from mmbench.errors import MMBenchError, UsageError

CALL = {"height": 32, "width": 32, "num_frames": 17, "num_inference_steps": 2, "guidance_scale": 1.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small untrained CogVideoX, whose texts must have 256 tokens."""
    folder = tmp_path_factory.mktemp("pipelines") / "cogvideox"
    make_tiny("CogVideoXPipeline")[0].save_pretrained(folder)
    return folder


def half(folder: Path, **call: Any) -> HalfDescription:
    """The description of a folder's pipeline."""
    return HalfDescription(folder=folder, call=CALL | call, rate=8)


def test_an_argument_that_the_call_does_not_take_is_refused_before_loading(folder: Path) -> None:
    content_of(half(folder), "random")
    with pytest.raises(UsageError, match="The call of CogVideoXPipeline has no num_frame") as raised:
        content_of(half(folder, num_frame=17), "random")
    assert raised.value.expected == "did you mean num_frames?"


def test_a_key_that_the_scheduler_does_not_know_is_refused_not_dropped(folder: Path) -> None:
    known = load_pipeline(replace(half(folder), scheduler={"snr_shift_scale": 2.0}), "real", "cpu", None)
    assert known.scheduler.config.snr_shift_scale == 2.0
    with pytest.raises(UsageError, match="configuration of CogVideoXDDIMScheduler has no snr_shift") as raised:
        load_pipeline(replace(half(folder), scheduler={"snr_shift": 2.0}), "real", "cpu", None)
    assert raised.value.expected == "did you mean snr_shift_scale?"


def test_a_folder_with_the_name_of_a_distilled_checkpoint_is_refused(folder: Path) -> None:
    named = folder.with_name("cogvideox-distilled")
    shutil.copytree(folder, named)
    with pytest.raises(UsageError, match=r"by its name \(distilled\) it is distilled"):
        content_of(half(named), "real")


def test_a_folder_is_loaded_without_progress_bars(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_pipeline(half(folder), "real", "cpu", None)
    assert "Loading" not in capfd.readouterr().err


def test_what_a_pipeline_says_against_its_call_is_told_with_the_call(folder: Path) -> None:
    pipe = load_pipeline(half(folder), "real", "cpu", None)
    with pytest.raises(MMBenchError, match=r"CogVideoXPipeline fails when called with .*num_frames = 17") as raised:
        PipelineModel(pipe, CALL, {}, 8)
    assert "RuntimeError: The size of tensor a" in raised.value.found
    with pytest.raises(UsageError, match="guidance_scale is 'high'"):
        PipelineModel(pipe, CALL | {"guidance_scale": "high"}, {}, 8)
    PipelineModel(pipe, CALL | {"max_sequence_length": 256}, {}, 8)
