"""The whole evaluation of 64 clips against what the reference procedure costs, part by part, in one run.

`pytest tests/benchmarks/test_evaluation_speed.py --benchmark-enable -s` takes some minutes and 6 GB: networks have the
published size and random weights, which cost what published ones cost. Parts are timed in processor seconds on a few
clips (256x256, 16 frames, 2 s) and multiplied by how many an evaluation of 64 looks at: 64 for scores of samples, 128
for distances, whose real clips count too. What is done once, distances with all their errors, is done in full.

The reference: StyleGAN-V's FVD, audioldm_eval's FAD, ImageBind's own loaders and TempoTokens' AV-Align, each reading
the clips itself. It is spared what it may also do: one ImageBind pass serves all three scores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.linalg import sqrtm

from mmbench.media.clip_files import read_lossless, write_lossless
from mmbench.metrics.extractors.i3d import I3DExtractor
from mmbench.metrics.extractors.imagebind import ImageBindAudio, ImageBindText, ImageBindVideo
from mmbench.metrics.extractors.onsets import OnsetTimes
from mmbench.metrics.extractors.optical_flow import flow_trajectory
from mmbench.metrics.extractors.vggish import VGGishExtractor
from mmbench.metrics.fad import FAD
from mmbench.metrics.fvd import FVD
from mmbench.metrics.networks import audio_frontend
from mmbench.metrics.networks.imagebind import HUGE, SMALL, ImageBind, ImageBindConfig
from mmbench.metrics.networks.imagebind_preprocess import Views, audio_views, mean_over_views, video_views
from mmbench.metrics.networks.vggish import prepare_waveform
from mmbench.networks.devices import exact_float32
from mmbench.networks.random_weights import fill_randomly
from mmbench.types import Clip
from tests.benchmarks.test_av_align_speed import moving_texture, reference_trajectory

CLIPS = 64
SOUNDS, PLACES = ("dog barking", "rain falling", "female singing", "train passing by"), ("near", "far", "left", "right")
PROMPTS = [f"{sound} {place}" for sound in SOUNDS for place in PLACES]
Call = Callable[[], np.ndarray]


class Costs:
    """Processor seconds of the reference and of ours, per part."""

    def __init__(self) -> None:
        self.parts: dict[str, tuple[float, float]] = {}

    def add(self, part: str, reference: Call, ours: Call, times: float, **tolerance: float) -> None:
        """Time both; `times` as many clips are in an evaluation as ours gives rows. The reference may give fewer."""
        found, seconds = [], []
        for call in (ours, reference):
            started = process_time()
            found.append(call())
            seconds.append(process_time() - started)
        mine, theirs = found
        np.testing.assert_allclose(mine[: len(theirs)], theirs, **tolerance)
        self.parts[part] = (seconds[1] * times * len(mine) / len(theirs), seconds[0] * times)

    def total(self) -> tuple[float, float]:
        """Of all parts."""
        reference, ours = np.array(list(self.parts.values())).sum(axis=0)
        return float(reference), float(ours)


def made(seed: int) -> Clip:
    """Two seconds of drifting texture, with noise for its sound."""
    audio = 0.1 * np.random.default_rng(seed).standard_normal(32000)
    return Clip(np.stack(moving_texture(seed)), 8.0, audio.astype(np.float32), 16000)


def column(extractor: Any, batch: Sequence[Any], name: str = "embedding") -> np.ndarray:
    """Our features of a batch."""
    return np.array([f[name] for f in extractor.extract(batch)])


def decoding(costs: Costs, clips: list[Clip], folder: Path) -> None:
    """The reference reads a video for FVD, for ImageBind and for AV-Align; we once for all of them."""
    files = [folder / f"{i}.mkv" for i in range(len(clips))]
    for clip, file in zip(clips, files, strict=True):
        write_lossless(clip, file)

    def read(times: int) -> np.ndarray:
        for _ in range(times):
            found = [read_lossless(file).video[0] for file in files]
        return np.array(found)

    read(1)  # the first reading loads the codec
    costs.add("decoding", lambda: read(3), lambda: read(1), CLIPS / len(clips))


def distances_features(costs: Costs, clips: list[Clip]) -> None:
    """I3D costs both alike; VGGish runs on one file at a time, with a new mel matrix, and records gradients."""
    i3d, vggish = I3DExtractor("random", device="cpu"), VGGishExtractor("random", device="cpu")
    for extractor in (i3d, vggish):
        extractor.extract(clips[:1])

    def one_file_at_a_time() -> np.ndarray:
        rows = []
        for clip in clips:
            audio_frontend.mel_filters.cache_clear()
            examples = audio_frontend.vggish_examples(prepare_waveform(clip.audio, clip.sample_rate))
            rows.append(vggish.network(torch.from_numpy(examples)).detach().numpy())
        return np.array(rows)

    def logits() -> np.ndarray:
        return column(i3d, clips, "logits")

    costs.add("I3D", logits, logits, 2 * CLIPS / len(clips), rtol=1e-4)
    costs.add("VGGish", one_file_at_a_time, lambda: column(vggish, clips), 2 * CLIPS / len(clips), atol=1e-3)


def tower(kind: type[Any], name: str, size: ImageBindConfig) -> Any:
    """An extractor on a random tower of a size."""
    extractor = kind("random", device="cpu")
    extractor.network = ImageBind(size, [name])
    fill_randomly(extractor.network, "")
    return extractor


def every_token(model: ImageBind, modality: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """A tower as published: the last block computes all tokens, of which the head takes one."""

    def embed(x: torch.Tensor) -> torch.Tensor:
        x = model.modality_trunks[modality](model.modality_preprocessors[modality](x))
        return torch.nn.functional.normalize(model.modality_heads[modality](x), dim=-1)

    return embed


def imagebind_views(costs: Costs, clips: list[Clip], size: ImageBindConfig) -> None:
    """All 15 video views of one clip, and all three audio views of each, against ours of every clip."""

    def unit(rows: np.ndarray) -> np.ndarray:
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def compare(part: str, extractor: Any, modality: str, views: Callable[[Clip], Views], num: int) -> None:
        embed = every_token(extractor.network, modality)

        def every_view() -> np.ndarray:
            with exact_float32():
                return unit(mean_over_views(embed, [views(clip) for clip in clips[:num]], 15).numpy())

        column(extractor, clips[:1])
        costs.add(part, every_view, lambda: unit(column(extractor, clips)), CLIPS / len(clips), atol=1e-3)

    def video(clip: Clip) -> Views:
        return video_views(clip.video, float(clip.fps), deduplicate=False)

    def audio(clip: Clip) -> Views:
        return audio_views(clip.audio, clip.sample_rate, deduplicate=False)

    compare("ImageBind video", tower(ImageBindVideo, "vision", size), "vision", video, 1)
    compare("ImageBind audio", tower(ImageBindAudio, "audio", size), "audio", audio, len(clips))


def imagebind_text(costs: Costs, size: ImageBindConfig) -> None:
    """The original computes all 77 places of the context."""
    text = tower(ImageBindText, "text", size)
    model, tokens = text.network, torch.from_numpy(text.tokenizer(PROMPTS))

    def full_context() -> np.ndarray:
        with exact_float32():
            x = model.modality_trunks["text"](model.modality_preprocessors["text"](tokens))
            x = model.modality_heads["text"](x, tokens.argmax(dim=1))
            return model.modality_postprocessors["text"](torch.nn.functional.normalize(x, dim=-1)).numpy()

    costs.add("ImageBind text", full_context, lambda: column(text, PROMPTS), CLIPS / len(PROMPTS), atol=1e-3)


def alignment(costs: Costs, clips: list[Clip]) -> None:
    """The reference computes the first flow twice; onsets cost both alike."""
    frames, onsets = [list(clip.video) for clip in clips], OnsetTimes()
    onsets.extract(clips[:1])

    def with_onsets(trajectories: Callable[[], list[np.ndarray]]) -> np.ndarray:
        onsets.extract(clips)
        return np.array(trajectories())

    def reference() -> np.ndarray:
        return with_onsets(lambda: [reference_trajectory(f) for f in frames])

    def ours() -> np.ndarray:
        return with_onsets(lambda: [flow_trajectory(clip.video) for clip in clips])

    costs.add("AV-Align", reference, ours, CLIPS / len(clips), rtol=1e-6)


def distances(costs: Costs, n: int) -> None:
    """Two numbers by the matrix square root, against ours with 1000 replicates, floors, KVD and KAD."""
    rng = np.random.default_rng(0)
    videos, sounds = rng.normal(size=(2, n, 1, 400)).astype(np.float32), rng.normal(size=(2, n, 2, 128))

    def by_square_root(pair: np.ndarray, ddof: int) -> float:
        a, b = pair.astype(np.float64).reshape(2, -1, pair.shape[-1])
        s, t = np.cov(a.T, ddof=ddof), np.cov(b.T, ddof=ddof)
        return float(np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(s + t - 2 * sqrtm(s @ t).real))

    def score(metric: Any, pair: np.ndarray) -> float:
        ours, real = ({metric.extractor.name: [{metric.feature: x} for x in side]} for side in pair)
        return float(metric.score(ours, real, seed=0).value)

    def ours() -> np.ndarray:
        return np.array([[score(FVD(weights="random"), videos), score(FAD(weights="random"), sounds)]])

    def reference() -> np.ndarray:
        return np.array([[by_square_root(videos, 0), by_square_root(sounds, 1)]])

    costs.add("distances", reference, ours, 1, rtol=1e-4)


@pytest.mark.benchmark(group="evaluation")
def test_whole_evaluation(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    full = benchmark.enabled
    clips, size = [made(seed) for seed in range(8 if full else 1)], HUGE if full else SMALL

    def measure() -> Costs:
        costs = Costs()
        decoding(costs, clips, tmp_path)
        if full:  # seconds of imports and random weights; other benchmarks compare the outputs
            distances_features(costs, clips)
            alignment(costs, clips)
        imagebind_views(costs, clips, size)
        imagebind_text(costs, size)
        distances(costs, CLIPS if full else 6)
        return costs

    costs = benchmark.pedantic(measure, rounds=1)
    reference, ours = costs.total()
    if full:
        print(f"\n{torch.get_num_threads()} threads, {CLIPS} clips, processor seconds: reference, ours, ratio, share")
        for part, (theirs, mine) in {**costs.parts, "whole": (reference, ours)}.items():
            print(f"{part:16} {theirs:8.1f} {mine:7.1f} {theirs / mine:6.2f} {mine / ours:5.0%}")
            benchmark.extra_info[part] = [round(theirs, 1), round(mine, 1)]
        benchmark.extra_info["reference_over_ours"] = round(reference / ours, 2)
