"""Functions that pause: they see their maker's modes, run one at a time, and end when told to."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch

from mmbench.mmdisco.paused import Paused, Unwound

WORD: contextvars.ContextVar[str] = contextvars.ContextVar("WORD", default="unset")


def modes() -> tuple[Any, ...]:
    """What torch and Python keep for a thread."""
    return (
        *(torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_device()),
        *(torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), torch.is_autocast_cache_enabled()),
        *(torch.get_default_dtype(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()),
        WORD.get(),
    )


def told(function: Callable[[], Any]) -> Any:
    paused = Paused(lambda pause: function())
    paused.resume()
    return paused.result


def test_it_stops_at_every_pause_and_goes_on_with_the_answer() -> None:
    def function(pause: Callable[[Any], Any]) -> list[Any]:
        return [pause("first"), pause("second")]

    paused = Paused(function)
    assert paused.resume() == "first"
    assert paused.resume(1) == "second"
    assert not paused.ended
    assert paused.resume(2) is None
    assert paused.ended
    assert paused.result == [1, 2]


def test_it_sees_the_modes_of_its_maker() -> None:
    other = torch.device("meta")
    token = WORD.set("set")
    try:
        plain = modes()
        assert told(modes) == plain
        with torch.no_grad(), torch.autocast("cpu", torch.float16, cache_enabled=False), other:
            paused = Paused(lambda pause: modes())
            inside = modes()
        with torch.inference_mode():
            assert told(modes) == modes()
        paused.resume()
    finally:
        WORD.reset(token)
    assert paused.result == inside != plain
    assert paused.result[3:6] == (True, torch.float16, False)
    assert modes()[:-1] == plain[:-1]  # nothing leaks out


def test_one_runs_at_a_time() -> None:
    running: list[str] = []

    def function(name: str) -> Callable[[Callable[[Any], Any]], None]:
        def run(pause: Callable[[Any], Any]) -> None:
            for i in range(50):
                running.append(name)
                assert running == [name]
                sum(range(10_000))
                running.remove(name)
                pause(i)

        return run

    both = [Paused(function(name)) for name in "ab"]
    for i in range(50):
        assert [paused.resume() for paused in both] == [i, i]
    assert [paused.resume() for paused in both] == [None, None]


def test_what_it_raises_is_raised_where_it_is_waited_for() -> None:
    def function(pause: Callable[[Any], Any]) -> None:
        pause(1)
        raise KeyError("inside")

    paused = Paused(function)
    paused.resume()
    with pytest.raises(KeyError, match="inside"):
        paused.resume()
    assert paused.ended
    paused.unwind()


@pytest.mark.parametrize("rest", ["not started", "paused", "ended"])
def test_unwinding_ends_it_wherever_it_rests(rest: str) -> None:
    log: list[str] = []

    def function(pause: Callable[[Any], Any]) -> None:
        try:
            pause(1)
        except Exception:
            log.append("held up")
        finally:
            log.append("cleaned up")
            if rest == "paused":
                with pytest.raises(Unwound):
                    pause(2)
                log.append("and again")

    before = threading.active_count()
    paused = Paused(function)
    if rest != "not started":
        paused.resume()
    if rest == "ended":
        paused.resume()
    paused.unwind()
    paused.unwind()
    assert threading.active_count() == before
    assert log == {"not started": [], "paused": ["cleaned up", "and again"], "ended": ["cleaned up"]}[rest]
