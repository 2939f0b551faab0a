"""What the choice of ten seconds is worth: CLAP scores of one sound over its crops, beside those over sounds.

    python results/clap_crops/crops.py SOUND...

SOUND are files of more than 20 s. Networks have random weights at full size, so the numbers say how much of a network's
answer hangs on the crop, and nothing of the sounds.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from mmbench.media.decode import decode
from mmbench.metrics.networks import clap
from mmbench.metrics.networks.clap_preprocess import LENGTH, SAMPLE_RATE, log_mel
from mmbench.networks.devices import exact_float32
from mmbench.networks.random_weights import fill_randomly, random_array

SECONDS = (12, 20)
CROPS = 11
TEXTS = 64  # random directions that stand for prompts


def stretches(file: Path, seconds: int) -> list[np.ndarray]:
    """A sound's stretches of so many seconds at 48 kHz, one after the other."""
    import soxr

    clip = decode(file)
    audio = soxr.resample(clip.audio, clip.sample_rate, SAMPLE_RATE, quality="HQ")
    size = seconds * SAMPLE_RATE
    return [audio[k : k + size] for k in range(0, len(audio) - size + 1, size)]


def main(files: list[Path]) -> None:
    for size, config in (("HTSAT-base", clap.HTSAT_BASE), ("HTSAT-tiny", clap.HTSAT_TINY)):
        network = clap.ClapAudio(config)
        fill_randomly(network, "")
        texts = random_array("texts", (TEXTS, 512), "")
        texts /= np.linalg.norm(texts, axis=1, keepdims=True)
        for seconds in SECONDS:
            sounds = [s for file in files for s in stretches(file, seconds)]
            starts = np.linspace(0, seconds * SAMPLE_RATE - LENGTH, CROPS).astype(int)
            found = []
            with exact_float32():
                for sound in sounds:
                    mels = [log_mel(sound[k : k + LENGTH]) for k in starts]
                    found.append(np.concatenate([network(torch.from_numpy(mel)[None]).numpy() for mel in mels]))
            scores = np.array(found) @ texts.T  # (sounds, crops, texts)
            within, between = scores.std(axis=1, ddof=1).mean(), scores[:, CROPS // 2].std(axis=0, ddof=1).mean()
            middle = np.abs(scores[:, CROPS // 2] - scores.mean(axis=1)).mean()
            print(
                f"{size} {seconds} s, {len(sounds)} sounds, random weights: std over crops {within:.2e},",
                f"over sounds {between:.2e}, ratio {within / between:.2f}; middle - mean of crops {middle:.2e}",
            )


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
