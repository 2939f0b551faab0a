"""The controls: real clips, and real clips with the sound of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mmbench.baselines.ground_truth import GroundTruth
from mmbench.baselines.independent import Independent
from mmbench.datasets.bounce import bounce
from mmbench.errors import MMBenchError
from mmbench.registry import lookup
from mmbench.system_names import make_system
from mmbench.types import Item, Prompt, Request

DATASET = bounce()
REQUESTS = [Request(prompt, k % 2, 5) for k, prompt in enumerate(DATASET.prompts(6, 5))]


@pytest.mark.parametrize("name", ["ground_truth", "independent"])
def test_found_by_name_and_described(name: str) -> None:
    system = make_system(name, dataset=DATASET, device="cpu", dtype="float32")
    assert lookup("system", name).name == system.name == name
    assert system.weights == "none"
    assert system.spec()["dataset"] == DATASET.spec()
    assert system.spec()["version"] >= 1


def test_same_pictures_other_sound() -> None:
    truth = list(GroundTruth(dataset=DATASET).generate(REQUESTS))
    mixed = list(Independent(dataset=DATASET).generate(REQUESTS))
    assert len(truth) == len(mixed) == len(REQUESTS)
    for request, real, fake in zip(REQUESTS, truth, mixed, strict=True):
        assert np.array_equal(real.video, fake.video)
        assert real.fps == fake.fps
        assert real.audio.shape == fake.audio.shape
        assert real.audio_digest() != fake.audio_digest()
        assert real.digest() == DATASET.real(request, "real").clip.digest()


@pytest.mark.parametrize("system", [GroundTruth(dataset=DATASET), Independent(dataset=DATASET)])
def test_batches_do_not_matter(system: Any) -> None:
    together = [clip.digest() for clip in system.generate(REQUESTS)]
    alone = [clip.digest() for request in reversed(REQUESTS) for clip in system.generate([request])]
    assert together == alone[::-1]


class FewClips:
    """A dataset with `items` clips per prompt, chosen by a draw."""

    name = "few"
    format = DATASET.format

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items

    def spec(self) -> dict[str, Any]:
        return {"name": self.name}

    def prompts(self, num: int, seed: int) -> list[Prompt]:
        return [replace(self.items[i % len(self.items)].prompt, id=f"few-{i}") for i in range(num)]

    def real(self, request: Request, stream: str) -> Item:
        return self.items[request.rng(stream).integers(len(self.items))]


class OneClipPerCaption(FewClips):
    """A captioned dataset: a prompt has the one clip it describes."""

    def real(self, request: Request, stream: str) -> Item:
        return next(item for item in self.items if item.prompt.text == request.prompt.text)


def test_a_caption_with_one_clip_gets_the_sound_of_another_caption() -> None:
    items = [
        replace(it, prompt=replace(it.prompt, text=f"caption {i}")) for i, it in enumerate(DATASET.reference(5, 0))
    ]
    dataset: Any = OneClipPerCaption(items)
    requests = [Request(prompt, k, 0) for k, prompt in enumerate(dataset.prompts(5, 0))]
    sounds = {item.clip.audio_digest() for item in items}
    for item, fake in zip(items, Independent(dataset=dataset).generate(requests), strict=True):
        assert np.array_equal(fake.video, item.clip.video)
        assert fake.audio_digest() in sounds - {item.clip.audio_digest()}


def test_draws_again_until_the_item_differs() -> None:
    dataset: Any = FewClips(DATASET.reference(2, 0)[:])
    requests = [Request(REQUESTS[0].prompt, k, 0) for k in range(16)]
    for real, fake in zip(
        GroundTruth(dataset=dataset).generate(requests), Independent(dataset=dataset).generate(requests), strict=True
    ):
        assert real.audio_digest() != fake.audio_digest()


def test_says_when_there_is_no_other_clip() -> None:
    item = DATASET.reference(1, 0)[0]
    for items in ([item], [item, replace(item, id="the same sound under another name")]):
        dataset: Any = FewClips(items)
        with pytest.raises(MMBenchError, match="no second real clip"):
            next(Independent(dataset=dataset).generate(REQUESTS[:1]))
