"""Records as the paper's experiments would leave them, with numbers that tests choose."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.files import append_line
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import SampleStore, create_run_folder
from mmbench.scores.records import save
from mmbench.types import Clip, Prompt, Request, Score
from tests.builders import record

FULL = {  # the paper's metrics in full
    "fvd": "fvd.stylegan_v_16f",
    "fad": "fad.audioldm_eval",
    "ib_tv": "ib_tv.official",
    "ib_ta": "ib_ta.official",
    "ib_av": "ib_av.official",
    "av_align": "av_align.mmdisco_96ms",
}
DISTANCES = ("fvd", "fad")


def spec_of(system: str, dataset: str, seed: int, weights: str, steps: int | None) -> RunSpec:
    """The identity of a run that samples in so many steps."""
    sampling = {"sampling": {"num_inference_steps": steps}} if steps else {}
    spec = {"system": {"name": system, **sampling}, "dataset": {"name": dataset}, "seed": seed, "weights": weights}
    return RunSpec(system, dataset, seed, weights, spec)  # type: ignore[arg-type]


def add_run(
    out: Path,
    system: str,
    dataset: str,
    values: dict[str, tuple[float, float]],
    *,
    n: int = 2048,
    seed: int = 0,
    steps: int | None = 20,
    weights: str = "real",
    networks: str = "real",
    time: str = "2026-01-01T00:00:00Z",
) -> str:
    """A scored run; `values` gives number and standard error by column of the paper, or by metric."""
    run = spec_of(system, dataset, seed, weights, steps)
    folder = create_run_folder(out, run)
    counts = {"n_expected": n, "n_present": n, "n_scored": n, "time": time}
    for column, (value, stderr) in values.items():
        metric = FULL.get(column, column)
        about: dict[str, Any] = {"run_id": run.run_id, "digest": run.digest, "system": system, "dataset": dataset}
        about |= {"metric": metric, "signature": f"{metric}||s", "weights": weights, "extractor_weights": networks}
        about |= {"reference": {"n": n} if column in DISTANCES else None, "seed": seed, "stderr": stderr, **counts}
        save(folder, record(**about, value=value), Score(value, stderr, n), [None] * n)
    return run.run_id


def add_samples(out: Path, system: str, dataset: str, num: int = 6) -> Path:
    """A run with clips of noise, whose prompts a page could take for markup; returns its folder."""
    store = SampleStore.create(out, spec_of(system, dataset, 0, "real", 20))
    for index in range(num):
        rng = np.random.default_rng(index)
        video = rng.integers(0, 256, (16, 64, 64, 3), np.uint8)
        clip = Clip(video, Fraction(10), rng.uniform(-0.5, 0.5, 25600).astype(np.float32), 16000)
        store.commit(Request(Prompt(f"{index}", "<b>a river</b> & stones"), index, 0), clip, 0.1)
    return store.folder


def add_sweep(out: Path, table: str, runs: dict[str, str], **changes: Any) -> str:
    """The file of a sweep in the published setting, but for `changes`; `runs` gives the run of each row."""
    name = changes.pop("name", "s1")
    asked = {"table": table, "system": "mm_diffusion", "dataset": "landscape_ind", "n": 2048, "seed": 0}
    asked |= {"weights": "real", "options": [], "num_real": None, "num_fake": 1000}
    asked |= {"training": {"learning_rate": 1e-3, "batch_size": 16, "epochs": 100.0}}
    asked |= {"metrics": [FULL[c] for c in ("fvd", "fad", "ib_av")], "time": "2026-01-01T00:00:00Z", **changes}
    file = out / f"{table}-{name}.jsonl"
    append_line(file, {"kind": "asked", "sweep": name, **asked})
    for k, (row, run) in enumerate(runs.items()):
        guided = {"discriminator": "d.safetensors", "train_seed": 0} if k else {"train_seed": None}
        place = {"row": row, "run": run, "x": float(50 * k)}
        append_line(file, {"kind": "outcome", **place, **guided, "status": "ok", "time": asked["time"]})
    return file.stem


TOY = {  # the default configuration, as records keep it
    **{"num_points": 500, "repair_fakes": True, "batch_size": 512, "distinct_timesteps": 64, "base_steps": 3000},
    **{"base_lr": 2e-3, "steps": 6000, "lr": 1e-3, "variance": "fixed_large", "num_inference_steps": 500},
    "num_samples": 4000,
}


def add_toy(out: Path, nlls: dict[tuple[str, str], list[float]], sigma: float = 0.25, **config: Any) -> None:
    """Records of the toy: an NLL for each seed, by setting and method."""
    out.mkdir(parents=True, exist_ok=True)
    for (setting, method), values in nlls.items():
        for seed, nll in enumerate(values):
            about = {"setting": setting, "sigma": sigma, "method": method, "seed": seed, "nll": nll}
            rest = {"nll_stderr": 0.016, "excess": nll - 1.675, "stray": 0.0, "spread": 1.0, "least_mode": 0.2}
            append_line(out / "records.jsonl", {**about, **rest, "config": {**TOY, **config}})


def add_profile(out: Path, what: str, seconds: dict[str, list[float]], **changes: Any) -> None:
    """A line of profile.jsonl of mm_diffusion on one H100, but for `changes`."""
    out.mkdir(parents=True, exist_ok=True)
    line: dict[str, Any] = {"what": what, "system": "mm_diffusion+mmdisco-res_mlp", "dataset": "landscape_ind"}
    line |= {"weights": "random", "batch": 8, "loss": "all", "seconds": seconds, "memory": {}, "out_of_memory": {}}
    line |= {"machine": {"cpu": "a CPU", "gpu": ["NVIDIA H100 80GB HBM3"]}, "time": "2026-01-01T00:00:00Z"}
    resolved = {"sizes": {}, "options": [], "cpu_time": False, "loss": "all", "discriminator": "res_mlp"}
    append_line(out / "profile.jsonl", {**line, "resolved": resolved, **changes})
