"""Pipelines of a description: from a repository's commit, from a folder, small or of published size without weights."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmbench.baselines.models.pipelines.description import HalfDescription
from mmbench.errors import UsageError
from mmbench.types import Weights
from mmbench.weights import file_digests as digests
from mmbench.weights import locations
from mmbench.weights.folders import loading

INDEX = "model_index.json"
DOCS = "docs/pairs.md"


def content_of(half: HalfDescription, weights: Weights) -> str:
    """What tells a pipeline's weights from others: a commit, a digest of a folder's files, or their kind.

    Raises:
        UsageError: The folder is none of a pipeline, or of another class than described, or its call takes no argument
            of a name that is given, or a checkpoint is distilled.
    """
    if weights == "tiny" or (weights == "random" and half.folder is None):
        return weights
    from mmbench.baselines.models.pipelines.survey import distilled

    if reason := distilled(half.folder.absolute().name if half.folder else half.pipeline):
        raise UsageError(f"{half.source} cannot be half of a pair: {reason}.", "its base checkpoint", f"see {DOCS}")
    if half.folder is None:
        return half.revision
    require_class(half, class_in(half.folder))
    cache = digests.DigestCache(locations.home() / "digests.json")
    return digests.digest_of(cache.hashes(half.folder.absolute()))


def class_in(folder: Path) -> str:
    """Name of the class of the pipeline in a folder; raises UsageError if there is none."""
    try:
        return str(json.loads((folder / INDEX).read_text(encoding="utf-8"))["_class_name"])
    except (OSError, ValueError, KeyError) as error:
        found = f"{folder} holds no {INDEX} of a pipeline."
        raise UsageError(found, "a folder as save_pretrained writes it", "pipe.save_pretrained(FOLDER)") from error


def require_class(half: HalfDescription, name: str) -> None:
    """Raise UsageError unless a pipeline of this class is the described one and can be guided."""
    import diffusers

    from mmbench.baselines.models.pipelines.survey import refusal

    if half.class_name and name != half.class_name:
        raise UsageError(f"{half.source} is a {name}.", f"a {half.class_name}, as described", "class in its table")
    kind = getattr(diffusers, name, None)
    if kind is None:
        raise UsageError(f"{half.source} is a {name}, which diffusers lacks.", "a class of diffusers", "")
    if reason := refusal(kind):
        raise UsageError(f"{name} cannot be half of a pair: {reason}.", "another pipeline", "mmbench list pipelines")
    _require_known(half.call, kind.__call__, f"The call of {name}", "call")


def _require_known(given: Mapping[str, Any], function: Any, whose: str, key_in_file: str) -> None:
    """Raise UsageError if a table has a key that a function does not take as an argument; say which is near."""
    parameters = [name for name in inspect.signature(function).parameters if name != "self"]
    for key in given:
        if key not in parameters:
            near = difflib.get_close_matches(key, parameters, n=1)
            wanted = f"did you mean {near[0]}?" if near else f"one of {', '.join(parameters)}"
            raise UsageError(f"{whose} has no {key}.", wanted, f"another key in {key_in_file} = {{…}} of its table")


def load_pipeline(half: HalfDescription, weights: Weights, device: str, dtype: Any, offload: bool = False) -> Any:
    """Load or build a pipeline on its device, frozen and silent.

    Args:
        half: Its description, of a commit or a folder.
        weights: "real"; "random" for untrained weights of published size, or in the folder; "tiny" for small ones.
        device: Where it runs.
        dtype: Precision of its weights; None for float32.
        offload: Keep on a GPU only the network that is at work.

    Raises:
        MMBenchError: It cannot be loaded, or its class, call or scheduler is not what the description says.
    """
    import torch

    pipe = _build(half, weights, dtype or torch.float32)
    if half.scheduler:
        kind = type(pipe.scheduler)
        _require_known(half.scheduler, kind.__init__, f"The configuration of {kind.__name__}", "scheduler")
        pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, **half.scheduler)
    pipe.set_progress_bar_config(disable=True)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    if offload and device != "cpu":
        pipe.enable_model_cpu_offload(device=device)
        return pipe
    return pipe.to(device)


def _build(half: HalfDescription, weights: Weights, dtype: Any) -> Any:
    from mmbench.baselines.models.pipelines.untrained import quiet, without_bars

    if weights == "tiny":
        from mmbench.baselines.models.pipelines.tiny import make_tiny

        with quiet():  # of what had better stay in float32
            return make_tiny(half.class_name)[0].to(dtype)
    if weights == "random" and half.folder is None:
        from mmbench.baselines.models.pipelines.full import make_full

        return make_full(half.class_name)[0].to(dtype)
    from diffusers import DiffusionPipeline

    source: Any = half.folder or half.pipeline
    how = {} if half.folder else {"revision": half.revision}
    remedy = (
        "pipe.save_pretrained(FOLDER)" if half.folder else f"hf download {half.pipeline} --revision {half.revision}"
    )
    with loading(half.folder or half.source, "a pipeline of diffusers with safetensors, here or to be had", remedy):
        index = DiffusionPipeline.load_config(source, **how)
        require_class(half, str(index["_class_name"]))
        with nullcontext() if half.folder is None else without_bars():  # what is downloaded shows how far it is
            return DiffusionPipeline.from_pretrained(source, dtype=dtype, use_safetensors=True, **how)


def small(half: HalfDescription, seconds: float, rate: str) -> HalfDescription:
    """The description of the small untrained pipeline of the same class, whose clips last some seconds.

    Args:
        half: Of the published pipeline; its class must be named.
        seconds: Of the clips [s], at least.
        rate: "fps" for video, whose frames are spread over that time; "sample_rate" for sound.
    """
    from mmbench.baselines.models.pipelines.tiny import make_tiny

    call = make_tiny(half.class_name)[1]
    kept = {key: half.call[key] for key in ("guidance_scale",) if key in half.call}
    fps = 0 if rate != "fps" else call["num_frames"] // seconds or call["num_frames"] / seconds
    return replace(half, call={**call, **kept}, scheduler={}, rate=fps)
