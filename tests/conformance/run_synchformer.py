"""Synchformer and what is called DeSync, against the official implementations."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import torch

from mmbench.metrics.arithmetic import offsets
from mmbench.metrics.networks import synchformer_preprocess as preprocess
from mmbench.metrics.networks import synchformer_segments as segments
from mmbench.metrics.networks.audio_frontend import SAMPLE_RATE
from mmbench.metrics.networks.synchformer import FULL, Synchformer
from mmbench.metrics.networks.synchformer_audio import AudioTower, AudioTowerConfig
from mmbench.metrics.networks.synchformer_head import HeadConfig, SyncHead
from mmbench.metrics.networks.synchformer_video import VideoTower, VideoTowerConfig
from mmbench.metrics.networks.video_frontend import centre_crop, fps_filter, resize_short_side
from mmbench.networks.devices import exact_float32
from mmbench.networks.state_dicts import load_state
from tests.conformance.harness import Fixture, runner


@runner("synchformer_video_preprocess")
def video_preprocess(fixture: Fixture) -> None:
    config = fixture.config
    for case, meta in config["cases"].items():
        frames = fixture.array(f"{case}.frames")
        assert frames.shape == (meta["frames"], meta["height"], meta["width"], 3), case
        resized = resize_short_side(frames, preprocess.SIZE)
        assert list(resized.shape[1:3]) == meta["resized"], case
        top, left = meta["crop_top_left"]
        middle = resized[:, top : top + preprocess.SIZE, left : left + preprocess.SIZE]
        assert np.array_equal(centre_crop(resized, preprocess.SIZE), middle), case
        prepared = preprocess.prepare_frames(frames)
        y, rows, x, columns = fixture.stated(f"{case}.grid", r"rows (\d+)::(\d+), columns (\d+)::(\d+)", (3, 8, 5, 8))
        fixture.check(f"{case}.grid", prepared[:, :, y::rows, x::columns])
        fixture.check(f"{case}.mean", prepared.astype(np.float64).mean((2, 3)))
    for length, borders in config["segments"].items():
        cut = preprocess.video_segments(np.arange(int(length)))
        assert [[int(s[0]), int(s[-1])] for s in cut] == borders, length
    for rule, frames in config["length_rule"].items():
        if seconds := re.fullmatch(r"expected_sync_frames_([\d.]+)s", rule):
            assert int(segments.FPS * float(seconds[1])) == frames, rule
    for file in config["files"]:
        for key, indices in fixture.json(file).items():
            rate, _, count = key.partition("|")
            assert fps_filter(int(count), Fraction(rate), segments.FPS).tolist() == indices, key
    assert set(fixture.checked) == set(config["outputs"])


@runner("synchformer_audio_frontend")
def audio_frontend(fixture: Fixture) -> None:
    for case, meta in fixture.config["cases"].items():
        mono = (fixture.array(f"{case}.wav").astype(np.float32) / 32768).mean(axis=0)
        seconds = Fraction(meta["samples_at_16k"], SAMPLE_RATE)
        mel = preprocess.audio_segments(mono, meta["sample_rate"], seconds)
        assert len(mel) == meta["segments"], case
        fixture.check(f"{case}.mel", mel[meta["stored_segments"]])
        fixture.check(f"{case}.segment_mean", mel.astype(np.float64).mean((1, 2)))
    assert set(fixture.checked) == set(fixture.config["outputs"])


@runner("synchformer_visual_encoder")
def visual_encoder(fixture: Fixture) -> None:
    sizes = fixture.config["constructor"]
    tower = VideoTower(
        VideoTowerConfig(
            sizes["embed_dim"],
            sizes["depth"],
            sizes["num_heads"],
            sizes["mlp_ratio"],
            sizes["patch_size"],
            sizes["patch_size_temporal"],
            sizes["frames"],
            sizes["img_size"],
        )
    )
    load_state(tower, fixture.weights(), fixture.path.name)
    video = fixture.input("video")

    def check(name: str, tokens: torch.Tensor) -> None:
        (every,) = fixture.stated(name, r"every (\d+)", (53,))
        fixture.check(name, tokens[:, ::every])

    with exact_float32():
        tokens = tower.embed(video)
        check("embedded", tokens)
        for i, block in enumerate(tower.blocks):
            tokens = block(tokens, tower.config.steps)
            if f"block{i}" in fixture.config["outputs"]:
                check(f"block{i}", tokens)
        check("normed", tower.norm(tokens[:, 1:]))
        fixture.check("features", tower(video))
    assert set(fixture.checked) == set(fixture.config["outputs"])


@runner("synchformer_audio_encoder")
def audio_encoder(fixture: Fixture) -> None:
    sizes = fixture.config["constructor"]
    tower = AudioTower(
        AudioTowerConfig(
            sizes["hidden_size"],
            sizes["num_hidden_layers"],
            sizes["num_attention_heads"],
            sizes["intermediate_size"],
            sizes["patch_size"],
            sizes["stride"],
            sizes["num_mel_bins"],
            sizes["max_spec_t"],
        )
    )
    load_state(tower, fixture.weights(), fixture.path.name)
    mel = fixture.input("mel")[:, 0]
    with exact_float32():
        fixture.check("tokens", tower.ast(mel))
        fixture.check("features", tower(mel))
    assert set(fixture.checked) == set(fixture.config["outputs"])


@runner("synchformer_head")
def head(fixture: Fixture) -> None:
    sizes = fixture.config["constructor"]
    network = SyncHead(
        HeadConfig(sizes["n_embd"], sizes["n_layer"], sizes["n_head"], sizes["tokens"], sizes["classes"])
    )
    load_state(network, fixture.weights(), fixture.path.name)
    with exact_float32():
        logits = network(fixture.input("vis"), fixture.input("aud"))
    fixture.check("logits", logits)
    fixture.check("argmax", logits.argmax(-1))
    assert set(fixture.checked) == set(fixture.config["outputs"])


@runner("synchformer_full")
def full(fixture: Fixture) -> None:
    config = fixture.config
    with torch.device("meta"):
        network = Synchformer(FULL)
    load_state(network, fixture.weights(), fixture.path.name)
    with exact_float32():
        vis = torch.cat([network.vfeat_extractor(segment) for segment in fixture.input("video").split(1)])
        aud = network.afeat_extractor(fixture.input("mel")[:, 0])
        rows = (np.atleast_2d(config[f"{half}_order"]) for half in ("video", "mel"))  # one or several clips
        logits = network(*(features[row] for features, row in zip((vis, aud), rows, strict=True)))
    for name, value in {"vis": vis, "aud": aud, "logits": logits, "argmax": logits.argmax(-1)}.items():
        fixture.check(name, value)
    assert set(fixture.checked) == set(config["outputs"])


@runner("desync_score")
def desync_score(fixture: Fixture) -> None:
    config, first, last = fixture.config, fixture.array("first"), fixture.array("last")
    signed, absolute = offsets.argmax_offsets(first), np.abs(offsets.argmax_offsets(first))
    per_clip = np.abs(offsets.argmax_offsets(np.stack([first, last], axis=1))).mean(axis=1)
    fixture.check("grid", offsets.GRID)
    fixture.check("per_clip", per_clip)
    found = {
        "avbench": per_clip.mean(),
        "signed_mean_first": signed.mean(),
        "abs_argmax_mean_first": absolute.mean(),
        "abs_expectation_mean_first": np.abs(offsets.expected_offsets(first)).mean(),
        "expectation_of_abs_mean_first": (offsets.probabilities(first) @ np.abs(offsets.GRID)).mean(),
        "chance_uniform": offsets.CHANCE,
    }
    for name in config["scalars"]:
        if tolerance := re.fullmatch(r"share_within_([\d.]+)s_first", name):
            found[name] = offsets.share_within(signed, float(tolerance[1]))
    for name, case in config["javisbench"].items():
        counts = {
            segments.count_segments(case["frames"], segments.FRAMES, segments.FRAME_STEP),
            segments.count_segments(case["samples"], segments.SAMPLES, segments.SAMPLE_STEP),
        }
        assert counts == {case["segments"]}
        assert offsets.looped(case["segments"]) == case["windows"]
        if len(case["windows"]) == 2:
            assert offsets.first_and_last(case["segments"]) == case["windows"]
        values = np.abs(offsets.argmax_offsets(fixture.array(f"javisbench.{name}.logits")))
        assert values.shape == (case["clips"], len(case["windows"])), name
        fixture.check(f"javisbench.{name}.own_per_clip", values.mean(axis=1))
        batches = np.split(values, range(case["batch_size"], len(values), case["batch_size"]))
        mixed = [batch.T.reshape(len(batch), -1).mean(axis=1) for batch in batches]
        fixture.check(f"javisbench.{name}.official_per_clip", np.concatenate(mixed))
        found[f"javisbench.{name}"] = values.mean()
    for name, spec in config["scalars"].items():
        fixture.check_close(found[name], spec["value"], spec, name)
    assert set(fixture.checked) == set(config["outputs"]) | set(config["scalars"])
