"""A pair of one's own, described in a file: trained on, guided, killed and resumed, the same as undisturbed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmbench.baselines.models.pipelines.pair import PipelinePair
from mmbench.baselines.models.pipelines.tiny import make_tiny
from mmbench.errors import UsageError
from mmbench.experiments.training.train import TrainSettings, train_discriminator
from mmbench.mmdisco import training
from mmbench.registry import make_dataset
from mmbench.system_names import make_system
from tests.commands import digests, mmbench_here

DESCRIPTION = """
[video]
folder = "wan"
fps = 8
call = {height = 32, width = 32, num_frames = 17, num_inference_steps = 3, guidance_scale = 3.0}

[audio]
folder = "stable_audio"
call = {audio_end_in_s = 2.0, num_inference_steps = 2, guidance_scale = 2.0}

[guidance]
joint_scale = [2.0, 3.0]
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The description of two folders of untrained weights."""
    folder = tmp_path_factory.mktemp("pair")
    for name, kind in (("wan", "WanPipeline"), ("stable_audio", "StableAudioPipeline")):
        make_tiny(kind)[0].save_pretrained(folder / name)
    (folder / "mine.toml").write_text(DESCRIPTION)
    return folder / "mine.toml"


def settings(system: str, out: Path, **options: Any) -> TrainSettings:
    """A training of four steps on two real and two generated pairs."""
    small = {"channels": 32, "num_blocks": 1}
    taken = {"steps": 4, "batch_size": 2, "checkpoint_every": 1, "workers": 0} | options
    return TrainSettings(
        system=system, dataset="bounce", num_real=2, num_fake=2, sizes=small, options=taken, weights="random", out=out,
        quiet=True, device="cpu",
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of an undisturbed training."""
    out = tmp_path_factory.mktemp("whole")
    return Path(train_discriminator(settings(f"pipelines:{file}", out))["weights"])


@pytest.mark.e2e
def test_trained_interrupted_and_resumed(
    file: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, saved = f"pipelines:{file}", list[int]()
    save = training.save_checkpoint

    def interrupted(out: Path, state: dict[str, Any]) -> None:
        save(out, state)
        saved.append(state["step"])
        if state["step"] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(training, "save_checkpoint", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_discriminator(settings(system, tmp_path / "parts"))
    resumed = train_discriminator(settings(system, tmp_path / "parts"))
    assert (saved, resumed["resumed at"]) == ([1, 2], 2)
    assert Path(resumed["weights"]).read_bytes() == trained.read_bytes()
    folder = trained.parent.name
    assert folder.startswith("mine-"), "filed under the pair's name and a digest, not under the file's place"
    assert folder.endswith("+mmdisco-bounce-random-channels32-num_blocks1-s0")
    assert {p.name.split("-")[0] for p in (tmp_path / "parts" / "pools").iterdir()} == {"mine"}


@pytest.mark.thorough
@pytest.mark.e2e
def test_guided_interrupted_and_resumed(
    file: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = ["generate", "-s", f"pipelines:{file}+mmdisco", "-d", "bounce", "-n", "2", "--device", "cpu"]
    job += ["--weights", "random", "--set", f"discriminator={trained}"]
    assert mmbench_here(capsys, *job, "--out", tmp_path / "whole").returncode == 0
    decode = PipelinePair.decode

    def interrupted(pair: PipelinePair, video: Any, audio: Any, requests: Any) -> Any:
        if requests[0].index == 1:
            raise KeyboardInterrupt
        return decode(pair, video, audio, requests)

    with monkeypatch.context() as killed:
        killed.setattr(PipelinePair, "decode", interrupted)
        assert mmbench_here(capsys, *job, "--out", tmp_path / "parts").returncode != 0
    assert len(digests(tmp_path / "parts")) == 1
    assert mmbench_here(capsys, *job, "--out", tmp_path / "parts").returncode == 0
    assert digests(tmp_path / "parts") == digests(tmp_path / "whole")


@pytest.mark.thorough
@pytest.mark.e2e
def test_stored_predictions_need_no_pipeline(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = replace(settings(f"pipelines:{file}", tmp_path), stored_draws=2)
    first = train_discriminator(stored)
    Path(first["weights"]).with_name("checkpoint.pt").unlink()

    def refuse(*_: Any) -> None:
        raise AssertionError("a pipeline was loaded")

    monkeypatch.setattr(PipelinePair, "__init__", refuse)
    weights = Path(first["weights"]).read_bytes()
    assert Path(train_discriminator(stored)["weights"]).read_bytes() == weights


def test_the_folder_decides_and_not_its_place(file: Path, tmp_path: Path) -> None:
    dataset = make_dataset("bounce")
    system = make_system(f"pipelines:{file}", dataset=dataset, weights="random", device="cpu")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("wan", "stable_audio"):
        (moved / name).symlink_to(file.parent / name)
    (moved / "mine.toml").write_text(DESCRIPTION)
    other = make_system(f"pipelines:{moved / 'mine.toml'}", dataset=dataset, weights="random", device="cpu")
    assert system.spec() == other.spec()
    assert (system.name, system.label) == ("pipelines:mine", other.label)
    assert str(file.parent) not in str(system.spec())


def test_a_folder_of_another_class_is_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "swapped.toml").write_text(
        f'[video]\nfolder = "{file.parent / "stable_audio"}"\nclass = "WanPipeline"\nfps = 8\n'
        f'[audio]\nfolder = "{file.parent / "wan"}"\n'
    )
    with pytest.raises(UsageError, match="is a StableAudioPipeline"):
        make_system(f"pipelines:{tmp_path / 'swapped.toml'}", dataset=make_dataset("bounce"))
