"""The hub's own client fills the user's cache, the weights folder links to it, and nothing in it is changed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from mmbench.errors import IntegrityError, MMBenchError
from mmbench.weights import checkpoints as weights
from mmbench.weights import file_digests as digests
from mmbench.weights import hub, locations
from mmbench.weights.known import KNOWN
from mmbench.weights.weight import HubSource
from tests.commands import environment
from tests.weights.support import BODY, HubServer, Known, fetch, folder, names, put, serving

COMMIT = "a" * 40
FILE = f"hf://owner/repo@{COMMIT}/net.ckpt"
FOLDER = f"hf://owner/repo@{COMMIT}"
PATTERNS = ("unet/*", "config.json")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The user's cache of the hub."""
    return tmp_path / "hf" / "hub"


@pytest.fixture
def remote(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """The hub. Its client reads HF_ENDPOINT and HF_HOME when it is imported, so here it is told by arguments."""
    server = HubServer()
    with serving(server):
        told: dict[str, Any] = {"endpoint": f"http://127.0.0.1:{server.server_address[1]}", "cache_dir": cache}
        for name in ("hf_hub_download", "snapshot_download"):
            monkeypatch.setattr(huggingface_hub, name, partial(getattr(huggingface_hub, name), **told))
        api = huggingface_hub.HfApi(endpoint=told["endpoint"])
        monkeypatch.setattr(huggingface_hub, "repo_info", api.repo_info)
        yield server


def content(cache: Path) -> dict[str, bytes]:
    """Every file of the cache that is a checkpoint's."""
    return {str(p): p.read_bytes() for p in cache.rglob("snapshots/**/*") if p.is_file()}


def test_a_file_lies_in_the_users_cache_and_is_linked_to(known: Known, remote: HubServer, cache: Path) -> None:
    known(sources=(FILE,))
    path = fetch()
    assert path == folder() / "net.bin"
    assert path.readlink() == cache / "models--owner--repo" / "snapshots" / COMMIT / "net.ckpt"
    assert path.read_bytes() == BODY
    assert names(folder()) == {"net.bin"}
    rows, failure = weights.verify_all(["net"])
    assert (rows[0]["digest"], failure) == ("as published; commit aaaaaaaaaa", None)


def test_what_the_user_has_is_not_downloaded_again(known: Known, remote: HubServer) -> None:
    theirs = Path(huggingface_hub.hf_hub_download("owner/repo", "net.ckpt"))  # as another program did
    asked = len(remote.asked)
    known(sources=(FILE,))
    assert fetch().read_bytes() == BODY
    assert fetch().readlink() == theirs
    assert len(remote.asked) == asked


def test_the_cache_serves_without_a_network(known: Known, remote: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    known(sources=("https://example.org/net.bin", FILE))
    with pytest.raises(MMBenchError, match="mmbench is offline"):
        fetch(offline=True)
    huggingface_hub.hf_hub_download("owner/repo", "net.ckpt", revision=COMMIT)
    remote.asked.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch().read_bytes() == BODY
    assert remote.asked == []


def test_a_folder_is_taken_offline_only_if_its_digests_are_known(known: Known, remote: HubServer) -> None:
    known(file="repo", sources=(FOLDER,), sha256=None, bytes=None, patterns=PATTERNS)
    huggingface_hub.snapshot_download("owner/repo", revision=COMMIT, allow_patterns=["config.json"])
    with pytest.raises(MMBenchError, match="mmbench is offline"):
        fetch(offline=True)
    hub.remove(fetch())
    assert set(digests.hash_files(fetch(offline=True))) == {"unet/net.bin", "config.json"}


def test_of_a_whole_repository_in_the_cache_only_the_checkpoint_is_linked(known: Known, remote: HubServer) -> None:
    huggingface_hub.snapshot_download("owner/repo", revision=COMMIT)
    known(file="repo", sources=(FOLDER,), sha256=None, bytes=None, patterns=PATTERNS, members=("unet/net.bin",))
    path = fetch()
    assert digests.record_path(path).read_text() == digests.listing(digests.hash_files(path))
    assert digests.record_path(path).read_text().splitlines()[1].endswith("  unet/net.bin")
    assert set(digests.hash_files(path)) == {"unet/net.bin", "config.json"}
    assert weights.verify("net").trust == "recorded"
    put(path / "extra.py", b"")
    with pytest.raises(IntegrityError, match=r"extra\.py"):
        weights.verify("net")


def test_a_folder_that_lacks_a_file_is_refused_and_not_recorded(known: Known, remote: HubServer) -> None:
    known(file="repo", sources=(FOLDER,), sha256=None, bytes=None, patterns=PATTERNS, members=("vae/net.bin",))
    with pytest.raises(IntegrityError, match=r"vae/net\.bin is missing"):
        fetch()
    assert names(folder()) == set()


def test_a_file_where_older_versions_put_it_is_found(known: Known, remote: HubServer) -> None:
    known(sources=(FILE,))
    path = put(folder() / "net.bin")
    assert fetch() == locations.locate("net") == path
    assert not path.is_symlink()
    assert remote.asked == []
    rows, _ = weights.verify_all(["net"])
    assert rows[0]["digest"] == "as published"


def test_wrong_bytes_in_the_cache_are_refused_and_left_there(known: Known, remote: HubServer, cache: Path) -> None:
    remote.files["net.ckpt"] = BODY[::-1]
    known(sources=(FILE,))
    for _ in range(2):
        with pytest.raises(IntegrityError, match=r"net: .*sha256") as caught:
            fetch()
        assert "hf cache rm model/owner/repo" in caught.value.next
        assert "mmbench weights fetch net" in caught.value.next
    assert names(folder()) == set()
    assert list(content(cache).values()) == [BODY[::-1]]


def test_a_changed_cache_is_noticed_and_its_link_replaced(known: Known, remote: HubServer, cache: Path) -> None:
    known(sources=(FILE,))
    path = fetch()
    path.resolve().write_bytes(BODY[::-1])
    with pytest.raises(IntegrityError, match="sha256"):
        weights.verify("net")
    with pytest.raises(IntegrityError, match="sha256"):
        fetch()  # the hub's client trusts what is in its cache
    assert list(content(cache).values()) == [BODY[::-1]]
    path.unlink(missing_ok=True)
    for file in [p for p in cache.rglob("*") if p.is_symlink() or p.is_file()]:
        file.unlink()  # hf cache rm
    assert fetch().read_bytes() == BODY


@pytest.mark.parametrize("whole", [True, False])
def test_what_its_owner_deleted_is_downloaded_again(known: Known, remote: HubServer, cache: Path, whole: bool) -> None:
    more = {} if whole else {"file": "repo", "sha256": None, "bytes": None, "patterns": PATTERNS}
    known(sources=(FILE if whole else FOLDER,), **more)
    before = digests.hash_files(fetch())
    for file in [p for p in cache.rglob("*") if p.is_symlink() or p.is_file()]:
        file.unlink()
    assert fetch().exists()
    assert digests.hash_files(fetch()) == before


def test_no_download_writes_through_a_link(known: Known, remote: HubServer, cache: Path, tmp_path: Path) -> None:
    theirs = put(tmp_path / "theirs.bin", BODY[:1000])
    (folder() / "net.bin.part").symlink_to(theirs)  # a process was ended before it could rename it
    known()
    assert fetch().read_bytes() == BODY
    assert theirs.read_bytes() == BODY[:1000]


def test_a_commit_that_nobody_pinned_is_recorded_at_the_first_download(
    known: Known, remote: HubServer, caplog: pytest.LogCaptureFixture
) -> None:
    known(sources=("hf://owner/repo/net.ckpt",), sha256=None, bytes=None)
    with caplog.at_level("WARNING", "mmbench"):
        fetch()
    assert f"owner/repo: commit {COMMIT}, recorded now" in caplog.text
    assert digests.read_json(hub.commits_file()) == {"owner/repo": COMMIT}
    remote.commit, remote.files["net.ckpt"] = "b" * 40, b"a new upload"
    known("other", sources=("hf://owner/repo/config.json",), sha256=None, bytes=None)
    with pytest.raises(MMBenchError, match=f"at commit {COMMIT}, which .*commits.json records: RevisionNotFound"):
        fetch("other")
    hub.commits_file().unlink()
    assert hub.linked_commit(fetch("other")) == "b" * 40


def test_nothing_is_downloaded_before_a_commit_is_named(known: Known, remote: HubServer) -> None:
    known(sources=("hf://owner/repo/net.ckpt",), sha256=None, bytes=None)
    fetch()
    resolved = [path for path in remote.asked if "/resolve/" in path]
    assert resolved
    assert all(f"/resolve/{COMMIT}/" in path for path in resolved)


def test_an_unpinned_repository_is_refused_where_nothing_is_trusted_on_first_use(
    known: Known, remote: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(sources=("hf://owner/repo/net.ckpt",), sha256=None, bytes=None)
    monkeypatch.setenv("MMBENCH_REQUIRE_DIGESTS", "1")
    with pytest.raises(MMBenchError, match=f"No commit of owner/repo is known here; the hub's is {COMMIT}"):
        fetch()
    assert not [path for path in remote.asked if "/resolve/" in path]
    assert not hub.commits_file().exists()


def test_the_client_heeds_the_users_environment(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from mmbench.weights.hub import link_from_hub
link_from_hub("{FILE}", (), Path("file.part"), quiet=True)
link_from_hub("hf://owner/repo", {PATTERNS}, Path("folder.part"), quiet=True)
"""
    server = HubServer()
    with serving(server):
        told = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}", "HF_HOME": str(tmp_path / "hub")}
        asked: list[int] = []
        for offline in ("0", "1"):
            env = environment(**told, HF_HUB_OFFLINE=offline)
            subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=env, timeout=60)
            assert (tmp_path / "file.part").read_bytes() == BODY
            assert set(digests.hash_files(tmp_path / "folder.part")) == {"unet/net.bin", "config.json"}
            asked.append(len(server.asked))
        assert asked[0] == asked[1] > 0
    assert hub.linked_commit(tmp_path / "folder.part") == COMMIT
    assert str((tmp_path / "file.part").readlink()).startswith(str(tmp_path / "hub"))


def test_a_failure_of_the_hub_is_an_error_with_a_remedy(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    def hf_hub_download(*args: object, **options: object) -> None:
        raise RuntimeError("gated repository")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", hf_hub_download)
    known(sources=(FILE,))
    with pytest.raises(MMBenchError, match=r"hf://owner/repo@a+/net\.ckpt: RuntimeError: gated") as caught:
        fetch()
    assert "mmbench weights fetch net" in caught.value.next


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("hf://owner/repo@abc/sub/net.pt", ("owner/repo", "abc", "sub/net.pt")),
        ("hf://owner/repo/sub/net.pt", ("owner/repo", "", "sub/net.pt")),
        ("hf://owner/repo@abc", ("owner/repo", "abc", "")),
        ("hf://owner/repo", ("owner/repo", "", "")),
    ],
)
def test_sources_are_read(source: str, parts: tuple[str, str, str]) -> None:
    assert HubSource.parse(source) == HubSource(*parts)


def test_every_source_is_pinned_or_says_that_it_cannot_be() -> None:
    found = {s: HubSource.parse(s) for w in KNOWN.values() for s in w.sources if s.startswith("hf://")}
    assert found
    assert {h.repository for h in found.values() if not h.commit} == {
        "AkioHayakawa/MMDisCo",
        "JavisVerse/JavisBench",
        "hkchengrex/MMAudio",
    }
    assert [s for s, h in found.items() if h.commit and len(bytes.fromhex(h.commit)) != 20] == []
