"""The layout of T2AV-Compass.

Facts of NJU-LINK/T2AV-Compass@6afcb26 (t2av-compass/Subjective/eval_checklist.py, t2av-compass/Data/prompts.json),
@6aa5ab3 and @325c1ca (batch_inference_video_text.py, batch_inference_audio_text.py) and @b726966 (scripts): one folder
of videos with sound, called by their index: 12.mp4 for the judge, one of six forms for the rest; the sound is taken out
of the video. prompts.json is a list of items with index, prompt, video_prompt, audio_prompt, speech_prompt and
checklist_info. An item without a file, or with an empty prompt, is counted as failed and left out of the mean.
The judge is a language model that is sent the MP4 itself; whether it takes lossless H.264 is not established.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from mmbench.media.layouts.layout import (
    Found,
    Piece,
    Place,
    Plan,
    Reading,
    count_of,
    media_files,
    peek,
    read_prompts_json,
)
from mmbench.media.sources import Rejected

PROMPTS, INPUT = "prompts.json", "input"
SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")
FORMS = ("sample_{:04d}", "sample_{}", "{:04d}", "{}", "video_{:04d}", "video_{}")  # in the order it tries them
JUDGE = "Its judge is sent the MP4s: if it cannot read them, export with --lossy."


class T2AVCompass:
    """Videos with sound called by their index, and a list of prompts."""

    name = "t2av-compass"
    source = "NJU-LINK/T2AV-Compass@6afcb26"

    def plan(self, pieces: Sequence[Piece]) -> Plan:
        """`input/13.mp4`: the prompt's id where all are whole numbers, else counted from 1; see `Layout.plan`."""
        known = [int(p.id) for p in pieces if re.fullmatch(r"[0-9]{1,9}", p.id)]
        own = len(known) == len(set(known)) == len(pieces)
        indices = known if own else [p.index + 1 for p in pieces]
        notes = [JUDGE]
        if silent := sum(not p.has_sound for p in pieces):
            notes.append(f"{count_of(silent, 'clip')} without sound: no score of sound counts them.")
        if empty := sum(not p.text for p in pieces):
            notes.append(f"{count_of(empty, 'clip')} without a prompt: T2AV-Compass counts them as failed.")
        places = [Place(p, f"{INPUT}/{i}.mp4") for p, i in zip(pieces, indices, strict=True)]
        items = [_item(i, p.text) for p, i in zip(pieces, indices, strict=True)]
        return Plan(places, {PROMPTS: json.dumps(items, indent=1, ensure_ascii=False).encode()}, notes)

    def read(self, folder: Path, prompts: Path | None) -> Reading:
        """Videos of `input`, or of the folder itself, with the prompts of their indices; see `Layout.read`."""
        table = prompts or folder / PROMPTS
        items = read_prompts_json(table, list, "list of prompts") if prompts or os.path.lexists(table) else []
        texts = {item.get("index"): str(item.get("prompt") or "") for item in items if isinstance(item, dict)}
        where = folder / INPUT if (folder / INPUT).is_dir() else folder
        found: dict[int, Found] = {}
        rejected = []
        files = media_files(where, SUFFIXES)
        for file in sorted(files, key=lambda f: (_rank(f.stem), SUFFIXES.index(f.suffix.lower()))):
            index = _index(file.stem)
            if index is None:
                rejected.append(Rejected(str(file), "its name holds no index (12.mp4, sample_0012.mp4)"))
            elif index in found:
                taken = found[index].video.name
                rejected.append(Rejected(str(file), f"T2AV-Compass takes {taken} for index {index}"))
            else:
                found[index] = Found(file.stem, file, None, texts.get(index, ""))
        return Reading([found[index] for index in sorted(found)], rejected)

    def is_certain(self, folder: Path) -> bool:
        """Videos in `input` beside a list of prompts."""
        items = peek(folder / PROMPTS)
        return (
            (folder / INPUT).is_dir()
            and isinstance(items, list)
            and all(isinstance(item, dict) and "index" in item for item in items)
        )

    def next_step(self, folder: str, plan: Plan) -> str:
        """Its script, from the root of its repository."""
        return f"bash t2av-compass/scripts/eval_all_metrics.sh {folder}/{INPUT} {folder}/{PROMPTS} OUTPUT"


def _item(index: int, text: str) -> dict[str, object]:
    """An item of the benchmark: our one text is the prompt of both halves; nothing is spoken, nothing to check."""
    heard = {"prompt": text, "video_prompt": text, "audio_prompt": text}
    return {"index": index, **heard, "speech_prompt": [], "checklist_info": {}}


def _index(stem: str) -> int | None:
    digits = re.fullmatch(r"(?:sample_|video_)?([0-9]{1,9})", stem)
    number = int(digits[1]) if digits else 0
    return number if digits and stem in [form.format(number) for form in FORMS] else None


def _rank(stem: str) -> int:
    """Where the tool looks for this form of a name."""
    index = _index(stem)
    return len(FORMS) if index is None else [form.format(index) for form in FORMS].index(stem)
