"""Discriminators: published sizes, official names, first and second gradients against a plain implementation."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from mmbench.errors import MMBenchError, UsageError
from mmbench.mmdisco.design import DiscriminatorConfig, in_domain, out_of_domain
from mmbench.mmdisco.discriminator import Discriminator, load_discriminator, timestep_embedding
from mmbench.types import DESIGNS
from tests.conformance.run_mmdisco_discriminator import config_of
from tests.mmdisco.plain import plain_logit

AUFFUSION = {"audio_channels": 4, "video_text_channels": 1024, "audio_text_channels": 768}
SMALL: dict[str, Any] = {
    "channels": 32,
    "num_blocks": 1,
    "embed_channels": 32,
    "fusion_channels": 32,
    "fusion_layers": 1,
    "fusion_out_channels": 24,
    "vit_channels": 32,
    "vit_layers": 1,
    "vit_out_channels": 24,
}
LATENT_SIZES: dict[str, Any] = {"video_size": (4, 8, 8), "audio_size": (10, 8)}
LATENT_TEXTS: dict[str, Any] = {"video_text_channels": 12, "audio_text_channels": 20}
WAVEFORM_SIZES: dict[str, Any] = {
    "video_size": (3, 8, 8),
    "video_patch": (1, 4, 4),
    "audio_size": (259,),
    "audio_patch": (32,),
}


def small(design: Any, form: str, **settings: Any) -> DiscriminatorConfig:
    if form == "latent":
        return out_of_domain(design, **{**SMALL, **LATENT_SIZES, **LATENT_TEXTS, **settings})
    return in_domain(design, **{**SMALL, **WAVEFORM_SIZES, **settings})


def build(config: DiscriminatorConfig, seed: int = 0) -> Discriminator:
    """Random weights everywhere, also where training starts from zero."""
    g = torch.Generator().manual_seed(seed)
    model = Discriminator(config).double()
    for name, p in model.named_parameters():
        spread = torch.randn(p.shape, generator=g, dtype=p.dtype) * (p[0].numel() ** -0.5 if p.ndim > 1 else 0.2)
        p.data = spread + (p.ndim == 1 and name.endswith("weight"))
    return model


def inputs(config: DiscriminatorConfig, n: int = 2, seed: int = 1, texts: int = 1) -> tuple[Tensor, ...]:
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g, dtype=torch.float64)

    pair = (
        normal(n, config.video_channels, *config.video_size).requires_grad_(),
        normal(n, config.audio_channels, *config.audio_size).requires_grad_(),
    )
    t = torch.randint(0, 1000, (n,), generator=g)
    if config.video_text_channels is None or config.audio_text_channels is None:
        return *pair, t
    return *pair, t, normal(texts * n, 7, config.video_text_channels), normal(texts * n, config.audio_text_channels)


FORMS = ("latent", "waveform")
EVERY_DESIGN = [(design, form) for design in DESIGNS for form in FORMS]


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (in_domain(channels=32, num_blocks=1), 401_825),
        (in_domain(channels=32), 798_977),
        (in_domain(channels=32, num_blocks=4), 1_593_281),
        (in_domain(channels=64), 3_179_009),
        (in_domain(num_blocks=1), 6_362_753),
        (in_domain(), 12_682_241),
        (in_domain(num_blocks=3), 19_001_729),
        (in_domain(num_blocks=4), 25_321_217),
        (in_domain(channels=256), 50_661_377),
        (out_of_domain(), 132_582_913),
        (out_of_domain(**AUFFUSION), 132_704_769),
        (out_of_domain(channels=128), 33_261_313),
        (out_of_domain("res_naive", channels=128, **AUFFUSION), 38_972_161),
        (out_of_domain("res_frieren", channels=128, **AUFFUSION), 38_840_833),
        (out_of_domain("vit_mlp", embed_channels=128, **AUFFUSION), 7_108_097),
    ],
)
def test_published_parameter_counts(config: DiscriminatorConfig, count: int) -> None:
    with torch.device("meta"):
        model = Discriminator(config)
    assert sum(p.numel() for p in model.parameters()) == count


def test_official_names_and_shapes(fixtures_folder: Path) -> None:
    files = sorted((fixtures_folder / "manifests").glob("mmdisco_disc_*.json"))
    assert files
    for file in files:
        manifest = json.loads(file.read_text())
        with torch.device("meta"):
            state = Discriminator(config_of(manifest["constructor"])).state_dict()
        assert {key: list(value.shape) for key, value in state.items()} == manifest["shapes"], file.name


@pytest.mark.parametrize(("design", "form"), EVERY_DESIGN)
def test_mean_fusion_alone_cannot_see_which_halves_belong_together(design: str, form: str) -> None:
    """With "mlp", h is a function of the video plus one of the audio, so that swapping partners never shows."""
    model = build(small(design, form)).eval()
    videos, audios, t, *texts = inputs(small(design, form))
    both = torch.cat([videos, videos]), torch.cat([audios, audios.flip(0)])
    h = model(*both, t[:1].expand(4), *(text[:1].expand(4, *text.shape[1:]) for text in texts)).detach()
    matters = h[0] + h[1] - h[2] - h[3]
    assert (matters.abs() < 1e-9) == design.endswith("mlp")
    assert (h[0] - h[2]).abs() > 1e-6


@pytest.mark.parametrize(("design", "form"), EVERY_DESIGN)
def test_second_gradients_equal_the_plain_implementation(design: str, form: str) -> None:
    config = small(design, form, fusion_class_token=form == "latent")
    model = build(config)
    state = dict(model.named_parameters())
    video, audio, *rest = inputs(config)

    def derivatives(h: Tensor) -> list[Tensor]:
        first = torch.autograd.grad(h.square().sum(), (video, audio), create_graph=True)
        loss = sum(g.square().sum() for g in first) + h.sum()
        second = torch.autograd.grad(loss, [video, audio, *state.values()], materialize_grads=True)
        return [h, *first, *second]

    ours = derivatives(model(video, audio, *rest))
    plain = derivatives(plain_logit(state, config, video, audio, *rest))
    for name, a, b in zip(["h", "gx", "gy", "gx'", "gy'", *state], ours, plain, strict=True):
        assert torch.allclose(a, b, rtol=1e-8, atol=1e-9 * max(1.0, b.detach().abs().max().item())), name


@pytest.mark.parametrize("num_blocks", [1, 2, 3, 4])
def test_every_dilation_and_pool(num_blocks: int) -> None:
    sizes = {"video_size": (2, 7, 9), "audio_size": (527,), "channel_mult": (1, 1, 1)}
    for config in (
        small("res_mlp", "waveform", num_blocks=num_blocks, dilation_cycle=4, **sizes),
        small("res_mlp", "latent", num_blocks=num_blocks, dilation_cycle=3, **sizes | {"audio_size": (9, 13)}),
    ):
        model, x = build(config), inputs(config)
        assert torch.allclose(model(*x), plain_logit(dict(model.named_parameters()), config, *x), rtol=1e-9)


@pytest.mark.parametrize(("design", "form"), EVERY_DESIGN)
def test_second_gradient_is_the_finite_difference_of_the_first(design: str, form: str) -> None:
    config = small(design, form)
    model = build(config)
    video, audio, *rest = inputs(config, n=1)
    g = torch.Generator().manual_seed(5)
    parameters = list(model.parameters())
    direction = [
        torch.randn(p.shape, generator=g, dtype=p.dtype) * (p.std() if p.numel() > 1 else 1) for p in parameters
    ]

    def gradient_norm(create_graph: bool) -> Tensor:
        first = torch.autograd.grad(model(video, audio, *rest), (video, audio), create_graph=create_graph)
        return sum((k + 1) * f.square().sum() for k, f in enumerate(first))  # type: ignore[return-value]

    slopes = torch.autograd.grad(gradient_norm(True), parameters, materialize_grads=True)
    analytic = sum((s * d).sum().item() for s, d in zip(slopes, direction, strict=True))
    values, step = [], 1e-6
    for sign in (1, -2):
        for p, d in zip(parameters, direction, strict=True):
            p.data += sign * step * d
        values.append(gradient_norm(False).item())
    numeric = (values[0] - values[1]) / (2 * step)
    assert analytic == pytest.approx(numeric, rel=2e-5, abs=1e-7)


@pytest.mark.parametrize("design", ["vit_mlp", "res_frieren"])
def test_one_gradient_uses_the_fused_kernel_and_two_do_not(design: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small(design, "latent")
    model, x = build(config), inputs(config)
    fused = torch.nn.functional.scaled_dot_product_attention
    calls: list[bool] = []

    def watch(*args: Tensor) -> Tensor:
        calls.append(torch.is_grad_enabled())
        return fused(*args)

    monkeypatch.setattr("torch.nn.functional.scaled_dot_product_attention", watch)
    forward = [False, False]  # two extractors with a layer each, or the fusion's layer and the class token's
    once = torch.autograd.grad(model(*x).sum(), x[:2])
    assert calls == [*forward, True, True]  # each layer again, for its backward
    calls.clear()
    twice = torch.autograd.grad(model(*x).sum(), x[:2], create_graph=True)
    assert calls == forward
    assert all(torch.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in zip(once, twice, strict=True))


def test_samples_of_a_batch_do_not_mix_and_all_inputs_matter() -> None:
    config = small("res_naive", "latent")
    model, x = build(config), inputs(config, n=3)
    h = model(*x)
    assert torch.allclose(h[1:2], model(*(z[1:2] for z in x)), rtol=1e-9)
    for k, z in enumerate(x):
        changed = [*x[:k], z.flip(0), *x[k + 1 :]]
        assert not torch.allclose(h, model(*changed)), f"input {k} is not looked at"


def test_as_many_frames_as_channels() -> None:
    config = small("res_mlp", "latent", video_size=(32, 4, 4))
    model, x = build(config), inputs(config)
    assert torch.allclose(model(*x), plain_logit(dict(model.named_parameters()), config, *x), rtol=1e-9)


def test_layouts_of_the_callers() -> None:
    config = small("res_mlp", "latent")
    model = build(config)
    video, audio, *rest = inputs(config)
    other = Discriminator(replace(config, video_frames_first=True, audio_mel_first=True)).double()
    other.load_state_dict(model.state_dict())
    assert torch.equal(model(video, audio, *rest), other(video.transpose(1, 2), audio.transpose(2, 3), *rest))


def test_class_token_adds_a_layer() -> None:
    config = out_of_domain("res_naive", channels=32)
    with torch.device("meta"):
        keys = Discriminator(config).state_dict()
    assert sum("to_q" in key for key in keys) == config.fusion_layers + 1


def test_timestep_embedding() -> None:
    from diffusers.models.embeddings import get_timestep_embedding

    for t in (torch.tensor([0, 1, 999]), torch.tensor([0.25, 998.5])):
        for channels in (32, 33):
            assert torch.allclose(timestep_embedding(t, channels), get_timestep_embedding(t, channels), rtol=0, atol=0)


def test_autocast_agrees_with_float32() -> None:
    config = small("res_mlp", "latent")
    model = build(config).float()
    x = [z.detach().float() if z.is_floating_point() else z for z in inputs(config)]
    exact = model(*x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(model(*x).float(), exact, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("prefix", ["", "residual_predictor."])
@pytest.mark.parametrize("kind", ["mapping", "torch", "safetensors"])
def test_checkpoints_load(tmp_path: Path, prefix: str, kind: str) -> None:
    config = small("res_frieren", "latent")
    model = build(config).float()
    state = {prefix + key: value for key, value in model.state_dict().items()}
    source: Any = state
    if kind == "torch":
        torch.save(state, source := tmp_path / "model.pt")
    elif kind == "safetensors":
        save_file(state, source := tmp_path / "model.safetensors", {"config": json.dumps(asdict(config))})
    loaded = load_discriminator(source, None if kind == "safetensors" else config)
    assert loaded.config == config
    assert not loaded.training
    assert loaded.last_linear.weight.requires_grad
    want = model.state_dict()
    assert all(torch.equal(value, want[key]) for key, value in loaded.state_dict().items())


def test_wrong_checkpoints_name_what_is_wrong(tmp_path: Path) -> None:
    config = small("res_mlp", "latent")
    state = build(config).state_dict()
    broken = {**state, "extra.weight": torch.zeros(1), "last_linear.weight": torch.zeros(1, 3)}
    del broken["last_linear.bias"]
    with pytest.raises(MMBenchError, match=r"last_linear\.bias.*extra\.weight.*last_linear\.weight is \(1, 3\)") as e:
        load_discriminator(broken, config)
    assert e.value.expected
    assert e.value.next
    with pytest.raises(MMBenchError, match="tensors missing"):
        load_discriminator(state, small("res_naive", "latent"))
    with pytest.raises(MMBenchError, match="does not say"):
        load_discriminator(state)
    (tmp_path / "evil.pt").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(MMBenchError, match="cannot be read"):
        load_discriminator(tmp_path / "evil.pt", config)
    torch.save({"epoch": 3}, tmp_path / "other.pt")
    with pytest.raises(MMBenchError, match="something else"):
        load_discriminator(tmp_path / "other.pt", config)


def test_wrong_inputs() -> None:
    config = small("res_naive", "latent")
    model = build(config)
    video, audio, t, *texts = inputs(config)
    with pytest.raises(UsageError, match="0 text"):
        model(video, audio, t)
    with pytest.raises(UsageError, match="got video"):
        model(video.transpose(2, 3), audio[:, :3], t, *texts)
    with pytest.raises(UsageError, match="rows of text"):
        model(video, audio, t, *(text[:1] for text in texts))
    with pytest.raises(UsageError, match="tokens"):
        build(replace(config, max_tokens=8))(video, audio, t, *texts)
    with pytest.raises(UsageError, match="input is"):
        build(small("vit_mlp", "latent"))(video[:, :, :2], audio, t, *texts)
    with pytest.raises(UsageError, match="res_mpl"):
        in_domain("res_mpl")  # type: ignore[arg-type]
