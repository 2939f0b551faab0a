"""Weights that are not here are named together before any work, with one command that fetches them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmbench.errors import IntegrityError, MMBenchError
from mmbench.metrics.extractors.i3d import I3DExtractor
from mmbench.metrics.extractors.imagebind import ImageBindAudio, ImageBindVideo
from mmbench.metrics.extractors.vggish import VGGishExtractor
from mmbench.scores.missing_weights import find_all_weights
from tests.builders import Mean


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights anywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))


def test_all_that_is_missing_is_named_once_with_one_command() -> None:
    with pytest.raises(MMBenchError, match="The weights of 3 networks are not here") as error:
        find_all_weights([I3DExtractor(), Mean(), ImageBindVideo(), ImageBindAudio(), VGGishExtractor()])
    assert error.value.next == "mmbench weights fetch i3d imagebind vggish"
    assert len(error.value.found.splitlines()) == 4
    assert "i3d_torchscript.pt" in error.value.found


def test_one_that_is_missing_and_none_are_as_before() -> None:
    with pytest.raises(MMBenchError, match="The weights 'i3d'") as error:
        find_all_weights([I3DExtractor()])
    assert error.value.next == "mmbench weights fetch i3d"
    find_all_weights([Mean(), I3DExtractor("random")])


def test_what_is_damaged_is_said_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = VGGishExtractor()

    def prepare() -> None:
        raise IntegrityError("vggish is cut off.", "all of it", "mmbench weights verify vggish")

    monkeypatch.setattr(damaged, "prepare", prepare)
    with pytest.raises(IntegrityError, match="cut off"):
        find_all_weights([I3DExtractor(), damaged])
