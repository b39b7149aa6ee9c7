"""A run that was killed inside an epoch goes on with the same curve."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from callbacks.checkpoints import BestCheckpoint, LastCheckpoint, starts_inside_epochs
from callbacks.ema import WeightEMA
from callbacks.epoch_seed import EpochSeed
from callbacks.metrics_csv import MetricsCSVLogger, read_rows
from components.errors import InputError
from components.files.checkpoint_entry import INSIDE_EPOCH_KEY
from datamodules.loading import batch_to_load, epoch_to_load, make_loader
from datamodules.samplers import ShuffledBatchSampler, rank_info
from tests.callbacks.tiny import TinyModule, loader, trainer

BATCHES = 7


class Rows(LightningDataModule):
    """28 vectors whose noise depends on the seed of their draw."""

    def __init__(self, workers: int = 0) -> None:
        super().__init__()
        self.workers = workers

    def __len__(self) -> int:
        return 4 * BATCHES

    def __getitem__(self, draw: Any) -> Tensor:
        return torch.randn(3, generator=torch.Generator().manual_seed(draw.seed)) + draw.sample

    def train_dataloader(self) -> DataLoader:
        start = {"epoch": epoch_to_load(self.trainer), "start_batch": batch_to_load(self.trainer)}
        batches = ShuffledBatchSampler(rank_info(0, 1), len(self), 4, seed=5, **start)
        return make_loader(self, batches, torch.stack, self.workers)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader:
        return loader(8, 1)


class Module(TinyModule):
    """Logs the largest and the summed loss as well, and has a schedule that advances with the steps."""

    def training_step(self, batch: Tensor, batch_idx: int) -> dict[str, Tensor]:
        terms = super().training_step(batch, batch_idx)
        for name, reduce_fx in (("max", "max"), ("sum", "sum")):
            self.log(f"train/{name}", terms["loss"].detach(), on_step=False, on_epoch=True, reduce_fx=reduce_fx)
        return terms

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=0.01)
        scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [5, 9, 13], 0.5)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class Killed(BaseException):
    pass


class Kill(Callback):
    def __init__(self, at: int) -> None:
        self.at = at

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.fit_loop.total_batch_idx == self.at:
            raise Killed


def fit(folder: Path, last: LastCheckpoint | None, *more: Callback, resume: bool = False, **options: Any) -> Module:
    torch.manual_seed(1)
    module = Module(lr=0.01)
    callbacks = [EpochSeed(0), BestCheckpoint(str(folder), monitor="val/loss"), *more]
    logger = MetricsCSVLogger(str(folder))
    file = folder / "last.ckpt"
    if resume:
        found = torch.load(file, weights_only=True)
        logger.keep_steps(found["epoch"], found["global_step"])
    workers = options.pop("workers", 0)
    runner = trainer(folder, callbacks + ([last] if last else []), logger, **({"max_epochs": 3} | options))
    with suppress(Killed):
        runner.fit(module, datamodule=Rows(workers), ckpt_path=str(file) if resume else None, weights_only=True)
    return module


@pytest.mark.parametrize(
    ("kill_at", "options", "more"),
    [
        (3, {}, list),
        (9, {"accumulate_grad_batches": 2}, list),
        (12, {"val_check_interval": 2}, lambda: [WeightEMA(0.9)]),
        (17, {"workers": 1}, list),
    ],
)
def test_a_run_killed_inside_an_epoch_goes_on_with_the_same_curve(
    kill_at: int, options: dict[str, Any], more: Callable[[], list[Callback]], tmp_path: Path
) -> None:
    whole_dir, killed_dir = tmp_path / "whole", tmp_path / "killed"
    every = max(1, 2 // options.get("accumulate_grad_batches", 1))
    whole = fit(whole_dir, None, *more(), **options)
    fit(killed_dir, LastCheckpoint(str(killed_dir), every_n_steps=every), Kill(kill_at), *more(), **options)
    found = torch.load(killed_dir / "last.ckpt", weights_only=True)
    seen = found["epoch"] * BATCHES + found[INSIDE_EPOCH_KEY]["batches"]
    assert 0 <= kill_at - seen <= 3
    rest = fit(killed_dir, LastCheckpoint(str(killed_dir), every_n_steps=every), *more(), resume=True, **options)
    assert rest.losses == whole.losses[seen:]
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(rest.state_dict()[name], value, rtol=0, atol=0)
    curves = [read_rows(folder / "metrics.csv") for folder in (whole_dir, killed_dir)]
    assert curves[0] == curves[1]
    assert any("train/sum" in row for row in curves[0])


def test_minutes_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("callbacks.checkpoints.time.monotonic", lambda: now[0])

    class Clock(Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            now[0] += 60.0

    # Due behind the fourth batch of each epoch; a checkpoint at its end starts the count anew.
    fit(tmp_path, LastCheckpoint(str(tmp_path), every_n_minutes=3.5), Clock(), Kill(12))
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)[INSIDE_EPOCH_KEY]["batches"] == 4


def test_a_loader_that_cannot_start_inside_an_epoch_gets_no_such_checkpoints(tmp_path: Path) -> None:
    assert not starts_inside_epochs(loader())
    runner = trainer(tmp_path, [LastCheckpoint(str(tmp_path), every_n_steps=1), Kill(5)])
    with pytest.raises(Killed):
        runner.fit(TinyModule(), loader(), weights_only=True)
    found = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert INSIDE_EPOCH_KEY not in found
    assert found["global_step"] == 3


def test_another_number_of_processes_is_refused(tmp_path: Path) -> None:
    fit(tmp_path, LastCheckpoint(str(tmp_path), every_n_steps=2), Kill(3))
    found = torch.load(tmp_path / "last.ckpt", weights_only=True)
    found[INSIDE_EPOCH_KEY]["processes"] = 4
    torch.save(found, tmp_path / "last.ckpt")
    with pytest.raises(InputError, match=r"on 4 process\(es\), this run has 1"):
        fit(tmp_path, LastCheckpoint(str(tmp_path)), resume=True)


@pytest.mark.parametrize("settings", [{"every_n_minutes": 0.0}, {"every_n_steps": 0}])
def test_settings_are_checked(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"callbacks\.checkpoint\.every_n_"):
        LastCheckpoint(str(tmp_path), **settings)
