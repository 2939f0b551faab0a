"""Making a study: which clips it holds, under names that say nothing, and what is refused beforehand."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mmbench.errors import MMBenchError, UsageError
from mmbench.media.clip_files import write_lossless
from mmbench.media.sources import FileSource
from mmbench.study.design import ATTENTION, PAIR, Study, read_study
from mmbench.study.make import make_study
from mmbench.study.questions import PAPER
from mmbench.types import Clip


def write_model(folder: Path, grey: int, num: int = 4) -> None:
    """Clips of one grey and one sound, named 0 and on."""
    folder.mkdir()
    sound = np.sin(np.arange(8000, dtype=np.float32) / 10)
    for k in range(num):
        video = np.full((4, 64, 64, 3), grey + k, np.uint8)
        write_lossless(Clip(video, Fraction(8), sound, 16000), folder / f"{k}.mkv")


def make(
    tmp_path: Path, pairs: int = 2, raters: int = 2, attention: int = 0, dataset: str = "", seed: int = 0
) -> Study:
    names = str(tmp_path / "a"), str(tmp_path / "b")
    return make_study(names, tmp_path, tmp_path / "study", PAPER, pairs, raters, attention, seed, dataset)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_model(tmp_path / "a", 40)
    write_model(tmp_path / "b", 140)
    return tmp_path


def grey_of(folder: Path, file: str) -> float:
    return float(FileSource(file, folder / "pages" / file).load().video.mean())


def test_each_pair_is_one_sample_of_either_model(models: Path) -> None:
    study = make(models, pairs=3)
    assert study == read_study(models / "study")
    assert len({item.sample for item in study.items}) == 3
    for item in study.items:
        a, b = (grey_of(models / "study", file) for file in item.clips)
        assert a == pytest.approx(40 + int(item.sample), abs=3)
        assert b == pytest.approx(140 + int(item.sample), abs=3)
    files = list((models / "study" / "pages" / "clips").iterdir())
    assert len(files) == 6
    assert {file.stat().st_mtime for file in files} == {0}


def test_attention_pairs_are_a_real_clip_and_its_video_with_another_sound(models: Path) -> None:
    study = make(models, attention=2, dataset="bounce")
    assert [item.kind for item in study.items] == [PAIR, PAIR, ATTENTION, ATTENTION]
    for item in study.items[2:]:
        real, apart = (FileSource(file, models / "study" / "pages" / file).load() for file in item.clips)
        assert np.array_equal(real.video, apart.video)
        assert not np.array_equal(real.audio, apart.audio)


def test_the_seed_draws_the_pairs(models: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    chosen = []
    for seed in (1, 1, 2):
        again = tmp_path_factory.mktemp("again")
        write_model(again / "a", 40, 30)
        write_model(again / "b", 140, 30)
        chosen.append([item.sample for item in make(again, pairs=4, seed=seed).items])
    assert chosen[0] == chosen[1]
    assert chosen[0] != chosen[2]


def test_what_cannot_be_is_refused(models: Path) -> None:
    with pytest.raises(MMBenchError, match="4 clips of the same prompts") as refused:
        make(models, pairs=5)
    assert refused.value.next == "--pairs 4"
    for option in ("pairs", "raters"):
        with pytest.raises(UsageError, match=f"--{option} is 0"):
            make(models, **{option: 0})
    with pytest.raises(UsageError, match="which dataset"):
        make(models, attention=1)
    with pytest.raises(UsageError, match="are one"):
        make_study((str(models / "a"),) * 2, models, models / "s", PAPER, 1, 1, 0, 0)
    make(models)
    with pytest.raises(UsageError, match="holds a study"):
        make(models)
