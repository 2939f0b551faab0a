"""Options are understood or refused: no common setting and no option of a system is swallowed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmbench.baselines.models.difffoley.sound import DiffFoley
from mmbench.baselines.models.specvqgan.sound import SpecVQGAN
from mmbench.baselines.parts.options import CommonOptions
from mmbench.errors import UsageError
from mmbench.experiments.profiling.profile import make_profiled_system
from mmbench.jobs.generate import plan
from mmbench.jobs.settings import Settings
from mmbench.registry import Entry, catalogue, discover, make_dataset
from mmbench.system_names import divide_settings, make_system, options_of, takes_setting
from tests.commands import mmbench_here

BOUNCE = make_dataset("bounce")
PUBLISHED = {"size": "tiny"}  # narrow networks, so that nothing is looked for
WITHOUT_DTYPE = ("ground_truth", "independent", "tiny", "tiny_cascade", "tiny+mmdisco")
WITH_DTYPE = (
    "audioldm_animatediff",
    "auffusion_vc2",
    "auffusion_vc2+mmdisco",
    "mm_diffusion",
    "vc2_difffoley",
    "animatediff_specvqgan",
    "audioldm_vc2",
)


@pytest.mark.parametrize("name", WITHOUT_DTYPE)
@pytest.mark.parametrize(("setting", "value"), [("dtype", "bananas"), ("dtype", "float16"), ("weights", "random")])
def test_a_setting_that_a_system_does_not_take_is_refused(name: str, setting: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"--{setting} {value}: .* does not take it") as caught:
        make_system(name, dataset=BOUNCE, **{setting: value})
    assert "--dataset" in caught.value.expected
    assert caught.value.next == f"the same command without --{setting}"


@pytest.mark.parametrize("name", WITHOUT_DTYPE)
def test_values_that_ask_for_nothing_are_accepted(name: str) -> None:
    system = make_system(name, dataset=BOUNCE, device="cpu", dtype="float32", weights="real")
    assert system.spec() == make_system(name, dataset=BOUNCE).spec()


@pytest.mark.parametrize("name", WITH_DTYPE)
def test_an_unknown_dtype_is_refused_by_systems_that_take_one(name: str) -> None:
    with pytest.raises(UsageError, match="dtype 'bananas'"):
        make_system(name, dataset=BOUNCE, dtype="bananas", **PUBLISHED)


def test_every_registered_system_takes_a_setting_or_refuses_it() -> None:
    names = {row["name"] for row in catalogue("system") if row["from"].startswith("mmbench.")}
    taking = {name for name in names if takes_setting(name, "dtype")}
    assert taking == {name.partition("+")[0] for name in WITH_DTYPE} | {
        "diffusers_joint",
        "animatediff_difffoley",
        "vc2_specvqgan",
        "auffusion_animatediff",
        *("pipelines", "wan_stableaudio", "ltx_stableaudio3", "cogvideox_audioldm2", "animatediff_audioldm2"),
    }
    for name in names - taking - {"external"}:
        with pytest.raises(UsageError, match="does not take it"):
            make_system(name, dataset=BOUNCE, dtype="float16")


@pytest.mark.parametrize("name", ["ground_truth", "tiny", "auffusion_vc2", "vc2_difffoley", "audioldm_vc2"])
def test_an_option_that_a_system_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="has no option 'flavour'"):
        make_system(name, dataset=BOUNCE, flavour="banana")


def test_a_job_needs_one_system_that_takes_a_setting() -> None:
    shared = divide_settings({"dataset": BOUNCE, "weights": "random"}, ["ground_truth", "auffusion_vc2"])
    assert shared == {
        "ground_truth": {"dataset": BOUNCE},
        "auffusion_vc2": {"dataset": BOUNCE, "weights": "random"},
    }
    with pytest.raises(UsageError, match="ground_truth, tiny do not take it"):
        divide_settings({"weights": "random"}, ["ground_truth", "tiny"])
    assert divide_settings({"weights": "random"}, ["tiny"], taken_elsewhere={"weights"}) == {"tiny": {}}
    with pytest.raises(UsageError, match="--device cuda: ground_truth does not take it"):
        divide_settings({"device": "cuda"}, ["ground_truth"])


def test_a_mixed_run_has_each_system_s_own_weights() -> None:
    settings = Settings(systems=("ground_truth", "auffusion_vc2", "tiny"), weights="random", dtype="float16")
    assert [p.system.weights for p in plan(settings)] == ["none", "random", "trained"]
    with pytest.raises(UsageError, match="dtype 'bananas'"):
        plan(Settings(systems=("ground_truth", "mm_diffusion"), weights="random", dtype="bananas"))


def test_weights_of_metrics_are_no_business_of_the_systems() -> None:
    settings = Settings(systems=("ground_truth",), metrics=("fvd",), weights="random")
    assert [p.system.name for p in plan(settings, scored=True)] == ["ground_truth"]
    for other in (Settings(systems=("ground_truth",), metrics=("fvd",), dtype="float16"), settings):
        with pytest.raises(UsageError, match="does not take it"):
            plan(other, scored=other.dtype != "float32")


class Foreign:
    """A system of somebody else's that takes any keyword."""

    name, weights = "foreign", "none"

    def __init__(self, **given: Any) -> None:
        self.given = given

    def spec(self) -> dict[str, Any]:
        return {}

    def generate(self, requests: Any) -> Any:
        yield from ()


def test_a_factory_with_keywords_gets_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(discover("system")[0], "foreign", Entry("system", "foreign", "", Foreign, "elsewhere"))
    given = {"dataset": BOUNCE, "device": "cuda", "dtype": "bananas", "weights": "random", "flavour": 1}
    assert make_system("foreign", **given).given == given
    assert divide_settings({"dtype": "bananas"}, ["foreign", "tiny"]) == {"foreign": {"dtype": "bananas"}, "tiny": {}}


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("-s", "tiny", "--dtype", "bananas"), "--dtype bananas: tiny does not take it."),
        (("-s", "ground_truth", "--dtype", "float16"), "--dtype float16: ground_truth does not take it."),
        (("-s", "tiny", "--weights", "random"), "--weights random: tiny does not take it."),
        (("-s", "mm_diffusion", "-s", "tiny", "--size", "tiny", "--dtype", "bananas"), "no dtype 'bananas'"),
        (("--weights", "random"), "--weights random: ground_truth, independent, tiny"),
        (("-s", "tiny", "--set", "size=tiny"), "tiny has no option 'size'"),
    ],
)
@pytest.mark.parametrize("command", ["run", "generate"])
def test_the_command_line_refuses_before_anything_is_written(
    command: str, arguments: tuple[str, ...], found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = mmbench_here(capsys, command, *arguments, "-n", "1", "--out", tmp_path / "out")
    assert result.returncode == 2
    assert found in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.e2e
def test_the_command_line_runs_controls_beside_random_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    systems = ("-s", "ground_truth", "-s", "mm_diffusion", "--size", "tiny", "--num-inference-steps", "3")
    rest = ("--weights", "random", "-n", "1", "--device", "cpu", "-m", "av_align", "-f", "json", "-o", tmp_path)
    done = mmbench_here(capsys, "run", *systems, *rest)
    assert done.returncode == 0, done.stderr
    assert [row["record"]["weights"] for row in json.loads(done.stdout)] == ["none", "tiny"]


def test_training_refuses_and_profiling_allows_weights_that_a_pair_does_not_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = mmbench_here(capsys, "train", "--system", "tiny", "-d", "bounce", "--weights", "random", "-o", tmp_path)
    assert trained.returncode == 2
    assert "--weights random: tiny does not take it." in " ".join(trained.stderr.split())
    assert make_profiled_system("tiny", "res_mlp", BOUNCE, (), device="cpu", dtype="float32", weights="random").guided


def test_common_options_say_what_weights_there_are() -> None:
    read = {(s, w): CommonOptions.read("x", s, w, "float16") for s in ("full", "tiny") for w in ("real", "random")}
    kinds = {
        ("full", "real"): "real",
        ("full", "random"): "random",
        ("tiny", "real"): "tiny",
        ("tiny", "random"): "tiny",
    }
    assert {key: options.weights for key, options in read.items()} == kinds
    assert [options.untrained for options in read.values()] == [False, True, True, True]
    assert read["tiny", "real"].digests({"unet": "mmdiffusion_landscape"}) == {"unet": "tiny"}
    for wrong in (("huge", "real", "float32"), ("full", "fake", "float32"), ("full", "real", "float8")):
        with pytest.raises(UsageError, match="x has no"):
            CommonOptions.read("x", *wrong)


def test_video_to_audio_models_spell_their_defaults_alike() -> None:
    defaults = [options_of(Entry("system", "x", "", model, "")) for model in (DiffFoley, SpecVQGAN)]
    assert {found["size"] for found in defaults} == {"full"}


def test_show_tells_the_joint_scales_of_tiny(capsys: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(mmbench_here(capsys, "show", "tiny", "-f", "json").stdout)
    assert "joint_scale={'bounce': (1.0, 6.0), 'bounce_heavy': (2.0, 3.0)}" in json.dumps(shown)
