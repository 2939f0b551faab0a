"""Training: what is drawn, several processes as one, kill and resume, losses, records and errors."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mmbench.errors import IntegrityError, NonFiniteError, StoppedError, UsageError
from mmbench.mmdisco.batches import Batches
from mmbench.mmdisco.checkpoint import CHECKPOINT, PREVIOUS, load_checkpoint, save_checkpoint
from mmbench.mmdisco.design import out_of_domain
from mmbench.mmdisco.discriminator import load_discriminator
from mmbench.mmdisco.losses import Epsilon, Pair, independent
from mmbench.mmdisco.noising import Noising
from mmbench.mmdisco.pairs import Example, PairSource, RePaired
from mmbench.mmdisco.schedule import NoiseSchedule
from mmbench.mmdisco.training import TrainResult, train
from mmbench.mmdisco.training_config import TrainConfig

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEDULE = NoiseSchedule("linear", 1e-4, 0.02, 100)
EMPTY = (torch.full((3,), -9.0), torch.full((5,), -9.0))
DISCRIMINATOR = out_of_domain(
    "res_mlp",
    channels=64,
    num_blocks=1,
    channel_mult=(1,),
    embed_channels=16,
    video_channels=2,
    audio_channels=2,
    video_text_channels=3,
    audio_text_channels=5,
)
CONFIG = TrainConfig(DISCRIMINATOR, batch_size=4, steps=6, checkpoint_every=2, log_every=1, text_drop=0.3)


class Pairs:
    """Video and audio share their mean if they belong together; the text is the index."""

    def __init__(self, num: int, together: bool, text: bool = True) -> None:
        self.num, self.together, self.text = num, together, text

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, index: int) -> Example:
        g = torch.Generator().manual_seed(index)
        level = torch.randn(2, generator=g) * 2
        other = 0 if self.together else 1
        video = level[0] + 0.1 * torch.randn(2, 2, 4, 4, generator=g)
        audio = level[other] + 0.1 * torch.randn(2, 4, 4, generator=g)
        texts = (torch.full((3,), float(index)), torch.full((5,), float(index))) if self.text else (None, None)
        return video, audio, *texts


REAL, FAKE = Pairs(10, True), Pairs(7, False)


def epsilon(x_t: Tensor, t: Tensor, text: Tensor | None) -> Tensor:
    """A base model with randomness of its own, from the global generator."""
    told = 0.0 if text is None else 0.01 * text.mean(1).reshape(-1, *[1] * (x_t.ndim - 1))
    return 0.5 * x_t + 0.01 * torch.randn(()) + told


@dataclass(frozen=True)
class Bases:
    """Two base models that know nothing of each other."""

    epsilon_x: Epsilon = epsilon
    epsilon_y: Epsilon = epsilon
    schedules: tuple[NoiseSchedule, NoiseSchedule] = (SCHEDULE, SCHEDULE)
    unconditional: tuple[Tensor, ...] = EMPTY

    def epsilon(self, x_t: Tensor, y_t: Tensor, t: Tensor, condition: Any) -> Pair:
        return independent(self.epsilon_x, self.epsilon_y)(x_t, y_t, t, condition)


def run(
    config: TrainConfig, out: Path, pair: Bases | None = None, real: PairSource = REAL, fake: PairSource = FAKE
) -> TrainResult:
    return train(config, pair or Bases(), real, fake, out)


def weights(folder: Path, kind: str = "model") -> dict[str, Tensor]:
    state = load_checkpoint(folder)
    assert state is not None
    return state[kind]


def assert_equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)


def batches(rank: int = 0, world: int = 1, batch_size: int = 4, seed: int = 0) -> Batches:
    return Batches(REAL, FAKE, seed, batch_size, Noising(100, 0.3, EMPTY), rank, world)


def test_two_processes_draw_what_one_does() -> None:
    for step in range(5):
        whole = batches()[step]
        halves = [batches(rank, 2, 2)[step] for rank in range(2)]
        for kind in range(2):
            for name in ("sample", "noise", "text"):
                for k, together in enumerate(getattr(whole[kind], name)):
                    assert torch.equal(together, torch.cat([getattr(half[kind], name)[k] for half in halves]))
            assert torch.equal(whole[kind].t, torch.cat([half[kind].t for half in halves]))


def test_re_paired_halves_share_a_text_and_meet_others_each_time() -> None:
    pairs = [(torch.tensor(i), torch.tensor(i), *[torch.tensor([float(i % 2)])] * 2) for i in range(6)]
    source = RePaired(pairs, seed=0, times=50)
    assert len(source) == 300
    met = [(int(video), int(audio)) for video, audio, *_ in (source[k] for k in range(300))]
    assert set(met) == {(i, j) for i in range(6) for j in range(6) if i % 2 == j % 2}
    assert all(float(source[k][2]) == source[k][0] % 2 for k in range(300))
    assert met == [(int(v), int(a)) for v, a, *_ in (RePaired(pairs, 0, 50)[k] for k in range(300))]


def test_every_epoch_visits_every_pair_once_in_another_order() -> None:
    visited = torch.cat([batches(batch_size=5)[step][0].sample[0].mean((1, 2, 3, 4)) for step in range(4)])
    first, second = visited[:10], visited[10:]
    assert torch.equal(first.sort().values, second.sort().values)
    assert not torch.equal(first, second)
    assert len(first.unique()) == 10


def test_draws_are_independent_and_texts_are_dropped_together() -> None:
    drawn = [batches()[step] for step in range(100)]
    real, fake = ([batch[kind] for batch in drawn] for kind in range(2))
    noise = torch.cat([b.noise[0].flatten(1) for b in (*real, *fake)])
    assert len(noise.unique(dim=0)) == len(noise)
    assert abs(noise.mean().item()) < 0.02
    assert noise.std().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(torch.cat([b.t for b in real]), torch.cat([b.t for b in fake]))
    dropped = [torch.cat([b.text[k][:, 0] for b in real]) == -9 for k in range(2)]
    assert torch.equal(*dropped)
    assert dropped[0].double().mean().item() == pytest.approx(0.3, abs=0.08)
    other_seed = batches(seed=1)[0][0]
    assert not torch.equal(other_seed.noise[0], real[0].noise[0])


@pytest.mark.e2e
def test_training_learns_and_leaves_a_record(tmp_path: Path) -> None:
    config = replace(CONFIG, steps=40, loss="disc", batch_size=8, log_every=10, checkpoint_every=40, ema_decay=0.9)
    result = train(config, Bases(), REAL, FAKE, tmp_path, trained_on="numbers")
    totals = [row["total"] for row in result.losses]
    assert [row["step"] for row in result.losses] == [10, 20, 30, 40]
    assert totals[-1] < 0.7 * totals[0]
    model = load_discriminator(result.weights)
    assert model.config == DISCRIMINATOR
    assert_equal(model.state_dict(), weights(tmp_path, "average"))
    assert not torch.equal(model.last_linear.weight, weights(tmp_path)["last_linear.weight"])
    record = json.loads((tmp_path / "training.json").read_text())
    assert (record["steps"], record["num_real"], record["num_fake"], record["trained_on"]) == (40, 10, 7, "numbers")
    assert record["losses"] == result.losses
    card = (tmp_path / "README.md").read_text()
    for words in ("res_mlp", "numbers", "| seed | 0 |", "40, 8", "load_discriminator"):
        assert words in card


@pytest.mark.parametrize(("loss", "terms"), [("disc", {"discrimination"}), ("denoise", {"denoising"})])
def test_each_loss_alone(tmp_path: Path, loss: Any, terms: set[str]) -> None:
    result = run(replace(CONFIG, loss=loss, steps=2), tmp_path)
    assert result.losses[-1].keys() == terms | {"step", "total"}


def test_lambda_weighs_the_denoising_loss(tmp_path: Path) -> None:
    (first,) = run(replace(CONFIG, weight_denoising=3.0, steps=1), tmp_path).losses
    assert first["total"] == pytest.approx(first["discrimination"] + 3 * first["denoising"], rel=1e-5)


def test_bfloat16_keeps_the_gradient_path_in_float32(tmp_path: Path) -> None:
    exact = run(replace(CONFIG, steps=2), tmp_path / "a").losses
    rounded = run(replace(CONFIG, steps=2, precision="bfloat16"), tmp_path / "b").losses
    assert rounded[0]["discrimination"] == pytest.approx(exact[0]["discrimination"], rel=0.02)
    assert rounded[0]["denoising"] == pytest.approx(exact[0]["denoising"], rel=0.02)
    assert rounded != exact


def test_resuming_is_bit_exact(tmp_path: Path) -> None:
    whole = run(CONFIG, tmp_path / "whole")
    run(replace(CONFIG, steps=3), tmp_path / "parts")
    torch.randn(7)  # the global generators are elsewhere now
    resumed = run(CONFIG, tmp_path / "parts")
    assert (resumed.resumed_at, resumed.steps) == (3, 6)
    assert resumed.losses == whole.losses
    for kind in ("model", "average"):
        assert_equal(weights(tmp_path / "whole", kind), weights(tmp_path / "parts", kind))
    assert (tmp_path / "whole" / CHECKPOINT).read_bytes() == (tmp_path / "parts" / CHECKPOINT).read_bytes()
    assert run(CONFIG, tmp_path / "parts").resumed_at == 6


def test_a_signal_ends_a_training_after_the_step_in_hand_and_loses_none(tmp_path: Path) -> None:
    whole, asked = run(CONFIG, tmp_path / "whole"), []

    def stop() -> str:
        asked.append(1)
        return "SIGTERM" if len(asked) >= 3 else ""

    with pytest.raises(StoppedError, match="after step 3 of 6"):
        train(CONFIG, Bases(), REAL, FAKE, tmp_path / "parts", stop=stop)
    resumed = run(CONFIG, tmp_path / "parts")
    assert (resumed.resumed_at, resumed.losses) == (3, whole.losses)
    assert_equal(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    asked.clear()
    last = train(replace(CONFIG, steps=3), Bases(), REAL, FAKE, tmp_path / "last", stop=stop)
    assert last.weights.is_file(), "nothing is left to be stopped"


def test_a_checkpoint_from_before_a_field_of_the_discriminator_is_resumed(tmp_path: Path) -> None:
    run(replace(CONFIG, steps=3), tmp_path)
    state = load_checkpoint(tmp_path)
    assert state is not None
    record = json.loads(state["record"])
    for young in ("audio_pool", "video_times", "pairing"):
        del record["config"]["discriminator"][young]
    torch.save(state | {"record": json.dumps(record)}, tmp_path / CHECKPOINT)
    assert run(CONFIG, tmp_path).resumed_at == 3


def script(out: Path, config: TrainConfig, **environment: str) -> subprocess.Popen[bytes]:
    """This file's training in a process of its own."""
    fields = {k: getattr(config, k) for k in ("batch_size", "steps", "log_every")}
    command = [sys.executable, "-m", "tests.mmdisco.test_training", str(out), json.dumps(fields)]
    shared = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", **environment}
    return subprocess.Popen(command, cwd=REPOSITORY, env=shared, stderr=subprocess.PIPE)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As in the subprocesses: sums over threads round differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.e2e
@pytest.mark.usefixtures("one_thread")
def test_a_killed_training_resumes_bit_exactly(tmp_path: Path) -> None:
    config = replace(CONFIG, steps=400, log_every=100)
    killed = script(tmp_path / "killed", config)
    while not (tmp_path / "killed" / PREVIOUS).exists() and killed.poll() is None:
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    state = load_checkpoint(tmp_path / "killed")
    assert state is not None
    assert 0 < state["step"] < 400, "it was killed too late to show anything"
    config = replace(config, steps=state["step"] + 3)
    assert run(config, tmp_path / "killed").resumed_at == state["step"]
    run(config, tmp_path / "whole")
    for kind in ("model", "average"):
        assert_equal(weights(tmp_path / "killed", kind), weights(tmp_path / "whole", kind))
    assert not list((tmp_path / "killed").glob(".*")), "half-written files are left"


def two(out: Path, config: TrainConfig, **environment: str) -> list[subprocess.Popen[bytes]]:
    """Two processes of one training."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", **environment}
    return [script(out, config, RANK=rank, LOCAL_RANK=rank, **shared) for rank in "01"]


@pytest.mark.e2e
@pytest.mark.thorough
@pytest.mark.usefixtures("one_thread")
def test_a_signal_that_one_process_hears_ends_all_after_the_same_step(tmp_path: Path) -> None:
    for process in two(tmp_path, replace(CONFIG, batch_size=2), STOP_OF_RANK_1="3"):
        _, errors = process.communicate(timeout=100)
        assert b"after step 3 of 6" in errors, errors.decode()
    state = load_checkpoint(tmp_path)
    assert state is not None
    assert state["step"] == 3


@pytest.mark.e2e
@pytest.mark.usefixtures("one_thread")
def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    config = replace(CONFIG, batch_size=2)
    pair = two(tmp_path / "two", config)
    run(replace(config, batch_size=4), tmp_path / "one")
    for process in pair:
        _, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors.decode()
    alone, together = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in alone:
        difference = (alone[name] - together[name]).abs().max().item()
        assert difference < 1e-5, f"{name}: {difference:.1e}"
    cards = [json.loads((tmp_path / name / "training.json").read_text()) for name in ("one", "two")]
    assert cards[0]["global_batch_size"] == cards[1]["global_batch_size"] == 4
    for a, b in zip(*(card["losses"] for card in cards), strict=True):
        assert a == pytest.approx(b, rel=1e-5)


def test_nan_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    calls = []

    def breaks(x_t: Tensor, t: Tensor, text: Tensor | None) -> Tensor:
        calls.append(1)
        return x_t * (float("nan") if len(calls) > 3 else 1.0)

    with pytest.raises(NonFiniteError, match="Step 4") as error:
        run(CONFIG, tmp_path, Bases(breaks))
    assert CHECKPOINT in str(error.value)
    state = load_checkpoint(tmp_path)
    assert state is not None
    assert state["step"] == 2
    assert all(torch.isfinite(value).all() for value in state["model"].values())


def test_an_unreadable_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None
    for step in (1, 2):
        save_checkpoint(tmp_path, {"step": step})
    (tmp_path / CHECKPOINT).write_bytes(b"half")
    state = load_checkpoint(tmp_path)
    assert state == {"step": 1}
    (tmp_path / PREVIOUS).write_bytes(b"")
    with pytest.raises(IntegrityError, match="can be read"):
        load_checkpoint(tmp_path)


def test_another_training_in_the_folder_is_refused(tmp_path: Path) -> None:
    run(replace(CONFIG, steps=1), tmp_path)
    with pytest.raises(UsageError, match=r"seed is 0, now 5"):
        run(replace(CONFIG, seed=5), tmp_path)
    with pytest.raises(UsageError, match=r"global_batch_size is 4, now 8"):
        run(replace(CONFIG, batch_size=8), tmp_path)
    with pytest.raises(UsageError, match=r"num_real is 10, now 11"):
        run(CONFIG, tmp_path, real=Pairs(11, True))


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Unknown loss"):
        run(replace(CONFIG, loss="both"), tmp_path)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no fake pairs"):
        run(CONFIG, tmp_path, fake=Pairs(0, False))
    with pytest.raises(UsageError, match="timesteps"):
        run(CONFIG, tmp_path, Bases(schedules=(SCHEDULE, replace(SCHEDULE, num_train_timesteps=1000))))
    with pytest.raises(UsageError, match="0 unconditional"):
        run(CONFIG, tmp_path, Bases(unconditional=()))
    with pytest.raises(UsageError, match="fake pairs have 0 texts"):
        run(CONFIG, tmp_path, fake=Pairs(7, False, text=False))


def test_event_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run(replace(CONFIG, steps=2, tensorboard=True), tmp_path)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Scalars("total")] == [1, 2]


if __name__ == "__main__":
    folder, changes = sys.argv[1:]
    steps, heard = itertools.count(1), int(os.environ.get("STOP_OF_RANK_1", "0")) * (os.environ.get("RANK") == "1")
    stop = lambda: "SIGTERM" if next(steps) == heard else ""  # noqa: E731
    train(replace(CONFIG, **json.loads(changes)), Bases(), REAL, FAKE, Path(folder), stop=stop)
