"""Planning takes its pilot from records, pairs where it can, and says what it rests on."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mmbench.cli.app import app
from mmbench.errors import MMBenchError, UsageError
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import create_run_folder
from mmbench.scores.records import save
from mmbench.statistics.estimates import mean_estimate
from mmbench.tables.plan import plan_samples
from mmbench.types import Score
from tests.builders import record
from tests.commands import mmbench_here

N = 32


def recorded(out: Path, system: str, values: np.ndarray, **changes: object) -> None:
    """One run on record with per-sample values."""
    n = len(values)
    seed, dataset = int(str(changes.get("seed", 0))), str(changes.get("dataset", "d"))
    folder = create_run_folder(out, RunSpec(system, dataset, seed, "real", {"system": system, "n": n, "seed": seed}))
    mean = mean_estimate(values)
    counts = {"n_expected": n, "n_present": n, "n_scored": mean.n}
    given = {"run_id": folder.name, "system": system, "value": mean.value, "stderr": mean.stderr, **counts, **changes}
    save(folder, record(**given), Score(mean.value, mean.stderr, mean.n, per_sample=values), [{}] * n)


def shared(seed: int = 0, n: int = N) -> tuple[np.ndarray, np.ndarray]:
    """Two systems whose samples share most of their scatter."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 1, n)
    return common, common + rng.normal(0.1, 0.2, n)


def test_two_systems_give_the_standard_error_of_their_paired_difference(tmp_path: Path) -> None:
    a, b = shared()
    recorded(tmp_path, "a", a)
    recorded(tmp_path, "b", b)
    row = plan_samples(tmp_path, "m", effect=0.05)
    error = (b - a).std(ddof=1) / math.sqrt(N)
    assert row["s.e. of difference"] == pytest.approx(error, rel=5e-3)
    # normal approximation of the sample size: (1.960 + 0.842)² σ² / effect², a little more for the t distribution
    assert row["needed"] == pytest.approx(((1.960 + 0.842) * error * math.sqrt(N) / 0.05) ** 2, rel=0.03, abs=3)
    assert row["detectable"] == pytest.approx((2.040 + 0.853) * error, rel=0.01)
    assert "pairs a and b" in row["assumptions"][0]


def test_one_system_gives_root_two_of_its_own(tmp_path: Path) -> None:
    a, _ = shared()
    recorded(tmp_path, "a", a)
    row = plan_samples(tmp_path, "m", effect=0.5)
    assert row["s.e. of difference"] == pytest.approx(math.sqrt(2 / N) * a.std(ddof=1), rel=5e-3)
    assert row["pilot"] == "a on d"
    assert "is a alone" in row["assumptions"][0]


def test_pairing_needs_fewer_samples_than_not_pairing(tmp_path: Path) -> None:
    a, b = shared()
    recorded(tmp_path, "a", a)
    recorded(tmp_path, "b", b)
    paired = plan_samples(tmp_path, "m", effect=0.1)["needed"]
    assert paired * 5 < plan_samples(tmp_path, "m", effect=0.1, systems=("a",))["needed"]


def test_the_pair_that_pairs_worst_is_taken_unless_named(tmp_path: Path) -> None:
    a, b = shared()
    for name, values in (("a", a), ("b", b), ("c", np.random.default_rng(5).normal(0, 1, N))):
        recorded(tmp_path, name, values)
    assert "c" in plan_samples(tmp_path, "m")["pilot"]
    assert plan_samples(tmp_path, "m", systems=("a", "b"))["pilot"] == "a and b on d"


def test_a_pair_whose_scores_are_damaged_is_passed_over_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for system, values in zip("ab", shared(), strict=True):
        recorded(tmp_path, system, values)
    for file in tmp_path.glob("a-*/scores/*"):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    row = plan_samples(tmp_path, "m", effect=0.05)
    assert "and" not in row["pilot"].split(" on ")[0].split()
    said = caplog.messages[-1]
    assert said.startswith("a and b make no pilot: ")
    assert "try: " in said


def test_systems_of_other_n_or_seed_do_not_pair(tmp_path: Path) -> None:
    recorded(tmp_path, "a", shared()[0])
    recorded(tmp_path, "b", shared()[1][:20])
    recorded(tmp_path, "c", shared()[1], seed=1)
    assert plan_samples(tmp_path, "m")["n"] == N
    assert "alone" in plan_samples(tmp_path, "m")["assumptions"][0]
    with pytest.raises(MMBenchError, match="no scatter"):
        plan_samples(tmp_path, "m", systems=("a", "b"))


def test_pairs_that_may_not_be_compared_are_refused_when_named(tmp_path: Path) -> None:
    a, b = shared()
    recorded(tmp_path, "a", a)
    recorded(tmp_path, "b", b, signature="another")
    assert "alone" in plan_samples(tmp_path, "m")["assumptions"][0]
    with pytest.raises(MMBenchError, match="cannot be compared across signature"):
        plan_samples(tmp_path, "m", systems=("a", "b"))


def test_more_power_and_smaller_effects_need_more(tmp_path: Path) -> None:
    recorded(tmp_path, "a", shared()[0])
    plain = plan_samples(tmp_path, "m", effect=0.2)["needed"]
    assert plan_samples(tmp_path, "m", effect=0.2, power=0.95)["needed"] > plain
    assert plan_samples(tmp_path, "m", effect=0.1)["needed"] == pytest.approx(4 * plain, rel=0.05)
    assert plan_samples(tmp_path, "m")["needed"] is None


def test_random_weights_are_said_to_guide_nobody(tmp_path: Path) -> None:
    recorded(tmp_path, "a", shared()[0], extractor_weights="random")
    assert any("random or tiny weights" in line for line in plan_samples(tmp_path, "m")["assumptions"])


def test_without_a_fitting_record_the_next_command_makes_one(tmp_path: Path) -> None:
    with pytest.raises(MMBenchError, match="No record of fvd") as caught:
        plan_samples(tmp_path, "fvd", systems=("x",))
    assert caught.value.next == "mmbench run --system x -m fvd"
    recorded(tmp_path, "a", shared()[0])
    with pytest.raises(MMBenchError, match="for b") as caught:
        plan_samples(tmp_path, "m", systems=("a", "b"))
    assert "--system b" in caught.value.next


def test_several_metrics_or_datasets_are_not_mixed(tmp_path: Path) -> None:
    recorded(tmp_path, "a", shared()[0])
    recorded(tmp_path, "a", shared()[0], dataset="e")
    with pytest.raises(UsageError, match="several datasets"):
        plan_samples(tmp_path, "m")
    recorded(tmp_path, "a", shared()[0], metric="m.w", signature="m|w")
    with pytest.raises(UsageError, match="several metrics"):
        plan_samples(tmp_path, "m", dataset="d")
    assert plan_samples(tmp_path, "m.w", dataset="d")["metric"] == "m.w"


def test_a_pilot_without_scatter_is_refused(tmp_path: Path) -> None:
    recorded(tmp_path, "a", np.ones(N))
    with pytest.raises(MMBenchError, match="no scatter"):
        plan_samples(tmp_path, "m")


@pytest.mark.parametrize("given", [{"effect": 0.0}, {"effect": math.nan}, {"power": 1.0}, {"systems": ("a", "b", "c")}])
def test_impossible_questions_are_usage_errors(tmp_path: Path, given: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        plan_samples(tmp_path, "m", **given)  # type: ignore[arg-type]


def test_the_command_prints_a_table_json_or_the_number_alone(tmp_path: Path) -> None:
    recorded(tmp_path, "a", shared()[0])
    asked = ["plan", "--metric", "m", "--effect", "0.5", "--out", str(tmp_path)]
    table, data, number = (CliRunner().invoke(app, [*asked, "--format", f]) for f in ("table", "json", "quiet"))
    assert (table.exit_code, data.exit_code, number.exit_code) == (0, 0, 0)
    assert "√2 times" in table.output
    needed = json.loads(data.output)[0]["needed"]
    assert needed > 2
    assert number.output.strip() == str(needed)


def test_the_commands_answer_for_help_without_heavy_imports() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from mmbench.cli.app import app; "
        "out = [CliRunner().invoke(app, [c, '--help']).output for c in ('verify', 'plan')]; "
        "assert all('Examples' in text for text in out), out; "
        "heavy = {'torch', 'scipy', 'librosa', 'cv2', 'numpy'} & set(sys.modules); sys.exit(f'{heavy}' if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_plan_too_wide_for_the_terminal_is_printed_as_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for system, values in zip(("model_of_mine", "another_one"), shared(), strict=True):
        recorded(tmp_path, system, values)
    for room in ("console", "cli.records"):
        monkeypatch.setattr(f"mmbench.{room}.terminal_width", lambda: 60)
    printed = mmbench_here(capsys, "plan", "-m", "m", "--effect", "0.05", "--out", tmp_path).stdout
    assert "pilot               another_one and model_of_mine on d\n" in printed
    assert "two-sided t test at 5 %, power 80 %; one comparison" in " ".join(printed.split())
    assert "\n\nThe pilot pairs another_one and model_of_mine by sample;\nother" in printed
