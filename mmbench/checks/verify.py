"""Checks on this machine that metrics measure what they claim, on clips whose truth is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from mmbench.checks.verification import extractor_checks, machine_checks, metric_checks
from mmbench.checks.verification.check_row import NotApplicable, Row, judge
from mmbench.checks.verification.ladders import Material, inputs_of
from mmbench.checks.verification.metric_checks import Subject
from mmbench.errors import UsageError
from mmbench.optional_protocols import NeedsLength, UsesPublishedWeights
from mmbench.progress import progress
from mmbench.registry import discover, make_dataset, make_metric
from mmbench.types import Extractor, Metric
from mmbench.weights.checkpoints import status

LEAST_SAMPLES = 12  # three groups of four: fewer cannot show an answer beyond its standard error
SLOW = 0.5  # [s] of CPU time per clip; what --quick leaves out


def verify_metrics(
    metrics: Sequence[str] = (),
    *,
    num_samples: int = 16,
    device: str = "auto",
    dataset: str = "bounce",
    seed: int = 0,
    quick: bool = False,
    quiet: bool = False,
) -> list[Row]:
    """Check metrics, their networks and this machine.

    Metrics whose published weights are all here are checked with them, others with random ones.

    Args:
        metrics: Names, or name.variant; all registered ones if empty.
        num_samples: Real clips that are scored, and distorted.
        device: Where networks run: auto, cpu, cuda.
        dataset: Gives the real clips; of bounce it is known that sounds and pictures agree.
        seed: Of clips and distortions.
        quick: Leave out metrics with networks of more than 0.5 s of CPU time per clip.
        quiet: No progress on stderr.

    Returns:
        Rows of check, metric, weights, status ("pass", "fail", "skipped"), measured and required.

    Raises:
        UsageError: An unknown metric, or too few samples.
    """
    if num_samples < LEAST_SAMPLES:
        raise UsageError(f"--num-samples is {num_samples}.", f"at least {LEAST_SAMPLES}", "--num-samples 16")
    entries, broken = discover("metric")
    subjects = [Subject(name, best_build(name), device) for name in dict.fromkeys(metrics or entries)]
    for subject in subjects if metrics else ():
        make_metric(subject.name)  # an unknown name or variant ends here
    rows = machine_checks.check_machine()
    rows += [_plugin(b.name, b.error) for b in broken if not metrics]
    material = Material(make_dataset(dataset).reference(num_samples, seed)[:num_samples], seed)
    used: list[tuple[Subject, Extractor, int]] = []
    with progress("verify", len(subjects) + 1, quiet) as bar:
        for subject in subjects:
            found, extractors = _metric(subject, material, seed, quick)
            rows += found
            used += [(subject, e, i) for i, e in enumerate(extractors)]
            bar.advance()
        rows += _extractors(used, material)
        bar.advance()
    return rows


def best_build(name: str) -> Callable[[str], Metric]:
    """How to make a metric for a device: with its published weights if all are here, else with random ones."""
    missing = {w["name"] for w in status() if w["status"] == "missing"}

    def build(device: str) -> Metric:
        metric: Metric = make_metric(name, device=device)
        if any(isinstance(e, UsesPublishedWeights) and missing & set(e.official) for e in metric.extractors()):
            metric = make_metric(name, device=device, weights="random")
        return metric

    return build


def _plugin(name: str, error: str) -> Row:
    return judge("plugin", name, "imports", lambda: (False, error))


def _metric(subject: Subject, material: Material, seed: int, quick: bool) -> tuple[list[Row], Sequence[Extractor]]:
    """Rows of one metric, and its extractors if they are worth examining."""
    try:
        if (short := _too_short(subject, material)) is not None:
            return [judge("metric", subject.name, "clips long enough", short, subject.weights)], ()
        extractors = subject.metric.extractors()
        price = max(seconds_per_clip(e, material) for e in extractors) if quick else 0.0
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        return [judge("metric", subject.name, "can be made and run", lambda: (False, reason))], ()
    if price > SLOW:
        return [judge("metric", subject.name, "", partial(_too_slow, price), subject.weights)], ()
    return metric_checks.check_metric(subject, material, seed), extractors


def _too_short(subject: Subject, material: Material) -> Callable[[], tuple[bool, str]] | None:
    """What says that the clips are shorter than a metric needs; None if they are not."""
    clip, metric, name = material.items[0].clip, subject.metric, subject.name
    seconds = float(len(clip.video) / clip.fps)
    if not isinstance(metric, NeedsLength) or seconds >= metric.min_seconds:
        return None
    found = f"it needs clips of {metric.min_seconds:g} s; these have {seconds:g} s"

    def look() -> tuple[bool, str]:
        raise NotApplicable(f"{found}. try: mmbench verify --metric {name} --dataset 'bounce?seconds=8'")

    return look


def _too_slow(price: float) -> tuple[bool, str]:
    raise NotApplicable(f"--quick: {price:.2g} s of CPU time per clip")


def seconds_per_clip(extractor: Extractor, material: Material) -> float:
    """CPU time of one clip once the network is loaded [s]: the least of three, so that a busy machine judges alike."""
    inputs = inputs_of(extractor, material.items[:1])
    extractor.extract(inputs)
    times = []
    for _ in range(3):
        started = time.process_time()
        extractor.extract(inputs)
        times.append(time.process_time() - started)
    return min(times)


def _extractors(used: Sequence[tuple[Subject, Extractor, int]], material: Material) -> list[Row]:
    """Rows of the extractors, each once, however many metrics share it."""
    makers = {id(e): (subject, i) for subject, e, i in used}
    rows: list[Row] = []
    for extractor, owners in extractor_checks.distinct([(e, subject.name) for subject, e, _ in used]).values():
        subject, position = makers[id(extractor)]

        def build(device: str, subject: Subject = subject, position: int = position) -> Extractor:
            return subject.build(device).extractors()[position]

        rows += extractor_checks.check_extractor(extractor, build, ", ".join(owners), material)
    return rows


def notes(rows: Sequence[Row]) -> list[str]:
    """Lines under the table: how many checks passed, and which metrics ran on random weights."""
    random = sorted({row["metric"] for row in rows if row["weights"] == "random" and "(" not in row["metric"]})
    counts = [f"{sum(r['status'] == s for r in rows)} {word}" for s, word in WORDS.items()]
    lines = [", ".join(counts) + "."]
    if random:
        lines.append(
            f"Random weights stand in for the published ones in {', '.join(random)}: arithmetic, order, batches and "
            "precision are checked, the published numbers are not. mmbench weights list"
        )
    return lines


WORDS = {"pass": "passed", "fail": "failed", "skipped": "skipped"}
