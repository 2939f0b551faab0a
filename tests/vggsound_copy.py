"""A small copy of VGGSound in odd encodings, its videos named like those of one label of the test set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmbench.datasets.vggsound import held_out, labels_of_test, unmatched
from tests.media_files import clicks, flashes, turn, write_media

LABEL, OTHER = "playing hammond organ", "parrot talking"


def keys(label: str, held: bool) -> list[str]:
    """Keys of one half of a label's test videos."""
    return [key for key, name in labels_of_test().items() if name == label and held_out(key) == held]


HELD, FREE, ALONE = keys(LABEL, True), keys(LABEL, False), keys(OTHER, True)
GOOD = [*HELD[:2], *FREE[:3], ALONE[0]]
PART = r"is cut off: \d+ of \d+ bytes are there"  # a pattern
BAD = {
    HELD[2]: ("no sound", "it has no sound"),
    HELD[3]: ("too short", "1.200 s of video, not 2.000 s"),
    HELD[4]: ("corrupt", PART),
    FREE[3]: ("too short", "1.000 s of sound, not 2.000 s"),
    FREE[4]: ("corrupt", "is empty (0 bytes)"),
    FREE[5]: ("no video", "it has no video"),
}
TRAIN = "AAAAAAAAAAA_000007"


def sound(seconds: float, rate: int = 16000) -> np.ndarray:
    """A click at 0.5 s."""
    return clicks([0.5], seconds, rate)


def write_copy(root: Path) -> Path:
    """Twelve videos that the test set names, six of them good; one that nobody labels, one that is on the list."""
    video = root / "video"
    video.mkdir(parents=True)
    write_media(video / f"{HELD[0]}.mp4", flashes(24), sound(2.4))
    stereo = np.stack([sound(2.4, 44100), 0 * sound(2.4, 44100)])
    write_media(video / f"{HELD[1]}.mp4", flashes(60, 48, 96), stereo, fps=25, rate=44100, audio_codec="libmp3lame")
    turn(write_media(video / f"{FREE[0]}.mp4", flashes(24), sound(2.4)), height=48)
    stamps = np.cumsum([0.0, *([0.05, 0.12, 0.08, 0.15] * 6)])
    write_media(root / f"{FREE[1]}.mp4", flashes(25), sound(2.5), stamps=list(stamps))
    nested = root / "more" / "0" / f"{FREE[2][:11]}_{int(FREE[2][12:])}.mp4"  # start without leading zeros
    nested.parent.mkdir(parents=True)
    write_media(nested, flashes(24), sound(2.4))
    write_media(video / f"{ALONE[0]}.mp4", flashes(20), sound(2.0, 48000), rate=48000, video_codec="mpeg4")
    write_media(video / f"{HELD[2]}.mp4", flashes(24))
    write_media(video / f"{HELD[3]}.mp4", flashes(12), sound(1.2))
    index_first = {"movflags": "+faststart"}
    whole = write_media(video / f"{HELD[4]}.mp4", flashes(24), sound(2.4), options=index_first).read_bytes()
    (video / f"{HELD[4]}.mp4").write_bytes(whole[: len(whole) * 3 // 4])
    write_media(video / f"{FREE[3]}.mp4", flashes(24), sound(1.0, 48000), rate=48000)
    (video / f"{FREE[4]}.mp4").touch()
    write_media(video / f"{FREE[5]}.mp4", audio=sound(2.4))
    write_media(video / f"{TRAIN}.mp4", flashes(24), sound(2.4))
    write_media(video / f"{min(unmatched())}_000001.mp4", flashes(24), sound(2.4))
    (video / "notes_on_them.mp4").write_text("not named like VGGSound")
    return root
