"""The layout of VBench.

Facts of Vchitect/VBench@6b1f134 (vbench/__init__.py), @b61b670 (vbench/utils.py) and @191c721 (prompts/README.md): one
folder of videos, nothing else in it, called PROMPT-K.mp4, K counting the samples of a prompt from 0. Its standard mode
looks for K = 0 to 4 of its own prompts. --mode=custom_input takes videos of any name and --prompt_file, a JSON of
prompts by file name, or else what stands before -K. No sound is read; the sound stays in the file.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
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
    media_files,
    peek,
    read_prompts_json,
)

PROMPTS, VIDEOS = "prompts.json", "videos"
PER_PROMPT = 5  # samples that the standard mode looks for
LONGEST = 255  # bytes of a file's name on the usual file systems


class VBench:
    """Videos called by their prompts, and a JSON of prompts for those that cannot be."""

    name = "vbench"
    source = "Vchitect/VBench@6b1f134"

    def plan(self, pieces: Sequence[Piece]) -> Plan:
        """`videos/PROMPT-0.mp4`, or `videos/sample_000012.mp4` for a prompt that is no file name; see `Layout.plan`."""
        counted: Counter[str] = Counter()
        names = []
        for piece in pieces:
            names.append(f"{piece.text}-{counted[piece.text]}.mp4")
            counted[piece.text] += 1
        alike = Counter(_folded(name) for name in names)
        usable = [_is_name(p.text, n) and alike[_folded(n)] == 1 for p, n in zip(pieces, names, strict=True)]
        names = [n if good else f"sample_{p.index:06d}.mp4" for p, n, good in zip(pieces, names, usable, strict=True)]
        notes = ["VBench reads no sound."]
        if bad := usable.count(False):
            why = "(empty, with a slash or line break, alike but for case, or too long)"
            notes.append(
                f"{count_of(bad, 'prompt')} cannot be a file's name {why}: only --mode=custom_input finds those clips."
            )
        if more := sum(n - PER_PROMPT for n in counted.values() if n > PER_PROMPT):
            notes.append(f"{count_of(more, 'clip')} beyond {PER_PROMPT} of a prompt: standard mode passes them over.")
        places = [Place(p, f"{VIDEOS}/{n}") for p, n in zip(pieces, names, strict=True)]
        prompts = {n: p.text for p, n in zip(pieces, names, strict=True)}
        return Plan(places, {PROMPTS: json.dumps(prompts, indent=1, ensure_ascii=False).encode()}, notes)

    def read(self, folder: Path, prompts: Path | None) -> Reading:
        """Videos of `videos`, or of the folder itself, with prompts by file name; see `Layout.read`."""
        table = prompts or folder / PROMPTS
        texts = read_prompts_json(table, dict, "prompts by file name") if prompts or os.path.lexists(table) else {}
        where = folder / VIDEOS if (folder / VIDEOS).is_dir() else folder
        videos = media_files(where, (".mp4",))
        found = [Found(v.stem, v, None, texts.get(v.name, re.sub(r"-\d+$", "", v.stem))) for v in videos]
        return Reading(found)

    def is_certain(self, folder: Path) -> bool:
        """Videos in `videos` beside prompts by file name."""
        return (folder / VIDEOS).is_dir() and isinstance(peek(folder / PROMPTS), dict)

    def next_step(self, folder: str, plan: Plan) -> str:
        """Its command for videos of other prompts than its own."""
        options = f"--mode=custom_input --prompt_file {folder}/{PROMPTS}"
        return f"vbench evaluate --dimension aesthetic_quality --videos_path {folder}/{VIDEOS} {options}"


def _folded(name: str) -> str:
    """What a file system that knows no case, or one form of accents only, takes a name for."""
    return unicodedata.normalize("NFC", name).casefold()


def _is_name(text: str, name: str) -> bool:
    """Whether a file of this prompt can be called so, and VBench, which strips its prompts, would look for it."""
    plain = name.isprintable() and "/" not in name and not name.startswith((".", "-"))
    return plain and text == text.strip() and len(name.encode()) <= LONGEST
