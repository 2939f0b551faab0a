"""README and docs say what is true: their commands work, their links lead somewhere, the map is the tree's.

Every command of a page is treated from a fresh folder, in the order printed, in one of three ways, and the test says
which and why (`pytest -s` prints it): "run", small sizes appended; "dry-run"; or "parsed" by the real command line,
its systems, datasets and metrics looked up. A command that no rule knows fails.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmbench.jobs.settings import DEFAULT_SYSTEMS
from mmbench.plugin_files import VARIABLE
from mmbench.tables.paper_notes import read_entries
from tests.commands import environment, mmbench_here
from tests.conftest import REPOSITORY
from tests.document_rules import Mode, Treatment, command_called, options_of_systems, parse, treatment
from tests.documents import (
    LINKED,
    PAGES,
    Command,
    anchors,
    blocks,
    commands,
    links,
    map_of_tree,
    prose,
    read,
    rooms,
    spoken_commands,
)
from tests.stand_ins import write_stand_ins


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own with what a reader has, no weights, and no network."""
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "MMBENCH_DISCRIMINATORS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"MMBENCH_HOME": str(tmp_path / "home"), "MMBENCH_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


SLOW = tuple(  # a quarter to half a minute each
    f"docs/{name}.md"
    for name in ("datasets", "leaderboard", "metrics", "pairs", "records", "report", "systems", "training")
)


@pytest.mark.e2e
@pytest.mark.parametrize(
    "page", [pytest.param(p, marks=pytest.mark.thorough) if p in SLOW else p for p in PAGES if commands(p)]
)
def test_commands_of_a_page_work_in_the_order_printed(
    page: str, fresh: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = commands(page)
    write_stand_ins(fresh, page, said, monkeypatch)
    for command in said:
        how = treatment(command)
        before = time.process_time()
        carry_out(command, how, capsys)
        with capsys.disabled():
            print(f"\n{time.process_time() - before:5.1f} {how.mode:8} {command}\n{'':8} {how.why}", end="")


def carry_out(command: Command, how: Treatment, capsys: pytest.CaptureFixture[str]) -> None:
    """Do with a command what its rule says; an exit code other than 0 fails."""
    if how.outside:
        done = subprocess.run(how.outside, env=environment(), capture_output=True, text=True, cwd=REPOSITORY)
    else:
        words = [*how.words, *how.add]
        parse(words)
        if how.mode is Mode.parsed:
            return
        done = mmbench_here(capsys, *words)
    assert done.returncode == 0, f"{command} ({how.mode}, with {how.add}): {done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def test_a_command_that_nobody_knows_fails() -> None:
    for text in ("mmbench bananas", "mmbench run --bananas 3", "mmbench run -s bananas", "mmbench run -d bananas"):
        with pytest.raises(Exception, match="bananas"):
            parse(Command("a page", 1, text).words[1:])
    for text in ("curl https://example.org", "torchrun --nproc-per-node 8 -m other train", "sbatch job.sh"):
        with pytest.raises(LookupError):
            treatment(Command("a page", 1, text))


def test_blocks_of_every_kind_are_read() -> None:
    indented, shell = "    mmbench a  # why\n    x = 1\n", "```sh\nmmbench b \\\n  --c 1\nanything\n```\n"
    text = f"a\n\n{indented}\n{shell}\n```text\nmake d\nno\n```\n"
    assert [c.text for c in commands("page", text)] == ["mmbench a", "mmbench b --c 1", "anything", "make d"]
    assert [c.line for c in commands("page", text)] == [3, 7, 9, 13]
    assert "mmbench" not in prose(text)


@pytest.mark.parametrize("page", LINKED)
def test_commands_within_sentences_exist_with_their_options(page: str) -> None:
    for text in spoken_commands(page):
        words = text.split()[1:]
        found = command_called(words)
        known = (
            {o for p in found.params for o in (*p.opts, *p.secondary_opts)} | {"--help", "-h"} | options_of_systems()
        )
        unknown = [word for word in words if word.startswith("-") and word not in known]
        assert not unknown, f"{page}: `{text}`: {unknown}"


def test_commands_of_the_papers_page_are_whole_ones() -> None:
    said = [words for text in spoken_commands("docs/paper.md") if len(words := text.split()[1:]) > 1]
    said = [words for words in said if words[0] != "profile" or len(words) > 2]
    assert len(said) >= 12
    for words in [*said, *(entry.command.split()[1:] for entry in read_entries())]:
        parse([word for word in words if word != "--help"])
    numbers = {str(number) for number in range(1, 15)}
    named = "\n".join(line.partition("|")[2].partition("|")[0] for line in read("docs/paper.md").splitlines())
    assert numbers <= set(re.findall(r"\d+", named)), "a table of the paper that the page does not have"


def test_the_table_of_the_papers_page_is_that_of_the_data_file() -> None:
    lines = [line for line in read("docs/paper.md").splitlines() if line.startswith(("| Table ", "| Figure "))]
    made = [f"| {e.label} | {e.what} | `{e.command}` | {e.differs} |" for e in read_entries()]
    assert lines == made, "\n".join(["docs/paper.md has another table than paper_notes.toml:", *made])


@pytest.mark.parametrize("page", LINKED)
def test_links_lead_somewhere(page: str) -> None:
    for path, anchor in links(page):
        assert (REPOSITORY / path).exists(), f"{page} links to {path}"
        assert not anchor or anchor in anchors(path), f"{page} links to {path}#{anchor}; there are {anchors(path)}"


def test_readme_reaches_every_page() -> None:
    assert {path for path, _ in links("README.md")} >= set(LINKED) - {
        "README.md",
        "baselines/README.md",
        "metrics/README.md",
    }


def test_readme_is_short_and_its_table_fits_a_terminal() -> None:
    lines = read("README.md").splitlines()
    assert len(lines) <= 120
    table = [line for line in lines if line.startswith("|")]
    assert len(table) >= 4
    assert [line for line in table if len(line) > 80] == []
    text = "\n".join(c.text for c in commands("README.md"))
    assert "make run" in text
    assert "make test" in text


def test_the_numbers_of_the_readme_are_those_of_the_whole_table() -> None:
    whole, shown = (numbers_by_place(page) for page in ("docs/systems.md", "README.md"))
    assert {system for system, _ in whole} == set(DEFAULT_SYSTEMS)
    assert len(whole) == 8 * len(DEFAULT_SYSTEMS)
    assert len(shown) >= 6
    assert {place: whole.get(place) for place in shown} == shown


def numbers_by_place(page: str) -> dict[tuple[str, str], str]:
    """The values of the page's table of scores by system and metric, without marks."""
    lines = read(page).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("| system | fvd_bounce"))
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in lines[first : lines.index("", first)]]
    cells = {(row[0], name): cell for row in rows[2:] for name, cell in zip(rows[0][1:], row[1:], strict=True)}
    return {place: cell.strip(" *†~()\\") for place, cell in cells.items()}


def test_the_map_is_the_tree() -> None:
    named = map_of_tree()
    twice = [name for name, times in Counter(named).items() if times > 1]
    assert twice == []
    folders = {name for name in named if name.endswith("/")}
    there = rooms(REPOSITORY)
    assert sorted(there - folders) == [], "rooms that the map does not name"
    assert sorted(folders - there) == [], "names in the map that are no rooms"
    assert [name for name in named if not (REPOSITORY / name).exists()] == []


@pytest.mark.e2e
def test_templates_of_the_guide_run_as_they_stand(tmp_path: Path) -> None:
    code = ["\n".join(b.lines) for b in blocks(read("docs/extending.md")) if b.language == "python"]
    whole = [text for text in code if text.startswith('"""')]
    kinds = ("system", "metric", "dataset")
    assert len(whole) == len(kinds)
    plugins: list[str] = []
    for kind, text in zip(kinds, whole, strict=True):
        (tmp_path / f"my_{kind}.py").write_text(text)
        plugins += ["--plugin", f"my_{kind}.py"]
    (command,) = [c for c in commands("docs/extending.md") if "my_model" in c.words]
    python = [sys.executable, "-m", "mmbench"]
    words = [*python, *command.words[1:], "-n", "3", "--format", "json"]
    assert [w for w in command.words if w.endswith(".py")] == plugins[1::2]
    env = environment(PYTHONPATH=str(REPOSITORY))
    done: Any = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"loudness.rms') >= 2
    (run,) = (tmp_path / "runs").glob("my_model*")
    clips = ["evaluate", str(run / "samples"), "-m", "loudness", "--name", "clips"]
    env[VARIABLE] = os.pathsep.join(plugins[1::2])
    done = subprocess.run([*python, *clips], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "loudness" in done.stdout


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load(read("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(cited)  # what the format requires
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert (cited["title"], cited["version"]) == (project["name"], project["version"])
    assert cited["license"] == project["license"]
