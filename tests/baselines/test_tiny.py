"""The embedded models: what is shipped, and that a sample depends on nothing but its request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mmbench.baselines.kinds.discriminators import SHIPPED
from mmbench.baselines.models.tiny import networks as tiny_networks
from mmbench.baselines.models.tiny.networks import (
    NETWORKS,
    griffin_lim,
    log_mel,
    pack,
    patches,
    unpack,
    unpatch,
    words_of,
)
from mmbench.errors import UsageError
from mmbench.registry import make_dataset
from mmbench.runs.spec import make_requests
from mmbench.system_names import make_system, read_options
from mmbench.types import Clip, Request

DATASET = make_dataset("bounce")
REQUESTS = make_requests(DATASET, 3, 7)
STEPS = 4  # of the sampler: what is tested here does not need good samples


def generate(name: str, requests: list[Request], **options: Any) -> list[Clip]:
    system = make_system(name, dataset=DATASET, device="cpu", **{"num_inference_steps": STEPS, **options})
    return list(system.generate(requests))


def digests(clips: list[Clip]) -> list[tuple[str, str]]:
    return [(clip.video_digest(), clip.audio_digest()) for clip in clips]


@pytest.fixture(scope="module")
def base() -> list[Clip]:
    return generate("tiny", REQUESTS)


def test_pair_and_cascade_fit_in_8_megabytes_and_all_in_17() -> None:
    sizes = {f.name: f.stat().st_size for f in SHIPPED.glob("tiny*")}
    assert sizes["tiny.safetensors"] + sizes["tiny_cascade.safetensors"] <= 8_000_000
    assert sum(sizes.values()) <= 17_000_000


@pytest.mark.parametrize(("network", "most"), [("video_codec", 0.0010), ("audio_codec", 0.0018)])
def test_codecs_lose_little_of_real_clips(network: str, most: float) -> None:
    """Squared error on [-1, 1] of clips that no codec was trained on; 0.0019 and 0.0024 before decoders went on."""
    codec: Any = unpack(network, SHIPPED / "tiny.safetensors")
    clips = [item.clip for item in DATASET.reference(8, 907)]
    errors = []
    for clip in clips:
        x = log_mel(clip.audio)[None]
        if network == "video_codec":
            x = torch.from_numpy(clip.video).permute(0, 3, 1, 2).float() / 127.5 - 1
        errors.append(float((codec.decode(codec.encode(x)) - x).square().mean()))
    assert np.mean(errors) < most


def test_clips_have_the_format_of_bounce(base: list[Clip]) -> None:
    assert {clip.size() for clip in base} == {"16x64x64@8+32000@16000"}


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["tiny", "tiny_cascade", "tiny+mmdisco", "tiny+mmdisco-res_frieren"])
def test_a_sample_does_not_depend_on_its_batch(name: str, base: list[Clip]) -> None:
    together = digests(base if name == "tiny" else generate(name, REQUESTS))
    assert digests(generate(name, REQUESTS[1:2])) == together[1:2]


@pytest.mark.e2e
def test_guidance_at_scale_0_gives_the_base_and_at_scale_1_does_not(base: list[Clip]) -> None:
    assert digests(generate("tiny+mmdisco", REQUESTS, joint_scale=(0.0, 0.0))) == digests(base)
    for (video, audio), (base_video, base_audio) in zip(
        digests(generate("tiny+mmdisco", REQUESTS, joint_scale=(1.0, 1.0))), digests(base), strict=True
    ):
        assert video != base_video
        assert audio != base_audio


@pytest.mark.parametrize(("dataset", "scale"), [("bounce", (1.0, 6.0)), ("bounce_heavy", (2.0, 3.0))])
def test_every_world_has_its_joint_scales_unless_others_are_asked_for(dataset: str, scale: tuple[float, float]) -> None:
    def scales(**options: Any) -> Any:
        system = make_system("tiny+mmdisco-res_frieren", dataset=make_dataset(dataset), device="cpu", **options)
        return tuple(system.spec()["mmdisco"]["joint_scale"])

    assert scales() == scale
    assert scales(joint_scale=(3.0, 0.0)) == (3.0, 0.0)


def test_the_cascade_shows_the_video_of_the_pair_with_another_sound(base: list[Clip]) -> None:
    for cascade, pair in zip(generate("tiny_cascade", REQUESTS), base, strict=True):
        assert cascade.video_digest() == pair.video_digest()
        assert cascade.audio_digest() != pair.audio_digest()


def test_the_cascade_hears_what_it_sees() -> None:
    """Two requests that differ in the noise of the video only: the sounds differ too."""
    system = make_system("tiny_cascade", dataset=DATASET, device="cpu", num_inference_steps=STEPS)
    pair = system.pair()
    noise = torch.randn(2, *pair.shapes[1], generator=torch.Generator().manual_seed(0))[:1].expand(2, -1, -1, -1)
    videos = torch.randn(2, *pair.shapes[0], generator=torch.Generator().manual_seed(1))
    text = pair.texts(["a metal ball bouncing"] * 2)[1]
    heard = pair.audio_model.epsilon(noise, torch.tensor([500, 500]), text, videos)
    assert not torch.allclose(heard[0], heard[1], atol=1e-3)


def test_text_decides() -> None:
    prompt = replace(REQUESTS[0].prompt, text="a wooden ball bouncing")
    other = replace(prompt, text="a metal ball bouncing")
    wood, metal = (generate("tiny", [replace(REQUESTS[0], prompt=p)])[0] for p in (prompt, other))
    assert wood.video_digest() != metal.video_digest()
    assert wood.audio_digest() != metal.audio_digest()


@pytest.mark.e2e
def test_text_guidance_changes_samples_and_1_is_none(base: list[Clip]) -> None:
    at_one = generate("tiny", REQUESTS, free_scale=(1.0, 1.0))
    for clip, same in zip(at_one, base, strict=True):
        assert np.abs(clip.video.astype(int) - same.video).max() <= 2
    assert digests(generate("tiny", REQUESTS, free_scale=(3.0, 3.0))) != digests(base)


def test_options_are_read_by_their_system() -> None:
    options = read_options(["joint_scale=2,0.5", "num_inference_steps=10"], ["tiny", "ground_truth"])
    assert options == {"tiny": {"joint_scale": (2, 0.5), "num_inference_steps": 10}, "ground_truth": {}}
    with pytest.raises(UsageError, match="no option 'jointscale'"):
        read_options(["jointscale=2"], ["tiny"])


def test_unknown_words_do_not_count() -> None:
    assert torch.equal(words_of("a METAL ball, bouncing"), words_of("a metal bouncing"))
    assert not words_of("nothing of this kind").any()


@pytest.mark.parametrize(("shape", "patch"), [((4, 16, 8, 8), (2, 4, 4)), ((4, 32, 16), (1, 16))])
def test_patches_are_cut_and_put_back(shape: tuple[int, ...], patch: tuple[int, ...]) -> None:
    x = torch.randn(2, *shape)
    tokens = patches(x, patch)
    assert torch.equal(unpatch(tokens, shape, patch), x)
    first = x[0][(slice(None), *(slice(p) for p in patch))]
    assert torch.equal(tokens[0, 0], first.reshape(-1))


def test_packed_weights_come_back_to_half_a_step(tmp_path: Any) -> None:
    torch.manual_seed(0)
    state = NETWORKS["audio_model"]().state_dict()
    pack({"audio_model": state}, tmp_path / "w.safetensors")
    back = unpack("audio_model", tmp_path / "w.safetensors").state_dict()
    for name, value in state.items():
        step = value.abs().amax(1, keepdim=True) / 127 if value.ndim == 2 else value.abs() * 2**-9 + 1e-6
        assert bool(((back[name] - value).abs() <= 0.51 * step + 1e-7).all()), name


def test_sounds_survive_their_spectrogram() -> None:
    clip = DATASET.real(REQUESTS[0], "real").clip
    mel = log_mel(clip.audio)
    sound = griffin_lim(mel, len(clip.audio), 0)
    loud = mel > 0.0  # within 40 dB of the loudest there is
    assert float((log_mel(sound) - mel)[loud].abs().mean()) < 0.05
    assert tuple(mel.shape) == (1, tiny_networks.NUM_HOPS, tiny_networks.NUM_MELS)


def test_real_clips_survive_the_codecs() -> None:
    pair = make_system("tiny", dataset=DATASET, device="cpu").pair()
    items = [DATASET.real(r, "real") for r in REQUESTS]
    video, audio, *_ = (torch.stack(column) for column in zip(*[pair.encode(item) for item in items], strict=True))
    for item, clip in zip(items, pair.decode(video, audio, REQUESTS), strict=True):
        error = (clip.video.astype(float) - item.clip.video) / 255
        assert -10 * np.log10(np.mean(error**2)) > 28  # dB; 33 on average
