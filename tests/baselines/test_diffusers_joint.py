"""Joint pipelines of diffusers: a small real one from a folder, and the forms of output of the others."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mmbench.baselines.diffusers_joint import DiffusersJoint
from mmbench.baselines.parts.sample_rates import sample_rate_of
from mmbench.errors import MediaError, MMBenchError, UsageError
from mmbench.registry import make_dataset
from mmbench.runs.spec import make_requests
from mmbench.system_names import make_system, read_options
from mmbench.types import ClipFormat
from tests.commands import mmbench_here
from tests.fixture_distribution.mmbench_fixture import FORMAT, FixtureDataset

REQUESTS = make_requests(FixtureDataset(), 2, seed=0)
COMMIT = "0123456789abcdef" * 2 + "01234567"
CALL = {"spatio_temporal_guidance_blocks": [0], "max_sequence_length": 16}


def small_ltx2(folder: Path) -> Path:
    """An LTX2Pipeline of few untrained weights, of the classes that the published one has, saved."""
    from diffusers import AutoencoderKLLTX2Audio, AutoencoderKLLTX2Video, FlowMatchEulerDiscreteScheduler, LTX2Pipeline
    from diffusers import LTX2VideoTransformer3DModel as Transformer
    from diffusers.pipelines.ltx2 import LTX2TextConnectors
    from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, PreTrainedTokenizerFast

    torch.manual_seed(0)
    width, rope = 16, {"rope_double_precision": False, "rope_type": "split"}
    special = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
    text = {"hidden_size": width, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    text |= {"num_key_value_heads": 1, "head_dim": 8, "vocab_size": 64, **special}
    image = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    image |= {"image_size": 28, "patch_size": 14}
    tokens = {"mm_tokens_per_image": 4, "image_token_index": 60, "boi_token_index": 61, "eoi_token_index": 62}
    words = Tokenizer(models.WordLevel({"<p>": 0, "<e>": 1, "<b>": 2, "<u>": 3, "hiss": 4, "roar": 5}, "<u>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    streams = [
        {f"{stream}_connector_num_attention_heads": 2, f"{stream}_connector_attention_head_dim": 8}
        | {f"{stream}_connector_num_layers": 1, f"{stream}_connector_num_learnable_registers": None}
        for stream in ("video", "audio")
    ]
    pipeline = LTX2Pipeline(
        transformer=Transformer(
            **{"in_channels": 4, "out_channels": 4, "num_attention_heads": 2, "attention_head_dim": 8},
            **{"cross_attention_dim": 16, "audio_in_channels": 4, "audio_out_channels": 4, "num_layers": 1},
            **{"audio_num_attention_heads": 2, "audio_attention_head_dim": 4, "audio_cross_attention_dim": 8},
            **{"caption_channels": width, **rope},
        ),
        vae=AutoencoderKLLTX2Video(
            **{"latent_channels": 4, "block_out_channels": (8,), "decoder_block_out_channels": (8,)},
            **{"layers_per_block": (1,), "decoder_layers_per_block": (1, 1), "spatio_temporal_scaling": (True,)},
            **{"decoder_spatio_temporal_scaling": (True,), "decoder_inject_noise": (False, False)},
            **{"downsample_type": ("spatial",), "upsample_residual": (False,), "upsample_factor": (1,)},
            **{"patch_size": 1, "decoder_causal": False},
        ),
        audio_vae=AutoencoderKLLTX2Audio(
            **{"base_channels": 4, "output_channels": 2, "ch_mult": (1,), "num_res_blocks": 1, "in_channels": 2},
            **{"resolution": 32, "latent_channels": 2, "mid_block_add_attention": False, "mel_bins": 8},
        ),
        vocoder=LTX2Vocoder(
            **{
                "in_channels": 16,
                "hidden_channels": 8,
                "upsample_kernel_sizes": [20, 32],
                "upsample_factors": [10, 16],
            },
            **{"resnet_kernel_sizes": [3], "resnet_dilations": [[1]], "output_sampling_rate": 16000},
        ),
        connectors=LTX2TextConnectors(
            **{"caption_channels": width, "text_proj_in_factor": 3, "connector_rope_base_seq_len": 32},
            **{"rope_theta": 10000.0, "causal_temporal_positioning": False, **rope, **streams[0], **streams[1]},
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        text_encoder=Gemma3ForConditionalGeneration(Gemma3Config(text_config=text, vision_config=image, **tokens)),
        tokenizer=PreTrainedTokenizerFast(
            tokenizer_object=words, pad_token="<p>", eos_token="<e>", bos_token="<b>", unk_token="<u>"
        ),
    )
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def ltx2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_ltx2(tmp_path_factory.mktemp("ltx2"))


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))


def test_a_small_ltx2_runs_and_a_clip_does_not_know_its_batch(ltx2: Path) -> None:
    options = {"model": str(ltx2), "height": 32, "width": 32, "num_inference_steps": 1, "kwargs": CALL}
    system = make_system("diffusers_joint", dataset=FixtureDataset(), device="cpu", weights="random", **options)
    together = list(system.generate(REQUESTS))
    assert [clip.size() for clip in together] == ["3x8x8@8+4000@16000"] * 2
    assert next(system.generate(REQUESTS[1:])).digest() == together[1].digest()
    assert together[0].digest() != together[1].digest()
    assert together[0].audio.any()
    assert system.weights == "random"
    assert system.spec()["model"] == ""
    assert len(system.spec()["content"]) == 64


@pytest.mark.e2e
def test_on_the_command_line(ltx2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = [f"model={ltx2}", "height=32", "width=32", "num_inference_steps=1", f"kwargs={json.dumps(CALL)}"]
    options = [word for option in small for word in ("--set", option)]
    out = ("--weights", "random", "--device", "cpu", "-n", "1", "--out", tmp_path, "--format", "json")
    done = mmbench_here(capsys, "generate", "-s", "diffusers_joint", *options, *out)
    assert done.returncode == 0, done.stderr
    (record,) = tmp_path.glob("diffusers_joint-bounce-s0-*/samples/000000.json")
    steps = json.loads(record.read_text())["notes"]["steps"]
    assert steps[:2] == ["frame rate 24 -> 8 1/s, nearest earlier frame", "frames 17 -> 16, the first ones"]
    assert json.loads((record.parent.parent / "manifest.json").read_text())["weights"] == "random"


class Fake:
    """A pipeline with another's form of call and output: half red, loud on its first channel."""

    def __init__(self, form: str) -> None:
        self.form, self.asked = form, dict[str, Any]()
        if form == "kandinsky":
            self.audio_sample_rate = 44100
        else:
            self.sound_tokenizer = SimpleNamespace(config=SimpleNamespace(sampling_rate=48000))

    def answer(self, num_frames: int, rate: float, generator: torch.Generator) -> Any:
        frames = np.zeros((num_frames, 16, 24, 3), np.float32)
        frames[..., 0] = 0.5
        hertz = sample_rate_of(self)
        noise = torch.rand(round(num_frames / rate * hertz), generator=generator)
        if self.form == "kandinsky":
            return SimpleNamespace(frames=frames[None], audio=noise[None].numpy())
        sound = torch.stack([noise, torch.zeros_like(noise)]).bfloat16()
        return SimpleNamespace(video=frames, sound=sound if self.asked["enable_sound"] else None)


class Kandinsky(Fake):
    def __call__(
        self, prompt: str, num_frames: int, frame_rate: float, generator: torch.Generator, output_type: str
    ) -> Any:
        self.asked = {"prompt": prompt, "output_type": output_type}
        return self.answer(num_frames, frame_rate, generator)


class Cosmos(Fake):
    def __call__(
        self,
        prompt: str,
        num_frames: int,
        fps: float,
        generator: torch.Generator,
        output_type: str,
        enable_sound: bool = False,
        guidance_scale: float = 6.0,
    ) -> Any:
        self.asked = {"prompt": prompt, "enable_sound": enable_sound, "guidance_scale": guidance_scale}
        return self.answer(num_frames, fps, generator)


def made_with(pipeline: Any, **options: Any) -> DiffusersJoint:
    system = DiffusersJoint(dataset=FixtureDataset(), model="owner/repo", revision=COMMIT, **options)
    vars(system)["_pipeline"] = pipeline
    return system


@pytest.mark.parametrize(("pipeline", "peak"), [(Kandinsky("kandinsky"), 1.0), (Cosmos("cosmos"), 0.5)])
def test_the_forms_of_output(pipeline: Any, peak: float) -> None:
    first, second = made_with(pipeline).generate(REQUESTS)
    assert first.size() == second.size() == "3x8x8@8+4000@16000"
    assert np.array_equal(np.unique(first.video[..., 0]), [128])
    assert not first.video[..., 1:].any()
    assert 0.45 * peak < first.audio.mean() < 0.55 * peak  # stereo is averaged
    assert first.audio_digest() != second.audio_digest()
    assert pipeline.asked["prompt"] == "roar"
    assert next(made_with(pipeline).generate(REQUESTS[:1])).digest() == first.digest()


def test_what_a_call_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Cosmos("cosmos")
    next(made_with(pipeline, kwargs={"guidance_scale": 2.0}).generate(REQUESTS[:1]))
    assert pipeline.asked["guidance_scale"] == 2.0
    with pytest.raises(MediaError, match="returned no audio"):
        next(made_with(pipeline, kwargs={"enable_sound": False}).generate(REQUESTS[:1]))
    with pytest.raises(TypeError, match="unheard_of"):
        next(made_with(pipeline, kwargs={"unheard_of": 1}).generate(REQUESTS[:1]))
    with pytest.raises(MMBenchError, match="sample rate"):
        sample_rate_of(SimpleNamespace())


@pytest.mark.parametrize(
    ("form", "fps", "frames"),
    [(FORMAT, 24.0, 9), (make_dataset("bounce").format, 24.0, 49), (ClipFormat(16, 8, 8, 10.0, 1, 16000), 25.0, 41)],
)
def test_enough_frames_are_asked_for(form: ClipFormat, fps: float, frames: int) -> None:
    dataset: Any = SimpleNamespace(format=form)
    call = DiffusersJoint(dataset=dataset, model="a/b", revision=COMMIT, fps=fps).spec()["call"]
    assert call == {"num_frames": frames}


def test_the_identity_is_content_and_call(ltx2: Path, tmp_path: Path) -> None:
    def spec(**options: Any) -> Any:
        return DiffusersJoint(dataset=FixtureDataset(), **{"model": "a/b", "revision": COMMIT, **options}).spec()

    moved = tmp_path / "moved"
    moved.symlink_to(ltx2)
    assert spec(model=str(ltx2)) == spec(model=str(moved))
    assert spec(offload=True, device="cuda") == spec()
    others = [spec(model=str(ltx2)), spec(revision=COMMIT[::-1]), spec(fps=8.0), spec(kwargs={"a": 1}), spec(height=64)]
    assert len({json.dumps(s, sort_keys=True) for s in [spec(), *others, spec(dtype="bfloat16")]}) == 7


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({}, "--set model=REPO"),
        ({"model": "a/b"}, "--set revision=COMMIT"),
        ({"model": "a/b", "revision": "main"}, "40 hex digits"),
        ({"model": "{tmp}"}, "no model_index.json"),
        ({"model": "a/b", "revision": COMMIT, "kwargs": 5}, "a JSON object"),
        ({"model": "a/b", "revision": COMMIT, "fps": 0}, "a rate above 0"),
        ({"model": "a/b", "revision": COMMIT, "dtype": "int8"}, "no dtype 'int8'"),
    ],
)
def test_bad_options_say_what_is_wrong(options: dict[str, Any], hint: str, tmp_path: Path) -> None:
    options = {k: v.replace("{tmp}", str(tmp_path)) if isinstance(v, str) else v for k, v in options.items()}
    with pytest.raises(UsageError) as caught:
        make_system("diffusers_joint", dataset=FixtureDataset(), **options)
    assert hint in str(caught.value)


def test_a_folder_that_is_no_pipeline_is_named(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "NoSuchPipeline"}')
    system = make_system("diffusers_joint", dataset=FixtureDataset(), model=str(tmp_path))
    with pytest.raises(MMBenchError, match="cannot be loaded"):
        next(system.generate(REQUESTS[:1]))


def test_kwargs_are_typed_as_json() -> None:
    options = read_options(['kwargs={"a": 1, "b": [2, 3]}', "fps=8"], ["diffusers_joint"])
    assert options == {"diffusers_joint": {"kwargs": {"a": 1, "b": [2, 3]}, "fps": 8}}
