"""Shards, seeds and identities."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from mmbench.errors import IntegrityError, MMBenchError, NonFiniteError, StoppedError, UsageError
from mmbench.identity import canonical_json, digest_of
from mmbench.runs import spec as runspec
from mmbench.runs.generate import Shard, StopSignal, generate
from mmbench.runs.spec import RunSpec, make_requests, make_runspec
from mmbench.runs.store import SampleStore, read_manifest
from mmbench.types import Clip, Prompt, Request
from tests.builders import clip, strip_checksums
from tests.fixture_distribution.mmbench_fixture import FixtureDataset, FixtureSystem
from tests.test_files import flips


@pytest.mark.parametrize("text", ["2/2", "1", "-1/2", "a/b", "1/0", ""])
def test_wrong_shards_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="Shard"):
        Shard.parse(text)


def test_a_launcher_assigns_the_shard() -> None:
    assert Shard.from_environment({}) == Shard(0, 1)
    assert Shard.from_environment({"RANK": "1", "WORLD_SIZE": "4"}) == Shard(1, 4)
    assert Shard.from_environment({"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "8"}) == Shard(3, 8)
    assert Shard.from_environment({"RANK": "1"}) == Shard(0, 1)


def test_shards_share_everything_and_overlap_nowhere() -> None:
    parts = [[i for i in range(20) if i in Shard(r, 3)] for r in range(3)]
    assert sorted(i for part in parts for i in part) == list(range(20))


def test_streams_differ_by_seed_prompt_index_and_name() -> None:
    base = Request(Prompt("p", "text"), 0, 0)
    others = [
        Request(Prompt("q", "text"), 0, 0),
        Request(Prompt("p", "text"), 1, 0),
        Request(Prompt("p", "text"), 0, 1),
    ]
    draws = [r.rng("noise").random() for r in (base, *others)] + [base.rng("other").random()]
    assert len(set(draws)) == 5
    assert base.rng("noise").random() == draws[0]
    assert Request(Prompt("p", "another text"), 0, 0).rng("noise").random() == draws[0]


def test_a_request_list_is_a_prefix_of_a_longer_one() -> None:
    short, long = (make_requests(FixtureDataset(), n, 3) for n in (4, 9))
    assert [(r.prompt.id, r.index) for r in short] == [(r.prompt.id, r.index) for r in long[:4]]


def test_identity_changes_with_all_that_changes_samples() -> None:
    def run(seed: int = 0, spec: dict[str, object] | None = None, **dataset_spec: object) -> str:
        system, dataset = FixtureSystem(), FixtureDataset()
        if spec:
            system.spec = lambda: spec  # type: ignore[method-assign]
        if dataset_spec:
            dataset.spec = lambda: dataset_spec  # type: ignore[method-assign]
        return make_runspec(system, dataset, seed, "s", "d").digest

    same = run()
    assert same == run()
    changed = [run(seed=1), run(spec={"version": 2}), run(spec={"version": 1, "steps": 3}), run(prompts="other")]
    assert same not in changed
    assert len(set(changed)) == 4


def test_canonical_json_refuses_what_json_cannot_say() -> None:
    assert canonical_json({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_of({"x": float("nan")})


def test_a_manifest_survives_and_a_forged_one_does_not(tmp_path: Path) -> None:
    run = RunSpec("s", "d", 0, "none", {"steps": [1, 2], "scale": 1.5})
    store = SampleStore.create(tmp_path, run)
    assert read_manifest(store.folder) == run
    assert SampleStore.create(tmp_path, run).folder == store.folder
    (store.folder / "manifest.json").write_text("{}")
    with pytest.raises(IntegrityError, match="not a run's manifest: 'system' is missing"):
        read_manifest(store.folder)
    (store.folder / "manifest.json").write_text("[]")
    with pytest.raises(IntegrityError, match="not a run's manifest: list indices"):
        read_manifest(store.folder)


class Faulty(FixtureSystem):
    """Raises `error` for every request."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def generate(self, requests):  # type: ignore[no-untyped-def]
        raise self.error
        yield


def test_what_no_sample_survives_ends_the_run_without_blaming_samples(tmp_path: Path) -> None:
    store = SampleStore.create(tmp_path, RunSpec("s", "d", 0, "none", {}))
    with pytest.raises(MMBenchError, match="weights are missing"):
        generate(store, Faulty(MMBenchError("The weights are missing.")), make_requests(FixtureDataset(), 3, 0))
    assert store.status(3).missing == [0, 1, 2]


def test_a_system_that_yields_too_few_clips_is_recorded(tmp_path: Path) -> None:
    class Short(FixtureSystem):
        def generate(self, requests):  # type: ignore[no-untyped-def]
            yield from list(super().generate(requests))[:-1]

    store = SampleStore.create(tmp_path, RunSpec("s", "d", 0, "none", {}))
    generate(store, Short(), make_requests(FixtureDataset(), 3, 0), batch_size=3)
    assert store.status(3).present == [0, 1]
    assert store.status(3).failed == [2]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_clips_refuse_what_is_not_finite(value: float) -> None:
    good = clip()
    with pytest.raises(NonFiniteError, match="audio"):
        Clip.from_float(good.video / 255, 8.0, np.full(5, value), 16000)
    with pytest.raises(NonFiniteError, match="video"):
        Clip.from_float(np.full((1, 2, 2, 3), value), 8.0, good.audio, 16000)


def test_digests_see_every_pixel_sample_and_rate() -> None:
    a = clip()
    video, audio = a.video.copy(), a.audio.copy()
    video[1, 2, 3, 0] ^= 1
    audio[7] = 0.25
    assert Clip(video, a.fps, a.audio, a.sample_rate).video_digest() != a.video_digest()
    assert Clip(a.video, 10.0, a.audio, a.sample_rate).video_digest() != a.video_digest()
    assert Clip(a.video, a.fps, audio, a.sample_rate).audio_digest() != a.audio_digest()
    assert Clip(a.video, a.fps, a.audio, 8000).audio_digest() != a.audio_digest()
    assert Clip(a.video, 8, a.audio, a.sample_rate).digest() == a.digest()


def test_a_failing_sample_takes_no_others_with_it_and_none_is_made_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[list[int]]()

    class Noting(FixtureSystem):
        def generate(self, requests):  # type: ignore[no-untyped-def]
            asked.append([request.index for request in requests])
            yield from super().generate(requests)

    monkeypatch.setenv("FIXTURE_FAULTS", "2:crash")
    store = SampleStore.create(tmp_path, RunSpec("s", "d", 0, "none", {}))
    generate(store, Noting(), make_requests(FixtureDataset(), 5, 0), batch_size=4)
    assert (store.status(5).present, store.status(5).failed) == ([0, 1, 3, 4], [2])
    assert asked == [[0, 1, 2, 3], [2], [3], [4]]
    assert store.made == 4


def test_the_identity_names_the_format_and_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def made() -> RunSpec:
        return make_runspec(FixtureSystem(), FixtureDataset(), 0, "s", "d")

    before = made()
    assert before.spec["format"] == runspec.FORMAT_VERSION
    assert before.spec["system"]["code"]
    assert before.spec["dataset"]["code"]
    monkeypatch.setattr(runspec, "FORMAT_VERSION", runspec.FORMAT_VERSION + 1)
    after = made()
    assert after.run_id != before.run_id, "samples of another format must not be taken for these"
    assert after.video != before.video


def test_a_signal_in_the_last_batch_stops_what_would_follow(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Signalled(FixtureSystem):
        def generate(self, requests):  # type: ignore[no-untyped-def]
            signal.raise_signal(signal.SIGINT)
            yield from super().generate(requests)

    store = SampleStore.create(tmp_path, RunSpec("s", "d", 0, "none", {}))
    requests = make_requests(FixtureDataset(), 3, 0)
    with StopSignal().listening() as stop, pytest.raises(StoppedError, match="SIGINT with 0 of 3 samples left"):
        generate(store, Signalled(), requests, batch_size=3, stop=stop)
    assert store.status(3).present == [0, 1, 2]
    with StopSignal().listening() as stop:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(StoppedError, match="SIGINT"):
            generate(store, FixtureSystem(), requests, stop=stop)  # finds nothing to make
    for thread in set(threading.enumerate()) - {threading.current_thread()}:
        thread.join(1)
    assert "SIGINT: the samples in hand are finished" in caplog.text


@pytest.mark.parametrize("older", [False, True])
def test_no_flipped_bit_of_a_manifest_shows_another_run(tmp_path: Path, older: bool) -> None:
    run = RunSpec("tiny", "bounce", 7, "tiny", {"steps": [1, 2], "scale": 1.5}, "0a1b", "another")
    manifest = SampleStore.create(tmp_path, run).folder / "manifest.json"
    if older:  # what its id says is covered all the same
        strip_checksums(manifest)
    silent = []
    for changed in flips(manifest.read_bytes()):
        manifest.write_bytes(changed)
        try:
            found = read_manifest(manifest.parent)
        except IntegrityError:
            continue
        told = [(found.system, run.system), (found.dataset, run.dataset), (found.seed, run.seed)]
        silent += [found] if (any(a != b for a, b in told) if older else found != run) else []
    assert silent == []


def test_a_system_that_exits_or_prints_fails_its_sample_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Exiting(FixtureSystem):
        def generate(self, requests):  # type: ignore[no-untyped-def]
            print("a system's own words")
            if requests[0].index == 1:
                raise SystemExit(0)
            yield from super().generate(requests)

    store = SampleStore.create(tmp_path, RunSpec("s", "d", 0, "none", {}))
    generate(store, Exiting(), make_requests(FixtureDataset(), 3, 0))
    assert store.status(3).failed == [1]
    assert store.failure(1).reason == "SystemExit: 0"
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "a system's own words" in printed.err


def test_a_sample_that_another_process_committed_stays(tmp_path: Path) -> None:
    dataset = FixtureDataset()
    store = SampleStore.create(tmp_path, make_runspec(FixtureSystem(), dataset, 0, "s", "d"))
    (request,) = make_requests(dataset, 1, 0)
    first = store.commit(request, clip(1), 0.1)
    assert store.commit(request, clip(2), 0.1) == first
    store.verify(0)
    assert store.made == 1


def test_beside_others_what_always_fails_is_recorded_too(tmp_path: Path) -> None:
    class Fails(FixtureSystem):
        tries = 0

        def generate(self, batch: Sequence[Request]) -> Iterator[Clip]:
            for request in batch:
                self.tries += 1
                raise ValueError(f"never {request.index}")
            yield from ()

    dataset, system = FixtureDataset(), Fails()
    run = make_runspec(system, dataset, 0, "fixture_system", "fixture_dataset")
    requests = make_requests(dataset, 6, 0)
    store = SampleStore.create(tmp_path, run)
    generate(store, FixtureSystem(), requests[:4])
    others = SampleStore.open(store.folder)  # which made no clip of its own
    generate(others, system, requests, beside=True)
    assert others.status(6).failed == [4, 5]
    assert system.tries == 2


def test_processes_beside_each_other_return_when_all_is_made(tmp_path: Path) -> None:
    dataset, system = FixtureDataset(), FixtureSystem()
    run = make_runspec(system, dataset, 0, "fixture_system", "fixture_dataset")
    requests = make_requests(dataset, 6, 0)
    ours, theirs = SampleStore.create(tmp_path, run), SampleStore.create(tmp_path, run)
    with theirs.claim(2):  # another process is at it
        beside = threading.Thread(target=generate, args=(ours, system, requests), kwargs={"beside": True})
        beside.start()
        while ours.status(6).missing != [2]:
            assert beside.is_alive()
        assert beside.is_alive(), "it waits for the other"
        lone = SampleStore.open(ours.folder)
        generate(lone, system, requests)
        assert lone.status(6).missing == [2], "without beside, it does not wait"
    beside.join(20)  # the other has died: what it held is made
    assert not beside.is_alive()
    assert ours.status(6).missing == []
    assert ours.made == 6
