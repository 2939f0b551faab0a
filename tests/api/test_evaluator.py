"""`mmbench.Evaluator`: numbers follow from clips and ids alone, whatever the batches, processes and order."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmbench as mm
from mmbench.errors import MMBenchError, UsageError
from mmbench.metrics.extractors.bounce import BounceVideo
from mmbench.types import Features
from tests.api.material import bounce_clips
from tests.commands import environment

METRICS = ("fvd_bounce", "ib_bounce_av")
IDS = ["clip2", "clip10", "clip1", "clip3", "clip20", "clip4", "clip5"]
NUM = len(IDS)


def evaluator() -> mm.Evaluator:
    return mm.Evaluator(METRICS, bounce_clips(6, seed=2), fps=8, sample_rate=16000)


def give(to: mm.Evaluator, places: Sequence[int]) -> None:
    clips = bounce_clips(NUM)
    videos, audios = [clips.videos[i] for i in places], [clips.audios[i] for i in places]
    to.update(videos, audios, [clips.prompts[i] for i in places], [IDS[i] for i in places])


def numbers(scores: mm.Scores) -> list[float]:
    return [x for s in scores.values() for x in (s.value, s.stderr, s.low, s.high, s.baseline) if x is not None]


@pytest.fixture(scope="module")
def whole() -> mm.Scores:
    one = evaluator()
    give(one, range(NUM))
    return one.compute()


def test_batches_and_their_order_change_nothing(whole: mm.Scores) -> None:
    split = evaluator()
    for places in ([6, 3], [0], [], [5, 1, 2, 4]):
        give(split, places)
    assert len(split) == NUM
    assert split.compute().ids == whole.ids == ["clip1", "clip2", "clip3", "clip4", "clip5", "clip10", "clip20"]
    assert numbers(split.compute()) == pytest.approx(numbers(whole), rel=1e-9)


def test_merged_and_pickled_evaluators_give_the_numbers_of_one(whole: mm.Scores) -> None:
    first, second = evaluator(), evaluator()
    give(first, [0, 1, 2, 3])
    give(second, [2, 3, 4, 5, 6])  # two clips twice, as samplers pad batches: counted once
    first.merge(pickle.loads(pickle.dumps(second)))
    packed = pickle.dumps(first)
    assert len(packed) < bounce_clips(NUM).videos[0].nbytes, "features are kept, clips are not"
    again = pickle.loads(packed)
    assert numbers(again.compute()) == pytest.approx(numbers(whole), rel=1e-9)
    assert numbers(pickle.loads(pickle.dumps(whole))) == numbers(whole)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many videos the network was given, call by call."""
    sizes: list[int] = []
    extract = BounceVideo.extract

    def counted(self: BounceVideo, batch: Sequence[Any]) -> list[Features]:
        sizes.append(len(batch))
        return extract(self, batch)

    monkeypatch.setattr(BounceVideo, "extract", counted)
    return sizes


def test_features_of_real_clips_are_kept_in_a_folder(seen: list[int], tmp_path: Path) -> None:
    first, second = (
        mm.score(bounce_clips(2), metrics="fvd_bounce", reference="bounce", cache=tmp_path) for _ in range(2)
    )
    assert sum(seen) == 2 + 2 + 2, "the second time the two clips alone"
    assert numbers(first) == numbers(second)


def test_real_clips_are_looked_at_once(seen: list[int]) -> None:
    mine = mm.Evaluator("fvd_bounce", "bounce", fps=8)
    for _ in range(3):
        mine.reset()
        mine.update(bounce_clips(2).videos)
        mine.gather().compute()
    assert sum(seen) == 3 * 2 + 2, "two real clips once, two clips of each turn"


def test_reset_forgets_and_nothing_is_no_score() -> None:
    mine = mm.Evaluator("ib_bounce_av", fps=8, sample_rate=16000)
    mine.update(bounce_clips(2))
    mine.reset()
    assert repr(mine) == "Evaluator(ib_bounce_av; 0 clips)"
    with pytest.raises(MMBenchError, match="no clips to score"):
        mine.compute()


def test_another_clip_under_a_known_id_is_refused_and_nothing_of_its_batch_kept() -> None:
    mine = mm.Evaluator("ib_bounce_av", fps=8, sample_rate=16000)
    clips = bounce_clips(3)
    mine.update(clips.videos[:1], clips.audios[:1], ids=["a"])
    with pytest.raises(UsageError, match="Two clips have the id 'a'"):
        mine.update(clips.videos[1:], clips.audios[1:], ids=["b", "a"])
    assert len(mine) == 1
    other = mm.Evaluator("ib_bounce_av", fps=8, sample_rate=16000)
    other.update(clips.videos[1:2], clips.audios[1:2], ids=["a"])
    with pytest.raises(UsageError, match="an id of its own"):
        mine.merge(other)


def test_evaluators_of_other_metrics_or_real_clips_do_not_merge() -> None:
    for other in (mm.Evaluator(METRICS[::-1], bounce_clips(6, seed=2)), mm.Evaluator(METRICS, bounce_clips(6))):
        with pytest.raises(UsageError, match="The evaluators differ"):
            evaluator().merge(other)


SCRIPT = """
import sys, numpy as np, torch.distributed as distributed
from tests.api.test_evaluator import evaluator, give, numbers
rank, rendezvous, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
mine = evaluator()
give(mine, [4, 0, 6] if rank else [5, 1, 2, 3, 4])
gathered = mine.gather()
assert len(mine) == (3 if rank else 5) and len(gathered) == 7
np.save(f"{out}/{rank}.npy", numbers(gathered.compute()))
distributed.destroy_process_group()
"""


@pytest.mark.e2e
def test_two_processes_give_the_numbers_of_one(whole: mm.Scores, tmp_path: Path) -> None:
    arguments = [str(tmp_path / "rendezvous"), str(tmp_path)]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(rank), *arguments], env=environment(), stderr=subprocess.PIPE
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=240)[1].decode() for process in started]
    assert [process.returncode for process in started] == [0, 0], errors
    for rank in range(2):
        assert np.load(tmp_path / f"{rank}.npy").tolist() == pytest.approx(numbers(whole), rel=1e-9)


def test_gathering_in_one_process_is_a_copy(whole: mm.Scores) -> None:
    mine = evaluator()
    give(mine, range(NUM))
    copied = mine.gather()
    mine.reset()
    assert numbers(copied.compute()) == numbers(whole)


def test_clips_that_another_thread_adds_meanwhile_are_kept() -> None:
    ours, theirs = mm.Evaluator("av_align", None), mm.Evaluator("av_align", None)
    for evaluators, names in ((ours, "ab"), (theirs, "c")):
        evaluators.update(bounce_clips(NUM)[: len(names)], ids=list(names))
    kept, first = list(ours._kept.values()), mm.Evaluator("av_align", None)

    def interrupted() -> Iterator[Any]:
        yield kept[0]
        first.merge(theirs)
        yield kept[1]

    first._add(interrupted())
    assert sorted(first._kept) == ["a", "b", "c"]
