"""Reports the course of a training: lines on stderr and TensorBoard's event files."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from mmbench.errors import MMBenchError


def reporter(
    first: int, steps: int, batch_size: int, events: Path | None = None
) -> Callable[[int, dict[str, float]], None]:
    """Make the function that reports (step, losses), with throughput and the time that is left.

    Args:
        first: The step before the first one.
        steps: The last step.
        batch_size: Real pairs per step, on all processes.
        events: Folder for event files; None for none.

    Raises:
        MMBenchError: If event files are wanted and TensorBoard is not installed.
    """
    from rich.console import Console

    console, start, writer = Console(stderr=True, highlight=False), time.perf_counter(), None
    if events is not None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MMBenchError("TensorBoard is not installed.", "", "pip install 'mmbench[train]'") from error
        writer = SummaryWriter(str(events), purge_step=first + 1)

    def report(step: int, losses: dict[str, float]) -> None:
        speed = (step - first) / (time.perf_counter() - start)
        values = "  ".join(f"{name} {value:.4f}" for name, value in losses.items())
        left = time.strftime("%H:%M:%S", time.gmtime((steps - step) / speed))
        console.print(f"step {step}/{steps}  {values}  {speed * batch_size:.1f} pairs/s  {left} left", soft_wrap=True)
        if writer is not None:
            for name, value in {**losses, "pairs_per_second": speed * batch_size}.items():
                writer.add_scalar(name, value, step)
            writer.flush()

    return report
