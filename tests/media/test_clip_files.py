"""Lossless clips are exact; everybody's files are decoded by their time stamps, and refused when incomplete."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmbench.errors import MediaError, NonFiniteError
from mmbench.media.clip_files import read_lossless, write_lossless, write_preview
from mmbench.media.decode import decode, probe
from mmbench.types import Clip
from tests.chaos.pieces import flip
from tests.media_files import clicks, flashes, onset, turn, write_media
from tests.tar_files import pack_folder, write_tar


def noise(frames: int, height: int, width: int, samples: int, fps: Fraction | float = 10, rate: int = 16000) -> Clip:
    rng = np.random.default_rng([frames, height, width, samples])
    video = rng.integers(0, 256, (frames, height, width, 3), dtype=np.uint8)
    return Clip(video, fps, (rng.integers(-32768, 32768, samples) / 32768).astype(np.float32), rate)


def same(a: Clip, b: Clip) -> bool:
    pair = Fraction(a.fps).limit_denominator(10**6), Fraction(b.fps).limit_denominator(10**6)
    return (
        np.array_equal(a.video, b.video)
        and np.array_equal(a.audio, b.audio)
        and pair[0] == pair[1]
        and a.sample_rate == b.sample_rate
    )


# lossless


@settings(max_examples=25, deadline=None)
@given(
    frames=st.integers(1, 5),
    size=st.sampled_from([(1, 1), (3, 5), (17, 31), (1, 9), (8, 8), (64, 48)]),
    samples=st.sampled_from([0, 1, 7, 15, 16, 17, 1152, 1153, 4096, 4609, 25600, 32000]),
    fps=st.sampled_from([8, 10, 12.5, Fraction(24000, 1001)]),
    rate=st.sampled_from([8000, 16000, 22050, 44100, 48000]),
)
def test_lossless_gives_back_every_pixel_and_sample(
    frames: int, size: tuple[int, int], samples: int, fps: Fraction | float, rate: int
) -> None:
    clip = noise(frames, *size, samples, fps, rate)
    file = io.BytesIO()
    write_lossless(clip, file)
    file.seek(0)
    back = read_lossless(file)
    assert same(clip, back)
    assert back.digest() == clip.digest()
    assert isinstance(back.fps, Fraction)


def test_lossless_bytes_are_deterministic_and_hold_the_codecs_of_the_store(tmp_path: Path) -> None:
    clip = noise(4, 32, 48, 6400)
    write_lossless(clip, tmp_path / "a.mkv")
    with (tmp_path / "b.mkv").open("wb") as file:
        write_lossless(clip, file)
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()
    report = probe(tmp_path / "a.mkv")
    assert (report["video"]["codec"], report["audio"]["codec"]) == ("ffv1", "flac")
    assert not report["video"]["lossy"]
    assert not report["audio"]["lossy"]


@pytest.mark.parametrize("samples", [0, 1, 25600])
def test_decode_reads_lossless_clips_exactly_too(tmp_path: Path, samples: int) -> None:
    clip = noise(16, 17, 31, samples)
    write_lossless(clip, tmp_path / "a.mkv")
    assert same(clip, decode(tmp_path / "a.mkv"))


def test_lossless_quantises_and_clips_samples() -> None:
    clip = Clip(np.zeros((1, 2, 2, 3), np.uint8), 8, np.array([1.0, -1.0, 1.6 / 32768, 0.4 / 32768], np.float32), 16000)
    file = io.BytesIO()
    write_lossless(clip, file)
    file.seek(0)
    assert read_lossless(file).audio.tolist() == [32767 / 32768, -1.0, 2 / 32768, 0.0]


def test_reading_refuses_other_and_shortened_files(tmp_path: Path) -> None:
    write_lossless(noise(16, 32, 32, 25600), tmp_path / "a.mkv")
    data = (tmp_path / "a.mkv").read_bytes()
    for part in (0.2, 0.5, 0.95):
        with pytest.raises(MediaError):
            read_lossless(io.BytesIO(data[: int(len(data) * part)]))
    with pytest.raises(MediaError, match="not a lossless clip"):
        read_lossless(write_media(tmp_path / "b.mkv", flashes(3)))
    with pytest.raises(MediaError):
        read_lossless(tmp_path / "none.mkv")


def test_no_damage_passes_for_a_clip() -> None:
    clip, file = noise(4, 24, 24, 6400), io.BytesIO()
    write_lossless(clip, file)
    rng = np.random.default_rng(0)
    refused = 0
    for position in rng.integers(0, len(file.getvalue()), 60):
        data = bytearray(file.getvalue())
        data[position] ^= 1 << rng.integers(8)
        try:
            assert same(read_lossless(io.BytesIO(bytes(data))), clip)  # seek tables may be hit without harm
        except MediaError:
            refused += 1
    assert refused > 50


def test_an_empty_clip_or_folder_that_is_not_there_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no pixels"):
        write_lossless(noise(0, 4, 4, 10), tmp_path / "a.mkv")
    with pytest.raises(MediaError, match="cannot be written"):
        write_lossless(noise(1, 4, 4, 10), tmp_path / "none" / "a.mkv")


@pytest.mark.parametrize(("height", "width", "rate"), [(17, 31, 16000), (64, 64, 44100), (32, 33, 12345)])
def test_preview_plays_everywhere(tmp_path: Path, height: int, width: int, rate: int) -> None:
    video = flashes(16, height, width)
    write_preview(Clip(video, 10, clicks([0.5], 1.6, rate), rate), tmp_path / "a.mp4")
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    back = decode(tmp_path / "a.mp4")
    assert back.video.shape == (16, height + height % 2, width + width % 2, 3)
    assert np.abs(back.video[:, :height, :width].astype(int) - video).max() <= 4
    assert onset(back.audio, back.sample_rate) == pytest.approx(0.5, abs=0.01)


# decoding


@pytest.mark.parametrize(
    ("name", "codecs", "rate"),
    [
        ("a.mp4", ("libx264", "aac"), 16000),
        ("a.mp4", ("libx264", "aac"), 44100),
        ("a.mp4", ("libx264", "libmp3lame"), 16000),
        ("fragmented.mp4", ("libx264", "aac"), 16000),
        ("a.mov", ("libx264", "aac"), 16000),
        ("a.mov", ("libx264", "pcm_s16le"), 16000),
        ("a.mkv", ("libx264", "aac"), 16000),
        ("a.mkv", ("libx264", "flac"), 16000),
        ("a.webm", ("libvpx-vp9", "libopus"), 48000),
    ],
)
def test_common_formats_keep_picture_and_sound_in_step(
    tmp_path: Path, name: str, codecs: tuple[str, str], rate: int
) -> None:
    audio = clicks([0.7], 1.6, rate)
    options = {"movflags": "+frag_keyframe+empty_moov"} if name.startswith("frag") else {}
    coding = {"rate": rate, "video_codec": codecs[0], "audio_codec": codecs[1], "options": options}
    path = write_media(tmp_path / name, flashes(16), audio, **coding)
    clip = decode(path)
    assert (clip.video.shape, clip.fps, clip.sample_rate) == ((16, 48, 64, 3), 10, rate)
    assert np.abs(clip.video.mean(axis=(1, 2, 3)) - flashes(16).mean(axis=(1, 2, 3))).max() < 3
    assert len(clip.audio) >= 1.6 * rate - 16
    assert onset(clip.audio, rate) == pytest.approx(0.7, abs=0.005)  # 1105 samples of MP3 delay would be 0.069
    assert clip.notes["steps"] == []
    assert clip.notes["video"]["lossy"]
    assert clip.notes["audio"]["lossy"] == (codecs[1] not in ("flac", "pcm_s16le"))
    report = probe(path)
    assert (report["video"]["frames"], report["video"]["fps"], report["audio"]["sample_rate"]) == (16, "10", rate)
    assert report["audio"]["duration"] == pytest.approx(1.6, abs=0.08)


def test_vorbis_is_read(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        v = container.add_stream("libx264", rate=10)
        v.width, v.height, v.pix_fmt = 64, 48, "yuv420p"
        a = container.add_stream("vorbis", rate=16000, layout="stereo", options={"strict": "-2"})
        sound = av.AudioFrame.from_ndarray(np.tile(clicks([0.7], 1.6, 16000), (2, 1)), format="fltp", layout="stereo")
        sound.sample_rate, sound.pts, sound.time_base = 16000, 0, Fraction(1, 16000)
        container.mux([*a.encode(sound), *a.encode()])
        for pixels in flashes(16):
            container.mux(v.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(v.encode())
    clip = decode(tmp_path / "a.mkv")
    assert clip.notes["audio"]["codec"] == "vorbis"
    assert onset(clip.audio, 16000) == pytest.approx(0.7, abs=0.01)


@pytest.mark.parametrize(("name", "codec"), [("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.mp3", "libmp3lame")])
def test_pairs_take_the_sound_of_the_second_file(tmp_path: Path, name: str, codec: str) -> None:
    own, other = clicks([0.2], 1.6, 16000), clicks([0.9], 1.6, 16000)
    video = write_media(tmp_path / "a.mp4", flashes(16), own)
    sound = write_media(tmp_path / name, None, other, audio_codec=codec)
    clip = decode(video, sound)
    assert onset(clip.audio, 16000) == pytest.approx(0.9, abs=0.005)
    assert len(clip.audio) == 25600
    assert clip.notes["audio"]["lossy"] == (codec == "libmp3lame")
    assert np.abs(clip.audio - other).max() <= (0.1 if codec == "libmp3lame" else 1 / 32768)


def test_channels_are_mixed_or_the_first_is_taken(tmp_path: Path) -> None:
    left, right = clicks([0.5], 1.0, 16000), np.zeros(16000, np.float32)
    path = write_media(tmp_path / "a.mov", flashes(10), np.stack([left, right]), audio_codec="pcm_s16le")
    mean, first = decode(path), decode(path, channel="first")
    assert np.abs(first.audio - left).max() <= 1 / 32768
    assert np.abs(mean.audio - left / 2).max() <= 1 / 32768
    assert (mean.notes["audio"]["channels"], mean.notes["audio"]["channel"]) == (2, "mean")
    assert first.notes["audio"]["channel"] == "first"


def test_missing_sound_is_no_samples_and_recorded(tmp_path: Path) -> None:
    clip = decode(write_media(tmp_path / "a.mp4", flashes(4)))
    assert clip.audio.shape == (0,)
    assert clip.notes["audio"] is None
    assert "no audio" in clip.notes["steps"][0]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_variable_rate_becomes_constant_by_showing_what_was_on_screen(tmp_path: Path, name: str) -> None:
    stamps = [0.0, 0.1, 0.2, 0.5, 0.6, 0.7, 0.8, 1.2, 1.3, 1.4]  # 0.3, 0.4 and 0.9 to 1.1 repeat the frame before
    clip = decode(write_media(tmp_path / name, flashes(10), clicks([0.5], 1.5, 16000), stamps=stamps))
    assert clip.fps == 10
    shown = np.rint((clip.video.mean(axis=(1, 2, 3)) - 20) / 8).astype(int).tolist()
    assert shown[:15] == [0, 1, 2, 2, 2, 3, 4, 5, 6, 6, 6, 6, 7, 8, 9]
    assert clip.notes["video"]["variable_rate"]
    assert clip.notes["video"]["frames"] == 10
    assert "variable frame rate" in clip.notes["steps"][0]
    assert probe(tmp_path / name)["video"]["frames"] == len(clip.video)


@pytest.mark.parametrize("part", [0.99, 0.97, 0.9, 0.6, 0.3])
@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("a.mp4", ("libx264", "aac")),
        ("fast.mp4", ("libx264", "aac")),
        ("fast.mp4", ("libx264", "libmp3lame")),
        ("fast.mov", ("libx264", "aac")),
        ("a.mkv", ("libx264", "aac")),
        ("a.webm", ("libvpx-vp9", "libopus")),
    ],
)
def test_truncated_files_are_refused_not_shortened(
    tmp_path: Path, name: str, codecs: tuple[str, str], part: float
) -> None:
    rate = 48000 if codecs[1] == "libopus" else 16000
    options = {"movflags": "+faststart"} if name.startswith("fast") else {}
    video = np.random.default_rng(0).integers(0, 256, (16, 48, 64, 3), dtype=np.uint8)
    path = write_media(
        tmp_path / name,
        video,
        clicks([0.2, 0.7], 1.6, rate),
        rate=rate,
        video_codec=codecs[0],
        audio_codec=codecs[1],
        options=options,
    )
    decode(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(MediaError) as error:
        decode(path)
    assert error.value.found
    assert error.value.expected
    assert error.value.next


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_truncated_sound_files_are_refused(tmp_path: Path, name: str) -> None:
    video = write_media(tmp_path / "a.mp4", flashes(10))
    sound = write_media(
        tmp_path / name, None, clicks([0.5], 1.0, 16000), audio_codec="pcm_s16le" if "wav" in name else "flac"
    )
    data = sound.read_bytes()
    sound.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(MediaError):
        decode(video, sound)


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("a clip of a dog barking\n" * 100)
    (tmp_path / "empty.mp4").write_bytes(b"")
    write_media(tmp_path / "sound.mp4", None, clicks([0.1], 1.0, 16000))
    cases = {"text.mp4": "cannot be read", "empty.mp4": "is empty", "sound.mp4": "no video", "none.mp4": "not exist"}
    for name, words in cases.items():
        with pytest.raises(MediaError, match=words) as error:
            decode(tmp_path / name)
        assert error.value.expected
    with pytest.raises(MediaError, match="no sound"):
        decode(write_media(tmp_path / "v.mp4", flashes(3)), tmp_path / "v.mp4")
    assert probe(tmp_path / "sound.mp4")["video"] is None


def test_still_pictures_are_no_video(tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(MediaError, match="no video"):
        decode(tmp_path / "a.png")


def test_display_rotation_is_applied(tmp_path: Path) -> None:
    """A quarter turn clockwise, as phones write it: what was on the left is shown on top."""
    video = np.full((4, 48, 64, 3), 200, np.uint8)
    video[:, :, :32] = 20
    path = turn(write_media(tmp_path / "a.mp4", video), height=48)
    clip = decode(path)
    assert clip.video.shape == (4, 64, 48, 3)
    assert clip.video[:, :28].mean() < 40 < 180 < clip.video[:, 36:].mean()
    assert (probe(path)["video"]["height"], probe(path)["video"]["width"]) == (64, 48)
    assert clip.notes["video"]["rotation"] == -90


def test_sound_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    audio = clicks([0.2], 0.8, 16000)
    audio[100] = np.nan
    video = write_media(tmp_path / "a.mp4", flashes(8))
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(audio[None], format="flt", layout="mono")
        frame.sample_rate = 16000
        container.mux([*stream.encode(frame), *stream.encode()])
    with pytest.raises(MediaError, match="NaN"):
        decode(video, tmp_path / "a.wav")
    with pytest.raises(NonFiniteError):
        Clip(flashes(8), 10, audio, 16000)


# members of tar archives


def test_a_member_of_a_tar_is_read_like_the_file(tmp_path: Path) -> None:
    clip = noise(4, 16, 24, 8000)
    write_lossless(clip, tmp_path / "000001.mkv")
    write_media(tmp_path / "b.mp4", flashes(12), clicks([0.4], 1.2, 16000))
    write_media(tmp_path / "b.mp3", audio=clicks([0.4], 1.2, 16000), audio_codec="libmp3lame")
    files = sorted(tmp_path.iterdir())
    tar = pack_folder(tmp_path / "my, shard: 0.tar", files)
    assert same(read_lossless(tar / "000001.mkv"), clip)
    for file in files:
        assert probe(tar / file.name) == probe(file)
    for video, sound in (("000001.mkv", None), ("b.mp4", None), ("b.mp4", "b.mp3")):
        inside, outside = (decode(at / video, at / sound if sound else None) for at in (tar, tmp_path))
        assert same(inside, outside)
        assert inside.notes == outside.notes


def test_damage_in_a_member_is_named_as_in_a_file(tmp_path: Path) -> None:
    whole = write_media(tmp_path / "whole.mp4", flashes(12), clicks([0.4], 1.2, 16000)).read_bytes()
    write_lossless(noise(4, 16, 24, 8000), lossless := tmp_path / "a.mkv")
    flipped = flip(lossless.read_bytes(), "video", 1, 0.5, 4)
    parts = {
        "cut.mp4": whole[: len(whole) // 2],
        "empty.mp4": b"",
        "flipped.mkv": flipped,
        "text.mp4": b"no media" * 99,
    }
    tar = write_tar(tmp_path / "0.tar", [*parts.items(), ("whole.mp4", whole)])  # behind each something follows
    for name, data in parts.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(MediaError) as on_disk:
            decode(tmp_path / name)
        with pytest.raises(MediaError) as in_tar:
            decode(tar / name)
        assert in_tar.value.found.replace(str(tar), str(tmp_path)) == on_disk.value.found
    with pytest.raises(MediaError, match="is damaged"):
        read_lossless(tar / "flipped.mkv")
    with pytest.raises(MediaError, match="does not exist"):
        read_lossless(tar / "absent.mkv")
    assert len(decode(tar / "whole.mp4").video) == 12
