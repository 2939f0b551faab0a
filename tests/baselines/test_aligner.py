"""+aligner: what the embeddings see of latents is what the metrics see of clips, and guidance raises their cosine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mmbench.baselines.kinds.scorers import make_scorer
from mmbench.baselines.models.tiny.agreement import heard
from mmbench.baselines.models.tiny.networks import log_mel
from mmbench.baselines.parts.imagebind_agreement import agreement, audio_view, video_view
from mmbench.errors import MMBenchError, UsageError
from mmbench.experiments.profiling.profile import make_batch, profiled_dataset
from mmbench.jobs.generate import plan
from mmbench.jobs.settings import Settings
from mmbench.metrics.networks.imagebind_preprocess import audio_views, video_views
from mmbench.registry import make_dataset
from mmbench.runs.spec import make_requests
from mmbench.system_names import make_system
from mmbench.types import Clip

DATASET = make_dataset("bounce")
REQUESTS = make_requests(DATASET, 4, 7)


def system(name: str, **options: Any) -> Any:
    return make_system(name, dataset=DATASET, device="cpu", **{"num_inference_steps": 4, **options})


def cosines(clips: list[Clip], name: str = "ib_bounce_av", weights: Any = "trained") -> np.ndarray:
    """Values per clip of a metric."""
    metric = make_scorer(name, weights, "cpu")
    scored = metric.score({e.name: e.extract(clips) for e in metric.extractors()}, None, 0)
    assert scored.per_sample is not None
    return scored.per_sample


def agreement_of(pair: Any, latents: Any, name: str, weights: Any = "trained") -> np.ndarray:
    towers = [e.network.requires_grad_(False) for e in make_scorer(name, weights, "cpu").extractors()]
    return pair.agreement(*latents, *towers).detach().numpy()


@pytest.fixture(scope="module")
def tiny() -> tuple[Any, tuple[torch.Tensor, torch.Tensor]]:
    pair = system("tiny", num_inference_steps=10).pair()
    return pair, pair.sample(REQUESTS)


def test_the_embedding_of_tiny_sees_what_the_metric_sees(tiny: Any) -> None:
    pair, latents = tiny
    scored = cosines(pair.decode(*latents, REQUESTS))
    seen = agreement_of(pair, latents, "ib_bounce_av")
    assert seen == pytest.approx(scored, abs=0.2)  # the metric hears what Griffin-Lim makes of the spectrogram
    assert seen.mean() == pytest.approx(scored.mean(), abs=0.1)


def test_spectrograms_of_real_sounds_are_heard_as_the_sounds_are() -> None:
    sounds = [DATASET.real(request, "a test").clip for request in REQUESTS]
    _, tower = make_scorer("ib_bounce_av", "trained", "cpu").extractors()
    with torch.no_grad():
        ours = tower.network(heard(torch.stack([log_mel(clip.audio) for clip in sounds])))[1].numpy()
    theirs = np.stack([features["embedding"] for features in tower.extract(sounds)])
    assert (np.sum(ours * theirs, 1) > 0.9).all()


def small_tile(name: str, tile: int, **options: Any) -> Any:
    """A system whose networks work on few samples at once, which takes less time."""
    made = system(name, **options)
    made.pair().tile = tile
    return made


@pytest.mark.parametrize("base", ["tiny", pytest.param("tiny_flow", marks=pytest.mark.thorough)])
def test_guidance_raises_the_cosine_from_the_same_noise(base: str) -> None:
    made = (small_tile(name, 4, num_inference_steps=5) for name in (base, f"{base}+aligner"))
    alone, guided = (list(system.generate(REQUESTS)) for system in made)
    assert (cosines(guided) > cosines(alone)).all()
    assert all(a.video_digest() != b.video_digest() for a, b in zip(alone, guided, strict=True))


def test_a_sample_does_not_know_its_batch() -> None:
    made = small_tile("tiny+aligner", 2, num_inference_steps=2, guided_steps=(1, 2))
    together = [clip.digest() for clip in made.generate(REQUESTS[:2])]
    assert [next(made.generate([request])).digest() for request in REQUESTS[:2]] == together


def test_the_first_fifth_of_the_evaluations_is_not_guided_unless_told_otherwise() -> None:
    aligned = system("tiny+aligner", num_inference_steps=25)
    assert aligned.guide((), ()).steps == range(6, 25)
    assert system("tiny+aligner", guided_steps=(0, 3), guided_every=2).guide((), ()).steps == range(3)


def test_the_identity_holds_scale_embedding_and_the_metric() -> None:
    spec = system("tiny+aligner", aligner_scale=0.5, guided_every=2).spec()
    assert (spec["aligner"]["scale"], spec["aligner"]["guided_every"]) == (0.5, 2)
    assert spec["aligner"]["embedding"]["metric"] == spec["optimised_for"] == "ib_bounce_av.bounce_v1"
    assert "aligner" not in system("tiny").spec()
    assert system("tiny+aligner").name == "tiny+aligner"


@pytest.mark.parametrize("scale", [0, -1.0, "x", True, float("inf")])
def test_scales_that_mean_nothing_are_refused(scale: Any) -> None:
    with pytest.raises(UsageError, match="aligner_scale"):
        system("tiny+aligner", aligner_scale=scale)


def test_its_scale_is_refused_where_nothing_is_aligned() -> None:
    job = Settings(systems=("tiny", "tiny+mmdisco"), dataset="bounce", options=("aligner_scale=1",))
    with pytest.raises(UsageError, match=r"nothing guides tiny, tiny\+mmdisco by it") as caught:
        plan(job)
    assert caught.value.expected == "tiny+aligner, which takes it"


def test_imagebind_is_shown_the_views_that_its_loaders_make() -> None:
    rng = np.random.default_rng(0)
    video = rng.integers(0, 256, (16, 96, 96, 3)).astype(np.uint8)
    frames = torch.from_numpy(video[[0, -1]]).permute(0, 3, 1, 2).float()[None] / 255
    assert torch.allclose(video_view(frames), video_views(video, 8.0).data, atol=1e-5)
    for samples in (32000, 25600):
        wave = rng.uniform(-1, 1, samples).astype(np.float32)
        wave[: samples // 2] = 0
        assert torch.allclose(audio_view(torch.from_numpy(wave)[None]), audio_views(wave, 16000).data, atol=1e-4)
    with pytest.raises(ValueError, match="two seconds"):
        agreement(frames, torch.zeros(1, 40000), None, None)  # type: ignore[arg-type]


@pytest.mark.e2e
@pytest.mark.parametrize(
    "base",
    ["auffusion_vc2", *(pytest.param(b, marks=pytest.mark.thorough) for b in ("audioldm_animatediff", "mm_diffusion"))],
)
def test_published_pairs_are_guided_by_the_cosine_of_ib_av(base: str) -> None:
    dataset = profiled_dataset(base, None)
    options: dict[str, Any] = {"size": "tiny", "weights": "random", "num_inference_steps": 3, "device": "cpu"}
    guided = make_system(f"{base}+aligner", dataset=dataset, aligner_scale=2.0, **options)
    requests = make_batch(dataset, 1)
    pair = guided.pair()
    alone, aligned = (pair.sample(requests, guide) for guide in (None, guided.guide))
    values = [agreement_of(pair, latents, "ib_av", "random") for latents in (alone, aligned)]
    assert values[0] == pytest.approx(cosines(pair.decode(*alone, requests), "ib_av", "random"), abs=0.02)
    assert values[1] > values[0]


def test_a_pair_without_a_way_to_an_embedding_says_what_works() -> None:
    from mmbench.baselines.kinds.pair import DiffusionPair

    with pytest.raises(MMBenchError, match="cannot be differentiated") as caught:
        DiffusionPair.agreement(object(), None, None, None, None)  # type: ignore[arg-type]
    assert "bestof" in caught.value.next
