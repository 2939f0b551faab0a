"""`mmbench sweep`: trains, generates and scores every row of a grid. What is done is read from disk, so it resumes.

OUT/SWEEP.jsonl     every start with its settings, and the outcome of every cell
OUT/RUN/            runs as `mmbench run` leaves them; a run that several grids share is made once
OUT/leases/         cells that processes are working on, so that several share them
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmbench.baselines.kinds.discriminators import FOLDER_VARIABLE
from mmbench.console import log
from mmbench.errors import BusyError, MMBenchError, StoppedError
from mmbench.experiments.sweep.cell_jobs import lease_name, run_settings, training_of, weights_path
from mmbench.experiments.sweep.cell_state import CellState, is_done, read_state
from mmbench.experiments.sweep.cells import Cell, Sweep
from mmbench.experiments.sweep.curves import save_curve
from mmbench.experiments.sweep.log import Differences, Outcome, read_log
from mmbench.experiments.sweep.table import lay_out_sweep, open_sweep, pair_runs
from mmbench.experiments.sweep.validation import refuse_impossible
from mmbench.experiments.training.train import train_discriminator
from mmbench.files import append_line, make_folder, read_lines, remove_unfinished, write_whole
from mmbench.jobs.run import run
from mmbench.leases import LeaseTable
from mmbench.runs.circumstances import invocation
from mmbench.tables.layout import Layout
from mmbench.types import full_name

PREVIEW_COLUMNS = ("row", "training seed", "seed", "training", "samples", "scores", "status", "run")
PAUSE = 5.0  # [s] between looks at what other processes are doing


def preview_sweep(sweep: Sweep) -> list[dict[str, Any]]:
    """The plan of a sweep, cell by cell: what is done and what is left. Writes nothing."""
    refuse_impossible(sweep)
    rows, n, before = [], sweep.run.num_samples, read_log(sweep.file).outcomes
    for cell in sweep.cells:
        state, last = read_state(sweep, cell), before.get(_recorded(sweep, cell).cell)
        reason = f"to do; failed: {last.reason}" if last and last.status == "failed" else "to do"
        rows.append(
            {
                "row": cell.row.label,
                "training seed": cell.train_seed,
                "seed": cell.sample_seed,
                "training": f"{sweep.steps(cell.row)} steps{', done' * state.trained}" if cell.row.design else None,
                "samples": f"{state.present}/{n}" + (f", {state.failed} failed" if state.failed else ""),
                "scores": f"{len(state.scored)}/{len(sweep.metrics)}",
                "status": "done" if is_done(sweep, state) else reason,
                "run": state.run,
            }
        )
    return rows


def run_sweep(sweep: Sweep) -> tuple[Layout, str]:
    """Carries out a sweep, lays it out as its table, and draws it where its grid is a curve.

    Returns:
        The table, whose notes name what was drawn, and what remains undone and why; "" if nothing does.

    Raises:
        StoppedError: A signal or a full disk ended it.
    """
    left = carry_out(sweep)
    layout = lay_out_sweep(open_sweep(sweep.file))
    drawn = [f"Written: {path}" for path in save_curve(sweep.file)] if sweep.grid.axis else []
    undone = f"{len(left)} of {len(sweep.cells)} cells are not whole. {'; '.join(left)}." if left else ""
    return replace(layout, notes=[*layout.notes, *drawn]), undone


def carry_out(sweep: Sweep) -> list[str]:
    """Does what is left of every cell; a cell that fails is noted, and the next one follows.

    Several processes at one sweep, or at sweeps that share trainings, take different cells and wait for each other.

    Returns:
        What remains undone, and why: one line per cell.

    Raises:
        StoppedError: A signal or a full disk ended it.
    """
    refuse_impossible(sweep)
    make_folder(sweep.run.out)
    remove_unfinished(sweep.run.out)
    request = {**sweep.identity, "metrics": [full_name(m) for m in sweep.metrics], "train_seeds": sweep.train_seeds}
    request |= {"sample_seeds": sweep.sample_seeds}
    circumstances = invocation(list(sweep.run.command), sweep.run.resolved())
    append_line(sweep.file, {"kind": "asked", "sweep": sweep.id, **request, **circumstances})
    left: dict[int, str] = {}  # by the cell's number
    leases, waiting = LeaseTable(sweep.run.out / "leases"), sweep.cells
    while waiting:
        busy = []
        for cell in waiting:
            try:
                with leases.hold(lease_name(sweep, cell)) as lease:
                    if lease is None:
                        raise BusyError("Another sweep is at it.")
                    number = sweep.cells.index(cell) + 1
                    log.info("%s: cell %d of %d, %s", sweep.table, number, len(sweep.cells), cell.name)
                    left[number] = _settle(sweep, cell)
            except BusyError:
                busy.append(cell)
        if len(busy) == len(waiting):
            log.info("%s: waiting for other processes", sweep.table)
            time.sleep(PAUSE)
        waiting = busy
    paired = pair_runs(open_sweep(sweep.file))
    if paired not in [line.get("differences") for line in read_lines(sweep.file)]:
        append_line(sweep.file, Differences(paired).to_json())
    return [f"{cell.name}: {left[number]}" for number, cell in enumerate(sweep.cells, start=1) if left[number]]


def _settle(sweep: Sweep, cell: Cell) -> str:
    """Do what is left of a cell and write down what became of it; why something remains, "" if nothing does."""
    try:
        state = _complete(sweep, cell)
    except (StoppedError, BusyError):
        raise
    except Exception as error:  # of one cell: the others may do better
        reason = error.found.rstrip(".") if isinstance(error, MMBenchError) else f"{type(error).__name__}: {error}"
        log.warning("%s failed: %s", cell.name, error)
        log.debug("", exc_info=error)
        _note(sweep, cell, "failed", "", reason)
        return reason
    reason = f"{state.failed} samples failed" if state.failed else ""
    _note(sweep, cell, "ok", state.run, reason)
    return reason


def _complete(sweep: Sweep, cell: Cell) -> CellState:
    """Train, generate and score what is missing of a cell."""
    state = read_state(sweep, cell)
    if is_done(sweep, state):
        return state
    if not state.trained:
        _train(sweep, cell)
    run(run_settings(sweep, cell))
    return read_state(sweep, cell)


def _train(sweep: Sweep, cell: Cell) -> None:
    """Train to the cell's steps, from where its training stands, and keep the weights of that moment."""
    settings, path = training_of(sweep, cell), weights_path(sweep, cell)
    result = train_discriminator(settings)
    if result["steps"] != settings.options["steps"]:
        found = f"{path.parent} was trained for {result['steps']} steps; {path.name} was not kept on the way"
        raise MMBenchError(f"{found}.", "trainings that grow", f"another folder in {FOLDER_VARIABLE}")
    write_whole(path, Path(result["weights"]).read_bytes())


def _note(sweep: Sweep, cell: Cell, status: str, run: str, reason: str) -> None:
    """Write what became of a cell, unless that is what is written already."""
    outcome = replace(_recorded(sweep, cell), status=status, run=run, reason=reason, x=sweep.x(cell.row))
    if cell.row.design:
        outcome = replace(outcome, steps=sweep.steps(cell.row), discriminator=str(weights_path(sweep, cell)))
    last = read_log(sweep.file).outcomes.get(outcome.cell)
    if last is None or replace(last, time="") != outcome:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        append_line(sweep.file, replace(outcome, time=now).to_json())


def _recorded(sweep: Sweep, cell: Cell) -> Outcome:
    """What tells a cell in the sweep's file."""
    seed = cell.sample_seed if sweep.sample_seeds > 1 else None
    return Outcome(cell.row.label, cell.train_seed, "", "", sample_seed=seed)
