"""Doubly stochastic matrices by Sinkhorn's iteration, for the targets of a walk (the published code's `sk_targets`)."""

import torch
from torch import Tensor

# Iterations between two looks at whether all matrices have stopped: each look waits for the device.
_LOOK_EVERY = 8


def sinkhorn(log_kernel: Tensor, tolerance: float, max_iterations: int) -> tuple[Tensor, Tensor]:
    """Scale positive matrices until rows sum to 1 and columns nearly do; each matrix stops for itself.

    Works on logarithms, so that a low temperature neither overflows nor leaves empty rows.

    Args:
        log_kernel: `[..., N, N]`, logarithm of the entries.
        tolerance: standard deviation of a matrix's column sums at which it is done.
        max_iterations: bound on the iterations; at least one is made.

    Returns:
        matrices `[..., N, N]`, iterations `[...]` that each took.
    """
    logs = log_kernel
    active = torch.ones(logs.shape[:-2], dtype=torch.bool, device=logs.device)
    iterations = torch.zeros(logs.shape[:-2], dtype=torch.long, device=logs.device)
    for i in range(max(1, max_iterations)):
        step = logs - logs.logsumexp(-2, keepdim=True)
        step = step - step.logsumexp(-1, keepdim=True)
        logs = torch.where(active[..., None, None], step, logs)
        iterations += active
        active = active & (step.exp().sum(-2).std(-1) > tolerance)
        if i % _LOOK_EVERY == _LOOK_EVERY - 1 and not active.any():
            break
    return logs.exp(), iterations


def sinkhorn_published(kernel: Tensor, tolerance: float, max_iterations: int) -> tuple[Tensor, int]:
    """The published iteration: all matrices of a batch go on until the column sums of all together agree.

    A matrix's result depends on the others of its batch through the common stopping time.

    Args:
        kernel: `[..., N, N]`, positive.
        tolerance: standard deviation of all column sums at which the batch is done.
        max_iterations: bound on the iterations; at least one is made.

    Returns:
        matrices `[..., N, N]`, the number of iterations.
    """
    result = kernel / kernel.sum((-2, -1), keepdim=True)
    iterations = 0
    while True:
        result = result / result.sum(-2, keepdim=True)
        result = result / result.sum(-1, keepdim=True)
        iterations += 1
        if iterations >= max_iterations or bool(result.sum(-2).std() <= tolerance):
            return result, iterations
