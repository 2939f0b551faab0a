"""The command line: parse, call one function, print."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Annotated, Any

import typer

from mmbench import __version__
from mmbench.cli import checks, data, leaderboard, look, method, profile, records, stats, study, submit, sweep, weights
from mmbench.cli.compare import compare
from mmbench.cli.examples import WithExamples
from mmbench.cli.exports import export
from mmbench.cli.prompts import prompts
from mmbench.cli.report import report
from mmbench.cli.run import evaluate, generate, run
from mmbench.cli.streams import CLOSED, abandon_broken_streams, flush, prepare_streams
from mmbench.cli.system_options import SystemOptions
from mmbench.console import log, show_error
from mmbench.errors import IncompleteError, MMBenchError, explain, explain_cache
from mmbench.registry import load_plugin

INTERRUPTED = 130  # typer exits so at Ctrl-C, without a word

app = typer.Typer(
    name="mmbench",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Benchmark joint audio-video generation: generate, evaluate, record, compare.\n\n"
    "Start with: mmbench run. Exit codes: 1 error, 2 usage, 3 incomplete, 4 damaged data.",
)


def show_version(asked: bool) -> None:
    """Print the version, in a checkout with its revision, and end."""
    if asked:
        from mmbench.runs.circumstances import git_state

        state = git_state()
        revision = f" (revision {state['revision'][:10]}{', changed' if state['dirty'] else ''})" if state else ""
        print(f"mmbench {__version__}{revision}")
        raise typer.Exit


COMMANDS: dict[str, Callable[..., None]] = {  # in the order of --help
    "run": run,
    "generate": generate,
    "evaluate": evaluate,
    "compare": compare,
    "export": export,
    "prompts": prompts,
    **records.COMMANDS,
    "preview": look.preview,
    "report": report,
    "check": checks.check,
    "verify": checks.verify,
    "plan": records.plan,
    "train": method.train,
    "sweep": sweep.sweep,
    "profile": profile.profile,
    "toy": method.toy,
}


@app.callback()
def describe(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=show_version,
            is_eager=True,
            help="Print the version, in a checkout with its revision.",
        ),
    ] = False,
    plugin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE.py",
            help="A Python file that registers a system, dataset or metric; repeat. MMBENCH_PLUGINS names such files "
            f"for every command, with {os.pathsep} between.",
        ),
    ] = None,
) -> None:
    """Options of mmbench itself."""
    for file in plugin or ():
        load_plugin(file)


for name, command in COMMANDS.items():
    app.command(name, cls=SystemOptions)(command)
app.command("submit", cls=WithExamples, context_settings=submit.SETTINGS)(submit.submit)
app.add_typer(data.app, name="data")
app.add_typer(leaderboard.app, name="leaderboard")
app.add_typer(stats.app, name="stats")
app.add_typer(study.app, name="study")
app.add_typer(weights.app, name="weights")
SOON = 0.02  # [s] until an interrupt that was lost is told again


def guarded(command: Callable[[], Any]) -> int:
    """Run the app; print every error that a user can meet as text, and return the exit code."""
    stdout = sys.stdout
    try:
        command()
        flush()
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            return say_interrupted()
        if sys.stdout is not stdout:  # typer replaces it where the reader has gone, and exits with 1
            return CLOSED
        return stop.code if isinstance(stop.code, int) else MMBenchError.exit_code
    except MMBenchError as error:
        show_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return say_interrupted()
    except BrokenPipeError:
        return CLOSED
    except OSError as error:
        log.debug("where that happened", exc_info=error)
        shown = explain(error)
        show_error(shown)
        return shown.exit_code
    except RuntimeError as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # torch says what it was writing when it was interrupted
            return say_interrupted()
        told = explain_cache(error)
        if told is None:
            raise
        show_error(told)
        return told.exit_code
    except MemoryError:
        show_error(MMBenchError("There is not enough memory.", "smaller batches, fewer processes", "--batch-size 1"))
        return MMBenchError.exit_code
    return 0


def run_app() -> None:
    """Run the app, and write what it printed while an error of that can still be told."""
    try:
        app()
    except SystemExit:
        flush()
        raise


def say_interrupted() -> int:
    """Say that Ctrl-C was heard, and return the exit code."""
    print("interrupted; the same command continues", file=sys.stderr)
    return IncompleteError.exit_code


def hear_every_interrupt() -> None:
    """Let Ctrl-C end the command where Python would only print it and go on: in a finaliser, in what C code calls."""
    tell = sys.unraisablehook

    def hear(ignored: sys.UnraisableHookArgs) -> None:
        if issubclass(ignored.exc_type, KeyboardInterrupt):
            again = os.getpid(), signal.SIGINT
            threading.Timer(SOON, os.kill, again).start()  # within this hook it would be lost once more
        else:
            tell(ignored)

    sys.unraisablehook = hear


def main() -> None:
    """Entry point of the `mmbench` command."""
    prepare_streams()
    hear_every_interrupt()
    code: int | None = None
    while True:
        try:
            code = guarded(run_app) if code is None else code
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to interrupt
            break
        except KeyboardInterrupt:  # a second one, while the first was told of, or one after the end
            code = IncompleteError.exit_code if code is None else code
    abandon_broken_streams()
    sys.exit(code)
