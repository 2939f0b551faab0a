"""Tables of the paper, filled from records: who stands where, what is printed beside, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmbench.errors import MMBenchError, UsageError
from mmbench.experiments.paper import lay_out
from mmbench.files import append_line
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import create_run_folder
from mmbench.scores.records import save
from mmbench.tables.published import printed_name, published, published_values
from mmbench.tables.table import gather
from mmbench.types import Score
from tests.builders import record, strip_checksums


def add(out: Path, system: str, dataset: str, *, seed: int = 0, **values: float) -> str:
    """A run with one record per metric; returns its id."""
    run = RunSpec(system, dataset, seed, "tiny", {"system": system, "dataset": dataset, "seed": seed, **values})
    folder = create_run_folder(out, run)
    for metric, value in values.items():
        about: dict[str, Any] = {"run_id": run.run_id, "system": system, "dataset": dataset, "seed": seed}
        about |= {"metric": metric, "signature": f"{metric}||extractors:e|size:s|version:1", "weights": "tiny"}
        save(folder, record(**about, value=value), Score(value, 0.1, 8), [None] * 8)
    return run.run_id


def test_table_2_has_the_papers_order_and_numbers(tmp_path: Path) -> None:
    add(tmp_path, "mm_diffusion+mmdisco", "landscape_ind:/my/copy", fvd=400.0, ib_av=0.2)
    add(tmp_path, "mm_diffusion", "landscape_ind:/my/copy", fvd=500.0)
    add(tmp_path, "mm_diffusion+mmdisco-release", "landscape_ind:/my/copy", fvd=390.0)
    add(tmp_path, "audioldm_animatediff+mmdisco-release", "landscape_ind:/my/copy", fvd=380.0)
    add(tmp_path, "tiny", "bounce", fvd_bounce=3.0)
    layout = lay_out("2", tmp_path)
    assert [(row["dataset"], row["system"]) for row in layout.rows] == [
        ("landscape_ind", "mm_diffusion"),
        ("landscape_ind", "mm_diffusion+mmdisco"),
        ("landscape_ind", "mm_diffusion+mmdisco-release"),
        ("landscape_ind", "audioldm_animatediff+mmdisco-release"),
        ("aistpp", "mm_diffusion"),
        ("aistpp", "mm_diffusion+mmdisco"),
    ]
    base, guided, released, of_another_table, other, _ = (row.to_text() for row in layout.table)
    assert (base["fvd ↑"], base["paper fvd"]) == ("500.00 ± 0.10", 447)
    assert (guided["fvd ↑"], guided["paper fvd"], guided["paper ib_av"]) == ("400.00 ± 0.10", 405, 0.162)
    assert (released["fvd ↑"], released["paper fvd"]) == ("390.00 ± 0.10", 405)  # beside MMDisCo as printed
    assert (of_another_table["fvd ↑"], of_another_table.get("paper fvd")) == ("380.00 ± 0.10", None)
    assert any("released discriminator" in note for note in layout.notes)
    assert (other.get("fvd ↑"), other["paper fvd"]) == (None, 513)
    assert base["weights"] == "tiny"  # a table never shows such numbers without saying so
    columns = ["dataset", "system", "n", "weights", "fvd ↑", "paper fvd", "ib_av ↑", "paper ib_av"]
    assert layout.columns == columns


def test_released_discriminators_stand_below_those_trained_here(tmp_path: Path) -> None:
    add(tmp_path, "audioldm_animatediff+mmdisco-release", "vggsound:/my/copy", fvd=390.0)
    rows = {row["system"]: row for row in lay_out("4", tmp_path).rows}
    order = list(rows)
    place = order.index("audioldm_animatediff+mmdisco-release")
    assert order[place - 1] == "audioldm_animatediff+mmdisco"
    assert place < len(order) - 1, "not among the systems that the paper does not have"
    trained, released = (rows[order[i]] for i in (place - 1, place))
    assert released["paper fvd"] == trained["paper fvd"]
    assert not trained["numbers"]
    assert any("released" in note for note in lay_out("4", tmp_path).notes)
    assert not any("released" in note for note in lay_out("3", tmp_path).notes)


def test_the_papers_own_table_stands_where_nothing_was_run(tmp_path: Path) -> None:
    add(tmp_path, "tiny", "bounce", fvd_bounce=3.0)
    layout = lay_out("13", tmp_path)
    assert len(layout.rows) == 10
    assert layout.rows[0]["paper av_align"] == 0.296
    assert layout.notes == ["Not on record here: vggsound."]
    (empty := tmp_path / "empty").mkdir()
    assert lay_out("13", empty) == lay_out("13", tmp_path, num_samples=7) == layout


def test_what_does_not_belong_in_one_column_is_refused(tmp_path: Path) -> None:
    add(tmp_path, "mm_diffusion", "landscape_ind", fvd=500.0)
    add(tmp_path, "mm_diffusion", "landscape_ind", seed=1, fvd=480.0)
    with pytest.raises(MMBenchError, match="several runs with fvd"):
        lay_out("2", tmp_path)
    assert lay_out("2", tmp_path, seed=1).rows[0]["numbers"]["fvd"]["value"] == 480.0
    with pytest.raises(UsageError, match="Table 15 cannot be filled"):
        lay_out("15", tmp_path)
    with pytest.raises(MMBenchError, match="mmbench sweep table9"):
        lay_out("9", tmp_path)


def sweep(out: Path, name: str, time: str, **outcomes: str) -> None:
    """The file of a sweep of Table 8 in miniature; `outcomes` gives runs, or "" for a failure, by channels and seed."""
    about = {"table": "table8", "system": "tiny", "dataset": "bounce", "n": 8, "seed": 0, "metrics": ["ib_bounce_av"]}
    append_line(out / f"table8-{name}.jsonl", {"sweep": name, **about, "time": time})
    for key, run in outcomes.items():
        channels, seed = key.removeprefix("c").split("_")
        cell = {"row": f"C={channels}, L=2", "train_seed": int(seed), "x": None}
        append_line(
            out / f"table8-{name}.jsonl", {**cell, "status": "ok" if run else "failed", "run": run, "reason": "!"}
        )


def test_rows_of_a_sweep_are_means_over_trainings(tmp_path: Path) -> None:
    runs = [add(tmp_path, "tiny+mmdisco", "bounce", ib_bounce_av=value) for value in (0.1, 0.2, 0.3, 0.7)]
    sweep(tmp_path, "old", "2026-01-01T00:00:00Z", c32_0=runs[3])
    sweep(tmp_path, "new", "2026-01-02T00:00:00Z", c32_0=runs[0], c32_1=runs[1], c32_2=runs[2], c64_0=runs[3], c64_1="")
    layout = lay_out("8", tmp_path, num_samples=8)
    base, small, larger, *rest = layout.rows
    assert small["numbers"]["ib_bounce_av"]["value"] == pytest.approx(0.2)
    assert small["numbers"]["ib_bounce_av"]["stderr"] == pytest.approx(0.1 / 3**0.5)
    assert (small["trainings"], small["paper ib_av"]) == (3, 0.159)
    assert layout.table[2].to_text()["ib_bounce_av ↑"] == "0.70 ± 0.10"  # one training: the error over samples
    assert larger["ib_bounce_av ↑"] == pytest.approx(0.7)
    assert larger["status"] == "failed: !"
    assert [row["status"] for row in (base, *rest)] == ["to do"] * 3
    assert "mm_diffusion on landscape_ind" in layout.notes[-1]
    assert (tmp_path / runs[0] / "records.jsonl").exists()
    with pytest.raises(MMBenchError, match="No sweep of table8"):
        lay_out("8", tmp_path, seed=7)


def test_records_of_another_n_are_not_the_sweeps(tmp_path: Path) -> None:
    run = add(tmp_path, "tiny+mmdisco", "bounce", ib_bounce_av=0.1)
    late: dict[str, Any] = {"time": "2027-01-01T00:00:00Z", "n_expected": 16, "n_present": 16, "n_scored": 16}
    made = record(metric="ib_bounce_av", signature="ib_bounce_av||extractors:e|size:s|version:1", value=0.9, **late)
    save(tmp_path / run, made, Score(0.9, 0.1, 16), [None] * 16)
    sweep(tmp_path, "small", "2026-01-01T00:00:00Z", c32_0=run)
    cell = lay_out("8", tmp_path).rows[1]["numbers"]["ib_bounce_av"]
    assert (cell["value"], cell["trainings"]) == (0.1, [0.1])


def test_of_records_of_equal_time_the_later_run_counts(tmp_path: Path) -> None:
    for value in (0.1, 0.2):
        add(tmp_path, "tiny", "bounce", ib_bounce_av=value)
    folders = sorted(tmp_path.iterdir())
    (kept,) = gather(tmp_path)
    assert kept.run_id == folders[-1].name
    lines = strip_checksums(folders[0] / "records.jsonl")
    lines.write_text(json.dumps(json.loads(lines.read_text()) | {"time": "2026-01-01T00:00:01Z"}) + "\n")
    (kept,) = gather(tmp_path)
    assert kept.run_id == folders[0].name


def test_trainings_of_different_n_are_not_averaged(tmp_path: Path) -> None:
    run = add(tmp_path, "tiny+mmdisco", "bounce", ib_bounce_av=0.1)
    other = add(tmp_path, "tiny+mmdisco", "bounce", ib_bounce_av=0.2)
    lines = strip_checksums(tmp_path / other / "records.jsonl")
    lines.write_text(
        json.dumps(json.loads(lines.read_text()) | {"signature": "another|v|extractors:f|size:s|version:2"})
    )
    sweep(tmp_path, "mixed", "2026-01-01T00:00:00Z", c32_0=run, c32_1=other)
    with pytest.raises(MMBenchError, match="signature"):
        lay_out("8", tmp_path)


@pytest.mark.parametrize(
    ("metric", "name"),
    [("fvd", "fvd"), ("fad_bounce.x", "fad"), ("ib_bounce_av.bounce_v1", "ib_av"), ("av_align.a", "av_align")],
)
def test_metrics_stand_beside_their_columns(metric: str, name: str) -> None:
    assert printed_name(metric) == name


def test_published_numbers_are_found_by_the_first_cells() -> None:
    assert published_values("9", (128, 4)) == {"fvd": 407, "fad": 5.43, "ib_av": 0.162}
    assert published_values("9", (None, None))["fvd"] == 447
    assert published_values("9", (64, 4)) == published_values("77", ("x",)) == published_values("9", ()) == {}


def test_tables_of_settings_say_where_ours_are() -> None:
    with pytest.raises(UsageError, match="settings") as raised:
        lay_out("6", Path("nowhere"))
    assert raised.value.next == "mmbench show auffusion_vc2"


def test_twelve_percentages_of_the_user_study_are_of_seventy_two() -> None:
    shares = [x for row in published()["14"]["rows"] for x in row[1:]]

    def fits(n: int) -> bool:
        return all(any(round(100 * k / n, 1) == x for k in range(n + 1)) for x in shares)

    assert [n for n in range(1, 100) if fits(n)] == [72]
