"""The layout of av-benchmark, which scores MMAudio and most of video to audio.

Facts of hkchengrex/av-benchmark@050a5cd (README.md, extract_text.py, extract_video.py, av_bench/evaluate.py,
av_bench/utils.py): folders and the CSV are options of its commands, so `video`, `audio` and `captions.csv` are our
names; videos are *.mp4, sounds *.wav or *.flac of the same stems; the CSV has the columns name,caption. It is read
with pandas: a name of digits alone would lose its zeros, and a caption such as "NA" is no text, on which CLAP stops.
Scores of pairs are over names that both sides have. --audio_length is 8 s unless given; shorter clips are dropped.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from mmbench.media.layouts.layout import (
    MISSING,
    Found,
    Piece,
    Place,
    Plan,
    Reading,
    count_of,
    csv_table,
    lone_sounds,
    media_files,
    read_table,
)

CAPTIONS = "captions.csv"
SECONDS = 8.0  # its --audio_length unless given
SYNC_SECONDS = 4.8  # what DeSync needs: 14 segments


class AVBenchmark:
    """Videos, WAV files and captions in three places that av-benchmark is told."""

    name = "av-benchmark"
    source = "hkchengrex/av-benchmark@050a5cd"

    def plan(self, pieces: Sequence[Piece]) -> Plan:
        """`video/sample_000012.mp4`, `audio/sample_000012.wav`; see `Layout.plan`."""
        names = [f"sample_{p.index:06d}" for p in pieces]
        places = [
            Place(p, f"video/{n}.mp4", f"audio/{n}.wav" if p.has_sound else None)
            for p, n in zip(pieces, names, strict=True)
        ]
        rows = [(n, p.text) for p, n in zip(pieces, names, strict=True) if p.text not in MISSING]
        notes = []
        if silent := sum(not p.has_sound for p in pieces):
            notes.append(f"{count_of(silent, 'clip')} without sound: no score of av-benchmark counts them.")
        if len(rows) < len(pieces):
            left = count_of(len(pieces) - len(rows), "clip")
            notes.append(f'{left} without a caption (or one such as "NA"): CLAP does not count them.')
        shortest = min(p.seconds for p in pieces)
        if shortest < SECONDS:
            note = f"The shortest clip has {shortest:g} s; av-benchmark drops clips shorter than --audio_length."
            notes.append(note + (f" Its DeSync needs {SYNC_SECONDS:g} s." if shortest < SYNC_SECONDS else ""))
        return Plan(places, {CAPTIONS: csv_table(("name", "caption"), rows)}, notes)

    def read(self, folder: Path, prompts: Path | None) -> Reading:
        """Videos of `video`, each with the sound of its name in `audio`; see `Layout.read`."""
        table = prompts or folder / CAPTIONS
        rows = read_table(table, ("name", "caption")) if prompts or os.path.lexists(table) else []
        texts = {row["name"]: row["caption"] or "" for row in rows}
        sounds = media_files(folder / "audio", (".wav", ".flac"))
        by_stem = {s.stem: s for s in sounds}
        videos = media_files(folder / "video", (".mp4",))
        found = [Found(v.stem, v, by_stem.get(v.stem), texts.get(v.stem, "")) for v in videos]
        return Reading(found, lone_sounds(sounds, {v.stem for v in videos}))

    def is_certain(self, folder: Path) -> bool:
        """Both folders, and captions with its columns."""
        table = folder / CAPTIONS
        begins = table.is_file() and table.read_bytes().removeprefix(b"\xef\xbb\xbf").startswith(b"name,caption")
        return begins and (folder / "video").is_dir() and (folder / "audio").is_dir()

    def next_step(self, folder: str, plan: Plan) -> str:
        """Its three commands, with the length of the shortest clip."""
        seconds = min(place.piece.seconds for place in plan.places)
        length = f"--audio_length={math.floor(100 * min(seconds, SECONDS)) / 100:g}"  # no longer than any clip
        return (
            f"python extract_video.py --gt_cache CACHE --video_path {folder}/video {length}; "
            f"python extract_text.py --text_csv {folder}/{CAPTIONS} --output_cache_path CACHE; "
            f"python evaluate.py --gt_audio REAL --gt_cache CACHE --pred_audio {folder}/audio {length}"
        )
