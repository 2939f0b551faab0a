"""A function that stops at points of its own choice and goes on when told to: two loops that nobody rewrote, in turn.

Each runs in a thread of its own, and exactly one at a time: who resumes it waits until it pauses or ends. So there is
nothing to lock, and nothing depends on timing.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch

DEVICE_TYPES = ("cpu", "cuda")  # whose autocast is kept for each thread apart


class Unwound(BaseException):
    """Ends a function at a pause; no `except Exception` on the way holds it up."""


class Paused:
    """A function at rest: it runs from one `resume` to its next pause, or to its end.

    It sees what its maker sees: context variables, gradient, inference and autocast modes, default device and CUDA
    stream, which torch keeps for each thread apart.

    Args:
        function: Takes `pause`, which takes a value to show and returns what `resume` is given.

    Attributes:
        ended: Whether it has returned or raised.
        result: What it returned; None before.
    """

    def __init__(self, function: Callable[[Callable[[Any], Any]], Any]) -> None:
        self.ended, self.result = False, None
        self._function, self._modes, self._context = function, torch_modes(), contextvars.copy_context()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._values: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()
        self._unwinding = False
        self._thread: threading.Thread | None = None

    def resume(self, answer: Any = None) -> Any:
        """Run on to the next pause and return what it shows; None at the end, when `result` is set.

        Args:
            answer: What the pause returns that it rests at; of no meaning at the start.

        Raises:
            BaseException: What the function raised.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._context.run, args=(self._run,), daemon=True)
            self._thread.start()
        else:
            self._answers.put(answer)
        self.ended, value = self._values.get()
        if not self.ended:
            return value
        self._thread.join()
        if isinstance(value, BaseException):
            raise value
        self.result = value
        return None

    def unwind(self) -> None:
        """End it by an `Unwound` at its pause or, amid a step, at its next one; nothing if it has ended."""
        if self._thread is None:
            return
        self._unwinding = True
        self._answers.put(None)
        while not self.ended:
            self.ended, _ = self._values.get()
        self._thread.join()

    def _run(self) -> None:
        """What the thread does."""
        try:
            with self._modes():
                returned: Any = self._function(self._pause)
        except BaseException as error:  # raised by who waits for it
            returned = error
        self._values.put((True, returned))

    def _pause(self, value: Any) -> Any:
        if not self._unwinding:
            self._values.put((False, value))
            answer = self._answers.get()
        if self._unwinding:
            raise Unwound
        return answer


def torch_modes() -> Callable[[], AbstractContextManager[None]]:
    """What torch keeps for the current thread alone, as a context that another thread can enter."""
    gradients, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    autocasts = {kind: torch.get_autocast_dtype(kind) for kind in DEVICE_TYPES if torch.is_autocast_enabled(kind)}
    cache = torch.is_autocast_cache_enabled()
    device = torch.get_default_device()
    stream = torch.cuda.current_stream() if torch.cuda.is_initialized() else None

    @contextmanager
    def entered() -> Iterator[None]:
        with ExitStack() as stack:
            if inference:
                stack.enter_context(torch.inference_mode())
            stack.enter_context(torch.set_grad_enabled(gradients))
            for kind, dtype in autocasts.items():
                stack.enter_context(torch.autocast(kind, dtype, cache_enabled=cache))
            if device != torch.get_default_device():
                stack.enter_context(device)
            if stream is not None:
                stack.enter_context(torch.cuda.stream(stream))
            yield

    return entered
