"""Batch norm of frames in the channels-last memory format."""

from typing import Any, cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn


class FrameBatchNorm(nn.BatchNorm3d):
    """Batch norm over batch, time and space, of volumes `[B, C, T, H, W]` or of their frames `[B * T, C, H, W]`.

    State and numbers are those of `nn.BatchNorm3d`. On a CPU torch sums channels-last maps in one running float32 sum
    per channel; over the half million cells of a batch its mean is then off by 1e-3 of the values. Here means are
    summed in a cascade instead, in no more time.

    Attributes:
        synchronised: training takes the statistics of all ranks' samples, so that several processes learn what one
            does with their joint batch. Unlike `nn.SyncBatchNorm` on a CPU too.
    """

    synchronised = False

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in (4, 5):
            raise ValueError(f"expected [B, C, T, H, W] or [B * T, C, H, W], got {input.ndim} dimensions")

    def forward(self, input: Tensor) -> Tensor:
        if self.training and self.synchronised and dist.is_initialized() and dist.get_world_size() > 1:
            return self._over_ranks(input)
        if not self.training or self.momentum is None or not _summed_naively(input):
            return super().forward(input)
        mean, variance = _statistics(input.detach())
        self._track(mean, variance, input.numel() // input.shape[1])
        return _Normalise.apply(input, self.weight, self.bias, mean, variance, self.eps)  # type: ignore[no-any-return]

    def _over_ranks(self, input: Tensor) -> Tensor:
        """With the statistics of all ranks, which have as many cells each; gradients pass through them."""
        maps = input.to(torch.promote_types(input.dtype, torch.float32))
        cells = [axis for axis in range(maps.ndim) if axis != 1]
        shape = [1, -1, *[1] * (maps.ndim - 2)]
        ranks = dist.get_world_size()
        mean = _SumOverRanks.apply(maps.mean(cells)) / ranks
        centred = maps - mean.view(shape)
        variance = _SumOverRanks.apply(centred.square().mean(cells)) / ranks
        self._track(mean.detach(), variance.detach(), ranks * (input.numel() // input.shape[1]))
        factor = self.weight * (variance + self.eps).rsqrt()
        return (centred * factor.view(shape) + self.bias.view(shape)).to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        momentum = cast(float, self.momentum)
        cast(Tensor, self.running_mean).lerp_(mean, momentum)
        cast(Tensor, self.running_var).lerp_(variance * (count / max(count - 1, 1)), momentum)
        cast(Tensor, self.num_batches_tracked).add_(1)

    def factor_and_offset(self) -> tuple[Tensor, Tensor]:
        """What batch norm with fixed statistics is: `x * factor + offset`, `[C]` both."""
        mean, variance = cast(Tensor, self.running_mean), cast(Tensor, self.running_var)
        factor = self.weight * (variance + self.eps).rsqrt()
        return factor, self.bias - mean * factor


def _summed_naively(maps: Tensor) -> bool:
    return (
        maps.device.type == "cpu"
        and maps.dtype == torch.float32
        and maps.ndim == 4
        and not torch.compiler.is_compiling()
        and maps.is_contiguous(memory_format=torch.channels_last)
    )


def _statistics(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel, `[C]` both."""
    cells = maps.permute(0, 2, 3, 1).flatten(0, 2)
    mean = cells.mean(0)
    return mean, (cells - mean).square_().mean(0)


class _SumOverRanks(torch.autograd.Function):
    """Sum over ranks; a rank's value has a part in the losses of all of them."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias, where mean and variance are those of x."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float
    ) -> Tensor:
        ctx.save_for_backward(maps, weight, mean, (variance + eps).rsqrt())
        ctx.eps = eps
        return F.batch_norm(maps, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight, mean, inverse = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        wanted = list(ctx.needs_input_grad[:3])
        back = torch.ops.aten.native_batch_norm_backward(
            gradient, maps, weight, None, None, mean, inverse, True, ctx.eps, wanted
        )
        return (*back, None, None, None)
