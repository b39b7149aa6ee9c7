"""data=synthetic_skeletons writes its clips on first use; `prepare dataset=synthetic_skeletons` writes the same."""

import logging
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from components.errors import InputError
from components.synthetic.skeleton_clips import CLASS_TEXTS
from datamodules.skeletonclip.datamodule import SkeletonDataModule
from entrypoints import prepare
from entrypoints.film_preparations import synthetic_skeletons

CONF = Path(__file__).resolve().parents[2] / "conf"
COUNTS = dict(train_clips=1, val_clips=1, test_clips=1)
SMALL = ["data.clip_len=6", "data.size.eval=16", "data.size.train=12", "data.size.short_side=16", "data.batch_size=4",
         "data.clips.val=1", "data.heatmap.device=worker"]  # fmt: skip


def datamodule(folder: Path, *overrides: str) -> SkeletonDataModule:
    counts = [f"data.synthetic.{name}={count}" for name, count in COUNTS.items()]
    with initialize_config_dir(str(CONF), version_base=None):
        chosen = ["data=synthetic_skeletons", f"data.synthetic_root={folder}", *counts, *SMALL, *overrides]
        return instantiate(compose("train", chosen).data, _convert_="object")


def test_clips_are_written_on_first_use(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = datamodule(tmp_path / "set")
    with caplog.at_level(logging.INFO):
        data.prepare_data()
    assert caplog.text.count("SYNTHETIC skeletons") == 1
    assert "data.root=<annotation pickle>" in caplog.text
    assert list(data.label_texts) == list(CLASS_TEXTS.values())
    assert data.facts()["synthetic"]
    data.setup()
    batch = next(iter(data.train_dataloader()))
    assert batch["imgs"].shape == (4, 1, 17, 6, 12, 12)
    assert torch.isfinite(batch["imgs"]).all()
    assert batch["imgs"].amax((2, 3, 4, 5)).min() > 0.3, "every clip shows somebody"
    assert (
        len({name.split("_p")[1][:2] for stage in ("train", "val", "test") for name in data.sample_names(stage)}) > 12
    )

    # The same as `prepare` writes: nothing to do.
    done = synthetic_skeletons(str(tmp_path / "set"), **COUNTS)
    assert not done.fresh
    assert f"data.root={tmp_path / 'set'}" in done.next_step


def test_folders_of_users_are_never_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no annotation pickle"):
        datamodule(tmp_path / "set", f"data.root={tmp_path}").prepare_data()
    assert list(tmp_path.iterdir()) == []


def test_the_job_reports(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    target = OmegaConf.load(CONF / "dataset" / "synthetic_skeletons.yaml")
    content = OmegaConf.merge(target, {"folder": str(tmp_path / "set"), "force": False, **COUNTS})
    with caplog.at_level(logging.INFO):
        prepare.job(OmegaConf.create({"dataset": content}))
    assert f"written: {tmp_path / 'set'}" in caplog.text
    assert "1 synthetic clips to train" in caplog.text
    assert "overview.png" in caplog.text
