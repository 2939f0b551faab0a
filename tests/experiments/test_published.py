"""What of ours stands beside the paper's numbers, and what does not because it was made otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mmbench.errors import IntegrityError, UsageError
from mmbench.experiments.published.gather import gather_tables, open_places
from mmbench.files import append_line
from mmbench.study.design import Study
from mmbench.tables.beside_printed import Line, PaperTable
from mmbench.tables.published import published
from tests.commands import mmbench_here
from tests.experiments.paper_material import add_profile, add_run, add_sweep, add_toy
from tests.study.material import a_study, answer, save

GUIDED = "mm_diffusion+mmdisco"


def table_of(place: Path, number: str) -> PaperTable:
    (table,) = gather_tables([place], [number])
    return table


def line_of(table: PaperTable, row: str, column: str) -> Line:
    (line,) = [line for line in table.lines if (line.row, line.column) == (row, column)]
    return line


def test_every_printed_number_is_a_line() -> None:
    for table in gather_tables([]):
        cells = [cell for row in published()[table.number]["rows"] for cell in row]
        numbers = [cell for cell in cells if isinstance(cell, float | list)]
        shown = [line.printed for line in table.lines]
        assert all((cell[0] if isinstance(cell, list) else cell) in shown for cell in numbers)
        labels = " ".join(line.row for line in table.lines) + " ".join(line.text for line in table.lines)
        sizes = [cell for cell in cells if isinstance(cell, str) and cell[:1].isdigit()]
        assert all(size.rstrip("%") in labels for size in sizes)
        assert not table.has_ours


def test_runs_of_the_published_setting_stand_beside(tmp_path: Path) -> None:
    add_run(tmp_path, GUIDED, "landscape_ind:/my/copy", {"fvd": (411.0, 3.0), "ib_av": (0.152, 0.004)})
    table = table_of(tmp_path, "2")
    fvd, ib_av = (line_of(table, f"landscape, {GUIDED}", column) for column in ("fvd", "ib_av"))
    assert (fvd.difference and fvd.difference.value, fvd.over_error) == (6.0, 2.0)
    assert ib_av.over_error == pytest.approx(-2.5)
    assert line_of(table, f"landscape, {GUIDED}", "fad").ours is None
    assert line_of(table, f"aistpp, {GUIDED}", "fvd").ours is None
    assert "learnt them by heart" in fvd.reason


def test_a_released_discriminator_has_a_row_of_its_own(tmp_path: Path) -> None:
    add_run(tmp_path, f"{GUIDED}-release", "landscape_ind", {"fvd": (420.0, 3.0)})
    table = table_of(tmp_path, "2")
    assert line_of(table, f"landscape, {GUIDED}-release", "fvd").over_error == 5.0
    assert line_of(table, f"landscape, {GUIDED}", "fvd").ours is None
    assert any("released discriminator" in note for note in table.notes)


def test_distances_of_another_size_are_shown_and_not_subtracted(tmp_path: Path) -> None:
    add_run(tmp_path, GUIDED, "landscape_ind", {"fvd": (700.0, 3.0), "ib_av": (0.152, 0.004)}, n=64)
    table = table_of(tmp_path, "2")
    fvd, ib_av = (line_of(table, f"landscape, {GUIDED}", column) for column in ("fvd", "ib_av"))
    assert fvd.ours is not None
    assert (fvd.ours.number.value, fvd.difference) == (700.0, None)
    assert "n = 64, not 2048" in fvd.said
    assert ib_av.over_error == pytest.approx(-2.5)  # a mean over samples compares at any n


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"weights": "random"}, "random weights, no quality"),
        ({"networks": "random"}, "random weights of the metric's networks"),
        ({"steps": 2}, "sampled in 2 steps, not 20"),
    ],
)
def test_runs_that_were_made_otherwise_are_named_and_not_beside(
    tmp_path: Path, changes: dict[str, object], why: str
) -> None:
    add_run(tmp_path, GUIDED, "landscape_ind", {"fvd": (1.0, 0.1)}, **changes)  # type: ignore[arg-type]
    table = table_of(tmp_path, "2")
    assert not table.has_ours
    assert why in " ".join(table.notes)


def test_runs_with_options_are_shown_and_not_subtracted(tmp_path: Path) -> None:
    run = add_run(tmp_path, GUIDED, "landscape_ind", {"fvd": (411.0, 3.0)})
    asked = {"resolved": {"options": ["joint_scale=2,1", "discriminator=mine.safetensors", "num_inference_steps=20"]}}
    append_line(tmp_path / run / "invocations.jsonl", asked)
    line = line_of(table_of(tmp_path, "2"), f"landscape, {GUIDED}", "fvd")
    assert line.ours is not None
    assert line.ours.unlike == "asked for with joint_scale=2,1"
    assert line.over_error is None
    (tmp_path / run / "invocations.jsonl").write_text("{\n{}\n")
    with pytest.raises(IntegrityError, match=r"invocations.jsonl line 1 is corrupt"):
        table_of(tmp_path, "2")


def test_miniatures_and_other_variants_are_never_beside(tmp_path: Path) -> None:
    add_run(tmp_path, "tiny", "bounce", {"fvd_bounce.bounce_v1": (3.0, 0.1)})
    add_run(tmp_path, "mm_diffusion", "landscape_ind", {"fvd_bounce.bounce_v1": (3.0, 0.1)})
    add_run(tmp_path, GUIDED, "landscape_ind?seconds=8", {"fvd": (3.0, 0.1)})
    add_run(tmp_path, GUIDED, "landscape_ind", {"fvd.another": (3.0, 0.1)})
    assert not any(table.has_ours for table in gather_tables([tmp_path]))


def test_of_several_runs_the_published_size_then_the_newest_counts(tmp_path: Path) -> None:
    late = {"time": "2026-05-01T00:00:00Z"}
    add_run(tmp_path, GUIDED, "landscape_ind", {"fvd": (1.0, 1.0)}, n=64, seed=1, **late)  # type: ignore[arg-type]
    add_run(tmp_path, GUIDED, "landscape_ind", {"fvd": (407.0, 1.0)}, seed=2)
    kept = add_run(tmp_path, GUIDED, "landscape_ind", {"fvd": (406.0, 1.0)}, seed=3, time="2026-02-01T00:00:00Z")
    table = table_of(tmp_path, "2")
    line = line_of(table, f"landscape, {GUIDED}", "fvd")
    assert line.ours is not None
    assert (line.ours.origin, line.over_error) == (kept, 1.0)
    assert sum("is newer, or of a size nearer" in note for note in table.notes) == 2
    assert gather_tables([tmp_path], ["2"], seed=2)[0].lines[3].over_error == 2.0
    add_run(tmp_path, "another", "landscape_ind", {"fvd": (3.0, 0.1)})
    assert any("another on landscape_ind" in note for note in table_of(tmp_path, "2").notes)


def test_a_sweep_of_the_published_setting_fills_both_rows_of_one_printed_L(tmp_path: Path) -> None:
    values = {"no guidance": 450.0, "C=128, L=1": 416.0, "C=128, L=3": 414.0}
    systems = ("mm_diffusion", f"{GUIDED}-a", f"{GUIDED}-b")
    runs = {
        row: add_run(tmp_path, system, "landscape_ind", {"fvd": (value, 0.5)})
        for (row, value), system in zip(values.items(), systems, strict=True)
    }
    add_sweep(tmp_path, "table9", runs)
    table = table_of(tmp_path, "9")
    ratios = [line_of(table, row, "fvd").over_error for row in ("C=128, L=1, 19.0M", "C=128, L=3, 19.0M")]
    assert ratios == [2.0, -2.0]
    assert line_of(table, "no guidance, 133M", "fvd").over_error == 6.0
    assert "19.0M is the count of L = 3" in line_of(table, "C=128, L=3, 19.0M", "fvd").reason
    assert not table.miniatures


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"system": "tiny", "dataset": "bounce"}, "the paper has mm_diffusion on landscape_ind"),
        ({"num_fake": 10}, "num_fake 10"),
        ({"options": ["joint_scale=2,1"]}, "options ['joint_scale=2,1']"),
        ({"weights": "random"}, "weights random"),
        ({"training": {"learning_rate": 1e-3, "batch_size": 16, "epochs": 100.0, "steps": 7}}, "steps 7"),
    ],
)
def test_any_other_sweep_is_a_miniature(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    run = add_run(tmp_path, "mm_diffusion", "landscape_ind", {"fvd": (450.0, 0.5)})
    add_sweep(tmp_path, "table9", {"no guidance": run}, **changes)
    table = table_of(tmp_path, "9")
    assert not table.has_ours
    assert len(table.miniatures) == 1
    (note,) = table.notes
    assert note.startswith("In miniature, not the paper's experiment")
    assert words in note
    assert note.endswith(f"mmbench table --paper 9 --out {tmp_path}")


def test_the_toy_is_averaged_over_seeds_and_only_its_own_setting_counts(tmp_path: Path) -> None:
    nlls = {("ind", "all"): [1.9, 2.1, 2.3], ("ood", "all"): [2.53]}
    add_toy(tmp_path / "toy", nlls)
    add_toy(tmp_path / "toy", {("ind", "all"): [9.0]}, sigma=0.1)
    add_toy(tmp_path / "toy", {("ind", "all"): [9.0]}, steps=300)
    table = table_of(tmp_path, "1")
    line = line_of(table, "IND, all", "nll")
    assert line.ours is not None
    assert line.ours.number.value == pytest.approx(2.1)
    assert line.ours.number.stderr == pytest.approx(0.2 / 3**0.5)
    assert line.over_error == pytest.approx((2.1 - 1.94) / (0.2 / 3**0.5))
    assert line_of(table, "OOD, all", "nll").over_error is None  # one seed has no error
    (note,) = table.notes
    assert note.startswith("Not beside, 2 records of `mmbench toy` with another sigma")
    add_toy(tmp_path / "toy", {("ind", "all"): [2.5]})  # the same seed again: the later one counts
    again = line_of(table_of(tmp_path, "1"), "IND, all", "nll").ours
    assert again is not None
    assert (again.number.value, again.n) == (pytest.approx(2.3), "3 seeds")


def test_records_of_something_else_are_no_toy_and_damage_is_named(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text('{"run_id": "r", "value": 1.0}\n')
    assert not table_of(tmp_path, "1").has_ours
    (tmp_path / "records.jsonl").write_text('{"run_id": "r"}\n{"setting": \n')
    with pytest.raises(IntegrityError, match=r"records.jsonl line 2 is corrupt"):
        table_of(tmp_path, "1")


def test_seconds_of_the_papers_machine_stand_beside(tmp_path: Path) -> None:
    guided, plain = [10.4, 11.2, 10.8], [8.0, 8.8, 8.4]  # of a batch of 8, without decoding
    add_profile(tmp_path, "inference", {"sample": plain, "sample guided": guided, "decode": [0.0] * 3})
    table = table_of(tmp_path, "12")
    line = line_of(table, "without", "mm_diffusion")
    assert line.ours is not None
    assert line.ours.number.value == pytest.approx(1.05)
    error = ((0.05 / 3**0.5) ** 2 + (0.03 / 500**0.5) ** 2) ** 0.5
    assert line.over_error == pytest.approx(-0.04 / error)
    overhead = line_of(table, "overhead", "mm_diffusion").ours
    assert overhead is not None
    assert overhead.number.value == pytest.approx(100 * (10.4 / 8 + 11.2 / 8.8 + 10.8 / 8.4) / 3 - 100)
    assert line_of(table, "without", "auffusion_vc2").ours is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"machine": {"cpu": "a CPU"}}, "on a CPU, not one H100"),
        ({"machine": {"gpu": ["NVIDIA A100"]}}, "on NVIDIA A100, not one H100"),
        ({"batch": 1}, "batches of 1, not 8"),
        ({"dataset": "bounce"}, "clips of bounce"),
        ({"system": "tiny+mmdisco-res_mlp"}, "no such system"),
        ({"resolved": {"options": ["num_inference_steps=2"]}}, "options ['num_inference_steps=2']"),
        ({"resolved": {"dtype": "bfloat16"}}, "dtype bfloat16"),
        ({"resolved": {"checkpointing": "on"}}, "checkpointing on"),
    ],
)
def test_seconds_of_another_machine_or_setting_are_named(tmp_path: Path, changes: dict[str, object], why: str) -> None:
    seconds = {name: [1.0, 1.1] for name in ("sample", "sample guided", "decode")}
    add_profile(tmp_path, "inference", seconds, **changes)
    table = table_of(tmp_path, "12")
    assert not table.has_ours
    assert why in " ".join(table.notes)


def with_systems(folder: Path, study: Study, systems: tuple[str, str]) -> Study:
    """The study as one of these systems, saved."""
    named = replace(study, systems=systems)
    named.save(folder)
    return named


def test_a_study_of_the_published_pair_stands_beside_and_any_other_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    study = a_study(folder, raters=4, pairs=5)
    for rater in (1, 2, 3, 4):
        save(folder, answer(folder, study, rater, lambda item, question: "first" if item.id[-1] == "0" else "second"))
    assert not table_of(tmp_path, "14").has_ours
    assert "a study of pair and pair+mmdisco" in " ".join(table_of(tmp_path, "14").notes)
    with_systems(folder, study, ("auffusion_vc2", "auffusion_vc2+mmdisco-release"))
    table = table_of(tmp_path, "14")
    line = line_of(table, "auffusion_vc2+mmdisco", "video_quality")
    assert line.ours is not None
    assert (line.ours.number.value, line.ours.n) == (80.0, "20 answers")
    assert line.difference is not None
    assert line.difference.value == pytest.approx(80.0 - 94.4)
    assert line.ours.number.stderr


def test_places_that_are_not_there_are_refused_and_the_default_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_places([]) == []
    with pytest.raises(UsageError, match="nowhere is not there"):
        open_places([Path("nowhere")])
    assert mmbench_here(capsys, "table", "--paper", "all", "--out", "nowhere").returncode == 2
    shown = mmbench_here(capsys, "table", "--paper", "all", "--format", "json")
    rows = json.loads(shown.stdout)
    assert {row["table"] for row in rows} == set(published())
    assert all(row["ours"] is None and row["command"].startswith("mmbench ") for row in rows)
    one = json.loads(mmbench_here(capsys, "table", "--paper", "14", "--format", "json").stdout)
    assert one == [row for row in rows if row["table"] == "14"]
    refused = mmbench_here(capsys, "table", "--paper", "all", "--by", "prompt")
    assert refused.returncode == 2
