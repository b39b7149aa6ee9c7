"""A run folder of a tiny untrained ACTOR, as training would leave it."""

from pathlib import Path
from typing import Any

import torch

from components.synthetic.actions import ACTIONS
from entrypoints.runs import build_module

NAMES = list(ACTIONS)


def actor_config(root: str = "nowhere", conditioning: str = "pair", **data: Any) -> dict[str, Any]:
    """A resolved config."""
    layout = {"pose_rep": "rot6d", "translation": False, "glob": True, "glob_rot": [3.141592653589793, 0.0, 0.0]}
    layout |= {key: data.pop(key) for key in list(data) if key in layout}
    shape = {key: layout[key] for key in ("pose_rep", "translation", "glob")}
    networks = "lightning_modules.actor.networks.transformer"
    return {
        "model": {
            "_target_": "lightning_modules.actor.module.ActorModule",
            "net": {
                "_target_": "lightning_modules.actor.networks.cvae.ActorCVAE",
                "encoder": {"_target_": f"{networks}.TransformerEncoder", "_partial_": True},
                "decoder": {"_target_": f"{networks}.TransformerDecoder", "_partial_": True},
                "num_classes": 12, "num_frames": 20, "latent_dim": 16, "ff_size": 16, "num_layers": 1, "num_heads": 2,
                "conditioning": conditioning, **shape,
            },
            "losses": {"_target_": "lightning_modules.actor.losses.ActorLosses"},
            "body": {
                "_target_": "lightning_modules.actor.rotation2xyz.Rotation2XYZ", "jointstype": "smpl", **layout,
            },
            "optimizer": {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 1e-3},
        },
        "data": {
            "_target_": "datamodules.actor.ActorDataModule", "root": root, "num_frames": 20, "val_fraction": 0.34,
            "batch_size": 8, **layout, **data,
        },
    }  # fmt: skip


def write_run(folder: Path, root: str = "nowhere", conditioning: str = "pair", **data: Any) -> Path:
    """Write `checkpoints/best.ckpt`; returns the folder."""
    torch.manual_seed(0)
    config = actor_config(root, conditioning, **data)
    checkpoint = {
        "state_dict": build_module(config).state_dict(),
        "troupe": {
            "format": 1, "system": "actor", "experiment": "actor_mix", "config": config,
            "facts": {"action_names": NAMES, "fps": 20},
        },
    }  # fmt: skip
    (folder / "checkpoints").mkdir(parents=True)
    torch.save(checkpoint, folder / "checkpoints" / "best.ckpt")
    return folder


def write_compositional(folder: Path, root: str) -> Path:
    """A run of single labels whose last two classes are pairs."""
    mix = {"_target_": "datamodules.actor.compositional.CompositionalClasses", "num_pairs": 2, "clips_per_class": 2,
           "pairs": [["walk", "drink"], ["run", "phone"]]}  # fmt: skip
    file = write_run(folder, root, "single", mix=mix, num_classes=14) / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    entry = checkpoint["troupe"]
    entry["config"]["model"]["net"]["num_classes"] = 14
    entry["facts"]["action_names"] = [*NAMES, "walk+drink", "run+phone"]
    checkpoint["state_dict"] = build_module(entry["config"]).state_dict()
    torch.save(checkpoint, file)
    return folder
