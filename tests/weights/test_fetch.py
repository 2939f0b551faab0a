"""Downloads: whole and verified, or not there."""

from __future__ import annotations

import io
import socket
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmbench.errors import IntegrityError, MMBenchError
from mmbench.weights import locations
from mmbench.weights.download import download
from tests.weights.support import BODY, SHA, Known, Server, fetch, folder, names, put, serving


def test_fetch_gives_a_verified_file_and_asks_the_network_once(server: Server, known: Known) -> None:
    known()
    path = fetch()
    assert path.read_bytes() == BODY
    assert fetch() == path == locations.locate("net")
    assert len(server.ranges) == 1
    assert names(folder()) == {"net.bin"}


def test_partial_file_is_resumed_with_range(server: Server, known: Known) -> None:
    known()
    put(folder() / "net.bin.part", BODY[:400_000])
    assert fetch().read_bytes() == BODY
    assert server.ranges == ["bytes=400000-"]
    assert server.sent == len(BODY) - 400_000


def test_connection_lost_midway_is_resumed_in_the_same_call(server: Server, known: Known) -> None:
    known()
    server.deaths = 2
    assert fetch().read_bytes() == BODY
    assert server.ranges == [None, "bytes=750000-", "bytes=1125000-"]
    assert server.sent == len(BODY)


def test_download_that_keeps_dying_is_resumed_by_the_next_call(server: Server, known: Known) -> None:
    known()
    server.deaths = 99
    with pytest.raises(MMBenchError, match="closed early") as caught:
        fetch()
    part = folder() / "net.bin.part"
    arrived = part.stat().st_size
    assert 0 < arrived < len(BODY)
    assert part.read_bytes() == BODY[:arrived]
    assert names(folder()) == {"net.bin.part"}
    assert "mmbench weights fetch net" in caught.value.next
    server.deaths, server.sent = 0, 0
    assert fetch().read_bytes() == BODY
    assert server.sent == len(BODY) - arrived


def test_server_that_ignores_range_sends_the_file_afresh(server: Server, known: Known) -> None:
    known()
    server.mode = "plain"
    put(folder() / "net.bin.part", b"x" * 400_000)
    assert fetch().read_bytes() == BODY
    assert server.ranges == ["bytes=400000-"]


def test_server_that_answers_another_range_is_refused(server: Server, known: Known) -> None:
    known()
    server.mode = "confused"
    put(folder() / "net.bin.part", BODY[:400_000])
    with pytest.raises(MMBenchError, match="bytes 0-"):
        fetch()
    assert (folder() / "net.bin.part").read_bytes() == BODY[:400_000]


def test_complete_partial_file_needs_no_network(server: Server, known: Known) -> None:
    known()
    put(folder() / "net.bin.part")
    assert fetch().read_bytes() == BODY
    assert server.ranges == []


@pytest.mark.parametrize("size", [len(BODY), None])
def test_partial_file_longer_than_the_file_is_dropped(server: Server, known: Known, size: int | None) -> None:
    known(bytes=size)
    put(folder() / "net.bin.part", b"y" * (len(BODY) + 5))
    assert fetch().read_bytes() == BODY


def test_without_a_digest_a_partial_file_is_not_continued(server: Server, known: Known) -> None:
    known(sha256=None, bytes=None)
    put(folder() / "net.bin.part", b"of another version")
    assert fetch().read_bytes() == BODY
    assert server.ranges == [None]


def test_range_survives_a_redirect(server: Server, known: Known) -> None:
    known(sources=(server.url.replace("file.bin", "moved"),))
    put(folder() / "net.bin.part", BODY[:1000])
    assert fetch().read_bytes() == BODY
    assert server.ranges == ["bytes=1000-", "bytes=1000-"]


def test_file_of_unannounced_length_is_fetched_and_a_short_one_not_taken(server: Server, known: Known) -> None:
    known()
    server.mode = "no length"
    assert fetch().read_bytes() == BODY
    (folder() / "net.bin").unlink()
    server.body = BODY[:-1]
    with pytest.raises(MMBenchError):
        fetch()
    assert not (folder() / "net.bin").exists()


def test_wrong_bytes_are_refused_by_name_and_kept_aside(server: Server, known: Known) -> None:
    known()
    server.body = BODY[:-1] + bytes([BODY[-1] ^ 1])
    with pytest.raises(IntegrityError, match=r"net: .*sha256") as caught:
        fetch()
    assert caught.value.exit_code == 4
    assert SHA in caught.value.expected
    assert "net.bin.bad" in caught.value.next
    assert names(folder()) == {"net.bin.bad"}
    with pytest.raises(MMBenchError, match="not here"):
        locations.locate("net")
    server.body = BODY
    assert fetch().read_bytes() == BODY


def test_another_size_is_refused_before_the_download_and_the_next_source_asked(server: Server, known: Known) -> None:
    known()
    server.body = b"<html>quota exceeded</html>"
    with pytest.raises(MMBenchError, match=r"offers 27 bytes.*1,500,000 bytes"):
        fetch()
    assert names(folder()) == set()
    mirror = Server()
    with serving(mirror):
        known(sources=(server.url, mirror.url))
        assert fetch().read_bytes() == BODY


def test_missing_page_and_absent_server_say_so(server: Server, known: Known) -> None:
    known()
    server.mode = "missing"
    with pytest.raises(MMBenchError, match="404"):
        fetch()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        known(sources=(f"http://127.0.0.1:{unused.getsockname()[1]}/x",))
        with pytest.raises(MMBenchError, match="refused"):
            fetch()


def test_full_disk_is_noticed_before_the_download(
    server: Server, known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    known()
    monkeypatch.setattr("mmbench.weights.download.shutil.disk_usage", lambda path: SimpleNamespace(free=1))
    with pytest.raises(MMBenchError, match="too full"):
        fetch()
    assert names(folder()) == set()


def test_https_is_never_left_for_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Response(io.BytesIO):
        url, status, headers = "http://example.org/x", 200, {"Content-Length": "1"}

    monkeypatch.setattr("urllib.request.urlopen", lambda *args, **options: Response(b"x"))
    with pytest.raises(MMBenchError, match="redirects to http:") as caught:
        download("https://example.org/x", tmp_path / "x.part", 1, quiet=True)
    assert "encrypted" in caught.value.expected
    assert not (tmp_path / "x.part").exists()


def test_corrupt_file_is_replaced_and_kept_aside(known: Known) -> None:
    known()
    put(folder() / "net.bin", BODY[:-1])
    assert fetch().read_bytes() == BODY
    assert names(folder()) == {"net.bin", "net.bin.bad"}


def test_two_at_once_download_once(server: Server, known: Known) -> None:
    known()
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(fetch())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 4
    assert len(server.ranges) == 1


def test_progress_is_silent_when_quiet(known: Known, capsys: pytest.CaptureFixture[str]) -> None:
    known()
    fetch()
    assert capsys.readouterr() == ("", "")


def test_a_folder_of_files_is_fetched_member_by_member(server: Server, known: Known) -> None:
    known(file="lists", members=("a.bin", "b.bin"), sha256=None, bytes=None, sources=(f"{server.url}/lists/",))
    path = fetch()
    assert {file.name: file.read_bytes() for file in path.iterdir()} == {"a.bin": BODY, "b.bin": BODY}
    assert fetch() == path
    assert len(server.ranges) == 2
