"""The clips of a report: an MP4, a picture of the sound, and the events that AV-Align sees, for each sample."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.errors import MediaError
from mmbench.files import write_whole
from mmbench.media.clip_files import write_preview
from mmbench.metrics.av_align import AVAlign
from mmbench.metrics.extractors.optical_flow import flow_peaks
from mmbench.pictures.clip_images import spectrogram_image, waveform_image
from mmbench.pictures.preview import enlarged
from mmbench.progress import Stage
from mmbench.types import Clip, ClipSource

WIDTH, WAVE_HEIGHT, MEL_HEIGHT = 384, 32, 64  # of the picture of a sound [px]
Events = dict[str, Any]  # seconds, onsets, motion; or why there is no clip


def write_media(
    sources: Sequence[Sequence[ClipSource | None]], folder: Path, workers: int, progress: Stage | None = None
) -> list[list[Events | None]]:
    """Write `folder`/SET/ROW.mp4 and .png of every clip, and tell its events; of unreadable clips the reason.

    Args:
        sources: Of each row one clip per set; None where there is none.
        folder: Where they go.
        workers: Clips at once.
        progress: Told of each row.

    Returns:
        Of each row, per set: `seconds`, times of `onsets` and of peaks of `motion` [s]; or `unreadable` with the
        reason; None where there is no clip.
    """
    for k in range(len(sources[0]) if sources else 0):
        (folder / str(k)).mkdir(parents=True, exist_ok=True)

    def write_row(row: int) -> list[Events | None]:
        return [None if s is None else _write(s, folder / str(k) / f"{row:06d}") for k, s in enumerate(sources[row])]

    found = []
    with ThreadPoolExecutor(workers) as pool:
        for events in pool.map(write_row, range(len(sources))):
            found.append(events)
            if progress:
                progress.advance()
    return found


def _write(source: ClipSource, stem: Path) -> Events:
    try:
        clip = source.load()
        write_preview(enlarged(clip), stem.with_suffix(".mp4"))
    except MediaError as error:
        return {"unreadable": error.found}
    write_whole(stem.with_suffix(".png"), _picture(clip))
    return events_of(clip)


@cache
def _align() -> AVAlign:
    return AVAlign()


def events_of(clip: Clip) -> Events:
    """What AV-Align's default variant hears and sees of a clip: times of onsets and of peaks of motion [s]."""
    metric = _align()
    onsets = metric.audio.extract([clip])[0]["onsets"] if len(clip.audio) else np.empty(0)
    flow = metric.video.extract([clip])[0]["flow"]
    motion = flow_peaks(flow, float(clip.fps), metric.preset.flow_threshold)
    seconds = len(clip.video) / float(clip.fps)
    times = {"onsets": onsets, "motion": motion}
    return {"seconds": round(seconds, 4)} | {
        k: [round(float(x), 3) for x in v if x < seconds] for k, v in times.items()
    }


def _picture(clip: Clip) -> bytes:
    """Waveform over mel spectrogram as PNG; the width is the picture's time."""
    from PIL import Image

    length = round(len(clip.video) / float(clip.fps) * clip.sample_rate)
    audio = np.pad(clip.audio[:length], (0, max(0, length - len(clip.audio))))
    wave = waveform_image(audio, WAVE_HEIGHT, WIDTH)
    image = np.concatenate([wave, spectrogram_image(audio, clip.sample_rate, MEL_HEIGHT, WIDTH)])
    buffer = BytesIO()
    Image.fromarray(image).quantize(64).save(buffer, "png", optimize=True)
    return buffer.getvalue()
