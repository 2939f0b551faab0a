"""`mmbench submit`: a command as a job of Slurm."""

from __future__ import annotations

import shlex
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from mmbench.cli import options as opt
from mmbench.console import log, setup, show_notes
from mmbench.errors import MMBenchError, UsageError
from mmbench.markup import visible

SETTINGS = {"allow_interspersed_args": False, "ignore_unknown_options": False}  # what follows CMD is of CMD


def submit(
    context: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="CMD ...", help="The command, without `mmbench`.")],
    nodes: Annotated[int, typer.Option(min=1, help="Machines of one job.")] = 1,
    tasks_per_node: Annotated[int, typer.Option(min=0, help="Processes on each; default: one for each GPU.")] = 0,
    array: Annotated[
        int, typer.Option(min=0, help="So many jobs of one process, each taking what no other is at, instead.")
    ] = 0,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs of each node.")] = 0,
    cpus: Annotated[int, typer.Option(min=0, help="Cores of each process.")] = 0,
    memory: Annotated[float, typer.Option(min=0, help="Memory of each node [GB].")] = 0,
    hours: Annotated[float, typer.Option(min=0.01, help="After which it is queued again, if it is not done.")] = 24.0,
    partition: Annotated[str, typer.Option("--partition", "-p", help="Partition; default: the cluster's.")] = "",
    sbatch: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Another option of sbatch: account=me. Repeat.")
    ] = None,
    retries: Annotated[int, typer.Option(min=0, help="How often it may be queued again.")] = 3,
    logs: Annotated[Path, typer.Option(help="Folder of logs, on a disk that all nodes share.")] = Path("runs/slurm"),
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Submit, and do not follow it.")] = False,
    dry_run: opt.DryRun = False,
    verbose: opt.Verbose = 0,
) -> None:
    """Submit a command to Slurm, follow it, and print what it prints at its end.

    Its options come before CMD. What is preempted, cut off by its time or lost with a node is queued again and
    continues; Ctrl-C leaves the job alone, and the same command follows it again.

    Examples:

      mmbench submit --array 8 --gpus 1 --hours 12 run -s auffusion_vc2+mmdisco -d vggsound -n 2048

      mmbench submit --nodes 2 --gpus 8 train --system auffusion_vc2 --dataset vggsound --num-fake 10000

      mmbench submit --dry-run --array 4 -p a100 --sbatch account=lab generate -s tiny -n 64
    """
    from mmbench.jobs.slurm import SHARED, Resources, carry_out, require_slurm, script_of
    from mmbench.jobs.slurm import submit as submit_job

    setup(verbose)
    _check(context.find_root().command, words)
    if array and (nodes > 1 or tasks_per_node > 1):
        raise UsageError("Both an array and a job of several processes.", "one of them", "leave out --nodes")
    if array > 1 and words[0] not in SHARED:
        found = f"Tasks of an array would each do all of `mmbench {words[0]}`."
        raise UsageError(found, f"--array with {', '.join(SHARED)}", "--nodes instead of --array")
    if array > 1 and any(word.partition("=")[0] == "--shard" for word in words):
        found = "--shard gives a task its part, and tasks of an array take what no other is at."
        raise UsageError(found, "one of both", "leave out --shard")
    pairs = [text.partition("=")[::2] for text in sbatch or ()]
    if odd := [name for name, value in pairs if not name or not value]:
        raise UsageError(f"--sbatch {odd[0]} has no value.", "NAME=VALUE", "--sbatch account=me")
    asked = Resources(nodes, tasks_per_node, array, gpus, cpus, memory, hours, partition, dict(pairs), retries)
    if dry_run:
        require_slurm(dry=True)
        print(script_of(asked, logs))
        return
    require_slurm()
    if no_wait:
        job = submit_job(words, asked, logs)
        show_notes(
            [f"job {job.number}; logs: {job.folder}; while it lasts, the same command without --no-wait follows it"]
        )
        return
    try:
        printed, status = carry_out(words, asked, logs, lambda line: print(visible(line), file=sys.stderr))
    except KeyboardInterrupt:
        log.warning("The job goes on, and while it does the same command follows it; squeue and scancel are Slurm's.")
        raise
    if printed.exists():
        sys.stdout.write(printed.read_text())
    errors = printed.with_suffix(".err")
    if status:
        said = errors.read_text(errors="replace").strip().splitlines()[-5:] if errors.exists() else []
        found = "\n".join([f"The job ended with status {status}.", *said])
        error = MMBenchError(
            found, "a job that ends well", f"less {shlex.quote(str(errors))}; the same command again continues"
        )
        error.exit_code = status
        raise error


def _check(command: object, words: list[str]) -> None:
    """Refuse a command that could not begin, before it waits in a queue.

    Args:
        command: The whole command line.
        words: What is to be submitted.
    """
    rest = list(words)
    name = ""
    while known := getattr(command, "commands", None):
        name = rest.pop(0) if rest else ""
        if name not in known or name == "submit":
            near = get_close_matches(name, known)
            found = f"{name!r} is no command to submit." if name else "What is to be submitted?"
            raise UsageError(found, f"did you mean {near[0]}?" if near else "a command of mmbench", "mmbench --help")
        command = known[name]
    command.make_context(name, rest).close()  # type: ignore[attr-defined]
