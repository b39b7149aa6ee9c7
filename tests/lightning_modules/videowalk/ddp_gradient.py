"""One step of the walk on four clips, in one process or, started by a test, in two gloo processes.

python -m tests.lightning_modules.videowalk.ddp_gradient <file for the weights that the step ends with>
"""

import functools
import os
import sys

import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader, DistributedSampler

from datamodules.videowalk.batch import ClipBatch
from lightning_modules.videowalk.module import VideoWalkModule
from lightning_modules.videowalk.networks.resnet import ResNet
from lightning_modules.videowalk.walk import Walk


def batch_of(clips: list[torch.Tensor]) -> ClipBatch:
    return {"clips": torch.stack(clips)}


def step(processes: int) -> dict[str, torch.Tensor] | None:
    """Weights after a step with learning rate 1 on all clips together; None in all processes but the first."""
    torch.manual_seed(0)
    optimizer = functools.partial(torch.optim.SGD, lr=1.0)
    module = VideoWalkModule(
        ResNet(18, "reflect", width=4, remove_layers=["layer4"]),
        Walk(0.05),
        optimizer,
        freeze_batchnorm=True,
        whitening=True,
    )
    clips = list(torch.randn(4, 4, 3 * 3, 24, 24))
    trainer = Trainer(
        accelerator="cpu", precision="64-true", devices=processes, strategy="ddp" if processes > 1 else "auto",
        max_steps=1, use_distributed_sampler=False, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    sampler = None
    if processes > 1:
        sampler = DistributedSampler(clips, processes, int(os.environ.get("LOCAL_RANK", "0")), shuffle=False)
    trainer.fit(module, DataLoader(clips, 4 // processes, sampler=sampler, collate_fn=batch_of))
    return module.state_dict() if trainer.is_global_zero else None


def main() -> None:
    weights = step(2)
    if weights is not None:
        torch.save(weights, sys.argv[1])


if __name__ == "__main__":
    main()
    # Threads of gloo that meet a dying interpreter abort the process at times.
    os._exit(0)
