"""A guided pair through the harness: in two shards, one of them killed on the way, and the same samples."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from mmbench.registry import make_dataset
from mmbench.runs.spec import make_requests
from mmbench.system_names import make_system
from tests.commands import digests, mmbench_here, start

pytestmark = pytest.mark.e2e

N, SEED, STEPS = 6, 11, 3


@pytest.mark.thorough
def test_killed_resumed_sharded_and_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "tiny+mmdisco-res_frieren"
    dataset = make_dataset("bounce")
    system = make_system(name, dataset=dataset, device="cpu", num_inference_steps=STEPS)
    expected = dict(enumerate(clip.digest() for clip in system.generate(make_requests(dataset, N, SEED))))
    a, b, whole = (tmp_path / part for part in ("a", "b", "whole"))
    job = ["generate", "-s", name, "-d", "bounce", "-n", str(N), "--seed", str(SEED), "--batch-size", "1"]
    job += ["--set", f"num_inference_steps={STEPS}", "--device", "cpu"]
    killed = start(*job, "--shard", "0/2", "--out", a)
    while killed.poll() is None and not list(a.glob("*/samples/??????.json")):
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert 1 <= len(digests(a)) < N // 2, "it was to be killed on the way"
    for shard, out in (("0/2", a), ("1/2", b)):
        result = mmbench_here(capsys, *job, "--shard", shard, "--out", out)
        assert result.returncode == 0, result.stderr
    assert mmbench_here(capsys, "merge", a, b, "--out", whole).returncode == 0
    assert digests(whole) == expected
