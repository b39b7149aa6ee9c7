"""A run whose test has other classes than its training."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import DataLoader

from components.errors import InputError
from lightning_modules.skeletonclip.classifier_module import SkeletonClassifierModule
from tests.lightning_modules.skeletonclip.tiny import tiny_batch, tiny_module


class Data(LightningDataModule):
    """Two classes to train on, three others to test."""

    label_texts = ("jump", "run")
    test_label_texts = ("sit", "wave", "walk")

    def train_dataloader(self) -> Any:
        return DataLoader([tiny_batch([0, 1, 0])], batch_size=None)

    def val_dataloader(self) -> Any:
        return DataLoader([tiny_batch([0, 1])], batch_size=None)

    def test_dataloader(self) -> Any:
        return DataLoader([tiny_batch([0, 1, 2, 2])], batch_size=None)


def test_the_test_has_its_own_texts_behind_a_checkpoint_too(tmp_path: Path) -> None:
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, default_root_dir=tmp_path,
    )  # fmt: skip
    module, data = tiny_module(texts=None), Data()
    trainer.fit(module, datamodule=data)
    assert module.texts.names == ["jump", "run"]
    path = tmp_path / "run.ckpt"
    trainer.save_checkpoint(path)
    trainer.test(module, datamodule=data, ckpt_path=path, weights_only=True, verbose=False)
    assert module.texts.names == ["sit", "wave", "walk"]
    batch = tiny_batch([0, 1, 2, 2])
    with torch.no_grad():
        own = tiny_module(texts=list(Data.test_label_texts))
        own.net.load_state_dict(module.net.state_dict())
        scores = own.eval().clip_scores(batch["imgs"])
    assert trainer.callback_metrics["test/top1"] == (scores.argmax(1) == batch["label"]).float().mean()
    trainer.validate(module, datamodule=data, verbose=False)
    assert module.texts.names == ["jump", "run"]


def test_a_classifier_refuses_them() -> None:
    backbone = torch.nn.Identity()
    backbone.channels = 4  # type: ignore[assignment]
    module = SkeletonClassifierModule(backbone, lambda parameters: None, num_classes=2)  # type: ignore[arg-type]
    module._trainer = SimpleNamespace(datamodule=SimpleNamespace(unseen_classes=["walk"]))  # type: ignore[assignment]
    with pytest.raises(InputError, match=r"data\.unseen_classes=\['walk'\]: a classifier knows no texts"):
        module.setup("fit")
