"""Prompt sets of other benchmarks: files in the published form become prompts; what is missing says what to type."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from mmbench.datasets.prompt_sets import READERS, PromptSet
from mmbench.errors import IntegrityError, MMBenchError
from mmbench.registry import catalogue, make_dataset
from mmbench.weights import locations
from mmbench.weights.known import KNOWN

ROWS: dict[str, list[dict[str, Any]]] = {  # as published, with texts of our own
    "avgen_bench": [{"content": "a shop", "prompt": "A bell rings in a shop."}],
    "phyavbench": [{"id": "m01_c01", "prompt_a": "A full glass is struck.", "prompt_b": "An empty glass is struck."}],
    "t2av_compass": [{"index": 1, "prompt": "A kettle whistles.", "source": "x", "checklist_info": {"Sound": None}}],
    "vabench": [{"prompt_en": "A drum is struck.", "prompt_vision": "A drum.", "prompt_audio": "Beats."}],
    "moviegen_audio": [{"id": 1, "video_prompt": "A log is sawn.", "audio_prompt": "sawing."}],
    "audiocaps": [{"audiocap_id": "97151", "youtube_id": "x", "start_time": "30", "caption": "A cat meows"}],
    "javisbench": [{"text": "Rain on a roof.", "path": "x", "cat0_ind": "3"}],
    "javisbench_mini": [{"text": "Rain on a tent.", "path": "x", "cat0_ind": "3"}],
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(name: str) -> Path:
    """Write the published files of a set to where `mmbench weights fetch` puts them."""
    place, members = locations.home() / "weights" / KNOWN[name].file, KNOWN[name].members
    files = [place / member for member in members] or [place]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = ROWS[name]
        if file.suffix == ".csv":
            with file.open("w", newline="") as out:
                table = csv.DictWriter(out, list(rows[0]))
                table.writeheader()
                table.writerows(rows)
        else:
            lines = file.suffix == ".jsonl"
            file.write_text("".join(json.dumps(row) + "\n" for row in rows) if lines else json.dumps(rows))
    return place


def test_every_set_of_the_table_is_a_dataset_and_read_by_a_rule() -> None:
    lists = {name for name, weight in KNOWN.items() if weight.purpose == "prompts"}
    assert lists == set(READERS) == set(ROWS)
    assert lists <= {row["name"] for row in catalogue("dataset")}
    assert len(KNOWN["avgen_bench"].members) == 11
    assert len(KNOWN["vabench"].members) == 24


@pytest.mark.parametrize("name", sorted(ROWS))
def test_published_files_become_prompts(name: str) -> None:
    put(name)
    data: PromptSet = make_dataset(f"{name}?seconds=8")
    files = max(1, len(KNOWN[name].members))
    sides = 2 if name == "phyavbench" else 1
    prompts = data.prompts(files * sides, 0)
    assert len({prompt.id for prompt in prompts}) == files * sides
    texts = {text for row in ROWS[name] for text in row.values() if isinstance(text, str)}
    assert all(any(text in prompt.text for text in texts) for prompt in prompts)
    assert ("category" in prompts[0].data) == (files > 1)
    assert data.format.seconds == 8
    assert data.spec()["name"] == name


def test_both_prompts_of_a_pair_are_told_apart() -> None:
    put("phyavbench")
    found = {p.id: p.text for p in make_dataset("phyavbench").prompts(2, 0)}
    assert found == {"m01_c01_a": "A full glass is struck.", "m01_c01_b": "An empty glass is struck."}


def test_a_set_that_is_not_here_says_what_to_type_and_where_the_file_belongs() -> None:
    with pytest.raises(MMBenchError) as error:
        make_dataset("javisbench_mini")
    assert "mmbench weights fetch javisbench_mini" in error.value.next
    assert "prompts/javisbench_mini.csv" in error.value.expected


def test_a_list_that_changed_since_its_first_use_is_refused() -> None:
    place = put("moviegen_audio")
    make_dataset("moviegen_audio")
    place.write_text(json.dumps({"id": 1, "video_prompt": "another", "audio_prompt": "x"}) + "\n")
    with pytest.raises(IntegrityError, match="moviegen_audio"):
        make_dataset("moviegen_audio")


def test_a_file_of_another_form_says_which_row_lacks_what() -> None:
    place = put("t2av_compass")
    place.write_text(json.dumps([{"index": 1, "text": "x"}]))
    with pytest.raises(MMBenchError, match="row 1 is not as t2av_compass was published: it lacks 'prompt'"):
        make_dataset("t2av_compass")
