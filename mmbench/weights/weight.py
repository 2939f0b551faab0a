"""What mmbench knows of a file that somebody else publishes: where it comes from, its size, digest and licence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HubSource:
    """A file, or the folder of a whole repository, on the Hugging Face hub, at a commit.

    Attributes:
        repository: OWNER/REPO.
        commit: 40 hex digits; "" where none is known here, so that the one of the first download counts.
        file: Path within the repository; "" for its folder.
        of_data: The repository is one of data, not of a model.
    """

    repository: str
    commit: str
    file: str
    of_data: bool = False

    @classmethod
    def parse(cls, source: str) -> HubSource:
        """Read `hf://OWNER/REPO@COMMIT/FILE`, without @COMMIT, without /FILE, or without both; `hf://datasets/...`."""
        place = source.removeprefix("hf://")
        owner, repository, *file = place.removeprefix("datasets/").split("/", 2)
        repository, _, commit = repository.partition("@")
        return cls(f"{owner}/{repository}", commit, "".join(file), place.startswith("datasets/"))


@dataclass(frozen=True)
class Weight:
    """A file, or a folder of them, of somebody else that mmbench can use: a checkpoint, a list of prompts.

    Attributes:
        name: What users type.
        file: Path below the weights folder; MMDisCo's own layout below ./checkpoints where it has one.
        sources: Tried in order: `https://...`, with "/" at its end for a folder of which `members` are fetched, or
            `hf://...` as `HubSource` reads it; none if only people can fetch it.
        purpose: What it is for, a few words.
        licence: As its publisher states it.
        sha256: Digest, if published.
        bytes: Size, if published.
        non_commercial: The licence forbids commercial use, so a user accepts it once before the download.
        page: Where people read about it, and its licence.
        patterns: For a folder: which files of the repository belong to it; empty for a single file.
        members: For a folder: files without which it is of no use; "a|b" is either of two.
        also: Other paths below the weights folder that it may lie at.
    """

    name: str
    file: str
    sources: tuple[str, ...]
    purpose: str
    licence: str
    sha256: str | None = None
    bytes: int | None = None
    non_commercial: bool = False
    page: str = ""
    patterns: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
