"""Samples pair by file name, else by prompt, and what does not pair is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmbench.tables.pairing import PLACE, pair_by_content, pair_by_place


def lines(names: str, texts: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Samples as records keep them; "-" is missing."""
    told = list(texts) or [""] * len(names)
    return [{"missing": True} if n == "-" else {"id": n, "text": t} for n, t in zip(names, told, strict=True)]


def test_equal_names_pair_in_whatever_order() -> None:
    found = pair_by_content(lines("abc"), lines("cax"))
    assert (found.rule, found.pairs) == ("file name", ((0, 1), (2, 0)))
    assert (found.only_first, found.only_second) == (("b",), ("x",))
    assert found.describe("A", "B") == "B to A: paired by file name, 2 of 3; only in A: b; only in B: x."
    assert not found.in_place


def test_without_common_names_equal_prompts_pair_in_their_order() -> None:
    found = pair_by_content(lines("abc", ["dog", "cat", "dog"]), lines("xyz", ["dog", "dog", "owl"]))
    assert (found.rule, found.pairs) == ("prompt and index", ((0, 0), (2, 1)))


def test_a_name_of_another_prompt_is_another_sample() -> None:
    found = pair_by_content(lines("ab", ["dog", "cat"]), lines("ab", ["cat", "dog"]))
    assert (found.rule, found.pairs) == ("prompt and index", ((0, 1), (1, 0)))
    assert pair_by_content(lines("a", ["dog"]), lines("a", [""])).rule == "file name"


def test_clips_without_prompts_and_common_names_do_not_pair() -> None:
    found = pair_by_content(lines("ab"), lines("xy"))
    assert (found.rule, found.pairs) == ("", ())
    assert "share no file name and no prompt" in found.describe("A", "B")


def test_runs_pair_by_place_where_both_have_a_sample() -> None:
    found = pair_by_place(lines("ab-"), lines("a-c"))
    assert (found.rule, found.pairs) == (PLACE, ((0, 0),))
    assert pair_by_place(lines("ab"), lines("ab")).in_place


def test_a_file_that_is_no_clip_is_told_as_such_and_its_partner_is_not_alone() -> None:
    broken = {"missing": True, "id": "c.mkv", "failed": "c.mkv ends early."}
    found = pair_by_content(lines("abc"), [*lines("ab"), broken])
    assert not found.in_place
    assert found.describe("A", "B") == "B to A: paired by file name, 2 of 3; no usable clip in B: c."
    assert pair_by_content([*lines("ab"), broken], lines("abx")).describe("A", "B") == (
        "B to A: paired by file name, 2 of 4; only in B: x; no usable clip in A: c."
    )
