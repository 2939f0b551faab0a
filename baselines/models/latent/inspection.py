"""Whether files of published models hold the tensors of their networks; names and shapes are read, no tensor is.

A network is built, without memory, as the file's own config says, and must find every tensor; surplus ones are let be,
as the libraries do. What VideoCrafter2 and Auffusion keep in files of their own is loaded by name, strictly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mmbench.errors import IntegrityError, MMBenchError
from mmbench.weights import locations
from mmbench.weights.headers import read_meta, total_bytes
from mmbench.weights.known import KNOWN

Shapes = dict[str, tuple[int, ...]]

# By published model: class of the network in each folder of it; none for those that are one file.
NETWORKS: Mapping[str, Mapping[str, str]] = {
    "audioldm": {
        "unet": "diffusers.UNet2DConditionModel",
        "vae": "diffusers.AutoencoderKL",
        "text_encoder": "transformers.ClapTextModelWithProjection",
        "vocoder": "transformers.SpeechT5HifiGan",
    },
    "realistic_vision": {
        "unet": "diffusers.UNet2DConditionModel",
        "vae": "diffusers.AutoencoderKL",
        "text_encoder": "transformers.CLIPTextModel",
    },
    "animatediff": {"": "diffusers.MotionAdapter"},
    "auffusion": {
        "unet": "diffusers.UNet2DConditionModel",
        "vae": "diffusers.AutoencoderKL",
        "text_encoder_0": "transformers.CLIPTextModel",
    },
    "videocrafter2": {},
}
ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}  # old names of autoencoders
UNREAD = re.compile(r"\.(weight_g|original0)$")  # lengths of weights, whose directions stand for them


def examine(name: str) -> MMBenchError | None:
    """Find missing tensors of a published model, or ones of another shape: the first file with its error, or None."""
    if name not in NETWORKS:
        return None
    path = locations.locate(name)
    for check in _checks(name, path):
        try:
            check()
        except MMBenchError as error:
            return error
    return None


@cache
def require(name: str, digest: str) -> None:
    """Raise what `examine` finds; once per digest of the files."""
    if error := examine(name):
        raise error


def _checks(name: str, path: Path) -> list[Callable[[], None]]:
    checks: list[Callable[[], None]] = []
    for folder, kind in NETWORKS[name].items():
        checks.append(lambda folder=folder, kind=kind: _check_network(name, path, folder, kind))  # type: ignore[misc]
    if name == "auffusion":
        checks += [lambda: _check_adapter(name, path), lambda: _check_vocoder(name, path)]
    if name == "videocrafter2":
        checks.append(lambda: _check_videocrafter2(name, path))
    return checks


def _check_network(name: str, path: Path, folder: str, kind: str) -> None:
    """The network in a folder, saved by diffusers or transformers."""
    config = path / folder / "config.json"
    member = next(m for m in KNOWN[name].members if m.startswith(f"{folder}/" if folder else "d") and "model" in m)
    file = next(path / m for m in member.split("|") if (path / m).is_file())
    try:
        need = _shapes(dict(_built(kind, json.loads(config.read_bytes())).named_parameters()))
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        where = locations.whereabouts(name, config.relative_to(path).as_posix())
        raise IntegrityError(f"{name}: {config} does not describe a {kind}: {error}.", "its config", where) from error
    _compare(name, path, file, need, _shapes(_tensors(name, path, file)))


def _built(kind: str, config: Mapping[str, Any]) -> Any:
    """The network of a config, without values."""
    import importlib

    import torch

    library, _, word = kind.partition(".")
    cls = getattr(importlib.import_module(library), word)
    with torch.device("meta"):
        return cls(cls.config_class.from_dict(config)) if library == "transformers" else cls.from_config(config)


def _shapes(state: Mapping[str, Any]) -> Shapes:
    """Shapes by name as it is now, of names of any age; axes of length 1 are left out."""
    found = {}
    for name, tensor in state.items():
        if not UNREAD.search(name):
            name = re.sub(r"\.(query|key|value|proj_attn)\.", lambda m: f".{ATTENTION[m[1]]}.", name)
            name = re.sub(r"\.(weight_v|parametrizations\.weight\.original1)$", ".weight", name)
            found[name.removeprefix("text_model.")] = tuple(n for n in tensor.shape if n > 1)
    return found


def _tensors(name: str, path: Path, file: Path) -> dict[str, Any]:
    """Read names and shapes of the tensors in a file; the error says where to get the file."""
    try:
        return read_meta(file)
    except IntegrityError as error:
        where = locations.whereabouts(name, file.relative_to(path).as_posix() if file != path else "")
        raise IntegrityError(f"{name}: {error.found}", error.expected, where) from error


def _compare(name: str, path: Path, file: Path, need: Shapes, have: Shapes) -> None:
    missing = [key for key in need if key not in have]
    other = [key for key in need if key in have and have[key] != need[key]]
    if not missing and not other:
        return
    first = (missing or other)[0]
    what = f"lacks {len(missing)} tensors" if missing else f"holds {len(other)} tensors of another shape"
    shape = f", first {first}" + (f" {have[first]}" if not missing else "")
    expected = f"{len(need)} tensors, {total_bytes(need):,} bytes in float32, with {first} {need[first]}"
    where = locations.whereabouts(name, file.relative_to(path).as_posix())
    raise IntegrityError(f"{name}: {file} {what}{shape}.", expected, where)


def _strictly(name: str, path: Path, file: Path, load: Callable[[dict[str, Any]], object]) -> None:
    """Load a file without values; its error names the file."""
    import torch

    state = _tensors(name, path, file)
    try:
        with torch.device("meta"):
            load(state)
    except (MMBenchError, LookupError, AttributeError) as error:
        found = error.found if isinstance(error, MMBenchError) else f"it holds no {error}"
        expected = error.expected if isinstance(error, MMBenchError) else "the published file"
        where = locations.whereabouts(name, file.relative_to(path).as_posix() if file != path else "")
        raise IntegrityError(f"{name}: {file}: {found}", expected, where) from error


def _check_adapter(name: str, path: Path) -> None:
    from mmbench.baselines.models.latent.auffusion_mel import ConditionAdapter
    from mmbench.networks.state_dicts import load_state

    width = int(json.loads((path / "text_encoder_0" / "config.json").read_bytes()).get("hidden_size", 768))
    inner = int(json.loads((path / "unet" / "config.json").read_bytes()).get("cross_attention_dim", 768))
    file = path / "condition_adapter_0" / "condition_adapter.pt"
    _strictly(name, path, file, lambda state: load_state(ConditionAdapter(width, inner), state, "the adapter"))


def _check_vocoder(name: str, path: Path) -> None:
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    from mmbench.baselines.models.latent import auffusion_mel as auffusion

    def load(state: dict[str, Any]) -> None:
        vocoder = SpeechT5HifiGan(SpeechT5HifiGanConfig(**auffusion.vocoder_config(auffusion.VOCODER)))
        auffusion.load_vocoder(vocoder, state["generator"])

    _strictly(name, path, path / "vocoder" / "vocoder.pt", load)


def _check_videocrafter2(name: str, path: Path) -> None:
    from diffusers import AutoencoderKL, UNet3DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from mmbench.baselines.models.latent import videocrafter2_names as vc2
    from mmbench.baselines.parts.autoencoder_names import autoencoder_config, load_autoencoder

    def load(state: dict[str, Any]) -> None:
        unet, vae, text = vc2.split(state)
        vc2.load_unet(UNet3DConditionModel(**vc2.unet_config(vc2.UNET)), unet, fps=8)
        load_autoencoder(AutoencoderKL(**autoencoder_config(vc2.AUTOENCODER, 4)), vae)
        vc2.load_text(CLIPTextModel(CLIPTextConfig(**vc2.text_config(vc2.TEXT))), text)

    _strictly(name, path, path, load)
