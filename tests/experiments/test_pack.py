"""Packed files hold what folders hold: tables, sweeps, differences; and give the folders back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.errors import IntegrityError, MMBenchError, UsageError
from mmbench.experiments.pack import pack, unpack
from mmbench.experiments.paper import lay_out
from mmbench.files import append_line
from mmbench.jobs.list import list_runs
from mmbench.jobs.show import show
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import create_run_folder, read_manifest
from mmbench.scores.records import read_records, read_scored, save
from mmbench.tables.compare import table_of
from mmbench.tables.numbers import as_row
from mmbench.tables.packed import read_packed
from mmbench.tables.plan import plan_samples
from mmbench.tables.table import gather, pivot
from mmbench.types import Score
from tests.builders import record, strip_checksums
from tests.commands import mmbench_here
from tests.conftest import REPOSITORY

TINY = REPOSITORY / "results" / "tiny"
GOLDEN = REPOSITORY / "tests" / "golden" / "tiny"
WORLD = {"materials": {name: [0.1, 0.2, 0.3] for name in ("glass", "metal", "plastic", "rubber", "wood")}}
METRICS = ("ib_bounce_av.x", "fvd_bounce.x")
TABLES = {
    "runs-bounce": ("runs.jsonl", "--dataset", "bounce"),
    "runs-bounce_heavy": ("runs.jsonl", "--dataset", "bounce_heavy"),
    "overshoot-bounce_heavy": ("overshoot.jsonl", "--dataset", "bounce_heavy"),
    "table7": ("table7.jsonl", "--paper", "7"),
    "table8": ("table8.jsonl", "--paper", "8"),
    "table9": ("table9.jsonl", "--paper", "9"),
    "table10": ("table10.jsonl", "--paper", "10"),
    "figure5": ("figure5.jsonl", "--paper", "figure5"),
}


def add(out: Path, system: str, shift: float = 0.0, rng: int = 0, n: int = 8, **spec: Any) -> str:
    """A run with a metric of values per sample and one of replicates; returns its id."""
    about = {"dataset": {"name": "bounce", "world": WORLD}, "system": {"name": system, **spec}, "seed": 0}
    run = RunSpec(system, "bounce", 0, "trained", about, "0" * 32, "")
    folder = create_run_folder(out, run)
    scatter = np.random.default_rng(0).normal(0, 1, n) + np.random.default_rng([1, rng]).normal(shift, 0.2, n)
    of_run = {"run_id": run.run_id, "digest": run.digest, "system": system, "dataset": "bounce", "weights": "trained"}
    counts = {"n_expected": n, "n_present": n, "n_scored": n}
    for metric, score in (
        (METRICS[0], Score(float(scatter.mean()), 0.1, n, per_sample=scatter)),
        (METRICS[1], Score(shift, 0.1, n, replicates=shift + np.random.default_rng(2).normal(0, 0.1, 50))),
    ):
        made = record(**of_run, **counts, metric=metric, signature=f"{metric}|e|s|1", value=score.value)
        save(folder, made, score, [{"id": str(i)} for i in range(n)])
    append_line(folder / "invocations.jsonl", {"command": ["mmbench", "run", "-s", system], "machine": {"cores": 2}})
    return run.run_id


def add_sweep(out: Path) -> Path:
    """A sweep of Table 8 in miniature: the pair, a row with two trainings, and a row that failed first."""
    runs = [add(out, "tiny"), *(add(out, "tiny+mmdisco", k / 10, k, weights=k) for k in (1, 2, 3))]
    file = out / "table8-tiny.jsonl"
    about = {"table": "table8", "system": "tiny", "dataset": "bounce", "n": 8, "seed": 0, "metrics": list(METRICS)}
    append_line(file, {"sweep": file.stem, **about, "time": "2026-01-01", "command": ["mmbench", "sweep", "table8"]})
    append_line(file, {"row": "C=64, L=2", "train_seed": 0, "status": "failed", "run": "", "reason": "!", "x": None})
    cells = [("no guidance", None), ("C=32, L=2", 0), ("C=32, L=2", 1), ("C=64, L=2", 0)]
    for (row, seed), run in zip(cells, runs, strict=True):
        line = {"row": row, "train_seed": seed, "status": "ok", "run": run, "reason": "", "x": None}
        append_line(file, line | ({} if seed is None else {"steps": 2, "discriminator": "d"}))
    return file


def files_of(folder: Path) -> dict[str, bytes]:
    """What packing keeps of a folder of runs."""
    files = [f for f in folder.rglob("*") if f.is_file() and "scores" not in f.parts and f.name != "differences.jsonl"]
    return {str(f.relative_to(folder)): f.read_bytes() for f in files}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_our_results_are_what_their_folders_gave(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    file, *options = TABLES[name]
    printed = mmbench_here(capsys, "table", "--out", TINY / file, *options, "--format", "json")
    assert printed.returncode == 0, printed.stderr
    assert json.loads(printed.stdout) == json.loads((GOLDEN / f"{name}.json").read_text())
    text = GOLDEN / f"{name}.txt"
    if text.exists():
        lines = mmbench_here(capsys, "table", "--out", TINY / file, *options).stdout.splitlines()
        assert [line.rstrip() for line in lines] == text.read_text().splitlines()


def test_every_run_of_our_results_is_one_line_and_is_whole() -> None:
    packed = [read_packed(TINY / file) for file in sorted({file for file, *_ in TABLES.values()})]
    assert sum(len(p.runs) for p in packed) == 82
    assert len({run.name for p in packed for run in p.runs}) == 74
    assert all(len(run.records) in (6, 12) for p in packed for run in p.runs)


def test_unpacked_is_what_was_packed(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    add_sweep(runs)
    add(runs, "ground_truth", 0.7)
    save(runs / add(runs, "tiny"), record(run_id="x"), Score(1.0, 0.1, 8), [None] * 8)  # a record like no other
    pack([runs], tmp_path / "first.jsonl")
    unpack(tmp_path / "first.jsonl", tmp_path / "unpacked")
    before, after = files_of(runs), files_of(tmp_path / "unpacked")
    log = "table8-tiny.jsonl"  # which gained what the scores know and it did not
    assert after.pop(log).startswith(before.pop(log))
    assert before == after
    pack([tmp_path / "unpacked"], tmp_path / "second" / "first.jsonl")
    assert (tmp_path / "second" / "first.jsonl").read_bytes() == (tmp_path / "first.jsonl").read_bytes()


def test_a_run_is_a_line_and_what_runs_share_is_written_once(tmp_path: Path) -> None:
    add_sweep(tmp_path / "runs")
    pack([tmp_path / "runs"], tmp_path / "table8.jsonl")
    head, *lines = map(json.loads, (tmp_path / "table8.jsonl").read_text().splitlines())
    assert head["experiment"] == "table8"
    assert head["command"][-1] == "mmbench sweep table8"
    assert head["parts"]["dataset.0"] == {"name": "bounce", "world": WORLD}
    assert [line["sweeps"][0]["row"] for line in lines[:4]] == ["C=64, L=2", "no guidance", "C=32, L=2", "C=32, L=2"]
    assert lines[2]["sweeps"][0]["train_seed"] == 0
    assert set(lines[2]["sweeps"][0]["differences"]) == set(METRICS)
    assert all("run_id" not in record for line in lines[:4] for record in line["records"])
    assert (tmp_path / "table8.jsonl").read_text().count("plastic") == 1


def test_what_became_of_samples_and_of_real_clips_survives(tmp_path: Path) -> None:
    name = add(tmp_path / "runs", "tiny")
    told = {
        "reference": {"dataset": "bounce", "n": 8, "formats": ["1x2x3@4+5@6"], "differs": "real clips are long"},
        "unscored": {"no prompt": 2},
        "n_missing": 1,
        "fitted": "cut by 768 samples",
    }
    (spec,) = {r.run_id: r for r in read_records(tmp_path / "runs" / name)}.values()
    made = replace(spec, metric="fad.x", signature="fad|s", n_unscored=2, n_scored=5, **told)  # type: ignore[arg-type]
    save(tmp_path / "runs" / name, made, Score(made.value or 0.0, 0.1, 5), [None] * made.n_expected)
    pack([tmp_path / "runs"], tmp_path / "x.jsonl")
    (run,) = read_packed(tmp_path / "x.jsonl").runs
    assert made in run.records
    unpack(tmp_path / "x.jsonl", tmp_path / "again")
    assert made in read_records(tmp_path / "again" / name)


def test_tables_of_a_file_are_those_of_the_folders_with_their_scores(tmp_path: Path) -> None:
    add_sweep(tmp_path / "runs")
    pack([tmp_path / "runs" / "table8-tiny.jsonl"], tmp_path / "x.jsonl")
    found, expected = lay_out("8", tmp_path / "x.jsonl"), lay_out("8", tmp_path / "runs")
    assert found == expected
    assert all(cell.difference for row in expected.table[1:3] for cell in row.cells)
    with pytest.raises(MMBenchError, match="No sweep of table9"):
        lay_out("9", tmp_path / "x.jsonl")
    kept = {run["run"]: run["records"] for run in list_runs(tmp_path / "x.jsonl")}
    assert kept == {name: ", ".join(METRICS) for name in kept}
    assert len(kept) == 4


def test_paired_differences_of_runs_survive(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    names = [add(runs, system, shift, k) for k, (system, shift) in enumerate((("tiny", 0), ("tiny+mmdisco", 0.5)))]
    cells = [read_scored(runs / name, r) for name in names for r in read_records(runs / name)]
    expected = {c.record.metric: as_row(c)["difference"] for column in table_of(cells) for c in column if c.difference}
    pack([runs], tmp_path / "x.jsonl")
    unpack(tmp_path / "x.jsonl", tmp_path / "again")
    pack([tmp_path / "again"], tmp_path / "y.jsonl")
    for file in ("x.jsonl", "y.jsonl"):
        shown = show(names[1], tmp_path / file)
        found = {d.pop("metric"): d for d in shown["differences"]}
        assert {k: v | {"n_expected": 8} for k, v in expected.items()} == found
        assert shown["records"] == show(names[1], runs)["records"]
    assert pivot(gather(tmp_path / "x.jsonl")) == pivot(gather(runs))
    asked = {"effect": 0.1, "systems": ("tiny", "tiny+mmdisco")}
    assert plan_samples(tmp_path / "x.jsonl", METRICS[0], **asked) == plan_samples(runs, METRICS[0], **asked)


def damage(file: Path, number: int, old: str, new: str) -> None:
    """Change a line, counted from 1."""
    lines = strip_checksums(file).read_text().splitlines(keepends=True)
    assert old in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new, 1)
    file.write_text("".join(lines))


@pytest.mark.parametrize(
    ("number", "old", "new", "what"),
    [
        (2, "{", "", "Extra data"),
        (2, '"system": {"name": "t', '"system": {"name": "T', "has digest"),
        (3, '"dataset.0"', '"dataset.7"', "dataset.7"),
        (3, '"stderr"', '"error"', "unexpected keyword"),
        (1, '"format": 1', '"format": 2', "format 2"),
        (1, '"runs": 2', '"runs": 3', "line 1 says"),
        (3, '"invocations.jsonl"', '"../x.jsonl"', "no name of a file"),
    ],
)
def test_damage_is_named_by_its_line(tmp_path: Path, number: int, old: str, new: str, what: str) -> None:
    file = tmp_path / "x.jsonl"
    for system in ("tiny", "tiny+mmdisco"):
        add(tmp_path / "runs", system)
    pack([tmp_path / "runs"], file)
    damage(file, number, old, new)
    line = "line 3" if what == "line 1 says" else f"line {number}"
    with pytest.raises(IntegrityError, match=f"{line} is corrupt.*{what}"):
        gather(file)
    with pytest.raises(IntegrityError):
        unpack(file, tmp_path / "unpacked")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["runs", "x.jsonl"]


def test_a_run_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    add(tmp_path / "a", "tiny")
    add(tmp_path / "b", "tiny")
    with pytest.raises(MMBenchError, match="hold the same run"):
        pack([tmp_path / "a", tmp_path / "b"], tmp_path / "x.jsonl")
    assert not (tmp_path / "x.jsonl").exists()
    (folder,) = (tmp_path / "a").iterdir()
    pack([tmp_path / "a", folder], tmp_path / "x.jsonl")  # the same folder
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    (tmp_path / "x.jsonl").write_text("\n".join([*lines, lines[1]]) + "\n")
    with pytest.raises(IntegrityError, match=r"line 3 is corrupt.*twice"):
        read_packed(tmp_path / "x.jsonl")


def test_nothing_is_written_over(tmp_path: Path) -> None:
    add(tmp_path / "runs", "tiny")
    pack([tmp_path / "runs"], tmp_path / "x.jsonl")
    before = (tmp_path / "x.jsonl").read_bytes()
    with pytest.raises(UsageError, match="is there already"):
        pack([tmp_path / "runs"], tmp_path / "x.jsonl")
    with pytest.raises(UsageError, match="is there already"):
        unpack(tmp_path / "x.jsonl", tmp_path / "runs")
    with pytest.raises(UsageError, match="holds no run"):
        pack([tmp_path], tmp_path / "y.jsonl")
    with pytest.raises(UsageError, match="is no file"):
        unpack(tmp_path / "z.jsonl", tmp_path / "z")
    assert (tmp_path / "x.jsonl").read_bytes() == before


def test_manifests_of_other_code_stay_readable(tmp_path: Path) -> None:
    (folder, *_) = unpack(TINY / "table7.jsonl", tmp_path / "unpacked")
    assert read_manifest(folder).run_id == folder.name
    assert read_records(folder)[0].run_id == folder.name


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = add(tmp_path / "runs", "tiny")
    packed = mmbench_here(capsys, "pack", tmp_path / "runs", "--out", tmp_path / "x.jsonl", "--format", "json")
    assert (json.loads(packed.stdout)[0]["runs"], json.loads(packed.stdout)[0]["records"]) == (1, 2)
    shown = mmbench_here(capsys, "show", run[:6], "--out", tmp_path / "x.jsonl")
    assert METRICS[0] in shown.stdout
    listed = mmbench_here(capsys, "list", "runs", "--out", tmp_path / "x.jsonl", "--format", "quiet")
    assert listed.stdout.split() == [run]
    unpacked = mmbench_here(capsys, "unpack", tmp_path / "x.jsonl", "--out", tmp_path / "again", "--format", "quiet")
    assert unpacked.stdout.split() == [run]
    assert mmbench_here(capsys, "unpack", tmp_path / "x.jsonl", "--out", tmp_path / "again").returncode == 2
