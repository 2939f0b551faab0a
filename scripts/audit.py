"""Compares the pinned dependencies with known vulnerabilities: `make audit`.

    .venv/bin/python scripts/audit.py

pip-audit does it, with a vulnerability service on the network. Where either is not to be had, the audit is skipped,
says why, and ends with 0: it fails only over what was found.
"""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PINNED = Path(__file__).resolve().parent.parent / "constraints.txt"
SERVICE = ("api.osv.dev", 443)
PATIENCE = 3.0  # [s] for the service to answer
LIMIT = 300.0  # [s] for the audit


def find_reason_to_skip(service: tuple[str, int] = SERVICE) -> str:
    """Why no audit is possible here; "" if it is."""
    if importlib.util.find_spec("pip_audit") is None:
        return f"pip-audit is not installed; {sys.executable} -m pip install pip-audit"
    try:
        socket.create_connection(service, timeout=PATIENCE).close()
    except OSError as error:
        return f"{service[0]} does not answer ({error})"
    return ""


def audit(command: Sequence[str]) -> int:
    """Run pip-audit; its exit status, or 0 and a reason where the service broke off."""
    try:
        done = subprocess.run(command, timeout=LIMIT, check=False, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        print(f"audit skipped: no answer within {LIMIT:g} s")
        return 0
    print(done.stdout, end="")
    if done.returncode and not done.stdout.strip():  # it prints what it found; without that it could not look
        print(f"audit skipped: {(done.stderr.strip() or 'pip-audit failed').splitlines()[-1]}")
        return 0
    return done.returncode


def main() -> int:
    """Audit the pinned dependencies, or say why not."""
    if reason := find_reason_to_skip():
        print(f"audit skipped: {reason}")
        return 0
    options = ["--requirement", str(PINNED), "--no-deps", "--disable-pip", "--vulnerability-service", "osv"]
    return audit([sys.executable, "-m", "pip_audit", *options, "--progress-spinner", "off", "--timeout", "10"])


if __name__ == "__main__":
    sys.exit(main())
