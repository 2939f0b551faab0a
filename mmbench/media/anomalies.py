"""What is odd about one clip, from its pixels and samples: repeated frames, silence, clipping, a sample rate not used.

Each rule is meant to be silent on ordinary clips, lossy ones included: what it finds is rare in real recordings and
common where a model, a resampler or a file's header went wrong.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

MEAN_STEP = 0.5  # levels of 255, over a frame: what a lossy codec changes where the picture does not
LARGEST_STEP = 8  # levels of 255, of one value from frame to frame; dust and grain that drift change some by more
LARGEST_DRIFT = 32  # levels of 255, of one value over a clip; whatever moves changes some by more in the end
SILENCE = 1e-3  # -60 dBFS: below the noise of a quiet room in any usual recording
FULL_SCALE = 32766 / 32768  # of 16 bits, one step below the largest sample
FLAT = 3  # samples at full scale in a row: a sine of 100 Hz or more, sampled at up to 48 kHz, has fewer
RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100)  # [Hz] that models and recorders work at
WINDOW = 1024  # samples of a spectrum
CLIFF = 35.0  # [dB] between the weakest just below a lower rate's Nyquist frequency and the strongest above it


def _shows_the_same(a: np.ndarray, b: np.ndarray, most: int) -> bool:
    """Whether two frames, (H, W, 3) uint8, differ by at most `most` levels anywhere and MEAN_STEP on average."""
    steps = np.maximum(a, b) - np.minimum(a, b)
    return int(steps.max(initial=0)) <= most and float(steps.mean()) <= MEAN_STEP


def repeated_share(video: np.ndarray) -> float:
    """Share in [0, 1] of frames that show what the frame before shows; 0 for fewer than two frames.

    A frame does if no value changes by more than 8 of 255 levels and the mean by no more than half a level. Of exactly
    repeated frames, x264 leaves all within that at crf 15 and more than half at crf 23; one small ball that moves by
    a pixel changes some values by more.

    Args:
        video: (T, H, W, 3) uint8.
    """
    repeats = [_shows_the_same(a, b, LARGEST_STEP) for a, b in pairwise(video)]  # frame by frame: videos may be large
    return sum(repeats) / len(repeats) if repeats else 0.0


def is_frozen(video: np.ndarray) -> bool:
    """Whether all of two or more frames show what the first shows: mean within half a level, no value beyond 32."""
    return len(video) > 1 and all(_shows_the_same(video[0], frame, LARGEST_DRIFT) for frame in video[1:])


def is_silent(audio: np.ndarray) -> bool:
    """Whether no sample departs from the mean by more than -60 dBFS; False where there is no sample.

    Args:
        audio: (S,) float32 in [-1, 1].
    """
    return len(audio) > 0 and float(np.abs(audio - audio.mean(dtype=np.float64)).max()) <= SILENCE


def clipped_share(audio: np.ndarray) -> float:
    """Share in [0, 1] of samples in flat tops: three or more neighbours at full scale of the same sign.

    A sound normalised to its peak touches full scale with single samples, one that was cut off stays there.

    Args:
        audio: (S,) float32 in [-1, 1].
    """
    count = 0
    for top in (audio >= FULL_SCALE, audio <= -FULL_SCALE):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], top.astype(np.int8), [0]])))
        lengths = edges[1::2] - edges[::2]
        count += int(lengths[lengths >= FLAT].sum())
    return count / len(audio) if len(audio) else 0.0


def lower_rate(audio: np.ndarray, sample_rate: int) -> int:
    """The lower rate [Hz] that sound was sampled at before it was resampled; 0 where nothing says so.

    A resampled sound is full up to the Nyquist frequency of its first rate and empty above. So the tenth percentile of
    power density from 0.7 to 0.95 of that frequency has to exceed the largest from 1.15 of it upwards, and the
    quantisation noise of 16 bits, by 35 dB. Noise resampled by soxr, the FFT or scipy's polyphase filter exceeds by 42
    and more, 1168 clips of bounce and tiny by at most 26. Tones, decaying partials and dull sounds have no such cliff:
    their spectrum has gaps below it, or falls slowly. Rates above 0.6 of the declared one are not looked for, because
    lossy codecs cut sound off there themselves (MP3 and AAC of 64 kbit/s and more, from 0.7 of it). Resampling that
    leaves images behind (linear interpolation, repeated samples) fills the band and is not found.

    Args:
        audio: (S,) float32 in [-1, 1]; fewer than 4096 samples are not judged.
        sample_rate: Declared rate [Hz].
    """
    if len(audio) < 4 * WINDOW or is_silent(audio):
        return 0
    from scipy.signal import welch

    frequencies, density = welch(audio.astype(np.float64), sample_rate, nperseg=WINDOW)
    noise = 1 / 32768**2 / 12 / (sample_rate / 2)
    for rate in (r for r in reversed(RATES) if r <= 0.6 * sample_rate):  # of two close ones the higher has the gap
        edge = rate / 2
        below = density[(frequencies >= 0.7 * edge) & (frequencies <= 0.95 * edge)]
        above = density[frequencies >= 1.15 * edge]
        if np.percentile(below, 10) > 10 ** (CLIFF / 10) * max(above.max(), noise):
            return rate
    return 0
