"""The command that gives a number on record once more."""

from __future__ import annotations

import shlex
from pathlib import Path

from mmbench.files import read_lines
from mmbench.runs.find import name_out
from mmbench.scores.records import Record
from mmbench.tables.excess import scored_name


def repeat(record: Record, folder: Path) -> str:
    """What to type to score the same samples once more: of a run by its id, of clips as they were scored.

    Args:
        record: The number. One of a reference file names the file as FILE, for records know its digest alone.
        folder: Of the run or of the records, as it is found from where the command is typed.

    Returns:
        The command; "" for clips that no command scored.
    """
    if not (folder / "samples").is_dir():
        return _typed(record, folder)
    about = record.reference or {}
    words = ["mmbench", "evaluate", folder.name, "--metric", scored_name(record.metric), "-n", str(record.n_expected)]
    words += ["--weights", "random"] * (record.extractor_weights == "random")
    words += ["--reference", "FILE"] * ("file_sha256" in about)
    return shlex.join([*words, *name_out(folder.parent)])


def _typed(record: Record, folder: Path) -> str:
    """The last command that scored these clips with the record's metric."""
    told = read_lines(folder / "invocations.jsonl")
    metric = scored_name(record.metric)
    mine = {metric, metric.partition(".")[0]}
    commands = [t["command"] for t in told if mine & set(t["resolved"].get("metrics") or ())]
    return shlex.join(commands[-1]) if commands and commands[-1][0] == "mmbench" else ""
