"""Files of answers: what was chosen is what is counted, and what was changed is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmbench.errors import IntegrityError, MMBenchError, UsageError
from mmbench.study.answers import read_answers
from mmbench.study.design import ATTENTION, Item, find_study, read_study
from tests.study.material import a_study, answer, content, save


def second(item: Item, question: str) -> str:
    return "second"


def by_question(item: Item, question: str) -> str:
    if item.kind == ATTENTION:
        return "first"
    return {"video_quality": "undecided", "audio_quality": "first"}.get(question, "second")


def test_sides_are_undone_whoever_answers(tmp_path: Path) -> None:
    study = a_study(tmp_path)
    files = [save(tmp_path, answer(tmp_path, study, rater, by_question)) for rater in (1, 2, 3)]
    found = read_answers(study, files)
    wanted: dict[str, int | None] = {"video_quality": None, "audio_quality": 0}
    assert len(found.given) == 3 * 8 * 4
    for given in found.given:
        assert given.choice == (0 if given.item.kind == ATTENTION else wanted.get(given.question, 1))
    assert (found.missing(study), found.unfinished(study), found.inattentive(study)) == ([], {}, {})


def test_raters_see_other_orders_and_other_sides(tmp_path: Path) -> None:
    study = a_study(tmp_path, raters=8, pairs=10)
    pages = [content(tmp_path, rater) for rater in range(1, 9)]
    assert len({tuple(item["id"] for item in page["items"]) for page in pages}) == 8
    on_a = [sum(study.first_is_a(rater, item) for item in study.items) for rater in range(1, 9)]
    assert min(on_a) > 0
    assert max(on_a) < len(study.items)
    assert 0.3 < sum(on_a) / (8 * len(study.items)) < 0.7


def test_pages_tell_nothing(tmp_path: Path) -> None:
    study = a_study(tmp_path)
    for rater in (1, 2, 3):
        text = (tmp_path / "pages" / f"rater-{rater}.html").read_text()
        assert all(word not in text for word in ("mmdisco", "attention", study.secret, "r1", "real"))
        assert all(set(item) == {"id", "prompt", "A", "B", "codes"} for item in content(tmp_path, rater)["items"])
    assert read_study(tmp_path) == study
    assert (tmp_path / "key.json").stat().st_mode & 0o077 == 0


def _choose_otherwise(file: dict[str, Any]) -> None:
    row = file["answers"][5]
    row["choice"] = "A" if row["choice"] != "A" else "B"


def _answer_twice(file: dict[str, Any]) -> None:
    file["answers"].append(file["answers"][0])


def _rename(file: dict[str, Any]) -> None:
    file["rater"] = 2


CHANGES = {
    "another choice": (_choose_otherwise, "not what was chosen"),
    "twice": (_answer_twice, "twice"),
    "another rater": (_rename, "another code"),
    "no question of the page": (lambda file: file["answers"][0].update(question="price"), "does not ask"),
    "no choice of the page": (lambda file: file["answers"][0].update(choice="C"), "does not ask"),
    "a list for a word": (lambda file: file["answers"][0].update(item=[]), "does not ask"),
    "no list": (lambda file: file.update(answers="all good"), "does not ask"),
    "a rater too many": (lambda file: file.update(rater=9), "another code"),
    "true for a rater": (lambda file: file.update(rater=True), "another code"),
    "no code": (lambda file: file["answers"][3].pop("code"), "not what was chosen"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_file_that_was_changed_is_refused(tmp_path: Path, name: str) -> None:
    study = a_study(tmp_path)
    file = answer(tmp_path, study, 1, second)
    change, told = CHANGES[name]
    change(file)
    path = save(tmp_path, file, "one.json")
    with pytest.raises(IntegrityError, match=told) as refused:
        read_answers(study, [path])
    assert "one.json" in refused.value.found


def test_two_files_of_one_rater_are_refused(tmp_path: Path) -> None:
    study = a_study(tmp_path)
    first = save(tmp_path, answer(tmp_path, study, 1, second))
    again = save(tmp_path, answer(tmp_path, study, 1, second), "copy.json")
    with pytest.raises(UsageError, match="both of rater 1") as refused:
        read_answers(study, [first, again])
    assert "they say the same" in refused.value.next
    again.write_text(json.dumps(answer(tmp_path, study, 1, by_question)))
    with pytest.raises(UsageError) as refused:
        read_answers(study, [first, again])
    assert "they differ" in refused.value.next


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "[" * 100_000, "\ufeff{}", '{"study": NaN}'])
def test_what_is_no_file_of_answers_is_named(tmp_path: Path, text: str) -> None:
    study = a_study(tmp_path)
    path = tmp_path / "strange.json"
    path.write_text(text)
    with pytest.raises(MMBenchError, match=r"strange\.json"):
        read_answers(study, [path])


def test_who_is_missing_unfinished_or_inattentive_is_told(tmp_path: Path) -> None:
    study = a_study(tmp_path)
    file = answer(tmp_path, study, 2, second)  # prefers sounds of other clips, too
    file["answers"] = [row for row in file["answers"] if row["item"] != study.items[0].id]
    found = read_answers(study, [save(tmp_path, file)])
    assert found.missing(study) == [1, 3]
    assert found.unfinished(study) == {2: 4}
    assert found.inattentive(study) == {2: (4, 4)}  # two pairs, two questions that tell it


def test_the_study_is_found_above_its_answers(tmp_path: Path) -> None:
    study = a_study(tmp_path / "study")
    path = save(tmp_path / "study", answer(tmp_path / "study", study, 1, second))
    assert find_study([path]) == tmp_path / "study"
    with pytest.raises(UsageError, match="holds a study"):
        find_study([tmp_path / "elsewhere.json"])
    (tmp_path / "study" / "key.json").write_text('{"id": 1}')
    with pytest.raises(IntegrityError, match="damaged"):
        read_study(tmp_path / "study")
