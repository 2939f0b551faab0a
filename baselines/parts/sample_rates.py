"""The sample rate of what a pipeline of diffusers returns as sound."""

from __future__ import annotations

from typing import Any

from mmbench.errors import MMBenchError

PLACES = (  # where pipelines tell it; a vocoder that resamples tells what comes out first
    "vocoder.config.output_sampling_rate",
    "audio_sample_rate",
    "sound_tokenizer.config.sampling_rate",
    "vocoder.config.sampling_rate",
    "vae.config.sampling_rate",
    "vae.config.sample_rate",
)


def sample_rate_of(pipeline: Any) -> int:
    """Samples per second of a pipeline's sound [Hz]; raises MMBenchError if it does not say."""
    for path in PLACES:
        value: Any = pipeline
        for name in path.split("."):
            value = getattr(value, name, None)
        if value is not None:
            return int(value)
    found = f"{type(pipeline).__name__} does not say its sound's sample rate."
    raise MMBenchError(found, f"one of {', '.join(PLACES)}; of a described pair, fps or sample_rate in its table")
