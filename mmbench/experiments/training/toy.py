"""`mmbench toy`: run the 1-D experiment of the paper and keep its records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmbench.errors import UsageError
from mmbench.files import append_line
from mmbench.progress import Stage
from mmbench.runs.circumstances import invocation
from mmbench.tables.format import with_error

COLUMNS = (
    "sigma",
    "setting",
    "method",
    "seeds",
    "excess",
    "paper excess",
    "energy",
    "spread",
    "mode error",
    "stray",
    "NLL",
    "paper NLL",
)
METHODS_WITHOUT_TRAINING = 5  # ground truth, training points, exact scores, no joint guidance, exact discriminator


def run_toy_experiment(
    sigmas: Sequence[float],
    settings: Sequence[str],
    losses: Sequence[str],
    seeds: int,
    out: Path,
    *,
    quick: bool = False,
    figures: bool = True,
    command: Sequence[str] = (),
    progress: Stage | None = None,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Trains, samples and scores the 1-D experiment; records go to OUT/records.jsonl as they come, figures with them.

    Args:
        sigmas: Standard deviations of the Gaussians.
        settings: Of "ind", "ood".
        losses: Of "disc", "denoise", "all".
        seeds: Number of seeds, from 0.
        out: Folder for records and figures.
        quick: Few training steps and samples: whether it runs, not what it reaches.
        figures: Whether to draw Figures 2 and 4.
        command: What was typed, for the record.
        progress: Advanced with each record.

    Returns:
        Rows of Table 1, with the published numbers, and sentences on which loss wins by which score.
    """
    if seeds < 1 or not all(sigma > 0 for sigma in sigmas):
        raise UsageError(f"{seeds} seeds, sigma {list(sigmas)}.", "at least one seed, and sigma above 0", "--seeds 5")
    from mmbench.mmdisco.toy.experiment import ToyConfig, run_toy
    from mmbench.mmdisco.toy.table import lay_out_table, name_winners

    config = ToyConfig(base_steps=300, steps=300, num_samples=400, num_inference_steps=50) if quick else ToyConfig()
    out.mkdir(parents=True, exist_ok=True)
    options = {"sigmas": list(sigmas), "settings": list(settings), "losses": list(losses), "seeds": seeds}
    append_line(out / "invocations.jsonl", invocation(list(command), {**options, "quick": quick}))

    def keep(record: dict[str, Any], _: Any) -> None:
        append_line(out / "records.jsonl", record)
        if progress:
            progress.advance()

    records = []
    for sigma in sigmas:
        records += run_toy(sigma, settings, losses, range(seeds), config, keep, out if figures else None)
    table = lay_out_table(records)
    return [_row(row) for row in table], name_winners(table)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """The row of a table as text, with all its numbers under "numbers"."""
    paper = {k: None if row[k] is None else f"{row[k]:.2f}" for k in ("paper_nll", "paper_excess")}
    return {
        "sigma": f"{row['sigma']:g}",
        "setting": row["setting"],
        "method": row["method"],
        "seeds": row["seeds"],
        "NLL": with_error(row["nll"], row["nll_stderr"]),
        "excess": with_error(row["excess"], row["excess_stderr"]),
        "paper NLL": paper["paper_nll"],
        "paper excess": paper["paper_excess"],
        "energy": with_error(row["energy"], row["energy_stderr"]),
        "spread": with_error(row["spread"], row["spread_stderr"]),
        "mode error": with_error(row["mode_error"], row["mode_error_stderr"]),
        "stray": f"{row['stray']:.3f}",
        "numbers": row,
    }
