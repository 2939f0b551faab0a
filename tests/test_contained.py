"""Imports of other people's code end no command, print nothing on stdout and take no longer than they may."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from mmbench.contained import LIMIT_VARIABLE, contained
from mmbench.errors import NoImport


def exit_early() -> None:
    raise SystemExit(0)


def interrupt() -> None:
    raise KeyboardInterrupt


def leave() -> None:
    raise GeneratorExit


def sleep_stubbornly() -> None:
    try:
        time.sleep(30)
    except Exception:
        time.sleep(30)


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)


@pytest.mark.parametrize(("does", "named"), [(exit_early, "SystemExit"), (interrupt, "Key"), (leave, "GeneratorExit")])
def test_what_would_end_the_command_is_an_error(does: Callable[[], None], named: str) -> None:
    with pytest.raises(NoImport, match=named), contained():
        does()


def test_an_import_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, "0.2")
    began = time.monotonic()
    with pytest.raises(NoImport, match=r"it took longer than 0\.2 s"), contained():
        sleep_stubbornly()
    assert time.monotonic() - began < 10


def test_a_real_interrupt_is_one() -> None:
    with pytest.raises(KeyboardInterrupt), contained():
        press_ctrl_c()


def test_errors_pass_and_signals_are_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, "no number")
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM)
    with pytest.raises(ZeroDivisionError), contained():
        raise ZeroDivisionError
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM)) == before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_what_it_prints_is_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    with contained():
        print("hello from a plugin")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "hello from a plugin\n")
