"""What a user names to be scored: runs of ours, and anybody's clips with their prompts."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmbench.console import log
from mmbench.datasets.copies.texts import read_prompts
from mmbench.errors import MMBenchError, UsageError
from mmbench.features.extract import Sample
from mmbench.files import read_lines
from mmbench.identity import digest_of
from mmbench.jobs.delivery import match_requests
from mmbench.jobs.labels import read_labels
from mmbench.media.layouts.known import read_layout, recognise
from mmbench.media.regular_files import is_there
from mmbench.media.sources import Rejected, Source, holds_clips, submission, submission_digest
from mmbench.registry import catalogue
from mmbench.runs.find import find_run, name_out
from mmbench.runs.request_files import find_requests, is_requests, read_requests
from mmbench.runs.spec import RunSpec, folder_name
from mmbench.runs.store import SampleStore, read_manifest
from mmbench.scores.accounting import Counts


@dataclass(frozen=True)
class Cut:
    """How one long video is cut into clips.

    Attributes:
        clip_frames: Frames of a clip; None for a video that is one clip.
        clip_stride: Frames from one clip's start to the next's; `clip_frames` unless given.
    """

    clip_frames: int | None = None
    clip_stride: int | None = None


WHOLE = Cut()  # not at all


@dataclass(frozen=True)
class Texts:
    """Where the names and prompts of clips come from; what is not given the folder itself says.

    Attributes:
        prompts: A CSV file,prompt for every submission; with a layout, prompts as that has them.
        requests: What `mmbench prompts` wrote and the clips were made from.
        layout: Of another benchmark, that the folders are in.
    """

    prompts: Path | None = None
    requests: Path | None = None
    layout: str = ""


FROM_FOLDER = Texts()


@dataclass(frozen=True)
class Submission:
    """Anybody's clips, ready to be scored.

    Attributes:
        path: Where they lie.
        name: What they are called in records.
        cut: How they were cut out of one video.
        sources: Those that can be used.
        texts: Prompts by file name.
        samples: Sample i, None for files that are no clip, which come last.
        counts: How many files there are, and why some are no clip.
        layout: Of another benchmark, that they are in; "" for a plain folder.
        requests: Digest of the list of requests that they were made from; "" without one.
    """

    path: Path
    name: str
    cut: Cut
    sources: Sequence[Source]
    texts: dict[str, str]
    samples: Sequence[Sample | None]
    counts: Counts
    layout: str = ""
    requests: str = ""

    def as_run(self, dataset: str | None, seed: int, reference: str = "") -> RunSpec:
        """The identity of what is scored: the clips' content and texts, and what they are compared with.

        Args:
            dataset: Name of the real clips; None without any.
            seed: Of shuffles and resamplings.
            reference: Digest of the reference file, if real clips come from one.
        """
        spec = {
            "submission": submission_digest(self.sources),
            "n": len(self.sources),
            "dataset": reference or dataset,
            "texts": digest_of(self.texts),
            **({"requests": self.requests} if self.requests else {}),
            **({"name": self.name} if folder_name(self.name) != self.name else {}),  # "a/b" is not "a_b"
        }
        return RunSpec(self.name, dataset or "none", seed, "real", spec)


def find_set(name: str, out: Path, command: Sequence[str] = ()) -> Path | None:
    """The folder of the run that is meant; None for a path of clips, which is one whatever runs are called like it.

    Args:
        name: What was typed.
        out: Folder of runs.
        command: The words that were typed, for what an error says to type where several runs are meant.
    """
    path = Path(name)
    return None if is_there(path) and not (path / "manifest.json").is_file() else find_run(name, out, command)


def open_run(folder: Path) -> SampleStore:
    """The samples of a run.

    Raises:
        MMBenchError: The folder holds records of a submission, whose clips lie elsewhere.
    """
    if not (folder / "samples").is_dir():
        path, cut = find_clips(folder)
        layout = recognise(path) if path.is_dir() else ""
        given = {"--clip-frames": cut.clip_frames, "--clip-stride": cut.clip_stride, "--layout": layout}
        words = [str(path), *(word for option, value in given.items() if value for word in (option, str(value)))]
        found = f"{folder} holds records of a submission, no samples."
        raise MMBenchError(found, "the clips themselves", shlex.join(["mmbench", "evaluate", *words]))
    return SampleStore.open(folder)


def find_clips(folder: Path) -> tuple[Path, Cut]:
    """Where the clips lie that a folder of records is of, and how they were cut.

    Raises:
        MMBenchError: They are not there any more, or others than were scored.
    """
    told = read_lines(folder / "invocations.jsonl")
    resolved = told[-1]["resolved"] if told else {}
    path = Path(resolved.get("path") or "clips that a program held")
    cut = Cut(resolved.get("clip_frames"), resolved.get("clip_stride"))
    if not is_there(path):
        shown = shlex.join(["mmbench", "show", folder.name, *name_out(folder.parent)])
        lost = f"{folder} holds records of a submission, no samples, and its clips are not there: {path}."
        raise MMBenchError(lost, "the clips themselves", shown)
    found = submission_digest(list_sources(path, cut))
    if found != read_manifest(folder).spec["submission"]:
        again = shlex.join(["mmbench", "evaluate", str(path), *name_out(folder.parent)])
        raise MMBenchError(f"The clips at {path} are others than {folder} is of.", "the same clips", again)
    return path, cut


def count_samples(store: SampleStore) -> int:
    """Up to which sample a run was made; at least 1, so that an empty run is refused where it is scored."""
    status = store.status()
    return max([*status.present, *status.failed], default=0) + 1


def label_paths(paths: Sequence[str], labels: Sequence[str]) -> list[str]:
    """What submissions are called: as given, else like their folder or file.

    Raises:
        UsageError: As many labels as submissions are expected, no two alike, and none a system's name.
    """
    for label in labels:
        refuse_taken(label)
    names = list(labels) or [Path(path).resolve().stem for path in paths]
    command = " ".join(["mmbench evaluate", *paths, *(f"--name model_{k + 1}" for k in range(len(paths)))])
    if len(names) != len(paths):
        raise UsageError(f"{len(names)} names for {len(paths)} folders of clips.", "a --name for each", command)
    if len(set(names)) < len(names):
        raise UsageError(f"Two of them would be called {max(names, key=names.count)}.", "a name for each", command)
    return names


def refuse_taken(name: str) -> None:
    """Raise UsageError for clips that would be called like a system, with whose runs a table would confuse them."""
    if name.partition("+")[0] in {row["name"] for row in catalogue("system") if not row["broken"]}:
        raise UsageError(f"--name {name} is a system's name.", "a name of its own", f"--name my_{name}")


def list_sources(path: Path, cut: Cut = WHOLE) -> list[Source]:
    """The clips of a folder as they are told apart: by the layout that the folder is unmistakably in, else as files."""
    layout = recognise(path) if path.is_dir() else ""
    if layout:
        return [source for source, _ in read_layout(path, layout)[0]]
    return submission(path, clip_frames=cut.clip_frames, clip_stride=cut.clip_stride)[0]


def _made_on_request(
    path: Path,
    name: str,
    cut: Cut,
    prompts: Path | None,
    listed: Path,
    sources: Sequence[Source],
    rejected: Sequence[Rejected],
) -> Submission:
    tables = [prompts] if prompts else [t for t in path.glob("*.csv") if not is_requests(t)]
    if tables or not holds_clips(path):
        found = f"{tables[0]} and {listed}" if tables else f"{path} is a file, and {listed} lists many"
        raise UsageError(f"{found}.", "prompts or requests, for a folder of clips", f"mmbench evaluate {path}")
    made = match_requests(path, sources, rejected, read_requests(listed))
    return Submission(path, name, cut, sources, made.texts, made.samples, made.counts, requests=made.digest)


def open_submission(path: Path, name: str, cut: Cut, given: Texts = FROM_FOLDER) -> Submission:
    """Find the clips of a folder, pairs of videos and sounds, or the clips of one video; warns of unusable files.

    Args:
        path: Folder, tar archive or video.
        name: What to call it.
        cut: How one video is cut.
        given: Where names and prompts come from; with requests, sample i is the clip of request i, with its prompt.

    Raises:
        UsageError: The folder is in a layout that is not said; several sources of prompts; requests for one file.
    """
    sources: Sequence[Source]
    if given.layout and (cut != WHOLE or given.requests):
        found = "A layout has whole clips with names of its own."
        raise UsageError(found, "--layout alone, or --clip-frames for one video", "leave out the other option")
    if given.layout:
        clips, rejected = read_layout(path, given.layout, given.prompts)
        sources, texts = [source for source, _ in clips], {Path(source.path).name: text for source, text in clips}
    elif path.is_dir() and (known := recognise(path)):
        found = f"{path} is laid out for {known}, with names and prompts of its own."
        raise UsageError(found, "the layout, said", f"mmbench evaluate {path} --layout {known}")
    else:
        sources, rejected = submission(path, clip_frames=cut.clip_frames, clip_stride=cut.clip_stride)
        texts = {}
    for bad in rejected:
        log.warning("%s is not scored: %s", bad.path, str(bad.reason).removeprefix(f"{bad.path} "))
    labels: dict[str, dict[str, str]] = {}
    if not given.layout:
        listed = given.requests or (find_requests(path) if path.is_dir() else None)
        if listed is not None:
            return _made_on_request(path, name, cut, given.prompts, listed, sources, rejected)
        texts = read_prompts(path, given.prompts) if holds_clips(path) else {}
        labels = read_labels(path, given.prompts)
    named = [(s, Path(s.path).name) for s in sources]
    samples = [Sample(s, texts.get(file, ""), labels=labels.get(file, {})) for s, file in named]
    failures = {len(sources) + k: (Path(bad.path).name, bad.reason) for k, bad in enumerate(rejected)}
    counts = Counts(len(sources) + len(rejected), failures)
    return Submission(path, name, cut, sources, texts, [*samples, *[None] * len(rejected)], counts, given.layout)
