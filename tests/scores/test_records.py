"""Records and what stands behind them are whole on disk, or refused by name."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from mmbench.errors import IntegrityError
from mmbench.files import read_lines
from mmbench.scores import records
from mmbench.scores.records import finite, parse_record, read_records, read_samples, read_score, read_scored, save
from mmbench.tables.packed import read_packed
from mmbench.types import Score
from tests.builders import record
from tests.conftest import REPOSITORY

SAMPLES = [{"id": str(i), "text": "t"} for i in range(2)]
PER_SAMPLE = Score(0.5, 0.1, 1, per_sample=np.array([0.5, np.nan]))
OF_A_SET = Score(0.5, 0.1, 2, replicates=np.array([0.25, 0.75, math.pi]))


def test_samples_behind_a_score_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, made := record(n_expected=2), PER_SAMPLE, [SAMPLES[0], None])
    read = list[Path]()
    monkeypatch.setattr(records, "read_lines", lambda path: [read.append(path), read_lines(path)][1])
    found = read_scored(tmp_path, made)
    assert (found.score.per_sample.tolist()[0], found.absent) == (0.5, (1,))
    assert len(read) == 1


@pytest.mark.parametrize("score", [PER_SAMPLE, OF_A_SET], ids=["per sample", "of a set"])
def test_the_record_comes_last_and_all_before_it_is_renamed_into_place(
    score: Score, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed, replace = list[str](), os.replace

    def rename(source: Any, target: Any) -> None:
        assert not (tmp_path / "records.jsonl").exists(), "a record must not speak of files that are not there"
        renamed.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", rename)
    save(tmp_path, record(n_expected=2), score, SAMPLES)
    assert sorted(renamed) == sorted(p.name for p in (tmp_path / "scores").iterdir())
    assert len(read_records(tmp_path)) == 1


def test_scores_are_read_back_as_they_were(tmp_path: Path) -> None:
    a, b = record(n_expected=2, details={"kvd": 1.0}), record(n_expected=2, metric="other.v", signature="other|v")
    save(tmp_path, a, PER_SAMPLE, SAMPLES)
    save(tmp_path, b, OF_A_SET, [SAMPLES[0], None])
    assert read_records(tmp_path) == [a, b]
    back, of_set = read_score(tmp_path, a), read_score(tmp_path, b)
    np.testing.assert_array_equal(back.per_sample, PER_SAMPLE.per_sample)
    np.testing.assert_array_equal(of_set.replicates, OF_A_SET.replicates)
    assert back.replicates is None
    assert of_set.per_sample is None
    assert (back.value, back.stderr, back.details) == (a.value, a.stderr, {"kvd": 1.0})
    assert read_samples(tmp_path, b)[1] == {"index": 1, "missing": True}


def test_the_latest_of_a_signature_and_n_counts(tmp_path: Path) -> None:
    for value, n in ((0.1, 8), (0.2, 8), (0.3, 16)):
        save(tmp_path, record(value=value, n_expected=n), Score(value, None, n), [None] * n)
    assert [r.value for r in read_records(tmp_path)] == [0.2, 0.3]
    assert read_records(tmp_path / "nowhere") == []


def test_damage_is_named(tmp_path: Path) -> None:
    r = record(n_expected=2)
    save(tmp_path, r, PER_SAMPLE, SAMPLES)
    (values,) = (tmp_path / "scores").iterdir()
    values.write_text(values.read_text().splitlines()[0] + "\n")
    with pytest.raises(IntegrityError, match="1 samples where 2 are expected"):
        read_samples(tmp_path, r)
    values.unlink()
    with pytest.raises(IntegrityError, match="samples behind"):
        read_score(tmp_path, r)
    lines = tmp_path / "records.jsonl"
    lines.write_text(lines.read_text() + json.dumps({"run_id": "x"}) + "\n")
    with pytest.raises(IntegrityError, match=r"records\.jsonl line 2 is corrupt"):
        read_records(tmp_path)


def test_what_json_cannot_say_becomes_none() -> None:
    assert [finite(x) for x in (math.nan, math.inf, None, 0.0)] == [None, None, None, 0.0]


def test_an_older_interval_at_infinite_n_is_not_taken_for_that_of_the_value() -> None:
    older = asdict(record(value=0.5, stderr=0.1, low=-0.01, high=0.3, details={"infinity": -0.1}))
    for name in ("n_missing", "unscored", "fitted"):
        del older[name]
    found = parse_record(older)
    assert (found.low, found.high) == pytest.approx((0.304, 0.696), abs=1e-4)
    assert (found.details["infinity_low"], found.details["infinity_high"]) == (-0.01, 0.3)
    assert (found.n_missing, dict(found.unscored), found.fitted) == (None, {}, "")
    assert parse_record(asdict(found)) == found


def test_no_interval_on_record_excludes_its_value() -> None:
    runs = read_packed(REPOSITORY / "results" / "tiny" / "runs.jsonl").runs
    distances = [r for run in runs for r in run.records if r.reference]
    assert distances
    assert all(r.low <= r.value <= r.high for r in distances if r.stderr is not None)


def test_no_flipped_bit_of_records_or_scores_is_read_as_another_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scores = {"a.v": PER_SAMPLE, "b.v": OF_A_SET}
    records = [record(n_expected=2, metric=name, signature=f"{name}|v", details={"kvd": 1.0}) for name in scores]
    for r in records:
        save(tmp_path, r, scores[r.metric], SAMPLES)
    rng, silent = Random(0), []
    for path in [tmp_path / "records.jsonl", *(tmp_path / "scores").iterdir()]:
        whole = path.read_bytes()
        for _ in range(60):
            changed = bytearray(whole)
            changed[at := rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
            path.write_bytes(changed)
            caplog.clear()
            try:
                found = read_records(tmp_path), [read_score(tmp_path, r).per_sample for r in records]
                draws = read_score(tmp_path, records[1]).replicates
                same = found[0] == records and np.array_equal(found[1][0], PER_SAMPLE.per_sample, equal_nan=True)
                if not ((same and np.array_equal(draws, OF_A_SET.replicates)) or "cut off" in caplog.text):
                    silent.append((path.name, at))
            except IntegrityError as error:
                if str(tmp_path) not in error.found or not error.next:
                    silent.append((path.name, at))
        path.write_bytes(whole)
    assert silent == []


def test_a_record_that_was_cut_off_at_the_end_of_its_line_is_missed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.v", "b.v"):
        save(tmp_path, record(n_expected=2, metric=name, signature=name), PER_SAMPLE, SAMPLES)
    path = tmp_path / "records.jsonl"
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    assert [r.metric for r in read_records(tmp_path)] == ["a.v"]
    assert "has no record of b.v-n2" in caplog.text
    assert f"mmbench evaluate {tmp_path}" in caplog.text


def test_replicates_of_older_versions_are_read(tmp_path: Path) -> None:
    r = record(n_expected=2)
    save(tmp_path, r, OF_A_SET, SAMPLES)
    (draws,) = (tmp_path / "scores").glob("*.safetensors")
    np.save(draws.with_suffix(".npy"), OF_A_SET.replicates)
    draws.unlink()
    np.testing.assert_array_equal(read_score(tmp_path, r).replicates, OF_A_SET.replicates)
