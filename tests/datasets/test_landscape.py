"""Landscape: splits by folder or list, captions from a table, and made by a tiny untrained InstructBLIP."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.datasets.copies import captions
from mmbench.datasets.landscape import Landscape, listed, split_of
from mmbench.errors import MMBenchError, UsageError
from mmbench.types import Request
from tests.commands import mmbench_here
from tests.media_files import clicks, flashes, write_media

FILES = ("train/a/1.mp4", "train/b/1.mp4", "train/2.mp4", "test/1.mp4", "test/2.mp4")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy like MM-Diffusion's: five good videos, one too short, one that belongs to no split."""
    for file in (*FILES, "elsewhere.mp4"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        write_media(tmp_path / file, flashes(20), clicks([0.5], 2.1, 16000))
    write_media(tmp_path / "test" / "short.mp4", flashes(9), clicks([0.5], 0.9, 16000))
    return tmp_path


def write_table(root: Path, **captions_of: str) -> None:
    rows = {file: captions_of.get(file, f"The image captures a scene with {file}.") for file in FILES}
    with (root / "captions.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "caption"), *rows.items()])


def test_the_list_is_the_authors() -> None:
    assert len(listed()) == 1171
    assert Counter(listed().values()) == {"train": 1070, "test": 101}
    assert split_of("any/MJ9-HmGWw1k_180.mp4") == "train"
    assert split_of("CQSfI_tXZLY_000180.mp4") == "test"
    assert split_of("train/CQSfI_tXZLY_000180.mp4") == "train"
    assert split_of("other/video.mp4") == ""


def test_captions_are_the_prompts_and_folders_the_split(root: Path) -> None:
    write_table(root)
    data = Landscape(str(root))
    assert sorted(data.usable) == ["test__1", "test__2", "train__2", "train__a__1", "train__b__1"]
    assert {p.text for p in data.prompts(30, 0)} == {f"The image captures a scene with test/{i}.mp4." for i in (1, 2)}
    assert {item.id for item in data.reference(None, 0)} == {"train__2", "train__a__1", "train__b__1"}
    prompt = data.prompts(1, 0)[0]
    item = data.real(Request(prompt, 0, 0), "draw")
    assert item.prompt.text == prompt.text
    assert item.clip.size() == "16x256x256@8+32000@16000"
    assert (data.spec()["num_held_out"], data.spec()["num_reference"]) == (2, 3)
    assert data.missing == []
    before = data.spec()["digest"]
    write_table(root, **{"test/1.mp4": "waves"})
    assert Landscape(str(root)).spec()["digest"] != before


def test_videos_named_like_the_list_are_missed_by_it(root: Path) -> None:
    write_media(root / "CQSfI_tXZLY_000180.mp4", flashes(20), clicks([0.5], 2.1, 16000))
    data = Landscape(str(root))
    assert data.held_out("CQSfI_tXZLY_000180")
    assert len(data.missing) == 1170


def test_without_captions_it_says_what_to_type(root: Path) -> None:
    with pytest.raises(MMBenchError, match=r"5 of 5 videos in .* have no caption, first test__1") as caught:
        Landscape(str(root)).prompts(1, 0)
    assert caught.value.next == f"mmbench data caption landscape --root {root}"
    (root / "captions.csv").write_text("name,text\n")
    with pytest.raises(UsageError, match="columns"):
        Landscape(str(root)).prompts(1, 0)


def test_check_and_prepare_need_no_captions(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["check"], ["prepare", "--workers", "1"]):
        name, *rest = command
        result = mmbench_here(capsys, "data", name, "landscape", "--root", root, *rest, "--format", "json")
        assert [(row["file"], row["status"]) for row in json.loads(result.stdout)] == [("test/short.mp4", "too short")]
    write_table(root)
    raw = [item.clip.digest() for item in Landscape(str(root)).reference(None, 0)]
    assert all(entry.clip for entry in Landscape(str(root)).usable.values())
    for video in root.glob("train/**/*.mp4"):
        video.touch()
    assert [item.clip.digest() for item in Landscape(str(root)).reference(None, 0)] == raw


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An InstructBLIP of a few thousand random weights, with processors of single letters."""
    import torch
    from transformers import (
        BertTokenizer,
        BlipImageProcessor,
        InstructBlipConfig,
        InstructBlipForConditionalGeneration,
        InstructBlipProcessor,
    )

    folder = tmp_path_factory.mktemp("instructblip")
    signs = "abcdefghijklmnopqrstuvwxyz.'"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *signs, *(f"##{c}" for c in signs)]
    tokenizers = [BertTokenizer(vocab={word: i for i, word in enumerate(words)}) for _ in range(2)]
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"model_type": "opt", "vocab_size": len(words) + 1, "hidden_size": 16, "ffn_dim": 32, "num_hidden_layers": 1}
    text |= {"num_attention_heads": 2, "word_embed_proj_dim": 16, "max_position_embeddings": 300}
    text |= {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    config = InstructBlipConfig(
        vision_config={**small, "image_size": 28, "patch_size": 14},
        qformer_config={**small, "vocab_size": len(words), "encoder_hidden_size": 16, "cross_attention_frequency": 1},
        text_config=text,
        num_query_tokens=4,
        image_token_index=len(words),
    )
    torch.manual_seed(0)
    InstructBlipForConditionalGeneration(config).save_pretrained(folder)
    tokenizers[0].add_special_tokens({"additional_special_tokens": ["<image>"]})
    images = BlipImageProcessor(size={"height": 28, "width": 28})
    InstructBlipProcessor(images, *tokenizers, num_query_tokens=4).save_pretrained(folder)
    return folder


def test_instructblip_captions_what_has_none_and_goes_on(
    root: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captions, "MAX_NEW_TOKENS", 5)
    command = (
        "data",
        "caption",
        "landscape",
        "--root",
        root,
        "--model",
        tiny_model,
        "--device",
        "cpu",
        "--format",
        "json",
    )
    made: list[str] = []
    whole = captions._write

    def stopped(table: Path, known: Any) -> None:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append("")
        whole(table, known)

    with monkeypatch.context() as patch:
        patch.setattr(captions, "_write", stopped)
        assert mmbench_here(capsys, *command).returncode == 3
    result = mmbench_here(capsys, *command)
    assert result.returncode == 0, result.stderr
    assert {key: json.loads(result.stdout)[key] for key in ("captions", "new")} == {"captions": 5, "new": 3}
    table = captions.read_captions(root)
    assert sorted(table) == sorted(FILES)
    assert all(0 < len(text) <= 128 for text in table.values())
    again = captions.instructblip(str(tiny_model), device="cpu")
    item = Landscape(str(root)).items(["train__2"])[0]
    assert table["train/2.mp4"] == (again(item.clip.video[0]) or "The image captures a scene.")
    assert Landscape(str(root)).prompts(3, 0)
    made_by = json.loads((root / "captions.json").read_text())
    assert (made_by["revision"], made_by["instruction"]) == ("main", captions.INSTRUCTION)
    assert json.loads(mmbench_here(capsys, *command).stdout)["new"] == 0
    other = mmbench_here(capsys, *command, "--revision", "abc")
    assert other.returncode == 2
    assert "captions by" in other.stderr


def test_captions_are_one_line_of_at_most_128_characters() -> None:
    assert captions.shorten(" a\n dog ") == "a dog"
    assert captions.shorten("word " * 40) == ("word " * 25).strip()
    assert captions.shorten("x" * 200) == "x" * 128


def test_captions_of_somebody_else_are_not_mixed_with_ours(root: Path) -> None:
    write_table(root)
    with pytest.raises(UsageError, match="does not know"):
        captions.write_captions(Landscape(str(root)), lambda: lambda picture: "", {"model": "m"}, quiet=True)


def test_a_model_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    with pytest.raises(MMBenchError, match="nowhere at main cannot be loaded"):
        captions.instructblip(str(tmp_path / "nowhere"))


def test_datasets_whose_prompts_are_labels_are_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = mmbench_here(capsys, "data", "caption", "vggsound", "--root", root)
    assert result.returncode == 2
    assert "are no captions" in result.stderr


def test_frames_are_what_is_captioned(root: Path) -> None:
    seen: list[np.ndarray] = []
    captions.write_captions(Landscape(str(root)), lambda: lambda picture: seen.append(picture) or "x", {}, quiet=True)
    assert [picture.shape for picture in seen] == [(256, 256, 3)] * 5
    assert max(int(picture.mean()) for picture in seen) < 40  # the first of the flashes
