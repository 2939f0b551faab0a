"""Looks at a pair of base models before anything is trained on it: latents, levels, memory, and one sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mmbench.baselines.kinds.pair import DiffusionPair
from mmbench.errors import MMBenchError
from mmbench.experiments.training.settings import TrainSettings
from mmbench.experiments.training.train import load_guidable
from mmbench.registry import make_dataset
from mmbench.runs.spec import make_requests
from mmbench.types import Dataset, Request

DESIGN = "res_frieren"
SEED = 0  # of the request that is sampled


def examine_pair(name: str, dataset: str, options: Sequence[str] = (), **common: Any) -> list[dict[str, Any]]:
    """Load a pair and try all that training and guidance need of it: one real clip, one sample.

    Args:
        name: The system, without +mmdisco.
        dataset: Whose clips.
        options: Of the system, "NAME=VALUE".
        **common: device, dtype, weights.

    Returns:
        One row per check: status "ok" or "broken", what was found, and what to do next.
    """
    clips = make_dataset(dataset)
    try:
        settings = TrainSettings(system=name, dataset=dataset, system_options=options, **common)
        pair = load_guidable(settings, clips).pair
    except MMBenchError as error:
        return [_row("base models", "broken", error.found, error.next or error.expected)]
    rows = [_row(check, "ok", found) for check, found in _facts(pair)]
    (request,) = make_requests(clips, 1, SEED)
    tries: dict[str, Callable[[], str]] = {
        "discriminator": lambda: _discriminator(pair),
        "real clip": lambda: _encodes(pair, clips),
        "zero discriminator": lambda: _samples_as_alone(pair, clips, request),
    }
    return rows + [_tried(check, what) for check, what in tries.items()]


def _row(check: str, status: str, found: str, next: str = "") -> dict[str, Any]:
    return {"check": check, "status": status, "found": found, "next": next}


def _tried(check: str, what: Callable[[], str]) -> dict[str, Any]:
    """The row of something that may fail with an error for users."""
    try:
        return _row(check, "ok", what())
    except MMBenchError as error:
        return _row(check, "broken", error.found, "; ".join(filter(None, (error.expected, error.next))))


def _facts(pair: DiffusionPair) -> Iterator[tuple[str, str]]:
    """What the pair is, by name of the check."""
    from mmbench.baselines.models.pipelines.pair import PipelinePair
    from mmbench.mmdisco.seen import shapes_seen

    seen = shapes_seen(pair)
    for i, half in enumerate(("video", "audio")):
        if isinstance(pair, PipelinePair):
            yield f"{half} pipeline", pair.models[i].describe()
        schedule, shape = pair.schedules[i], pair.shapes[i]
        snr = (schedule.alphas_cumprod / (1 - schedule.alphas_cumprod)).clamp(1e-12, 1e12).log() / 2
        levels = f"{schedule.num_train_timesteps} of half log SNR {snr[0].item():.1f} to {snr[-1].item():.1f}"
        yield f"{half} levels", f"{levels}; {schedule.record()['name']}" if "name" in schedule.record() else levels
        yield f"{half} latents", f"{shape}, seen as {seen[i]}" if shape != seen[i] else f"{shape}"
    yield "texts", f"of {seen[2][-1]} and {seen[3][-1]} channels" if len(seen) > 2 else "none"


def _discriminator(pair: DiffusionPair) -> str:
    import torch

    from mmbench.mmdisco.discriminator import Discriminator

    with torch.device("meta"):
        model = Discriminator(pair.discriminator(DESIGN))
    return f"{DESIGN} of {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters"


def _encodes(pair: DiffusionPair, dataset: Dataset) -> str:
    """Encode a real clip."""
    import torch

    item = dataset.reference(1, SEED)[0]
    video, audio = pair.encode(item)[:2]
    scales = [f"{torch.as_tensor(z).float().std().item():.2f}" for z in (video, audio)]
    return f"{item.clip.size()} is encoded to latents of deviation {' and '.join(scales)}"


def _samples_as_alone(pair: DiffusionPair, dataset: Dataset, request: Request) -> str:
    """Make a sample with and without a discriminator that knows nothing; they must be equal bit for bit.

    It is told where both halves are; how far apart they come is said, for training on one timestep visits none such.
    """
    import torch

    from mmbench.mmdisco.guidance import Guidance

    apart = [0.0]

    def zero(video: Any, audio: Any, t: Any, *_: Any) -> Any:
        if isinstance(t, tuple):
            apart.append((t[0] - t[1]).abs().max().item())
        return 0 * (video.flatten(1).sum(1) + audio.flatten(1).sum(1))

    alone = pair.sample([request])
    guided = pair.sample([request], lambda text, empty: Guidance(zero, (1.0, 1.0), text, empty))
    (clip,) = pair.decode(*alone, [request])
    if not all(map(torch.equal, alone, guided)):
        raise MMBenchError("A discriminator that knows nothing changes a sample.", "the same latents, bit for bit")
    if clip.size() != dataset.format.size():
        raise MMBenchError(f"A sample is {clip.size()}.", f"{dataset.format.size()}, the format of {dataset.name}")
    total = pair.schedules[0].num_train_timesteps
    return f"changes no bit of a sample, {clip.size()}; its halves are up to {max(apart):.3g} of {total} levels apart"
