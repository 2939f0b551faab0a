"""What a training will take of memory, said before it starts, and what it took, in its record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmbench.baselines.kinds.pair import DiffusionPair
from mmbench.console import log
from mmbench.files import append_line
from mmbench.mmdisco.memory import BACKWARD, TrainingMemory, predict_training_memory
from mmbench.mmdisco.training_config import TrainConfig
from mmbench.runs.usage import Usage

GB = 1e9
RECORD = "resources.jsonl"


def predict(config: TrainConfig, pair: DiffusionPair) -> TrainingMemory:
    """The memory of a discriminator's training on latents of `pair`, which itself is not in it."""
    video, audio = pair.shapes
    return predict_training_memory(config, (video, audio), [tuple(text.shape) for text in pair.unconditional])


def announce(config: TrainConfig, memory: TrainingMemory, free: float | None) -> str:
    """A line on the memory that a training will take; a warning with what to type if the device has less.

    Args:
        config: How to train.
        memory: Of `predict`.
        free: Bytes that the device has left; None if that is not known.
    """
    size = min(config.micro_batch or config.batch_size, config.batch_size)
    line = f"training takes about {memory.peak / GB:.2g} GB beside the base models, with {size} pairs at once"
    if free is None or memory.peak <= free:
        log.info("%s", line)
        return line
    fits = max(int((free - memory.weights) / (BACKWARD * memory.kept / size)), 1)
    line += f"; the device has {free / GB:.3g} GB free. try: --micro-batch {fits}, which trains the same"
    log.warning("%s", line)
    return line


def free_memory(device: str) -> float | None:
    """Bytes that a device has left; None of a CPU, whose system may swap."""
    if not device.startswith("cuda"):
        return None
    import torch

    return float(torch.cuda.mem_get_info(torch.device(device))[0])


class Measured:
    """The growth of memory in a block, beside its prediction, as a line of the training's record."""

    def __init__(self, folder: Path, memory: TrainingMemory) -> None:
        self.folder, self.memory = folder, memory

    def __enter__(self) -> Measured:
        self._before, self._usage = Usage().report(), Usage()
        return self

    def __exit__(self, *raised: Any) -> None:
        after = self._usage.report()
        key = "peak_gpu_bytes" if "peak_gpu_bytes" in after else "peak_memory_bytes"
        grown = after[key] - self._before[key]
        line = {**after, "grown_bytes": grown, "predicted_bytes": self.memory.peak, "kept_bytes": self.memory.kept}
        append_line(self.folder / RECORD, line | {"measured_over_predicted": round(grown / self.memory.peak, 3)})
