"""results/tiny/decomposition.py: its arithmetic on cases whose answer is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm

from mmbench.errors import MMBenchError
from tests.commands import load_script, mmbench_here


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    return load_script("decomposition", monkeypatch, "results/tiny")


def test_excess_is_the_mean_of_own_less_other_pairs_and_scatters_as_it_does(script: Any) -> None:
    rng = np.random.default_rng(3)

    def draw(n: int = 40) -> np.ndarray:
        video, sound, own = rng.normal(size=(3, n))
        return 2 * video[:, None] + sound[None] + np.diag(0.3 * own) + 0.1 * rng.normal(size=(n, n)) + 0.5 * np.eye(n)

    values = draw()
    off = values[~np.eye(40, dtype=bool)]
    assert script.excess(values).mean() == pytest.approx(np.diag(values).mean() - off.mean())
    found = [script.excess(draw()) for _ in range(200)]
    errors = np.mean([f.std(ddof=1) / 40**0.5 for f in found])
    assert errors == pytest.approx(np.std([f.mean() for f in found]), rel=0.2)
    values[3, 3] = np.nan
    assert np.nanmean(script.excess(values)) == pytest.approx(np.nanmean(np.diag(values)) - off.mean())


def test_the_bound_is_the_posterior_over_clips(script: Any) -> None:
    videos, sounds = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[2.0], [-1.0], [0.5]])
    x, y = torch.tensor([[0.2], [1.1], [2.0]]), torch.tensor([[1.0], [-0.5], [0.0]])
    found = script.posterior_logits((x, y), (videos, sounds), (0.64, 0.36))
    for i in range(3):
        for j in range(3):
            p = norm.pdf(x[i].item(), 0.8 * videos[:, 0], 0.6)
            q = norm.pdf(y[j].item(), 0.6 * sounds[:, 0], 0.8)
            other = (p.sum() * q.sum() - (p * q).sum()) / 6
            assert found[i, j] == pytest.approx(np.log((p * q).sum() / 3 / other), rel=1e-5)


def test_logits_that_are_too_sure_are_told_by_their_slope(script: Any) -> None:
    rng = np.random.default_rng(5)
    n = 4000  # normal logits of variance 2 m and mean m are their own log odds
    own, other, first = rng.normal(1, 2**0.5, n), rng.normal(-1, 2**0.5, n), np.arange(n)
    told = script.tell(3 * own, 3 * other, first, first % 2 == 0)
    assert told.slope == pytest.approx(1 / 3, rel=0.1)
    assert told.share == pytest.approx(norm.cdf(1), abs=0.02)
    assert told.fitted == pytest.approx(script.cross_entropy(own, other), abs=0.002)
    assert told.nats > told.fitted + 0.1
    assert script.tell(0 * own, 0 * other, first, first % 2 == 0).nats == pytest.approx(np.log(2))


def test_a_line_stays_finite_where_all_pairs_are_told(script: Any) -> None:
    slope, offset = script.fit_line(np.linspace(1, 2, 50), np.linspace(-2, -1, 50))
    assert 1 < slope < 20
    assert abs(offset) < 0.1


def test_other_pairs_are_of_one_text(script: Any) -> None:
    first, second = script.others(["a", "b", "a", "c"])
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 2), (2, 0)]


def test_runs_must_be_there_and_of_one_size(script: Any, tmp_path: Path) -> None:
    with pytest.raises(MMBenchError, match="0 runs of bounce"):
        script.find_runs(tmp_path)


@pytest.mark.thorough
@pytest.mark.e2e
def test_tables_are_printed(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "NUM_REFERENCE", 64)
    common = ("-d", "bounce", "-n", "4", "--seed", "23", "-m", "av_align", "--out", tmp_path)
    made = mmbench_here(capsys, "run", "-s", "ground_truth", "-s", "tiny", "-s", script.GUIDED, *common)
    assert made.returncode == 0, made.stderr
    mmbench_here(capsys, "run", "-s", script.GUIDED, *common, "--set", "num_inference_steps=30")
    stores = script.find_runs(tmp_path)
    assert [script.steps_of(store) for store in stores] == [0, 25, 25, 30]
    measured = [script.measure(store) for store in stores]
    script.base_table(stores, measured)
    script.sampler_table(stores, measured)
    script.discriminator_table(30, (20, 950))
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith(f"| {script.GUIDED} | 30 |") for line in lines) == 2
    rows = {line.split(" | ")[0]: line for line in lines if line.startswith(("| 20 |", "| 950 |"))}
    assert float(rows["| 20"].split(" | ")[1].split()[0]) > 0.9
    assert float(rows["| 950"].split(" | ")[1].split()[0]) < 0.8
