"""Where weights are looked for, when they may be fetched, and what their digests are held to."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from mmbench.errors import IntegrityError, MMBenchError, UsageError
from mmbench.weights import checkpoints as weights
from mmbench.weights import file_digests as digests
from mmbench.weights import locations
from tests.weights.support import BODY, SHA, Known, Server, fetch, folder, put


@pytest.mark.parametrize("how", ["flag", "MMBENCH_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_never_touches_a_socket(known: Known, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    def forbidden(*args: Any, **options: Any) -> None:
        raise AssertionError("a connection was tried")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    if how != "flag":
        monkeypatch.setenv(how, "1")
    weight = known()
    with pytest.raises(MMBenchError, match="offline") as caught:
        fetch(offline=how == "flag")
    assert "1,500,000 bytes" in caught.value.expected
    assert str(locations.home() / "weights" / weight.file) in caught.value.next
    put(folder() / weight.file)
    assert fetch(offline=how == "flag").read_bytes() == BODY


def test_offline_switched_off_is_online(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMBENCH_OFFLINE", "0")
    known()
    assert fetch().read_bytes() == BODY


def test_licence_is_asked_for_once(server: Server, known: Known) -> None:
    known(non_commercial=True, licence="CC BY-NC-SA 4.0")
    with pytest.raises(MMBenchError, match=r"CC BY-NC-SA 4\.0") as caught:
        fetch()
    assert caught.value.next == "mmbench weights fetch net --accept-licence"
    assert "https://example.org" in caught.value.expected
    assert server.ranges == []
    fetch(accept_licence=True).unlink()
    fetch().unlink()
    known(non_commercial=True, licence="a stricter one")
    with pytest.raises(MMBenchError, match="a stricter one"):
        fetch()


@pytest.mark.parametrize(("granted", "works"), [("1", True), ("net", True), ("other, net", True), ("other", False)])
def test_licence_accepted_by_environment(
    known: Known, monkeypatch: pytest.MonkeyPatch, granted: str, works: bool
) -> None:
    monkeypatch.setenv("MMBENCH_ACCEPT_LICENCE", granted)
    known(non_commercial=True)
    if works:
        assert fetch().exists()
    else:
        with pytest.raises(MMBenchError, match="no commercial use"):
            fetch()


def test_what_only_people_can_fetch_says_from_where_to_where(known: Known) -> None:
    known(sources=())
    with pytest.raises(MMBenchError, match="by hand") as caught:
        fetch()
    assert "https://example.org" in caught.value.next
    assert str(folder() / "net.bin") in caught.value.next


def test_missing_says_what_is_expected_and_what_to_type(known: Known) -> None:
    known()
    with pytest.raises(MMBenchError, match="not here") as caught:
        locations.locate("net")
    assert "net.bin (1,500,000 bytes)" in caught.value.expected
    assert caught.value.next == "mmbench weights fetch net"


def test_unknown_name_is_a_usage_error_with_near_names(known: Known) -> None:
    known("imagebind")
    with pytest.raises(UsageError, match="did you mean imagebind") as caught:
        locations.locate("imagbind")
    assert caught.value.exit_code == 2


def test_home_then_checkpoints_as_mmdisco_lays_them_out(known: Known, tmp_path: Path) -> None:
    known(file="video_crafter/base_512_v2/model.ckpt", sha256=None, bytes=None)
    theirs = put(tmp_path / "checkpoints" / "video_crafter" / "base_512_v2" / "model.ckpt")
    assert locations.locate("net") == theirs
    ours = put(folder() / "video_crafter" / "base_512_v2" / "model.ckpt")
    assert locations.locate("net") == ours


def test_namesake_elsewhere_in_checkpoints_counts_only_with_the_published_size(known: Known, tmp_path: Path) -> None:
    known()
    put(tmp_path / "checkpoints" / "a" / "net.bin", b"namesake")
    real = put(tmp_path / "checkpoints" / "b" / "net.bin")
    assert locations.locate("net") == real
    known(bytes=None, sha256=None)
    with pytest.raises(MMBenchError, match="not here"):
        locations.locate("net")


def test_variable_wins_and_is_never_passed_over(
    server: Server, known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known()
    put(folder() / "net.bin")
    mine = put(tmp_path / "mine.pt")
    monkeypatch.setenv("MMBENCH_WEIGHTS_NET", str(mine))
    assert locations.locate("net") == mine
    assert weights.verify("net").trust == "published"
    put(mine, b"z" * len(BODY))
    with pytest.raises(IntegrityError, match=r"mine\.pt") as caught_wrong:
        fetch()
    assert "unset" in caught_wrong.value.next
    mine.unlink()
    for use in (locations.locate, weights.verify, fetch):
        with pytest.raises(MMBenchError) as caught:
            use("net")
        assert "MMBENCH_WEIGHTS_NET" in str(caught.value)
    assert weights.status()[0]["status"] == "missing"
    assert server.ranges == []


@pytest.mark.parametrize("set_home", [True, False])
def test_home_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, set_home: bool) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    if not set_home:
        monkeypatch.delenv("MMBENCH_HOME")
    assert locations.home() == (tmp_path / "home" if set_home else tmp_path / "xdg" / "mmbench")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locations.home() == (tmp_path / "home" if set_home else tmp_path / ".cache" / "mmbench")


def test_a_file_is_hashed_once_until_it_changes(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    known()
    path = put(folder() / "net.bin")
    hashed: list[Path] = []
    hash_files = digests.hash_files
    monkeypatch.setattr(digests, "hash_files", lambda p: hashed.append(p) or hash_files(p))
    assert weights.verify("net").sha256 == weights.digest("net") == SHA
    assert hashed == [path]
    stat = path.stat()
    put(path, BODY[::-1])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    with pytest.raises(IntegrityError, match="sha256"):
        weights.verify("net")
    assert hashed == [path, path]


def test_fetched_file_is_not_hashed_again(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    known()
    fetch()
    monkeypatch.setattr(digests, "hash_files", lambda path: pytest.fail("hashed again"))
    assert weights.digest("net") == SHA


def test_unpublished_digest_is_recorded_and_held_to(known: Known) -> None:
    known(sha256=None, bytes=None)
    path = put(folder() / "net.bin")
    assert weights.verify("net") == weights.Verdict("net", path, SHA, "first")
    assert digests.record_path(path).read_text() == f"{SHA}  net.bin\n"
    assert weights.verify("net").trust == "recorded"
    put(path, b"something else")
    with pytest.raises(IntegrityError, match="net:") as caught:
        weights.verify("net")
    assert "net.bin.sha256" in caught.value.next


def test_fetch_holds_a_new_download_to_the_recorded_digest(server: Server, known: Known) -> None:
    known(sha256=None, bytes=None)
    fetch().unlink()
    server.body = b"a new upload"
    with pytest.raises(IntegrityError) as caught:
        fetch()
    assert SHA in caught.value.expected
    assert "net.bin.sha256" in caught.value.next


def test_read_only_home_costs_time_not_correctness(
    known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, data: bytes) -> None:
        raise PermissionError(path)

    known()
    put(folder() / "net.bin")
    monkeypatch.setattr(digests, "write_whole", refuse)
    assert fetch() == folder() / "net.bin"
    assert weights.digest("net") == SHA


def test_damaged_digest_cache_is_ignored(known: Known) -> None:
    known()
    put(folder() / "net.bin")
    put(locations.home() / "digests.json", b"[not json")
    assert weights.digest("net") == SHA


def test_status_tells_present_missing_and_corrupt_without_hashing(
    known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    known("here"), known("gone"), known("short"), known("changed")
    for name in ("here", "changed"):
        put(folder() / f"{name}.bin")
        weights.verify(name)
    put(folder() / "short.bin", BODY[:9])
    put(folder() / "changed.bin", BODY[::-1])
    os.utime(folder() / "changed.bin", ns=(0, 0))
    with pytest.raises(IntegrityError):
        weights.verify("changed")
    monkeypatch.setattr(digests, "hash_files", lambda path: pytest.fail("hashed"))
    rows = {row["name"]: row for row in weights.status()}
    assert [rows[n]["status"] for n in ("here", "gone", "short", "changed")] == [
        *("present", "missing", "corrupt", "corrupt")
    ]
    assert rows["here"]["verified"] is True
    assert (rows["gone"]["bytes"], rows["short"]["bytes"]) == (len(BODY), 9)
    assert rows["gone"] == {
        **{"name": "gone", "status": "missing", "verified": False, "bytes": len(BODY)},
        **{"licence": "MIT", "purpose": "a test", "path": None},
    }
