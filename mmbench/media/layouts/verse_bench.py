"""The layout of Verse-Bench, the benchmark of UniVerse-1.

Facts of Dorniwang/Verse-Bench@568efa4 and @13f67a1 (README.md, calculate_metrics.py): --input_dir holds NAME.mp4 and
NAME.wav, named like the JSON files in set1, set2 and set3 of --verse_bench_dir. A JSON has video_prompt (a text),
audio_prompt (a list; the first is CLAP's) and speech_prompt with its text. NAME is what stands before the first dot. A
clip without a file is passed over; without an audio prompt it has no AV-A and no CLAP. Beside each JSON lies NAME.jpg,
the first frame that ID compares with, and in set2 NAME.wav for FD and KL. Runs of mmbench have no such pictures, so
none are made up, and the published code stops at the first JSON without one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mmbench.media.layouts.layout import (
    Found,
    Piece,
    Place,
    Plan,
    Reading,
    count_of,
    lone_sounds,
    media_files,
    read_prompts_json,
)

SAMPLES, SETS = "samples", "verse_bench"


class VerseBench:
    """Pairs of MP4 and WAV named like prompts, which are JSON files of their own."""

    name = "verse-bench"
    source = "Dorniwang/Verse-Bench@568efa4"

    def plan(self, pieces: Sequence[Piece]) -> Plan:
        """`samples/NAME.mp4` and `samples/NAME.wav`, NAME the prompt's id; see `Layout.plan`."""
        times = Counter(p.id.casefold() for p in pieces)
        plain = all(re.fullmatch(r"[\w-]{1,200}", p.id, re.ASCII) for p in pieces)
        named = plain and max(times.values()) == 1
        names = [p.id if named else f"sample_{p.index:06d}" for p in pieces]
        notes = [f"{SETS}/set1 has no NAME.jpg: put first frames there, or name your own sets as --verse_bench_dir."]
        if not named:
            why = "a prompt has several samples" if plain else "ids of prompts cannot be names there"
            notes.append(f"Clips are numbered, for {why}; they do not bear the names of Verse-Bench's own sets.")
        if silent := sum(not p.has_sound for p in pieces):
            notes.append(f"{count_of(silent, 'clip')} without sound: no score of sound counts them.")
        places = [
            Place(p, f"{SAMPLES}/{n}.mp4", f"{SAMPLES}/{n}.wav" if p.has_sound else None)
            for p, n in zip(pieces, names, strict=True)
        ]
        tables = {f"{SETS}/set1/{n}.json": _prompt(p.text) for p, n in zip(pieces, names, strict=True)}
        return Plan(places, tables, notes)

    def read(self, folder: Path, prompts: Path | None) -> Reading:
        """Pairs in `samples`, or in the folder itself, with the JSON of each name; see `Layout.read`."""
        where = folder / SAMPLES if (folder / SAMPLES).is_dir() else folder
        sets = prompts or folder / SETS
        files = [f for name in ("set1", "set2", "set3") for f in media_files(sets / name, (".json",))]
        texts = {f.name.split(".")[0]: _text(f) for f in files}
        sounds = media_files(where, (".wav",))
        by_stem = {s.stem: s for s in sounds}
        videos = media_files(where, (".mp4",))
        found = [Found(v.stem, v, by_stem.get(v.stem), texts.get(v.stem, "")) for v in videos]
        return Reading(found, lone_sounds(sounds, {v.stem for v in videos}))

    def is_certain(self, folder: Path) -> bool:
        """Samples beside sets."""
        return (folder / SAMPLES).is_dir() and (folder / SETS / "set1").is_dir()

    def next_step(self, folder: str, plan: Plan) -> str:
        """Its command."""
        return f"python calculate_metrics.py --input_dir {folder}/{SAMPLES} --verse_bench_dir {folder}/{SETS}"


def _prompt(text: str) -> bytes:
    """A JSON of the benchmark: our one text is the prompt of both halves, and nothing is spoken."""
    heard = [text] if text else []
    item = {"video_prompt": text, "audio_prompt": heard, "speech_prompt": {"speaker": "", "text": ""}}
    return json.dumps(item, indent=1, ensure_ascii=False).encode()


def _text(file: Path) -> str:
    """The text of both halves where there is one (`prompt`, as MOVA's list has it), else that of the video."""
    item = read_prompts_json(file, dict, "prompt of Verse-Bench")
    return str(item.get("prompt") or item.get("video_prompt") or "")
