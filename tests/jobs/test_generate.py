"""What a job is going to make, before and after it is made; by whom, where several processes were started."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmbench.errors import UsageError
from mmbench.jobs.generate import generate_runs, plan, preview_plan, shard_from
from mmbench.jobs.settings import Settings
from mmbench.runs.generate import Shard
from tests.commands import FIXTURE, mmbench, start

CONTROLS = ("ground_truth", "independent")


def settings(out: Path, **changes: Any) -> Settings:
    """A job of two controls, three samples each."""
    return replace(Settings(CONTROLS, "bounce", num_samples=3, out=out, quiet=True), **changes)


def test_a_plan_is_one_run_per_system_each_once(tmp_path: Path) -> None:
    plans = plan(settings(tmp_path, systems=(*CONTROLS, "ground_truth")))
    assert [p.run.system for p in plans] == list(CONTROLS)
    assert plans[0].dataset is plans[1].dataset
    assert len({p.run.run_id for p in plans}) == 2
    again = plan(settings(tmp_path, num_samples=99, batch_size=4))
    assert [p.run for p in again] == [p.run for p in plans], "how many and how fast is no part of what"
    other = plan(settings(tmp_path, seed=1)) + plan(settings(tmp_path, dataset="bounce_heavy"))
    assert not {p.run.run_id for p in plans} & {p.run.run_id for p in other}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"systems": ("ground_thruth",)}, "did you mean ground_truth"),
        ({"dataset": "bonce"}, "did you mean bounce"),
        ({"num_samples": 0}, "--num-samples is 0"),
        ({"batch_size": 0}, "--batch-size is 0"),
        ({"weights": "fake"}, "--weights is 'fake'"),
        ({"options": ("stepz=3",)}, "stepz"),
        ({"systems": ("tiny",), "options": ("sampler=euler",)}, "sampler.*euler"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], hint: str
) -> None:
    with pytest.raises(UsageError, match=hint):
        plan(settings(tmp_path, **changes))
    assert not list(tmp_path.iterdir())


def test_options_of_a_guidance_that_no_system_has_are_refused(tmp_path: Path) -> None:
    job = settings(tmp_path, systems=("ground_truth", "tiny"), options=("guided_every=2",))
    with pytest.raises(UsageError, match="nothing guides tiny") as caught:
        plan(job)
    assert "tiny+mmdisco" in caught.value.expected
    assert caught.value.next == "mmbench run -s ground_truth -s tiny -s tiny+mmdisco --set guided_every=2"
    both = plan(replace(job, systems=("tiny", "tiny+mmdisco")))
    alone = plan(replace(job, systems=("tiny",), options=()))
    assert both[0].run == alone[0].run, "it is the guided one's alone"


@pytest.mark.parametrize(
    "option", ["path=video_first", "guided_every=2", "joint_scale=1,1", "discriminator=d.safetensors"]
)
def test_a_cascade_that_nothing_guides_has_no_option_of_a_guidance(tmp_path: Path, option: str) -> None:
    with pytest.raises(UsageError, match=f"tiny_cascade has no option '{option.partition('=')[0]}'") as caught:
        plan(settings(tmp_path, systems=("tiny_cascade",), options=(option,)))
    assert caught.value.next == "mmbench show tiny_cascade"
    assert plan(settings(tmp_path, systems=("tiny_cascade",), options=("sampler=ddim", "num_inference_steps=5")))


def test_a_preview_counts_what_is_there_and_what_is_to_make(tmp_path: Path) -> None:
    job = settings(tmp_path / "out", metrics=("av_align", "fad_bounce"))
    before = preview_plan(job)
    assert [(r["system"], r["present"], r["failed"], r["to make"]) for r in before] == [(s, 0, 0, 3) for s in CONTROLS]
    assert {r["metrics"] for r in before} == {"av_align, fad_bounce"}
    assert not (tmp_path / "out").exists()
    store, _ = generate_runs(replace(job, num_samples=2))
    store.fail(plan_request(job, 2), "error", "no reason")
    truth, independent = preview_plan(job)
    assert (truth["run"], truth["present"], truth["failed"], truth["to make"]) == (store.run.run_id, 2, 1, 0)
    assert (independent["present"], independent["to make"]) == (2, 1)
    assert preview_plan(replace(job, retry_failed=True))[0]["to make"] == 1


def test_a_folder_that_a_kill_left_without_a_manifest_is_one_where_nothing_has_begun(tmp_path: Path) -> None:
    job = settings(tmp_path)
    (tmp_path / plan(job)[0].run.run_id / "samples").mkdir(parents=True)
    assert [row["to make"] for row in preview_plan(job)] == [3, 3]


def plan_request(job: Settings, index: int) -> Any:
    """The request of one sample of a job's first system."""
    from mmbench.runs.spec import make_requests

    return make_requests(plan(job)[0].dataset, index + 1, job.seed)[index]


def test_runs_are_made_and_given_back_in_the_order_asked_for(tmp_path: Path) -> None:
    stores = generate_runs(settings(tmp_path, systems=CONTROLS[::-1], command=("mmbench", "generate")))
    assert [store.run.system for store in stores] == list(CONTROLS[::-1])
    assert [store.status(3).present for store in stores] == [[0, 1, 2]] * 2
    made = [store.made for store in generate_runs(settings(tmp_path, systems=CONTROLS[::-1]))]
    assert made == [0, 0], "what is there is not made again"
    (line,) = (stores[0].folder / "resources.jsonl").read_text().splitlines()
    assert '"samples": 3' in line
    assert len((stores[0].folder / "invocations.jsonl").read_text().splitlines()) == 2


@pytest.mark.e2e
def test_of_the_processes_of_a_launcher_the_first_alone_prints_when_all_is_made(tmp_path: Path) -> None:
    command = ("generate", *FIXTURE, "-n", "6", "--out", tmp_path, "--format", "json")
    first, other = (start(*command, RANK=str(rank), WORLD_SIZE="2") for rank in range(2))
    (out, _), (none, _) = first.communicate(timeout=100), other.communicate(timeout=100)
    (row,) = json.loads(out)
    assert (row["present"], row["missing"], none) == (6, 0, "")
    alone = mmbench(*command[:-2], "--shard", "1/2", "--out", tmp_path / "part", "-f", "json")  # by hand: prints
    assert json.loads(alone.stdout)[0]["missing"] == 3
    refused = mmbench("generate", "-n", "0", RANK="1", WORLD_SIZE="2")
    assert refused.stderr == "rank 1 of 2: --num-samples is 0.\n"


def test_a_shard_is_what_was_typed_or_what_a_launcher_says() -> None:
    launcher = {"RANK": "1", "WORLD_SIZE": "4"}
    assert shard_from("0/2", launcher) == Shard(0, 2)
    assert shard_from(None, launcher) == Shard(1, 4)
    assert shard_from(None, {}) == Shard(0, 1)
    with pytest.raises(UsageError, match="Shard"):
        shard_from("2/2", {})


def test_ranks_and_processes_without_ranks_do_not_mix(tmp_path: Path) -> None:
    both = settings(tmp_path, shard=Shard(1, 2), beside=4)
    with pytest.raises(UsageError, match="MMBENCH_PROCESSES is 4, and this process is 1 of 2"):
        plan(both)
    plan(replace(both, shard=Shard()))
