"""Films for people, written frame by frame: H.264 and AAC in MP4."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from mmbench.errors import MediaError

# Several threads and libx264's look ahead at macroblocks make other bytes of the same film now and then.
CODING = {"crf": "20", "preset": "veryfast", "threads": "1", "x264-params": "mbtree=0"}


def write_film(frames: Iterable[np.ndarray], rate: int, audio: np.ndarray, sample_rate: int, file: Path) -> None:
    """Write an MP4 that browsers play, the same bytes for the same film; no more than a frame is held at once.

    Args:
        frames: (h, w, 3) uint8, all of one even height and width; at least one.
        rate: Frames per second.
        audio: (S,) float32 mono in [-1, 1]; S = 0 writes no sound.
        sample_rate: One that AAC has [Hz].
        file: Where it goes.

    Raises:
        MediaError: The film cannot be written.
    """
    form = {"movflags": "+faststart", "max_interleave_delta": "0", "fflags": "+bitexact"}
    try:
        with av.open(str(file), "w", format="mp4", options=form) as container:
            film = container.add_stream("libx264", rate=rate, options=dict(CODING))
            film.pix_fmt = "yuv420p"
            film.codec_context.flags |= av.codec.context.Flags.bitexact
            if len(audio):
                sound = container.add_stream("aac", rate=sample_rate, layout="mono")
                sound.codec_context.bit_rate = 128_000
                sound.codec_context.flags |= av.codec.context.Flags.bitexact
            for number, pixels in enumerate(frames):
                if number == 0:
                    film.height, film.width = pixels.shape[:2]
                    if len(audio):
                        container.start_encoding()
                        container.mux(_coded(sound, audio, sample_rate))
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
                picture.pts, picture.time_base = number, Fraction(1, rate)
                container.mux(film.encode(picture))
            container.mux(film.encode())
    except av.FFmpegError as error:
        raise MediaError(f"The film cannot be written to {file}: {error.strerror}.") from error


def _coded(stream: av.AudioStream, audio: np.ndarray, rate: int) -> list[av.Packet]:
    samples = np.rint(np.clip(audio, -1.0, 32767 / 32768) * 32768).astype(np.int16)
    packets = []
    for start in range(0, len(samples), 1024):
        block = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], format="s16", layout="mono")
        block.sample_rate, block.pts, block.time_base = rate, start, Fraction(1, rate)
        packets += stream.encode(block)
    return packets + stream.encode()
