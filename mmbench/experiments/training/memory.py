"""What a training will take of memory, said before it starts, and what it took, in its record."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from mmbench.baselines.kinds.pair import DiffusionPair
from mmbench.console import log
from mmbench.experiments.training.bases import PairDescription
from mmbench.files import append_line
from mmbench.mmdisco.memory import TrainingMemory, predict_training_memory
from mmbench.mmdisco.seen import shapes_seen
from mmbench.mmdisco.training_config import TrainConfig
from mmbench.runs.generate import Shard
from mmbench.runs.usage import Usage

GB = 1e9
MARGIN = 1.1  # over a prediction: what allocators and convolutions take beside tensors; on a CPU some 0.5 GB
RECORD = "resources.jsonl"


def predict(config: TrainConfig, pair: DiffusionPair | PairDescription) -> TrainingMemory:
    """The memory of a discriminator's training on latents of `pair`, which itself is not in it."""
    video, audio, *texts = shapes_seen(pair)
    return predict_training_memory(config, (video, audio), texts)


def announce(
    config: TrainConfig,
    free: float | None,
    of: Callable[[TrainConfig], TrainingMemory],
    beside: str = " beside the base models",
) -> tuple[TrainingMemory, str]:
    """The memory that a training will take, and a line that says so: a warning, with what to type, if there is less.

    Args:
        config: How to train.
        free: Bytes that the device has left; None if that is not known.
        of: Predicts the memory of a training.
        beside: What takes memory besides, for the line.
    """
    memory = of(config)
    size = min(config.micro_batch or config.batch_size, config.batch_size)
    line = f"training takes about {memory.peak / GB:.2g} GB{beside}, with {size} pairs at once"
    fits = free is None or MARGIN * memory.peak <= free
    if free is not None and not fits:
        line += f"; the device has {free / GB:.3g} GB free. {_advice(config, size, free, of)}"
    if Shard.from_environment(os.environ).rank == 0:  # once for all processes of a launcher
        if fits:
            Console(stderr=True, highlight=False).print(line, soft_wrap=True)
        else:
            log.warning("%s", line)
    return memory, line


def _advice(config: TrainConfig, size: int, free: float, of: Callable[[TrainConfig], TrainingMemory]) -> str:
    """The options that make a training fit and cost the least time."""
    sizes = [size >> k for k in range(size.bit_length())]  # halved down to 1
    for checkpointing in sorted({config.checkpointing, True}):
        for part in sizes:
            if MARGIN * of(replace(config, micro_batch=part, checkpointing=checkpointing)).peak <= free:
                return f"try: --micro-batch {part}{' --checkpointing' * checkpointing}, which trains the same"
    return "even --micro-batch 1 --checkpointing takes more: a smaller --channels, or another device"


def free_memory(device: str) -> float | None:
    """Bytes that a device has left for this process; None if that is not known."""
    if not device.startswith("cuda"):
        return _free_memory_of_machine()
    import torch

    where = torch.device(device)
    unused = torch.cuda.memory_reserved(where) - torch.cuda.memory_allocated(where)  # kept from freed tensors
    return float(torch.cuda.mem_get_info(where)[0] + unused)


def _free_memory_of_machine() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:  # elsewhere than on Linux
        return None
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


class Measured:
    """The growth of memory in a block, beside its prediction, as a line of the training's record.

    Args:
        folder: Of the training.
        memory: What was predicted.
        device: Whose memory: that of a GPU as torch allocates it, else that of the process.
    """

    def __init__(self, folder: Path, memory: TrainingMemory, device: str) -> None:
        self.folder, self.memory = folder, memory
        self._key = "peak_gpu_bytes" if device.startswith("cuda") else "peak_memory_bytes"

    def __enter__(self) -> Measured:
        self._before, self._usage = Usage().report(), Usage()
        return self

    def __exit__(self, *raised: Any) -> None:
        after = self._usage.report()
        held, grown = self._before[self._key], after[self._key] - self._before[self._key]
        line = {**after, "held_before_bytes": held, "grown_bytes": grown, "kept_bytes": self.memory.kept}
        line |= {"predicted_bytes": self.memory.peak, "measured_over_predicted": round(grown / self.memory.peak, 3)}
        append_line(self.folder / RECORD, line)
