"""Whitening of feature maps by statistics that training gathers."""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

_MOMENTUM = 0.02


class Whitening(nn.Module):
    """Decorrelates the channels of maps `[B, C, h, w]`.

    Features of a network that is untrained, or trained for minutes, lie along few axes, most of them colours; cosines
    between any two places are then near 1, whatever is there. Whitened, every axis counts the same. It is batch
    normalisation of whole vectors (Huang and others 2018, "Decorrelated batch normalization"), except that training
    uses the running statistics too, and no gradient passes through them: batches of a few films are too small for
    all pairs of channels. Before the first training step maps are passed on, scaled alike.

    In training the statistics are those of all ranks' maps; maps that are not finite are left out.

    Args:
        channels: C.
        ridge: added to the variance of every axis, as a multiple of the mean variance: axes that hardly vary carry
            noise and are not raised to the level of the others.
    """

    mean: Tensor
    covariance: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int, ridge: float = 1.0) -> None:
        super().__init__()
        self.ridge = ridge
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("covariance", torch.eye(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, maps: Tensor) -> Tensor:
        """`[B, C, h, w]` with uncorrelated channels, in the dtype of the maps; any rotation of ZCA's answer."""
        with torch.autocast(maps.device.type, enabled=False):
            exact = maps.to(torch.promote_types(maps.dtype, torch.float32))
            if self.training:
                self.track(exact.detach())
            matrix = _whitener(self.covariance.to(exact.dtype), self.ridge)
            # not as a bias of the convolution: a large mean would take the digits of what differs
            centred = exact - self.mean.to(exact.dtype)[:, None, None]
            white = F.conv2d(centred, matrix[:, :, None, None])
        return white.to(maps.dtype)

    @torch.no_grad()
    def forget(self) -> None:
        """Begin anew."""
        self.mean.zero_()
        self.covariance.copy_(torch.eye(len(self.mean)))
        self.num_batches_tracked.zero_()

    @torch.no_grad()
    def track(self, maps: Tensor) -> None:
        """Take maps `[B, C, h, w]`, float32 or float64, into the statistics."""
        cells = maps.permute(0, 2, 3, 1).flatten(0, 2)
        sums = _over_ranks(torch.cat([cells.sum(0), cells.new_full((1,), len(cells))]))
        count, mean = sums[-1], sums[:-1] / sums[-1]
        centred = cells - mean
        covariance = _over_ranks(centred.T @ centred) / count
        finite = covariance.isfinite().all()
        self.num_batches_tracked.add_(finite)
        # the first batches by their mean, and none of the start
        share = (1 / self.num_batches_tracked.to(mean.dtype)).clamp(min=_MOMENTUM)
        share = torch.where(finite, share, 0.0)
        step = (mean - self.mean).nan_to_num(0.0, 0.0, 0.0)
        covariance = covariance.nan_to_num(0.0, 0.0, 0.0) + (1 - share) * torch.outer(step, step)
        self.mean.add_((share * step).to(self.mean.dtype))
        self.covariance.lerp_(covariance.to(self.covariance.dtype), share.to(self.covariance.dtype))


def _over_ranks(value: Tensor) -> Tensor:
    """The sum; in place."""
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(value)
    return value


def _whitener(covariance: Tensor, ridge: float) -> Tensor:
    """W with `W^T W` the inverse of the covariance: cosines of whitened maps are the same for every such W."""
    identity = torch.eye(len(covariance), device=covariance.device, dtype=covariance.dtype)
    # maps without any variance have a covariance of zeros
    variance = covariance.diagonal().mean().clamp(min=torch.finfo(covariance.dtype).tiny)
    # no check of errors, for which a GPU would wait: with the ridge the matrix is positive beyond rounding
    factor, _ = torch.linalg.cholesky_ex(covariance / variance + ridge * identity)
    return torch.linalg.solve_triangular(factor, identity, upper=False) * variance.rsqrt()
