"""What is done with each command of the pages: run, dry-run or parsed, why, and which small sizes are appended."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from mmbench.dataset_names import parse_dataset_name
from mmbench.datasets.prompt_sets import READERS
from mmbench.registry import discover, lookup
from mmbench.system_names import options_of, parse_system_name, read_options
from mmbench.tables.known_suites import suite_named
from tests.commands import command_line
from tests.conftest import REPOSITORY
from tests.documents import Command, commands

EMBEDDED = (  # systems that need no download
    *("ground_truth", "independent", "tiny", "tiny_cascade", "tiny_flow", "external", "pipelines"),
)
SMALL = ("--num-samples", "2")
FEW_STEPS = ("--set", "num_inference_steps=2")  # of tiny's sampler


class Mode(StrEnum):
    """How a command is treated."""

    run = "run"
    dry_run = "dry-run"
    parsed = "parsed"


@dataclass(frozen=True)
class Treatment:
    """How a command is treated, and why.

    Attributes:
        mode: run, dry-run or parsed.
        why: For whoever reads the test's output.
        words: The mmbench command without "mmbench".
        add: Options that the test appends.
        outside: A command of another program that is started instead.
    """

    mode: Mode
    why: str
    words: Sequence[str] = ()
    add: Sequence[str] = ()
    outside: Sequence[str] = ()


def command_called(words: Sequence[str]) -> Any:
    """The command that the first of these words name."""
    found = command_line()
    for word in words:
        if not hasattr(found, "commands"):
            break
        assert word in found.commands, f"no command {word!r} in {' '.join(words)}; there are {sorted(found.commands)}"
        found = found.commands[word]
    return found


@cache
def options_of_systems() -> set[str]:
    """--size and what else systems take by name."""
    entries = discover("system")[0].values()
    return {f"--{name.replace('_', '-')}" for entry in entries for name in options_of(entry)}


def parse(words: Sequence[str]) -> dict[str, Any]:
    """Parse a mmbench command without carrying it out, and look up the systems, datasets and metrics it names."""
    found = command_line()
    context = found.make_context("mmbench", list(words))
    rest = [*context._protected_args, *context.args]
    while hasattr(found, "commands"):
        name, found, rest = found.resolve_command(context, rest)
        context = found.make_context(name, rest, parent=context)
        rest = [*getattr(context, "_protected_args", ()), *context.args]
    given: dict[str, Any] = context.params
    systems = given.get("system") or ()
    systems = [systems] if isinstance(systems, str) else [s for s in systems if s not in TAUGHT]
    for system in systems:
        lookup("system", parse_system_name(system).base)
    if systems:
        read_options(given.get("option") or (), systems)
    metrics = given.get("metric") or ()
    for metric in [metrics] if isinstance(metrics, str) else metrics:
        if metric not in TAUGHT:
            lookup("metric", metric.partition(".")[0])
    if suite := given.get("suite"):
        suite_named(suite)
    dataset = parse_dataset_name(given.get("dataset") or "").base
    if dataset and dataset not in TAUGHT:
        lookup("dataset", dataset)
    return given


TAUGHT = ("my_model", "loudness", "flicker")  # what a reader of docs/extending.md has registered


def treatment(command: Command) -> Treatment:
    """The rule for a command.

    Raises:
        LookupError: There is none.
    """
    words = command.words
    match words:
        case ["mmbench", *rest]:
            return _mmbench(command, rest)
        case ["make", target]:
            why = "it would install and run in the checkout; make says what it would do"
            return Treatment(Mode.dry_run, why, outside=["make", "--dry-run", target])
        case ["python" | ".venv/bin/python", "-m", "pytest", *rest]:
            missing = [w for w in rest if w.startswith("tests/") and not (REPOSITORY / w).exists()]
            if missing:
                raise LookupError(f"{command}: no {missing}")
            given = [word for i, word in enumerate(rest) if "PATH" not in rest[i : i + 2]]  # which only the reader has
            known = [sys.executable, "-m", "pytest", *given, "--markers"]
            return Treatment(Mode.dry_run, "pytest reads its options and lists markers, no test", outside=known)
        case ["torchrun", *rest]:
            return _parsed(
                "several GPUs; torchrun's parser reads its part, mmbench's the rest", _launched(command, rest)
            )
        case ["sbatch", *options, "--wrap", wrapped] if all(o.startswith(("--array=", "--ntasks=")) for o in options):
            inner = wrapped.removeprefix("srun ").replace("$SLURM_ARRAY_TASK_ID", "0")
            job = Command(command.page, command.line, inner).words
            if job[0] == "mmbench":
                return _parsed("a cluster; the job that it wraps is read", job[1:])
    raise LookupError(f"no rule for {command}")


def _launched(command: Command, words: Sequence[str]) -> list[str]:
    """The mmbench command that torchrun would start."""
    from torch.distributed.run import get_args_parser

    found = get_args_parser().parse_args(list(words))
    if not found.module or found.training_script != "mmbench":
        raise LookupError(f"no rule for {command}")
    return list(found.training_script_args)


def _parsed(why: str, words: Sequence[str]) -> Treatment:
    return Treatment(Mode.parsed, why, words)


def _run_on(page: str, command: Command) -> str:
    """Why a command need not be run again: another page has the same one."""
    if command.text not in [other.text for other in commands(page)]:
        raise LookupError(f"{command} is not on {page}, where it would be run")
    return f"{page} has the same command, where it is run"


def _mmbench(command: Command, words: list[str]) -> Treatment:
    """The rule for a mmbench command, by its verb."""
    match words:
        case _ if any("seconds=8" in word and not word.startswith("bounce") for word in words):
            return _parsed("clips of 8 s; the stand-ins have 2 s", words)
        case ["submit", *rest]:
            return Treatment(Mode.dry_run, "no cluster; tests/slurm has one", ["submit", "--dry-run", *rest])
        case ["run" | "evaluate", *_] if "--suite" in words:
            return _parsed("gigabytes of networks; tests/jobs/test_suites.py runs a suite of small ones", words)
        case ["evaluate", *_] if "ib_score" in words:
            return _parsed("clips of 4 s or more; the stand-ins have 2 s", words)
        case ["run" | "generate", *_]:
            return _generating(command.page, words)
        case ["evaluate", *_] if "fvd" in words and command.page != "docs/metrics.md":
            return _parsed(_run_on("docs/metrics.md", command), words)
        case ["evaluate" | "stats", *_] if {"fvd", "fad", "fd_pann"} & set(words):
            why = "on stand-ins of the reader's clips, networks with random weights: nothing to download"
            return Treatment(Mode.run, why, words, ("--weights", "random"))
        case ["evaluate", *_] if "desync" in words:
            return _parsed("clips of 4.8 s or more; the stand-ins have 2 s", words)
        case ["evaluate", "javis_samples" | "verse_samples", *_]:
            return _parsed("folders of another benchmark; tests/media/layouts reads such", words)
        case ["evaluate", *_]:
            return Treatment(Mode.run, "on stand-ins of the reader's clips", words)
        case ["export", *_]:
            return Treatment(Mode.run, "what the commands before it made, or stand-ins of the reader's clips", words)
        case ["prompts", *_]:
            return Treatment(Mode.run, "as printed", words)
        case ["compare", *_]:
            return Treatment(Mode.run, "what the commands before it scored", words)
        case ["train", *_] if "tiny" in words or "pipelines:my_pair.toml" in words:
            small = ("--num-real", "2", "--num-fake", "2", "--steps", "1", "--batch-size", "1")
            return Treatment(Mode.run, "one step on two pairs", words, small)
        case ["train", *_]:
            return _parsed("hours of training on published weights", words)
        case ["sweep", *_] if "tiny" in words and command.page != "docs/training.md":
            return Treatment(Mode.dry_run, _run_on("docs/training.md", command), words, ("--dry-run",))
        case ["sweep", *_] if "tiny" in words:
            few = ("--num-samples", "2", "--steps", "1", "--num-real", "2", "--num-fake", "2", "-m", "av_align")
            rows = ("--row", "no guidance", "--row", "loss all", "--train-batch-size", "1", *FEW_STEPS)
            return Treatment(Mode.run, "two of its rows, one step of training, two samples", words, (*few, *rows))
        case ["sweep", *_] if "--dry-run" in words:
            return Treatment(Mode.dry_run, "as printed; published weights are not here", words, ("--weights", "random"))
        case ["toy", *_]:
            return _parsed("an hour of training; tests/test_train_command.py runs it in small", words)
        case ["profile", *_] if "tiny" in words:
            return Treatment(Mode.run, "one round", words, ("--runs", "1", "--cpu-time", *FEW_STEPS))
        case ["profile", *_]:
            return _parsed("minutes on a GPU", words)
        case ["verify", *_]:
            return Treatment(Mode.run, "one metric on the fewest clips", words, ("-m", "av_align", "-n", "12"))
        case ["check", *_]:
            return Treatment(Mode.run, "one system", words, ("--system", "ground_truth"))
        case ["weights", "fetch" | "where", *_] | ["data", "caption", *_]:
            return _parsed("a download of gigabytes", words)
        case ["table", *_] if "--num-samples" in words:
            return Treatment(Mode.run, "of as many samples as the runs before it had", words, SMALL)
        case ["report", *_] if "--paper" in words:
            return Treatment(Mode.run, "as printed, on the records of the repository", words)
        case ["report", *_]:
            return Treatment(Mode.run, "as printed, of few samples", words, SMALL)
        case ["study", "make", *_]:
            small = ("--pairs", "1", "--raters", "1", "--attention", "1")
            return Treatment(Mode.run, "one pair and one rater", words, small)
        case ["study", "tally", *_]:
            return _parsed("answers of people; tests/study has raters", words)
        case ["leaderboard", *_]:
            return Treatment(Mode.run, "what the commands before it scored and sent", words)
        case ["preview", *_]:
            return Treatment(Mode.run, "one sample", words, ("--num", "1"))
        case ["list" | "show" | "table" | "merge" | "plan" | "doctor" | "pack" | "unpack", *_]:
            return Treatment(Mode.run, "as printed", words)
        case ["data", "check" | "prepare", *_] | ["stats", *_] | ["weights", "list" | "verify", *_]:
            return Treatment(Mode.run, "as printed, on stand-ins", words)
        case ["--plugin", file, *rest] if file.endswith(".py"):
            return _mmbench(command, rest)
    raise LookupError(f"no rule for mmbench {' '.join(words)}")


def _generating(page: str, words: list[str]) -> Treatment:
    """run and generate: embedded systems are run, what needs a download or a GPU is planned."""
    given = parse(words)
    systems, dataset = given["system"] or ("tiny",), parse_dataset_name(given["dataset"]).base
    if set(systems) & set(TAUGHT):
        return _parsed("test_templates_of_the_guide runs it, with the guide's own files registered", words)
    if dataset in READERS:
        return _parsed("a list of prompts that has to be fetched", words)
    if any("model=" in option for option in given["option"] or ()):
        return _parsed("a model of another's repository", words)
    embedded = all(parse_system_name(system).base in EMBEDDED for system in systems)
    if embedded and (dataset in ("bounce", "bounce_heavy", "folder") or given.get("metric")):
        if "fvd" in words and page != "docs/metrics.md":
            return Treatment(Mode.dry_run, "docs/metrics.md runs these networks", words, ("--dry-run", *SMALL))
        few = FEW_STEPS if any(system.startswith("tiny") for system in systems) else ()
        return Treatment(Mode.run, "two samples in few steps" if few else "two samples", words, (*SMALL, *few))
    if embedded:
        return Treatment(Mode.dry_run, "its metrics need gigabytes of ImageBind", words, ("--dry-run", *SMALL))
    plumbing = () if "--size" in words or "random" in words else ("--weights", "random")
    return Treatment(Mode.dry_run, "published models: planned with random weights", words, ("--dry-run", *plumbing))
