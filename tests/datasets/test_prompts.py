"""Lists of prompts: kinds of files, order, what is refused, and a run on one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from mmbench.datasets.prompts import PromptList
from mmbench.errors import UsageError
from mmbench.registry import make_dataset
from mmbench.types import Request
from tests.commands import mmbench_here

TEXTS = ["a dog barks", 'a bell, "ringing"', "ein Vogel über dem Fluß"]


def write(path: Path) -> Path:
    rows = [{"id": f"p{i}", "prompt": text, "category": "x"} for i, text in enumerate(TEXTS)]
    quoted = ["id,prompt,category", *(f'p{i},"{t.replace(chr(34), chr(34) * 2)}",x' for i, t in enumerate(TEXTS))]
    contents = {
        ".txt": "\n".join([*TEXTS, "", ""]),
        ".csv": "\n".join(quoted),
        ".json": json.dumps(rows),
        ".jsonl": "\n".join(map(json.dumps, rows)) + "\n",
    }
    path.write_text("\ufeff" * (path.suffix == ".csv") + contents[path.suffix], encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", [".txt", ".csv", ".json", ".jsonl"])
def test_every_kind_gives_the_same_texts_in_order(tmp_path: Path, kind: str) -> None:
    data: PromptList = make_dataset(f"prompts:{write(tmp_path / f'list{kind}')}?seconds=8&fps=25")
    assert [p.text for p in data.prompts(3, 0)] == [p.text for p in data.prompts(3, 7)] == TEXTS
    assert data.format.size() == "200x256x256@25+128000@16000"
    ids = [p.id for p in data.prompts(5, 0)]
    assert ids[3:] == [f"{ids[0]}#2", f"{ids[1]}#2"]
    if kind != ".txt":
        assert ids[0] == "p0"
        assert data.prompts(1, 0)[0].data == {"category": "x"}


def test_the_identity_is_of_the_texts_and_not_of_the_path(tmp_path: Path) -> None:
    first, second = (PromptList(str(write(tmp_path / f"{name}.csv"))) for name in "ab")
    assert first.spec() == second.spec()
    (tmp_path / "b.csv").write_text("prompt\nother\n")
    assert PromptList(str(tmp_path / "b.csv")).spec() != first.spec()


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.csv", "file,words\nx,y\n", "has the columns 'file', 'words'"),
        ("a.csv", 'prompt\nx\n""\n', "row 2 of 2 has no prompt"),
        ("a.json", "[{", "is damaged"),
        ("a.json", "7", "holds no list but a int"),
        ("a.json", '{"prompts": ["x"]}', "holds no list but a dict"),
        ("a.csv", "prompt\na cat, and a dog\n", "line 2 has more cells than columns: 'a cat, and a dog'"),
        ("a.csv", 'id,prompt\n1,"a\n2,b\n', "begins in line 2: unexpected end"),
        ("a.tsv", 'id\tprompt\n1\t"big" dog\n', "begins in line 2: .* expected after"),
        ("a.jsonl", '{"id": 1, "prompt": "x"}\n{"id": 1, "prompt": "y"}\n', "has the id '1' 2 times"),
        ("a.xlsx", "x", "is a .xlsx"),
        ("a.txt", "\n", "holds no prompt"),
    ],
)
def test_lists_that_cannot_be_used_say_why(tmp_path: Path, name: str, content: str, found: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=found):
        PromptList(str(tmp_path / name))


def test_only_a_newline_ends_a_prompt(tmp_path: Path) -> None:
    odd = ["one\u2028two", "one\x85two", "one\x0ctwo"]
    (tmp_path / "a.txt").write_bytes("\r\n".join(odd).encode())
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(text, ensure_ascii=False) for text in odd))
    for kind in ("txt", "jsonl"):
        assert [p.text for p in PromptList(str(tmp_path / f"a.{kind}")).prompts(3, 0)] == odd


@pytest.mark.parametrize(("encoding", "name"), [("utf-16", "UTF-16"), ("latin1", "WINDOWS-1252")])
def test_another_encoding_is_refused_with_a_command_that_mends_it(tmp_path: Path, encoding: str, name: str) -> None:
    path = tmp_path / "my list.txt"
    path.write_bytes("Fluß\nVogel".encode(encoding))
    with pytest.raises(UsageError, match="is not in UTF-8") as error:
        PromptList(str(path))
    assert f"-f {name}" in error.value.next
    subprocess.run(error.value.next, shell=True, check=True)
    assert [p.text for p in PromptList(str(path)).prompts(2, 0)] == ["Fluß", "Vogel"]


def test_nothing_is_compared_with_what_is_not_there(tmp_path: Path) -> None:
    data = PromptList(str(write(tmp_path / "list.txt")))
    (prompt,) = data.prompts(1, 0)
    for ask in (lambda: data.reference(None, 0), lambda: data.real(Request(prompt, 0, 0), "real")):
        with pytest.raises(UsageError, match="is a list of 3 prompts and has no real clips"):
            ask()


@pytest.mark.e2e
def test_a_run_on_a_list_is_scored_and_refuses_distances_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "list.txt")
    job = ["run", "-s", "tiny", "-d", "prompts:list.txt", "-n", "2", "--set", "num_inference_steps=2"]
    refused = mmbench_here(capsys, *job, "-m", "fvd_bounce")
    assert refused.returncode == 2
    assert "fvd_bounce: prompts_" in refused.stderr
    assert not list(tmp_path.glob("runs/*/samples"))
    done = mmbench_here(capsys, *job, "-m", "av_align")
    assert done.returncode == 0, done.stderr
    assert "av_align" in done.stdout
