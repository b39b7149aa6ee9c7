"""A Lightning module and loaders that fit in milliseconds."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader


class TinyModule(LightningModule):
    """Linear regression with dropout; remembers its training losses and what its generators drew in validation."""

    def __init__(self, lr: float = 0.1, bad_step: int | None = None) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1))
        self.register_buffer("index", torch.arange(7), persistent=False)
        self.lr = lr
        self.bad_step = bad_step
        self.losses: list[float] = []
        self.noise: list[float] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> dict[str, Tensor]:
        rc = (self.net(batch) - batch.sum(1, keepdim=True)).square().mean()
        kl = rc * 0.1
        if self.bad_step is not None and self.global_step == self.bad_step:
            kl = kl * float("nan")
        loss = rc + kl
        self.losses.append(loss.item())
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch))
        self.log("train/rc", rc, on_step=True, on_epoch=False, batch_size=len(batch))
        return {"loss": loss, "rc": rc.detach(), "kl": kl.detach()}

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.noise.append(torch.rand(()).item())
        self.log("val/loss", (self.net(batch) - batch.sum(1, keepdim=True)).square().mean(), batch_size=len(batch))

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("test/loss", (self.net(batch) - batch.sum(1, keepdim=True)).square().mean(), batch_size=len(batch))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.lr)
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)]


def loader(samples: int = 12, seed: int = 0) -> DataLoader[Tensor]:
    """Batches of 4 standard normal vectors."""
    data = torch.randn(samples, 3, generator=torch.Generator().manual_seed(seed))
    return DataLoader(data, batch_size=4)


def trainer(folder: Path, callbacks: list[Callback], logger: Any = False, **options: Any) -> Trainer:
    """A quiet CPU trainer."""
    settings: dict[str, Any] = {
        "max_epochs": 2,
        "accelerator": "cpu",
        "devices": 1,
        "default_root_dir": str(folder),
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "log_every_n_steps": 1,
    }
    return Trainer(callbacks=callbacks, logger=logger, **(settings | options))


def fit(
    folder: Path,
    callbacks: list[Callback],
    module: TinyModule | None = None,
    ckpt_path: str | None = None,
    **options: Any,
) -> tuple[TinyModule, Trainer]:
    """Fit a seeded tiny module; returns it with its trainer."""
    if module is None:
        torch.manual_seed(1)
        module = TinyModule()
    runner = trainer(folder, callbacks, **options)
    runner.fit(module, loader(), loader(8, 1), ckpt_path=ckpt_path, weights_only=True)
    return module, runner
