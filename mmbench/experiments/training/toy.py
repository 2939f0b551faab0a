"""`mmbench toy`: run the 1-D experiment of the paper and keep its records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmbench.errors import UsageError
from mmbench.files import append_line, make_folder
from mmbench.progress import Stage
from mmbench.runs.circumstances import invocation
from mmbench.tables.format import with_error

if TYPE_CHECKING:  # torch loads only when it is needed
    from mmbench.mmdisco.toy.bases import BaseKind, Pairing
    from mmbench.mmdisco.toy.sampling import Sampler

COLUMNS = (
    "sigma",
    "setting",
    "method",
    "bases",
    "pairing",
    "sampler",
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


def name_columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The columns of the table; bases, pairing and sampler only where one is not the paper's."""
    from mmbench.mmdisco.toy.table import SOURCE

    return [c for c in COLUMNS if c not in SOURCE or any(row[c] not in (None, SOURCE[c]) for row in rows)]


def parse_bases(texts: Sequence[str]) -> list[tuple[BaseKind, BaseKind]]:
    """The pairs of base models in "eps/eps" or "v/v,flow/flow", base of x / base of y, each once.

    Raises:
        UsageError: No such kind, or not two of them.
    """
    from mmbench.mmdisco.toy.bases import KINDS

    names = [name.strip() for text in texts for name in text.split(",")]
    known = {f"{x}/{y}": (x, y) for x in KINDS for y in KINDS}
    for name in names:
        if name not in known:
            expected = f"KIND/KIND of {', '.join(KINDS)}: base of x / base of y"
            raise UsageError(f"Unknown pair of base models {name!r}.", expected, "mmbench toy --bases flow/flow")
    return [known[name] for name in dict.fromkeys(names)]


def parse_pairing(text: str) -> tuple[Pairing, Pairing]:
    """The pairings of training and of sampling in "index", "log_snr" or "log_snr/index".

    Raises:
        UsageError: No such pairing.
    """
    from mmbench.mmdisco.toy.bases import PAIRINGS

    known = {f"{trained}/{sampled}": (trained, sampled) for trained in PAIRINGS for sampled in PAIRINGS}
    known |= {pairing: (pairing, pairing) for pairing in PAIRINGS}
    if text not in known:
        expected = f"one of {', '.join(PAIRINGS)}, or TRAINED/SAMPLED of them"
        raise UsageError(f"Unknown pairing {text!r}.", expected, "mmbench toy --bases eps/flow --pairing log_snr")
    return known[text]


def count_records(sigmas: int, settings: int, losses: int, seeds: int, bases: int, samplers: int) -> int:
    """How many records an experiment of so many of each will make."""
    drawn, untrained = 2, 3  # ground truth, training points; exact scores, no joint guidance, exact discriminator
    return sigmas * settings * (drawn + bases * samplers * (untrained + losses)) * seeds


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
    bases: Sequence[tuple[BaseKind, BaseKind]] = (("eps", "eps"),),
    samplers: Sequence[Sampler] = ("ancestral",),
    pairing: tuple[Pairing, Pairing] = ("index", "index"),
    steps: int | None = None,
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
        bases: Pairs of "eps", "v", "flow": what the base models of x and of y predict.
        samplers: Of "ancestral", "ode".
        pairing: Of the levels of x and y in training, and in sampling: "index" or "log_snr".
        steps: Training steps of a discriminator; None is the default of `ToyConfig`, or of quick.

    Returns:
        Rows of Table 1, with the published numbers, and sentences on which loss wins by which score.
    """
    if steps is not None and steps < 1:
        raise UsageError(f"{steps} training steps.", "at least one", "mmbench toy --steps 3000")
    if seeds < 1 or not all(sigma > 0 for sigma in sigmas):
        raise UsageError(f"{seeds} seeds, sigma {list(sigmas)}.", "at least one seed, and sigma above 0", "--seeds 5")
    from mmbench.mmdisco.toy.config import ToyConfig
    from mmbench.mmdisco.toy.experiment import run_toy
    from mmbench.mmdisco.toy.table import lay_out_table, name_winners

    config = ToyConfig(base_steps=300, steps=300, num_samples=400, num_inference_steps=50) if quick else ToyConfig()
    config = config if steps is None else replace(config, steps=steps)
    make_folder(out)
    options = {"sigmas": list(sigmas), "settings": list(settings), "losses": list(losses), "seeds": seeds}
    options |= {"bases": ["/".join(kinds) for kinds in bases], "samplers": list(samplers), "pairing": list(pairing)}
    options |= {"steps": config.steps}
    append_line(out / "invocations.jsonl", invocation(list(command), {**options, "quick": quick}))

    def keep(record: dict[str, Any], _: Any) -> None:
        append_line(out / "records.jsonl", record)
        if progress:
            progress.advance()

    records = []
    shown = out if figures else None
    for sigma in sigmas:
        records += run_toy(
            sigma, settings, losses, range(seeds), config, keep, shown, bases=bases, samplers=samplers, pairing=pairing
        )
    table = lay_out_table(records)
    return [_row(row) for row in table], name_winners(table)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """The row of a table as text, with all its numbers under "numbers"."""
    paper = {k: None if row[k] is None else f"{row[k]:.2f}" for k in ("paper_nll", "paper_excess")}
    return {
        "sigma": f"{row['sigma']:g}",
        "setting": row["setting"],
        "method": row["method"],
        "bases": row["bases"],
        "pairing": row["pairing"],
        "sampler": row["sampler"],
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
