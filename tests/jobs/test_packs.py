"""A packed run is read, scored and shown as a loose one is, and what to type is said where it cannot be packed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.features.cache import FeatureCache
from mmbench.jobs.export_material import gather_material
from mmbench.jobs.list import list_runs, merge
from mmbench.jobs.packs import pack_samples, unpack_samples
from mmbench.jobs.show import show
from mmbench.pictures.columns import open_columns
from mmbench.runs.generate import generate
from mmbench.runs.spec import RunSpec, make_requests
from mmbench.runs.store import SampleStore
from mmbench.scores.evaluate import Evaluation, stored_samples
from mmbench.types import FeatureTable, Score
from tests.builders import Mean
from tests.commands import mmbench_here
from tests.fixture_distribution.mmbench_fixture import FixtureDataset, FixtureSystem

N = 4
RUN = RunSpec("s", "d", 0, "none", {})


class Bright:
    """Mean brightness, by a network that counts its calls."""

    name, variant, version, higher_is_better, needs_reference = "bright", "plain", 1, True, False

    def __init__(self) -> None:
        self.network = Mean("video", batch_size=4)

    def extractors(self) -> Sequence[Mean]:
        return [self.network]

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        values = np.array([np.nan if row is None else float(row["mean"]) for row in features[self.network.name]])
        return Score(float(np.nanmean(values)), 0.5, int(np.sum(~np.isnan(values))), per_sample=values)


@pytest.fixture
def store(tmp_path: Path) -> SampleStore:
    made = SampleStore.create(tmp_path / "runs", RUN)
    generate(made, FixtureSystem(), make_requests(FixtureDataset(), N, 0))
    return made


def scored(store: SampleStore, features: Path) -> tuple[dict[str, Any], list[Any], int]:
    """The record of a run, the lines of its samples, and how many clips a network saw for it."""
    metric = Bright()
    with FeatureCache(features) as cache:
        found = Evaluation([metric], None, cache, workers=1).score(RUN, *stored_samples(store, N))
    record = asdict(found.records[0])
    return {name: value for name, value in record.items() if name != "time"}, found.samples, metric.network.calls


def test_scores_are_the_same_and_no_feature_is_computed_twice(store: SampleStore, tmp_path: Path) -> None:
    loose = scored(store, tmp_path / "features")
    assert loose[2] == N
    store.pack()
    assert scored(store, tmp_path / "features") == (*loose[:2], 0)
    assert scored(store, tmp_path / "others") == loose


def test_what_looks_at_runs_sees_the_same(store: SampleStore, tmp_path: Path) -> None:
    def look() -> Any:
        shown = show(str(store.folder), store.folder.parent, verify=True)
        shown["samples"].pop("packs", None)
        (column,) = open_columns([store.folder], store.folder.parent)
        material = gather_material(str(store.folder), store.folder.parent, None)
        clips = [source.load().digest() for source in (*material.sources, *column.sources) if source]
        return shown, list_runs(store.folder.parent), column.samples, material.pieces, material.contents, clips

    before = look()
    assert before[0]["verified"] == N
    (row,) = pack_samples([store.folder.parent])
    assert (row["samples"], row["moved"], row["packs"], row["loose"]) == (N, N, 1, 0)
    assert show(str(store.folder), store.folder.parent)["samples"] == {"present": N, "failed": 0, "packs": 1}
    assert look() == before
    (row,) = merge([store.folder], tmp_path / "others")
    assert (row["added"], row["present"]) == (N, N)
    (row,) = unpack_samples([store.folder])
    assert (row["samples"], row["moved"], row["packs"], row["loose"], row["pack bytes"]) == (N, N, 0, N, 0)
    assert look() == before


def test_unpacking_names_what_was_damaged_in_its_pack(store: SampleStore, caplog: pytest.LogCaptureFixture) -> None:
    store.pack()
    (pack,) = store.packs.files()
    data = pack.read_bytes()
    pack.write_bytes(data.replace(b'"prompt_id"', b'"pr0mpt_id"', 1))
    unpack_samples([store.folder])
    assert "sample 0 was damaged in its pack" in caplog.text
    assert "contradicts its checksum" in caplog.text


def test_the_command_line_packs_as_it_makes_and_says_what_to_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    words = ["generate", "-s", "ground_truth", "-n", "2", "--out", out, "--format", "json"]
    assert mmbench_here(capsys, *words, "--pack").returncode == 0
    (samples,) = out.glob("*/samples")
    assert [file.name for file in samples.iterdir()] == ["packs"]
    unpacked = mmbench_here(capsys, "unpack", out, "--samples", "--format", "json")
    assert json.loads(unpacked.stdout)[0]["loose"] == 2
    assert len(list(samples.iterdir())) == 4
    assert json.loads(mmbench_here(capsys, "pack", out, "--samples", "--format", "json").stdout)[0]["moved"] == 2
    (tmp_path / "empty").mkdir()
    for typed, said in {
        ("pack", out): f"try: mmbench pack {out} --out FILE.jsonl",
        ("pack", out, "--samples", "--out", "x"): f"try: mmbench pack {out} --samples",
        ("unpack", out, "--samples", "--out", "x"): f"try: mmbench unpack {out} --samples",
        ("unpack", out): f"try: mmbench unpack {out} --out FOLDER",
        ("pack", tmp_path / "empty", "--samples"): "holds no samples",
    }.items():
        refused = mmbench_here(capsys, *typed)
        assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
    with SampleStore.open(samples.parent).leases.hold("packs"):
        refused = mmbench_here(capsys, "unpack", out, "--samples")
    assert (refused.returncode, "Another process packs" in refused.stderr) == (1, True)
