"""Pairings of noise levels: what is drawn, what losses and base models are given, what is recorded and refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco.batches import Batches
from mmbench.mmdisco.design import DiscriminatorConfig
from mmbench.mmdisco.discriminator import load_discriminator
from mmbench.mmdisco.losses import Noised, add_noise, independent, mmdisco_losses
from mmbench.mmdisco.noising import Noising
from mmbench.mmdisco.pairing import PAIRINGS, PATHS, Pairing, require_path
from mmbench.mmdisco.pairs import generator
from mmbench.mmdisco.schedule import NoiseSchedule
from tests.mmdisco.test_training import CONFIG, DISCRIMINATOR, EMPTY, FAKE, REAL, Bases, batches, run, weights

T = 100
ALPHAS = (
    NoiseSchedule("linear", 1e-4, 0.02, T).alphas_cumprod,
    NoiseSchedule("scaled_linear", 1.5e-3, 0.0195, T).alphas_cumprod,
)


def drawn(pairing: Pairing, num: int = 4000) -> tuple[Tensor, Tensor]:
    times = [Noising(T, 0.1, EMPTY, pairing).draw_times(generator(k)) for k in range(num)]
    pairs = [t if isinstance(t, tuple) else (t, t) for t in times]
    return torch.stack([t for t, _ in pairs]), torch.stack([t for _, t in pairs])


def test_batches_of_one_timestep_are_those_of_before_there_were_pairings() -> None:
    digest = hashlib.sha256()
    for step in range(3):
        for batch in batches()[step]:
            assert isinstance(batch.t, Tensor)
            for tensor in (*batch.sample, *batch.noise, batch.t, *batch.text):
                digest.update(tensor.numpy().tobytes())
    assert digest.hexdigest()[:32] == "70413b13e0764b54cbf665583765dacd"


def test_the_video_s_timestep_is_the_same_whatever_the_pairing() -> None:
    (one, same), (two, _), (three, _) = (drawn(pairing) for pairing in get_args(Pairing))
    assert torch.equal(one, same)
    assert torch.equal(one, two)
    assert torch.equal(one, three)


def test_a_band_is_uniform_within_a_fifth_of_the_timesteps_and_ends_where_they_end() -> None:
    video, audio = drawn("band")
    assert (int(audio.min()), int(audio.max())) == (0, T - 1)
    shift = (audio - video)[(video >= 20) & (video < 80)]
    assert (int(shift.min()), int(shift.max())) == (-20, 20)
    assert shift.double().std().item() == pytest.approx((41**2 / 12) ** 0.5, rel=0.05)
    assert abs(shift.double().mean().item()) < 1


def test_independent_timesteps_are_uniform_and_know_nothing_of_each_other() -> None:
    video, audio = (t.double() for t in drawn("independent"))
    assert (int(audio.min()), int(audio.max())) == (0, T - 1)
    assert audio.std().item() == pytest.approx(T / 12**0.5, rel=0.03)
    assert abs(torch.corrcoef(torch.stack([video, audio]))[0, 1].item()) < 0.05


@pytest.mark.parametrize("pairing", ["band", "independent"])
def test_real_and_generated_pairs_at_a_place_share_both_times_and_two_processes_draw_them(pairing: Pairing) -> None:
    noising = Noising(T, 0.3, EMPTY, pairing)
    real, fake = Batches(REAL, FAKE, 0, 4, noising)[2]
    parts = [Batches(REAL, FAKE, 0, 2, noising, rank, 2)[2][0].t for rank in range(2)]
    for k in range(2):
        assert torch.equal(real.t[k], fake.t[k])
        assert torch.equal(real.t[k], torch.cat([part[k] for part in parts]))
    assert not torch.equal(real.t[0], real.t[1])


def noised(t: Any) -> Noised:
    g = torch.Generator().manual_seed(1)
    x, y, noise_x, noise_y = (torch.randn(3, 2, 4, dtype=torch.float64, generator=g) for _ in range(4))
    return Noised((x, y), (noise_x, noise_y), t)


def product(x: Tensor, y: Tensor, t: Any, *_: Tensor) -> Tensor:
    """A logit that sees both halves and both timesteps."""
    t_x, t_y = t if isinstance(t, tuple) else (t, t)
    return (x * y).mean((1, 2)) + 0.01 * (t_x - 2 * t_y)


def test_each_half_is_noised_predicted_and_corrected_at_its_own_level() -> None:
    video, audio = torch.tensor([3, 50, 99]), torch.tensor([20, 50, 0])
    batch, seen = noised((video, audio)), list[Tensor]()

    def base(x_t: Tensor, t: Tensor, condition: Any) -> Tensor:
        seen.append(t)
        return 0.5 * x_t

    losses = mmdisco_losses(product, independent(base, base), ALPHAS, batch, batch)
    assert torch.equal(seen[0], video)
    assert torch.equal(seen[1], audio)
    x_t = add_noise(batch.sample[0], batch.noise[0], ALPHAS[0][video])
    y_t = add_noise(batch.sample[1], batch.noise[1], ALPHAS[1][audio])
    by_hand = torch.zeros((), dtype=torch.float64)
    halves = (batch.noise[0], x_t, y_t, ALPHAS[0][video]), (batch.noise[1], y_t, x_t, ALPHAS[1][audio])
    for noise, own, other, abar in halves:
        correction = (1 - abar).sqrt()[:, None, None] * other / other[0].numel()  # the gradient of their mean product
        by_hand += (noise - 0.5 * own + correction).square().mean()
    assert losses.denoising is not None
    assert losses.discrimination is not None
    torch.testing.assert_close(losses.denoising, by_hand)
    h = product(x_t, y_t, (video, audio))
    torch.testing.assert_close(losses.discrimination, (torch.nn.functional.softplus(h) * 2 - h).mean())


def test_equal_times_are_one_time() -> None:
    t = torch.tensor([3, 50, 99])
    one, two = (
        mmdisco_losses(product, independent(*[lambda x, t, c: 0.5 * x] * 2), ALPHAS, noised(times), noised(times))
        for times in (t, (t, t))
    )
    assert torch.equal(one.total, two.total)


def test_parts_of_a_batch_keep_both_times() -> None:
    whole = replace(noised((torch.arange(3), 10 + torch.arange(3))), predicted=(torch.arange(3), torch.arange(3)))
    first, second = whole.split(2)
    assert (len(first), len(second)) == (2, 1)
    assert second.t[1].tolist() == [12]
    assert second.predicted is not None
    assert second.predicted[0].tolist() == [2]
    assert torch.equal(torch.cat([first.sample[1], second.sample[1]]), whole.sample[1])


def with_pairing(pairing: Pairing) -> Any:
    return replace(CONFIG, discriminator=replace(DISCRIMINATOR, pairing=pairing))


@pytest.mark.parametrize("pairing", ["band", "independent"])
def test_base_models_and_discriminator_are_trained_at_two_times(pairing: Pairing, tmp_path: Path) -> None:
    seen: list[tuple[int, Tensor]] = []

    def base(modality: int) -> Any:
        return lambda x, t, c: seen.append((modality, t)) or 0.5 * x

    result = run(replace(with_pairing(pairing), steps=2), tmp_path, Bases(base(0), base(1)))
    video, audio = (torch.cat([t for modality, t in seen if modality == k]) for k in range(2))
    assert not torch.equal(video, audio)
    assert load_discriminator(result.weights).config.pairing == pairing
    assert f"(pairing {pairing})" in (tmp_path / "README.md").read_text()
    assert json.loads((tmp_path / "training.json").read_text())["config"]["discriminator"]["pairing"] == pairing
    run(replace(CONFIG, steps=2), tmp_path / "index")
    ours, theirs = weights(tmp_path), weights(tmp_path / "index")
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)
    with pytest.raises(UsageError, match=f"pairing is '{pairing}', now 'index'"):
        run(CONFIG, tmp_path)
    with pytest.raises(UsageError, match=f"pairing is 'index', now '{pairing}'"):
        run(with_pairing(pairing), tmp_path / "index")


def test_files_without_a_pairing_are_of_index(tmp_path: Path) -> None:
    source = run(replace(CONFIG, steps=1), tmp_path).weights
    with safe_open(source, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        config = json.loads(file.metadata()["config"])
    del config["pairing"]
    save_file(state, source, {"config": json.dumps(config)})
    assert load_discriminator(source).config.pairing == "index"


def test_an_unknown_pairing_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="index, band, independent"):
        DiscriminatorConfig("res_mlp", 3, 1, 1, pairing="diagonal")  # type: ignore[arg-type]


REFUSED = [(pairing, path) for pairing in ("index", "band") for path in PATHS if path != "fraction"]


@pytest.mark.parametrize(("pairing", "path"), REFUSED)
def test_samplers_do_not_go_where_training_was_not(pairing: Pairing, path: Any) -> None:
    with pytest.raises(UsageError, match=repr(path)) as refusal:
        require_path(pairing, path)
    assert "--pairing independent" in refusal.value.next
    assert "1.6" in refusal.value.expected


def test_samplers_go_where_training_was() -> None:
    for pairing in PAIRINGS:
        for path in PATHS:
            if (pairing, path) not in REFUSED:
                require_path(pairing, path)
    assert len(REFUSED) == 6
