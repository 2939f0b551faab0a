"""Table 1 of arXiv 2405.17842 from the records of the 1-D experiment, with the published numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

PAPER_NLL = {  # Table 1; ground truth is 1.67 there
    "ind": {"gt": 1.67, "no_joint": 18.8, "disc": 3.29, "denoise": 2.4, "all": 1.94},
    "ood": {"gt": 1.67, "no_joint": 22.1, "disc": 16.6, "denoise": 2.63, "all": 2.53},
}


SOURCE = {"bases": "eps/eps", "pairing": "index", "sampler": "ancestral"}  # of the published experiment
WITH_ERRORS = ("nll", "excess", "spread", "mode_error", "energy")  # mean and standard error over seeds


def name_winners(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Sentences: which loss is best by which score in each setting, and whether by more than its error."""
    scores = {"excess": abs, "energy": abs, "mode_error": abs, "spread": lambda value: abs(value - 1)}
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        if row["method"] in ("disc", "denoise", "all"):
            groups.setdefault((row["sigma"], row["setting"], *(row[name] for name in SOURCE)), []).append(row)
    said = []
    for (sigma, setting, *source), members in groups.items():
        if len(members) < 2:
            continue
        parts = []
        for name, badness in scores.items():
            best, second = sorted(members, key=lambda row: badness(row[name]))[:2]
            error = math.hypot(best[f"{name}_stderr"] or 0.0, second[f"{name}_stderr"] or 0.0)
            clear = badness(second[name]) - badness(best[name]) > 2 * error > 0
            parts.append(f"{name.replace('_', ' ')} {best['method']}" + ("" if clear else f" (or {second['method']})"))
        words = "" if source == list(SOURCE.values()) else ", " + ", ".join(source)
        said.append(f"sigma {sigma:g}, {setting}{words}: best by {', '.join(parts)}.")
    return said


def lay_out_table(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Table 1: mean and standard error over seeds of NLL and of its excess over the target's entropy.

    Returns:
        One row per sigma, setting, bases, pairing, sampler and method, in order of appearance, with the paper's NLL and
        its excess over the paper's ground truth (None where the paper has no such row).
    """
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for record in records:
        head = (record[name] for name in ("sigma", "setting", "method"))
        groups.setdefault((*head, *(record.get(name, default) for name, default in SOURCE.items())), []).append(record)
    rows = []
    for (sigma, setting, method, *source), members in groups.items():
        row: dict[str, Any] = {"sigma": sigma, "setting": setting, "method": method, "seeds": len(members)}
        row |= dict(zip(SOURCE, source, strict=True))
        for name in WITH_ERRORS:
            values = torch.tensor([member.get(name, math.nan) for member in members], dtype=torch.float64)
            row[name] = values.mean().item()
            row[f"{name}_stderr"] = values.std().item() / len(values) ** 0.5 if len(values) > 1 else None
        for name in ("nll_stderr", "stray", "least_mode"):
            key = "points_stderr" if name == "nll_stderr" else name
            row[key] = sum(member[name] for member in members) / len(members)
        published = all(row[name] in (None, value) for name, value in SOURCE.items())
        paper = PAPER_NLL[setting].get(method) if published else None
        row["paper_nll"] = paper
        row["paper_excess"] = None if paper is None else paper - PAPER_NLL[setting]["gt"]
        rows.append(row)
    return rows
