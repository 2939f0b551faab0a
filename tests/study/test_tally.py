"""The tally: percentages, intervals that respect raters and pairs, exact tests, agreement."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmbench.errors import UsageError
from mmbench.study.answers import Answer, Answers
from mmbench.study.design import Study
from mmbench.study.questions import PAPER, Question, read_questions
from mmbench.study.tally import describe, tally, to_rows
from tests.commands import mmbench_here
from tests.study.material import a_study, answer, save

ONE = (Question("sync", "In which clip …?", True),)


def answers_of(study: Study, choices: list[list[int | None]]) -> Answers:
    """Of raters (rows) to the only question on the first pairs (columns)."""
    given = [Answer(r + 1, study.items[p], "sync", c) for r, row in enumerate(choices) for p, c in enumerate(row)]
    return Answers(given, {r + 1: Path(f"{r}.json") for r in range(len(choices))})


def test_percentages_test_and_agreement_by_hand(tmp_path: Path) -> None:
    study = a_study(tmp_path, questions=ONE)
    choices: list[list[int | None]] = [[1, 1, 1, 1, 1, 0], [1, 1, 1, 1, None, 0], [1, 1, 1, 0, None, 1]]
    (found,) = tally(study, answers_of(study, choices))
    assert [share.percent for share in found.shares] == pytest.approx([100 * 3 / 18, 100 * 13 / 18, 100 * 2 / 18])
    assert found.pairs_won == (1, 5)  # the last pair goes to the first system, 2 to 1
    assert found.p == pytest.approx(2 * (1 + 6) / 2**6)  # binomial, 5 or more of 6, both tails
    assert found.p_adjusted == found.p
    # nominal alpha by its definition: 1 - observed over expected disagreement among pairable values
    values = np.array([[2 if c is None else c for c in row] for row in choices])
    counts = np.array([[np.sum(column == v) for v in range(3)] for column in values.T])
    observed = sum((3 * 3 - (row**2).sum()) / 2 for row in counts) / values.size
    total = counts.sum(0)
    expected = (18**2 - (total**2).sum()) / (18 * 17)
    assert found.alpha == pytest.approx(1 - observed / expected)


def test_intervals_cover_the_truth_where_raters_and_pairs_differ(tmp_path: Path) -> None:
    """Answers that depend on rater and pair: intervals over single answers miss the truth, these hold it."""
    study = a_study(tmp_path, raters=8, pairs=12, attention=0, questions=ONE)
    rng, covered, naive, n = np.random.default_rng(0), 0, 0, 60
    for _ in range(n):
        liking = rng.normal(size=(8, 1)) + rng.normal(size=(1, 12))
        choices = (liking + rng.normal(size=(8, 12)) > 0).astype(int)
        (found,) = tally(study, answers_of(study, choices.tolist()))
        share = found.shares[1]
        assert share.low is not None
        assert share.high is not None
        assert share.low <= share.percent <= share.high
        covered += share.low <= 50 <= share.high
        naive += abs(share.percent - 50) <= 196 * (0.25 / 96) ** 0.5
    assert covered >= 0.88 * n
    assert naive <= 0.7 * n


def test_what_no_test_and_no_agreement_say_of_is_left_out(tmp_path: Path) -> None:
    study = a_study(tmp_path, questions=ONE)
    (alike,) = tally(study, answers_of(study, [[None] * 6, [None] * 6]))
    assert (alike.p, alike.p_adjusted, alike.alpha) == (None, None, None)
    (alone,) = tally(study, answers_of(study, [[1]]))
    assert alone.shares[1].percent == 100
    assert (alone.shares[1].low, alone.alpha) == (None, None)


def test_the_table_is_that_of_the_paper_and_notes_name_who_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = a_study(tmp_path)
    for rater in (1, 2):
        save(tmp_path, answer(tmp_path, study, rater, lambda item, question: "second"))
    done = mmbench_here(capsys, "study", "tally", tmp_path / "answers", "--format", "json")
    rows = json.loads(done.stdout)
    assert [row["preferred"] for row in rows] == ["pair", "pair+mmdisco", "undecided"]
    assert rows[1]["temporal_alignment"] == "100.0 [100.0, 100.0]"
    assert [row["paper temporal_alignment"] for row in rows] == ["9.7", "80.6", "9.7"]
    assert rows[0]["numbers"]["video_quality"]["n"] == 12
    shown = mmbench_here(capsys, "study", "tally", tmp_path / "answers").stdout
    assert "Rater 1 preferred sounds of other clips in 4 of 4" in " ".join(shown.split())
    assert "No file of rater 3." in shown
    left = mmbench_here(capsys, "study", "tally", tmp_path / "answers", "--attentive")
    assert left.returncode == 2
    assert "every rater" in left.stderr


def test_questions_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "questions.toml"
    file.write_text('[[question]]\nname = "fun"\ntext = "Which is more <fun>?"\n')
    assert read_questions(str(file)) == (Question("fun", "Which is more <fun>?"),)
    assert read_questions("paper") == PAPER
    study = a_study(tmp_path / "s", questions=read_questions(str(file)))
    found = tally(study, Answers([], {}))
    assert "paper fun" not in to_rows(study, found)[0]
    assert describe(study, Answers([], {}), found)[-1] == "No file of rater 1, 2, 3."
    for text in ("", "[[question]]\nname = 'Fun'\ntext = 'x'", "[[question]]\nname = 'a'", "x = ", "question = 3"):
        file.write_text(text)
        with pytest.raises(UsageError, match="question"):
            read_questions(str(file))
