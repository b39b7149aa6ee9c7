"""Trainings in this process: every experiment, and one that starts from an imported encoder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from components.errors import InputError
from entrypoints.config_check import available
from entrypoints.runs import load_module, load_run
from entrypoints.train import fit
from entrypoints.videowalk_conversions import import_videowalk
from tests.datamodules.videowalk.video_folder import write_folder
from tests.entrypoints.training import train_here
from tests.lightning_modules.videowalk.networks.released_files import resnet, videowalk_content, write

EXPERIMENTS = [name for name in available("experiment") if name.startswith("videowalk")]


def write_frames(root: Path) -> Path:
    """Folders of pictures, as videowalk_frames reads them."""
    rng = np.random.default_rng(0)
    for number in range(4):
        folder = root / "train" / f"video{number}"
        folder.mkdir(parents=True)
        for frame in range(30):
            Image.fromarray(rng.integers(0, 255, (32, 40, 3), dtype=np.uint8)).save(folder / f"{frame:05d}.png")
    return root


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_runs_one_batch_of_everything(
    experiment: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "videos"
    card = train_here(
        experiment, tmp_path / "run", "debug=fast", "model.encoder.width=4", "model.encoder.remove_layers=[layer4]",
        "data.img_size=32", "data.patch_size=16", "data.clip_len=3", "data.batch_size=2",
        f"data.cache_dir={tmp_path / 'cache'}", f"paths.data={tmp_path / 'made'}",
        f"data.root={write_frames(root) if experiment == 'videowalk_frames' else write_folder(root, videos=2)}",
    )  # fmt: skip
    assert "test/cycle_acc" in capsys.readouterr().out
    assert card["status"] == "finished"


def settings(folder: Path, ckpt: Path, **encoder: Any) -> dict[str, Any]:
    """The resolved config of a tiny training."""
    optimizer = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.0}
    model = "lightning_modules.videowalk"
    return {
        "experiment": "videowalk_frames", "overrides": [], "seed": 1, "resume": None, "ckpt": str(ckpt),
        "monitor": {"name": "val/cycle_acc", "mode": "max"}, "compile": False, "test": False, "callbacks": None,
        "logger": None, "optimizer": optimizer,
        "model": {"_target_": f"{model}.module.VideoWalkModule",
                  "encoder": {"_target_": f"{model}.networks.resnet.ResNet", "width": 4, "depth": 18, **encoder},
                  "walk": {"_target_": f"{model}.walk.Walk"}, "optimizer": optimizer, "head_depth": 0,
                  "freeze_batchnorm": True},
        "data": {"_target_": "datamodules.videowalk.VideoClipsDataModule", "root": str(folder / "videos"),
                 "cache_dir": str(folder / "cache"), "batch_size": 2, "img_size": 32, "patch_size": 16, "clip_len": 3,
                 "index_workers": 1},
        "trainer": {"_target_": "lightning.pytorch.Trainer", "accelerator": "cpu", "devices": 1, "max_steps": 1,
                    "enable_progress_bar": False, "enable_model_summary": False, "fast_dev_run": False,
                    "num_sanity_val_steps": 0, "limit_val_batches": 1},
    }  # fmt: skip


def test_a_training_goes_on_from_an_imported_encoder(tmp_path: Path) -> None:
    write_folder(tmp_path / "videos", videos=2)
    source = write(tmp_path / "pretrained.pth", videowalk_content(resnet(), [(32, 128)]))
    imported = import_videowalk(str(source), output=str(tmp_path / "imported")).folder
    fit(settings(tmp_path, imported), tmp_path / "run")
    (made,) = (tmp_path / "run").rglob("*.ckpt")
    before, after = (load_module(load_run(each)).state_dict() for each in (imported, made))
    for name, value in before.items():
        torch.testing.assert_close(after[name], value)
    with pytest.raises(
        InputError, match=r"remove_layers was \[\] and not \['layer4'\].*\nSet model\.encoder\.remove_l"
    ):
        fit(settings(tmp_path, imported, remove_layers=["layer4"]), tmp_path / "other")
