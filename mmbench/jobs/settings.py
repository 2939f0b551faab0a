"""What a user set for a job; the defaults are the embedded job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmbench.errors import UsageError
from mmbench.jobs.retyped import retype
from mmbench.processes import BESIDE
from mmbench.runs.generate import Shard

DEFAULT_SYSTEMS = (
    "ground_truth",
    "independent",
    "tiny",
    "tiny_cascade",
    "tiny+mmdisco",
    "tiny+mmdisco-res_frieren",
)
DEFAULT_METRICS = ("av_align",)
LARGEST_SEED = 1 << 63


@dataclass(frozen=True)
class Settings:
    """What a user set; the defaults are the embedded default job."""

    systems: Sequence[str] = DEFAULT_SYSTEMS
    dataset: str = "bounce"
    num_samples: int = 64
    seed: int = 0
    out: Path = Path("runs")
    metrics: Sequence[str] = ()
    suite: str = ""
    skip: Sequence[str] = ()
    reference: Path | None = None
    device: str = "auto"
    dtype: str = "float32"
    weights: str = "real"
    batch_size: int | None = None
    options: Sequence[str] = ()
    workers: int | None = None
    shard: Shard | None = None
    beside: int = 1
    retry_failed: bool = False
    pack: bool = False
    quiet: bool = False
    command: Sequence[str] = field(default_factory=tuple)

    @property
    def processes(self) -> int:
        """How many processes do this job together: of a launcher, or `beside` each other without ranks."""
        return max(self.shard.count if self.shard else 1, self.beside)

    @property
    def follows(self) -> bool:
        """Whether another process of the launcher scores and prints."""
        return self.shard is not None and self.shard.rank > 0

    def check(self) -> None:
        """Refuse what cannot work before anything is written."""
        if self.num_samples < 1:
            again = retype(self.command, "--num-samples", "64", "-n")
            raise UsageError(f"--num-samples is {self.num_samples}.", "a whole number from 1", again)
        if not 0 <= self.seed < LARGEST_SEED:
            again = retype(self.command, "--seed", "0")
            raise UsageError(f"--seed is {self.seed}.", f"a whole number from 0, below {LARGEST_SEED}", again)
        if self.beside > 1 and self.shard is not None and self.shard.count > 1:
            found = f"{BESIDE} is {self.beside}, and this process is {self.shard.rank} of {self.shard.count}."
            raise UsageError(found, "processes with ranks, or processes without", f"unset {BESIDE}")
        if self.batch_size is not None and self.batch_size < 1:
            again = retype(self.command, "--batch-size", "8")
            raise UsageError(f"--batch-size is {self.batch_size}.", "a whole number from 1", again)
        if self.weights not in ("real", "random"):
            again = retype(self.command, "--weights", "real")
            raise UsageError(f"--weights is {self.weights!r}.", "real, or random to try the plumbing", again)
        if self.out.exists() and not self.out.is_dir():
            raise UsageError(f"--out {self.out} is a file.", "a folder", retype(self.command, "--out", "runs", "-o"))

    def resolved(self) -> dict[str, Any]:
        """Every option with the value it had, for the manifest."""
        shown = {k: v for k, v in vars(self).items() if k not in ("command", "shard", "beside", "quiet")}
        return {k: str(v) if isinstance(v, Path) else list(v) if isinstance(v, tuple) else v for k, v in shown.items()}
