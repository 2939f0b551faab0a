"""The licence gate: what forbids commercial use is fetched only after its licence was accepted once."""

from __future__ import annotations

import os
from pathlib import Path

from mmbench.console import log
from mmbench.errors import MMBenchError
from mmbench.weights.file_digests import read_json, write_json
from mmbench.weights.weight import Weight


def require_consent(weight: Weight, ledger: Path, accept: bool) -> None:
    """Return if the licence needs no consent or has it; consent given now is kept in `ledger`, with its wording.

    Args:
        weight: What is to be fetched.
        ledger: JSON file of accepted licences by name; a licence that changed since is asked for again.
        accept: Consent given now; so do MMBENCH_ACCEPT_LICENCE=1, or =NAME,NAME for these names.

    Raises:
        MMBenchError: No consent; shows the licence, where to read it, and how to accept it.
    """
    accepted = read_json(ledger)
    if not weight.non_commercial or accepted.get(weight.name) == weight.licence:
        return
    granted = [name.strip() for name in os.environ.get("MMBENCH_ACCEPT_LICENCE", "").split(",")]
    if not (accept or "1" in granted or weight.name in granted):
        found = f"{weight.name!r} is under {weight.licence}: no commercial use."
        next_command = f"mmbench weights fetch {weight.name} --accept-licence"
        raise MMBenchError(found, f"that licence accepted once; read it at {weight.page}", next_command)
    log.warning("%s: %s accepted (no commercial use; %s)", weight.name, weight.licence, weight.page)
    write_json(ledger, {**accepted, weight.name: weight.licence})
