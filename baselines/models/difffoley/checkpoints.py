"""Diff-Foley's released checkpoints: which tensors of them belong to which network.

As the original loaders do, tensors that no network has are left out; they are reported, and missing ones refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from mmbench.baselines.models.difffoley.networks import classifier_name
from mmbench.baselines.parts.autoencoder_names import autoencoder_name
from mmbench.baselines.parts.unet_names import unet_name
from mmbench.console import log
from mmbench.errors import MMBenchError
from mmbench.networks.state_dicts import State, load_state, part, rename
from mmbench.weights import checkpoints as published
from mmbench.weights import locations

NewName = Callable[[str], str | None]
UNREAD = re.compile(  # noise schedule, CAVP's audio encoder, and an encoder that the classifier was trained with
    r"(betas|alphas_cumprod|alphas_cumprod_prev|(sqrt|log|posterior)_\w+|scale_factor"
    r"|spec_encoder\..+|logit_scale|cond_model\..+)"
)


@dataclass(frozen=True)
class Part:
    """Location of the tensors of a network.

    Attributes:
        checkpoint: Name in `mmbench.weights.known`.
        prefix: What their names begin with.
        name: The network's name of a tensor, as a function of the network.
    """

    checkpoint: str
    prefix: str
    name: Callable[[Any], NewName] = lambda network: str


PARTS: Mapping[str, Part] = {
    "cavp": Part("difffoley_cavp", ""),
    "unet": Part(
        "difffoley_ldm",
        "model.diffusion_model.",
        lambda unet: partial(unet_name, layers=unet.config.layers_per_block, members=2),
    ),
    "condition": Part("difffoley_ldm", "cond_stage_model."),
    "vae": Part(
        "difffoley_ldm",
        "first_stage_model.",
        lambda vae: partial(autoencoder_name, levels=len(vae.config.block_out_channels)),
    ),
    "classifier": Part(
        "difffoley_classifier",
        "model.",
        lambda classifier: partial(classifier_name, layers=classifier.layers_per_block),
    ),
}


def fill(network: nn.Module, state: State, new_name: NewName, source: str) -> list[str]:
    """Let `network` take its tensors of `state`, without a copy, and return the names of the others.

    Raises:
        MMBenchError: A tensor is missing or has another shape.
    """
    need = network.state_dict()
    mine = {name: value for name, value in state.items() if new_name(name) in need}
    load_state(network, rename(mine, new_name, source), source)
    return [name for name in state if name not in mine]


def distribute(state: State, networks: Mapping[str, nn.Module], source: str) -> list[str]:
    """Let every network, by its name in `PARTS`, take its tensors; return the names that are left and not known."""
    left = set(state)
    for name, network in networks.items():
        prefix = PARTS[name].prefix
        own = part(state, prefix)
        others = fill(network, own, PARTS[name].name(network), source)
        left -= {f"{prefix}{key}" for key in own.keys() - others}
    return sorted(name for name in left if not UNREAD.fullmatch(name))


def load(checkpoint: str, networks: Mapping[str, nn.Module]) -> None:
    """Fill networks from a released checkpoint, whose digest is checked first.

    Args:
        checkpoint: Name in `mmbench.weights.known`.
        networks: By their names in `PARTS`.

    Raises:
        MMBenchError: The file is not here, is damaged, or is of another model; says how to get it.
    """
    path = published.verify(checkpoint).path
    held = published.load_state_dict(checkpoint)
    held = held.get("state_dict", held) if isinstance(held, Mapping) else {}
    state = {name.removeprefix("module."): z for name, z in held.items() if isinstance(z, Tensor)}
    state = {name: z.float() if z.is_floating_point() else z for name, z in state.items()}
    try:
        left = distribute(state, networks, str(path))
    except MMBenchError as error:
        expected = f"{error.expected}, as {locations.entry(checkpoint).page} has it"
        raise MMBenchError(error.found, expected, f"move it away, then mmbench weights fetch {checkpoint}") from error
    if left:
        log.warning("%s holds %d tensors that nothing reads, first %s.", path, len(left), left[0])
