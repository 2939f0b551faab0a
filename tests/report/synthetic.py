"""Scored runs of any size in seconds, for tests of pages at scale: few tiny clips under many names, drawn scores."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.media.clip_files import write_lossless
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import RESOURCES, SampleRecord, SampleStore
from mmbench.scores.records import Record, save
from mmbench.statistics.estimates import bootstrap_score, generator, mean_score
from mmbench.types import Clip, Score

CLIPS = 4  # that all samples are copies of
ACTS = ("drops a rubber ball", "throws a steel ball", "lets a wooden ball fall", "rolls a ping-pong ball")
MEANS = {"av_align.mmdisco_96ms": 0.2, "ib_bounce_av.bounce": 0.4}  # value of chance, by metric with values per sample
DISTANCE = "fvd.stylegan_v_16f"


def write_runs(
    out: Path, systems: int = 6, samples: int = 64, *, unlike: bool = False, scored: bool = True, seed: int = 0
) -> list[Path]:
    """Write runs of one dataset whose samples pair, as `mmbench run` leaves them.

    Args:
        out: Folder of runs.
        systems: How many; the first is `ground_truth`, which has no seconds on record.
        samples: Of each.
        unlike: Every file has bytes of its own (and one of few contents); else samples are links to few files.
        scored: With records: two metrics with values per sample, one distance.
        seed: Of the drawn scores.

    Returns:
        The runs' folders.
    """
    out.mkdir(parents=True, exist_ok=True)
    clips = [_clip(k) for k in range(CLIPS)]
    names = ["ground_truth", *(f"system_{k}" for k in range(1, systems))]
    return [_write_run(out, name, k, samples, clips, unlike, scored, seed) for k, name in enumerate(names)]


def _clip(k: int) -> Clip:
    """Eight frames of a square that jumps once, with a click."""
    video = np.full((8, 32, 32, 3), 20 * k, np.uint8)
    jump = 2 + k
    video[:jump, 8:16, 4:12] = video[jump:, 8:16, 18:26] = 255
    sound = generator(k).normal(0, 1e-3, 8000).astype(np.float32)
    sound[jump * 1000 : jump * 1000 + 300] += 0.5
    return Clip(video, Fraction(8), sound, 8000)


def _write_run(
    out: Path, system: str, k: int, samples: int, clips: list[Clip], unlike: bool, scored: bool, seed: int
) -> Path:
    spec = {"system": system, "synthetic": seed, "options": {"num_inference_steps": 4 * k}}
    store = SampleStore.create(out, RunSpec(system, "bounce", seed, "real", spec))
    (store.folder / RESOURCES).unlink(missing_ok=True)
    if k:
        line = {"samples": samples, "seconds": samples * 0.5 * 4.0**k, "cpu_seconds": samples * 0.9 * 4.0**k}
        (store.folder / RESOURCES).write_text(json.dumps(line) + "\n")
    kept = [store.folder / f"clip{c}" for c in range(len(clips))]
    for path, clip in zip(kept, clips, strict=True):
        write_lossless(clip, path)
    about = [(c.digest(), c.video_digest(), c.audio_digest(), c.size()) for c in clips]
    contents = [path.read_bytes() for path in kept]
    rows = []
    for i in range(samples):
        c, stem = (i + k) % len(clips), store.samples / f"{i:06d}"
        if unlike:  # a Void element of EBML, which readers of Matroska pass over
            stem.with_suffix(".mkv").write_bytes(contents[c] + b"\xec\x88" + f"{k:02d}{i:06d}".encode())
        else:
            os.link(kept[c], stem.with_suffix(".mkv"))
        text = f"somebody {ACTS[i % len(ACTS)]}, take {i}"
        record = SampleRecord(i, f"p{i}", text, *about[c], len(contents[c]), 0.1)
        stem.with_suffix(".json").write_text(json.dumps(asdict(record)))
        rows.append({"id": f"{i:06d}", "prompt_id": f"p{i}", "text": text})
    for path in kept:
        path.unlink()
    for number, (metric, score) in enumerate(_scores(k, samples, seed).items() if scored else ()):
        save(store.folder, _record(store.run, metric, score, samples, number), score, rows)
    return store.folder


def _scores(k: int, n: int, seed: int) -> dict[str, Score]:
    """Systems get better by a tenth each, and fall with the sample alike, so that differences are sure."""
    common, own = generator(seed, n), generator(seed, n, k)
    scores = {}
    for metric, chance in MEANS.items():
        values = np.clip(chance + 0.1 * k + 0.15 * common.normal(size=n) + 0.05 * own.normal(size=n), 0, 1)
        scores[metric] = mean_score(values, baseline=chance, baseline_stderr=0.1 / np.sqrt(n))
    infinity, slope = 400.0 - 50 * k, 6000.0
    value = infinity + slope / n
    details: dict[str, Any] = {"num_reference": n, "floor": slope / n}
    if n >= 8:  # below, parts are too small for a value at infinite n
        points = [[n // parts, infinity + slope * parts / n] for parts in (1, 2, 3, 4)]
        details |= {"infinity": infinity, "infinity_stderr": 8.0, "infinity_points": points}
    replicates = value + 10 * common.normal(size=200) + own.normal(size=200)
    return scores | {DISTANCE: bootstrap_score(value, replicates, n, details)}


def _record(run: RunSpec, metric: str, score: Score, n: int, number: int) -> Record:
    is_distance = metric == DISTANCE
    return Record(
        *(run.run_id, run.digest, run.system, run.dataset, run.seed, run.weights),
        *(metric, f"{metric}|synthetic|size:8x32x32@8+8000@8000|v1"),
        *(score.value, score.stderr, score.low, score.high, not is_distance),
        *(n, n, 0, 0, 0, n, score.baseline, score.baseline_stderr, False),
        extractor_weights="real",
        reference={"dataset": "bounce", "n": n, "seed": 0} if is_distance else None,
        time=f"2026-01-01T00:00:0{number}Z",
        details=score.details,
        n_missing=0,
    )
