"""Sets of samples side by side: differences over what pairs, wins, what n it would take, what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.errors import MMBenchError, UsageError
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import create_run_folder
from mmbench.scores.records import Scored, save
from mmbench.statistics.paired import count_wins
from mmbench.tables.marks import note_needs, round_up
from mmbench.tables.side_by_side import compare_sets
from mmbench.types import Score
from tests.builders import record


def submitted(
    out: Path, name: str, values: dict[str, float], seed: int = 0, content: str = "", **changes: Any
) -> list[Scored]:
    """A submission's scores: value per file name."""
    run = RunSpec(name, "none", seed, "real", {"submission": content or name})
    folder = create_run_folder(out, run)
    n = len(values)
    array = np.array(list(values.values()), np.float64)
    about = {"run_id": run.run_id, "digest": run.digest, "system": name, "n_expected": n, "n_scored": n}
    made = record(**{**about, "value": float(array.mean()), "seed": seed, **changes})
    score = Score(made.value or 0.0, 0.1, n, per_sample=array)
    save(folder, made, score, [{"id": key} for key in values])
    return [Scored(folder, made, score)]


A = {"a": 0.1, "b": 0.5, "c": 0.3, "d": 0.9}


def test_differences_are_over_the_samples_that_pair(tmp_path: Path) -> None:
    second = {"x": 9.0, "d": 1.1, "b": 0.6, "a": 0.2}
    found = compare_sets([submitted(tmp_path, "one", A), submitted(tmp_path, "two", second)])
    cell = found.columns[0][1]
    assert cell.difference is not None
    assert cell.difference.value == pytest.approx((0.1 + 0.1 + 0.2) / 3)
    assert (cell.difference.n, cell.against) == (3, "one")
    assert cell.wins is not None
    assert (cell.wins.share, cell.wins.n) == (1.0, 3)
    assert found.notes[0] == "two to one: paired by file name, 3 of 4; only in one: c; only in two: x."


def test_the_baseline_is_whom_the_user_names(tmp_path: Path) -> None:
    sets = [submitted(tmp_path, name, {k: v + d for k, v in A.items()}) for name, d in (("one", 0), ("two", 1))]
    found = compare_sets(sets, "two")
    assert [cell.against for cell in found.columns[0]] == ["two", ""]
    with pytest.raises(UsageError, match="None of what is compared is called 'three'"):
        compare_sets(sets, "three")


def test_sets_of_one_name_are_told_apart(tmp_path: Path) -> None:
    first, second = submitted(tmp_path / "a", "one", A), submitted(tmp_path / "b", "one", A, content="1" * 32)
    names = [cell.record.system for cell in compare_sets([first, second]).columns[0]]
    assert len(set(names)) == 2
    assert names[1] == "one (submission=11111111)"


def test_a_metric_that_does_not_compare_is_left_out_and_named(tmp_path: Path) -> None:
    one = submitted(tmp_path, "one", A)
    two = submitted(tmp_path, "two", A, signature="m|v|extractors:e-2|size:s|version:1")
    with pytest.raises(MMBenchError, match="cannot be compared across signature"):
        compare_sets([one, two])
    other = [submitted(tmp_path / "more", n, A, metric="k.v")[0] for n in ("one", "two")]
    found = compare_sets([[*one, other[0]], [*two, other[1]]])
    assert [column[0].record.metric for column in found.columns] == ["k.v"]
    assert any("m.v cannot be compared across signature" in note for note in found.notes)


def test_clips_of_another_size_compare_with_a_note(tmp_path: Path) -> None:
    two = submitted(tmp_path, "two", A, signature="m|v|extractors:e-1|size:big|version:1")
    found = compare_sets([submitted(tmp_path, "one", A), two])
    assert any("one: s; two: big" in note for note in found.notes)


def test_an_uncertain_difference_says_what_n_it_needs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, 40)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    keys = [f"k{i}" for i in range(40)]
    near = [submitted(tmp_path, "one", dict.fromkeys(keys, 0.0))]
    near.append(submitted(tmp_path, "two", dict(zip(keys, noise + 0.1, strict=True))))
    found = compare_sets(near)
    needs = found.columns[0][1].needs
    assert needs is not None
    assert 600 < needs < 1000  # (1.96 + 0.84)^2 / 0.1^2 = 784 at a scatter of 1
    (line,) = note_needs(found.columns[0])
    assert line.endswith(f"two: m {round_up(needs)}.")


def test_wins_count_ties_half_and_leave_unscored_pairs_out() -> None:
    a = np.array([0.0, 0.0, 0.0, np.nan, 0.0])
    b = np.array([1.0, 0.0, 1.0, 1.0, -1.0])
    won = count_wins(a, b, higher_is_better=True)
    assert won is not None
    assert (won.share, won.n) == (0.625, 4)
    lost = count_wins(a, b, higher_is_better=False)
    assert lost is not None
    assert lost.share == pytest.approx(0.375)
    assert (lost.low, lost.high) == pytest.approx((1 - won.high, 1 - won.low))
    assert count_wins(a[:0], b[:0], higher_is_better=True) is None


def test_the_interval_of_wins_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        won = count_wins(np.zeros(50), rng.random(50) - 0.3, higher_is_better=True)
        assert won is not None
        held += won.low <= 0.7 <= won.high
    assert 0.92 <= held / 400 <= 0.98


def test_counts_are_rounded_up_to_two_digits() -> None:
    assert [round_up(n) for n in (7, 42, 101, 1843)] == [7, 42, 110, 1900]
