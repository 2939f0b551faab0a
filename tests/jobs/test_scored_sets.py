"""Of several records of one metric the one is chosen that the other sets have, too."""

from __future__ import annotations

from pathlib import Path

from mmbench.jobs.scored_sets import Found, choose
from mmbench.scores.records import save
from mmbench.types import Score
from tests.builders import record


def recorded(out: Path, system: str, dataset: str, time: str, reference: bool = True) -> Found:
    """A distance of a system to real clips of a dataset, with its folder."""
    about = {"system": system, "dataset": dataset, "time": time}
    r = record(**about, reference={"dataset": dataset, "n": 8} if reference else None)
    folder = out / f"{system}-{dataset}"
    folder.mkdir(exist_ok=True)
    save(folder, r, Score(0.5, 0.1, 8), [None] * 8)
    return [(folder, r)]


def test_a_later_distance_to_other_real_clips_hides_no_comparable_one(tmp_path: Path) -> None:
    mine = [*recorded(tmp_path, "a", "bounce", "2026-01-01"), *recorded(tmp_path, "a", "folder:x", "2026-01-02")]
    yours = recorded(tmp_path, "b", "bounce", "2026-01-01")
    assert [s.record.dataset for s in choose(mine, [mine, yours])] == ["bounce"]
    assert [s.record.dataset for s in choose(mine, [mine])] == ["folder:x"]


def test_of_means_over_samples_the_latest_counts_whatever_the_dataset(tmp_path: Path) -> None:
    mine = [
        *recorded(tmp_path, "a", "bounce", "2026-01-01", reference=False),
        *recorded(tmp_path, "a", "none", "2026-01-02", reference=False),
    ]
    yours = recorded(tmp_path, "b", "bounce", "2026-01-01", reference=False)
    assert [s.record.dataset for s in choose(mine, [mine, yours])] == ["none"]
