"""Training steps on two gloo processes: the test is the first, and starts this file as the second.

python -m tests.lightning_modules.skeletonclip.ddp_steps <file that both meet at>
"""

import faulthandler
import functools
import os
import sys
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lightning_modules.skeletonclip.matching import Matching
from lightning_modules.skeletonclip.module import SkeletonClipModule
from lightning_modules.skeletonclip.momentum import Momentum
from lightning_modules.skeletonclip.networks.slowonly import ResNet3dSlowOnly
from tests.lightning_modules.skeletonclip.tiny import tiny_batch, tiny_module

LABELS = [0, 1, 1, 2, 0, 3]
VOLUMES = torch.rand(6, 3, 4, 12, 12, generator=torch.Generator().manual_seed(7))
WEIGHTS = torch.linspace(-1, 1, 3)


class Step(nn.Module):
    """What DDP wraps: the loss of a batch."""

    def __init__(self, module: SkeletonClipModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, batch: Any) -> dict[str, Tensor]:
        return self.module.compute_loss(batch)


def seeded(**settings: Any) -> SkeletonClipModule:
    torch.manual_seed(3)
    return tiny_module(**settings)


def small_backbone() -> ResNet3dSlowOnly:
    torch.manual_seed(5)
    return ResNet3dSlowOnly(3, 2, (1, 1), (0, 1), (2, 2), (1, 1), sync_norm=True)


def share(rank: int, labels: list[int], size: int, seed: int = 0) -> dict[str, Tensor]:
    return {key: value[rank * size : (rank + 1) * size] for key, value in tiny_batch(labels, seed=seed).items()}


def from_all(value: Tensor) -> list[Tensor]:
    parts = [torch.empty_like(value) for _ in range(2)]
    dist.all_gather(parts, value.detach().contiguous())
    return parts


def steps(rank: int, meeting_place: str) -> dict[str, Any]:
    """What the first process sees of all steps."""
    dist.init_process_group(
        "gloo", init_method=f"file://{meeting_place}", rank=rank, world_size=2, timeout=timedelta(seconds=90)
    )
    seen: dict[str, Any] = {}

    gathering = seeded(gather=True, pooling="text_weighted")
    wrapped = DistributedDataParallel(Step(gathering))
    loss = wrapped(share(rank, LABELS, 3))["loss"]
    loss.backward()
    seen["gathered_losses"] = from_all(loss)
    seen["gathered_gradients"] = {name: each.grad for name, each in gathering.named_parameters()}

    remembering = seeded(momentum=functools.partial(Momentum, queue_size=8))
    wrapped = DistributedDataParallel(Step(remembering))
    for seed in (0, 1):
        wrapped(share(rank, LABELS, 3, seed))["loss"].backward()
    momentum = remembering.momentum
    assert momentum is not None
    names = ("video_queue", "text_queue", "idx_queue", "ptr_queue")
    seen["queues"] = {name: from_all(getattr(momentum, name)) for name in names}

    matching = seeded(matching=Matching)
    wrapped = DistributedDataParallel(Step(matching))
    itm = []
    for _ in range(2):  # DDP notices in the second step what the first one left out
        terms = wrapped(share(rank, [1, 1, 1, 0, 1, 2], 3))
        terms["loss"].backward()
        itm.append(torch.stack(from_all(terms["loss_itm"])))
    assert matching.matching is not None
    head = matching.matching.itm_head.weight.grad
    assert head is not None
    seen["itm"], seen["itm_gradients"] = torch.stack(itm), from_all(head)

    backbone = small_backbone()
    wrapped = DistributedDataParallel(backbone)
    (wrapped(VOLUMES[3 * rank : 3 * rank + 3]) * WEIGHTS).square().mean().backward()
    seen["synchronised"] = {name: each.grad for name, each in backbone.named_parameters()}
    seen["statistics"] = dict(backbone.named_buffers())
    dist.barrier()
    return seen


if __name__ == "__main__":
    faulthandler.dump_traceback_later(100, exit=True)  # never outlives the test
    torch.set_num_threads(1)
    steps(1, sys.argv[1])
    # Leaving the group in order waits, now and then, for the first process, which may be gone already.
    os._exit(0)
