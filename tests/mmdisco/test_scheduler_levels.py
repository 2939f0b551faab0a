"""Every scheduler that diffusers exports is followed along the levels read from it, or refused with a reason."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch

from mmbench.errors import UsageError
from mmbench.mmdisco import scheduler_check, scheduler_levels
from mmbench.mmdisco.levels import level_of_kind
from mmbench.mmdisco.scheduler_check import MOST_DEVIATION, draws_globally, follows, require_followed
from mmbench.mmdisco.scheduler_levels import BACKWARDS, DISTILLED, OTHERWISE, last_level, level_of

pytestmark = pytest.mark.filterwarnings("ignore")  # of deprecation, by diffusers

SECOND_ORDER, UNKNOWN, FOLLOWED = "second order", "are not known", "followed"
EXPECTED = {
    "AmusedScheduler": UNKNOWN,
    "BlockRefinementScheduler": UNKNOWN,
    "CMStochasticIterativeScheduler": DISTILLED,
    "CogVideoXDDIMScheduler": FOLLOWED,
    "CogVideoXDPMScheduler": FOLLOWED,
    "CosineDPMSolverMultistepScheduler": FOLLOWED,
    "DDIMInverseScheduler": BACKWARDS,
    "DDIMParallelScheduler": FOLLOWED,
    "DDIMScheduler": FOLLOWED,
    "DDPMParallelScheduler": FOLLOWED,
    "DDPMScheduler": FOLLOWED,
    "DDPMWuerstchenScheduler": UNKNOWN,
    "DEISMultistepScheduler": FOLLOWED,
    "DPMSolverMultistepInverseScheduler": BACKWARDS,
    "DPMSolverMultistepScheduler": FOLLOWED,
    "DPMSolverSDEScheduler": SECOND_ORDER,
    "DPMSolverSinglestepScheduler": FOLLOWED,
    "DiscreteDDIMScheduler": UNKNOWN,
    "EDMDPMSolverMultistepScheduler": FOLLOWED,
    "EDMEulerScheduler": FOLLOWED,
    "EntropyBoundScheduler": UNKNOWN,
    "EulerAncestralDiscreteScheduler": FOLLOWED,
    "EulerDiscreteScheduler": FOLLOWED,
    "FlowMapEulerDiscreteScheduler": DISTILLED,
    "FlowMatchEulerDiscreteScheduler": FOLLOWED,
    "FlowMatchHeunDiscreteScheduler": SECOND_ORDER,
    "FlowMatchLCMScheduler": DISTILLED,
    "HeliosDMDScheduler": DISTILLED,
    "HeliosScheduler": OTHERWISE,
    "HeunDiscreteScheduler": SECOND_ORDER,
    "IPNDMScheduler": UNKNOWN,
    "KDPM2AncestralDiscreteScheduler": SECOND_ORDER,
    "KDPM2DiscreteScheduler": SECOND_ORDER,
    "KarrasVeScheduler": SECOND_ORDER,
    "LCMScheduler": DISTILLED,
    "LMSDiscreteScheduler": FOLLOWED,
    "LTXEulerAncestralRFScheduler": FOLLOWED,
    "MiniMaxH3Scheduler": FOLLOWED,
    "PNDMScheduler": FOLLOWED,
    "PiflowScheduler": DISTILLED,
    "RFD4ProteinaScheduler": UNKNOWN,
    "RePaintScheduler": OTHERWISE,
    "SASolverScheduler": FOLLOWED,
    "SCMScheduler": DISTILLED,
    "ScoreSdeVeScheduler": OTHERWISE,
    "TCDScheduler": DISTILLED,
    "UnCLIPScheduler": OTHERWISE,
    "UniPCMultistepScheduler": FOLLOWED,
    "VQDiffusionScheduler": UNKNOWN,
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "AmusedScheduler": {"mask_token_id": 0},
    "RFD4ProteinaScheduler": {"schedule_mode": "log", "noise_mode": "tan", "tsr_k": 1.0, "tsr_sigma": 1.0},
    "VQDiffusionScheduler": {"num_vec_classes": 4},
}

SD = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
V = {**SD, "prediction_type": "v_prediction"}
ZERO_SNR = {**V, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
LTX = {"use_dynamic_shifting": True, "shift_terminal": 0.1, "base_shift": 0.95, "max_shift": 2.05}
CONFIGURED = [  # class, configuration, first (a, b), noise left at the end
    (
        "DDIMScheduler",
        {**SD, "clip_sample": False, "steps_offset": 1, "set_alpha_to_one": False},
        (0.0903, 0.996),
        0.0292,
    ),
    ("DDIMScheduler", ZERO_SNR, (0.0, 1.0), 0.0),
    ("DDIMScheduler", {**SD, "prediction_type": "sample"}, (0.0908, 0.996), 0.0),
    ("CogVideoXDDIMScheduler", {**ZERO_SNR, "snr_shift_scale": 3.0}, (0.0, 1.0), 0.0),
    ("CogVideoXDPMScheduler", {**ZERO_SNR, "snr_shift_scale": 1.0}, (0.0, 1.0), 0.0),
    ("DPMSolverMultistepScheduler", V, (0.068, 0.998), 0.0),
    ("DPMSolverMultistepScheduler", {**SD, "use_karras_sigmas": True}, (0.068, 0.998), 0.0),
    ("DPMSolverMultistepScheduler", {**SD, "algorithm_type": "sde-dpmsolver++"}, (0.068, 0.998), 0.0),
    ("DPMSolverMultistepScheduler", FLOW, (3.3e-4, 1.0), 0.0),
    ("DEISMultistepScheduler", SD, (0.068, 0.998), 0.0292),
    ("PNDMScheduler", {**SD, "skip_prk_steps": True, "steps_offset": 1}, (0.0903, 0.996), 0.0292),
    ("UniPCMultistepScheduler", SD, (0.068, 0.998), 0.0),
    ("UniPCMultistepScheduler", FLOW, (1e-6, 1.0), 0.0),
    ("EulerDiscreteScheduler", V, (1.0, 14.61), 0.0),
    ("EulerAncestralDiscreteScheduler", SD, (1.0, 14.61), 0.0),
    ("FlowMatchEulerDiscreteScheduler", LTX, (0.0, 1.0), 0.0),
    ("FlowMatchEulerDiscreteScheduler", {"invert_sigmas": True}, (0.0, 1.0), 0.0),
    ("CosineDPMSolverMultistepScheduler", {}, (1.0, 500.0), 0.0),
    ("EDMDPMSolverMultistepScheduler", {"sigma_data": 1.0, "prediction_type": "epsilon"}, (1.0, 80.0), 0.0),
]


def make(name: str) -> Any:
    return getattr(diffusers, name)(**ARGUMENTS.get(name, {}))


def set_grid(scheduler: Any, num_steps: int) -> None:
    scheduler.set_timesteps(num_steps, **({"mu": 1.0} if scheduler.config.get("use_dynamic_shifting") else {}))


def test_the_table_names_every_scheduler_of_diffusers() -> None:
    assert {name for name in dir(diffusers) if name.endswith("Scheduler")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_scheduler_is_followed_or_refused_with_a_reason(name: str) -> None:
    scheduler = make(name)
    if EXPECTED[name] == FOLLOWED:
        assert follows(scheduler) < 1e-5 < MOST_DEVIATION
        require_followed(scheduler)
    else:
        with pytest.raises(UsageError) as refusal:
            require_followed(scheduler)
        assert name in refusal.value.found
        assert EXPECTED[name] in refusal.value.found
        with pytest.raises(UsageError):
            level_of(scheduler, 0)


@pytest.mark.parametrize(("name", "config", "first", "left"), CONFIGURED)
def test_published_configurations_are_followed(
    name: str, config: dict[str, Any], first: tuple[float, float], left: float
) -> None:
    scheduler = getattr(diffusers, name)(**config)
    assert follows(scheduler, 10) < 1e-5
    set_grid(scheduler, 20)
    level = level_of(scheduler, scheduler.timesteps[0])
    assert (level.a, level.b) == pytest.approx(first, abs=5e-4, rel=1e-3)
    assert last_level(scheduler).b == pytest.approx(left, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("DDIMScheduler", V),
        ("EulerDiscreteScheduler", SD),
        ("EulerAncestralDiscreteScheduler", SD),
        ("FlowMatchEulerDiscreteScheduler", {}),
        ("CosineDPMSolverMultistepScheduler", {}),
    ],
)
@pytest.mark.parametrize("error", ["another kind", "another noise"])
def test_misread_levels_are_seen(
    name: str, config: dict[str, Any], error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def misread(scheduler: Any, t: Any) -> Any:
        level = level_of(scheduler, t)
        if error == "another kind":
            return level_of_kind("sample", level.a, level.b)
        return type(level)(level.a, 1.01 * level.b, level.u, 1.01 * level.w)

    monkeypatch.setattr(scheduler_check, "level_of", misread)
    assert follows(getattr(diffusers, name)(**config)) > 10 * MOST_DEVIATION


@pytest.mark.parametrize("name", ["DDPMScheduler", "CosineDPMSolverMultistepScheduler", "UniPCMultistepScheduler"])
def test_a_check_leaves_the_scheduler_and_the_global_random_state_alone(name: str) -> None:
    scheduler, twin = make(name), make(name)
    for each in (scheduler, twin):
        each.set_timesteps(7)
    state = torch.get_rng_state()
    with torch.device("meta"):  # whatever torch's default device is
        require_followed(scheduler)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(scheduler.timesteps, twin.timesteps)
    assert scheduler.__dict__.keys() == twin.__dict__.keys()
    assert scheduler.config == twin.config
    x = [each.step(torch.ones(1, 4), each.timesteps[0], torch.ones(1, 4), return_dict=False,
                   **({} if name.startswith("UniPC") else {"generator": torch.Generator().manual_seed(0)}))[0]
         for each in (scheduler, twin)]  # fmt: skip
    assert torch.equal(x[0], x[1])


def test_noise_from_the_global_random_state_is_refused() -> None:
    class Careless(diffusers.FlowMatchEulerDiscreteScheduler):  # type: ignore[misc]
        def step(self, *args: Any, generator: torch.Generator | None = None, **kwargs: Any) -> Any:
            return super().step(*args, **kwargs)

    careful = diffusers.FlowMatchEulerDiscreteScheduler(stochastic_sampling=True)
    assert not draws_globally(careful)
    require_followed(careful)
    scheduler = Careless(stochastic_sampling=True)
    assert follows(scheduler) < 1e-5
    assert draws_globally(scheduler)
    with pytest.raises(UsageError, match="global random state"):
        require_followed(scheduler)


def test_an_unknown_prediction_type_is_refused_by_name() -> None:
    scheduler = diffusers.DDIMScheduler(**SD)
    scheduler.register_to_config(prediction_type="score")
    with pytest.raises(UsageError, match="DDIMScheduler with prediction_type 'score' are not known"):
        level_of(scheduler, 0)


def test_which_schedulers_hold_the_steps_their_model_was_trained_at() -> None:
    known = {name for name, said in EXPECTED.items() if said == FOLLOWED}
    trained = {name for name in known if scheduler_levels.lives_on_training_steps(make(name))}
    assert known - trained == {
        "CosineDPMSolverMultistepScheduler",
        "EDMDPMSolverMultistepScheduler",
        "EDMEulerScheduler",
        "FlowMatchEulerDiscreteScheduler",
        "LTXEulerAncestralRFScheduler",
        "MiniMaxH3Scheduler",
    }
    assert not scheduler_levels.lives_on_training_steps(diffusers.UniPCMultistepScheduler(**FLOW))


def test_a_grid_that_the_pipeline_gives_is_followed() -> None:
    """Stable Audio 3's scheduler has one training step and no grid of its own."""
    assert follows(diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0)) < 1e-5
