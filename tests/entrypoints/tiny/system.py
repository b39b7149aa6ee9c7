"""A system of four parameters: the entry points are tested on it in seconds, with real Lightning fits."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from components.errors import InputError


class TinyModule(LightningModule):
    """Linear regression with dropout, so that a lost random state shows in the losses."""

    def __init__(
        self,
        width: int,
        optimizer: Callable[..., torch.optim.Optimizer],
        scheduler: Callable[..., Any],
        dropout: float = 0.5,
        fail: bool = False,
        seconds_per_step: float = 0.0,
        ranks_file: str | None = None,
    ) -> None:
        super().__init__()
        if width < 1:
            raise InputError(f"model.width={width} must be at least 1")
        self.net = nn.Sequential(nn.Linear(width, 8), nn.Dropout(dropout), nn.Linear(8, 1))
        self.optimizer, self.scheduler = optimizer, scheduler
        self.fail, self.seconds_per_step, self.ranks_file = fail, seconds_per_step, ranks_file

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        if self.fail:
            raise RuntimeError("made to fail on purpose")
        time.sleep(self.seconds_per_step)
        loss = nn.functional.mse_loss(self.net(batch[0]), batch[1])
        self.log("train/loss", loss, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def on_train_end(self) -> None:
        if self.ranks_file is not None:
            lr = self.trainer.optimizers[0].param_groups[0]["initial_lr"]
            path = Path(f"{self.ranks_file}_{self.trainer.default_root_dir.rpartition('/')[2]}_{self.global_rank}")
            path.write_text(f"{lr} {self.trainer.world_size} {self.net[0].weight.sum().item():.6f}")

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        self.log("val/loss", nn.functional.mse_loss(self.net(batch[0]), batch[1]), sync_dist=True)

    def test_step(self, batch: tuple[Tensor, Tensor]) -> None:
        self.log("test/loss", nn.functional.mse_loss(self.net(batch[0]), batch[1]), sync_dist=True)

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(self.parameters())
        return {"optimizer": optimizer, "lr_scheduler": self.scheduler(optimizer)}


class TinyDataModule(LightningDataModule):
    """64 rows of a noisy linear map."""

    def __init__(
        self, width: int, batch_size: int = 8, num_workers: int = 0, root: str | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        if root is not None and not Path(root).is_dir():
            raise InputError(f"data.root={root} does not exist")
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randn(64, width, generator=generator)
        self.rows = TensorDataset(rows, rows.sum(dim=1, keepdim=True))
        self.batch_size, self.num_workers = batch_size, num_workers

    def facts(self) -> dict[str, Any]:
        return {"clips": len(self.rows), "synthetic": True}

    def train_dataloader(self) -> DataLoader:
        assert self.trainer is not None
        sampler: DistributedSampler = DistributedSampler(
            self.rows, num_replicas=self.trainer.world_size, rank=self.trainer.global_rank, shuffle=True
        )
        # The epoch about to run: on resume `current_epoch` still counts the finished one while loaders are made.
        sampler.set_epoch(self.trainer.fit_loop.epoch_progress.current.processed)
        return DataLoader(
            self.rows,
            self.batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.rows, self.batch_size)

    test_dataloader = val_dataloader
