"""Files of arrays: nothing that was flipped or cut off is read as if it were whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from mmbench.errors import IntegrityError
from mmbench.tensor_files import TensorFile, pack_tensors, read_tensors, write_tensors
from tests.test_files import flips

ARRAYS = {
    "a/b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "empty": np.zeros((0, 4)),
    "scalar": np.array(3.0),
    "flag": np.array([True, False]),
}


def equal(found: dict[str, np.ndarray]) -> bool:
    """Whether arrays are those that were written, with their types."""
    return found.keys() == ARRAYS.keys() and all(
        np.array_equal(found[k], v) and found[k].dtype == v.dtype for k, v in ARRAYS.items()
    )


def test_arrays_and_texts_come_back_and_any_reader_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, ARRAYS, {"about": "é"})
    assert equal(read_tensors(path))
    assert equal(load_file(path))
    with TensorFile(path) as file:
        assert (file.metadata, file.has_checksums) == ({"about": "é"}, True)


def test_tensors_of_torch_keep_their_types(tmp_path: Path) -> None:
    tensors = {"x": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).bfloat16(), "n": torch.arange(3)}
    write_tensors(tmp_path / "a.safetensors", tensors)
    found = read_tensors(tmp_path / "a.safetensors", "pt")
    assert all(torch.equal(found[k], v) and found[k].dtype == v.dtype for k, v in tensors.items())


def test_every_flipped_bit_and_every_cut_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, ARRAYS, {"about": "é"})
    data, silent = path.read_bytes(), 0
    for changed in [*flips(data), *(data[:n] for n in range(len(data))), data + b"\0", data + data[-40:]]:
        path.write_bytes(changed)
        try:
            with TensorFile(path) as file:
                found = {name: file[name] for name in file.names}
                silent += not equal(found) or file.metadata["about"] != "é"
        except IntegrityError as error:
            silent += f"{path} is damaged" not in error.found
    assert silent == 0


def test_a_file_without_checksums_is_read(tmp_path: Path) -> None:
    save_file(ARRAYS, tmp_path / "old.safetensors")
    assert equal(read_tensors(tmp_path / "old.safetensors"))
    with TensorFile(tmp_path / "old.safetensors") as file:
        assert not file.has_checksums
    with pytest.raises(IntegrityError, match=r"none\.safetensors is damaged"):
        read_tensors(tmp_path / "none.safetensors")


def test_every_process_writes_the_same_bytes(tmp_path: Path) -> None:
    script = (
        "import sys, numpy as np; from pathlib import Path; from mmbench.tensor_files import write_tensors; "
        "write_tensors(Path(sys.argv[1]), {'a': np.ones(3)}, {k: k + 'é' for k in 'bcdefgh'})"
    )
    written = []
    for name in ("1", "2", "3"):
        subprocess.run([sys.executable, "-c", script, str(tmp_path / name)], check=True)
        written.append((tmp_path / name).read_bytes())
        with TensorFile(tmp_path / name) as opened:
            assert opened.metadata == {k: k + "é" for k in "bcdefgh"}
    assert written[0] == written[1] == written[2]


def test_the_order_of_arrays_and_texts_does_not_show() -> None:
    texts = {"b": "1", "a": "2"}
    tensors = {name: torch.from_numpy(array) for name, array in ARRAYS.items()}
    for given in (ARRAYS, tensors):
        turned = dict(reversed(given.items())), dict(reversed(texts.items()))
        assert pack_tensors(given, texts) == pack_tensors(*turned)
