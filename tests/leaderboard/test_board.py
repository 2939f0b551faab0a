"""Boards: submissions go on it whole or not at all, no number twice, none against another, and stay as they were."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mmbench.errors import IntegrityError, MMBenchError, UsageError
from mmbench.leaderboard import board
from mmbench.leaderboard.board import add, read_board
from tests.leaderboard.material import a_run, an_author, edit, scatter, send

VALUES = scatter(0.5)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.is_dir() else []


def test_files_stand_on_the_board_byte_for_byte(tmp_path: Path) -> None:
    files = [send(tmp_path / f"{k}.jsonl", name, VALUES) for k, name in enumerate(("fast", "slow"))]
    added = add(files, tmp_path / "board")
    assert [one.file.read_bytes() for one in added] == [file.read_bytes() for file in files]
    assert all(one.file.name.startswith("lab-a-2026-01-02-") for one in added)
    assert [one.notes for one in added] == [[], []]
    assert {e.record.system for e in read_board(tmp_path / "board")} == {"fast", "slow"}


def test_a_dry_run_says_what_it_would_write(tmp_path: Path) -> None:
    file = send(tmp_path / "s.jsonl", "fast", VALUES)
    (would,) = add([file], tmp_path / "board", dry_run=True)
    assert names(tmp_path / "board") == []
    (did,) = add([file], tmp_path / "board")
    assert would.file == did.file
    with pytest.raises(IntegrityError, match="is there already"):
        add([file], tmp_path / "board", dry_run=True)


def test_one_refused_line_keeps_every_file_off(tmp_path: Path) -> None:
    good = send(tmp_path / "good.jsonl", "fast", VALUES)
    bad = edit(send(tmp_path / "bad.jsonl", "slow", VALUES), 3, lambda line: line["record"].update(n_scored=2))
    worse = edit(send(tmp_path / "worse.jsonl", "slow", VALUES), 1, lambda line: line.update(team=""), sign=False)
    with pytest.raises(IntegrityError) as error:
        add([good, bad, worse, tmp_path / "absent"], tmp_path / "board")
    told = error.value.found
    assert "bad.jsonl line 3" in told
    assert "worse.jsonl line 1" in told
    assert "absent cannot be read" in told
    assert "good.jsonl" not in told
    assert names(tmp_path / "board") == []


def test_no_number_is_there_twice(tmp_path: Path) -> None:
    file, folder = send(tmp_path / "s.jsonl", "fast", VALUES), tmp_path / "board"
    with pytest.raises(IntegrityError, match="is there already"):
        add([file, file], folder)
    add([file], folder)
    before = names(folder)
    with pytest.raises(IntegrityError, match=r"Lab A / fast / 1 is there already: lab-a.* line 3"):
        add([file], folder)
    again = send(tmp_path / "again.jsonl", "fast", scatter(0.7))
    with pytest.raises(IntegrityError, match=r"contradicts one of this name; another --version .*: lab-a.* line 3"):
        add([again], folder)
    assert names(folder) == before
    add([send(again, "fast", scatter(0.7), an_author(version="2"), run=a_run("fast", seed=1))], folder)


def test_the_same_clips_have_one_value_whoever_sends_it(tmp_path: Path) -> None:
    folder, other = tmp_path / "board", an_author(team="Lab B")
    add([send(tmp_path / "a.jsonl", "fast", VALUES)], folder)
    nearly = [v * (1 + 1e-5) for v in VALUES]
    add([send(tmp_path / "b.jsonl", "fast", nearly, other)], folder)  # another machine
    with pytest.raises(IntegrityError, match=r"the same clips have the value 0\.6\d* here and 0\.5\d* in lab-a"):
        add([send(tmp_path / "c.jsonl", "fast", scatter(0.6), an_author(team="Lab C"))], folder)


DEFINITIONS: list[tuple[dict[str, Any], str]] = [
    ({"higher_is_better": False}, "higher_is_better is False, of av_align.mmdisco_96ms True"),
    ({"signature": "av_align|mmdisco_96ms|extractors:mine-123456|size:s|version:1"}, "its signature is"),
    ({"signature": "av_align|mmdisco_96ms|extractors:mine-123456|size:s|version:2"}, "its signature is"),
    ({"optimised_for": "av_align.mmdisco_96ms"}, "by its run ''"),
]


@pytest.mark.parametrize(("changes", "reason"), DEFINITIONS)
def test_metrics_that_are_known_are_held_against_their_definition(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(IntegrityError) as error:
        add([send(tmp_path / "s.jsonl", "fast", VALUES, **changes)], tmp_path / "board")
    assert reason in error.value.found


def test_what_was_chosen_by_a_metric_must_say_so(tmp_path: Path) -> None:
    run = a_run("best", optimised_for="av_align.mmdisco_96ms")
    with pytest.raises(IntegrityError, match=r"optimised_for is '', by its run 'av_align\.mmdisco_96ms'"):
        add([send(tmp_path / "s.jsonl", "best", VALUES, run=run)], tmp_path / "board")
    add(
        [send(tmp_path / "s.jsonl", "best", VALUES, run=run, optimised_for="av_align.mmdisco_96ms")], tmp_path / "board"
    )


def test_what_cannot_be_recomputed_is_said(tmp_path: Path) -> None:
    unknown = {"metric": "loudness.lufs", "signature": "loudness|lufs|extractors:mine-123456|size:s|version:1"}
    old = an_author(mmbench="0.0.1")
    other = "av_align|mmdisco_96ms|extractors:mine-123456|size:s|version:1"
    files = [
        send(tmp_path / "a.jsonl", "fast", VALUES),
        send(tmp_path / "b.jsonl", "slow", VALUES, old, signature=other),
    ]
    edit(files[0], 3, lambda line: line["record"].update(unknown))
    first, second = add(files, tmp_path / "board")
    assert first.notes == ["Not known here, taken as it is: loudness.lufs."]
    assert "mmbench 0.0.1 wrote them" in second.notes[0]


def test_a_board_that_was_changed_is_found_out(tmp_path: Path) -> None:
    folder = tmp_path / "board"
    (one, two) = add([send(tmp_path / f"{s}.jsonl", s, VALUES) for s in ("fast", "slow")], folder)
    edit(one.file, 3, lambda line: line["record"].update(value=0.51), sign=False)
    with pytest.raises(IntegrityError, match=rf"board is damaged:\n  {one.file.name} line 3: it was changed"):
        read_board(folder)
    with pytest.raises(IntegrityError, match="is damaged"):
        add([send(tmp_path / "new.jsonl", "new", VALUES)], folder)
    one.file.unlink()
    (folder / "copy.jsonl").write_bytes(two.file.read_bytes())
    with pytest.raises(IntegrityError, match=r"is there already: copy\.jsonl line 3"):
        read_board(folder)
    with pytest.raises(UsageError, match="holds no submissions"):
        read_board(tmp_path / "none")


def test_a_full_disk_leaves_nothing_half_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [send(tmp_path / f"{s}.jsonl", s, VALUES) for s in ("fast", "slow")]
    write, count = board.write_whole, iter(range(9))

    def fill(path: Path, data: bytes) -> None:
        if next(count):
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(board, "write_whole", fill)
    with pytest.raises(MMBenchError, match=r"No space left on device\. Nothing was added"):
        add(files, tmp_path / "board")
    assert names(tmp_path / "board") == []
