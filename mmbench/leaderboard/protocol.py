"""What two numbers must share to stand in one ranking."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mmbench.dataset_names import parse_dataset_name
from mmbench.identity import canonical_json, digest_of
from mmbench.leaderboard.submission import Entry
from mmbench.tables.compare import identify_reference
from mmbench.types import is_untrained


@dataclass(frozen=True)
class Setting:
    """What was asked of systems: several metrics may judge what they made of it.

    Attributes:
        dataset: Name, without the path at which somebody keeps it.
        dataset_digest: Of its content.
        prompts: Digest of the texts.
        n: Samples asked for.
        seed: What prompts and real clips were drawn with.
        untrained: Whether the systems' weights are random or tiny, which tries the plumbing.
    """

    dataset: str
    dataset_digest: str
    prompts: str
    n: int
    seed: int
    untrained: bool

    @property
    def title(self) -> str:
        """As a heading: dataset, n and seed."""
        kind = ", untrained systems" if self.untrained else ""
        return f"{self.dataset}, n = {self.n}, seed {self.seed}{kind}"


@dataclass(frozen=True)
class Protocol:
    """What was asked and how it was judged; numbers of one protocol may be ranked, of two never.

    Attributes:
        setting: What was asked.
        metric: name.variant.
        signature: Of the metric: name | variant | extractors | sizes of the clips | version.
        higher_is_better: Its direction.
        extractor_weights: How real its networks are.
        reference: Which real clips it compares with, in words; "" for none.
    """

    setting: Setting
    metric: str
    signature: str
    higher_is_better: bool
    extractor_weights: str
    reference: str

    @property
    def id(self) -> str:
        """Twelve hex digits that stand for it."""
        return digest_of(asdict(self))[:12]

    @property
    def file_name(self) -> str:
        """Of the file with its rows."""
        clean = "".join(c if c.isalnum() and c.isascii() else "_" for c in f"{self.setting.dataset}-{self.metric}")
        return f"{clean[:80]}-n{self.setting.n}-{self.id}.json"

    def to_json(self) -> dict[str, Any]:
        """Its fields without nesting, with its id as `protocol`."""
        fields = asdict(self)
        return {"protocol": self.id, **fields.pop("setting"), **fields}


def setting_of(entry: Entry) -> Setting:
    """What the system of an entry was asked."""
    r = entry.record
    dataset = parse_dataset_name(r.dataset)
    name = str(dataset.at(""))
    return Setting(name, entry.dataset_digest, entry.prompts, r.n_expected, r.seed, is_untrained(r.weights))


def protocol_of(entry: Entry) -> Protocol:
    """What an entry's number may be ranked under."""
    r = entry.record
    known = identify_reference(r)
    if "dataset" in known:
        known["dataset"] = str(parse_dataset_name(str(known["dataset"])).at(""))
    words = {k: v if isinstance(v, str) else canonical_json(v) for k, v in known.items()}
    reference = ", ".join(f"{name} {words[name]}" for name in sorted(words))
    return Protocol(setting_of(entry), r.metric, r.signature, r.higher_is_better, r.extractor_weights, reference)
