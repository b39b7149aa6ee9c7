"""Trains in this process what the command line would train in one of its own."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from callbacks.run_card import read_run_card
from entrypoints.config_check import check, compose_unchecked
from entrypoints.inherit import inherited
from entrypoints.train import fit


def train_here(experiment: str, run_dir: Path, *arguments: str) -> dict[str, Any]:
    """Train an experiment on the CPU with further `key=value`; its run card."""
    overrides = [
        f"experiment={experiment}", "trainer=cpu", "data.num_workers=0", f"paths.run_dir={run_dir}", *arguments,
    ]  # fmt: skip
    composed = compose_unchecked("train", overrides)
    assert composed is not None
    config = check("train", [*overrides, *inherited(overrides, composed)])
    keys = [str(key) for key in config if key != "hydra"]
    plain: Any = OmegaConf.to_container(OmegaConf.masked_copy(config, keys), resolve=True)
    fit({**plain, "experiment": experiment, "overrides": []}, run_dir)
    return read_run_card(run_dir) or {}
