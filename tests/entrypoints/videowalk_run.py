"""A run folder of a tiny untrained walk, as training would leave it, and small evaluation sets."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from components.files.mat_writer import write_mat
from components.media.masks import write_mask
from entrypoints.runs import build_module

HEIGHT, WIDTH = 48, 64


def walk_config(width: int = 4, whitening: bool = False) -> dict[str, Any]:
    """A resolved config."""
    layers = ["layer4"] if whitening else []
    package = "lightning_modules.videowalk"
    return {
        "model": {
            "_target_": f"{package}.module.VideoWalkModule",
            "encoder": {
                "_target_": f"{package}.networks.resnet.ResNet",
                "width": width,
                "weights": None,
                "remove_layers": layers,
            },
            "whitening": whitening,
            "walk": {"_target_": f"{package}.walk.Walk"},
            "optimizer": {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 1e-3},
        },
        "data": {"root": "nowhere"},
    }


def write_walk_run(folder: Path, seed: int = 7, whitening: bool = False) -> Path:
    """Write `checkpoints/best.ckpt`; returns the folder."""
    torch.manual_seed(seed)
    config = walk_config(whitening=whitening)
    checkpoint = {
        "state_dict": build_module(config).state_dict(),
        "troupe": {
            "format": 1, "system": "videowalk", "experiment": "videowalk", "config": config, "facts": {},
        },
    }  # fmt: skip
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, folder / "checkpoints" / "best.ckpt")
    return folder


def film(frames: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Pictures of two textured squares on a textured ground, one moving right, and their ids."""
    generator = np.random.default_rng(seed)
    ground = generator.integers(0, 120, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    texture = generator.integers(130, 255, (2, 16, 16, 3), dtype=np.uint8)
    images, masks = [], []
    for at in range(frames):
        image, ids = ground.copy(), np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        for number, (top, left) in enumerate(((4, 4 + 4 * at), (28, 40)), start=1):
            image[top : top + 16, left : left + 16] = texture[number - 1]
            ids[top : top + 16, left : left + 16] = number
        images.append(image)
        masks.append(ids)
    return images, masks


def write_davis_set(root: Path, names: tuple[str, ...] = ("bear", "cow"), frames: int = 5) -> Path:
    """Sequences of two objects in the layout of DAVIS."""
    for seed, name in enumerate(names):
        for at, (image, ids) in enumerate(zip(*film(frames, seed), strict=True)):
            _save(root / "JPEGImages" / "480p" / name / f"{at:05d}.jpg", image)
            write_mask(root / "Annotations" / "480p" / name / f"{at:05d}.png", ids)
    listed = root / "ImageSets" / "2017" / "val.txt"
    listed.parent.mkdir(parents=True, exist_ok=True)
    listed.write_text("\n".join(names) + "\n")
    return root


def write_jhmdb_set(root: Path, frames: int = 4) -> Path:
    """One test video in the layout of JHMDB, whose joints move right."""
    images, _ = film(frames, 0)
    for at, image in enumerate(images):
        _save(root / "Rename_Images" / "run" / "clip" / f"{at + 1:05d}.png", image)
    generator = np.random.default_rng(1)
    start = generator.uniform(5, 40, (2, 15, 1))
    joints = start + np.array([5.0, 0.0])[:, None, None] * np.arange(frames)
    write_mat(root / "joint_positions" / "run" / "clip" / "joint_positions.mat", "pos_img", joints)
    (root / "splits").mkdir()
    (root / "splits" / "run_test_split1.txt").write_text("clip.avi 2\n")
    return root


def write_vip_set(root: Path, frames: int = 4) -> Path:
    """One video in the layout of VIP, whose squares are hair and pants."""
    for at, (image, ids) in enumerate(zip(*film(frames, 0), strict=True)):
        _save(root / "Images" / "videos1" / f"{at + 1:012d}.jpg", image)
        parts = np.array([0, 2, 8], dtype=np.uint8)[ids]
        write_mask(root / "Annotations" / "Category_ids" / "videos1" / f"{at + 1:012d}.png", parts)
    (root / "lists").mkdir()
    (root / "lists" / "val_videos.txt").write_text("videos1\n")
    return root


def _save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, quality=95)
