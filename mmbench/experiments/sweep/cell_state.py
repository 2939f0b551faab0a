"""The state of a cell on disk: weights, samples and records. A sweep resumes from nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mmbench.experiments.sweep.cell_jobs import run_settings, weights_path
from mmbench.experiments.sweep.cells import Cell, Sweep
from mmbench.jobs.generate import plan
from mmbench.runs.find import is_run
from mmbench.runs.store import SampleStore
from mmbench.scores.evaluate import signature
from mmbench.scores.records import read_records
from mmbench.types import full_name


@dataclass(frozen=True)
class CellState:
    """The state of a cell on disk.

    Attributes:
        trained: Whether its weights are there; True where nothing is trained.
        run: Id of its run, which is known once the weights are there; else "".
        present: Samples.
        failed: Samples with a recorded failure.
        scored: Metrics with a record of these samples by the code as it is.
    """

    trained: bool
    run: str = ""
    present: int = 0
    failed: int = 0
    scored: tuple[str, ...] = ()


def read_state(sweep: Sweep, cell: Cell) -> CellState:
    """Reads the state of a cell from the folders of its training and run."""
    if cell.row.design and not weights_path(sweep, cell).is_file():
        return CellState(False)
    (planned,) = plan(run_settings(sweep, cell), sweep.dataset)
    folder, n = sweep.run.out / planned.run.run_id, sweep.run.num_samples
    if not is_run(folder):
        return CellState(True, planned.run.run_id)
    status = SampleStore.open(folder).status(n)
    records = [r for r in read_records(folder) if r.n_expected == n and r.n_present == len(status.present)]
    known = {(r.metric, _without_size(r.signature)) for r in records}
    names = [full_name(m) for m in sweep.metrics if (full_name(m), _without_size(signature(m, ()))) in known]
    return CellState(True, planned.run.run_id, len(status.present), len(status.failed), tuple(names))


def is_done(sweep: Sweep, state: CellState) -> bool:
    """Whether nothing is left to do of a cell."""
    made = state.present + (0 if sweep.run.retry_failed else state.failed)
    return state.trained and made == sweep.run.num_samples and len(state.scored) == len(sweep.metrics)


def _without_size(signature: str) -> str:
    return re.sub(r"\|size:[^|]*", "", signature)
