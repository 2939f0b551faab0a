"""A digest that nobody published: shown and recorded on first use, or refused; and bits lost without a trace."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmbench.cli import weights as cli_weights
from mmbench.errors import IntegrityError
from mmbench.weights import checkpoints as weights
from mmbench.weights.locations import REQUIRE_DIGESTS
from tests.weights.support import BODY, SHA, Known, folder, put


def test_trust_on_first_use_is_shown_and_recorded(known: Known, caplog: pytest.LogCaptureFixture) -> None:
    known(sha256=None, bytes=None)
    put(folder() / "net.bin")
    with caplog.at_level("WARNING", "mmbench"):
        assert weights.verify("net").trust == "first"
    assert caplog.messages == [f"net: sha256 {SHA}, trusted on first use and recorded in net.bin.sha256"]
    caplog.clear()
    assert weights.verify("net").trust == "recorded"
    assert not caplog.messages


def test_trust_on_first_use_can_be_forbidden(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    known(sha256=None, bytes=None)
    put(folder() / "net.bin")
    monkeypatch.setenv(REQUIRE_DIGESTS, "1")
    with pytest.raises(IntegrityError, match=rf"nobody published a digest of .*its sha256 is {SHA}") as caught:
        weights.verify("net")
    assert not (folder() / "net.bin.sha256").exists()
    monkeypatch.setenv(REQUIRE_DIGESTS, "0")  # as the error says
    assert f"{REQUIRE_DIGESTS}=0 mmbench weights verify net" in caught.value.next
    weights.verify("net")
    monkeypatch.setenv(REQUIRE_DIGESTS, "1")
    assert weights.verify("net").trust == "recorded"


def test_the_option_forbids_it_too(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    known(sha256=None, bytes=None)
    put(folder() / "net.bin")
    monkeypatch.setenv(REQUIRE_DIGESTS, "")  # so that it is restored
    done = CliRunner().invoke(cli_weights.app, ["verify", "--require-digests"])
    assert isinstance(done.exception, IntegrityError)


def test_verify_sees_bits_that_a_disk_lost_without_a_trace(known: Known) -> None:
    known()
    path = put(folder() / "net.bin")
    assert weights.verify("net").sha256 == SHA
    before = path.stat()
    path.write_bytes(bytes([BODY[0] ^ 1]) + BODY[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    keep_stamp(path, before)
    assert weights.verify("net").sha256 == SHA  # nothing tells that it changed
    rows, failure = weights.verify_all(["net"])
    assert rows[0]["status"] == "corrupt"
    assert isinstance(failure, IntegrityError)


def keep_stamp(path: Path, before: os.stat_result) -> None:
    """Give the cached digest the time of change that the file has now, which a disk's own fault leaves as it was."""
    ledger = weights.digest_cache().ledger
    entries = json.loads(ledger.read_text())
    entries[str(path)][2] = path.stat().st_ctime_ns
    assert entries[str(path)][:2] == [before.st_size, before.st_mtime_ns]
    ledger.write_text(json.dumps(entries))


def test_a_change_that_hides_behind_its_old_time_is_hashed_again(known: Known) -> None:
    known()
    path = put(folder() / "net.bin")
    weights.verify("net")
    before = path.stat()
    path.write_bytes(bytes([BODY[0] ^ 1]) + BODY[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(IntegrityError, match=r"net: .* has sha256"):
        weights.verify("net")
