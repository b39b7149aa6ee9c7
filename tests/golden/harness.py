"""Reads golden cases: arrays, configuration, tolerances and the rules that make weights from key names.

`TROUPE_GOLDEN=<folder>` selects another folder with the same cases and other numbers.
"""

import fnmatch
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

GOLDEN = Path(os.environ.get("TROUPE_GOLDEN", Path(__file__).resolve().parents[3] / "shared" / "golden"))


def case_names(system: str) -> list[str]:
    """Names of all cases of a system, sorted; empty where the folder is absent."""
    return sorted(path.stem for path in (GOLDEN / system).glob("*.json"))


@dataclass
class Case:
    """One golden case. `arrays` holds numpy arrays by their full name (`in/x`, `out/mu`, ...)."""

    system: str
    name: str
    meta: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def tensor(self, name: str) -> Tensor:
        """A copy of one array as a tensor."""
        return torch.from_numpy(np.array(self.arrays[name]))

    def names(self, prefix: str) -> list[str]:
        """Array names that start with a prefix."""
        return [name for name in self.arrays if name.startswith(prefix)]

    def tolerance(self, name: str) -> dict[str, float]:
        """rtol and atol that the json states for one array."""
        compare = self.meta["compare"]
        if "per_array" not in compare and "rtol" not in compare:  # patterns beside `default`; what they leave out is 0
            rules = [(part, rule) for names, rule in compare.items() for part in names.split(", ")]
            chosen = [rule for part, rule in rules if part != "default" and fnmatch.fnmatch(name, part)]
            rule = chosen[0] if chosen else compare["default"]
            return {"rtol": rule.get("rtol", 0.0), "atol": rule.get("atol", 0.0)}
        for pattern, value in compare.get("per_array", {}).items():
            if fnmatch.fnmatch(name, pattern):
                return {"rtol": value.get("rtol", compare["rtol"]), "atol": value.get("atol", compare["atol"])}
        return {"rtol": compare["rtol"], "atol": compare["atol"]}

    def check(self, name: str, actual: Tensor | np.ndarray | float) -> None:
        """Compare a result with the recorded array, within the stated tolerance."""
        value = actual.detach().cpu().numpy() if isinstance(actual, Tensor) else np.asarray(actual)
        expected = self.arrays[name]
        assert value.shape == expected.shape, f"{self.name}:{name}: shape {value.shape}, expected {expected.shape}"
        np.testing.assert_allclose(value, expected, **self.tolerance(name), err_msg=f"{self.name}:{name}")

    def weights(self) -> dict[str, Tensor]:
        """State dict, stored or by the case's rule; entries of `constant_buffers` are left out."""
        if self.meta["weights"].startswith("stored"):
            return {name.removeprefix("state/"): self.tensor(name) for name in self.names("state/")}
        return named_weights(self.meta)


def load_case(system: str, name: str) -> Case:
    """Read one case; skips the test where the folder is absent."""
    folder = GOLDEN / system
    if not (folder / f"{name}.json").is_file():
        pytest.skip(f"golden case {system}/{name} is absent: set TROUPE_GOLDEN to the folder that holds it")
    meta = json.loads((folder / f"{name}.json").read_text())
    with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    return Case(system, name, meta, arrays)


def named_weights(meta: dict[str, Any]) -> dict[str, Tensor]:
    """Weights as a function of key names: the rules `name_fill_v1`, `name_rng_v1` and `name_fill_v2`."""
    rule = meta["weights"]
    constant = set(meta.get("constant_buffers", []))
    keys = meta["state_keys"].items() if isinstance(meta["state_keys"], dict) else meta["state_keys"]
    return {key: _fill(key, tuple(shape), rule) for key, shape in keys if key not in constant}


def _fill(name: str, shape: tuple[int, ...], rule: str) -> Tensor:
    count = int(np.prod(shape)) if shape else 1
    crc = zlib.crc32(name.encode())
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if rule == "name_fill_v1":
        values = np.sin(0.37 * np.arange(count, dtype=np.float64) + crc % 1000)
    elif rule == "name_rng_v1":
        values = np.random.default_rng(crc).standard_normal(count)
    elif rule == "name_fill_v2":
        values = np.random.default_rng(crc).uniform(-1, 1, count)
    else:
        raise ValueError(f"unknown weights rule '{rule}'")
    if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
        values = 1 + 0.1 * values
    elif len(shape) < 2:
        values = 0.1 * values
    else:
        gain = 6.0 if rule == "name_fill_v2" else 2.0
        values = values * np.sqrt(gain / (count / shape[0]))
    return torch.from_numpy(values.astype(np.float32).reshape(shape))
