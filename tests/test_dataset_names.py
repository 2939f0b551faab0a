"""Names of datasets: base, argument, options; what is refused."""

from __future__ import annotations

import pytest

from mmbench.dataset_names import DatasetName, parse_dataset_name, published_name
from mmbench.errors import UsageError
from mmbench.registry import make_dataset
from mmbench.types import ClipFormat

FORMAT = ClipFormat(16, 256, 256, 8.0, 32000, 16000)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("bounce", DatasetName("bounce")),
        ("bounce?seconds=8", DatasetName("bounce", options={"seconds": 8})),
        ("folder:a/b?held_out=0.2&fps=25", DatasetName("folder", "a/b", {"held_out": 0.2, "fps": 25})),
        ("folder:why?", DatasetName("folder", "why?")),
        ("folder:a?b/c", DatasetName("folder", "a?b/c")),
        ("folder:a?b=c/d?seconds=8", DatasetName("folder", "a?b=c/d", {"seconds": 8})),
        ("folder:C:x?size=big", DatasetName("folder", "C:x", {"size": "big"})),
    ],
)
def test_names_are_read_and_written_back(text: str, parsed: DatasetName) -> None:
    assert parse_dataset_name(text) == parsed
    assert str(parsed) == text


def test_other_paths_keep_options() -> None:
    assert str(parse_dataset_name("vggsound?seconds=8").at("x")) == "vggsound:x?seconds=8"


def test_clips_of_another_shape_are_not_the_published_dataset() -> None:
    assert published_name("vggsound:PATH") == published_name("vggsound") == "vggsound"
    assert published_name("folder:x?held_out=0.1") == "folder"
    assert published_name("vggsound:PATH?seconds=8") == "vggsound:PATH?seconds=8"


def test_what_is_asked_changes_and_the_rest_stays() -> None:
    assert FORMAT.changed() == FORMAT
    assert FORMAT.changed(seconds=8) == ClipFormat(64, 256, 256, 8.0, 128000, 16000)
    assert FORMAT.changed(seconds=8, fps=25, size=224) == ClipFormat(200, 224, 224, 25.0, 128000, 16000)
    assert FORMAT.changed(sample_rate=48000) == ClipFormat(16, 256, 256, 8.0, 96000, 48000)
    silent = ClipFormat(16, 48, 64, 8.0, 0, 16000)
    assert silent.changed(seconds=4) == ClipFormat(32, 48, 64, 8.0, 0, 16000)
    assert FORMAT.changed(seconds=8).seconds == 8.0
    assert FORMAT.size() == "16x256x256@8+32000@16000"


@pytest.mark.parametrize(
    "shape", [{"seconds": 0}, {"seconds": "long"}, {"fps": -1}, {"size": 0.5}, {"seconds": 0.3, "fps": 7}]
)
def test_shapes_that_cannot_be_are_refused(shape: dict[str, float]) -> None:
    with pytest.raises(UsageError) as error:
        FORMAT.changed(**shape)
    assert "--dataset" in error.value.next


def test_options_that_a_dataset_lacks_are_refused_with_what_it_has() -> None:
    with pytest.raises(UsageError, match="bounce has no option 'secnds'") as error:
        make_dataset("bounce?secnds=8&fps=4")
    assert error.value.expected.startswith("did you mean seconds?")
    assert error.value.next == "--dataset 'bounce?fps=4'"
    with pytest.raises(UsageError, match="aistpp has no option 'seconds'"):
        make_dataset("aistpp?seconds=8")
    with pytest.raises(UsageError, match="bounce takes no path, and was given 'x'") as error:
        make_dataset("bounce:x?size=8")
    assert error.value.next == "--dataset 'bounce?size=8'"
    with pytest.raises(UsageError, match="has seconds twice"):
        make_dataset("bounce?seconds=8&seconds=9")
