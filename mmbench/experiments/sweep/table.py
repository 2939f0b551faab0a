"""The table of a sweep: means over trainings, and paired differences to the pair alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmbench.dataset_names import published_name
from mmbench.experiments.sweep.grids import GRIDS, PAIR, Grid, Row
from mmbench.experiments.sweep.log import Asked, Paired, SweepLog, parse_log, read_log
from mmbench.scores.records import Record, read_records, read_scored
from mmbench.tables import layout
from mmbench.tables.compare import compare
from mmbench.tables.floors import note_falling
from mmbench.tables.layout import Layout, Number, check_columns, make_cell, mean_number, select_published
from mmbench.tables.packed import read_packed
from mmbench.tables.published import published

SWEPT = {grid.published: name for name, grid in GRIDS.items() if grid.published}


@dataclass(frozen=True)
class SweepOnRecord:
    """A sweep with the records of its runs.

    Attributes:
        log: What its file says.
        records: Gives the records of a run by its id; none if it is not there.
        folder: Of the runs, which may have scores; None for a packed file.
    """

    log: SweepLog
    records: Callable[[str], Sequence[Record]]
    folder: Path | None = None

    def latest(self, run: str) -> dict[str, Record]:
        """The latest record by metric of a run's first n samples, n as the sweep was asked for."""
        records = sorted(self.records(run), key=lambda r: r.time)
        return {r.metric: r for r in records if r.n_expected == self.log.request.n}


def open_sweep(file: Path) -> SweepOnRecord:
    """The sweep of a file, with the runs beside it.

    Raises:
        IntegrityError: A line is damaged; names it.
    """
    return SweepOnRecord(read_log(file), lambda run: read_records(file.parent / run), file.parent)


def find_sweeps(out: Path, table: str) -> list[SweepOnRecord]:
    """The sweeps of a grid in a folder of runs, in its folder `sweep`, or in a packed file."""
    if not out.is_file():
        return [open_sweep(file) for folder in (out, out / "sweep") for file in folder.glob(f"{table}-*.jsonl")]
    packed = read_packed(out)
    runs = {run.name: run for run in packed.runs}
    logs = [parse_log(name, lines, f"{out}, {name},") for name, lines in packed.logs.items()]
    found = [SweepOnRecord(log, lambda run: runs[run].records if run in runs else ()) for log in logs]
    return [sweep for sweep in found if sweep.log.request.table == table]


def fits_filters(
    asked: Asked,
    dataset: str | None = None,
    systems: Sequence[str] = (),
    metrics: Sequence[str] = (),
    num_samples: int | None = None,
    seed: int | None = None,
) -> bool:
    """Whether a sweep was asked for with this dataset, system, n and seed; metrics are not looked at."""
    same = dataset in (None, asked.dataset) and (not systems or asked.system in systems)
    return same and num_samples in (None, asked.n) and seed in (None, asked.seed)


def lay_out_sweep(sweep: SweepOnRecord) -> Layout:
    """The table of a sweep: means over trainings or seeds of sampling, with standard errors where there are several.

    With the differences to the pair alone, as far as they are known.

    Raises:
        MMBenchError: It is not of a sweep, or a column would mix what does not compare.
    """
    asked = sweep.log.request
    grid, paired = GRIDS[asked.table], pair_runs(sweep)
    rows = [_lay_out_row(sweep, grid, row, paired) for row in grid.rows]
    check_columns([r for o in sweep.log.outcomes.values() if o.status == "ok" for r in sweep.latest(o.run).values()])
    number = f"Table {grid.published}" if grid.published else asked.table
    remarks = [
        "±: over samples, or where there are several trainings over these, which share samples' prompts and noise."
    ]
    of_delta = "over samples, and over trainings where there are several"
    if any("samplings" in row.labels for row in rows):
        remarks = [
            "±: over seeds of sampling, whose prompts and noise differ; of one training, whose own spread it lacks."
        ]
        of_delta = "over seeds of sampling where there are several, else over samples"
    if any(cell.difference for row in rows for cell in row.cells):
        remarks.append(f"Δ: to {PAIR}, by sample; ± {of_delta}.")
    if (asked.system, published_name(asked.dataset)) != (grid.system, grid.dataset) and grid.published:
        remarks.append(f"paper: {grid.system} on {grid.dataset}; compare how rows differ, not numbers.")
    remarks += note_falling(r for row in rows for cell in row.cells for r in cell.records)
    remarks += [note] if (note := published().get(grid.published, {}).get("note")) else []
    title = f"{number}: {grid.title}; here {asked.system} on {asked.dataset}, n = {asked.n}, seed {asked.seed}"
    return Layout(rows, title, remarks)


def _lay_out_row(sweep: SweepOnRecord, grid: Grid, row: Row, paired: Paired) -> layout.Row:
    """One row: what its cells came to, and what of them is left to do."""
    asked = sweep.log.request
    outcomes = [outcome for outcome in sweep.log.outcomes.values() if outcome.row == row.label]
    made = [outcome for outcome in outcomes if outcome.status == "ok"]
    runs, samplings = [outcome.run for outcome in made], {o.sample_seed for o in made} - {None}
    records = [sweep.latest(run) for run in runs]
    cells = []
    for metric in asked.metrics:
        known = [Number(**paired[run][metric]) for run in runs if metric in paired.get(run, {})]
        mine = [r[metric] for r in records if metric in r]
        if len(samplings) > 1 and len(known) > 1:
            known = [
                mean_number([number.value for number in known])
            ]  # samples of other seeds are others: no error twice
        cells += [make_cell(mine, known)] if mine else []
    failed = [outcome.reason for outcome in outcomes if outcome.status == "failed"]
    status = f"failed: {failed[-1]}" if failed else "" if runs else "to do"
    trainings = len({outcome.train_seed for outcome in made}) if row.design else None
    labels = {"row": row.label, "trainings": trainings} | ({"samplings": len(samplings)} if samplings else {})
    paper = select_published(grid.published, row.published, asked.metrics)
    return layout.Row(labels, cells, paper, status)


def pair_runs(sweep: SweepOnRecord) -> Paired:
    """Paired differences of a sweep's runs to the pair alone: {run: {metric: {"value", "stderr"}}}.

    Of the scores where they lie beside the records, else as the sweep's file keeps them.
    """
    outcomes = list(sweep.log.outcomes.values())
    kept: Paired = dict(sweep.log.differences)
    alone = {outcome.sample_seed: outcome.run for outcome in outcomes if outcome.row == PAIR and outcome.run}
    guided = [outcome for outcome in outcomes if outcome.run and outcome.discriminator]
    if sweep.folder is None:
        return kept
    for other, run in [(alone[o.sample_seed], o.run) for o in guided if o.sample_seed in alone]:
        folders = (sweep.folder / other, sweep.folder / run)
        if all((folder / "scores").is_dir() for folder in folders):
            kept[run] = _subtract(folders, (sweep.latest(other), sweep.latest(run)), sweep.log.request.metrics)
    return kept


def _subtract(
    folders: Sequence[Path], records: Sequence[Mapping[str, Record]], metrics: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Paired differences of the second of two runs to the first, by metric, where there is an error."""
    out = {}
    for metric in (m for m in metrics if all(m in by_metric for by_metric in records)):
        column = [read_scored(folder, by_metric[metric]) for folder, by_metric in zip(folders, records, strict=True)]
        d = compare(column)[1].difference
        if d is not None and d.stderr is not None:
            out[metric] = {"value": d.value, "stderr": d.stderr}
    return out
