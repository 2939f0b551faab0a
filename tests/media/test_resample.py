"""Time stamps to steady clocks, and explicit conversion between clip formats."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmbench.errors import MediaError
from mmbench.media.decode import record
from mmbench.media.resample import conform, resample_audio, resample_video, resize
from mmbench.media.timeline import AudioTimeline, constant_rate, nominal_rate, shown_frames
from mmbench.types import Clip, ClipFormat
from tests.media_files import clicks, flashes, onset

# cutting by time


def joined(rate: int, parts: list[tuple[float, np.ndarray]]) -> AudioTimeline:
    return AudioTimeline.from_frames(
        rate, Fraction(1, rate), [(Fraction(t).limit_denominator(rate), x) for t, x in parts]
    )


def test_windows_follow_time_stamps_across_jumps() -> None:
    ramp = np.arange(100, dtype=np.float32)
    sound = joined(100, [(0.0, ramp[:30]), (0.3, ramp[30:50]), (0.6, ramp[50:])])  # a gap of 0.1 s at 0.5 s
    assert len(sound.segments) == 2
    audio, silent = sound.window(Fraction(65, 100), 20)
    assert (audio.tolist(), silent) == (ramp[55:75].tolist(), 0)
    audio, silent = sound.window(Fraction(45, 100), 20)
    assert audio.tolist() == [*ramp[45:50], *[0.0] * 10, *ramp[50:55]]
    assert silent == 10


def test_a_window_starts_at_the_first_sample_not_before_it_and_ends_with_the_sound() -> None:
    sound = joined(100, [(0.0, np.arange(100, dtype=np.float32))])
    assert sound.window(Fraction(201, 1000), 3)[0].tolist() == [21, 22, 23]
    assert sound.window(Fraction(98, 100), 50)[0].tolist() == [98, 99]
    assert sound.window(Fraction(2), 50) == (pytest.approx(np.zeros(0)), 0)
    late, silent = sound.window(Fraction(-2, 100), 4)
    assert (late.tolist(), silent) == ([0, 0, 0, 1], 2)


def test_stamps_rounded_to_milliseconds_make_no_gaps() -> None:
    rate, block = 44100, 1024
    frames = [(Fraction(round(1000 * k * block / rate), 1000), np.full(block, k, np.float32)) for k in range(200)]
    sound = AudioTimeline.from_frames(rate, Fraction(1, 1000), frames)
    assert len(sound.segments) == 1
    assert len(sound.window(Fraction(0))[0]) == 200 * block


def test_a_file_joined_from_clips_is_cut_at_its_joints(clips_folder: Path) -> None:
    """Clip k of a published file: frames 17 k .., samples 27072 k + 1105 .. of the plain concatenation."""
    recording = record(clips_folder / "audioset.mp4")
    assert recording.sound is not None
    plain = np.concatenate([samples for _, samples in recording.sound.segments])
    assert len(plain) == 16 * 27072
    for k in range(16):
        clip = recording.clip(17 * k, 16)
        want = plain[27072 * k + 1105 :][:25600]
        assert np.array_equal(clip.audio, np.clip(want, -1, 1))
        naive = round((17 * k / 10 + 0.06904) * 16000)
        assert k == 0 or not np.array_equal(plain[naive : naive + 25600], want)


# rates and clocks


def test_rates_from_time_stamps() -> None:
    ntsc = Fraction(30000, 1001)
    rounded = [Fraction(round(1000 * j / ntsc), 1000) for j in range(300)]
    assert constant_rate(rounded, [Fraction(25), None, ntsc]) == ntsc
    assert constant_rate(rounded, [Fraction(30)]) is None
    dropped = [t for j, t in enumerate(rounded) if j % 7]
    assert constant_rate(dropped, [ntsc]) is None
    assert nominal_rate(dropped, [Fraction(25), ntsc]) == ntsc
    assert nominal_rate([Fraction(k, 12) for k in (0, 1, 2, 5)], []) == 12


def test_shown_frames_are_never_from_the_future() -> None:
    times = [Fraction(x).limit_denominator(1000) for x in (0.5, 0.61, 0.7, 1.1)]
    assert shown_frames(
        times,
        Fraction(10),
        Fraction(7, 10),
    ).tolist() == [0, 0, 2, 2, 2, 2, 3]


@given(st.integers(1, 40), st.sampled_from([8, 10, 24, 30, Fraction(24000, 1001)]), st.sampled_from([8, 10, 25, 60]))
def test_resample_video_shows_the_nearest_earlier_frame(frames: int, source: Fraction | int, target: int) -> None:
    clip = Clip(
        np.arange(frames, dtype=np.uint8)[:, None, None, None].repeat(3, 3), source, np.zeros(0, np.float32), 8000
    )
    out = resample_video(clip, target)
    shown = out.video[:, 0, 0, 0].tolist()
    assert len(shown) - 1 < Fraction(frames) * target / source <= len(shown)
    for j, i in enumerate(shown):
        assert Fraction(i) / source <= Fraction(j, target) < Fraction(i + 1) / source


def test_resample_audio_keeps_pitch_time_and_length() -> None:
    x = (0.5 * np.sin(2 * np.pi * 440 * np.arange(44100) / 44100)).astype(np.float32)
    clip = resample_audio(Clip(flashes(10), 10, x, 44100), 16000)
    want = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert clip.audio.shape == (16000,)
    assert np.abs(clip.audio - want)[200:-200].max() < 1e-3
    assert clip.notes["steps"] == ["sample rate 44100 -> 16000 Hz, soxr HQ"]
    assert resample_audio(clip, 16000) is clip


def test_resize_keeps_aspect_and_crops_the_centre() -> None:
    video = np.zeros((1, 40, 80, 3), np.uint8)
    video[:, :, 20:60] = 200  # the central square
    clip = resize(Clip(video, 10, np.zeros(0, np.float32), 8000), 20, 20)
    assert (clip.video == 200).all()
    assert resize(clip, 33, 7).video.shape == (1, 33, 7, 3)


FORM = ClipFormat(16, 32, 32, 8.0, 32000, 16000)


def test_conform_reaches_the_format_and_records_each_step() -> None:
    clip = conform(Clip(flashes(70, 48, 64), 30, clicks([0.5], 70 / 30, 44100), 44100), FORM)
    assert (clip.video.shape, clip.fps, clip.audio.shape) == ((16, 32, 32, 3), 8, (32000,))
    assert onset(clip.audio, 16000) == pytest.approx(0.5, abs=0.01)
    assert [s.split()[0] for s in clip.notes["steps"]] == ["frame", "sample", "frames", "size", "samples"]
    done = Clip(clip.video, clip.fps, clip.audio, clip.sample_rate)
    assert conform(done, FORM) is done


def test_conform_completes_less_than_a_frame_of_sound_and_refuses_more() -> None:
    video = flashes(16, 32, 32)
    short = conform(Clip(video, 8, np.full(30001, 0.5, np.float32), 16000), FORM)
    assert (short.audio[30000], short.audio[30001], len(short.audio)) == (0.5, 0.0, 32000)
    assert "silence" in short.notes["steps"][0]
    with pytest.raises(MediaError, match="too short"):
        conform(Clip(video, 8, np.zeros(30000, np.float32), 16000), FORM)
    with pytest.raises(MediaError, match="15 frames"):
        conform(Clip(video[:15], 8, np.zeros(32000, np.float32), 16000), FORM)
    assert not len(conform(Clip(video, 8, np.zeros(0, np.float32), 16000), FORM).audio)
