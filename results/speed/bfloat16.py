"""How far bfloat16 moves features and scores from float32, and what it costs, on clips of `bounce`.

Run as `OMP_NUM_THREADS=1 python results/speed/bfloat16.py PART` for i3d, vision, audio, text and bounce. I3D and
ImageBind have their published sizes and random weights; `bounce` are the trained towers of the package, whose
features are those of real scores. Errors are norms of the difference over norms of the features about their mean.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from mmbench.metrics.arithmetic.frechet import Moments, frechet_distance
from mmbench.metrics.extractors.bounce import BounceAudio, BounceVideo
from mmbench.metrics.extractors.i3d import I3DExtractor
from mmbench.metrics.extractors.imagebind import ImageBindAudio, ImageBindText, ImageBindVideo
from mmbench.metrics.imagebind import cosine
from mmbench.metrics.networks import imagebind
from mmbench.networks.devices import channels_last, computing_in
from mmbench.networks.random_weights import fill_randomly
from mmbench.registry import make_dataset
from mmbench.types import Clip, Request

CLIPS = {"i3d": 24, "vision": 6, "audio": 24, "text": 24, "bounce": 32}


def material(num: int) -> tuple[list[Clip], list[Clip], list[str]]:
    """Clips of the reference, held-out ones, and the prompts of these."""
    dataset = make_dataset("bounce")
    requests = [Request(prompt, i, 0) for i, prompt in enumerate(dataset.prompts(num, 0))]
    reference = [item.clip for item in dataset.reference(num, 0)]
    return reference, [dataset.real(r, "held out").clip for r in requests], [r.prompt.text for r in requests]


def both(make: Callable[[Any], Any], inputs: Sequence[Any], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Features in float32 and in bfloat16, (n, d) each; prints error and processor seconds."""
    found, seconds = [], []
    for precision in ("ieee", "bfloat16"):
        extractor = make(precision)
        extractor.extract(inputs[:1])
        started = time.process_time()
        step = extractor.batch_size
        rows = [f for k in range(0, len(inputs), step) for f in extractor.extract(inputs[k : k + step])]
        seconds.append((time.process_time() - started) / len(inputs))
        found.append(np.stack([f[name] for f in rows]).astype(np.float64))
    exact, half = found
    error = np.linalg.norm(half - exact) / np.linalg.norm(exact - exact.mean(axis=0))
    print(f"{extractor.name} {name}: error {error:.1e} of {len(inputs)}; {seconds[0]:.3f} and {seconds[1]:.3f} s each")
    return exact, half


def distances(features: tuple[np.ndarray, np.ndarray], num: int) -> None:
    """Print the Fréchet distance of the first `num` rows, the reference, to the others, in each precision."""
    a, b = (frechet_distance(Moments.of(x[num:]), Moments.of(x[:num]), 0) for x in features)
    print(f"    distance of held-out clips to the reference: {a:.6g} and {b:.6g}, {100 * abs(b / a - 1):.2g} % apart")


def tower(kind: type[Any], name: str) -> Callable[[str], Any]:
    """Makes an extractor on a random tower of the published size."""
    network = imagebind.ImageBind(imagebind.HUGE, [name])
    fill_randomly(network, "")

    def make(precision: Any) -> Any:
        extractor = kind("random", device="cpu", precision=precision)
        if precision != "ieee":
            channels_last(network, volumes=True)
        extractor.__dict__["network"] = network  # in place of the small one
        return extractor

    return make


def trained(kind: type[Any]) -> Callable[[str], Any]:
    """Makes an extractor of the package's trained towers, which have no variant in bfloat16 of their own."""

    def make(precision: Any) -> Any:
        extractor = kind(device="cpu")
        network = extractor.network

        def compute(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            with computing_in(precision, "cpu"):
                return tuple(y.float() for y in network(x))

        extractor.__dict__["network"] = compute
        return extractor

    return make


def main(part: str) -> None:
    """Measure one network, or the trained ones."""
    torch.set_num_threads(1)
    num = CLIPS[part]
    reference, held_out, prompts = material(num)
    if part == "i3d":
        distances(
            both(lambda p: I3DExtractor("random", device="cpu", precision=p), [*reference, *held_out], "logits"), num
        )
    elif part == "text":
        both(tower(ImageBindText, "text"), prompts, "embedding")
    elif part in ("vision", "audio"):
        kind = {"vision": ImageBindVideo, "audio": ImageBindAudio}[part]
        both(tower(kind, part), held_out, "embedding")
    else:
        for kind in (BounceVideo, BounceAudio):
            distances(both(trained(kind), [*reference, *held_out], "features"), num)
        rows = [both(trained(kind), held_out, "embedding") for kind in (BounceVideo, BounceAudio)]
        exact, half = (cosine(video, sound) for video, sound in zip(*rows, strict=True))
        print(f"    agreement of sound and picture: {exact.mean():.5f} and {half.mean():.5f}; ", end="")
        print(f"single clips differ by {np.abs(half - exact).mean():.1e} in the mean, {np.abs(half - exact).max():.1e}")


if __name__ == "__main__":
    main(sys.argv[1])
