"""H.264 of quantiser 0 is no lossy codec, any other H.264 is."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from mmbench.media.clip_files import write_exact, write_lossless, write_preview
from mmbench.media.decode import decode
from mmbench.media.exact_h264 import is_exact_h264
from tests.builders import clip


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize(
    ("options", "pixels", "exact"),
    [({"qp": "0"}, "yuv444p", True), ({"qp": "1"}, "yuv444p", False), ({"qp": "0"}, "yuv420p", True)],
)
def test_the_parameter_set_tells(
    tmp_path: Path, suffix: str, options: dict[str, str], pixels: str, exact: bool
) -> None:
    file = tmp_path / f"a.{suffix}"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=8, options=options)
        stream.width, stream.height, stream.pix_fmt = 32, 32, pixels
        for _ in range(2):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(file)) as container:
        extradata = container.streams.video[0].codec_context.extradata
    assert is_exact_h264(extradata) == exact
    assert not any(is_exact_h264(extradata[:k]) for k in range(13))


def test_clips_that_are_exported_without_loss_did_not_come_through_a_lossy_codec(tmp_path: Path) -> None:
    writers = {"exact.mp4": write_exact, "small.mp4": write_preview, "own.mkv": write_lossless}
    for name, write in writers.items():
        write(clip(), tmp_path / name)
    codecs = {name: decode(tmp_path / name).codecs() for name in writers}
    assert codecs == {"exact.mp4": "h264+alac", "small.mp4": "h264+aac, lossy", "own.mkv": "ffv1+flac"}
