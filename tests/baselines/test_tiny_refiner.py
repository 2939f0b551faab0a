"""The refiner of the embedded video model: nothing before training, much of the error after it, each row by itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mmbench.baselines.kinds.discriminators import SHIPPED
from mmbench.baselines.models.tiny.networks import VIDEO_LATENT, unpack, video_model, video_refiner, words_of
from mmbench.baselines.models.tiny.refiner import RefinedDenoiser
from mmbench.mmdisco.losses import add_noise
from mmbench.registry import make_dataset
from tests.commands import load_script
from tests.conftest import REPOSITORY


def shipped() -> RefinedDenoiser:
    denoiser, refiner = (unpack(name, SHIPPED / "tiny.safetensors") for name in ("video_model", "video_refiner"))
    return RefinedDenoiser(denoiser, refiner)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def latents() -> tuple[Tensor, Tensor]:
    """Latents and texts of real clips that no network was trained on."""
    codec: Any = unpack("video_codec", SHIPPED / "tiny.safetensors")
    items = make_dataset("bounce").reference(8, 907)
    frames = [torch.from_numpy(items[i].clip.video).permute(0, 3, 1, 2).float() / 127.5 - 1 for i in range(8)]
    return torch.stack([codec.encode(x).transpose(0, 1) for x in frames]), torch.stack(
        [words_of(items[i].prompt.text) for i in range(8)]
    )


def test_an_untrained_refiner_changes_nothing() -> None:
    torch.manual_seed(0)
    refined = RefinedDenoiser(video_model(), video_refiner())
    x, t, text = torch.randn(2, *VIDEO_LATENT), torch.tensor([10, 500]), torch.randn(2, 32)
    assert torch.equal(refined(x, t, text), refined.denoiser(x, t, text))


@pytest.mark.parametrize(("t", "most"), [(100, 0.65), (300, 0.7), (500, 0.8), (750, 0.95)])
def test_it_takes_much_of_the_denoisers_error_on_clips_that_it_never_saw(
    t: int, most: float, latents: tuple[Tensor, Tensor]
) -> None:
    model, (clean, words) = shipped(), latents
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    steps = torch.full((len(clean),), t)
    abar = model.denoiser.schedule.alphas_cumprod[steps]
    x_t, target, text = add_noise(clean, noise, abar), add_noise(noise, -clean, abar), model.words(words)
    before, after = ((v(x_t, steps, text) - target).square().mean() for v in (model.denoiser, model))
    assert after < most * before


def test_rows_of_other_timesteps_change_nothing(latents: tuple[Tensor, Tensor]) -> None:
    model, (clean, words) = shipped(), latents
    text, t = model.words(words), torch.tensor([3, 999, 400, 699, 700, 20, 650, 850])
    together = model(clean, t, text)
    for i in range(len(t)):
        alone = model(clean[i : i + 1], t[i : i + 1], text[i : i + 1])[0]
        torch.testing.assert_close(together[i], alone, rtol=1e-4, atol=1e-5)
    guess, refined = model.guess_and_v(clean, t, text)
    torch.testing.assert_close(guess, model.denoiser(clean, t, text))
    torch.testing.assert_close(refined, together)
    assert all((refined[i] - guess[i]).abs().max() > 0.01 for i in range(len(t)))


@pytest.mark.e2e
def test_the_sampler_that_begins_at_real_clips_keeps_what_it_need_not_restore(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "results" / "tiny"))
    script = load_script("restarts", monkeypatch, "results/tiny")
    restarts = script.Restarts(3, 907)
    model = shipped()
    begun = [(restarts.go_on(model, done, 0) - restarts.latents).square().mean() for done in (0, 12, 24)]
    assert begun[0] > 0.5
    assert begun[2] < 0.01
    assert 5 * begun[2] < begun[1] < begun[0] / 5
    script.main(["--num", "2", "--done", "23"])
    lines = capsys.readouterr().out.splitlines()[2:]
    assert {line.split("|")[1].strip() for line in lines} == {"refined, the last 2", "not refined, the last 2"}
    assert sum(int(line.split("|")[3]) for line in lines) == 2 * 2
