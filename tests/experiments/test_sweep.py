"""`mmbench sweep`: a grid of trainings, end to end on the smallest setting; stopped, failing, and only planned."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.baselines.kinds.discriminators import SHIPPED
from mmbench.errors import BusyError, StoppedError
from mmbench.experiments.sweep import carry_out as sweeping
from mmbench.experiments.sweep.grids import GRIDS
from mmbench.experiments.sweep.log import read_lines, read_log
from mmbench.experiments.training.train import train_discriminator
from mmbench.jobs import opening
from mmbench.jobs.opening import open_dataset
from mmbench.registry import discover, lookup, make_dataset
from mmbench.scores.records import read_records, read_score
from mmbench.statistics.paired import paired_difference
from mmbench.system_names import make_system, options_of, parse_system_name
from mmbench.tables.published import published, published_values
from mmbench.types import Score
from tests.commands import mmbench_here, start

MINIATURE = ["--system", "tiny", "--dataset", "bounce", "-n", "4", "--metric", "ib_bounce_av", "--workers", "1"]
QUICK = ["--steps", "2", "--num-real", "4", "--num-fake", "2", "--train-batch-size", "2"]
QUICK += ["--set", "num_inference_steps=1"]
ROWS = ["--row", "no guidance", "--row", "loss disc"]

Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `mmbench sweep` on the CPU with folders of its own; gives exit code, rows and messages."""
    monkeypatch.setenv("MMBENCH_DISCRIMINATORS", str(tmp_path / "discriminators"))

    def sweep(*arguments: str, table: str = "table7", rows: list[str] = ROWS) -> Any:
        common = ["--device", "cpu", "--format", "json", "--out", tmp_path / "out"]
        result = mmbench_here(capsys, "sweep", table, *MINIATURE, *QUICK, *rows, *common, *arguments)
        return result.returncode, json.loads(result.stdout or "[]"), result.stderr

    return sweep


def score_of(run: Path) -> Score:
    """The one score of a run."""
    (record,) = read_records(run)
    return read_score(run, record)


def file_of(folder: Path) -> Path:
    (file,) = (folder / "out").glob("*.jsonl")
    return file


@pytest.mark.e2e
def test_a_grid_is_planned_made_and_laid_out_beside_the_paper(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    two = ("--train-seeds", "2")
    code, plan, _ = run(*two, "--dry-run")
    assert code == 0
    assert [(row["row"], row["training seed"], row["status"]) for row in plan] == [
        ("no guidance", None, "to do"),
        ("loss disc", 0, "to do"),
        ("loss disc", 1, "to do"),
    ]
    assert not list(tmp_path.iterdir())

    code, rows, errors = run(*two)
    assert code == 0, errors
    by_row = {row["row"]: row for row in rows}
    assert list(by_row) == ["ground truth", "no guidance", "loss disc", "loss denoise", "loss all"]
    assert (by_row["ground truth"]["status"], by_row["loss all"]["status"]) == ("to do", "to do")
    assert (by_row["loss disc"]["paper ib_av"], by_row["no guidance"]["paper ib_av"]) == (0.102, 0.093)
    numbers = by_row["loss disc"]["numbers"]["ib_bounce_av.bounce_v1"]
    first, second = numbers["trainings"]
    assert first != second
    assert numbers["value"] == pytest.approx((first + second) / 2)
    assert numbers["stderr"] == pytest.approx(abs(first - second) / 2)
    assert len(by_row["no guidance"]["numbers"]["ib_bounce_av.bounce_v1"]["trainings"]) == 1
    _, *guided = (outcome.run for outcome in read_log(file_of(tmp_path)).outcomes.values())
    (alone,) = (tmp_path / "out").glob("tiny-bounce-*")
    difference = numbers["difference"]
    by_hand = [paired_difference(score_of(alone), score_of(tmp_path / "out" / run)) for run in guided]
    assert difference["value"] == pytest.approx(np.mean([d.value for d in by_hand]))
    squared = np.mean([d.stderr**2 for d in by_hand]) + np.var([d.value for d in by_hand], ddof=1) / 2
    assert difference["stderr"] == pytest.approx(np.sqrt(squared))
    assert by_row["loss disc"]["ib_bounce_av.bounce_v1 ↑"] == numbers["value"]

    _, plan, _ = run(*two, "--dry-run")
    assert {row["status"] for row in plan} == {"done"}
    _, other_scale, _ = run(*two, "--set", "joint_scale=2,1", "--dry-run")
    assert [row["training"] for row in other_scale[1:]] == ["2 steps, done"] * 2, "the training is the same"
    assert {row["status"] for row in other_scale[1:]} == {"to do"}
    lines = len(read_lines(file_of(tmp_path)))
    monkeypatch.setattr(sweeping, "run", None)  # which nothing calls any more
    monkeypatch.setattr(sweeping, "train_discriminator", None)
    assert run(*two)[:2] == (0, rows)
    assert len(read_lines(file_of(tmp_path))) == lines + 1  # that it was asked for again
    shown = mmbench_here(capsys, "table", "--paper", "7", "--out", tmp_path / "out", "--format", "json")
    assert json.loads(shown.stdout) == rows
    assert mmbench_here(capsys, "table", "--paper", "7", "--out", tmp_path / "out", "-n", "5").returncode == 1
    shutil.rmtree(alone / "scores")  # as records are kept without them
    shown = mmbench_here(capsys, "table", "--paper", "7", "--out", tmp_path / "out", "--format", "json")
    assert json.loads(shown.stdout) == rows


@pytest.mark.e2e
def test_stopped_at_any_moment_the_same_command_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, resumed = sweeping.run, []

    def stop(*_: Any) -> None:
        raise StoppedError("Stopped by SIGTERM.")

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    def watched(settings: Any) -> dict[str, Any]:
        result = train_discriminator(settings)
        resumed.append(result["resumed at"])
        return result

    monkeypatch.setattr(sweeping, "train_discriminator", watched)
    monkeypatch.setattr(sweeping, "run", stop)
    assert run()[0] == 3
    assert not read_log(file_of(tmp_path)).outcomes  # a stop is no failure of the cell
    monkeypatch.setattr(sweeping, "run", whole)
    with monkeypatch.context() as killed:
        killed.setattr(sweeping, "write_whole", interrupted)  # trained, and its weights not yet kept
        assert run()[0] != 0
    assert list(read_log(file_of(tmp_path)).outcomes) == [("no guidance", None, None)]
    code, table, errors = run()
    assert code == 0, errors
    assert resumed == [0, 2]
    (kept,) = (tmp_path / "discriminators" / "sweep").glob("*/steps-000002.safetensors")
    assert kept.read_bytes() == kept.with_name("discriminator.safetensors").read_bytes()
    assert {row["row"] for row in table if row["status"] == ""} == {"no guidance", "loss disc"}


@pytest.mark.e2e
def test_a_failing_cell_is_noted_and_the_others_follow(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(settings: Any) -> dict[str, Any]:
        if settings.loss == "disc":
            raise RuntimeError("out of memory")
        return train_discriminator(settings)

    losses = ["--row", "loss disc", "--row", "loss denoise"]
    with monkeypatch.context() as broken:
        broken.setattr(sweeping, "train_discriminator", breaks)
        code, rows, errors = run(rows=losses)
    assert code == 3
    assert "1 of 2 cells are not whole. loss disc, training seed 0: RuntimeError: out of memory." in errors
    status = {row["row"]: row["status"] for row in rows}
    assert status["loss disc"] == "failed: RuntimeError: out of memory"
    assert status["loss denoise"] == ""
    assert read_log(file_of(tmp_path)).outcomes["loss disc", 0, None].status == "failed"
    _, plan, _ = run("--dry-run", rows=losses)
    assert [row["status"] for row in plan] == ["to do; failed: RuntimeError: out of memory", "done"]
    assert run(rows=losses)[0] == 0
    assert read_log(file_of(tmp_path)).outcomes["loss disc", 0, None].status == "ok"


@pytest.mark.thorough
@pytest.mark.e2e
def test_a_course_of_training_is_one_training_and_becomes_a_curve(run: Run, tmp_path: Path) -> None:
    steps = ("--steps", "6", "--train-seeds", "1")
    points = ["--row", "no guidance", "--row", "1/6 of the training", "--row", "3/6 of the training"]
    code, rows, errors = run(*steps, table="figure5", rows=points)
    assert code == 0, errors
    (training,) = (tmp_path / "discriminators" / "sweep").iterdir()
    assert sorted(p.name for p in training.glob("steps-*")) == ["steps-000001.safetensors", "steps-000003.safetensors"]
    with file_of(tmp_path).with_suffix(".csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    values = {row["row"]: row["numbers"]["ib_bounce_av.bounce_v1"]["value"] for row in rows if row["numbers"]}
    assert [(p["row"], float(p["x"])) for p in found] == [
        ("no guidance", 0.0),
        ("1/6 of the training", 0.5),  # epochs: 2 of 4 pairs per step
        ("3/6 of the training", 1.5),
    ]
    assert {p["row"]: float(p["value"]) for p in found} == values
    assert [p["difference"] for p in found[:1]] == [""]
    assert all(float(p["difference"]) == pytest.approx(float(p["value"]) - float(found[0]["value"])) for p in found[1:])
    assert all(float(p["difference_stderr"]) > 0 for p in found[1:])
    assert file_of(tmp_path).with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    guided = make_system("tiny+mmdisco", dataset=open_dataset("bounce"), device="cpu")
    assert guided._discriminator_path == SHIPPED / "tiny+mmdisco-bounce.safetensors"  # and none of these
    late = [*points[:2], "--row", "2/6 of the training"]
    code, rows, errors = run(*steps, table="figure5", rows=late)
    assert code == 3
    assert "was trained for 3 steps; steps-000002.safetensors was not kept on the way" in errors


@pytest.mark.thorough
@pytest.mark.e2e
def test_one_training_is_sampled_with_several_seeds(run: Run, tmp_path: Path) -> None:
    points = ["--row", "no guidance", "--row", "3/6 of the training"]
    asked = ("--steps", "6", "--sample-seeds", "2", "--seed", "4")  # without --train-seeds, which is 5 as published
    code, plan, errors = run(*asked, "--dry-run", table="figure5", rows=points)
    assert code == 0, errors
    cells = [(row["row"], row["training seed"], row["seed"]) for row in plan]
    assert cells == [(name, seed, k) for name, seed in ((points[1], None), (points[3], 0)) for k in (4, 5)]
    code, rows, errors = run(*asked, "--pack", table="figure5", rows=points)
    assert code == 0, errors
    assert len(list((tmp_path / "out").glob("*/samples/packs/*.tar"))) == 4
    assert len(list((tmp_path / "discriminators" / "sweep").iterdir())) == 1
    alone, guided = (
        {o.sample_seed: tmp_path / "out" / o.run for o in read_log(file_of(tmp_path)).outcomes.values() if o.row == row}
        for row in (points[1], points[3])
    )
    assert set(alone) == set(guided) == {4, 5}
    row = next(row for row in rows if row["row"] == points[3])
    assert (row["trainings"], row["samplings"]) == (1, 2)
    numbers = row["numbers"]["ib_bounce_av.bounce_v1"]
    first, second = (score_of(guided[seed]).value for seed in (4, 5))
    assert first != second
    assert (numbers["value"], numbers["stderr"]) == pytest.approx(((first + second) / 2, abs(first - second) / 2))
    d = [paired_difference(score_of(alone[seed]), score_of(guided[seed])).value for seed in (4, 5)]
    expected = (np.mean(d), abs(d[0] - d[1]) / 2)
    assert (numbers["difference"]["value"], numbers["difference"]["stderr"]) == pytest.approx(expected)
    with file_of(tmp_path).with_suffix(".csv").open(newline="") as file:
        assert [(p["trainings"], p["samplings"]) for p in csv.DictReader(file)] == [("", "2"), ("1", "2")]
    code, plan, _ = run(*asked, "--dry-run", table="figure5", rows=points)
    assert {row["status"] for row in plan} == {"done"}
    _, plan, _ = run("--steps", "6", "--seed", "4", "--train-seeds", "2", "--dry-run", table="figure5", rows=points)
    assert [row["status"] for row in plan] == ["done", "done", "to do"], "the other experiment shares what is made"


def test_table_9_measures_both_readings_of_the_row_whose_size_and_depth_disagree() -> None:
    both = [row for row in GRIDS["table9"].rows if row.published == (128, 1)]
    assert [row.sizes["num_blocks"] for row in both] == [1, 3]
    assert "19.0M" in published()["9"]["note"]


@pytest.mark.parametrize("name", GRIDS)
def test_declarations_name_what_there_is(name: str) -> None:
    grid = GRIDS[name]
    labels = [row.label for row in grid.rows]
    assert len(set(labels)) == len(labels)
    assert lookup("system", grid.system).guidable
    assert "discriminator" in options_of(lookup("system", grid.system))
    for row in grid.rows:
        assert not (row.control or row.design) or lookup("system", row.control or grid.system)
        assert not row.design or parse_system_name(f"x+mmdisco-{row.design}-{row.loss}").design == row.design
        values = published_values(grid.published, row.published) if grid.published else {}
        assert bool(values) == bool(grid.published), row.label
    if grid.published:
        assert len({row.published for row in grid.rows}) == len(published()[grid.published]["rows"])
        assert set(grid.metrics) <= set(published()[grid.published]["columns"])


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--row", "loss both"), "loss disc"),
        (("--system", "tiny_cascade"), "tiny or mm_diffusion"),
        (("--steps", "0"), "numbers above 0"),
        (("--num-fake", "0"), "numbers from 1"),
        (("--sample-seeds", "0"), "--sample-seeds 5"),
        (("--sample-seeds", "2", "--train-seeds", "2"), "one training sampled several times"),
        (("--set", "joint_skale=2"), "joint_scale"),
        (("--dataset", "bouncee"), "did you mean bounce"),
        (("--metric", "fvd_bouncee"), "fvd_bounce"),
    ],
)
def test_what_would_fail_everywhere_is_refused_at_once(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], hint: str
) -> None:
    code, _, errors = run(*arguments)
    assert code == 2
    assert hint in errors
    assert not list(tmp_path.iterdir())


def test_a_sweep_opens_its_dataset_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def counted(name: str, **settings: Any) -> Any:
        opened.append(name)
        return make_dataset(name, **settings)

    monkeypatch.setattr(opening, "make_dataset", counted)
    code, plan, errors = run("--dry-run", "--train-seeds", "2")
    assert code == 0, errors
    assert len(plan) == 3
    assert opened == ["bounce"]


def test_a_dataset_that_we_do_not_have_is_said_to_be_missing(capsys: pytest.CaptureFixture[str]) -> None:
    missing = {name for name, grid in GRIDS.items() if grid.dataset not in discover("dataset")[0]}
    assert missing <= {"table7"}
    for name in missing:
        result = mmbench_here(capsys, "sweep", name, "--dry-run")
        assert result.returncode == 2
        assert "--dataset folder:PATH" in result.stderr


@pytest.mark.thorough
@pytest.mark.e2e
@pytest.mark.parametrize("launched", [False, True])
def test_two_processes_at_one_sweep_take_different_cells(launched: bool, run: Run, tmp_path: Path) -> None:
    common = ["--device", "cpu", "--out", tmp_path / "out", "--row", "loss denoise"]
    command = ["sweep", "table7", *MINIATURE, *QUICK, *ROWS, *common]
    folders = {"MMBENCH_DISCRIMINATORS": str(tmp_path / "discriminators")}
    ranks = [{"RANK": str(k), "LOCAL_RANK": str(k), "WORLD_SIZE": "2"} if launched else {} for k in range(2)]
    first, second = (start(*command, **folders, **rank) for rank in ranks)
    printed = [process.communicate(timeout=300) for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), printed
    tables = [out[out.index("ground truth") :] for out, _ in printed if out]
    assert len(set(tables)) == 1
    assert len(tables) == (1 if launched else 2)
    for training in (tmp_path / "discriminators" / "sweep").iterdir():
        assert len(read_lines(training / "invocations.jsonl")) == 1, "each was trained once"
    for records in (tmp_path / "out").glob("*/records.jsonl"):
        assert len(read_lines(records)) == 1, "each was scored once"


@pytest.mark.e2e
def test_a_sweep_waits_for_a_training_that_is_under_way(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    def busy_once(settings: Any) -> dict[str, Any]:
        looks.append(settings.folder)
        if len(looks) == 1:
            raise BusyError("It is being trained.")
        return train_discriminator(settings)

    monkeypatch.setattr(sweeping, "train_discriminator", busy_once)
    monkeypatch.setattr(sweeping, "PAUSE", 0.0)
    code, _, errors = run(rows=["--row", "loss disc"])
    assert code == 0, errors
    assert len(looks) == 2
    assert [outcome.status for outcome in read_log(file_of(tmp_path)).outcomes.values()] == ["ok"]
