"""Generated training pairs: their noise is that of no run, their texts are those of the real pairs."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from mmbench.baselines.kinds.pair import STREAMS, generator_of
from mmbench.errors import MediaError
from mmbench.experiments.training.bases import BaseModels
from mmbench.experiments.training.fakes import requests_of_fakes, texts_of
from mmbench.experiments.training.filling import fill_pools
from mmbench.experiments.training.settings import TrainSettings
from mmbench.registry import make_dataset
from mmbench.runs.spec import make_requests
from mmbench.system_names import make_system
from mmbench.types import Item, Request
from tests.media_files import clicks, flashes, write_media


def noises(requests: list[Request]) -> set[bytes]:
    return {torch.randn(4, generator=generator_of(r, s)).numpy().tobytes() for r in requests for s in STREAMS}


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_no_noise_of_a_pool_is_that_of_a_run_of_the_same_seed(seed: int) -> None:
    dataset = make_dataset("bounce")
    run = make_requests(dataset, 64, seed)
    pool = requests_of_fakes(texts_of(dataset.reference(16, seed)), 64, seed)
    assert len(noises(run)) == len(noises(pool)) == 128
    assert not noises(run) & noises(pool)
    renamed = [Request(r.prompt, r.index, seed) for r in pool]  # as if a dataset named its prompts so
    assert not noises(renamed) & noises(pool)


def test_a_longer_pool_begins_like_a_shorter_one_and_other_seeds_differ() -> None:
    texts = ["a", "b", "b"]
    long = requests_of_fakes(texts, 9, 0)
    assert requests_of_fakes(texts, 4, 0) == long[:4]
    assert Counter(r.prompt.text for r in long) == {"a": 3, "b": 6}, "as frequent as among real pairs"
    assert not noises(long) & noises(requests_of_fakes(texts, 9, 1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty clips, each with a caption of its own."""
    root = tmp_path / "clips"
    root.mkdir()
    rows = []
    for i in range(20):
        video = flashes(16, 64, 64)
        write_media(root / f"{i:02d}.mkv", video, clicks([0.5], 2.0, 16000), fps=8, rate=16000, **LOSSLESS)
        rows.append((f"{i:02d}.mkv", f"caption {i}"))
    with (root / "prompts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "prompt"), *rows])
    return root


def cut(name: str) -> Item:
    """What reading a damaged clip does."""
    raise MediaError(f"{name} is cut off.")


LOSSLESS = {"video_codec": "ffv1", "audio_codec": "flac"}


@pytest.mark.parametrize("bad", [False, True], ids=["whole", "one unreadable"])
def test_captions_held_out_or_of_unreadable_clips_never_enter_training(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: bool
) -> None:
    dataset: Any = make_dataset(f"folder:{folder}")
    lost = dataset.reference(1, 0).chosen if bad else []
    read = dataset._item
    monkeypatch.setattr(dataset, "_item", lambda name: cut(name) if name in lost else read(name))
    unread = {dataset._texts[name] for name in lost}
    held_out = {prompt.text for prompt in dataset.prompts(100, 0)}
    drawn: list[Request] = []
    settings = TrainSettings(
        system="tiny", dataset="folder", num_fake=40, device="cpu", out=tmp_path / "out", quiet=True
    )

    class Pair:
        """Examples that are their texts."""

        def encode(self, item: Any) -> tuple[Any, ...]:
            return self._example(item.prompt.text)

        def draw(self, requests: list[Request]) -> list[tuple[Any, ...]]:
            drawn.extend(requests)
            return [self._example(request.prompt.text) for request in requests]

        def _example(self, text: str) -> tuple[Any, ...]:
            number = torch.tensor([float(text.split()[1])])
            return torch.zeros(1), torch.zeros(1), number, number.clone()

    system = make_system("tiny", dataset=make_dataset("bounce"), device="cpu")
    monkeypatch.setattr(system, "pair", Pair)
    real, fake = fill_pools(settings, dataset, BaseModels(lambda: system), True, 0, require=print)
    of_real, of_fake = ({f"caption {int(pool[i][2])}" for i in range(len(pool))} for pool in (real, fake))
    assert held_out
    assert of_fake == of_real == {f"caption {i}" for i in range(20)} - held_out - unread
    assert {r.prompt.text for r in drawn} == of_fake


@pytest.mark.parametrize("name", ["bounce", "folder"])
def test_texts_are_known_without_reading_an_item(name: str, folder: Path) -> None:
    items = make_dataset(f"folder:{folder}" if name == "folder" else name).reference(6, 0)
    assert texts_of(items) == [item.prompt.text for item in items]
