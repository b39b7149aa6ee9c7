"""Run folders of tiny untrained models of skeleton clips, as training would leave them, and a small set of clips."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import torch

from components.keypoints.annotations import SkeletonClip, SkeletonSet, write_skeleton_set
from entrypoints.runs import build_module

NAMES = ["wave", "run", "sit down", "jump"]
NETWORKS = "lightning_modules.skeletonclip.networks"
SETTINGS = "datamodules.skeletonclip.settings"


def write_clips(folder: Path, per_class: int = 6, seed: int = 0) -> Path:
    """Annotations `clips.pkl` with the splits train and test, and `labels.csv`; returns the folder."""
    generator = np.random.default_rng(seed)
    clips, splits = [], {"train": [], "test": [], "empty": []}  # type: ignore[var-annotated]
    for number in range(per_class * len(NAMES)):
        label, frames = number % len(NAMES), 8 + number % 3
        start = generator.uniform(20, 80, (1, 1, 17, 2))
        waves = np.sin(np.arange(frames) * (label + 1) / 2)
        swing = waves[None, :, None, None] * generator.uniform(0, 12, (1, 1, 17, 2))
        name = f"c{number:02d}"
        clips.append(
            SkeletonClip(
                name, label, (start + swing).astype(np.float32),
                generator.uniform(0.5, 1, (1, frames, 17)).astype(np.float32), (100, 100), frames,
            )
        )  # fmt: skip
        splits["train" if number < per_class * len(NAMES) // 2 else "test"].append(name)
    folder.mkdir(parents=True, exist_ok=True)
    write_skeleton_set(folder / "clips.pkl", SkeletonSet(clips, splits))
    (folder / "labels.csv").write_text("id,name\n" + "".join(f"{i},{name}\n" for i, name in enumerate(NAMES)))
    return folder


def data_config(root: Path | str, **changed: Any) -> dict[str, Any]:
    """Data of 4 frames of 12 x 12."""
    data = {
        "_target_": "datamodules.skeletonclip.SkeletonDataModule",
        "root": str(root), "train_split": "train", "val_split": "test", "test_split": "test", "skeleton": "coco17",
        "clip_len": 4,
        "clips": {"_target_": f"{SETTINGS}.ClipCounts", "train": 1, "val": 1, "test": 2},
        "size": {"_target_": f"{SETTINGS}.CanvasSizes", "short_side": 12, "train": 12, "eval": 12},
        "heatmap": {"_target_": f"{SETTINGS}.Heatmap", "kind": "keypoint"},
        "batch_size": 4, "eval_batch_size": 5, "num_workers": 0,
    }  # fmt: skip
    return data | changed


def _backbone() -> dict[str, Any]:
    return {
        "_target_": f"{NETWORKS}.slowonly.ResNet3dSlowOnly", "in_channels": 17, "base_channels": 4,
        "stage_blocks": [1, 1, 1],
    }  # fmt: skip


def clip_config(pooling: str = "text_weighted", **changed: Any) -> dict[str, Any]:
    """A model with texts."""
    words = _words()
    return {
        "_target_": "lightning_modules.skeletonclip.module.SkeletonClipModule",
        "video_encoder": {"_target_": f"{NETWORKS}.video_encoder.VideoEncoder", "resnet": _backbone()},
        "text_encoder": {
            "_target_": f"{NETWORKS}.text_encoder.TextEncoder", "vocab_size": words, "hidden_size": 8, "num_layers": 1,
            "num_heads": 2, "intermediate_size": 8, "max_positions": 16,
        },
        "tokenizer": {"_target_": f"{NETWORKS}.tokenizer.ClassTokenizer", "source": "builtin"},
        "optimizer": {"_target_": "torch.optim.Adam", "_partial_": True},
        "embed_dim": 12, "embedder": "residual_mlp", "pooling": pooling, "objective": "all_class",
        **changed,
    }  # fmt: skip


def classifier_config() -> dict[str, Any]:
    """The baseline."""
    return {
        "_target_": "lightning_modules.skeletonclip.classifier_module.SkeletonClassifierModule",
        "backbone": _backbone(), "optimizer": {"_target_": "torch.optim.Adam", "_partial_": True}, "num_classes": 4,
    }  # fmt: skip


@functools.cache
def _words() -> int:
    from lightning_modules.skeletonclip.networks.tokenizer import ClassTokenizer

    return ClassTokenizer("builtin").vocab_size


def write_skeleton_run(
    folder: Path, root: Path | str, model: dict[str, Any] | None = None, seed: int = 3, **data: Any
) -> Path:
    """Write `checkpoints/best.ckpt`; returns the folder."""
    torch.manual_seed(seed)
    config = {"model": model or clip_config(), "data": data_config(root, **data)}
    module = build_module(config)
    if hasattr(module, "set_texts"):
        module.set_texts(NAMES)
    for each in module.modules():  # statistics of data, as after training: fresh ones leave all clips alike
        if isinstance(each, torch.nn.BatchNorm3d):
            each.running_var = 0.02 * torch.ones(each.num_features)
    if hasattr(module, "set_texts"):  # texts that differ as trained ones do
        for each in module.net.text_encoder.parameters():
            each.data.mul_(15 if each.ndim > 1 else 1)
    checkpoint = {
        "state_dict": module.state_dict(),
        "troupe": {
            "format": 1, "system": "skeletonclip", "experiment": "skeletonclip_tiny", "config": config,
            "facts": {"class_names": NAMES},
        },
    }  # fmt: skip
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, folder / "checkpoints" / "best.ckpt")
    return folder
