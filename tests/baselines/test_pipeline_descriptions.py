"""Descriptions of pairs of pipelines: what a file may say, what a user may change, and what tells pairs apart."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from mmbench.baselines.models.pipelines.description import of_latents, place_halves
from mmbench.baselines.models.pipelines.description_file import OF_VIEW, read_description
from mmbench.baselines.models.pipelines.system import DESCRIPTIONS
from mmbench.baselines.models.pipelines.views import View
from mmbench.errors import UsageError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
VIDEO = f"""[video]
pipeline = "org/video"
revision = "{COMMIT}"
fps = 16
call = {{num_frames = 33, guidance_scale = 5.0}}
"""
AUDIO = '[audio]\nfolder = "sound"\n'
GIVEN = {"video": "", "audio": "", "video_revision": "", "audio_revision": ""}


def write(folder: Path, text: str) -> Path:
    """A description."""
    file = folder / "my_pair.toml"
    file.write_text(text)
    return file


def test_what_a_file_says_is_read(tmp_path: Path) -> None:
    text = VIDEO + AUDIO + '[guidance]\njoint_scale = [1, 2.5]\npath = "log_snr"\n'
    pair = read_description(write(tmp_path, text))
    assert (pair.name, pair.joint_scale, pair.path) == ("my_pair", (1.0, 2.5), "log_snr")
    assert (pair.video.pipeline, pair.video.revision, pair.video.rate) == ("org/video", COMMIT, 16)
    assert pair.video.call == {"num_frames": 33, "guidance_scale": 5.0}
    assert pair.audio.folder == tmp_path / "sound"
    assert place_halves(pair, GIVEN, False) == pair


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("video = 3\n", "video is 3", r"a table \[video\]"),
        ("[vidoe]\n", "has the key 'vidoe'", "did you mean video"),
        (
            VIDEO + AUDIO + "[guidance]\njoint_scales = [1, 1]\n",
            r"\[guidance\] has the key",
            "did you mean joint_scale",
        ),
        (VIDEO + AUDIO + "[guidance]\njoint_scale = [1]\n", r"joint_scale is \[1\]", "two numbers"),
        (VIDEO + '[audio]\nfolder = "a"\npipeline = "b"\n', "both pipeline and folder", "one of them"),
        (VIDEO + '[audio]\nfolder = "a"\nfps = 3\n', r"\[audio\] has the key 'fps'", "sample_rate"),
        (VIDEO + '[audio]\nfolder = "a"\ncall = {prompt = "x"}\n', "call gives prompt", "what is no sample's own"),
        (VIDEO + '[audio]\npipeline = "b"\nrevision = "main"\n', "revision is 'main'", "40 hex digits"),
        (VIDEO + "view = {unshufle = 2}\n" + AUDIO, r"\[video.view\] has the key 'unshufle'", "did you mean unshuffle"),
        (VIDEO + "[audio\n", "is not TOML", "tables video and audio"),
    ],
)
def test_a_wrong_key_is_named_with_the_nearest_one(tmp_path: Path, text: str, found: str, expected: str) -> None:
    with pytest.raises(UsageError, match=found) as raised:
        read_description(write(tmp_path, text))
    assert raised.match(expected)
    assert raised.match("my_pair.toml")


def test_a_view_has_the_keys_that_a_file_may_give() -> None:
    assert tuple(field.name for field in fields(View)) == OF_VIEW


def test_a_repository_needs_a_commit_and_a_user_may_give_it(tmp_path: Path) -> None:
    pair = read_description(write(tmp_path, VIDEO + '[audio]\npipeline = "org/sound"\n'))
    with pytest.raises(UsageError, match="--set audio_revision=COMMIT"):
        place_halves(pair, GIVEN, False)
    assert place_halves(pair, GIVEN | {"audio_revision": COMMIT}, False).audio.revision == COMMIT
    with pytest.raises(UsageError, match="commit of org/other is ''"):  # the description's is of another repository
        place_halves(pair, GIVEN | {"video": "org/other", "audio_revision": COMMIT}, False)
    here = place_halves(pair, GIVEN | {"audio": str(tmp_path)}, False)
    assert (here.audio.folder, here.audio.pipeline) == (tmp_path, "")


def test_a_half_that_is_to_be_given_says_so(tmp_path: Path) -> None:
    pair = read_description(write(tmp_path, VIDEO + '[audio]\nclass = "AudioLDM2Pipeline"\n'))
    with pytest.raises(UsageError, match=r"\[audio\] names no pipeline") as raised:
        place_halves(pair, GIVEN, False)
    assert raised.match("a AudioLDM2Pipeline in a folder")


def test_without_trained_weights_a_half_is_its_class_or_its_folder(tmp_path: Path) -> None:
    pair = read_description(write(tmp_path, VIDEO + AUDIO))
    with pytest.raises(UsageError, match=r"\[video\] names no class"):
        place_halves(pair, GIVEN, True)
    pair = read_description(write(tmp_path, VIDEO + 'class = "WanPipeline"\n' + AUDIO))
    assert place_halves(pair, GIVEN, True) == pair
    with pytest.raises(UsageError, match="org/other is not read"):
        place_halves(pair, GIVEN | {"video": "org/other"}, True)
    assert place_halves(pair, GIVEN | {"video": str(tmp_path)}, True).video.folder == tmp_path


def test_steps_and_text_guidance_leave_a_discriminator_what_it_is(tmp_path: Path) -> None:
    def seen(call: str) -> object:
        text = f'[video]\nfolder = "v"\nfps = 8\ncall = {{{call}}}\n{AUDIO}'
        pair = read_description(write(tmp_path, text))
        return of_latents({"video": pair.video.spec(), "audio": pair.audio.spec()})

    assert seen("height = 64, num_inference_steps = 50") == seen("height = 64, guidance_scale = 2.0")
    assert seen("height = 64") != seen("height = 32")


@pytest.mark.parametrize("file", sorted(DESCRIPTIONS.glob("*_*.toml")), ids=lambda file: file.stem)
def test_shipped_descriptions_are_read(file: Path) -> None:
    pair = read_description(file)
    assert pair.name == file.stem
    assert pair.video.class_name.endswith("Pipeline")
    assert pair.audio.class_name.endswith("Pipeline")
    seconds = pair.video.call["num_frames"] / pair.video.rate
    assert 2 <= seconds < 2.2, "as long as the clips of the paper's datasets"
