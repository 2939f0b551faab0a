"""A table shows the newest set that compares and names the rest; variants of one system stand side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mmbench.runs.spec import RunSpec
from mmbench.runs.store import create_run_folder
from mmbench.scores.records import save
from mmbench.tables import newest
from mmbench.tables.newest import newest_set
from mmbench.tables.table import pivot
from mmbench.types import Score
from tests.builders import record
from tests.commands import mmbench_here


def add(
    out: Path,
    system: str,
    n: int = 8,
    seed: int = 0,
    time: str = "1",
    code: str = "a",
    signature: str = "",
    **options: Any,
) -> str:
    """A run with one record; returns its id."""
    spec = {"system": {"name": system, "code": code, **options}, "seed": seed, "dataset": {"name": "d"}}
    run = RunSpec(system, "d", seed, "real", spec)
    folder = create_run_folder(out, run)
    about: dict[str, Any] = {"run_id": run.run_id, "digest": run.digest, "system": system, "seed": seed}
    about |= {"signature": signature} if signature else {}
    made = record(**about, n_expected=n, n_present=n, n_scored=n, time=f"2026-01-0{time}T00:00:00Z")
    save(folder, made, Score(0.5, 0.1, n), [{"id": str(i)} for i in range(n)])
    return run.run_id


def systems(out: Path) -> list[str]:
    """Rows of the table, which must not be refused."""
    return [str(row["system"]) for row in pivot(newest_set(out).records).rows]


def test_the_newest_n_and_seed_is_shown_and_the_rest_named_with_its_command(tmp_path: Path, capsys: Any) -> None:
    for system in ("a", "b"):
        add(tmp_path, system, n=64)
        add(tmp_path, system, n=16, seed=1, time="2")
    add(tmp_path, "c", n=64)
    found = newest_set(tmp_path)
    assert {(r.n_expected, r.seed) for r in found.records} == {(16, 1)}
    (note,) = found.notes
    assert note.startswith("Not shown, d with n = 64 and seed 0: a, b, c. try: mmbench table -d d -n 64 --seed 0")
    typed = mmbench_here(capsys, *note.partition("try: mmbench ")[2].split())
    assert typed.returncode == 0, typed.stderr
    for system in ("a", "b", "c"):
        assert system in typed.stdout.split()


def test_many_runs_are_looked_at_no_more_often_each_than_few(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    for number in (20, 40):
        looks, compared = list[str](), list[int]()

        class Run:
            spec, place = RunSpec("s", "d", 0, "real", {}), Path("runs")
            home = place

            def __init__(self, name: str) -> None:
                self._name = name

            @property
            def name(self) -> str:
                looks.append(self._name)  # noqa: B023
                return self._name

        found = [(Run(f"r{k}"), record(system=f"s{k}", run_id=f"r{k}")) for k in range(number)]
        monkeypatch.setattr(newest, "find_records", lambda *_, found=found, **__: found)
        monkeypatch.setattr(newest, "comparable", lambda records, compared=compared, **_: compared.append(len(records)))
        monkeypatch.setattr(newest, "name_out", lambda _: [])
        assert len(newest_set(Path("runs")).records) == number
        counts.append((len(looks), sum(compared)))
    assert counts[1][0] <= 2.2 * counts[0][0]
    assert counts[1][1] <= 2.2 * counts[0][1]


def test_variants_of_one_system_stand_together_under_their_options(tmp_path: Path) -> None:
    for steps in (2, 30):
        add(tmp_path, "a", steps=steps)
    add(tmp_path, "b")
    assert systems(tmp_path) == ["a (steps=2)", "a (steps=30)", "b"]


def test_two_trained_discriminators_stand_together_under_their_digests(tmp_path: Path) -> None:
    for k in (1, 2):
        add(tmp_path, "a+mmdisco", mmdisco={"design": "res_mlp", "weights": str(k) * 32})
    assert sorted(systems(tmp_path)) == [f"a+mmdisco (mmdisco weights={str(k) * 8})" for k in (1, 2)]


def test_of_runs_that_only_code_tells_apart_the_latest_counts(tmp_path: Path) -> None:
    old, new = add(tmp_path, "a", code="old"), add(tmp_path, "a", code="new", time="2")
    found = newest_set(tmp_path)
    assert [r.run_id for r in found.records] == [new]
    assert found.notes == [f"{old} was made by older code: {new} is shown."]


def test_what_has_another_signature_is_left_out_and_named(tmp_path: Path, capsys: Any) -> None:
    for system in ("a", "b"):
        add(tmp_path, system)
    odd = add(tmp_path, "odd", time="2", signature="m|v|extractors:e-1|size:longer|version:1")
    assert systems(tmp_path) == ["a", "b"]
    (note,) = newest_set(tmp_path).notes
    assert note == (
        f"Not shown, m.v of odd: its signature is not that of the others. try: mmbench show {odd} --out {tmp_path}"
    )
    assert mmbench_here(capsys, *note.partition("try: mmbench ")[2].split()).returncode == 0
    assert mmbench_here(capsys, "table", "--out", tmp_path).returncode == 0
