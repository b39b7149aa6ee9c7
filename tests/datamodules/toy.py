"""A tiny data module and module that write down which samples each rank saw in which epoch."""

import json
from pathlib import Path

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch.utils.data import Dataset
from torchmetrics import MeanMetric

from datamodules.loading import epoch_to_load, make_loader
from datamodules.samplers import EvaluationBatchSampler, GroupedBatchSampler, rank_info

LABELS = [label for label, count in enumerate([9, 8, 12, 1, 10]) for _ in range(count)]
NUM_ACTIONS, NUM_INSTANCES = 2, 4
VAL_SAMPLES = 23


class Draws(Dataset):
    """Returns what it was asked for."""

    def __len__(self):
        return len(LABELS)

    def __getitem__(self, draw):
        return torch.tensor([draw.sample, draw.seed])


class ToyData(LightningDataModule):
    def __init__(self, num_workers: int = 0) -> None:
        super().__init__()
        self.num_workers = num_workers

    def process(self):
        return rank_info(self.trainer.global_rank, self.trainer.world_size)

    def train_dataloader(self):
        batches = GroupedBatchSampler(
            self.process(), LABELS, NUM_ACTIONS, NUM_INSTANCES, seed=3, epoch=epoch_to_load(self.trainer)
        )
        return make_loader(Draws(), batches, torch.stack, self.num_workers)

    def val_dataloader(self):
        return make_loader(Draws(), EvaluationBatchSampler(self.process(), VAL_SAMPLES, 4), torch.stack)


class ToyModule(LightningModule):
    def __init__(self, out: Path) -> None:
        super().__init__()
        self.out = out
        self.layer = torch.nn.Linear(1, 1)
        self.register_buffer("table", torch.ones(1))  # DDP exchanges buffers in every forward pass, in validation too
        self.mean = MeanMetric()
        self.seen: list[dict] = []

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1e-4)

    def note(self, stage, batch):
        sampler = self.trainer.train_dataloader.batch_sampler
        self.seen.append({
            "stage": stage, "epoch": self.current_epoch, "rank": self.global_rank, "draws": batch.tolist(),
            "class": type(sampler).__name__, "sampler": type(sampler.sampler).__module__,
        })  # fmt: skip

    def training_step(self, batch, batch_idx):
        self.note("train", batch)
        return self.layer(batch[:, :1].float() / 100).square().mean()

    def validation_step(self, batch, batch_idx):
        self.note("val", batch)
        self.mean.update(batch[:, 0].float().mean(), weight=len(batch))
        self.log("val/mean", self.mean)

    def on_fit_end(self):
        mean = float(self.trainer.callback_metrics["val/mean"])
        content = {"seen": self.seen, "mean": mean}
        (self.out / f"rank{self.global_rank}.json").write_text(json.dumps(content))
