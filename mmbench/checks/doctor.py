"""Looks at the installation: what works on this machine, what is missing, and what to type for it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from pathlib import Path
from typing import Any

from mmbench import __version__
from mmbench.optional_protocols import ReportsPresence
from mmbench.registry import Kind, discover
from mmbench.runs.circumstances import git_state, packages

OPTIONAL = {"matplotlib": "figures", "tensorboard": "train"}
WORST_FIRST = ("broken", "missing", "ok")
CLASHING = ("torchvision", "torchaudio", "xformers")


def _row(check: str, status: str, found: str, next: str = "") -> dict[str, Any]:
    return {"check": check, "status": status, "found": found, "next": next}


def examine_installation(out: Path) -> list[dict[str, Any]]:
    """Look at packages, devices, plugins, folders, weights and datasets.

    Args:
        out: The folder of runs.

    Returns:
        One row per check, what is wrong first: status "broken", "missing" (something optional is absent) or "ok", what
        was found, and what to type next.
    """
    rows = [_row("mmbench", "ok", f"{__version__}" + _git_text()), _python()]
    rows += [_torch(), *_packages(), *_plugins(), _folder("results", out), _folder("weights", _home())]
    return sorted([*rows, *_weights(), *_datasets()], key=lambda row: WORST_FIRST.index(row["status"]))


def _git_text() -> str:
    state = git_state()
    return f" (revision {state['revision'][:10]}{', changed' if state['dirty'] else ''})" if state else ""


def _python() -> dict[str, Any]:
    version = platform.python_version()
    good = tuple(int(x) for x in version.split(".")[:2]) >= (3, 11)
    return _row("python", "ok" if good else "broken", version, "" if good else "install Python 3.11 or newer")


def _torch() -> dict[str, Any]:
    try:
        import torch
    except Exception as error:
        return _row("torch", "broken", f"{type(error).__name__}: {error}", "pip install -c constraints.txt torch")
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    where = ", ".join(devices) if devices else f"CPU only, {torch.get_num_threads()} threads"
    return _row("torch", "ok", f"{torch.__version__}; {where}")


def _packages() -> list[dict[str, Any]]:
    rows = [
        _row("packages", "ok", ", ".join(f"{k} {v}" for k, v in packages().items() if k not in ("python", "torch")))
    ]
    for name, extra in OPTIONAL.items():
        if importlib.util.find_spec(name) is None:
            rows.append(_row(name, "missing", f"needed for {extra}", f"pip install 'mmbench[{extra}]'"))
    for name in CLASHING:
        if importlib.util.find_spec(name) is not None:
            found = "installed; mmbench does not use it, and a build for another torch breaks transformers' imports"
            rows.append(_row(name, "missing" if _imports(name) else "broken", found, f"pip uninstall {name}"))
    return rows


def _imports(name: str) -> bool:
    try:
        __import__(name)
    except Exception:
        return False
    return True


def _plugins() -> list[dict[str, Any]]:
    rows = []
    kinds: tuple[Kind, ...] = ("system", "dataset", "metric")
    for kind in kinds:
        entries, broken = discover(kind)
        rows.append(_row(f"{kind}s", "ok", ", ".join(entries), f"mmbench list {kind}s"))
        rows += [_row(f"{kind} {b.name}", "broken", f"{b.error} (from {b.origin})", "fix or remove it") for b in broken]
    return rows


def _home() -> Path:
    from mmbench.weights.locations import home

    return home()


def _folder(what: str, path: Path) -> dict[str, Any]:
    there = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
    if not os.access(there, os.W_OK):
        return _row(f"{what} folder", "broken", f"{path}: {there} is not writable", "--out FOLDER, or MMBENCH_HOME")
    free = shutil.disk_usage(there).free / 2**30
    return _row(f"{what} folder", "ok", f"{path}: {free:.0f} GiB free")


def _weights() -> list[dict[str, Any]]:
    from mmbench.baselines.models.latent.inspection import examine as examine_tensors
    from mmbench.weights.checkpoints import find_fault, status

    rows = []
    for w in status():
        name, wrong = f"weights {w['name']}", find_fault(w["name"])
        if w["path"] is None:
            rows.append(_row(name, "missing", f"for {w['purpose']}", f"mmbench weights fetch {w['name']}"))
        elif wrong := wrong or examine_tensors(w["name"]):
            rows.append(_row(name, "broken", f"{wrong.found} Expected: {wrong.expected}.", wrong.next))
        else:
            rows.append(_row(name, "ok", w["path"]))
    return rows


def _datasets() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for entry in discover("dataset")[0].values():
        if isinstance(entry.factory, ReportsPresence):
            ok, found, next = entry.factory.presence()
            rows.append(_row(f"dataset {entry.name}", "ok" if ok else "missing", found, "" if ok else next))
    return rows
