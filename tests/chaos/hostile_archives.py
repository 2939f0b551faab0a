"""Pickles that hold code, and zip and tar files that would fill memory or disk or leave their folder."""

from __future__ import annotations

import copy
import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

MEGABYTE = 1 << 20
CALLS = (
    *("os.system", "os.mkdir", "os.popen", "posix.system", "subprocess.Popen", "subprocess.check_output"),
    *("builtins.eval", "builtins.exec", "builtins.compile", "builtins.getattr", "builtins.__import__", "builtins.open"),
    *("importlib.import_module", "shutil.rmtree", "runpy.run_path", "webbrowser.open", "pickle.loads", "socket.socket"),
    *("ctypes.CDLL", "operator.attrgetter", "functools.partial", "sys.exit", "io.FileIO", "pathlib.Path"),
    *("torch.load", "torch.hub.load", "torch.jit.load", "numpy.load", "numpy.fromfile", "asyncio.run", "__main__.x"),
)


def pickled(name: str, argument: str, protocol: int = 2) -> bytes:
    """A pickle that calls the function `name` with a text."""
    module, _, function = name.rpartition(".")
    text = argument.encode()
    call = b"c" + f"{module}\n{function}\n".encode() + b"(X" + len(text).to_bytes(4, "little") + text + b"tR."
    return (b"\x80" + bytes([protocol]) if protocol else b"") + call


def torch_zip(data: bytes, **more: bytes) -> bytes:
    """A zip file as torch.save writes it, around a pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {"data.pkl": data, "version": b"3\n", "byteorder": b"little", **more}.items():
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), content)
    return buffer.getvalue()


def pickles(mark: str) -> Iterator[tuple[str, bytes, str]]:
    """Name, content and what must be said of pickles with code, which would leave `mark`."""
    for call in CALLS:
        yield f"a zip that calls {call}", torch_zip(pickled(call, mark)), "holds more than tensors"
    for protocol in range(6):
        yield f"a pickle {protocol} that calls", pickled("os.mkdir", mark, protocol), "cannot be read"
    big = b"\x80\x02cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\x0b\x00\x00\x00V2000000000\x85R\x85R."
    yield "a number of two gigabytes", torch_zip(big), "cannot be read"
    yield "a pickle cut off", pickled("os.mkdir", mark)[:20], "cannot be read"
    yield "a pickle of garbage", b"\x80\x02 not a pickle", "cannot be read"
    yield "a zip whose pickle is a list", torch_zip(b"\x80\x02]q\x00."), "holds a list"
    yield "a zip whose pickle is a text", torch_zip(b"\x80\x02X\x01\x00\x00\x00aq\x00."), "holds a str"
    yield "a zip without its pickle", zipped({"a.txt": b"x"}), "is damaged"
    yield "a zip with names outside", zipped({"../../escaped": b"x", "/tmp/escaped": b"x"}), "is damaged"
    whole = torch_zip(pickled("os.mkdir", mark))
    yield "a zip cut off", whole[: len(whole) // 2], "is cut off"
    yield (
        "a zip of TorchScript",
        torch_zip(b"\x80\x02}q\x00.", **{"constants.pkl": b"\x80\x02).", "code/a.py": b""}),
        "",
    )
    directory = bytearray(whole)
    end = whole.rfind(b"PK\5\6")
    directory[end + 12 : end + 16] = (64 * MEGABYTE).to_bytes(4, "little")
    yield "a zip with a vast directory", bytes(directory), "whose directory has"


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip file of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def make_zip_bomb(path: Path) -> None:
    """A checkpoint of 0.3 MB with a tensor of 300 MB."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(zipfile.ZipInfo("archive/data.pkl"), b"\x80\x02}q\x00.")
        with archive.open("archive/data/0", "w") as entry:
            for _ in range(300):
                entry.write(bytes(MEGABYTE))


def make_overlapping_zip(path: Path) -> None:
    """A checkpoint of 1 MB whose directory names those bytes 300 times."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("archive/data/0"), bytes(MEGABYTE))
        for index in range(1, 300):
            again = copy.copy(archive.filelist[0])
            again.filename = f"archive/data/{index}"
            archive.filelist.append(again)


def tar(*members: tarfile.TarInfo, data: bytes = b"") -> bytes:
    """A tar file of these members, all with this content as far as they have any."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member in members:
            member.size = len(data) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(data) if member.isreg() else None)
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    """A member of a tar file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def announced(size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """The header of a member that says it has this size, and nothing after it."""
    info = member("last.ckpt", kind)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(4096)


def tars(mark: str) -> Iterator[tuple[str, bytes, str]]:
    """Name, content and what must be said of archives."""
    code = torch_zip(pickled("os.mkdir", mark))
    nothing = "has no file like"
    for name in ("../../escaped.ckpt", "/tmp/escaped.ckpt", "run/last.ckpt"):
        yield f"a tar of code as {name}", tar(member(name), data=code), "holds more than tensors"
        yield f"a tar.gz of code as {name}", gzip.compress(tar(member(name), data=code), mtime=0), "holds more than"
    for what, kind in (("symlink", tarfile.SYMTYPE), ("hard link", tarfile.LNKTYPE), ("fifo", tarfile.FIFOTYPE)):
        yield f"a tar of a {what}", tar(member("last.ckpt", kind, "/etc/passwd")), nothing
    yield "a tar of a device", tar(member("last.ckpt", tarfile.CHRTYPE)), nothing
    yield "a tar of a folder", tar(member("last.ckpt", tarfile.DIRTYPE)), nothing
    yield "an empty tar", bytes(10240), nothing
    yield "a tar.gz that announces 8 GB", gzip.compress(announced(8 << 30), mtime=0), "would become"
    yield "a tar that announces 8 GB", announced(8 << 30), "would become"
    yield "a tar with a name of 1 GB", announced(1 << 30, tarfile.GNUTYPE_LONGNAME), "has a header of"
    yield "a tar with a link's name of 1 GB", announced(1 << 30, tarfile.GNUTYPE_LONGLINK), "has a header of"
    yield "a tar with attributes of 1 GB", announced(1 << 30, tarfile.XHDTYPE), "has a header of"
    yield "a tar with common attributes of 1 GB", announced(1 << 30, tarfile.XGLTYPE), "has a header of"
    longname = member("x", tarfile.GNUTYPE_LONGNAME)
    longname.size = 1
    chained = (longname.tobuf(tarfile.GNU_FORMAT) + b"x" + bytes(511)) * 3000
    yield "a tar of names of names", chained + tar(member("last.ckpt"), data=b"x"), "is damaged"
    sparse = bytearray(announced(0, tarfile.GNUTYPE_SPARSE))
    sparse[483:495] = b"%011o " % (200 << 20)
    sparse[148:156] = b" " * 8
    sparse[148:156] = b"%06o\0 " % sum(sparse[:512])
    yield "a tar of a file with holes", bytes(sparse), "is a file with holes"
    whole = gzip.compress(tar(member("run/last.ckpt"), data=code * 50), mtime=0)
    yield "a tar.gz cut off", whole[: len(whole) // 2], "is damaged"
    yield "a tar.gz with other bits", whole[:-8] + bytes(4) + whole[-4:], "is damaged"
    yield "a tar.gz of garbage", b"\x1f\x8b" + b"\xff" * 600, "is damaged"
    yield "a tar with a wrong sum", b"x" + tar(member("last.ckpt"), data=code)[1:], "is damaged"
    yield "a tar.bz2", b"BZh91AY&SY" + bytes(600), "is damaged"
    yield "a tar.xz", b"\xfd7zXZ\0" + bytes(600), "is damaged"


def make_gzip_bomb(path: Path) -> None:
    """A tar.gz of 0.3 MB whose first member has 300 MB, before the one that is looked for."""
    with gzip.GzipFile(path, "wb", compresslevel=1, mtime=0) as stream:
        info = member("padding")
        info.size = 300 * MEGABYTE
        stream.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(300):
            stream.write(bytes(MEGABYTE))
        stream.write(tar(member("last.ckpt"), data=b"x"))
