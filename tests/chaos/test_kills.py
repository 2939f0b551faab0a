"""Commands are killed at any moment, stopped, started twice and looked at; their results are those of undisturbed ones.

A state machine of hypothesis draws what happens. Which moment a signal meets is the machine's, so a failure says what
happened instead of shrinking it. With MMBENCH_CHAOS=MINUTES, by default none, it goes on so long with fresh seeds.
"""

from __future__ import annotations

import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.chaos.jobs import JOBS, results_of, start_job, write_inputs
from tests.chaos.record import fresh_seed, minutes, note
from tests.chaos.starter import Command, Starter

pytestmark = pytest.mark.e2e

PATIENCE = 240.0  # of a command that nothing disturbs [s]: it hangs
SIGNALS = [signal.SIGKILL] * 3 + [signal.SIGTERM, signal.SIGINT]
MOMENTS = [k * 0.61803 % 1.05 for k in range(1, 60)]  # of the duration of an undisturbed job
LOOKS = ["", "list runs", "", "table", ""]
ORDERLY = {0, 1, 2, 3, 4, 5, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT}


@dataclass
class World:
    """What all examples share: the starter, inputs, each job's undisturbed results, and about its duration [s]."""

    starter: Starter
    shared: Path
    results: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("kills", "starts", "looks", "trials"), 0))

    def learn(self, name: str) -> None:
        """Carry a job out undisturbed, once."""
        if name in self.results:
            return
        root = self.shared / "undisturbed"
        begun = time.monotonic()
        assert end(start_job(self.starter, name, root, self.shared), {0}) == 0
        self.seconds[name] = time.monotonic() - begun
        self.results[name] = results_of(root, JOBS[name])
        assert self.results[name]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("chaos")
    starter = Starter(folder / "logs")
    write_inputs(folder / "shared", starter)
    yield World(starter, folder / "shared")
    starter.close()


def end(command: Command, expected: set[int]) -> int:
    """Wait for a command; it must end, in an orderly way."""
    status = command.wait(PATIENCE)
    assert status is not None, f"hangs:\n{command.said[-3000:]}"
    assert "Traceback" not in command.said, command.said[-5000:]
    assert status in expected, f"status {status}:\n{command.said[-3000:]}"
    return status


def machine(world: World, names: list[str]) -> type[RuleBasedStateMachine]:
    """The state machine on some jobs."""
    for name in names:
        world.learn(name)

    class Disturbed(RuleBasedStateMachine):
        """Jobs in one root, begun and interrupted."""

        def __init__(self) -> None:
            super().__init__()
            self.root, self.begun = Path(tempfile.mkdtemp(dir=world.shared.parent)), set[str]()
            world.counts["trials"] += 1

        def start(self, name: str, **variables: str) -> Command:
            self.begun.add(name)
            world.counts["starts"] += 1
            return start_job(world.starter, name, self.root, world.shared, **variables)

        @rule(
            name=st.sampled_from(names),
            when=st.sampled_from(MOMENTS),
            number=st.sampled_from(SIGNALS),
            processes=st.sampled_from([1, 2, 1]),
            first=st.booleans(),
            look=st.sampled_from(LOOKS),
        )
        def break_off(self, name: str, when: float, number: int, processes: int, first: bool, look: str) -> None:
            """Start a job in one or two processes and end one of them by a signal, a second goes on; look at it all."""
            ranks = [{"RANK": str(k), "WORLD_SIZE": "2"} for k in range(2)]
            launched = processes == 2 and JOBS[name].launched
            commands = [self.start(name, **own) for own in (ranks if launched else [{}] * processes)]
            struck = commands[0 if first else -1]
            struck.wait(when * world.seconds[name])
            alive = struck.status is None
            world.seconds[name] *= 1.03 if alive else 0.9  # most are to be met alive, however busy the machine is
            world.counts["kills"] += alive
            struck.send(number)
            if launched:  # a launcher ends the others
                for command in commands:
                    command.send(signal.SIGTERM)
            for command in commands:
                end(command, ORDERLY)
            if look:
                world.counts["looks"] += 1
                end(world.starter.start([*look.split(), "--out", self.root / JOBS[name].folder]), ORDERLY)

        def teardown(self) -> None:
            for name in sorted(self.begun):
                assert end(self.start(name), {0}) == 0
                found = results_of(self.root, JOBS[name])
                wrong = {f: (found.get(f), v) for f, v in world.results[name].items() if found.get(f) != v}
                assert not wrong, f"{name} differs in {self.root}: {wrong}"
                assert set(found) == set(world.results[name]), f"{name} leaves {set(found) - set(world.results[name])}"
            shutil.rmtree(self.root)

    return Disturbed


def disturb(world: World, names: list[str], examples: int, steps: int, start: int) -> None:
    """Draw what happens, from one seed."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(start)(machine(world, names)), settings=chosen)


def causes(error: BaseException) -> str:
    """What failed; what does not fail again when hypothesis repeats it comes in a group."""
    if isinstance(error, BaseExceptionGroup):
        return "\n".join(map(causes, error.exceptions))
    return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize(
    "names",
    [pytest.param(names, marks=pytest.mark.thorough) for names in (["generate", "evaluate"], ["train"])],
    ids="+".join,
)
def test_what_was_interrupted_ends_as_if_it_had_not_been(world: World, names: list[str]) -> None:
    disturb(world, names, 1, 2, 7)
    assert world.counts["kills"] > 0


@pytest.mark.skipif(not minutes(), reason="an hour's work: make chaos")
def test_with_fresh_seeds_for_as_long_as_asked(world: World) -> None:
    start = fresh_seed()
    order = random.Random(start)
    finish = time.monotonic() + 60 * minutes()
    failures: list[str] = []
    try:
        while time.monotonic() < finish:  # after a failure too: its folder stays, and there may be others
            names = order.sample(sorted(JOBS), 2)
            one = order.randrange(2**31)
            try:
                disturb(world, names, 2, 8, one)
            except Exception as error:
                failures.append(f"{names} with seed {one}: {causes(error)}")
    finally:
        failed = "\n\n".join(failure[:500] + failure[500:][-4000:] for failure in failures)
        note("kills", seed=start, mismatches=len(failures), failed=failed, **world.counts)
    assert not failures, failed
