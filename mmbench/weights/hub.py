"""Checkpoints of the Hugging Face hub: they stay in the user's own cache, and the weights folder links to them.

Nothing in that cache is moved, changed or deleted here. A source names the commit that its files are of. Where nobody
pinned one, the commit that the hub gives at the first download is recorded, and every later download asks for it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from mmbench.console import log
from mmbench.errors import MMBenchError
from mmbench.weights.file_digests import read_json, write_json
from mmbench.weights.locations import REQUIRE_DIGESTS, home, is_on
from mmbench.weights.weight import HubSource

SNAPSHOTS = "snapshots"  # folder of the hub's cache: snapshots/COMMIT/FILE


def commits_file() -> Path:
    """Where the commits of first downloads are recorded, by repository."""
    return home() / "commits.json"


def link_from_hub(source: str, patterns: Sequence[str], part: Path, offline: bool = False, quiet: bool = False) -> None:
    """Have files of the hub in the user's cache, downloading what it lacks, and make `part` a link to them.

    Args:
        source: As `HubSource.parse` reads it; without a file, `part` becomes a folder of links.
        patterns: For a folder: the files of the repository that belong to it.
        part: What to make; what is there is replaced.
        offline: Take what is in the cache, open no connection.
        quiet: No progress on stderr.

    Raises:
        MMBenchError: The hub does not give it, or it is not in the cache; says why.
    """
    import huggingface_hub as hub
    from huggingface_hub.utils.tqdm import disable_progress_bars

    wanted = HubSource.parse(source)
    recorded = "" if wanted.commit else read_json(commits_file()).get(wanted.repository, "")
    commit = wanted.commit or recorded or None
    kind = "dataset" if wanted.of_data else "model"
    if quiet:
        disable_progress_bars()
    try:
        if commit is None and not offline:  # named before anything is downloaded
            commit = _name_commit(hub.repo_info(wanted.repository, repo_type=kind).sha, wanted)
        if wanted.file:
            got = hub.hf_hub_download(
                wanted.repository, wanted.file, revision=commit, local_files_only=offline, repo_type=kind
            )
        else:
            got = hub.snapshot_download(
                wanted.repository, revision=commit, allow_patterns=[*patterns], local_files_only=offline, repo_type=kind
            )
    except MMBenchError:
        raise
    except Exception as error:  # the hub's HTTP client, and with it the exceptions, changes between its versions
        where = f" at commit {recorded}, which {commits_file()} records" if recorded else ""
        raise MMBenchError(f"{source}{where}: {type(error).__name__}: {error}") from error
    if not (wanted.commit or recorded):
        commit = commit or _commit_in(Path(got))
        log.warning("%s: commit %s, recorded now; later downloads are held to it.", wanted.repository, commit)
        write_json(commits_file(), {**read_json(commits_file()), wanted.repository: commit})
    _link(Path(got), patterns, part)


def is_link(path: Path) -> bool:
    """Whether a checkpoint is a link, or a folder of nothing but links, that can be removed without loss."""
    if path.is_symlink() or not path.is_dir():
        return path.is_symlink()
    return all(file.is_symlink() for file in path.rglob("*") if not file.is_dir())


def linked_commit(path: Path) -> str:
    """The commit of the hub that a checkpoint was linked from; "" for files that were not."""
    links = [path] if path.is_symlink() else sorted(file for file in path.rglob("*") if file.is_symlink())
    return _commit_in(Path(os.readlink(links[0]))) if links else ""


def remove(path: Path) -> None:
    """Remove a link, a folder of links or a file; what links point to stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _name_commit(commit: str | None, wanted: HubSource) -> str:
    """The commit that the hub names for a repository that nobody pinned, unless trust on first use is forbidden."""
    if is_on(REQUIRE_DIGESTS) or commit is None:
        found = f"No commit of {wanted.repository} is known here; the hub's is {commit} now."
        remedy = f"look at that commit, then {REQUIRE_DIGESTS}=0 mmbench weights fetch NAME"
        raise MMBenchError(found, f"a pinned commit, as {REQUIRE_DIGESTS} asks", remedy)
    return commit


def _commit_in(path: Path) -> str:
    parts = path.parts
    return parts[parts.index(SNAPSHOTS) + 1] if SNAPSHOTS in parts[:-1] else ""


def _link(got: Path, patterns: Sequence[str], part: Path) -> None:
    remove(part)
    part.parent.mkdir(parents=True, exist_ok=True)
    if got.is_file():
        part.symlink_to(got.absolute())
        return
    files = {file.relative_to(got).as_posix(): file for file in got.rglob("*") if file.is_file()}
    for name in files:
        if not any(fnmatch(name, pattern) for pattern in patterns):
            continue  # its owner has more of the repository than belongs to the checkpoint
        link = part / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(files[name].absolute())
