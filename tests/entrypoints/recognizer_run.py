"""A run folder of a tiny untrained recogniser, as training would leave it."""

from pathlib import Path
from typing import Any

import torch

from entrypoints.runs import build_module
from tests.entrypoints.actor_run import NAMES


def recognizer_config(num_classes: int = 12, **layout: Any) -> dict[str, Any]:
    """A resolved config of a GRU on the 24 joints."""
    shape = {"pose_rep": "rot6d", "translation": False, "glob": True, "glob_rot": [3.141592653589793, 0.0, 0.0]}
    shape |= layout
    return {
        "model": {
            "_target_": "lightning_modules.actor.recognizer.RecognizerModule",
            "net": {
                "_target_": "lightning_modules.actor.networks.gru_recognizer.GRURecognizer",
                "input_size": 72, "hidden_size": 8, "num_layers": 1, "feature_size": 4, "num_classes": num_classes,
            },
            "positions": {
                "_target_": "lightning_modules.actor.rotation2xyz.Rotation2XYZ", "jointstype": "smpl", **shape,
            },
            "optimizer": {"_target_": "torch.optim.Adam", "_partial_": True},
            "num_classes": num_classes, **shape,
        },
    }  # fmt: skip


def write_recognizer(
    folder: Path,
    root: str = "nowhere",
    names: list[str] = NAMES,
    seed: int = 0,
    val_fraction: float = 0.34,
    **layout: Any,
) -> Path:
    """Write `checkpoints/best.ckpt`; returns the folder."""
    torch.manual_seed(seed)
    config = recognizer_config(len(names), **layout)
    data = {"_target_": "datamodules.actor.ActorDataModule", "root": root, "num_frames": 20, "translation": False}
    config["data"] = {**data, "val_fraction": val_fraction, "num_classes": len(names), **layout}
    checkpoint = {
        "state_dict": build_module(config).state_dict(),
        "troupe": {
            "format": 1, "system": "actor", "experiment": "actor_recognizer_gru", "config": config,
            "facts": {"action_names": list(names), "fps": 20},
        },
    }  # fmt: skip
    (folder / "checkpoints").mkdir(parents=True)
    torch.save(checkpoint, folder / "checkpoints" / "best.ckpt")
    return folder
