"""Text guidance of pipelines: its weight, and calls without it, whether an argument or a guider has it."""

from __future__ import annotations

from typing import Any

import pytest
from diffusers import ClassifierFreeGuidance

from mmbench.baselines.models.pipelines.text_guidance import argument_of, guider_off, scale_of, unguided_call


class ByArgument:
    """A pipeline whose call takes the scale."""

    def __call__(self, prompt: str, guidance_scale: float = 5.0, height: int | None = None) -> None: ...


class ByGuider:
    """A pipeline that has a guider."""

    def __init__(self) -> None:
        self.guider = ClassifierFreeGuidance(guidance_scale=6.0)

    def __call__(self, prompt: str) -> None: ...


class ByNothing:
    """A pipeline without guidance."""

    def __call__(self, prompt: str) -> None: ...


@pytest.mark.parametrize(
    ("pipe", "call", "scale", "unguided"),
    [
        (ByArgument(), {}, 5.0, {"guidance_scale": 1.0}),
        (ByArgument(), {"guidance_scale": 0.0, "height": 8}, 1.0, {"guidance_scale": 1.0, "height": 8}),
        (ByGuider(), {}, 6.0, {}),
        (ByNothing(), {}, 1.0, {}),
    ],
)
def test_the_scale_is_the_pipelines_own(
    pipe: Any, call: dict[str, Any], scale: float, unguided: dict[str, Any]
) -> None:
    assert scale_of(pipe, call) == scale
    assert unguided_call(pipe, call) == unguided


def test_a_guider_is_off_for_a_block_and_on_again_even_after_an_error() -> None:
    pipe = ByGuider()
    with guider_off(pipe):
        assert pipe.guider.num_conditions == 1
    assert pipe.guider._enabled
    with pytest.raises(ZeroDivisionError), guider_off(pipe):
        raise ZeroDivisionError
    assert pipe.guider._enabled
    with guider_off(ByNothing()):
        pass


def test_an_argument_is_as_given_or_the_default() -> None:
    assert argument_of(ByArgument(), {"height": 3}, "height") == 3
    assert argument_of(ByArgument(), {}, "guidance_scale") == 5.0
    assert argument_of(ByNothing(), {}, "height") is None
