"""Items that are read when asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from copy import copy
from typing import Any, overload

from mmbench.types import Item


class LazyItems(Sequence[Item]):
    """Items made from what was chosen, each when indexed; a slice is another such sequence.

    Attributes:
        chosen: What `make` needs to know of each item.
    """

    chosen: Sequence[Any]

    @abstractmethod
    def make(self, choice: Any) -> Item:
        """Read one item."""

    @abstractmethod
    def text(self, choice: Any) -> str:
        """The text of one item, without reading it."""

    @property
    def texts(self) -> list[str]:
        """The texts of all items, without reading them."""
        return [self.text(choice) for choice in self.chosen]

    def __len__(self) -> int:
        return len(self.chosen)

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> LazyItems: ...

    def __getitem__(self, index: int | slice) -> Item | LazyItems:
        if isinstance(index, slice):
            part = copy(self)
            part.chosen = self.chosen[index]
            return part
        return self.make(self.chosen[index])
