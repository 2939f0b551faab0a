"""Values and differences by groups of samples: what is in each, what has none, and one correction for all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.runs.spec import RunSpec
from mmbench.runs.store import create_run_folder
from mmbench.scores.records import Scored, save
from mmbench.statistics.estimates import mean_estimate
from mmbench.statistics.paired import holm
from mmbench.tables.groups import ALL, UNNAMED, group_of, split_score
from mmbench.tables.side_by_side import Comparison, compare_sets
from mmbench.types import Score
from tests.builders import record

Sample = tuple[str, float, str]  # file name, value, kind


def submitted(out: Path, name: str, samples: list[Sample], **changes: Any) -> list[Scored]:
    """A submission's scores; a sample of the kind "-" has no label, one of "!" is missing."""
    run = RunSpec(name, "none", 0, "real", {"submission": name})
    folder = create_run_folder(out, run)
    values = np.array([value for _, value, _ in samples])
    there = [kind != "!" for _, _, kind in samples]
    about = {"run_id": run.run_id, "digest": run.digest, "system": name, "value": float(np.nanmean(values))}
    about |= {"n_expected": len(samples), "n_scored": sum(there), "n_failed": len(there) - sum(there)}
    made = record(**{**about, **changes})
    score = Score(float(np.nanmean(values)), 0.1, sum(there), per_sample=values)
    rows: list[dict[str, Any]] = [
        {"missing": True, "id": id, "failed": "no video"}
        if kind == "!"
        else {"id": id, "text": f"a {kind}"} | ({} if kind == "-" else {"labels": {"kind": kind}})
        for id, _, kind in samples
    ]
    save(folder, made, score, rows)
    return [Scored(folder, made, score)]


ONE = [
    ("a", 0.1, "cat"),
    ("b", 0.5, "dog"),
    ("c", 0.3, "cat"),
    ("d", 0.9, "dog"),
    ("e", np.nan, "dog"),
    ("f", 0.7, "-"),
]
TWO = [("d", 1.2, "dog"), ("a", 0.4, "cat"), ("b", 0.6, "dog"), ("c", 0.5, "cat"), ("g", 0.0, "owl"), ("f", 0.2, "-")]


def by_group(found: Comparison) -> dict[tuple[str, str], Any]:
    """Cells by group and system."""
    return {(cell.group, cell.record.system): cell for column in found.columns for cell in column}


def test_a_group_has_the_mean_interval_and_counts_of_its_samples(tmp_path: Path) -> None:
    (scored,) = submitted(tmp_path, "one", [*ONE, ("h", np.nan, "!")], details={"above_1": 3}, baseline=0.2)
    parts = split_score(scored, "kind")
    assert list(parts) == ["cat", "dog", UNNAMED]
    dogs, expected = parts["dog"].scored.record, mean_estimate(np.array([0.5, 0.9, np.nan]))
    assert (dogs.value, dogs.stderr, dogs.low, dogs.high) == (
        pytest.approx(expected.value),
        pytest.approx(expected.stderr),
        pytest.approx(expected.low),
        pytest.approx(expected.high),
    )
    assert (dogs.n_expected, dogs.n_scored, dogs.n_unscored, dogs.n_failed) == (3, 2, 1, 0)
    assert (dogs.baseline, dogs.details) == (None, {})
    assert sum(part.scored.record.n_expected for part in parts.values()) == len(ONE), "missing ones are in no group"


def test_differences_of_a_group_are_over_its_pairs_and_corrected_with_all_others(tmp_path: Path) -> None:
    found = compare_sets([submitted(tmp_path, "one", ONE), submitted(tmp_path, "two", TWO)], by="kind")
    cells = by_group(found)
    assert list(dict.fromkeys(group for group, _ in cells)) == [ALL, "cat", "dog", "owl", UNNAMED]
    cats, dogs = cells["cat", "two"].difference, cells["dog", "two"].difference
    assert (cats.value, cats.n) == (pytest.approx((0.3 + 0.2) / 2), 2)
    assert (dogs.value, dogs.n) == (pytest.approx((0.1 + 0.3) / 2), 2)
    assert cells["cat", "two"].wins.share == 1.0
    assert cells["owl", "two"].difference is None
    assert cells[UNNAMED, "two"].difference is None
    three = [cells[group, "two"] for group in (ALL, "cat", "dog")]
    expected = holm([cell.difference.p_value for cell in three])
    assert [cell.p_adjusted for cell in three] == pytest.approx(list(expected))
    alone = compare_sets([submitted(tmp_path, "one", ONE), submitted(tmp_path, "two", TWO)])
    assert by_group(alone)["", "two"].difference == cells[ALL, "two"].difference


def test_a_group_holds_its_own_samples_alone_so_that_many_groups_cost_no_more_than_few(tmp_path: Path) -> None:
    samples = [(f"{i}", i / 40, f"kind {i % 20}") for i in range(40)]
    (one,) = submitted(tmp_path, "one", samples)
    (two,) = submitted(tmp_path, "two", [(id, value**2, kind) for id, value, kind in reversed(samples)])
    assert sum(len(group.scored.score.per_sample) for group in split_score(one, "kind").values()) == len(samples)
    cells = [cell for column in compare_sets([[one], [two]], by="kind").columns for cell in column]
    of_groups = [cell for cell in cells if cell.group != ALL and cell.record.system == "two"]
    assert len(of_groups) == 20
    assert sum(len(cell.score.per_sample) for cell in of_groups) == len(samples)
    assert [cell.difference.n for cell in of_groups] == [2] * 20


def test_small_groups_and_distances_are_said(tmp_path: Path) -> None:
    sets = [submitted(tmp_path, "one", ONE), submitted(tmp_path, "two", TWO)]
    for (scored,) in sets[:]:
        distance = replace(scored.record, metric="fvd.v", value=3.0)
        score = Score(3.0, 0.1, 6, replicates=np.random.default_rng(0).normal(3, 1, 40))
        save(scored.folder, distance, score, [{"id": str(i)} for i in range(6)])
        sets[sets.index([scored])].append(Scored(scored.folder, distance, score))
    found = compare_sets(sets, by="kind")
    assert {cell.group for column in found.columns for cell in column if cell.record.metric == "fvd.v"} == {ALL}
    assert "Fewer than 2 samples scored, so no error and no difference: owl, none." in found.notes
    assert any(note.startswith("fvd.v: over all samples alone; a distance between sets falls") for note in found.notes)
    assert not any("cat" in note for note in found.notes)


def test_one_set_alone_is_grouped(tmp_path: Path) -> None:
    cells = by_group(compare_sets([submitted(tmp_path, "one", ONE)], by="prompt"))
    assert [group for group, _ in cells] == [ALL, "a -", "a cat", "a dog"]
    assert cells["a cat", "one"].record.value == pytest.approx(0.2)


def test_a_sample_is_of_the_group_that_its_prompt_or_label_names() -> None:
    sample = {"id": "a", "text": "a dog", "labels": {"kind": "dog"}}
    assert (group_of(sample, "prompt"), group_of(sample, "kind"), group_of(sample, "size")) == ("a dog", "dog", "")
