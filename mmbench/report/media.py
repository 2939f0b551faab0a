"""A clip for a page: an MP4, a picture of its sound, and the events that AV-Align hears and sees."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.errors import MediaError
from mmbench.files import write_whole
from mmbench.media.clip_files import write_preview
from mmbench.metrics.av_align import AVAlign
from mmbench.metrics.extractors.optical_flow import flow_peaks
from mmbench.pictures.clip_images import PAPER, spectrogram_image, waveform_image
from mmbench.pictures.preview import enlarged
from mmbench.pictures.truth import Look
from mmbench.types import Clip, ClipSource

WIDTH, WAVE_HEIGHT, MEL_HEIGHT = 384, 32, 64  # of the picture of a sound [px]
Events = dict[str, Any]  # seconds, fps, onsets, motion, truth; or why there is no clip


def write_media(source: ClipSource, stem: Path, look: Look) -> Events:
    """Write `stem`.mp4 and .png of a clip, each whole or not at all, and tell its events.

    Args:
        source: The clip.
        stem: Of its files.
        look: Tells the true times of events in it.

    Returns:
        `seconds`, `fps`, times of `onsets` and of peaks of `motion` [s], and where they are known those in
        `truth`, by modality; or `unreadable` with the reason, and no files.
    """
    try:
        clip = source.load()
        write_whole(stem.with_suffix(".mp4"), partial(write_preview, enlarged(clip)))
    except MediaError as error:
        return {"unreadable": error.found}
    write_whole(stem.with_suffix(".png"), _picture(clip))
    truth = {half: _listed(times) for half, times in look(clip).items()}
    return events_of(clip) | ({"truth": truth} if truth else {})


def _listed(times: Iterable[float]) -> list[float]:
    """Times [s] for a page."""
    return [round(float(x), 3) for x in times]


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
    shape = {"seconds": round(seconds, 4), "fps": round(float(clip.fps), 4)}
    return shape | {k: _listed(x for x in v if x < seconds) for k, v in times.items()}


def _picture(clip: Clip) -> bytes:
    """Waveform over mel spectrogram as PNG; the width is the picture's time."""
    from PIL import Image

    length = round(len(clip.video) / float(clip.fps) * clip.sample_rate)
    audio = np.pad(clip.audio[:length], (0, max(0, length - len(clip.audio))))
    wave = waveform_image(audio, WAVE_HEIGHT, WIDTH)
    image = np.concatenate([wave, spectrogram_image(audio, clip.sample_rate, MEL_HEIGHT, WIDTH)])
    buffer = BytesIO()
    picture = Image.fromarray(image).quantize(64)
    paper = np.argwhere((wave == PAPER).all(-1))  # what is beside the waveform lets the page through, light or dark
    clear = {"transparency": picture.getpixel((int(paper[0, 1]), int(paper[0, 0])))} if len(paper) else {}
    picture.save(buffer, "png", optimize=True, **clear)
    return buffer.getvalue()
