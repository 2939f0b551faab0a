"""Texts of any pipeline: its own `encode_prompt`, run once per prompt, and what a discriminator reads of its states.

A pair's text of a prompt is one vector: the mean of its token states, which a discriminator reads, and then the prompt
itself as UTF-8 bytes, by which the pipeline finds the states that its denoiser takes. So pools of examples hold a few
kilobytes per text whatever a pipeline makes of it (masks, pooled vectors, embeddings of durations), and what is drawn
of a text, as its being dropped, is drawn of both.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmbench.errors import UsageError

TEXTS_KEPT = 128  # prompts whose states stay in memory: those of a T5-XXL are some 8 MB each
PROMPT_BYTES = 1024  # of a text; zeros fill it up


class PromptStates:
    """A pipeline's `encode_prompt` (or `_encode_prompt`), replaced by one that keeps what it made.

    Args:
        pipe: The pipeline; its own method stays reachable as its class's.
        call: Arguments with which it is called for one conditional pass.
    """

    def __init__(self, pipe: Any, call: Mapping[str, Any]) -> None:
        name = next((name for name in ("encode_prompt", "_encode_prompt") if hasattr(pipe, name)), None)
        if name is None:
            found = f"{type(pipe).__name__} has no encode_prompt."
            raise UsageError(found, "a pipeline that encodes its prompt by one", "mmbench list pipelines")
        self._pipe, self._call, self._own = pipe, dict(call), getattr(pipe, name)
        self._signature = inspect.signature(self._own)
        self._kept: OrderedDict[str, Any] = OrderedDict()
        self._ends_there = False
        setattr(pipe, name, self._encode)

    def _encode(self, *args: Any, **kwargs: Any) -> Any:
        given = self._signature.bind(*args, **kwargs)
        given.apply_defaults()
        key = repr(sorted(given.arguments.items()))
        if any(isinstance(value, Tensor) for value in given.arguments.values()):
            states = self._own(*args, **kwargs)
        elif key in self._kept:
            self._kept.move_to_end(key)
            states = self._kept[key]
        else:
            states = self._kept[key] = self._own(*args, **kwargs)
            if len(self._kept) > TEXTS_KEPT:
                self._kept.popitem(last=False)
        if self._ends_there:
            raise _Encoded(states)
        return states

    def read(self, prompt: str) -> Tensor:
        """(channels,) float32 on the CPU: the mean of a prompt's token states in a conditional pass."""
        self._ends_there = True
        try:
            with torch.no_grad():
                self._pipe(prompt=prompt, **self._call)
        except _Encoded as ended:
            return mean_state(ended.states, type(self._pipe).__name__)
        finally:
            self._ends_there = False
        raise UsageError(f"{type(self._pipe).__name__} encoded no prompt.", "one encode_prompt in each call")

    def text(self, prompt: str) -> Tensor:
        """(channels + `PROMPT_BYTES`,) float32 on the CPU: a prompt's mean state, and the prompt."""
        written = prompt.encode()
        if len(written) > PROMPT_BYTES or b"\0" in written:
            found = f"The prompt {prompt[:40]!r}… has {len(written)} bytes."
            raise UsageError(found, f"at most {PROMPT_BYTES} in UTF-8, none of them 0", "a shorter prompt")
        padded = torch.tensor([*written, *[0] * (PROMPT_BYTES - len(written))], dtype=torch.float32)
        return torch.cat([self.read(prompt), padded])


class _Encoded(Exception):
    """Ends a pipeline's call whose states of a prompt were all that was wanted."""

    def __init__(self, states: Any) -> None:
        super().__init__()
        self.states = states


def mean_state(encoded: Any, pipeline: str) -> Tensor:
    """(channels,) float32 on the CPU: the mean over tokens of what a pipeline encoded one prompt to.

    The states are the first floats (1, tokens, channels) or (1, channels); tokens that a mask (1, tokens) beside them
    leaves out, or whose states are all zero, are padding.

    Args:
        encoded: What `encode_prompt` returned: a tensor or a tuple.
        pipeline: Name of its class, for the error.

    Raises:
        UsageError: There are no such states.
    """
    tensors = [t for t in (encoded if isinstance(encoded, Sequence) else (encoded,)) if isinstance(t, Tensor)]
    found = next((t for t in tensors if t.is_floating_point() and t.ndim in (2, 3) and len(t) == 1), None)
    if found is None:
        shapes = ", ".join(str(tuple(t.shape)) for t in tensors) or "nothing"
        raise UsageError(
            f"{pipeline} encodes a prompt to {shapes}.", "states (1, tokens, channels)", "another pipeline"
        )
    states = found[0].float()
    if states.ndim == 1:
        return states.cpu()
    mask = next((t[0] for t in tensors if t is not found and t.shape == found.shape[:2]), torch.ones(len(states)))
    told = states.ne(0).any(1) & mask.to(states.device).bool()
    return (states * told[:, None]).sum(0).div(told.sum().clamp(min=1)).cpu()


def prompt_of(text: Tensor) -> str:
    """The prompt of a text that `PromptStates.text` made."""
    return bytes(text[-PROMPT_BYTES:].to(torch.uint8).tolist()).rstrip(b"\0").decode()


def read_texts(texts: Tensor) -> Tensor:
    """(n, channels) of (n, channels + `PROMPT_BYTES`) texts: what a discriminator reads."""
    return texts[:, :-PROMPT_BYTES]
