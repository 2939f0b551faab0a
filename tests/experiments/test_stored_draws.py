"""`mmbench train --stored-draws` and `--pairing`: what is loaded, stored, shared, named and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import tests.fixture_distribution.mmbench_fixture as fixture
from mmbench.baselines.kinds.discriminators import find_discriminator
from mmbench.baselines.models.tiny import pair as tiny
from mmbench.experiments.training import bases, pools, train
from mmbench.experiments.training import stored as storing
from mmbench.experiments.training.settings import TrainSettings
from mmbench.registry import discover, make_dataset
from mmbench.system_names import make_system, parse_system_name
from tests.commands import mmbench_here

SMALL = ["--num-real", "6", "--num-fake", "5", "--batch-size", "2", "--format", "json"]
PAIR = ["train", "--system", "fixture_pair", "--dataset", "fixture_dataset", *SMALL]
FEW_STEPS = ["--set", "num_inference_steps=2"]
TINY = ["train", "--system", "tiny", "--dataset", "bounce", "--device", "cpu", *FEW_STEPS, *SMALL]
COUPLED = ["train", "--system", "mm_diffusion", "--dataset", "bounce", "--weights", "random", "--set", "size=tiny"]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    discover.cache_clear()
    monkeypatch.setattr(pools, "CHUNK", 4)


def command(capsys: pytest.CaptureFixture[str], *words: str | Path) -> Any:
    """What a command prints, which must work."""
    result = mmbench_here(capsys, *words)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def stored(out: Path) -> list[Path]:
    return sorted(out.glob("pools/*-stored-*/*.safetensors"))


def refuse_to_load(*_: Any) -> None:
    raise AssertionError("base models were loaded")


@pytest.mark.e2e
def test_base_models_are_not_in_memory_in_training_and_not_loaded_when_pools_are_full(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*TINY, "--stored-draws", "2", "--out", tmp_path]
    in_memory: list[int] = []
    measured = train.Measured

    def counted(*given: Any) -> Any:
        in_memory.append(len(tiny._networks))
        return measured(*given)

    monkeypatch.setattr(train, "Measured", counted)
    first = command(capsys, *words, "--steps", "2")
    assert in_memory == [0], "the networks were let go before the first step"
    monkeypatch.setattr(tiny.TinyPair, "__init__", refuse_to_load)
    again = command(capsys, *words, "--steps", "4")
    assert (first["steps"], again["resumed at"], again["steps"]) == (2, 2, 4)
    record = json.loads((Path(again["weights"]).parent / "training.json").read_text())
    assert record["trained_on"] == "bounce (6 real pairs, 2 stored draws of each), tiny (5 generated pairs)"
    assert record["pairs"][2].startswith("tiny-stored-")
    with pytest.raises(AssertionError, match="were loaded"):
        mmbench_here(capsys, *TINY, "--seed", "1", "--pool-seed", "0", "--out", tmp_path)


@pytest.mark.e2e
@pytest.mark.thorough
def test_a_training_that_was_stopped_anywhere_ends_as_the_whole_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*TINY, "--stored-draws", "2", "--pairing", "independent"]
    whole = command(capsys, *words, "--steps", "3", "--out", tmp_path / "whole")
    predict, calls = storing.predict_noise, list[int]()

    def stopped(*given: Any) -> Any:
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return predict(*given)

    with monkeypatch.context() as patch:
        patch.setattr(storing, "predict_noise", stopped)
        assert mmbench_here(capsys, *words, "--steps", "3", "--out", tmp_path / "part").returncode == 3
    assert [len(stored(tmp_path / name)) for name in ("part", "whole")] == [1, 3]
    first = command(capsys, *words, "--steps", "1", "--out", tmp_path / "part")
    again = command(capsys, *words, "--steps", "3", "--out", tmp_path / "part")
    assert (first["steps"], again["resumed at"]) == (1, 1)
    ours, theirs = load_file(again["weights"]), load_file(whole["weights"])
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.thorough
@pytest.mark.e2e
def test_designs_share_what_is_stored_and_more_draws_begin_with_fewer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    predict, made = storing.predict_noise, list[int]()

    def counted(epsilon: Any, batch: Any, alphas: Any) -> Any:
        made.append(len(batch.sample[0]))
        return predict(epsilon, batch, alphas)

    monkeypatch.setattr(storing, "predict_noise", counted)
    words = [*PAIR, "--steps", "1", "--out", tmp_path]
    command(capsys, *words, "--stored-draws", "2")
    assert (sum(made), len(stored(tmp_path))) == (12, 3)
    before = [file.read_bytes() for file in stored(tmp_path)]
    command(capsys, *words, "--stored-draws", "2", "--discriminator", "res_frieren")
    command(capsys, *words, "--stored-draws", "2", "--seed", "4", "--pool-seed", "0")
    assert sum(made) == 12, "made once, trained on by all"
    refused = mmbench_here(capsys, *words, "--stored-draws", "3")
    assert "pairs is" in refused.stderr, "another training"
    assert sum(made) == 12, "refused before its draws are made"
    command(capsys, *words, "--stored-draws", "3", "--seed", "6", "--pool-seed", "0")
    assert (sum(made), len(stored(tmp_path))) == (18, 5)
    assert [file.read_bytes() for file in stored(tmp_path)][:3] == before
    command(capsys, *words, "--stored-draws", "2", "--pairing", "band")
    command(capsys, *words, "--stored-draws", "2", "--text-drop", "0.5", "--seed", "5", "--pool-seed", "0")
    assert len({file.parent for file in stored(tmp_path)}) == 3, "other noise is another pool"


@pytest.mark.e2e
def test_a_discriminator_of_another_pairing_is_not_found_by_itself_and_is_told_in_the_spec(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*TINY, "--steps", "1", "--out", tmp_path]
    banded = Path(command(capsys, *words, "--pairing", "band")["weights"])
    assert banded.parent.name == "tiny+mmdisco-bounce-band-s0"
    monkeypatch.setenv("MMBENCH_DISCRIMINATORS", str(tmp_path))
    dataset, name = make_dataset("bounce"), parse_system_name("tiny+mmdisco")
    assert tmp_path not in find_discriminator(name, dataset, "trained").parents, "the shipped one, which is of index"
    plain = Path(command(capsys, *words)["weights"])
    assert find_discriminator(name, dataset, "trained") == plain
    specs = [
        make_system("tiny+mmdisco", dataset=dataset, device="cpu", discriminator=str(path)).spec()["mmdisco"]
        for path in (plain, banded)
    ]
    assert [spec.get("pairing") for spec in specs] == [None, "band"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ([*PAIR, "--stored-draws", "-1"], "--stored-draws is -1"),
        ([*PAIR, "--stored-draws", "2", "--loss", "disc"], "without --stored-draws"),
        ([*PAIR, "--pairing", "diagonal"], "one of index, band, independent"),
        ([*COUPLED, "--pairing", "band"], "at one timestep"),
    ],
    ids=["negative", "disc", "unknown", "coupled"],
)
def test_what_cannot_be_is_refused(
    words: list[str], hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = mmbench_here(capsys, *words, "--out", tmp_path / "out")
    assert result.returncode == 2
    assert hint in result.stderr
    assert not (tmp_path / "out").exists()


def test_clips_that_are_cut_anew_are_not_noised_beforehand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fixture.FixturePair, "encodes", False)
    monkeypatch.setattr(fixture.FixtureDataset, "every_clip", lambda self, seed: ([], 4), raising=False)
    fresh = [word for word in PAIR if word not in ("--num-real", "6")]
    result = mmbench_here(capsys, *fresh, "--stored-draws", "2", "--out", tmp_path)
    assert result.returncode == 2
    assert "--num-real 4" in result.stderr


def test_a_description_says_what_the_loaded_pair_does(tmp_path: Path) -> None:
    dataset = make_dataset("bounce")
    settings = TrainSettings(system="tiny", dataset="bounce", discriminator="vit_mlp", device="cpu", out=tmp_path)
    models = bases.BaseModels(lambda: make_system("tiny", dataset=dataset, device="cpu"))
    bases.describe(models, dataset, settings)
    pair, read = models.pair, bases.describe(models, dataset, settings)
    for loaded, described in zip(pair.schedules, read.schedules, strict=True):
        assert torch.equal(loaded.alphas_cumprod, described.alphas_cumprod)
        assert (loaded.num_train_timesteps, loaded.record()) == (described.num_train_timesteps, described.record())
    assert all(torch.equal(a, b) for a, b in zip(pair.unconditional, read.unconditional, strict=True))
    assert read.config == pair.discriminator("vit_mlp")
    for name in ("shapes", "coupled", "encodes", "device"):
        assert getattr(read, name) == getattr(pair, name)
