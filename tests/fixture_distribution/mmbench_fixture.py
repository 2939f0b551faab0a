"""One system, one dataset and one metric from outside, small enough to kill and resume hundreds of times.

Environment: FIXTURE_SECONDS (time per sample), FIXTURE_FAULTS ("3:nan,5:crash": what goes wrong at which index),
FIXTURE_LOG (a file that gets a line "index pid" per sample made).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mmbench.baselines.kinds.pair import DiffusionPair
from mmbench.registry import register
from mmbench.types import Clip, ClipFormat, Features, Item, Prompt, Request, Score

FORMAT = ClipFormat(num_frames=3, height=8, width=8, fps=8.0, num_samples=4000, sample_rate=16000)


def noise_clip(video_rng: np.random.Generator, audio_rng: np.random.Generator) -> Clip:
    """A clip of uniform noise in FORMAT."""
    video = video_rng.random((FORMAT.num_frames, FORMAT.height, FORMAT.width, 3))
    audio = audio_rng.uniform(-1, 1, FORMAT.num_samples)
    return Clip.from_float(video, FORMAT.fps, audio, FORMAT.sample_rate)


@register("system", "fixture_system", "noise, slowly, with faults on demand")
class FixtureSystem:
    name = "fixture_system"
    weights = "none"

    def __init__(self, **_: Any) -> None:
        self.seconds = float(os.environ.get("FIXTURE_SECONDS", "0"))
        faults = os.environ.get("FIXTURE_FAULTS", "")
        self.faults = dict(part.split(":") for part in faults.split(",") if part)

    def spec(self) -> Mapping[str, Any]:
        return {"version": 1}

    def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
        for request in requests:
            time.sleep(self.seconds)
            fault = self.faults.get(str(request.index))
            if fault == "crash":
                raise RuntimeError("the decoder exploded")
            clip = noise_clip(request.rng("video"), request.rng("audio"))
            if log := os.environ.get("FIXTURE_LOG"):
                with open(log, "a") as f:
                    f.write(f"{request.index} {os.getpid()}\n")
            if fault == "nan":
                yield Clip.from_float(clip.video / 255, clip.fps, np.full(FORMAT.num_samples, np.nan), clip.sample_rate)
            yield clip


class FixturePair(DiffusionPair):
    """Base models of unit Gaussians in closed form: epsilon(x_t) = sqrt(1 - abar_t) x_t."""

    shapes = (3, FORMAT.num_frames, FORMAT.height, FORMAT.width), (1, 64)
    denoisers = ()

    def __init__(self) -> None:
        from mmbench.mmdisco.schedule import NoiseSchedule

        self.schedules = NoiseSchedule("linear", 1e-4, 0.02), NoiseSchedule("scaled_linear", 1.5e-3, 0.0195)

    def discriminator(self, design: str, **sizes: int) -> Any:
        from mmbench.mmdisco.design import DiscriminatorConfig

        size = {"channels": 32, "num_blocks": 1, **sizes}
        return DiscriminatorConfig(design, 3, 1, 1, channel_mult=(1,), embed_channels=size["channels"], **size)

    def texts(self, prompts: Sequence[str]) -> tuple[()]:
        return ()

    def decode(self, video: Any, audio: Any, requests: Sequence[Request]) -> list[Clip]:
        return [noise_clip(request.rng("video"), request.rng("audio")) for request in requests]

    def encode(self, item: Item) -> tuple[Any, ...]:
        import torch

        video = torch.from_numpy(item.clip.video.transpose(3, 0, 1, 2) / 127.5 - 1).float()
        return video, torch.from_numpy(item.clip.audio[None, :64].copy()), None, None

    def draw(self, requests: Sequence[Request]) -> list[tuple[Any, ...]]:
        return [self._draw(request) for request in requests]

    def _draw(self, request: Request) -> tuple[Any, ...]:
        import torch

        video, audio = (request.rng(m).standard_normal(s) for m, s in zip(("video", "audio"), self.shapes, strict=True))
        return torch.from_numpy(video).float(), torch.from_numpy(audio).float(), None, None

    def _epsilon(self, schedule: Any, x_t: Any, t: Any) -> Any:
        abar = schedule.alphas_cumprod[t].to(x_t.dtype)
        return (1 - abar).sqrt().view(-1, *[1] * (x_t.ndim - 1)) * x_t

    def epsilon_video(self, x_t: Any, t: Any, text: Any) -> Any:
        return self._epsilon(self.schedules[0], x_t, t)

    def epsilon_audio(self, x_t: Any, t: Any, text: Any) -> Any:
        return self._epsilon(self.schedules[1], x_t, t)


@register("system", "fixture_pair", "two Gaussians that MMDisCo may guide", guidable=True)
class FixturePairSystem(FixtureSystem):
    name = "fixture_pair"

    def pair(self) -> FixturePair:
        return FixturePair()


@register("dataset", "fixture_dataset", "noise with two prompts")
class FixtureDataset:
    name = "fixture_dataset"
    format = FORMAT
    default_metrics = ("fixture_metric",)

    def spec(self) -> Mapping[str, Any]:
        return {"version": 1}

    def prompts(self, num: int, seed: int) -> list[Prompt]:
        return [Prompt(f"p{i}", ("hiss", "roar")[i % 2]) for i in range(num)]

    def real(self, request: Request, stream: str) -> Item:
        clip = noise_clip(request.rng(stream + "v"), request.rng(stream + "a"))
        return Item(f"{request.index}-{stream}", request.prompt, clip)

    def reference(self, num: int | None, seed: int) -> Sequence[Item]:
        requests = [Request(p, i, seed + 1) for i, p in enumerate(self.prompts(num or 4, seed))]
        return [self.real(r, "reference") for r in requests]


class Brightness:
    name, modality, batch_size, weights = "brightness", "video", 1, "none"

    def spec(self) -> Mapping[str, Any]:
        return {"version": 1}

    def extract(self, batch: Sequence[Clip]) -> list[Features]:
        return [{"mean": np.array([clip.video.mean()])} for clip in batch]


@register("metric", "fixture_metric", "mean brightness")
class FixtureMetric:
    name, variant, version = "fixture_metric", "plain", 1
    higher_is_better, needs_reference = True, False

    def extractors(self) -> list[Brightness]:
        return [Brightness()]

    def score(self, features: Mapping[str, Any], reference: Any, seed: int) -> Score:
        values = np.array([np.nan if f is None else f["mean"][0] for f in features["brightness"]])
        scored = values[~np.isnan(values)]
        stderr = float(scored.std(ddof=1) / len(scored) ** 0.5) if len(scored) > 1 else None
        return Score(float(scored.mean()), stderr, len(scored), per_sample=values)
