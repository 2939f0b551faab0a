"""Tar archives of clips: whole, odd, cut off, or made to fill memory, to hang, or to lead out of themselves."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from mmbench.media.tar_index import MOST_MEMBERS
from tests.chaos.hostile_archives import announced, member, tar
from tests.chaos.medium import REFUSED, SCORED, WHOLE, Medium, holding
from tests.tar_files import write_tar

END = bytes(1024)


def shard(name: str) -> bytes:
    """An archive of one whole clip that is called so."""
    return tar(member(name), data=WHOLE["h264.mp4"]())


def packed(name: str, *members: tuple[str, Callable[[], bytes]], verdict: str, words: str = "") -> Medium:
    """An archive of these members."""
    return Medium(
        f"{name}.tar", lambda path: write_tar(path, [(file, data()) for file, data in members]), verdict, words
    )


def odd_members() -> Iterator[Medium]:
    """Archives that are whole; each holds one clip, called like the archive."""
    whole = WHOLE["h264.mp4"]
    for name, file in (("tar whole", "tar whole.mp4"), ("tar deep", "a/./b//tar deep.mp4")):
        yield holding(f"{name}.tar", partial(shard, file), SCORED)
    inner = "never looked into.tar", partial(shard, "never seen.mp4")
    yield packed("tar around tar", inner, ("tar around tar.mp4", whole), verdict=SCORED)
    sample = ("tar sample.mp4", whole), ("tar sample.json", lambda: b"{}"), ("tar sample.txt", lambda: b"a dog")
    yield packed("tar sample", *sample, verdict=SCORED)
    half = "tar cut clip.mp4", lambda: whole()[: len(whole()) // 2]
    yield packed("tar cut clip", half, ("behind it.txt", lambda: b"x" * 9999), verdict=REFUSED, words="is cut off")
    yield packed("tar empty clip", ("tar empty clip.mp4", bytes), verdict=REFUSED, words="is empty")
    twice = ("tar twice.mp4", whole), ("./tar twice.mp4", whole)
    yield packed("tar twice", *twice, verdict=REFUSED, words="more than once")
    for name, kind, words in (
        ("tar link", tarfile.SYMTYPE, "is a link, which is not followed"),
        ("tar hard link", tarfile.LNKTYPE, "is a hard link, which is not followed"),
        ("tar fifo", tarfile.FIFOTYPE, "is a FIFO"),
        ("tar device", tarfile.CHRTYPE, "is a device"),
    ):
        data = tar(member(f"{name}.mp4", kind, "/dev/zero"))
        yield holding(f"{name}.tar", partial(bytes, data), REFUSED, words)
    for name, folder in (("tar outside", "../"), ("tar round about", "a/../../"), ("tar absolute", "/tmp/")):
        words = "an absolute path" if folder.startswith("/") else "leads out of its archive"
        yield holding(f"{name}.tar", partial(shard, f"{folder}{name}.mp4"), REFUSED, words)
    sparse = member("tar holes.mp4")
    sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": sparse.name}
    sparse.size = 512
    data = sparse.tobuf(tarfile.PAX_FORMAT) + b"0\n".ljust(512, b"\0") + END
    yield holding("tar holes.tar", partial(bytes, data), REFUSED, "is stored with holes")


def damaged_archives() -> Iterator[Medium]:
    """Archives of which members may be missing: each is refused as a whole, and the clips beside it are scored."""
    size = len(shard("a.mp4"))
    joined = partial(shard, "a.mp4")
    again: tuple[tuple[str, Callable[[], bytes], str], ...] = (
        ("cut in a clip", lambda: joined()[: size // 2], "ends at byte"),
        ("without an end", lambda: joined()[: 512 + -(-len(WHOLE["h264.mp4"]()) // 512) * 512], "mark of an end"),
        ("of two joined", lambda: joined() * 2, "neither a member nor the end"),
        ("of gzip", lambda: gzip.compress(joined(), mtime=0), "is compressed"),
        ("of text", lambda: b"a clip of a dog\n" * 100, "is damaged"),
        ("of nothing", bytes, "empty file"),
        ("beyond its end", lambda: announced(8 << 30) + END, "ends at byte 8,589,935,104"),
        ("with a vast name", lambda: announced(1 << 30, tarfile.GNUTYPE_LONGNAME), "have more than"),
        ("with vast attributes", lambda: announced(1 << 30, tarfile.XHDTYPE), "have more than"),
        ("with common ones", lambda: announced(1 << 30, tarfile.XGLTYPE), "have more than"),
        ("that goes back", lambda: tar(member("a"))[:512] + going_back() + END, "is impossible"),
    )
    for name, data, words in again:
        yield holding(f"tar {name}.tar", data, REFUSED, words)
    yield Medium("tar of too many.tar", make_many, REFUSED, f"more than {MOST_MEMBERS:,} members")
    yield Medium("tar of endless zeros.tar", make_endless, REFUSED, "is followed by more than")


def going_back() -> bytes:
    """A header after which `tarfile` goes back, and reads for ever."""
    info = member("back.mp4")
    info.size = -1024
    return info.tobuf(tarfile.GNU_FORMAT)


def make_many(path: Path) -> None:
    """An archive of one empty member more than may be."""
    with path.open("wb") as file:
        file.writelines(member(f"{k}.mp4").tobuf(tarfile.GNU_FORMAT) for k in range(MOST_MEMBERS + 1))


def make_endless(path: Path) -> None:
    """An archive whose end is a hole of 64 GiB."""
    path.write_bytes(shard("a.mp4"))
    with path.open("r+b") as file:
        file.truncate(64 << 30)
