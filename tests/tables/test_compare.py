"""Numbers travel with their records, and tables refuse to mix what cannot be compared."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from mmbench.errors import IntegrityError, MMBenchError
from mmbench.scores.records import Record, Scored, read_records, read_score, read_scored, save
from mmbench.tables import compare as comparing
from mmbench.tables.compare import Cell, adjust
from mmbench.tables.format import count_text, record_row, with_error
from mmbench.tables.system_rows import lay_out_comparison
from mmbench.tables.table import pivot
from mmbench.types import Score
from tests.builders import folder_of, record


def compare(column: list[tuple[Path, Record]]) -> list[Cell]:
    """Cells of records that are read again with their scores."""
    return comparing.compare([read_scored(folder, r) for folder, r in column])


def saved(out: Path, values: np.ndarray, **changes: object) -> tuple[Path, Record]:
    """A run's folder with one record of per-sample values."""
    r = record(**{"run_id": str(changes.get("system", "a")), "value": float(np.nanmean(values)), **changes})
    folder = folder_of(out, r.run_id)
    save(folder, r, Score(float(np.nanmean(values)), 0.1, 8, per_sample=values), [{"id": str(i)} for i in range(8)])
    return folder, r


def test_a_record_comes_back_with_its_values(tmp_path: Path) -> None:
    values = np.array([0.1, np.nan, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    folder, r = saved(tmp_path, values)
    assert read_records(folder) == [r]
    np.testing.assert_array_equal(read_score(folder, r).per_sample, values)


def test_replicates_come_back_exactly(tmp_path: Path) -> None:
    replicates = np.random.default_rng(0).standard_normal(50)
    folder = folder_of(tmp_path, "a")
    save(folder, record(), Score(1.0, 0.1, 8, replicates=replicates), [None] * 8)
    np.testing.assert_array_equal(read_score(folder, record()).replicates, replicates)
    assert read_score(folder, record()).per_sample is None


def test_a_new_evaluation_replaces_the_old_number_but_not_its_line(tmp_path: Path) -> None:
    folder, _ = saved(tmp_path, np.full(8, 0.2))
    saved(tmp_path, np.full(8, 0.9))
    assert [r.value for r in read_records(folder)] == [0.9]
    assert len((folder / "records.jsonl").read_text().splitlines()) == 2


def test_per_sample_values_that_are_damaged_are_refused(tmp_path: Path) -> None:
    folder, r = saved(tmp_path, np.full(8, 0.2))
    (folder / "scores" / f"{r.key}.jsonl").write_text("{}\n")
    with pytest.raises(IntegrityError, match="corrupt"):
        read_score(folder, r)


def test_the_paired_difference_is_tighter_than_the_two_errors(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 1, 8)
    first = saved(tmp_path, shared, system="a")
    second = saved(tmp_path, shared + 0.5 + rng.normal(0, 0.01, 8), system="b")
    cell = compare([first, second])[1]
    assert cell.difference is not None
    assert cell.difference.value == pytest.approx(0.5, abs=0.05)
    assert cell.difference.stderr is not None
    assert cell.difference.stderr < 0.02
    (column,) = adjust([[compare([first, second])[0], cell]])
    assert column[1].p_adjusted is not None
    assert column[1].p_adjusted < 0.05
    layout = lay_out_comparison([column])
    assert [row.cells[0].mark for row in layout.table] == ["", "*"]
    assert "than a; p < 0.05, paired by sample, after Holm" in layout.notes[0]


@pytest.mark.parametrize(
    "other",
    [
        {"n_expected": 9},
        {"signature": "m|v|extractors:e-2|size:s|version:1"},
        {"dataset": "another"},
        {"reference": {"dataset": "d", "n": 4}},
        {"weights": "random"},
    ],
    ids=lambda d: next(iter(d)),
)
def test_what_differs_is_refused_by_name(tmp_path: Path, other: dict[str, object]) -> None:
    cells = [saved(tmp_path, np.full(8, 0.2), system="a"), saved(tmp_path, np.full(8, 0.3), system="b", **other)]
    with pytest.raises(MMBenchError, match="cannot be compared across"):
        comparing.compare([Scored(folder, r, Score(0.2, 0.1, 8)) for folder, r in cells])
    with pytest.raises(MMBenchError, match="cannot be compared across"):
        pivot([r for _, r in cells])


def test_random_weights_stand_beside_random_weights_and_say_so(tmp_path: Path) -> None:
    cells = [saved(tmp_path, np.full(8, v), system=s, weights="random") for s, v in (("a", 0.1), ("b", 0.2))]
    layout = pivot([r for _, r in cells])
    assert any("random weights, no quality: a, b" in note for note in layout.notes)
    assert [row["weights"] for row in layout.rows] == ["random", "random"]
    assert "weights" in layout.columns


def test_a_guided_system_is_compared_with_its_base_wherever_that_stands(tmp_path: Path) -> None:
    systems = ("truth", "pair+mmdisco", "pair", "lonely+mmdisco")
    cells = compare([saved(tmp_path, np.arange(8.0) * (k + 1), system=s) for k, s in enumerate(systems)])
    assert [cell.against for cell in cells] == ["", "pair", "truth", "truth"]
    assert cells[1].difference is not None
    assert cells[1].difference.value == pytest.approx(np.mean(np.arange(8.0) * -1))


def test_other_seeds_are_not_paired(tmp_path: Path) -> None:
    cells = [saved(tmp_path, np.arange(8.0), system="a"), saved(tmp_path, np.arange(8.0), system="b", seed=1)]
    assert compare(cells)[1].difference is None


def test_a_guided_system_is_not_compared_with_its_base_of_another_seed(tmp_path: Path) -> None:
    runs = (("truth", 1), ("pair", 0), ("pair+mmdisco", 1), ("pair", 1))
    rows = [(s, seed, np.arange(8.0) * (k + 1)) for k, (s, seed) in enumerate(runs)]
    cells = compare([saved(tmp_path, v, system=s, seed=seed, run_id=f"{s}-{seed}") for s, seed, v in rows])
    assert [cell.against for cell in cells] == ["", "", "pair", "truth"]
    assert cells[2].difference is not None
    assert cells[2].difference.value == pytest.approx(np.mean(np.arange(8.0) * -1))  # to the pair of seed 1
    cells = compare([saved(tmp_path, v, system=s, seed=seed, run_id=f"{s}-{seed}") for s, seed, v in rows[:3]])
    assert [cell.against for cell in cells] == ["", "", "truth"]


@pytest.mark.parametrize(("scored", "paired"), [(1, False), (2, True)])
def test_one_scored_sample_makes_no_difference(tmp_path: Path, scored: int, paired: bool) -> None:
    values = np.array([0.5, 0.7, *[np.nan] * 6])
    values[scored:] = np.nan
    first, second = (saved(tmp_path, values, system=s, n_scored=scored, n_unscored=8 - scored) for s in "ab")
    assert (compare([first, second])[1].difference is not None) == paired


@pytest.mark.parametrize(("scored", "paired"), [(7, False), (8, True)])
def test_resamplings_of_unequal_counts_do_not_pair(tmp_path: Path, scored: int, paired: bool) -> None:
    cells = []
    for system, n in (("a", 8), ("b", scored)):
        r = record(system=system, run_id=system, n_scored=n, n_unscored=8 - n)
        folder = folder_of(tmp_path, system)
        score = Score(0.5, 0.1, n, 8 - n, replicates=np.random.default_rng(0).normal(0.5, 0.1, 40))
        save(folder, r, score, [{"id": str(i)} for i in range(8)])
        cells.append((folder, r))
    assert (compare(cells)[1].difference is not None) == paired


@pytest.mark.parametrize("hole", [3, 5])
def test_resamplings_pair_only_when_the_same_samples_are_missing(tmp_path: Path, hole: int) -> None:
    cells = []
    for system, missing in (("a", 3), ("b", hole)):
        r = record(system=system, run_id=system, n_scored=7)
        folder = folder_of(tmp_path, system)
        score = Score(0.5, 0.1, 7, replicates=np.random.default_rng(hole).normal(0.5, 0.1, 40))
        save(folder, r, score, [None if i == missing else {"id": str(i)} for i in range(8)])
        cells.append((folder, r))
    assert (compare(cells)[1].difference is not None) == (hole == 3)


def test_counts_name_every_reason() -> None:
    r = record(n_expected=20, n_present=15, n_failed=2, n_unscored=4, n_scored=11)
    assert count_text(r) == "11/20 (4 unscored, 2 failed, 3 missing)"
    assert count_text(record()) == "8"


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.31234, 0.0213, "0.312 ± 0.021"),
        (447.2, 12.3, "447 ± 12"),
        (0.5, None, "0.500"),
        (None, None, None),
        (1.0, 0.0, "1.000 ± 0.000"),
    ],
)
def test_a_number_shows_the_digits_its_error_allows(value: float | None, error: float | None, text: str | None) -> None:
    assert with_error(value, error) == text


def test_the_pivot_puts_ground_truth_first_and_independent_last() -> None:
    systems = ["independent", "zeta", "ground_truth", "alpha"]
    layout = pivot([record(system=s) for s in systems])
    assert [row["system"] for row in layout.rows] == ["ground_truth", "alpha", "zeta", "independent"]
    assert layout.columns[-1] == "m.v ↑"


def test_a_record_row_shows_what_stands_beside_the_value() -> None:
    details = {"num_reference": 64, "kvd": 0.4123, "kvd_stderr": 0.06, "floor": 3.2, "infinity": None, "by": "clip"}
    row = record_row(asdict(record(details={**details, "infinity_stderr": None})))
    assert row["beside"] == "num_reference 64, kvd 0.412 ± 0.060, floor 3.200"
    assert record_row(asdict(record()))["beside"] is None


def test_a_record_row_shows_interval_and_signature() -> None:
    row = record_row(asdict(record()))
    assert row["95 %"] == "[0.30, 0.70]"
    assert row["signature"].startswith("m|v|")


def test_words_about_the_clips_keep_no_records_apart() -> None:
    now = {"dataset": "d", "n": 8, "formats": ["16x64x64@8+32000@16000"], "differs": "real clips are long; yours short"}
    older = record(system="older", reference={"dataset": "d", "n": 8})
    comparing.comparable([older, record(reference=now)])
    assert any("yours short" in note for note in comparing.list_caveats([older, record(reference=now)]))
    with pytest.raises(MMBenchError, match="across reference"):
        comparing.comparable([older, record(reference={**now, "n": 9})])


def test_how_many_samples_had_a_real_clip_keeps_no_records_of_pairs_apart() -> None:
    pairs = {"dataset": "d", "n": 8, "paired_by": "file name"}
    ours, theirs = record(reference=pairs), record(system="b", reference={**pairs, "n": 7, "paired_by": "id"})
    comparing.comparable([ours, theirs])
    with pytest.raises(MMBenchError, match="across reference"):
        comparing.comparable([ours, record(reference={**pairs, "dataset": "e"})])


def test_a_record_row_says_why_samples_are_not_scored_and_what_they_were_compared_with() -> None:
    row = record_row(
        asdict(
            record(
                n_scored=5,
                n_unscored=3,
                unscored={"no prompt": 3},
                reference={"dataset": "d", "n": 8, "differs": "real clips are long; yours short"},
                fitted="cut by 768 samples",
                details={"infinity": 0.1, "infinity_stderr": 0.1, "infinity_low": -0.25, "infinity_high": 0.05},
            )
        )
    )
    assert row["n"] == "5/8 (3 unscored); 3 for: no prompt"
    assert row["beside"] == (
        "infinity 0.10 ± 0.10, 95 % at infinite n from these real clips [-0.25, 0.05]; "
        "real clips: 8 of d; real clips are long; yours short; cut by 768 samples"
    )


def test_samples_above_1_of_all_systems_are_one_line() -> None:
    records = [record(system=s, details={"above_1": k}) for s, k in (("a", 2), ("b", 0), ("c", 1))]
    assert comparing.list_caveats(records) == ["Samples above 1 under m.v: a 2 of 8, c 1 of 8."]


def test_why_samples_are_not_scored_is_told_once_for_all_metrics() -> None:
    unscored = {"n_scored": 0, "n_unscored": 8, "unscored": {"no prompt": 8}}
    records = [record(system="a", metric=metric, **unscored) for metric in ("tv.x", "ta.x")]
    layout = pivot([record(system="a"), *records])
    assert "Not scored, a: tv 8 of 8, ta 8 of 8 (no prompt)." in layout.notes
    assert [row.to_text()["n"] for row in layout.table] == ["8"]


@pytest.mark.parametrize(
    ("dataset", "words"), [("folder:real_clips", "8 of folder:real_clips"), ("bounce", "8 of folder")]
)
def test_real_clips_are_called_as_they_were_named(dataset: str, words: str) -> None:
    mine = record(dataset=dataset, reference={"dataset": "folder", "n": 8})
    assert f"Distances fall with n: compare equal n alone. Real clips: {words}." in comparing.list_caveats([mine])
    assert record_row(asdict(mine))["beside"] == f"real clips: {words}"
