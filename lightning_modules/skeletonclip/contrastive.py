"""Cross entropy with soft targets, and candidates from all ranks."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def soft_targets(labels: Tensor, candidates: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Targets that share the weight of a row among all candidates of its class.

    Args:
        labels: `[B]`.
        candidates: labels `[C]`; every class of `labels` is among them.
        dtype: of the result.

    Returns:
        `[B, C]`, rows sum to 1.
    """
    same = (labels.unsqueeze(1) == candidates.unsqueeze(0)).to(dtype)
    return same / same.sum(dim=1, keepdim=True)


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over rows of the cross entropy with targets `[B, C]` that are distributions."""
    return -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()


def is_distributed() -> bool:
    """Whether there are other ranks."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def gather(x: Tensor) -> Tensor:
    """Rows `[B, ...]` of all ranks in the order of ranks, `[W * B, ...]`, without gradient.

    All ranks must have as many rows; samplers see to that.
    """
    if not is_distributed():
        return x.detach()
    rows = x.detach().contiguous()
    parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, rows)
    return torch.cat(parts)


class _Gather(torch.autograd.Function):
    """`gather` whose gradient comes back from every rank that used the rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.rows = len(x)
        return gather(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        begin = dist.get_rank() * ctx.rows
        return total[begin : begin + ctx.rows]


def gather_with_gradient(x: Tensor) -> Tensor:
    """As `gather`; rows of this rank get the sum of the gradients that all ranks have for them.

    When each rank's loss is a mean over its own rows and DDP averages gradients, the result is the gradient of the mean
    over the joint batch.
    """
    if not is_distributed():
        return x
    gathered: Tensor = _Gather.apply(x)
    return gathered
