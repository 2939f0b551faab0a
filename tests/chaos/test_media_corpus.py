"""Every odd file gets its verdict, no file ends the job, and the counts add up, within bounds of memory and time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mmbench.errors import MediaError
from mmbench.media.decode import probe
from mmbench.media.regular_files import printable
from mmbench.media.tar_members import is_tar
from tests.chaos.media_corpus import FAMILIES, corpus
from tests.chaos.medium import REFUSED, SCORED, WARNED, Medium
from tests.chaos.record import minutes, note
from tests.commands import environment
from tests.tar_files import pack_folder

STEP = 1 if minutes() else 4  # of the whole corpus only `make chaos` looks at every file
PEAK, SECONDS = 600, 240  # MiB of the process that reads them all, of which 130 are imports; and its time [s]


def chosen() -> list[Medium]:
    """Every STEP-th file of each family, and at least one."""
    return [medium for family in FAMILIES for medium in list(family())[::STEP]]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    folder = tmp_path_factory.mktemp("corpus")
    for medium in chosen():
        medium.make(folder / medium.name)
    command = [sys.executable, "-m", "tests.chaos.judge", str(folder)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    note("media", media=len(found["verdicts"]), peak_mib=found["peak MiB"])
    assert found["peak MiB"] < PEAK
    return {Path(name).stem: verdict for name, verdict in found["verdicts"].items()}


def test_the_corpus_is_large_and_its_names_differ() -> None:
    media = corpus()
    stems = {Path(printable(medium.name)).stem for medium in media}
    assert len(media) == len(stems) > 350
    assert {medium.verdict for medium in media} == {REFUSED, SCORED, WARNED}


def test_every_file_is_counted_once_and_nothing_else(said: dict[str, list[str]]) -> None:
    assert said.keys() == {Path(printable(medium.name)).stem for medium in chosen()}


@pytest.mark.parametrize("medium", chosen(), ids=lambda medium: printable(medium.name))
def test_each_gets_its_verdict(medium: Medium, said: dict[str, list[str]]) -> None:
    verdict, *words = said[Path(printable(medium.name)).stem]
    assert verdict == (REFUSED if medium.verdict == REFUSED else SCORED), words
    assert medium.verdict != SCORED or not words
    assert any(medium.words in word for word in words) or medium.verdict == SCORED, words


@pytest.mark.thorough
def test_in_an_archive_each_is_told_what_it_is_on_disk(tmp_path: Path) -> None:
    for medium in chosen():
        medium.make(tmp_path / medium.name)
    files = [path for path in tmp_path.iterdir() if path.is_file() and not path.is_symlink() and not is_tar(path)]
    tar = pack_folder(tmp_path / "all, of: them.tar", files)
    assert [told(tar / file.name, tar) for file in files] == [told(file, tmp_path) for file in files]
    assert len(files) > 90


def told(path: Path, place: Path) -> object:
    """What probing a file gives, or why it cannot be read."""
    try:
        return probe(path)
    except MediaError as error:
        return error.found.replace(str(place), "")
