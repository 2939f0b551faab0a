"""av-benchmark's IB-score against its official implementation."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from mmbench.metrics.imagebind import cosine
from mmbench.metrics.networks.imagebind import MODALITIES, ImageBind, ImageBindConfig, load_towers
from mmbench.metrics.networks.imagebind_preprocess import audio_ranges, audio_views, mean_over_views
from mmbench.metrics.networks.imagebind_transformer import TowerConfig
from mmbench.metrics.networks.pillow_views import consecutive_views, slow_frames
from mmbench.metrics.networks.video_frontend import fps_filter, resize_short_side
from mmbench.networks.devices import exact_float32
from tests.conformance.harness import Fixture, runner


def _small_imagebind(fixture: Fixture) -> ImageBind:
    """The network of a neighbouring folder, in the sizes that this one names."""
    sizes = fixture.config["constructor"]
    towers = [
        TowerConfig(*(sizes[f"{m}_{what}"] for what in ("embed_dim", "num_blocks", "num_heads"))) for m in MODALITIES
    ]
    network = ImageBind(ImageBindConfig(*towers, sizes["out_embed_dim"]))
    name = Path(fixture.config["weights_from"].split()[0]).name
    places = [fixture.path.parent / name, *(parent / "metrics" / name for parent in fixture.path.parents)]
    folder = next(place for place in places if place.is_dir())
    stored = {k: v for k, v in Fixture(folder).tensors.items() if k.startswith("weights.")}
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    named = {k.removeprefix("weights."): torch.from_numpy(v.astype(np.float32)) for k, v in stored.items()}
    assert load_towers(network, {k: v.reshape(shapes[k]) for k, v in named.items()}) == []
    return network


@runner("ib_score_avbench")
def ib_score_avbench(fixture: Fixture) -> None:
    config = fixture.config
    for file in config["files"]:
        for key, indices in fixture.json(file).items():
            rate, _, count = key.partition("|")
            assert fps_filter(int(count), Fraction(rate), Fraction(1, 2)).tolist() == indices, key
            if int(count) / Fraction(rate) % 2 == 0:  # whole frames of two seconds, as the official duration is
                assert slow_frames(int(count), Fraction(rate)).tolist() == indices[:4], key
    network, cosines = _small_imagebind(fixture), {}
    for case, meta in config["cases"].items():
        frames, samples = fixture.array(f"{case}.frames"), fixture.array(f"{case}.wav")
        every = consecutive_views(frames, deduplicate=False).data
        assert list(every.shape[:1]) == [meta["views"]] == [3 * (meta["frames_at_0.5fps"] - 1)]
        assert list(resize_short_side(frames, 224).shape[1:3]) == meta["resized"]
        y, rows, x, columns = fixture.stated(f"{case}.grid", r"rows (\d+)::(\d+), columns (\d+)::(\d+)", (3, 16, 5, 16))
        fixture.check(f"{case}.grid", every[..., y::rows, x::columns])
        fixture.check(f"{case}.view_mean", every.double().mean((2, 3, 4)))
        sound = audio_views(samples.T.astype(np.float32) / 32768, meta["audio_rate"])
        bounds = np.subtract(audio_ranges(meta["audio_samples_16k"]), meta["audio_clip_bounds_16k_about"])
        assert np.abs(bounds).max() <= 1, case
        mels = sound.data[[sorted(set(sound.first_equal)).index(i) for i in sound.first_equal]]
        fixture.check(f"{case}.mel_mean", mels[:, 0].double().mean(-1))
        with exact_float32():
            vision = mean_over_views(network.embed_vision, [consecutive_views(frames)], 9)[0]
            audio = mean_over_views(network.embed_audio, [sound], 3)[0]
        fixture.check(f"{case}.vision", vision)
        fixture.check(f"{case}.audio", audio)
        cosines[f"cosine.{case}"] = float(cosine(vision.numpy(), audio.numpy()))
    found = {**cosines, "ib_score": np.mean(list(cosines.values()))}
    for name, spec in config["scalars"].items():
        fixture.check_close(found[name], spec["value"], spec, name)
    assert set(fixture.checked) == set(config["outputs"]) | set(config["scalars"])
