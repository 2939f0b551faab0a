"""Feature networks against the cost of the reference procedures, in processor time, outputs compared first.

`pytest tests/benchmarks/test_feature_speed.py --benchmark-enable -s`. The ImageBind towers are of middle size: what is
saved is the number of views, so the ratio grows towards that number with the size.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import numpy as np
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from mmbench.metrics.extractors.vggish import VGGishExtractor
from mmbench.metrics.networks import audio_frontend
from mmbench.metrics.networks.imagebind import ImageBind, ImageBindConfig
from mmbench.metrics.networks.imagebind_preprocess import audio_views, mean_over_views, video_views
from mmbench.metrics.networks.imagebind_transformer import TowerConfig
from mmbench.metrics.networks.vggish import prepare_waveform
from mmbench.networks.clip_tokens import ClipTokenizer
from mmbench.networks.devices import exact_float32
from mmbench.networks.random_weights import fill_randomly
from mmbench.types import Clip

MIDDLE = ImageBindConfig(TowerConfig(384, 6, 6), TowerConfig(256, 4, 4), TowerConfig(256, 4, 4), 64)
ROUNDS = 3


def clips(num: int) -> list[Clip]:
    """Two seconds of noise at 8 fps and 16 kHz."""
    rng = np.random.default_rng(0)
    videos = rng.integers(0, 256, (num, 16, 64, 64, 3), dtype=np.uint8)
    return [Clip(v, 8.0, (0.1 * rng.standard_normal(32000)).astype(np.float32), 16000) for v in videos]


def imagebind() -> ImageBind:
    model = ImageBind(MIDDLE)
    fill_randomly(model, "")
    return model


def compare(
    benchmark: BenchmarkFixture, ours: Callable[[], np.ndarray], reference: Callable[[], np.ndarray], atol: float
) -> None:
    """Benchmark `ours`, and record how often it fits into the processor time of `reference`."""
    np.testing.assert_allclose(ours(), reference(), atol=atol)  # warms both up too
    times: dict[str, list[float]] = {"ours": [], "reference": []}
    for _ in range(ROUNDS if benchmark.enabled else 1):  # alternating, so that a busy machine slows both
        for name, call in (("reference", reference), ("ours", ours)):
            started = process_time()
            call()
            times[name].append(process_time() - started)
    benchmark.extra_info["reference_over_ours"] = round(min(times["reference"]) / min(times["ours"]), 2)
    benchmark.pedantic(ours, rounds=1)


def test_imagebind_video(benchmark: BenchmarkFixture) -> None:
    model, members = imagebind(), clips(2)

    def embed(deduplicate: bool) -> np.ndarray:
        with exact_float32():
            views = [video_views(c.video, float(c.fps), deduplicate=deduplicate) for c in members]
            return mean_over_views(model.embed_vision, views, 15).numpy()

    compare(benchmark, lambda: embed(True), lambda: embed(False), atol=1e-5)


def test_imagebind_audio(benchmark: BenchmarkFixture) -> None:
    model, members = imagebind(), clips(4)

    def embed(deduplicate: bool) -> np.ndarray:
        with exact_float32():
            views = [audio_views(c.audio, c.sample_rate, deduplicate=deduplicate) for c in members]
            return mean_over_views(model.embed_audio, views, 12).numpy()

    compare(benchmark, lambda: embed(True), lambda: embed(False), atol=1e-3)


def test_imagebind_text(benchmark: BenchmarkFixture) -> None:
    model = imagebind()
    tokens = torch.from_numpy(ClipTokenizer(None)(["rain", "dog barking", "female singing"] * 4))

    def full_context() -> np.ndarray:
        """All 77 places, as the original computes."""
        with exact_float32():
            x = model.modality_trunks["text"](model.modality_preprocessors["text"](tokens))
            x = model.modality_heads["text"](x, tokens.argmax(dim=1))
            return model.modality_postprocessors["text"](torch.nn.functional.normalize(x, dim=-1)).numpy()

    def ours() -> np.ndarray:
        with exact_float32():
            return model.embed_text(tokens).numpy()

    compare(benchmark, ours, full_context, atol=1e-4)


def test_vggish(benchmark: BenchmarkFixture) -> None:
    extractor, members = VGGishExtractor("random", device="cpu"), clips(8)

    def one_file_at_a_time() -> np.ndarray:
        """audioldm_eval's loop: one file, a new mel matrix, gradients recorded."""
        rows = []
        for clip in members:
            audio_frontend.mel_filters.cache_clear()
            examples = audio_frontend.vggish_examples(prepare_waveform(clip.audio, clip.sample_rate))
            rows.append(extractor.network(torch.from_numpy(examples)).detach().numpy())
        return np.concatenate(rows)

    def batched() -> np.ndarray:
        return np.concatenate([f["embedding"] for f in extractor.extract(members)])

    compare(benchmark, batched, one_file_at_a_time, atol=1e-3)
