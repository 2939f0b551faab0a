"""The state of a sweep's cells, the leases that its processes hold, and the lines of its log."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmbench.errors import IntegrityError, MMBenchError
from mmbench.experiments.sweep.cell_jobs import lease_name, run_settings
from mmbench.experiments.sweep.cell_state import read_state
from mmbench.experiments.sweep.cells import declare_sweep
from mmbench.experiments.sweep.log import Asked, Differences, Outcome, read_log
from mmbench.files import append_line
from mmbench.jobs.generate import plan
from mmbench.jobs.settings import Settings


def test_a_cell_whose_folder_a_kill_left_without_a_manifest_is_to_do(tmp_path: Path) -> None:
    sweep = declare_sweep(
        "table7", Settings(systems=(), dataset="bounce", out=tmp_path), system="tiny", training={"steps": 2}
    )
    cell = next(cell for cell in sweep.cells if not cell.row.design and not cell.row.control)
    (planned,) = plan(run_settings(sweep, cell), sweep.dataset)
    (tmp_path / planned.run.run_id / "samples").mkdir(parents=True)
    assert read_state(sweep, cell).present == 0


def test_sweeps_that_share_runs_and_trainings_hold_the_same_leases() -> None:
    leases = []
    for table in ("table8", "table9"):
        settings = Settings(systems=(), dataset="bounce", num_samples=4)
        sweep = declare_sweep(table, settings, system="tiny", training={"steps": 2}, num_real=4, num_fake=2)
        leases.append({cell.row.label: lease_name(sweep, cell) for cell in sweep.cells})
    shared = leases[0].keys() & leases[1].keys()
    assert shared == {"no guidance", "C=32, L=2", "C=128, L=2"}
    assert all(leases[0][label] == leases[1][label] for label in shared)
    names = [name for each in leases for name in each.values()]
    assert len(set(names)) == len(names) - len(shared)


def test_lines_of_a_sweep_are_told_by_kind_and_old_ones_by_their_keys(tmp_path: Path) -> None:
    asked = {"table": "table7", "system": "tiny", "dataset": "bounce", "n": 4, "seed": 0, "metrics": ["a"]}
    trained = Outcome("loss all", 0, "ok", "r0", "", None, 600, "d.safetensors", "2026-01-02")
    failed = Outcome("no guidance", None, "failed", "", "!", 0.0, time="2026-01-02")
    lines = [
        {"kind": "asked", "sweep": "s", **asked, "time": "2026-01-01"},
        Outcome("no guidance", None, "ok", "r1").to_json(),
        trained.to_json(),
        failed.to_json(),
        Differences({"r0": {"a": {"value": 1.0, "stderr": 0.1}}}).to_json(),
    ]
    assert "steps" not in lines[3]
    for name in ("new", "old"):
        for line in lines:
            append_line(tmp_path / f"{name}.jsonl", {k: v for k, v in line.items() if name == "new" or k != "kind"})
        log = read_log(tmp_path / f"{name}.jsonl")
        assert log.request == Asked("table7", "tiny", "bounce", 4, 0, ("a",), "2026-01-01")
        assert log.outcomes == {("no guidance", None, None): failed, ("loss all", 0, None): trained}
        assert log.differences == {"r0": {"a": {"value": 1.0, "stderr": 0.1}}}


@pytest.mark.parametrize("line", ["{", '{"row": "a"}', '{"sweep": "s"}', '{"something": "else"}', "3"])
def test_a_damaged_line_of_a_sweep_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "s.jsonl"
    append_line(file, Outcome("no guidance", None, "ok", "r1").to_json())
    assert read_log(file).outcomes
    with pytest.raises(MMBenchError, match="not of a sweep"):
        assert read_log(file).request
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(IntegrityError, match=r"s\.jsonl line 2 is corrupt"):
        read_log(file)
