"""Tables on a terminal of 80 columns: no word is broken, no number is lost to the eye."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmbench.console import Format
from mmbench.scores.records import read_scored, save
from mmbench.tables.compare import table_of
from mmbench.tables.narrow import show_comparison, show_pieces, split_columns
from mmbench.types import Score
from tests.builders import folder_of, record
from tests.commands import mmbench_here
from tests.conftest import REPOSITORY

SYSTEMS = ("ground_truth", "independent", "tiny", "tiny_cascade", "tiny+mmdisco", "tiny+mmdisco-res_frieren")
METRICS = ("fvd_bounce.bounce_v1", "fad_bounce.bounce_v1", "ib_bounce_tv.bounce_v1", "ib_bounce_ta.bounce_v1")
METRICS += ("ib_bounce_av.bounce_v1", "av_align.mmdisco_96ms")

Print = Callable[..., list[str]]


@pytest.fixture
def columns(tmp_path: Path) -> list[list]:
    """The comparison of a default run: six systems, six metrics."""
    cells = []
    for k, system in enumerate(SYSTEMS):
        folder = folder_of(tmp_path, system)
        for j, metric in enumerate(METRICS):
            values = np.random.default_rng([j, k]).normal(0.5, 0.1, 8) + k * (metric == METRICS[0])
            about = {"metric": metric, "signature": metric, "baseline": 0.1, "baseline_stderr": 0.01}
            made = record(system=system, run_id=system, value=float(values.mean()), stderr=0.0123, **about)
            save(folder, made, Score(made.value, 0.0123, 8, per_sample=values), [{"id": str(i)} for i in range(8)])
            cells.append(read_scored(folder, made))
    return table_of(cells)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make stdout a terminal of so many columns."""

    def of_width(width: int) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "dumb")  # no codes for bold in between
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    return of_width


def words(text: str) -> set[str]:
    """Words of what is printed, without the rule below the headings and without marks."""
    return set(re.sub("─+|[()*†~,;:.](?=[\\s)]|$)|[(]", " ", text).split())


def test_a_default_run_fits_80_columns(
    columns: list[list], terminal: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    terminal(80)
    show_comparison(columns, Format.table, "n = 8, seed 0")
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    names = {part for metric in METRICS for part in metric.split(".")}
    assert set(SYSTEMS) | names <= words(printed)
    values = {f"{cell.record.value:.3f}" for column in columns for cell in column}
    assert values <= words(printed)
    table = printed.split("\n\n")
    rows = [line for piece in table[:2] for line in piece.splitlines() if "±" in line]
    assert len(rows) == 2 * len(SYSTEMS), "two tables of three metrics"
    assert [line.split()[0] for line in rows] == [*SYSTEMS] * 2
    assert all(line.count("±") == 3 for line in rows)
    assert " ".join(table[2].split()).startswith(
        "dataset d; bounce_v1: fvd_bounce, fad_bounce, ib_bounce_tv, ib_bounce_ta"
    )
    assert "* better, † worse than ground_truth (tiny+mmdisco, tiny+mmdisco-res_frieren: than tiny); p < 0.05" in (
        " ".join(table[2].split())
    )


def test_a_pipe_has_one_table_whatever_columns_says(
    columns: list[list], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    show_comparison(columns, Format.table, "")
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert [line.count("±") for line in printed.splitlines() if "±" in line] == [6] * len(SYSTEMS)


def test_the_long_form_has_a_row_for_every_number(
    columns: list[list], terminal: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    terminal(200)
    show_comparison(columns, Format.table, "", in_full=True)
    head, _, *lines = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert len(lines) == len(SYSTEMS) * len(METRICS)
    assert head.split() == [
        "system",
        "metric",
        "value",
        "95",
        "%",
        "shuffled",
        "n",
        "Δ",
        "[95",
        "%]",
        "to",
        "p",
        "won",
        "needs",
        "n",
    ]
    terminal(80)
    show_comparison(columns, Format.table, "", in_full=True)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "needs n" in printed


@pytest.mark.parametrize(
    "options",
    [
        ("--out", "results/tiny/runs.jsonl", "--dataset", "bounce"),
        ("--out", "results/tiny/table7.jsonl", "--paper", "7"),
        ("--out", "results/tiny/figure5.jsonl", "--paper", "figure5"),
    ],
)
def test_our_tables_fit_80_columns(
    options: tuple[str, ...],
    terminal: Callable[[int], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(REPOSITORY)
    wide = mmbench_here(capsys, "table", *options).stdout  # a pipe
    terminal(80)
    narrow = mmbench_here(capsys, "table", *options).stdout
    assert max(map(len, narrow.splitlines())) <= 80
    assert words(wide) <= words(narrow) | words(narrow.replace("\n", " "))


def test_columns_are_split_where_the_width_ends() -> None:
    rows = [{"system": "tiny", "a": "1" * 10, "b": "22\n" + "2" * 10, "c": None}]
    # 6 for the key, 2 + 10 for a and for b, 2 + 1 for c
    assert split_columns(rows, ["system", "a", "b", "c"], ["system"], 33) == [["system", "a", "b", "c"]]
    assert split_columns(rows, ["system", "a", "b", "c"], ["system"], 32) == [["system", "a", "b"], ["system", "c"]]
    assert split_columns(rows, ["system", "a", "b", "c"], ["system"], 29) == [["system", "a"], ["system", "b", "c"]]
    assert split_columns(rows, ["system", "a"], ["system"], 5) == [["system", "a"]]


def test_the_id_of_a_run_is_never_cut(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    run = {"run": "tiny_cascade-bounce-s0-0123456789", "system": "tiny_cascade", "dataset": "bounce", "seed": 0}
    run |= {"weights": "random", "present": 16, "failed": 0, "records": ", ".join(f"metric_{i}.any" for i in range(9))}
    show_pieces([run], list(run), ["run"], Format.table, "Runs")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(run["run"] in line for line in lines) >= 2
