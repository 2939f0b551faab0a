"""What a conformance runner gets and how it plugs in.

A fixture is a folder with `config.json` (its `runner`, tolerances, and the rule in words) and mostly
`fixture.safetensors` (`input.*`, `output.*`, `weights.*`). A runner is a function in a `run_*.py` file beside this one:

    @runner("vc2_unet")
    def vc2_unet(fixture: Fixture) -> None:
        model = build(fixture.config["constructor"])
        model.load_state_dict(fixture.weights(), strict=True)
        fixture.check("out", model(fixture.input("x")))
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

RUNNERS: dict[str, Callable[[Fixture], None]] = {}


def runner(*names: str) -> Callable[[Any], Any]:
    """Register a function for the fixtures whose config names one of `names` as runner."""

    def add(function: Any) -> Any:
        RUNNERS.update(dict.fromkeys(names, function))
        return function

    return add


def load_runners() -> dict[str, Callable[[Fixture], None]]:
    """Import every run_*.py beside this file."""
    for file in sorted(Path(__file__).parent.glob("run_*.py")):
        importlib.import_module(f"{__package__}.{file.stem}")
    return RUNNERS


def recipe_tensor(seed: int, key: str, shape: list[int], kind: str, exp: int) -> np.ndarray:
    """float32 values of the weight recipe (splitmix64 of the key's sha256); exact in float16 too."""
    base = int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:8], "little")
    count = int(np.prod(shape)) if shape else 1
    with np.errstate(over="ignore"):
        index = np.arange(1, count + 1, dtype=np.uint64)
        z = np.uint64(base) + index * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    if kind == "sym":
        values = ((z >> np.uint64(53)).astype(np.float64) - 1024) / 1024
    elif kind == "one":
        values = 1 + ((z >> np.uint64(56)).astype(np.float64) - 128) / 512
    elif kind == "pos":
        values = 0.5 + (z >> np.uint64(56)).astype(np.float64) / 256
    else:
        raise ValueError(f"recipe kind {kind!r}: expected sym, one or pos")
    return (2.0**exp * values).astype(np.float32).reshape(shape)


class Fixture:
    """One folder of reference outputs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config: dict[str, Any] = json.loads((path / "config.json").read_text())
        self.checked: list[str] = []

    @cached_property
    def tensors(self) -> dict[str, np.ndarray]:
        """Everything in fixture.safetensors under its full name."""
        file = self.path / "fixture.safetensors"
        if not file.exists():
            return {}
        with safe_open(file, framework="numpy") as f:
            return {key: f.get_tensor(key) for key in f.keys()}  # noqa: SIM118 - not a dict

    def json(self, name: str) -> Any:
        """A JSON file of the folder."""
        return json.loads((self.path / name).read_text())

    def array(self, name: str) -> np.ndarray:
        """Input `name`: as stored, or made of the recipe that its config gives instead."""
        if f"input.{name}" in self.tensors:
            return self.tensors[f"input.{name}"]
        spec = self.config["inputs"][name]
        recipe = spec["recipe"]
        return recipe_tensor(recipe["seed"], recipe["key"], spec["shape"], recipe["kind"], recipe["exp"])

    def input(self, name: str) -> Any:
        """Input `name` as a torch tensor."""
        import torch

        return torch.from_numpy(np.array(self.array(name)))

    def weights(self) -> dict[str, Any]:
        """The state dict under official keys, float32 torch tensors; recipe weights are made and verified."""
        import torch

        stored = {k[8:]: v for k, v in self.tensors.items() if k.startswith("weights.")}
        spec = self.config["weights"]
        if spec["storage"] == "recipe":
            recipe = spec["recipe"]
            for key, (shape, kind, exp) in recipe["tensors"].items():
                if kind != "const":
                    stored[key] = recipe_tensor(recipe["seed"], key, shape, kind, exp)
        digest = hashlib.sha256()
        state = {}
        for key in sorted(stored):
            value = stored[key]
            if value.dtype.kind == "f":
                value = value.astype(np.float32)
                digest.update(key.encode() + b"\0" + value.astype("<f4").tobytes())
            state[key] = torch.from_numpy(np.array(value))
        assert digest.hexdigest() == spec["sha256_float32"], "the weights of this fixture are not what its config says"
        return state

    def expected(self, name: str) -> np.ndarray:
        """Output `name` as stored."""
        return self.tensors[f"output.{name}"]

    def stated(self, name: str, pattern: str, usual: tuple[int, ...]) -> tuple[int, ...]:
        """The numbers in what the config says output `name` means; `usual` where it does not say."""
        found = re.search(pattern, self.config["outputs"][name].get("meaning", ""))
        return tuple(int(number) for number in found.groups()) if found else usual

    def check(self, name: str, value: Any) -> None:
        """Compare with output `name` within its own rtol, atol (and mean_atol), or exactly where it says so."""
        spec: Mapping[str, Any] = self.config["outputs"][name]
        self.check_close(value, self.expected(name), spec, name)

    def check_close(self, value: Any, want: Any, spec: Mapping[str, Any], name: str) -> None:
        """|value - want| <= atol + rtol |want| element by element; exact when the spec has no tolerance."""
        if hasattr(value, "detach"):
            value = value.detach().cpu().numpy()
        got, want = np.asarray(value), np.asarray(want)
        assert got.shape == want.shape, f"{name}: shape {got.shape}, expected {want.shape}"
        self.checked.append(name)
        if spec.get("compare") == "equal" or ("atol" not in spec and "rtol" not in spec):
            assert np.array_equal(got, want), f"{name}: not equal ({np.sum(got != want)} of {want.size} differ)"
            return
        got64, want64 = got.astype(np.float64), want.astype(np.float64)
        error = np.abs(got64 - want64)
        limit = spec.get("atol", 0.0) + spec.get("rtol", 0.0) * np.abs(want64)
        worst = float(np.max(error / np.maximum(limit, 1e-300))) if error.size else 0.0
        assert np.isfinite(got64).all() or np.array_equal(np.isnan(got64), np.isnan(want64)), f"{name}: non-finite"
        assert worst <= 1.0, f"{name}: worst error is {worst:.3g} tolerances (max {error.max():.3g})"
        if "mean_atol" in spec:
            mean = float(error.mean())
            assert mean <= spec["mean_atol"], f"{name}: mean error {mean:.3g} > {spec['mean_atol']:.3g}"
