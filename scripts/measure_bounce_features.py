"""Measure the metrics on the bounce networks: real clips, the `independent` control, and graded distortions.

Prints the table of results/bounce_features/README.md and writes the same numbers to measured.json beside it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmbench.checks.verification import distortions
from mmbench.datasets.bounce import bounce
from mmbench.metrics.bounce import FADBounce, FVDBounce, IBBounceAV, IBBounceTA, IBBounceTV
from mmbench.statistics.paired import paired_difference
from mmbench.types import Clip, Features, Item, Metric, Request, Score

RECORD = Path(__file__).resolve().parent.parent / "results" / "bounce_features" / "measured.json"
METRICS: tuple[Metric, ...] = (FVDBounce(), FADBounce(), IBBounceTV(), IBBounceTA(), IBBounceAV())
Change = Callable[[Clip, float, np.random.Generator], Clip]
LADDERS: dict[str, tuple[str, Change, Sequence[float]]] = {
    "blur, sigma [px]": ("video", lambda c, s, _: distortions.blur(c, s), (1, 2, 4)),
    "pixel noise, std [grey levels]": ("video", distortions.pixel_noise, (8, 24, 64)),
    "frames frozen [share]": ("video", distortions.freeze, (0.25, 0.5, 1)),
    "frames shuffled [share]": ("video", distortions.shuffle_frames, (0.25, 0.5, 1)),
    "white noise, SNR [dB]": ("audio", distortions.white_noise, (30, 15, 0)),
    "low-pass [Hz]": ("audio", lambda c, f, _: distortions.low_pass(c, f), (4000, 2000, 1000)),
    "clipping [share of peak]": ("audio", lambda c, f, _: distortions.hard_clip(c, f), (0.5, 0.25, 0.1)),
    "gain [factor]": ("audio", lambda c, f, _: replace(c, audio=c.audio * np.float32(f)), (0.5, 0.25, 0.1)),
    "sound late [s]": ("audio", lambda c, s, _: distortions.delay_audio(c, s), (0.0625, 0.125, 0.25, 0.5)),
    "sound early [s]": ("audio", lambda c, s, _: distortions.delay_audio(c, -s), (0.125, 0.25, 0.5)),
}


def features_of(items: Sequence[Item]) -> dict[str, list[Features | None]]:
    """Features of every tower, one entry per item."""
    found: dict[str, list[Features | None]] = {}
    for extractor in {e.name: e for m in METRICS for e in m.extractors()}.values():
        text = extractor.modality == "text"
        found[extractor.name] = [f for x in items for f in extractor.extract([x.prompt.text if text else x.clip])]
    return found


def distorted(
    items: Sequence[Item],
    modality: str,
    change: Change,
    strength: float,
    base: dict[str, list[Features | None]],
    seed: int,
) -> dict[str, list[Features | None]]:
    """Features after one modality of every clip was changed, with the same draws at every strength."""
    extractor = next(e for m in METRICS for e in m.extractors() if e.modality == modality)
    rngs = (np.random.default_rng((seed, i)) for i in range(len(items)))
    clips = (change(x.clip, strength, rng) for x, rng in zip(items, rngs, strict=True))
    return {**base, extractor.name: [f for clip in clips for f in extractor.extract([clip])]}


def of_other_material(items: Sequence[Item]) -> list[int]:
    """For each item the next one of another material."""
    materials = [x.prompt.data["material"] for x in items]
    n = len(items)
    return [next((i + k) % n for k in range(1, n) if materials[(i + k) % n] != materials[i]) for i in range(n)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-samples", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--record", type=Path, default=RECORD)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    started = time.perf_counter()
    dataset, n, seed = bounce(), options.num_samples, options.seed
    requests = [Request(p, 0, seed) for p in dataset.prompts(n, seed)]
    real = [dataset.real(r, "real") for r in requests]
    reference = features_of(dataset.reference(n, seed)[:])
    truth = features_of(real)
    mixed = {**truth, "bounce_audio": features_of([dataset.real(r, "independent 0") for r in requests])["bounce_audio"]}
    rows: list[dict[str, Any]] = []
    best: dict[str, Score] = {}

    def record(condition: str, features: dict[str, list[Features | None]]) -> None:
        row: dict[str, Any] = {"condition": condition}
        for metric in METRICS:
            touched = metric.name not in best or any(features[e.name] is not truth[e.name] for e in metric.extractors())
            against = reference if metric.needs_reference else None
            score = metric.score(features, against, seed) if touched else best[metric.name]
            best.setdefault(metric.name, score)
            d = paired_difference(best[metric.name], score)
            row[metric.name] = {"value": score.value, "stderr": score.stderr, "baseline": score.baseline}
            row[metric.name] |= {"floor": score.details.get("floor"), "difference": [d.value, d.low, d.high]}
        cells = (f"{row[m.name]['value']:.3f} ± {row[m.name]['stderr'] or 0:.3f}" for m in METRICS)
        print("|", condition, "|", " | ".join(cells), "|", flush=True)
        rows.append(row)

    print("| |", " | ".join(m.name for m in METRICS), "|\n|---|" + "---|" * len(METRICS))
    record("ground_truth", truth)
    record("independent", mixed)
    sounds = [truth["bounce_audio"][i] for i in of_other_material(real)]
    record("sound of another material", {**truth, "bounce_audio": sounds})
    for name, (modality, change, strengths) in LADDERS.items():
        for strength in strengths:
            record(f"{name}: {strength:g}", distorted(real, modality, change, strength, truth, seed))
    options.record.parent.mkdir(parents=True, exist_ok=True)
    seconds = round(time.perf_counter() - started, 1)
    report = {"num_samples": n, "seed": seed, "seconds": seconds, "rows": rows}
    options.record.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
