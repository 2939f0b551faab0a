"""The paired excess stands before a metric's value, with difference, correction and marks of its own."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.experiments.pack import pack
from mmbench.scores.evaluate import NO_EXCESS
from mmbench.scores.records import Record, Scored, parse_record, read_records, read_scored, save
from mmbench.statistics.excess import estimate_excess, subtract_excess
from mmbench.statistics.shuffled import shuffled_pairs, shuffled_score
from mmbench.tables.compare import table_of
from mmbench.tables.excess import excess_name, is_excess, scored_name
from mmbench.tables.groups import split_score
from mmbench.tables.runs import places_of
from mmbench.tables.side_by_side import compare_sets
from mmbench.tables.suite_table import SuiteTable
from mmbench.tables.suites import Suite, SuiteColumn
from mmbench.tables.system_rows import lay_out_comparison
from mmbench.tables.table import gather, pivot
from mmbench.tables.wide import to_rows
from mmbench.types import Score
from tests.builders import record
from tests.experiments.test_pack import add

N = 24
METRIC = "av_align.matched"


def scored(system: str, lively: float, paired: float, metric: str = METRIC) -> Scored:
    """A metric of a system that is higher for all pairs by `lively`, and for true ones by `paired` more."""
    values = 0.5 + lively + 0.1 * np.random.default_rng(len(system)).normal(size=(N, N))
    values[np.diag_indices(N)] += paired
    score = shuffled_score(np.diag(values).copy(), shuffled_pairs(lambda i, j: values[i, j], range(N), 8))
    return Scored(Path(system), record_of(score, system=system, run_id=f"{system}-d", metric=metric), score)


def record_of(score: Score, **changes: Any) -> Record:
    """The record of a score."""
    excess = estimate_excess(score) or NO_EXCESS
    numbers = {name: getattr(score, name) for name in ("value", "stderr", "low", "high", "baseline", "baseline_stderr")}
    own = dict(
        zip(("excess", "excess_stderr", "excess_low", "excess_high"), list(vars(excess).values())[:4], strict=True)
    )
    counts = dict.fromkeys(("n_expected", "n_present", "n_scored"), N)
    return record(**numbers, **own, **counts, **changes)


@pytest.fixture
def column() -> list[Scored]:
    """Real clips, a pair, and the pair with guidance: livelier than the pair, and no better paired."""
    return [scored("ground_truth", 0.0, 0.3), scored("tiny", 0.0, 0.1), scored("tiny+mmdisco", 0.2, 0.1)]


def test_a_gain_of_livelier_clips_is_none_of_pairing(column: list[Scored]) -> None:
    excess, value = table_of(column)
    assert [cell.record.metric for cell in excess] == ["av_align excess.matched"] * 3
    assert [cell.record.metric for cell in value] == [METRIC] * 3
    assert value[2].p_adjusted is not None
    assert value[2].p_adjusted < 0.001
    assert excess[2].p_adjusted is not None
    assert excess[2].p_adjusted > 0.05
    want = subtract_excess(column[1].score, column[2].score)
    assert (excess[2].difference, excess[2].against) == (want, "tiny")
    layout = lay_out_comparison([excess, value])
    marks = {row.labels["system"]: [cell.mark for cell in row.cells] for row in layout.table}
    assert marks == {"ground_truth": ["", ""], "tiny": ["†", "†"], "tiny+mmdisco": ["", "*"]}
    assert list(to_rows(layout)[0]) == ["system", "av_align excess ↑", "av_align ↑"]
    assert any(note.startswith("excess: above the same clips in shuffled pairs") for note in layout.notes)


def test_holm_counts_excesses_too(column: list[Scored]) -> None:
    cells = [cell for part in table_of(column) for cell in part if cell.difference]
    smallest = min(cells, key=lambda cell: cell.difference.p_value)
    assert len(cells) == 4
    assert smallest.p_adjusted == pytest.approx(4 * smallest.difference.p_value)


def test_an_older_record_has_the_number_alone_and_says_so(column: list[Scored]) -> None:
    line = asdict(column[1].record)
    old = parse_record({k: v for k, v in line.items() if not k.startswith("excess")})
    assert old.excess == pytest.approx(old.value - old.baseline)
    assert (old.excess_stderr, old.excess_low, old.excess_high) == (None, None, None)
    bare = Scored(column[1].folder, old, replace(column[1].score, shuffled=None))
    excess, value = table_of([column[0], bare, column[2]])
    assert [cell.difference is None for cell in excess] == [True, True, True]
    assert value[1].difference is not None
    notes = lay_out_comparison([excess, value]).notes
    assert any("has no interval: tiny. try: mmbench evaluate" in note for note in notes)
    assert not any("no interval" in note for note in lay_out_comparison(table_of(column)).notes)


def test_pairs_are_kept_with_the_scores_and_damage_is_found(tmp_path: Path, column: list[Scored]) -> None:
    one = column[1]
    save(tmp_path, one.record, one.score, [{"id": f"{i}"} for i in range(N)])
    (kept,) = read_records(tmp_path)
    again = read_scored(tmp_path, kept)
    assert kept == one.record
    assert estimate_excess(again.score) == estimate_excess(one.score)
    (file,) = (tmp_path / "scores").glob("*.safetensors")
    short = replace(one.score.shuffled, first=one.score.shuffled.first + N)
    save(tmp_path, one.record, replace(one.score, shuffled=short), [{"id": f"{i}"} for i in range(N)])
    with pytest.raises(Exception, match="no shuffled pairs of 24 samples"):
        read_scored(tmp_path, kept)
    file.unlink()  # as of records from before pairs were kept
    assert read_scored(tmp_path, kept).score.shuffled is None


def test_a_packed_file_keeps_excess_and_difference(tmp_path: Path) -> None:
    for k, system in enumerate(("ground_truth", "tiny", "tiny+mmdisco")):
        folder = tmp_path / "runs" / add(tmp_path / "runs", system, 0.0, k)
        one = scored(system, 0.2 * k, 0.3 - 0.1 * k)
        run = next(r for r in read_records(folder))
        changed = {name: getattr(run, name) for name in ("run_id", "digest", "dataset", "seed", "weights")}
        rows = [{"id": f"{i}", "text": "x"} for i in range(N)]
        save(folder, replace(one.record, **changed), one.score, rows)
    pack([tmp_path / "runs"], tmp_path / "x.jsonl")
    for place in (tmp_path / "runs", tmp_path / "x.jsonl"):
        layout = pivot(gather(place, metrics=["av_align"]), places_of(place))
        cells = {str(row.labels["system"]): row.cells[0].compared for row in layout.table}
        assert cells["tiny+mmdisco"].record.stderr is not None
        assert cells["tiny+mmdisco"].against == "tiny"
        found = cells["tiny+mmdisco"].difference
        want = subtract_excess(scored("tiny", 0.2, 0.2).score, scored("tiny+mmdisco", 0.4, 0.1).score)
        assert vars(found) == pytest.approx(vars(want))


def test_samples_pair_before_excesses_are_compared(tmp_path: Path, column: list[Scored]) -> None:
    """One set lacks a sample: the difference is over those that both have."""
    sets = []
    for k, one in enumerate(column[1:]):
        folder = tmp_path / "runs" / add(tmp_path / "runs", one.record.system, 0.0, k)
        run = next(r for r in read_records(folder))
        changed = {name: getattr(run, name) for name in ("run_id", "digest", "dataset", "seed", "weights")}
        rows = [None if k and i == 3 else {"id": f"{i}", "text": "x"} for i in range(N)]
        save(folder, replace(one.record, **changed), one.score, rows)
        sets.append([s for r in read_records(folder) if r.metric == METRIC for s in [read_scored(folder, r)]])
    excess, _ = compare_sets(sets).columns
    assert excess[1].difference is not None
    assert excess[1].difference.n == N - 1


def test_a_group_has_no_excess(tmp_path: Path, column: list[Scored]) -> None:
    one = column[1]
    save(tmp_path, one.record, one.score, [{"id": f"{i}", "text": "ab"[i % 2]} for i in range(N)])
    parts = split_score(replace(one, folder=tmp_path), "prompt")
    assert [part.scored.record.excess for part in parts.values()] == [None, None]


def test_a_suite_shows_it_before_its_column_and_multiplied_alike(column: list[Scored]) -> None:
    suite = Suite(
        "tried", "Table 9", "", (SuiteColumn("fd.v", "FD", "↓"), SuiteColumn(METRIC, "Sync", "↑", factor=100))
    )
    columns, rows = to_rows(SuiteTable(suite).lay_out(lay_out_comparison(table_of(column))))
    assert columns == ["system", "FD ↓", "Sync excess ×100 ↑", "Sync ×100 ↑"]
    assert float(str(rows[0]["Sync excess ×100 ↑"]).split()[0]) == pytest.approx(100 * column[0].record.excess, abs=0.5)


@pytest.mark.parametrize("metric", ["av_align.matched", "desync", "fd_passt.avbench_8s"])
def test_names_go_there_and_back(metric: str) -> None:
    assert is_excess(excess_name(metric))
    assert not is_excess(metric)
    assert scored_name(excess_name(metric)) == metric == scored_name(metric)
