"""Lists of requests: the same for everybody, whole or refused, and what a program of `external:` is given."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mmbench.baselines.external import External
from mmbench.errors import IntegrityError, MMBenchError, UsageError
from mmbench.registry import make_dataset
from mmbench.runs.request_files import find_requests, read_requests, write_requests
from mmbench.runs.requests import RequestLine, line_digest, list_requests
from mmbench.runs.spec import make_requests


def listed(num: int, seed: int = 0) -> list[RequestLine]:
    return list(list_requests(make_dataset("bounce"), "bounce", num, seed))


def signed(line: RequestLine) -> RequestLine:
    """The line with the digest of what it says now."""
    return replace(line, sha256=line_digest({k: v for k, v in asdict(line).items() if k != "sha256"}))


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_a_list_reads_back_as_written(tmp_path: Path, suffix: str) -> None:
    lines = listed(5)
    lines[2] = signed(replace(lines[2], prompt='Bälle, "zwei"\nund ein Tuch; 12.5', fps=29.97))
    lines[3] = signed(replace(lines[3], prompt=""))
    assert write_requests(tmp_path / f"r{suffix}", iter(lines))
    assert read_requests(tmp_path / f"r{suffix}") == lines


def test_a_list_is_the_same_for_everybody_and_grows_at_its_end(tmp_path: Path) -> None:
    for name, num, seed in (("a", 4, 0), ("b", 4, 0), ("more", 6, 0), ("other", 4, 1)):
        write_requests(tmp_path / f"{name}.jsonl", listed(num, seed))
    a, b, more, other = ((tmp_path / f"{name}.jsonl").read_bytes() for name in ("a", "b", "more", "other"))
    assert a == b
    assert more.startswith(a)
    assert not {*other.splitlines()} & {*a.splitlines()}


def test_programs_of_ours_and_readers_of_the_list_are_given_the_same(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text('name = "m"\ncommand = ["true", "{prompts}", "{out}"]\n')
    dataset = make_dataset("bounce")
    system = External(str(tmp_path / "m.toml"), dataset=dataset)
    for request, line in zip(make_requests(dataset, 3, 7), listed(3, 7), strict=True):
        told = system._line(request, tmp_path)
        output = told.pop("output")
        assert told == {name: asdict(line)[name] for name in told}
        assert Path(output).name + ".mp4" == line.file


def test_nothing_is_overwritten_and_the_same_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    assert write_requests(path, listed(3))
    before = path.stat().st_mtime_ns, path.read_bytes()
    assert not write_requests(path, listed(3))
    for other in (listed(2), listed(4), listed(3, seed=1)):
        with pytest.raises(UsageError, match="another file") as refused:
            write_requests(path, other)
        assert "r_2.jsonl" in refused.value.next
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    assert [p.name for p in tmp_path.iterdir()] == ["r.jsonl"], "nothing half-written stays behind"
    with pytest.raises(UsageError, match=r"\.txt"):
        write_requests(tmp_path / "r.txt", listed(1))
    with pytest.raises(MMBenchError, match="cannot be written"):
        write_requests(tmp_path / "nowhere" / "r.csv", listed(1))


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_a_changed_line_is_found_out_and_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"r{suffix}"
    write_requests(path, listed(3))
    text = path.read_text()
    head = suffix == ".csv"
    lines = text.splitlines(keepends=True)
    for changed, number in (
        (text.replace(listed(3)[1].prompt, "a glass elephant", 1), 2),
        ("".join(lines[: 1 + head] + lines[2 + head :]), 2),
        (text + "\n" * (not head) + lines[-1], 4),
        ("".join([*lines[: 2 + head], lines[2 + head][:40]]), 3),
    ):
        assert changed != text
        path.write_text(changed)
        with pytest.raises(IntegrityError, match=f"line {number + head} is not as mmbench wrote it"):
            read_requests(path)


def test_a_list_in_a_folder_is_known_by_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "prompts.csv").write_text("file,prompt\na.mp4,a ball\n")
    (tmp_path / "log.jsonl").write_text(json.dumps({"id": 3}) + "\n")
    (tmp_path / "list.jsonl").write_bytes(b"\xff\xfe")
    assert find_requests(tmp_path) is None
    write_requests(tmp_path / "mine.csv", listed(2))
    assert find_requests(tmp_path) == tmp_path / "mine.csv"
    write_requests(tmp_path / "more.jsonl", listed(2))
    with pytest.raises(UsageError, match=r"mine\.csv, more\.jsonl"):
        find_requests(tmp_path)
    (tmp_path / "empty.csv").write_text((tmp_path / "mine.csv").read_text().splitlines()[0] + "\n")
    for wrong in ("empty.csv", "prompts.csv", "log.jsonl", "nothing.csv"):
        with pytest.raises(UsageError):
            read_requests(tmp_path / wrong)


def test_lines_are_written_and_compared_one_by_one(tmp_path: Path) -> None:
    line = listed(1)[0]

    def many(num: int) -> Iterator[RequestLine]:
        return (replace(line, index=i, prompt="x" * 1000) for i in range(num))

    def peak(num: int) -> int:
        tracemalloc.start()
        assert write_requests(tmp_path / "r.jsonl", many(num))
        assert not write_requests(tmp_path / "r.jsonl", many(num))
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    assert peak(3000) < 500_000, "of 4 MB of lines"


def test_a_folder_that_is_not_there_is_to_be_made_and_another_name_keeps_its_folder(tmp_path: Path) -> None:
    with pytest.raises(MMBenchError) as missing:
        write_requests(tmp_path / "absent" / "r.jsonl", [])
    assert missing.value.next == f"mkdir -p {tmp_path / 'absent'}"
    (there := tmp_path / "r.jsonl").write_text("other")
    with pytest.raises(UsageError) as other:
        write_requests(there, [])
    assert other.value.next == f"--out {tmp_path / 'r_2.jsonl'}"
