"""Any two pipelines of diffusers as a pair that MMDisCo can guide: pipelines:FILE.toml describes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmbench.baselines.models.pipelines.system import PipelineSystem
from mmbench.errors import UsageError
from mmbench.registry import register
from mmbench.system_names import keywords_of


@register("system", "pipelines", "Any two pipelines of diffusers: pipelines:FILE.toml describes them.", guidable=True)
class Pipelines(PipelineSystem):
    """A text-to-video and a text-to-audio pipeline that a TOML file describes (`mmbench...pipelines.description`)."""

    def __init__(self, file: str = "", **settings: Any) -> None:
        """Read the description; see `PipelineSystem` for the settings.

        Args:
            file: The description.
            **settings: Common settings and options of `PipelineSystem`.

        Raises:
            UsageError: No description, or one that cannot be right.
        """
        if not file:
            wanted = "pipelines:FILE.toml, with a file as docs/pairs.md shows"
            raise UsageError("The system pipelines needs a description.", wanted, "-s pipelines:my_pair.toml")
        self.file = Path(file)
        super().__init__(**settings)

    @staticmethod
    def options() -> dict[str, Any]:
        """Options and their defaults, by name: those of `PipelineSystem`."""
        return keywords_of(PipelineSystem)
