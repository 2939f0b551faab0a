"""Texts of pipelines: encoded once per prompt, a mean state and the prompt itself in one vector."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mmbench.baselines.models.pipelines.texts import PROMPT_BYTES, PromptStates, mean_state, prompt_of, read_texts
from mmbench.errors import UsageError


class Pipe:
    """Encodes a prompt to its length in each of two tokens, and counts how often it does."""

    def __init__(self) -> None:
        self.encoded, self.denoised = list[str](), 0

    def encode_prompt(self, prompt: str, guide: bool = False, states: Tensor | None = None) -> tuple[Tensor, None]:
        self.encoded.append(prompt)
        return torch.full((1, 2, 3), float(len(prompt))), None

    def __call__(self, prompt: str, guidance_scale: float = 7.0) -> Any:
        states = self.encode_prompt(prompt, guidance_scale > 1)
        self.denoised += 1
        return states


def test_a_text_is_the_mean_state_and_the_prompt() -> None:
    pipe = Pipe()
    states = PromptStates(pipe, {"guidance_scale": 1.0})
    text = states.text("Hündin ☂")
    assert text.shape == (3 + PROMPT_BYTES,)
    assert text[:3].tolist() == [8.0] * 3
    assert prompt_of(text) == "Hündin ☂"
    assert prompt_of(states.text("")) == ""
    assert torch.equal(read_texts(torch.stack([text, states.text("a")])), torch.tensor([[8.0] * 3, [1.0] * 3]))
    assert pipe.denoised == 0, "a call for its text goes no further"


def test_a_prompt_is_encoded_once_in_each_way_it_is_asked_for() -> None:
    pipe = Pipe()
    states = PromptStates(pipe, {"guidance_scale": 1.0})
    for _ in range(2):
        states.text("a dog")
        first = pipe("a dog")
        assert torch.equal(first[0], torch.full((1, 2, 3), 5.0))
    assert pipe.encoded == ["a dog", "a dog"], "without and with text guidance"
    assert pipe.denoised == 2
    pipe.encode_prompt("a dog", states=torch.zeros(1))
    assert len(pipe.encoded) == 3, "states that are given are not looked up by the prompt"


def test_padding_does_not_count_in_the_mean() -> None:
    states = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [0.0, 0.0]]])
    assert mean_state(states, "P").tolist() == [3.0, 4.0], "tokens of zeros are padding"
    assert mean_state((states, torch.tensor([[1, 1, 0, 0]])), "P").tolist() == [2.0, 3.0], "as a mask says"
    assert mean_state((None, states[:, 0]), "P").tolist() == [1.0, 2.0], "one vector is its own mean"
    assert mean_state((states, states + 1), "P").tolist() == [3.0, 4.0], "what follows may be the unconditional states"


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(UsageError, match="encodes a prompt to nothing"):
        mean_state((None, None), "P")
    states = PromptStates(Pipe(), {})
    for prompt in ("a" * (PROMPT_BYTES + 1), "a\0b"):
        with pytest.raises(UsageError, match="at most 1024 in UTF-8"):
            states.text(prompt)
    with pytest.raises(UsageError, match="has no encode_prompt"):
        PromptStates(object(), {})
