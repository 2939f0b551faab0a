"""Any list of prompts as a dataset without real clips: `prompts:FILE`, for sets of other benchmarks and own ones.

FILE is .txt (a prompt per line), .csv, .tsv, .json or .jsonl. Of tables the column `prompt`, `text` or `caption` is
taken, and `id` where there is one. Metrics that compare with real clips need a reference file or another dataset.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmbench.datasets.copies.text_files import read_csv, read_text
from mmbench.errors import UsageError
from mmbench.identity import digest_bytes
from mmbench.media.regular_files import is_utf8
from mmbench.registry import register
from mmbench.types import ClipFormat, Item, Prompt, Request, Spec

VERSION = 1
FORMAT = ClipFormat(num_frames=16, height=256, width=256, fps=8.0, num_samples=32000, sample_rate=16000)
COLUMNS = ("prompt", "text", "caption", "content")  # what others call it, best first
KINDS = {".txt": "", ".csv": ",", ".tsv": "\t", ".json": "", ".jsonl": ""}  # with what parts cells
LISTS = ".txt, .csv, .tsv, .json or .jsonl"


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a list of prompts, each with what its file says of it.

    Raises:
        UsageError: The file is of no known kind, cannot be read, or is not what its ending says.
    """
    kind, place = path.suffix.lower(), shlex.quote(str(path))
    if kind not in KINDS:
        found = f"{path} is a {kind or 'file without ending'}."
        raise UsageError(found, LISTS, f"mv -n {place} {shlex.quote(str(path.with_suffix('.txt')))}")
    if kind in (".csv", ".tsv"):
        return [dict(row) for row in read_csv(path, KINDS[kind])[1]]
    text = read_text(path, f"a file of prompts, {LISTS}")
    lines = [line for line in text.split("\n") if line.strip()]  # no other break ends a prompt
    if kind == ".txt":
        return [{"prompt": line.strip()} for line in lines]
    try:
        rows = json.loads(text) if kind == ".json" else [json.loads(line) for line in lines]
    except ValueError as error:
        raise UsageError(f"{path} is damaged: {error}.", f"a list of prompts as {kind}", f"head {place}") from None
    if not isinstance(rows, list):
        found = f"{path} holds no list but a {type(rows).__name__}."
        raise UsageError(found, '["a prompt", ...], or [{"id": "a", "prompt": "a prompt"}, ...]', f"head {place}")
    return [row if isinstance(row, dict) else {"prompt": row} for row in rows]


def read_prompts(path: Path) -> list[Prompt]:
    """The prompts of a list, in its order; ids are the list's own, else the place in it.

    Raises:
        UsageError: No prompts, rows without one, or one id twice.
    """
    rows = read_rows(path)
    show = f"head -3 {shlex.quote(str(path))}"
    if not rows:
        raise UsageError(f"{path} holds no prompt.", "one at least", show)
    column = next((name for name in COLUMNS if name in rows[0]), None)
    if column is None:
        found = f"{path} has the columns {', '.join(map(repr, rows[0]))}."
        raise UsageError(found, f"a column {', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}", show)
    if broken := [i for i, row in enumerate(rows) if not is_utf8(f"{row.get(column)} {row.get('id')}")]:
        found = f"{path}: row {broken[0] + 1} of {len(rows)} holds half of a surrogate pair, which is no character."
        raise UsageError(found, "text that UTF-8 can hold", show)
    texts = [row.get(column) for row in rows]
    if empty := [i for i, text in enumerate(texts) if not (isinstance(text, str) and text.strip())]:
        found = f"{path}: row {empty[0] + 1} of {len(rows)} has no {column}; {len(empty)} such rows."
        raise UsageError(found, "a text in each", show)
    ids = [str(row["id"]) if row.get("id") not in (None, "") else f"{i:05d}" for i, row in enumerate(rows)]
    if twice := [name for name, count in Counter(ids).items() if count > 1]:
        raise UsageError(f"{path} has the id {twice[0]!r} {ids.count(twice[0])} times.", "each id once", show)
    rest = [{k: v for k, v in row.items() if k not in ("id", column) and v is not None} for row in rows]
    return [Prompt(id, str(text).strip(), data) for id, text, data in zip(ids, texts, rest, strict=True)]


@register("dataset", "prompts", "A list of prompts without real clips: prompts:FILE, one per line or a table.")
class PromptList:
    """A list of prompts; see the module.

    Args:
        path: The file.
        shape: Of the clips to make, where that is not 16 frames of 256x256 at 8 fps with sound at 16 kHz.

    Raises:
        UsageError: No file, or nothing usable in it.
    """

    name = "prompts"
    default_metrics: Sequence[str] = ("ib_tv", "ib_ta", "ib_av", "av_align")

    def __init__(self, path: str = "", *, shape: Mapping[str, float] | None = None) -> None:
        if not path:
            raise UsageError("The dataset prompts needs a file.", f"prompts:FILE with {LISTS}", "-d prompts:my.txt")
        self.take(read_prompts(Path(path)), shape)

    def take(self, prompts: list[Prompt], shape: Mapping[str, float] | None) -> None:
        """Become the list of these prompts."""
        self.format = FORMAT.changed(**shape or {})
        self._prompts = prompts
        lines = (json.dumps([p.id, p.text], ensure_ascii=False) for p in self._prompts)
        self._digest = digest_bytes(*(line.encode(errors="surrogatepass") for line in lines))

    @property
    def label(self) -> str:
        """Name of this list, by its contents."""
        return f"{self.name}_{self._digest[:8]}"

    @property
    def lacks_real_clips(self) -> str:
        """Why nothing can be compared with, for errors."""
        return f"{self.label} is a list of {len(self._prompts)} prompts and has no real clips."

    def spec(self) -> Spec:
        """Version, format, and a digest of ids and texts; no path."""
        count = {"num_prompts": len(self._prompts), "digest": self._digest}
        return {"name": self.name, "version": VERSION, "format": asdict(self.format), **count}

    def prompts(self, num: int, seed: int) -> list[Prompt]:
        """The first `num` in the order of the list, whatever the seed; after the last they repeat under new ids."""
        found = []
        for i in range(num):
            turn, k = divmod(i, len(self._prompts))
            prompt = self._prompts[k]
            found.append(Prompt(prompt.id + (f"#{turn + 1}" if turn else ""), prompt.text, prompt.data))
        return found

    def real(self, request: Request, stream: str) -> Item:
        """Raise UsageError: there are no real clips."""
        raise self._refusal()

    def reference(self, num: int | None, seed: int) -> Sequence[Item]:
        """Raise UsageError: there are no real clips."""
        raise self._refusal()

    def _refusal(self) -> UsageError:
        return UsageError(self.lacks_real_clips, "systems and metrics that need none", "-m av_align")
