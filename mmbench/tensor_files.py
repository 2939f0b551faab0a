"""Files of named arrays with checksums: safetensors, whose metadata holds a CRC-32 of each tensor and of its own texts.

Every reader of safetensors reads them. Files without checksums, older or of other hands, are read as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

from mmbench.errors import IntegrityError
from mmbench.files import write_whole

SUMS = "crc32"  # of the metadata: JSON {tensor: CRC-32 of its type, shape and bytes, "": of the other metadata}
Framework = Literal["numpy", "pt"]


def write_tensors(path: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays of one library, NumPy's or torch's (on the CPU), as a file that is whole or absent.

    Raises:
        DiskError: It cannot be written.
    """
    write_whole(path, pack_tensors(tensors, metadata))


def pack_tensors(tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> bytes:
    """The content of such a file, the same for equal arrays in whatever order; arrays must be contiguous."""
    texts = dict(metadata or {})
    sums = {name: _sum(value) for name, value in tensors.items()} | {"": _sum_texts(texts)}
    of_torch = any(hasattr(value, "untyped_storage") for value in tensors.values())
    library = import_module(f"safetensors.{'torch' if of_torch else 'numpy'}")
    return _order_texts(library.save(dict(tensors), texts | {SUMS: json.dumps(sums, sort_keys=True)}))


def _order_texts(packed: bytes) -> bytes:
    """The same file with its metadata in order: safetensors writes them in another one in each process."""
    end = 8 + int.from_bytes(packed[:8], "little")
    header = json.loads(packed[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + packed[end:]


def _sum(value: Any) -> int:
    """CRC-32 over the type, shape and bytes of an array."""
    if hasattr(value, "untyped_storage"):
        import torch

        head, data = f"{value.dtype} {tuple(value.shape)}", value.detach().reshape(-1).view(torch.uint8).numpy().data
    else:
        head, data = f"{value.dtype} {value.shape}", value.data if value.size else b""
    return crc32(data, crc32(head.removeprefix("torch.").encode()))


def _sum_texts(texts: Mapping[str, str]) -> int:
    return crc32(json.dumps(sorted(texts.items())).encode())


class TensorFile:
    """An open file of named arrays, each of which is checked when it is read.

    Args:
        path: The file.
        framework: "numpy" for NumPy's arrays, "pt" for torch's.

    Raises:
        IntegrityError: It is damaged, or no such file.
    """

    def __init__(self, path: Path, framework: Framework = "numpy") -> None:
        from safetensors import safe_open

        self.path = path
        with _reading(path):
            if not path.is_file():
                raise FileNotFoundError("there is no such file of bytes")
            self._file: Any = safe_open(path, framework=framework).__enter__()
            self.metadata: dict[str, str] = dict(self._file.metadata() or {})
            self.names = sorted(self._file.keys())
            said = self.metadata.pop(SUMS, None)
            self._sums: dict[str, int] | None = None if said is None else json.loads(said)
            if self._sums is not None and (
                self._sums.pop("") != _sum_texts(self.metadata) or sorted(self._sums) != self.names
            ):
                raise ValueError("its header contradicts its checksum")

    @property
    def has_checksums(self) -> bool:
        """Whether what is read is checked."""
        return self._sums is not None

    def __getitem__(self, name: str) -> Any:
        """A tensor; IntegrityError if it contradicts its checksum."""
        with _reading(self.path):
            value = self._file.get_tensor(name)
            if self._sums is not None and _sum(value) != self._sums[name]:
                raise ValueError(f"{name} contradicts its checksum")
        return value

    def slice(self, name: str) -> Any:
        """A tensor to take parts of, which are not checked: see `check`."""
        return self._file.get_slice(name)

    def check(self) -> None:
        """Read every tensor; IntegrityError if one contradicts its checksum."""
        for name in self.names if self.has_checksums else ():
            self[name]

    def close(self) -> None:
        """Close the file."""
        self._file.__exit__(None, None, None)

    def __enter__(self) -> TensorFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(f"{path} is damaged: {error}.", "a whole file of mmbench", f"rm {path}") from error


def read_tensors(path: Path, framework: Framework = "numpy") -> dict[str, Any]:
    """All arrays of a file; IntegrityError if it is damaged."""
    with TensorFile(path, framework) as file:
        return {name: file[name] for name in file.names}
