"""Members of tar archives are read as files are, and what is odd is named."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest

from mmbench.errors import MediaError
from mmbench.media import tar_index, tar_members
from mmbench.media.regular_files import file_version, open_regular, read_regular, why_irregular
from mmbench.media.tar_members import find_member, is_tar, members
from tests.chaos.hostile_archives import announced, member, tar
from tests.tar_files import write_tar

CONTENTS = {"a.txt": b"abc", "deep/er/b.txt": b"0123456789" * 200, "empty": b"", "x" * 180 + ".txt": b"long", "é": b"e"}
END = bytes(1024)


@pytest.fixture(params=[tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def archive(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    contents = {name: data for name, data in CONTENTS.items() if len(name) < 100 or request.param}
    return write_tar(tmp_path / "000.tar", contents.items(), request.param)


def test_members_are_read_as_files_are(archive: Path) -> None:
    assert is_tar(archive)
    assert set(members(archive)) >= {"a.txt", "deep/er/b.txt", "empty", "é"}
    for name in members(archive):
        path, data = archive / name, CONTENTS[name]
        assert why_irregular(path) == ""
        assert read_regular(path) == data
        assert file_version(path) == (len(data), archive.stat().st_mtime_ns)
        with open_regular(path) as file:
            assert file.name == str(path)
            assert hashlib.file_digest(file, "sha256").digest() == hashlib.sha256(data).digest()


def test_a_reader_keeps_to_its_member(archive: Path) -> None:
    with open_regular(archive / "deep/er/b.txt") as file:
        assert (file.seek(-5, 2), file.read()) == (1995, b"56789")
        assert (file.seek(5000), file.read(), file.tell()) == (5000, b"", 5000)
        assert (file.seek(3), file.read(4), file.seek(-2, 1), file.read(1)) == (3, b"3456", 5, b"5")
        with pytest.raises(OSError, match="before the beginning"):
            file.seek(-3000, 1)


def test_paths_that_are_no_members(tmp_path: Path) -> None:
    (tmp_path / "folder.tar").mkdir()
    (tmp_path / "folder.tar" / "a").write_bytes(b"on disk")
    write_tar(tmp_path / "1.tar", [("a", b"x"), ("in.tar", b"y")])
    os.mkfifo(tmp_path / "fifo.tar")
    (tmp_path / "link.tar").symlink_to("1.tar")
    assert find_member(tmp_path / "folder.tar" / "a") is None
    assert read_regular(tmp_path / "folder.tar" / "a") == b"on disk"
    assert read_regular(tmp_path / "link.tar" / "a") == b"x"
    assert read_regular(tmp_path / "1.tar" / "in.tar") == b"y"
    assert find_member(tmp_path / "1.tar") is None
    assert why_irregular(tmp_path / "1.tar") == ""
    assert why_irregular(tmp_path / "1.tar" / "b") == "does not exist"
    assert why_irregular(tmp_path / "1.tar" / "in.tar" / "c") == "does not exist"
    assert why_irregular(tmp_path / "fifo.tar" / "a") == "cannot be read: Not a directory"
    assert "null" in why_irregular(f"{tmp_path}/a\0.tar/b")
    with pytest.raises(FileNotFoundError, match="has no member b"):
        open_regular(tmp_path / "1.tar" / "b")


def test_an_index_is_made_once_for_each_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, opened = tar_index.read_index, []
    monkeypatch.setattr(tar_members, "read_index", lambda *given: opened.append(given[0].name) or read(*given))
    paths = [write_tar(tmp_path / f"{k}.tar", [(f"{k}{j}", b"x") for j in range(3)]) for k in range(3)]
    for _ in range(3):
        assert [len(members(path)) for path in paths] == [3, 3, 3]
    assert opened == ["0.tar", "1.tar", "2.tar"]
    write_tar(paths[0], [("new", b"longer than before" * 100)])
    assert read_regular(paths[0] / "new") == b"longer than before" * 100
    assert why_irregular(paths[0] / "00") == "does not exist"
    assert opened.count("0.tar") == 2
    monkeypatch.setattr(tar_members, "_indexes", OrderedDict())
    monkeypatch.setattr(tar_members, "MOST_KEPT", 6)
    for k in (1, 2, 1, 0):
        members(paths[k])
    opened.clear()
    for k in (1, 2):
        members(paths[k])
    assert opened == ["2.tar"], "beyond the most, what was not used for longest is forgotten"


@pytest.mark.parametrize(
    ("info", "why"),
    [
        (member("a", tarfile.LNKTYPE, "/etc/passwd"), "is a hard link, which is not followed in an archive"),
        (member("a", tarfile.SYMTYPE, "/etc/passwd"), "is a link, which is not followed in an archive"),
        (member("a", tarfile.FIFOTYPE), "is a FIFO"),
        (member("a", tarfile.CHRTYPE), "is a device"),
        (member("../a"), "has a path that leads out of its archive"),
        (member("b/../../a"), "has a path that leads out of its archive"),
        (member("/a"), "has an absolute path in its archive"),
    ],
)
def test_an_odd_member_is_named_and_the_others_are_read(tmp_path: Path, info: tarfile.TarInfo, why: str) -> None:
    path = tmp_path / "1.tar"
    path.write_bytes(tar(info, member("whole"), data=b"abc"))
    (odd,) = set(members(path)) - {"whole"}
    assert not odd.startswith("/")
    assert why_irregular(path / odd) == why
    with pytest.raises(OSError, match=f"it {why}"):
        open_regular(path / odd)
    assert read_regular(path / "whole") == b"abc"


def test_a_member_with_holes_or_there_twice_is_named(tmp_path: Path) -> None:
    write_tar(path := tmp_path / "1.tar", [("a", b"1"), ("b", b"2"), ("./a", b"3")])
    assert why_irregular(path / "a") == "is in its archive more than once"
    assert read_regular(path / "b") == b"2"
    sparse = member("a")
    sparse.pax_headers, sparse.size = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a"}, 512
    data = sparse.tobuf(tarfile.PAX_FORMAT) + b"0\n".ljust(512, b"\0") + END
    (tmp_path / "2.tar").write_bytes(data)
    assert why_irregular(tmp_path / "2.tar" / "a") == "is stored with holes"


def negative_size() -> bytes:
    """A header after which `tarfile` would go back and read it again, for ever."""
    info = member("a")
    info.size = -1024
    return tar(member("first"), data=b"x" * 600)[:1536] + info.tobuf(tarfile.GNU_FORMAT) + END


WHOLE = tar(member("a.mp4"), member("b.mp4"), data=b"x" * 700)
DAMAGED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "empty file"),
    "text": (lambda: b"a clip of a dog" * 100, "invalid header"),
    "cut in a member": (lambda: WHOLE[:2200], "b.mp4 ends at byte 2,748 of 2,200"),
    "cut in a header": (lambda: WHOLE[:1800], "what follows at byte 1,536 is neither"),
    "cut between members": (lambda: WHOLE[:1536], "without the mark of an end"),
    "a damaged header": (lambda: WHOLE[:1600] + b"!" + WHOLE[1601:], "what follows at byte 1,536 is neither"),
    "two joined": (lambda: WHOLE + WHOLE, "what follows at byte 3,072 is neither"),
    "endless zeros": (lambda: WHOLE + bytes(5 << 20), "followed by more than 4,194,304 bytes"),
    "gzip": (lambda: gzip.compress(WHOLE), "is compressed"),
    "beyond the end": (lambda: announced(8 << 30) + END, "last.ckpt ends at byte 8,589,935,104"),
    "a vast name": (lambda: announced(1 << 30, tarfile.GNUTYPE_LONGNAME), "have more than 262,144 bytes"),
    "vast attributes": (lambda: announced(1 << 30, tarfile.XHDTYPE), "have more than 262,144 bytes"),
    "a long name": (lambda: tar(member("x" * 5000), data=b""), "a name has 5,000 characters"),
    "names of names": (lambda: (announced(1, tarfile.GNUTYPE_LONGNAME)[:512] + b"x" + bytes(511)) * 2000, "headers"),
    "a negative size": (negative_size, "is impossible"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_an_archive_that_is_not_whole_is_an_error(tmp_path: Path, name: str) -> None:
    make, says = DAMAGED[name]
    (path := tmp_path / "my shard.tar").write_bytes(make())
    with pytest.raises(MediaError) as error:
        members(path)
    assert str(path) in error.value.found
    assert says in error.value.found
    assert f"'{path}'" in error.value.next
    assert why_irregular(path / "a.mp4").startswith("is in an archive that cannot be read: ")


def test_the_number_of_members_and_common_attributes_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tar_index, "MOST_MEMBERS", 3)
    write_tar(tmp_path / "3.tar", [(f"{k}", b"") for k in range(3)])
    assert len(members(tmp_path / "3.tar")) == 3
    write_tar(tmp_path / "4.tar", [(f"{k}", b"") for k in range(4)])
    with pytest.raises(MediaError, match="more than 3 members"):
        members(tmp_path / "4.tar")
    monkeypatch.setattr(tar_index, "MOST_COMMON", 2)
    for count in (2, 3):
        with tarfile.open(tmp_path / "x.tar", "w", pax_headers={f"k{j}": "v" for j in range(count)}) as archive:
            archive.addfile(member("a"))
        if count == 2:
            assert list(members(tmp_path / "x.tar")) == ["a"]
    with pytest.raises(MediaError, match="impossible"):
        members(tmp_path / "x.tar")
