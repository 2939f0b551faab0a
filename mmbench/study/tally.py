"""What the answers to a study say: shares of preference, how sure they are, and how far raters agree (Table 14)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmbench.statistics.estimates import generator
from mmbench.statistics.paired import holm
from mmbench.study.answers import Answer, Answers
from mmbench.study.design import PAIR, Study

REPLICATES = 4000
OUTCOMES = (0, 1, None)  # preferred: the first system, the second, neither


@dataclass(frozen=True)
class Share:
    """The percentage of answers that prefer a system, or neither.

    Attributes:
        percent: Of all answers to the question.
        low, high: 95 % interval over raters and pairs, both drawn anew; None for a single rater and pair.
    """

    percent: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Tally:
    """The answers to one question.

    Attributes:
        question: Its name.
        num: Answers.
        shares: Of the first system, of the second, of neither.
        pairs_won: Pairs in which more raters prefer the first system, and the second.
        p: Of the exact sign test over those pairs, two-sided; None without any.
        p_adjusted: The same by Holm over the study's questions.
        alpha: Krippendorff's, nominal; None where it is not defined: one rater, or all answers alike.
    """

    question: str
    num: int
    shares: tuple[Share, Share, Share]
    pairs_won: tuple[int, int]
    p: float | None
    p_adjusted: float | None
    alpha: float | None


def tally(study: Study, answers: Answers, without: Sequence[int] = ()) -> list[Tally]:
    """Count the answers on the pairs of the two systems; attention pairs are not among them.

    Args:
        study: Its design.
        answers: The raters'.
        without: Raters whose answers are left out.
    """
    counted = [a for a in answers.given if a.item.kind == PAIR and a.rater not in without]
    found = [_tally(study, q.name, [a for a in counted if a.question == q.name]) for q in study.questions]
    tested = [t.p for t in found if t.p is not None]
    adjusted = iter(holm(tested).tolist())
    return [Tally(**{**vars(t), "p_adjusted": None if t.p is None else next(adjusted)}) for t in found]


def _tally(study: Study, question: str, answers: Sequence[Answer]) -> Tally:
    raters = sorted({a.rater for a in answers})
    pairs = [item for item in study.items if any(a.item is item for a in answers)]
    table = np.full((len(raters), len(pairs)), np.nan)  # 0, 1, or 2 for undecided
    for a in answers:
        table[raters.index(a.rater), pairs.index(a.item)] = 2 if a.choice is None else a.choice
    first, second = (np.nansum(table == choice, axis=0) for choice in (0, 1))
    won = int((first > second).sum()), int((second > first).sum())
    return Tally(question, len(answers), _shares(table, study.seed), won, _sign_test(*won), None, _alpha(table))


def _shares(table: np.ndarray, seed: int) -> tuple[Share, Share, Share]:
    """Percentages with two-way cluster bootstrap: raters and pairs are drawn anew, each with all its answers.

    Answers of one rater are alike, and so are answers on one pair; intervals over single answers would be too narrow
    (Owen 2007, "The pigeonhole bootstrap"). The interval never excludes its percentage.
    """
    answered = ~np.isnan(table)
    if not answered.any():
        return (Share(float("nan"), None, None),) * 3
    n, m = table.shape
    rng = generator(seed, n, m)
    weights = [rng.multinomial(k, np.full(k, 1 / k), size=REPLICATES).astype(float) for k in (n, m)]
    total = np.einsum("br,rp,bp->b", weights[0], answered.astype(float), weights[1])
    shares = []
    for outcome in range(3):
        chosen = (table == outcome).astype(float)
        percent = 100 * chosen.sum() / answered.sum()
        drawn = np.einsum("br,rp,bp->b", weights[0], chosen, weights[1])[total > 0] / total[total > 0]
        low, high = np.quantile(100 * drawn, [0.025, 0.975])
        one = n == m == 1
        shares.append(Share(percent, *(None, None) if one else (min(low, percent), max(high, percent))))
    return shares[0], shares[1], shares[2]


def _sign_test(first: int, second: int) -> float | None:
    """Exact two-sided sign test over pairs, each by the majority of its raters: they are what is independent."""
    from scipy.stats import binomtest

    return float(binomtest(second, first + second).pvalue) if first + second else None


def _alpha(table: np.ndarray) -> float | None:
    import krippendorff

    values = table[~np.isnan(table)]
    if len(table) < 2 or len(set(values.tolist())) < 2:
        return None
    return float(krippendorff.alpha(reliability_data=table, level_of_measurement="nominal"))


def to_rows(study: Study, tallies: Sequence[Tally]) -> list[dict[str, Any]]:
    """Rows in the layout of Table 14: what is preferred, by question, with intervals, the printed numbers beside."""
    from mmbench.tables.published import published

    printed = published()["14"]
    names = printed["columns"][1:]
    rows = []
    for k, preferred in enumerate((*study.systems, "undecided")):
        row: dict[str, Any] = {"preferred": preferred}
        paper = dict(zip(names, printed["rows"][k][1:], strict=True))
        for t in tallies:
            share = t.shares[k]
            interval = "" if share.low is None else f" [{share.low:.1f}, {share.high:.1f}]"
            row[t.question] = f"{share.percent:.1f}{interval}" if t.num else "-"
            if all(other.question in names for other in tallies):
                row[f"paper {t.question}"] = f"{paper[t.question]:.1f}"
        rows.append({**row, "numbers": {t.question: {**vars(t.shares[k]), "n": t.num} for t in tallies}})
    return rows


def describe(study: Study, answers: Answers, tallies: Sequence[Tally], without: Sequence[int] = ()) -> list[str]:
    """Sentences below the table: tests, agreement, and which raters are missing, unfinished or inattentive."""
    a, b = study.systems
    notes = ["Percent of answers with 95 % intervals over raters and pairs, both drawn anew."]
    for t in tallies:
        p = "" if t.p is None else f", exact sign test over pairs p = {t.p:.3g}, by Holm {t.p_adjusted:.3g}"
        alpha = "" if t.alpha is None else f"; Krippendorff's alpha {t.alpha:.2f}"
        won = f"{b} wins {t.pairs_won[1]} pairs, {a} {t.pairs_won[0]}"
        notes.append(f"{t.question}: {t.num} answers, {won}{p}{alpha}.")
    for rater, (wrong, asked) in answers.inattentive(study).items():
        left_out = "left out" if rater in without else "counted; --attentive leaves such raters out"
        notes.append(
            f"Rater {rater} preferred sounds of other clips in {wrong} of {asked} attention answers: {left_out}."
        )
    for rater, number in answers.unfinished(study).items():
        notes.append(f"Rater {rater} left {number} answers open.")
    if missing := answers.missing(study):
        notes.append(f"No file of rater {', '.join(map(str, missing))}.")
    return notes
