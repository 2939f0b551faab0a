"""What ib_score, javis_score, avh_score, clip_sim and cd_fvd cost at their published sizes, with random weights.

Seconds of one core, and peak memory, for one clip of 8 s, 832x480 at 24 frames per second with sound at 44.1 kHz.
Run as `OMP_NUM_THREADS=1 python results/speed/imagebind_clip_videomae.py PART` for vision, audio, clip and videomae:
memory is that of a process. Up to five minutes each.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from mmbench.metrics.extractors.clip import CLIPText, CLIPVideo
from mmbench.metrics.extractors.imagebind import ImageBindAudio
from mmbench.metrics.extractors.imagebind_frames import ImageBindAudioWindows, ImageBindFrames
from mmbench.metrics.extractors.imagebind_slow import ImageBindSlowVideo
from mmbench.metrics.extractors.videomae import VideoMAEExtractor
from mmbench.metrics.networks import clip, imagebind, videomae
from mmbench.networks.random_weights import fill_randomly
from mmbench.types import Clip

FRAMES = 8  # of the 192 that javis_score looks at


def measured(what: str, work: Callable[[], Any]) -> Any:
    """Do the work and print its processor time [s] and the peak of memory so far [GiB]."""
    started = time.process_time()
    found = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what:48} {time.process_time() - started:6.1f} s {peak:5.2f} GiB", flush=True)
    return found


def on(network: Any, *extractors: Any) -> Any:
    """Give a network random weights, and extractors the network, in place of a small one."""
    measured("random weights", lambda: fill_randomly(network, ""))
    for extractor in extractors:
        extractor.__dict__["network"] = network
    return extractors if len(extractors) > 1 else extractors[0]


def main(part: str) -> None:
    """Measure one part."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    video = rng.integers(0, 256, (192, 480, 832, 3), dtype=np.uint8)
    source = Clip(video, 24.0, (0.1 * rng.standard_normal(8 * 44100)).astype(np.float32), 44100)
    few = Clip(video[:FRAMES], 24.0, source.audio, 44100)
    if part == "vision":
        network = imagebind.ImageBind(imagebind.HUGE, ["vision"])
        slow, frames = on(network, ImageBindSlowVideo("random"), ImageBindFrames("random"))
        measured("ib_score, 9 views", lambda: slow.extract([source]))
        measured(f"javis_score and avh_score, {FRAMES} of 192 frames", lambda: frames.extract([few]))
    elif part == "audio":
        network = imagebind.ImageBind(imagebind.HUGE, ["audio"])
        whole, windows = on(network, ImageBindAudio("random"), ImageBindAudioWindows("random"))
        measured("ib_score and avh_score, 3 views", lambda: whole.extract([source]))
        measured("javis_score, 13 windows", lambda: windows.extract([source]))
    elif part == "clip":
        pictures = on(clip.build_tower("vision", clip.FULL), CLIPVideo("random"))
        measured("clip_sim, 48 frames", lambda: pictures.extract([source]))
        texts = on(clip.build_tower("text", clip.FULL), CLIPText("random"))
        measured("clip_sim, a prompt", lambda: texts.extract(["a dog barks at a ball that bounces"]))
    else:
        moving = on(videomae.VideoMAE(videomae.FULL), VideoMAEExtractor("random"))
        measured("cd_fvd, 16 frames", lambda: moving.extract([source]))


if __name__ == "__main__":
    main(sys.argv[1])
