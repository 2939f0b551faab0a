"""When sounds begin: onset times of librosa, as TempoTokens and SVG_baseline use them.

guyyariv/TempoTokens@34d9502:av_align.py detects at librosa's default 22050 Hz and hop 512; MMDisCo's "32 ms" and
"96 ms" (arXiv 2405.17842) are hops 512 and 1536 at 16 kHz. librosa's peak picker turns its times (30 ms, 100 ms) into
frames by floor division, so that the hop decides whether there is a refractory period at all.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import cast

import numpy as np

from mmbench.networks.compiled import import_librosa
from mmbench.types import Clip, Features, Modality, Spec, Weights


def onset_envelope(
    samples: np.ndarray, sample_rate: int, target_rate: int, hop_length: int, n_fft: int = 2048
) -> np.ndarray:
    """Onset strength: mean rise of the log-mel spectrogram over one hop.

    Args:
        samples: (S,) float32 in [-1, 1].
        sample_rate: Their rate [Hz].
        target_rate: Rate to analyse at [Hz]; resampled with soxr_hq as `librosa.load` does.
        hop_length: Samples per frame, at the target rate.
        n_fft: Window length, at the target rate.

    Returns:
        (1 + S' // hop_length,) float32 for S' samples at the target rate; (0,) if there are none.
    """
    librosa = import_librosa()

    if sample_rate != target_rate and samples.size:
        samples = librosa.resample(samples, orig_sr=sample_rate, target_sr=target_rate, res_type="soxr_hq")
    if not samples.size:
        return np.empty(0, np.float32)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "n_fft=.* is too large", UserWarning
        )  # a clip of less than one window is fine
        strength = librosa.onset.onset_strength(y=samples, sr=target_rate, hop_length=hop_length, n_fft=n_fft)
    return np.asarray(strength, dtype=np.float32)


def onset_times(
    samples: np.ndarray, sample_rate: int, target_rate: int, hop_length: int, n_fft: int = 2048
) -> np.ndarray:
    """Onset times in ascending order; none for silence and for audio too short to hold one.

    Args:
        samples: (S,) float32 in [-1, 1].
        sample_rate: Their rate [Hz].
        target_rate: Rate to analyse at [Hz].
        hop_length: Samples per frame, at the target rate.
        n_fft: Window length, at the target rate.

    Returns:
        (K,) float64 [s], multiples of hop_length / target_rate.
    """
    librosa = import_librosa()

    envelope = onset_envelope(samples, sample_rate, target_rate, hop_length, n_fft)
    if not envelope.size:
        return np.empty(0)
    frames = librosa.onset.onset_detect(onset_envelope=envelope, sr=target_rate, hop_length=hop_length)
    return np.asarray(librosa.frames_to_time(frames, sr=target_rate, hop_length=hop_length), dtype=np.float64)


def first_clear_time(sample_rate: int, hop_length: int, n_fft: int = 2048) -> float:
    """The earliest onset time [s] that rests on the clip's samples alone.

    STFT frame k is centred at sample k hop_length, so frames with k hop_length < n_fft / 2 hold zeros from before the
    clip. The envelope compares neighbouring frames: a rise from frame k - 1 to k tells of a sound only if frame k - 1
    is free of those zeros. Any clip that begins with sound has a rise before that, wherever its events are. librosa
    reports the rise into frame k at frame k + n_fft // (2 hop_length).
    """
    first_free = -(-n_fft // (2 * hop_length))  # ceil(n_fft / 2 / hop_length)
    return (first_free + 1 + n_fft // (2 * hop_length)) * hop_length / sample_rate


class OnsetTimes:
    """Extractor of `onsets` (K,) float64 [s] of the audio that a 16-bit file of the clip would hold."""

    modality: Modality = "audio"
    batch_size: int = 1
    weights: Weights = "none"

    def __init__(self, sample_rate: int = 16000, hop_length: int = 1536, n_fft: int = 2048) -> None:
        self.sample_rate, self.hop_length, self.n_fft = sample_rate, hop_length, n_fft
        self.name: str = f"onsets_sr{sample_rate}_hop{hop_length}"

    def spec(self) -> Spec:
        """All that the onsets depend on."""
        return {
            "function": "librosa_onset_detect",
            "sample_rate": self.sample_rate,
            "hop_length": self.hop_length,
            "n_fft": self.n_fft,
            "resampler": "soxr_hq",
            "version": 1,
        }

    def extract(self, batch: Sequence[Clip] | Sequence[str]) -> list[Features]:
        """Onset times of clips."""
        result: list[Features] = []
        for clip in cast("Sequence[Clip]", batch):
            samples = clip.audio_int16().astype(np.float32) / np.float32(32768)
            times = onset_times(samples, clip.sample_rate, self.sample_rate, self.hop_length, self.n_fft)
            result.append({"onsets": times})
        return result
