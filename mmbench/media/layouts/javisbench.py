"""The layout of JavisBench.

Facts of JavisDiT/JavisDiT@5e2ffcd (eval/javisbench/main.py, src/dataset.py, src/utils.py) and
JavisVerse/JavisDiT@515d4f6 (eval/javisbench/README.md): one folder of sample_0000.mp4 with sample_0000.wav, and a CSV
with the columns text and path (of the real clip), read with pandas. It takes *.mp4 and *.wav in the order of their
names as text, and gives the k-th row to the k-th; other counts stop it. So every sample needs sound, and a text.

JavisVerse/JavisDiT@e975667 (javisdit/utils/inference_utils.py) numbers samples with four digits. From 10 000 samples
on, such names sort wrongly (sample_10000 before sample_1001) and most samples get another's prompt; JavisBench has
10 140. Here names are as wide as the last, and a folder that sorts so is read by its numbers, with a warning.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mmbench.console import log
from mmbench.errors import UsageError
from mmbench.media.layouts.layout import (
    MISSING,
    Found,
    Piece,
    Place,
    Plan,
    Reading,
    csv_table,
    lone_sounds,
    media_files,
    read_table,
)
from mmbench.media.regular_files import read_regular

PROMPTS = "prompts.csv"
SECONDS = 4.0  # of its reference statistics, and of --max_audio_len_s as it is run


class JavisBench:
    """Pairs of MP4 and WAV in one folder, with a CSV whose rows are in their order."""

    name = "javisbench"
    source = "JavisDiT/JavisDiT@5e2ffcd"

    def plan(self, pieces: Sequence[Piece]) -> Plan:
        """`sample_0012.mp4` and `sample_0012.wav`; see `Layout.plan`."""
        for piece in pieces:
            lacks = "sound" if not piece.has_sound else "a prompt that pandas reads" if piece.text in MISSING else ""
            if lacks:
                words = f"Sample {piece.index} ({piece.id}) has no {lacks}, and JavisBench stops where one lacks it."
                raise UsageError(words, "sound and a prompt for every clip", "another layout, or leave the clip out")
        width = max(4, *(len(str(p.index)) for p in pieces))
        names = [f"sample_{p.index:0{width}d}" for p in pieces]
        places = [Place(p, f"{n}.mp4", f"{n}.wav") for p, n in zip(pieces, names, strict=True)]
        notes = ["Its column path, of real clips, is empty: FVD, KVD and FAD need JavisBench's own statistics."]
        if (shortest := min(p.seconds for p in pieces)) < SECONDS:
            notes.append(f"The shortest clip has {shortest:g} s; JavisBench's statistics are of {SECONDS:g} s.")
        return Plan(places, {PROMPTS: csv_table(("path", "text"), [("", p.text) for p in pieces])}, notes)

    def read(self, folder: Path, prompts: Path | None) -> Reading:
        """Videos in the order of their numbers, each with its WAV and row; see `Layout.read`."""
        videos, sounds = media_files(folder, (".mp4",)), media_files(folder, (".wav",))
        tables = [prompts] if prompts else media_files(folder, (".csv",))
        if len(tables) > 1:
            raise UsageError(f"{folder} holds {len(tables)} tables.", "one", f"--prompts {tables[0]}")
        texts = [row["text"] or "" for table in tables for row in read_table(table, ("text",))]
        if texts and len(texts) != len(videos):
            words = f"{tables[0]} has {len(texts)} rows, {folder} {len(videos)} videos; JavisBench pairs them by order."
            raise UsageError(words, "a row for each video", "--prompts FILE.csv")
        if videos != sorted(videos):
            log.warning("%s: JavisBench sorts these names as text and mixes up their prompts; here by number.", folder)
        by_stem = {s.stem: s for s in sounds}
        texts = texts or [""] * len(videos)
        found = [Found(v.stem, v, by_stem.get(v.stem), t) for v, t in zip(videos, texts, strict=True)]
        return Reading(found, lone_sounds(sounds, {v.stem for v in videos}))

    def is_certain(self, folder: Path) -> bool:
        """Videos called sample_0012.mp4 beside one CSV with the columns path and text."""
        tables = media_files(folder, (".csv",))
        videos = media_files(folder, (".mp4",))
        if len(tables) != 1 or not videos or not all(re.fullmatch(r"sample_\d{4,}", v.stem) for v in videos):
            return False
        try:
            first = read_regular(tables[0]).decode("utf-8-sig").partition("\n")[0]
        except (OSError, UnicodeDecodeError):
            return False
        return {"path", "text"} <= set(first.strip().split(","))

    def next_step(self, folder: str, plan: Plan) -> str:
        """Its command, without the metrics that need its statistics."""
        return (
            f"torchrun --nproc_per_node=1 -m eval.javisbench.main --input_file {folder}/{PROMPTS} "
            f"--infer_data_dir {folder} --output_file RESULTS.json --metrics imagebind-score cxxp-score av-score"
        )
