"""Options that commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmbench.console import Format
from mmbench.media.limits import LIMITS, set_limits

System = Annotated[
    list[str] | None, typer.Option("--system", "-s", help="System; repeat for several. The first is compared with.")
]
Dataset = Annotated[str, typer.Option("--dataset", "-d", help="Dataset, or folder:PATH for your own clips.")]
Metric = Annotated[list[str] | None, typer.Option("--metric", "-m", help="Metric or metric.variant; repeat.")]
Suite = Annotated[
    str, typer.Option("--suite", help="Metrics of a paper's table, as it prints them: paper, v2a, javisbench; or all.")
]
Skip = Annotated[list[str] | None, typer.Option("--skip", help="Metric of the suite to leave out; repeat.")]
NumSamples = Annotated[int, typer.Option("--num-samples", "-n", help="Samples per system.")]
Seed = Annotated[int, typer.Option(help="Seed of the run.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of runs.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")]
Dtype = Annotated[str, typer.Option(help="Precision of generation: float32, float16, bfloat16.")]
BatchSize = Annotated[
    int | None, typer.Option(help="Samples made at once, by default what suits the system; never changes a sample.")
]
Workers = Annotated[int | None, typer.Option(help="Processes for features; default: all cores.")]
Networks = Annotated[
    str, typer.Option("--weights", help="Of systems and of metrics' networks: real, or random for plumbing only.")
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="An option of the systems, such as num_inference_steps=20; --num-inference-steps 20 says the same. "
        "Repeat. mmbench show SYSTEM lists them.",
    ),
]
Paper = Annotated[
    str,
    typer.Option(help="As this table of the paper (1 to 4, 7 to 14, figure5), its numbers beside; all: every table."),
]
Layout = Annotated[
    str, typer.Option(help="Of another benchmark: av-benchmark, javisbench, verse-bench, t2av-compass, vbench.")
]
Offline = Annotated[bool, typer.Option("--offline", help="Never use the network.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; write nothing.")]
Retry = Annotated[bool, typer.Option("--retry-failed", help="Try samples with a recorded failure again.")]
Pack = Annotated[bool, typer.Option("--pack", help="Keep finished samples in a few large files, as they are made.")]
Form = Annotated[Format, typer.Option("--format", "-f", help="How results are printed.")]
Long = Annotated[
    bool, typer.Option("--long", help="A row for each number: interval, difference, p-value, n that it needs.")
]
Verbose = Annotated[int, typer.Option("--verbose", "-v", count=True, help="Say more on stderr; repeat for details.")]


def _set_limits(context: typer.Context, texts: list[str] | None) -> None:
    context.with_resource(set_limits(texts or ()))


Limit = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        callback=_set_limits,
        help=f"The most of something that a media file may have: seconds=7200. Repeat. Names: {', '.join(LIMITS)}.",
    ),
]


class Loss(StrEnum):
    """What a discriminator is trained with."""

    disc = "disc"
    denoise = "denoise"
    all = "all"
