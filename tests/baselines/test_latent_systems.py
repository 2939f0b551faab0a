"""audioldm_animatediff and auffusion_vc2 at tiny size: generation, guidance, presets, training material, errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mmbench.baselines.kinds.discriminators import Guide
from mmbench.baselines.kinds.guided import PairSystem
from mmbench.baselines.kinds.pair import DiffusionPair, Sampling
from mmbench.baselines.models.latent import pair as latent_pair
from mmbench.baselines.models.latent.pair import LatentPair, OnScaledVideo, resize
from mmbench.baselines.models.latent.videocrafter2_sampling import NATIVE, RELEASED_MMDISCO, ScaledDDIM
from mmbench.errors import MMBenchError, UsageError
from mmbench.mmdisco import samplers
from mmbench.mmdisco.checkpoint import save_weights
from mmbench.mmdisco.discriminator import Discriminator
from mmbench.mmdisco.losses import logit_and_gradient
from mmbench.networks.devices import channels_last, local_device
from mmbench.registry import make_dataset
from mmbench.runs.spec import make_requests
from mmbench.system_names import make_system, parse_system_name
from mmbench.types import DESIGNS, Clip, Item

PAIRS = ("audioldm_animatediff", "auffusion_vc2")
BOUNCE = make_dataset("bounce")
REQUESTS = make_requests(BOUNCE, 3, seed=0)


@pytest.fixture(autouse=True)
def _nothing_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMBENCH_DISCRIMINATORS", str(tmp_path / "none"))
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))


def tiny(name: str, **options: Any) -> Any:
    """A system at tiny size, in two steps."""
    return make_system(name, dataset=BOUNCE, size="tiny", **{"device": "cpu", "num_inference_steps": 2, **options})


@pytest.fixture(scope="module", params=PAIRS)
def base(request: pytest.FixtureRequest) -> Any:
    """Either pair, alone."""
    return tiny(request.param)


def equal(first: Clip, second: Clip) -> bool:
    return first.digest() == second.digest()


@pytest.mark.e2e
def test_clips_have_the_papers_format_and_do_not_know_their_batch(base: Any) -> None:
    together, alone = list(base.generate(REQUESTS[:2])), list(base.generate(REQUESTS[1:2]))
    assert [clip.size() for clip in together] == ["16x256x256@8+32000@16000"] * 2
    assert equal(together[1], alone[0])
    assert not equal(together[0], together[1])
    assert base.weights == "tiny"
    assert set(base.spec()["components"].values()) == {"tiny", "float32", "paper", 8}


@pytest.mark.e2e
def test_guidance_starts_from_the_same_noise_and_changes_both_halves(
    base: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Tensor] = []

    def recorded(*args: Any) -> Tensor:
        drawn.append(noise := samplers.randn_tensor((len(args[1]), *args[0]), generator=list(args[1])))
        return noise

    monkeypatch.setattr(samplers, "initial_noise", recorded)
    guided, unmoved = (tiny(f"{base.name}+mmdisco", joint_scale=scale) for scale in ((500.0, 500.0), (0.0, 0.0)))
    clips = [next(system.generate(REQUESTS[:1])) for system in (base, guided, unmoved)]
    video, audio = drawn[0::2], drawn[1::2]
    assert all(torch.equal(z, video[0]) for z in video)
    assert all(torch.equal(z, audio[0]) for z in audio)
    assert equal(clips[0], clips[2])
    assert clips[0].video_digest() != clips[1].video_digest()
    assert clips[0].audio_digest() != clips[1].audio_digest()
    assert guided.spec()["mmdisco"]["weights"] == "random"


@pytest.mark.e2e
@pytest.mark.parametrize("design", DESIGNS)
def test_every_design_guides_either_pair(base: Any, design: str, monkeypatch: pytest.MonkeyPatch) -> None:
    system = tiny(f"{base.name}+mmdisco-{design}", joint_scale=(500.0, 500.0))
    monkeypatch.setattr(system, "_load", base.pair)
    monkeypatch.setattr(base.pair(), "sampling", replace(base.pair().sampling, num_inference_steps=1))
    (video, audio), unguided = base.pair().sample(REQUESTS[:1], system.guide), base.pair().sample(REQUESTS[:1])
    assert torch.isfinite(video).all()
    assert torch.isfinite(audio).all()
    assert not torch.equal(video, unguided[0])
    assert not torch.equal(audio, unguided[1])


@pytest.mark.e2e
def test_tiles_of_samples_are_filled_up(base: Any) -> None:
    pair = base.pair()
    tiles = LatentPair(pair.video, pair.audio, pair.layout, Sampling(num_inference_steps=1), tile=2)
    three, one = tiles.sample(REQUESTS), tiles.sample(REQUESTS[2:])
    assert [len(z) for z in (*three, *one)] == [3, 3, 1, 1]
    for all_of_them, last in zip(three, one, strict=True):
        assert torch.equal(all_of_them[2:], last)


@pytest.mark.parametrize("name", PAIRS)
def test_a_tile_that_attention_on_a_gpu_cannot_take_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tiny(name, tile=32).batch_size == 32  # a CPU takes samples singly
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for device in ("cuda", "auto"):
        assert tiny(name, device=device, tile=31).batch_size == 31
        with pytest.raises(UsageError, match="65,536 sequences") as raised:
            tiny(name, device=device, tile=32)
        assert "--set tile=31" in raised.value.next


@pytest.mark.e2e
def test_a_pair_gives_training_what_it_needs(base: Any) -> None:
    pair = base.pair()
    item = BOUNCE.real(REQUESTS[0], "real")
    real, (fake,) = pair.encode(item), pair.draw(REQUESTS[:1])
    assert [z.shape for z in real] == [z.shape for z in fake]
    assert [tuple(z.shape) for z in fake[:2]] == [tuple(shape) for shape in pair.shapes]
    assert [z.shape for z in fake[2:]] == [z.shape for z in pair.unconditional]
    assert torch.equal(fake[0], pair.sample(REQUESTS[:1])[0][0])
    discriminator = Discriminator(pair.discriminator("res_mlp"))
    h = discriminator(fake[0][None], fake[1][None], torch.tensor([3]), fake[2][None], fake[3][None])
    assert h.shape == (1,)


def test_each_prompt_is_encoded_once(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = base.pair()
    calls: list[str] = []
    monkeypatch.setattr(pair.video, "text", lambda prompt: calls.append(prompt) or torch.zeros(77, 16))
    fresh = LatentPair(pair.video, pair.audio, pair.layout, pair.sampling)
    calls.clear()  # the unconditional one
    for _ in range(2):
        fresh.texts(["a kazoo", "a gong", "a kazoo"])
    assert calls == ["a kazoo", "a gong"]


def test_clips_of_another_length_are_no_training_material(base: Any) -> None:
    item = BOUNCE.real(REQUESTS[0], "real")
    short = Clip(item.clip.video[:8], item.clip.fps, item.clip.audio, item.clip.sample_rate)
    with pytest.raises(UsageError, match="8x64x64@8"):
        base.pair().encode(Item("short", item.prompt, short))


def test_resizing_keeps_flat_colours_and_full_size() -> None:
    flat = np.full((2, 64, 48, 3), (10, 200, 255), dtype=np.uint8)
    assert np.array_equal(resize(flat), np.broadcast_to(flat[:1, :1, :1], (2, 256, 256, 3)))
    full = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
    assert resize(full) is full


@pytest.mark.parametrize(
    ("name", "free", "joint"),
    [("audioldm_animatediff", (7.5, 2.5), (1.0, 1.0)), ("auffusion_vc2", (8.0, 8.0), (8.0, 1.0))],
)
def test_presets(name: str, free: tuple[float, float], joint: tuple[float, float]) -> None:
    def told(**options: Any) -> dict[str, Any]:
        return make_system(f"{name}+mmdisco", dataset=BOUNCE, device="cpu", size="tiny", **options).spec()

    paper, release = told(), told(preset="mmdisco-release")
    assert paper["sampling"] == {"sampler": "dpmsolver++2m", "num_inference_steps": 50, "free_scale": free}
    assert paper["mmdisco"]["joint_scale"] == joint
    assert "logit" not in paper["mmdisco"]
    assert release["sampling"] == {"sampler": "ddpm", "num_inference_steps": 50, "free_scale": free}
    assert release["mmdisco"]["joint_scale"] == (8.0, 1.0)
    assert release["mmdisco"]["logit"] == "released"
    assert paper["mmdisco"]["design"] == "res_mlp"
    assert told(free_scale=(3.0, 2.0))["sampling"]["free_scale"] == (3.0, 2.0)


def test_the_spec_tells_the_design_of_the_discriminator_that_guides(base: Any, tmp_path: Path) -> None:
    released = "res_naive" if base.name == "auffusion_vc2" else "res_mlp"
    assert tiny(f"{base.name}+mmdisco-release").spec()["mmdisco"]["design"] == released
    assert tiny(f"{base.name}+mmdisco-release")._untrained().config.design == released
    assert tiny(f"{base.name}+mmdisco-{released}-release").spec()["mmdisco"]["design"] == released
    with pytest.raises(UsageError, match=f"released discriminator is a {released}"):
        tiny(f"{base.name}+mmdisco-vit_mlp-release")
    config = base.pair().discriminator("vit_naive")
    file = save_weights(tmp_path, Discriminator(config).state_dict(), config)
    given = tiny(f"{base.name}+mmdisco", discriminator=str(file)).spec()["mmdisco"]
    assert given["design"] == "vit_naive"


def test_compiling_is_asked_for_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(torch, "compile", lambda module: compiled.append(type(module).__name__) or module)
    system = tiny("auffusion_vc2", compile=True)
    assert system.spec()["components"]["compile"] is True
    assert "compile" not in tiny("auffusion_vc2").spec()["components"]
    system.pair()
    assert sorted(compiled) == ["UNet2DConditionModel", "UNet3DConditionModel"]


def test_channels_last_changes_the_layout_and_not_what_is_predicted(base: Any) -> None:
    pair = base.pair()
    model = pair.video.unet
    kernels = [p for p in model.parameters() if p.ndim == 4 and min(p.shape[1:3]) > 1]
    before, x_t = [p.data for p in kernels], torch.randn(1, *pair.shapes[0], generator=torch.Generator().manual_seed(0))
    arguments = (x_t, torch.tensor([500]), pair.texts(["a dog barks"])[0])
    expected = pair.epsilon_video(*arguments)
    channels_last(model)
    try:
        assert kernels
        assert all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
        torch.testing.assert_close(pair.epsilon_video(*arguments), expected, rtol=1e-4, atol=1e-4)
    finally:  # the pair is shared by the tests of this file, which compare bits
        for parameter, data in zip(kernels, before, strict=True):
            parameter.data = data


def test_every_process_of_a_launcher_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    current: list[str] = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    for variable in ("LOCAL_RANK", "SLURM_LOCALID"):
        monkeypatch.delenv(variable, raising=False)
    assert [local_device(d) for d in ("auto", "cuda", "cuda:1", "cpu")] == ["cuda", "cuda", "cuda:1", "cpu"]
    monkeypatch.setenv("SLURM_LOCALID", "3")
    assert [local_device(d) for d in ("auto", "cuda", "cuda:0", "cpu")] == ["cuda:1", "cuda:1", "cuda:0", "cpu"]
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert local_device("auto") == "cuda:0"
    assert current == ["cuda:1", "cuda:1", "cuda:1", "cuda:0", "cuda:0"], "waiting and measuring mean the same GPU"


@pytest.mark.e2e
def test_the_release_runs_another_schedule_and_fresh_noise() -> None:
    paper, release = (tiny("auffusion_vc2", preset=preset).pair() for preset in ("paper", "mmdisco-release"))
    assert (paper.schedules[0], release.schedules[0]) == (NATIVE, RELEASED_MMDISCO)
    assert (paper.audio.fresh_noise, release.audio.fresh_noise) == (False, True)
    assert release.sampler().timesteps()[0][:2].tolist() == [500 + 1, 1]
    guided = tiny("auffusion_vc2+mmdisco", preset="mmdisco-release", num_inference_steps=1)
    assert torch.isfinite(guided.pair().sample(REQUESTS[:1], guided.guide)[0]).all()


def test_ddim_is_videocrafter2s_own() -> None:
    pair = tiny("auffusion_vc2", sampler="ddim").pair()
    video, audio = (make() for make in pair.sampler().schedulers)
    assert isinstance(video, ScaledDDIM)
    assert not isinstance(audio, ScaledDDIM)
    assert torch.isfinite(pair.sample(REQUESTS[:1])[0]).all()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("size", "huge"),
        ("weights", "fake"),
        ("preset", "ours"),
        ("dtype", "float8"),
        ("sampler", "euler"),
        ("num_inference_steps", 0),
    ],
)
def test_unknown_options_are_refused(option: str, value: Any) -> None:
    with pytest.raises(UsageError, match=str(value)):
        make_system("auffusion_vc2", dataset=BOUNCE, **{"size": "tiny", option: value})


@pytest.mark.parametrize("name", PAIRS)
def test_missing_weights_are_named_before_anything_is_made(name: str) -> None:
    with pytest.raises(MMBenchError, match=r"mmbench weights fetch (realistic_vision|videocrafter2)"):
        make_system(name, dataset=BOUNCE)


@pytest.mark.parametrize(
    ("name", "design", "widths", "manifest"),
    [
        ("audioldm_animatediff", "res_mlp", (768, 512), "audioldm_animatediff_c256_paper"),
        ("auffusion_vc2", "res_mlp", (1024, 768), "auffusion_vc2_mlp_c256_paper"),
        ("audioldm_animatediff", "", (768, 512), "audioldm_animatediff_c128_released"),
        ("auffusion_vc2", "", (1024, 768), "auffusion_vc2_naive_c128_released"),
    ],
)
def test_discriminators_of_the_paper_and_of_the_release(
    name: str, design: str, widths: tuple[int, int], manifest: str, fixtures_folder: Path, monkeypatch: Any
) -> None:
    """Sizes of the paper's (`design`) and of the released one, for the text widths of the full models."""
    shapes = json.loads((fixtures_folder / "manifests" / f"mmdisco_disc_ood_{manifest}.json").read_text())["shapes"]
    pair = tiny(name).pair()
    pair.video.text_channels, pair.audio.text_channels, pair._small = *widths, False
    made = []
    monkeypatch.setattr(latent_pair, "load_discriminator", lambda path, config, device: made.append(config))
    monkeypatch.setattr(latent_pair, "OnScaledVideo", lambda discriminator, magnitude: None)
    pair.released(Path())
    config = pair.discriminator(design) if design else made[0]
    with torch.device("meta"):
        state = Discriminator(config).state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == shapes


def test_a_released_discriminator_sees_the_videos_it_was_trained_on() -> None:
    class Square(torch.nn.Module):
        config = None

        def forward(self, video: Tensor, audio: Tensor, t: Tensor) -> Tensor:
            return video.square().flatten(1).sum(1) / 2

    video, audio, t = torch.ones(2, 3, 2), torch.ones(2, 1), torch.tensor([0, 900])
    h, (gradient, _) = logit_and_gradient(
        lambda v, a, s: OnScaledVideo(Square(), NATIVE.magnitude)(v, a, s) + 0 * a.sum(),
        video,
        audio,
        t,
        (),
        create_graph=False,
    )
    squares = NATIVE.magnitude[t].float() ** 2
    torch.testing.assert_close(h, 3 * squares)
    torch.testing.assert_close(gradient, squares[:, None, None].expand(2, 3, 2))


def test_the_released_discriminator_is_looked_for_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stub(LatentPair):
        def __init__(self) -> None:
            pass

        def released(self, path: Path) -> Any:
            return torch.nn.Linear(1, 1)

    def system(released: str) -> PairSystem:
        name = parse_system_name("auffusion_vc2+mmdisco-release")
        return PairSystem("auffusion_vc2", Stub, {}, "real", Sampling(), BOUNCE, name, guide=Guide(released=released))

    with pytest.raises(MMBenchError, match="mmbench weights fetch mmdisco_auffusion_vc2"):
        system("mmdisco_auffusion_vc2").spec()
    file = tmp_path / "released.pt"
    file.write_bytes(b"anything")
    monkeypatch.setenv("MMBENCH_WEIGHTS_MMDISCO_AUFFUSION_VC2", str(file))
    found = system("mmdisco_auffusion_vc2")
    assert len(found.spec()["mmdisco"]["weights"]) == 32
    assert isinstance(found._discriminator, torch.nn.Linear)
    with pytest.raises(MMBenchError, match="No discriminator was released"):
        DiffusionPair.released(Stub(), file)
