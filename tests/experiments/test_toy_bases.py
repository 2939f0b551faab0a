"""`mmbench toy` with base models of other kinds: what it takes, refuses and records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmbench.errors import UsageError
from mmbench.experiments.training.toy import COLUMNS, count_records, name_columns, parse_bases, parse_pairing
from tests.commands import mmbench_here


def test_pairs_of_bases_come_with_commas_and_repeated_and_once() -> None:
    assert parse_bases(["eps/eps, v/flow", "flow/v,eps/eps"]) == [("eps", "eps"), ("v", "flow"), ("flow", "v")]


@pytest.mark.parametrize("wrong", ["flow", "eps/edm", "eps/eps,", "v/v/v"])
def test_other_bases_are_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="Unknown pair of base models"):
        parse_bases([wrong])


def test_pairings_of_training_and_sampling() -> None:
    assert parse_pairing("index") == ("index", "index")
    assert parse_pairing("log_snr") == ("log_snr", "log_snr")
    assert parse_pairing("log_snr/index") == ("log_snr", "index")
    with pytest.raises(UsageError, match="Unknown pairing 'band'"):
        parse_pairing("band")


def test_columns_name_what_is_not_the_paper_s() -> None:
    drawn = {"bases": None, "pairing": None, "sampler": None}
    published = {"bases": "eps/eps", "pairing": "index", "sampler": "ancestral"}
    assert set(COLUMNS) - set(name_columns([drawn, published])) == set(published)
    assert "sampler" in name_columns([published, {**published, "sampler": "ode"}])
    assert "bases" not in name_columns([published, {**published, "sampler": "ode"}])


@pytest.mark.e2e
@pytest.mark.thorough
def test_a_pair_of_flows_is_trained_sampled_both_ways_and_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["toy", "--quick", "--seeds", "1", "--setting", "ind", "--loss", "all", "--format", "json", "--no-figures"]
    flows = ["--bases", "flow/flow", "--steps", "250", "--sampler", "ancestral", "--sampler", "ode"]
    result = mmbench_here(capsys, *quick, *flows, "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    rows = {(row["method"], row["sampler"]): row for row in json.loads(result.stdout)}
    records = (tmp_path / "records.jsonl").read_text().splitlines()
    assert len(rows) == len(records) == count_records(1, 1, 1, 1, 1, 2) == 10
    last = json.loads(records[-1])
    assert (last["bases"], last["sampler"], last["config"]["steps"]) == ("flow/flow", "ode", 250)
    assert rows["all", "ode"]["paper NLL"] is None
    assert rows["gt", None]["paper NLL"] == "1.67"
    for sampler in ("ancestral", "ode"):
        excess = {m: rows[m, sampler]["numbers"]["excess"] for m in ("exact", "no_joint", "all")}
        assert abs(excess["exact"]) < 0.3
        assert excess["all"] < 0.5 * excess["no_joint"]


def test_wrong_bases_are_told_what_to_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = mmbench_here(capsys, "toy", "--bases", "flow", "--out", tmp_path / "out")
    assert result.returncode == 2
    assert "mmbench toy --bases flow/flow" in result.stderr
    result = mmbench_here(capsys, "toy", "--steps", "0", "--out", tmp_path / "out")
    assert result.returncode == 2
    assert "mmbench toy --steps 3000" in result.stderr
    assert not (tmp_path / "out").exists()
