"""A user's copy of a dataset's videos, as `mmbench data` and `mmbench doctor` see it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from mmbench.dataset_names import parse_dataset_name
from mmbench.datasets.copies.conformed import Preparation
from mmbench.errors import MMBenchError, UsageError
from mmbench.registry import make_dataset
from mmbench.types import ClipFormat


class VideoCopy(ABC):
    """A dataset of videos that the user has.

    Attributes:
        name: Registered name.
        format: Of its clips.
        captioned: Whether its prompts are captions, which `mmbench data caption` can write.
        root: The folder.
    """

    name: ClassVar[str]
    format: ClipFormat
    captioned: ClassVar[bool] = False
    root: Path

    @abstractmethod
    def __init__(self, path: str = "") -> None:
        """Find the copy at `path`, or where the dataset looks; MMBenchError if it is nowhere."""

    @property
    @abstractmethod
    def videos(self) -> Mapping[str, str]:
        """Path below the root by key of the videos that are here and may be used."""

    @property
    @abstractmethod
    def missing(self) -> Sequence[str]:
        """Names of videos that the dataset's published list has and the copy has not; none without a list."""

    @property
    @abstractmethod
    def preparation(self) -> Preparation:
        """The way in which its videos are made ready once."""

    @classmethod
    def presence(cls) -> tuple[bool, str, str]:
        """For `mmbench doctor`: whether the copy is here, where or why not, and what to type."""
        try:
            return True, str(cls().root), ""
        except MMBenchError as error:
            return False, error.found, error.next


def open_copy(name: str, root: Path | None = None) -> VideoCopy:
    """Opens the copy of a dataset of videos.

    Args:
        name: The dataset, or dataset:PATH, with options for another shape of its clips.
        root: Where the copy is; None for where the dataset looks.

    Raises:
        UsageError: The dataset is not one of videos that users have.
        MMBenchError: The copy is nowhere.
    """
    dataset = make_dataset(str(parse_dataset_name(name).at(str(root))) if root else name)
    if not isinstance(dataset, VideoCopy):
        found = f"There are no videos of {name} to check or prepare."
        raise UsageError(found, "vggsound, landscape, landscape_ind or aistpp", "mmbench list datasets")
    return dataset
