"""`mmbench profile`: what is timed, how columns of the tables come of it, and what refuses to count."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mmbench.errors import MMBenchError
from mmbench.experiments.profiling import gpu
from mmbench.experiments.profiling.columns import columns_of_rounds, make_rows
from mmbench.experiments.profiling.profile import make_batch, make_profiled_system, profiled_dataset, time_system
from mmbench.experiments.profiling.stopwatch import Stopwatch, time_arms
from mmbench.experiments.profiling.training import time_training
from mmbench.mmdisco.kernels import convolution
from mmbench.tables.published import published
from tests.commands import mmbench_here

TINY = ["--system", "tiny", "--weights", "real", "--device", "cpu", "--batch-size", "2", "--runs", "2"]
SAMPLED = {"sample": [2.0, 4.0], "sample guided": [3.0, 4.5], "decode": [0.0, 1.0]}
TRAINED = {
    "base_forward": [1.0],
    "base_graph": [1.5],
    "base_backward": [4.0],
    "disc_forward": [0.25],
    "disc_backward": [0.5],
}


def record(**other: Any) -> dict[str, Any]:
    return {"system": "mm_diffusion+mmdisco", "weights": "random", "batch": 2, "memory": {"x": {}}} | other


def test_columns_are_those_of_the_paper() -> None:
    pairs = columns_of_rounds(record(what="inference", seconds=SAMPLED))
    assert pairs == {
        "without": [1.0, 2.5],
        "with": [1.5, 2.75],
        "overhead": pytest.approx([0.5, 0.1]),
        "decode": [0.0, 0.5],
    }
    steps = columns_of_rounds(record(what="training", loss="all", seconds=TRAINED))
    assert (steps["baseline_step"], steps["mmdisco_step"]) == ([5.5], [1.75])
    assert steps["speedup"] == pytest.approx([5.5 / 1.75])
    alone = columns_of_rounds(record(what="training", loss="disc", seconds=TRAINED))
    assert alone["mmdisco_step"] == [0.75], "which needs no prediction of the bases"
    assert set(steps) == {row[0] for row in published()["11"]["rows"]}
    assert set(pairs) - {"decode"} == {row[0] for row in published()["12"]["rows"]}


def test_published_numbers_stand_below_systems_of_their_size() -> None:
    here, paper = make_rows(record(what="inference", seconds=SAMPLED, dataset="landscape_ind"))
    assert (here["without"], here["overhead"]) == ("1.75 ± 1.1", "30.0 ± 28.3 %")
    assert (paper["without"], paper["with"], paper["overhead"]) == ("1.09 ± 0.03", "1.25 ± 0.04", "15%")
    assert len(make_rows(record(what="inference", seconds=SAMPLED, weights="tiny"))) == 1
    assert len(make_rows(record(what="inference", seconds=SAMPLED, dataset="aistpp"))) == 1, "Table 12 is of Landscape"
    assert len(make_rows(record(what="inference", seconds={"generate": [3.0]}, system="tiny_cascade"))) == 1


def test_what_an_arm_without_memory_would_have_given_is_left_out() -> None:
    bases = ("base_graph", "base_backward")
    alone = columns_of_rounds(
        record(what="training", loss="all", seconds={k: v for k, v in TRAINED.items() if k not in bases})
    )
    assert set(alone) == {"base_forward", "disc_forward", "disc_backward", "mmdisco_step"}
    unguided = columns_of_rounds(
        record(what="inference", seconds={k: v for k, v in SAMPLED.items() if k != "sample guided"})
    )
    assert set(unguided) == {"without", "decode"}


def test_arms_take_turns_and_one_without_memory_ends_no_other() -> None:
    said: list[str] = []

    def arm(name: str) -> Any:
        def run(lap: Any) -> None:
            said.append(name)
            if name == "large":
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB\nand more")
            lap(name)

        return run

    watch = Stopwatch()
    time_arms({name: arm(name) for name in ("a", "large", "b")}, 3, watch)
    assert said == ["a", "large", "b", *"ab", *"ba", *"ab"]
    assert {name: len(seconds) for name, seconds in watch.seconds.items()} == {"a": 3, "b": 3}
    assert watch.out_of_memory == {"large": "CUDA out of memory. Tried to allocate 9 GiB"}
    said.clear()
    time_arms({"a": arm("a")}, 1, Stopwatch(), warm_up=0.02)
    assert len(said) > 3, "as often as 0.02 s take, and then one round"


def test_no_gradient_that_is_timed_is_zero_throughout(monkeypatch: pytest.MonkeyPatch) -> None:
    incoming: list[bool] = []
    transpose = convolution._Transpose.forward

    def watched(ctx: Any, grad: Any, *rest: Any) -> Any:
        incoming.append(bool(grad.any()))
        return transpose(ctx, grad, *rest)

    monkeypatch.setattr(convolution._Transpose, "forward", staticmethod(watched))
    made = make_profiled_system("auffusion_vc2", "res_mlp", profiled_dataset("auffusion_vc2", None), ["size=tiny"])
    made.guide((), ())
    pair = made.pair()
    texts = tuple(text.clone() for text in pair.texts(["a"]))
    guidance = made.guide(texts, texts)
    x, y = (torch.randn(1, *shape, generator=torch.Generator().manual_seed(0)) for shape in pair.shapes)
    guidance.gradient(x, y, torch.tensor([500]), texts)
    assert len(incoming) > 5
    assert all(incoming)
    incoming.clear()
    time_training(pair, "res_mlp", "all", 1, 1, Stopwatch())
    assert all(incoming)


def test_bases_that_are_checkpointed_run_their_blocks_twice_and_are_left_as_they_were() -> None:
    made = make_profiled_system("auffusion_vc2", "res_mlp", profiled_dataset("auffusion_vc2", None), ["size=tiny"])
    pair = made.pair()
    norms: list[int] = []
    inner = pair.denoisers[0].mid_block.resnets[0]
    handle = inner.register_forward_hook(lambda *_: norms.append(1))

    def passes(checkpointed: int) -> int:
        norms.clear()
        time_training(pair, "vit_mlp", "disc", 1, 1, Stopwatch(), checkpointed=checkpointed)
        return len(norms)

    try:
        plain, anew = passes(0), passes(1)
    finally:
        handle.remove()
    assert anew == plain + 2, "once more in the step of the bases, in the round and before it"
    assert "forward" not in vars(pair.denoisers[0].mid_block)


def test_the_state_of_a_gpu_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpu.gpu_state() is None or torch.cuda.is_available()
    line = "NVIDIA H100, 570.1, 1980, 2619, 312.5, 700, 54\n"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid="abc"))
    asked: list[Any] = []
    monkeypatch.setattr(
        gpu.subprocess, "run", lambda command, **_: asked.append(command) or SimpleNamespace(stdout=line)
    )
    state = gpu.gpu_state()
    assert state is not None
    assert (state["clocks.sm"], state["power.draw"], state["driver_version"]) == ("1980", "312.5", "570.1")
    assert "--id=GPU-abc" in asked[0]


SLOW = [("auffusion_vc2", "training"), ("auffusion_vc2", "inference"), ("mm_diffusion", "training")]
CASES = {"tiny": "res_frieren", "auffusion_vc2": "vit_naive", "mm_diffusion": "res_mlp"}


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("system", "what"),
    [
        *(("tiny", what) for what in ("training", "inference")),
        *(pytest.param(*case, marks=pytest.mark.thorough) for case in SLOW),
    ],
)
def test_every_pair_is_timed_without_data_or_weights(system: str, what: str) -> None:
    options = [] if system == "tiny" else ["size=tiny"]
    options += ["num_inference_steps=3"] if what == "inference" else []
    place = profiled_dataset(system, None)
    design = CASES[system]
    made = make_profiled_system(system, design, place, options, device="cpu", weights="random")
    assert made.name == f"{system}+mmdisco" + (f"-{design}" if design != "res_mlp" else "")
    watch = Stopwatch(itertools.count().__next__)  # type: ignore[arg-type]
    found = time_system(what, made, make_batch(place, 1), 1, watch)
    assert set(found["seconds"]) == set(TRAINED if what == "training" else {"texts", *SAMPLED})
    assert all(rounds == [1.0] for rounds in found["seconds"].values()), "one round counts, each interval is one tick"
    assert all(peaks["peak_memory_bytes"] > 0 for peaks in found["memory"].values())
    modules = made.pair().denoisers
    assert modules
    assert not any(p.requires_grad or p.grad is not None for module in modules for p in module.parameters())


@pytest.mark.parametrize("system", ["mm_diffusion", "auffusion_vc2+mmdisco", "tiny"])
def test_the_published_dataset_is_profiled_by_its_format_alone(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path))  # where no video is
    monkeypatch.chdir(tmp_path)
    expected = {"mm_diffusion": (1.6, 64), "auffusion_vc2": (2.0, 256), "tiny": (2.0, 64)}[system.partition("+")[0]]
    form = profiled_dataset(system, None).format
    assert (form.num_frames / form.fps, form.height) == expected
    with pytest.raises(MMBenchError, match="is not a folder"):
        profiled_dataset(system, "vggsound:nowhere")


@pytest.mark.e2e
def test_the_command_keeps_every_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["--num-inference-steps", "2", "--out", tmp_path, "--format", "json"]
    result = mmbench_here(capsys, "profile", "inference", *TINY, *quick)
    assert result.returncode == 0, result.stderr
    (row,) = json.loads(result.stdout)
    (line,) = [json.loads(text) for text in (tmp_path / "profile.jsonl").read_text().splitlines()]
    assert {name: len(rounds) for name, rounds in line["seconds"].items()} == dict.fromkeys(("texts", *SAMPLED), 2)
    assert (line["dtype"], line["guidance"], line["every"], line["gpu"]["before"]) == ("float32", "ieee", 1, None)
    assert (line["sampler"], line["steps"], line["dataset"]) == ("sde-dpmsolver++2m", 2, "bounce")
    assert (row["system"], row["weights"]) == ("tiny+mmdisco", "trained")
    assert line["machine"]
    assert line["command"][:3] == ["mmbench", "profile", "inference"]


@pytest.mark.e2e
def test_a_timing_of_nothing_does_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["--num-inference-steps", "2", "--out", tmp_path]
    idle = mmbench_here(capsys, "profile", "inference", *TINY, *quick, "--joint-scale", "0,0")
    assert idle.returncode == 1
    assert "Guidance changed nothing" in idle.stderr
    assert not (tmp_path / "profile.jsonl").exists()
    untrainable = mmbench_here(capsys, "profile", "training", "-s", "tiny_cascade", *TINY[2:], "--out", tmp_path)
    assert untrainable.returncode == 2
    assert "mmbench list systems" in untrainable.stderr
