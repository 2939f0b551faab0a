"""mmbench: a benchmark and evaluation harness for joint audio-video generation.

As a library (docs/library.md): `score`, `Evaluator` for use during a training, `load_clips`, `compare`. What is in
`__all__` is public. A name is imported when it is first used, so that `import mmbench` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmbench.api.clips import Clips
    from mmbench.api.compare import Comparison, compare
    from mmbench.api.evaluator import Evaluator
    from mmbench.api.loading import load_clips
    from mmbench.api.metric_score import MetricScore
    from mmbench.api.score import score
    from mmbench.api.scores import Scores
    from mmbench.errors import MMBenchError
    from mmbench.registry import load_plugin

__version__ = "0.1.0"
__all__ = [
    "Clips",
    "Comparison",
    "Evaluator",
    "MMBenchError",
    "MetricScore",
    "Scores",
    "__version__",
    "compare",
    "load_clips",
    "load_plugin",
    "score",
]
_MODULES = {
    "Clips": "mmbench.api.clips",
    "Comparison": "mmbench.api.compare",
    "Evaluator": "mmbench.api.evaluator",
    "MMBenchError": "mmbench.errors",
    "MetricScore": "mmbench.api.metric_score",
    "Scores": "mmbench.api.scores",
    "compare": "mmbench.api.compare",
    "load_clips": "mmbench.api.loading",
    "load_plugin": "mmbench.registry",
    "score": "mmbench.api.score",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'mmbench' has no attribute {name!r}; public are {', '.join(__all__)}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
