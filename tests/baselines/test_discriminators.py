"""The file of a discriminator is judged before it is hashed or read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mmbench.baselines.kinds import discriminators
from mmbench.baselines.kinds.discriminators import SHIPPED, Guide, file_digest, pairing_of
from mmbench.errors import MMBenchError, UsageError
from mmbench.registry import make_dataset
from mmbench.system_names import parse_system_name
from mmbench.weights.file_digests import hash_files


@pytest.mark.parametrize("value", [5, [1, 2], None, {"a": 1}, True])
def test_what_is_no_file_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match=r"discriminator=.* is no file"):
        Guide(value)


def test_a_file_of_holes_is_refused_before_it_is_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "holes.safetensors"
    with path.open("wb") as file:
        file.write((2).to_bytes(8, "little") + b"{}")
        file.truncate(6 << 30)
    monkeypatch.setattr(discriminators, "hash_files", lambda path: pytest.fail("hashed"))
    with pytest.raises(MMBenchError, match="would become 6,442,450,944: no"):
        Guide(str(path)).find(parse_system_name("tiny+mmdisco"), make_dataset("bounce"), "real")


def test_a_shipped_file_tells_its_config_and_digest() -> None:
    path = SHIPPED / "tiny+mmdisco-bounce.safetensors"
    assert pairing_of(path) == "index"
    assert pairing_of(None) == "index"
    for world in ("bounce", "bounce_heavy"):
        assert pairing_of(SHIPPED / f"tiny+mmdisco-res_frieren-{world}-independent.safetensors") == "independent"
    assert file_digest(path) == hash_files(path)[path.name][:32]
    assert file_digest(None) == "random"


@pytest.mark.parametrize("world", ["bounce", "bounce_heavy"])
@pytest.mark.parametrize("pairing", ["index", "band", "independent"])
def test_a_shipped_one_of_independent_levels_serves_every_path(world: str, pairing: Any) -> None:
    name, shipped = parse_system_name("tiny+mmdisco-res_frieren"), f"tiny+mmdisco-res_frieren-{world}-independent"
    assert Guide().find(name, make_dataset(world), "trained", pairing) == SHIPPED / f"{shipped}.safetensors"


def test_one_trained_here_in_the_place_of_a_shipped_one_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    name, dataset = parse_system_name("tiny+mmdisco"), make_dataset("bounce")
    monkeypatch.setenv(discriminators.FOLDER_VARIABLE, str(tmp_path))
    assert Guide().find(name, dataset, "trained") == SHIPPED / "tiny+mmdisco-bounce.safetensors"
    assert not caplog.messages
    own = tmp_path / "tiny+mmdisco-bounce-s0" / "discriminator.safetensors"
    own.parent.mkdir()
    own.write_bytes(b"any")
    assert [Guide().find(name, dataset, "trained") for _ in range(2)] == [own, own]
    assert [message for message in caplog.messages if str(own) in message] == caplog.messages[:1]
    assert len(caplog.messages) == 1
