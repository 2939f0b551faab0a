"""Feature networks of FVD, FAD and the ImageBind scores against the official implementations."""

from __future__ import annotations

import numpy as np
import torch

from mmbench.networks.devices import exact_float32
from mmbench.networks.random_weights import fill_randomly
from mmbench.types import Clip
from tests.conformance.harness import Fixture, runner


def _i3d(salt: str, bn_eps: float = 1e-3) -> torch.nn.Module:
    from mmbench.metrics.networks.i3d import I3D

    network = I3D(bn_eps)
    fill_randomly(network, salt)
    return network


def _vggish(salt: str) -> torch.nn.Module:
    from mmbench.metrics.networks.vggish import VGGish

    network = VGGish()
    fill_randomly(network, salt, bias_std=0.05)
    return network


def _check_manifest(fixture: Fixture, network: torch.nn.Module) -> None:
    import hashlib

    keys = fixture.json(fixture.config["parameters"]["recipe"]["manifest"])["keys"]
    state = network.state_dict()
    assert set(state) == set(keys)
    for key, entry in keys.items():
        assert list(state[key].shape) == entry["shape"], key
        if "sha256" in entry:
            assert hashlib.sha256(state[key].numpy().astype("<f4").tobytes()).hexdigest() == entry["sha256"], key


@runner("i3d_logits")
def i3d_logits(fixture: Fixture) -> None:
    from mmbench.metrics.networks.i3d import preprocess_frames

    parameters = fixture.config["parameters"]
    salt = parameters["recipe"]["salt"]
    network, other_eps = _i3d(salt, parameters["bn_eps"]), _i3d(salt, 1e-5)
    _check_manifest(fixture, network)
    outputs = fixture.config["outputs"]
    for case in fixture.config["cases"]:
        with exact_float32():
            x = preprocess_frames(fixture.input(f"{case}.frames")[None])

            def tap(stage: str, output: torch.Tensor, case: str = case) -> None:
                name = f"{case}.endpoint.{stage}"
                if name in outputs:
                    flat = output[0].flatten()
                    fixture.check(name, flat[np.linspace(0, flat.numel() - 1, 64).astype(np.int64)])

            logits = network(x, tap)[0]
            logits_other_eps = other_eps(x)[0]
        fixture.check(f"{case}.preprocessed", x[0, :, [0, -1], 4::8, 4::8])
        fixture.check(f"{case}.logits", logits)
        fixture.check(f"{case}.logits_bn_eps_1e-5", logits_other_eps)
    assert set(fixture.checked) == set(outputs)


@runner("vggish")
def vggish(fixture: Fixture) -> None:
    from mmbench.metrics.networks.audio_frontend import vggish_examples
    from mmbench.metrics.networks.vggish import prepare_waveform

    network = _vggish(fixture.config["parameters"]["recipe"]["salt"])
    _check_manifest(fixture, network)
    outputs = fixture.config["outputs"]
    for case, meta in fixture.config["cases"].items():
        samples = fixture.array(f"{case}.wav")
        audio = samples.astype(np.float32) / 32768 if samples.dtype == np.int16 else samples
        waveform = prepare_waveform(audio, meta["sample_rate"])
        if f"{case}.waveform" in outputs:
            fixture.check(f"{case}.waveform", waveform)
        examples = vggish_examples(waveform)
        fixture.check(f"{case}.log_mel", examples[:, None])
        with exact_float32():
            fixture.check(f"{case}.embedding", network(torch.from_numpy(examples)))
    assert set(fixture.checked) == set(outputs)


def _samples(fixture: Fixture, case: str) -> np.ndarray:
    samples = fixture.array(f"{case}.wav")
    return samples.astype(np.float32) / 32768 if samples.dtype == np.int16 else samples


@runner("imagebind_audio")
def imagebind_audio(fixture: Fixture) -> None:
    from mmbench.metrics.networks.imagebind_preprocess import audio_views

    for case, meta in fixture.config["cases"].items():
        for deduplicate in (True, False):
            views = audio_views(_samples(fixture, case), meta["sample_rate"], deduplicate=deduplicate)
            position = {index: i for i, index in enumerate(sorted(set(views.first_equal)))}
            mels = views.data[[position[index] for index in views.first_equal]]
            fixture.check(f"{case}.mel", mels[: meta.get("stored_views", len(mels))])


def _frames(fixture: Fixture, case: str) -> np.ndarray:
    elsewhere = fixture.config["cases"][case].get("frames_file")
    if elsewhere is None:
        return fixture.array(f"{case}.frames")
    file, _, tensor = elsewhere.partition(": ")
    return Fixture((fixture.path / file).parent).tensors[tensor]


@runner("imagebind_video")
def imagebind_video(fixture: Fixture) -> None:
    from mmbench.metrics.networks.imagebind_preprocess import clip_starts, frame_pairs, video_views

    for case, meta in fixture.config["cases"].items():
        video = _frames(fixture, case)
        assert [float(s) for s in clip_starts(len(video) / meta["fps"], 5)] == meta["clip_starts"]
        assert [list(pair) for pair in frame_pairs(len(video), meta["fps"])] == meta["selected_frames"]
        views = video_views(video, meta["fps"])
        assert list(views.first_equal) == meta["first_equal_view"], case
        fixture.check(f"{case}.grid", views.data[..., 3::8, 3::8])
        every = video_views(video, meta["fps"], deduplicate=False).data.double()
        fixture.check(f"{case}.view_mean", every.mean((2, 3, 4)))
        fixture.check(f"{case}.view_std", every.std((2, 3, 4), correction=0))
    assert set(fixture.checked) == set(fixture.config["outputs"])


@runner("imagebind_text")
def imagebind_text(fixture: Fixture) -> None:
    from mmbench.networks.clip_tokens import ClipTokenizer

    tokenizer = ClipTokenizer(fixture.path / fixture.config["parameters"]["vocabulary"]["file"])
    tokens = tokenizer(fixture.json("texts.json"))
    fixture.check("tokens", tokens)
    fixture.check("eot_position", tokens.argmax(axis=1))


@runner("imagebind_model")
def imagebind_model(fixture: Fixture) -> None:
    from mmbench.metrics.imagebind import cosine
    from mmbench.metrics.networks.imagebind import (
        HUGE,
        MODALITIES,
        ImageBind,
        ImageBindConfig,
        load_towers,
    )
    from mmbench.metrics.networks.imagebind_preprocess import audio_views, mean_over_views, video_views
    from mmbench.metrics.networks.imagebind_transformer import TowerConfig

    with torch.device("meta"):
        full = ImageBind(HUGE).state_dict()
    manifest = fixture.json("manifest_huge.json")["keys"]
    needed = {key: shape for key, (shape, _) in manifest.items() if key.split(".")[1] in MODALITIES}
    assert {key: list(value.shape) for key, value in full.items()} == needed

    sizes = fixture.config["parameters"]["constructor"]
    towers = [
        TowerConfig(*(sizes[f"{m}_{what}"] for what in ("embed_dim", "num_blocks", "num_heads"))) for m in MODALITIES
    ]
    model = ImageBind(ImageBindConfig(*towers, sizes["out_embed_dim"]))
    stored = {k.removeprefix("weights."): v for k, v in fixture.tensors.items() if k.startswith("weights.")}
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    state = {k: torch.from_numpy(v.astype(np.float32)).reshape(shapes[k]) for k, v in stored.items()}
    assert load_towers(model, state) == []

    embeddings: dict[str, np.ndarray] = {}
    video_fixture = Fixture(fixture.path.parent / "imagebind_video_preprocess")
    audio_fixture = Fixture(fixture.path.parent / "imagebind_audio_preprocess")
    text_fixture = Fixture(fixture.path.parent / "imagebind_text_tokens")
    with exact_float32():
        for case, meta in video_fixture.config["cases"].items():
            name = f"vision.{case}"
            for deduplicate in (False, True):
                views = video_views(_frames(video_fixture, case), meta["fps"], deduplicate=deduplicate)
                embeddings[name] = mean_over_views(model.embed_vision, [views], 15)[0].numpy()
                fixture.check(name, embeddings[name])
        for case, meta in audio_fixture.config["cases"].items():
            name = f"audio.{case}"
            mels = torch.from_numpy(audio_fixture.expected(f"{case}.mel").copy())
            fixture.check(name, model.embed_audio(mels).mean(0))
            views = audio_views(_samples(audio_fixture, case), meta["sample_rate"])
            embeddings[name] = mean_over_views(model.embed_audio, [views], 3)[0].numpy()
            spec = fixture.config["outputs"][name]
            fixture.check_close(
                embeddings[name],
                fixture.expected(name),
                {**spec, "atol": spec.get("atol_from_wav", spec["atol"])},
                name,
            )
        tokens = torch.from_numpy(text_fixture.expected("tokens").copy())
        embeddings["text"] = model.embed_text(tokens).numpy()
        fixture.check("text", embeddings["text"])
        for i, text in enumerate(embeddings["text"]):  # alone, each text is cut at its own end
            alone = model.embed_text(tokens[i : i + 1])[0]
            fixture.check_close(alone, text, fixture.config["outputs"]["text"], f"text {i} alone")
        raw = fixture.input("audio_raw").float()
        fixture.check("audio_raw", model.embed_audio(raw.flatten(0, 1)).unflatten(0, raw.shape[:2]).mean(1))
        fixture.check("image_raw", model.embed_vision(fixture.input("image_raw").float()))

    scores = fixture.json("scores.json")
    items = scores["items"]
    rows = {
        "V": np.stack([embeddings[f"vision.{item['video']}"] for item in items]),
        "A": np.stack([embeddings[f"audio.{item['audio']}"] for item in items]),
        "T": np.stack([embeddings["text"][item["text_index"]] for item in items]),
    }
    for pair in ("TV", "TA", "AV"):
        values = cosine(rows[pair[0]], rows[pair[1]])
        fixture.check_close(values, [item[pair] for item in items], scores["tolerance"], pair)
        fixture.check_close(values.mean(), scores["mean"][pair], scores["tolerance"], f"mean {pair}")


def _clips(fixture: Fixture, halves: dict[str, list[int]]) -> dict[str, list[Clip]]:
    """Clip k is decoded frames 17k to 17k + 15, with its row of the cut audio."""
    import av
    from safetensors.numpy import load_file

    parameters = fixture.config["parameters"]
    path = fixture.path / parameters["clips"].split(";")[0].replace("<file>", parameters["file"])
    audio_file, tensor = parameters["audio"].split(":")
    audio = load_file(fixture.path / audio_file)[tensor.split()[1].rstrip(",")].astype(np.float32) / 32768
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return {
        half: [Clip(np.stack(frames[17 * k : 17 * k + 16]), 10.0, audio[k], 16000) for k in numbers]
        for half, numbers in halves.items()
    }


@runner("end_to_end")
def end_to_end(fixture: Fixture) -> None:
    import hashlib

    from mmbench.metrics.fad import FAD
    from mmbench.metrics.fvd import FVD

    parameters, measured = fixture.config["parameters"], fixture.config["measured"]
    names = list(parameters["halves"])  # the real set, the generated set
    clips = _clips(fixture, parameters["halves"])
    for half, members in clips.items():
        pixels = np.stack([clip.video for clip in members])
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == measured["frames_sha256"][half], "another decoder"
    for metric, scalar in ((FVD(weights="random"), "fvd"), (FAD(weights="random"), "fad")):
        (extractor,) = metric.extractors()
        extractor.salt = parameters["salt"]
        step = extractor.batch_size
        rows = {
            half: [f for k in range(0, len(members), step) for f in extractor.extract(members[k : k + step])]
            for half, members in clips.items()
        }
        for half, features in rows.items():
            fixture.check(f"{extractor.name}.{half}", np.concatenate([np.atleast_2d(*f.values()) for f in features]))
        real, generated = ({extractor.name: rows[half]} for half in names)
        score = metric.score(generated, real, seed=0)
        spec = fixture.config["scalars"][scalar]
        fixture.check_close(score.value, spec["value"], spec, scalar)
