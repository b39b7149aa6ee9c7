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

    In training the statistics are those of all ranks' maps.

    Args:
        channels: C.
        ridge: added to the variance of every axis, as a multiple of the mean variance: axes that hardly vary carry
            noise and are not raised to the level of the others.
    """

    mean: Tensor
    moment: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int, ridge: float = 1.0) -> None:
        super().__init__()
        self.ridge = ridge
        self.register_buffer("mean", torch.zeros(channels))
        # E[x x^T]: unlike the covariance, averages of it over batches are exact
        self.register_buffer("moment", torch.eye(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, maps: Tensor) -> Tensor:
        """`[B, C, h, w]` with uncorrelated channels, in the dtype of the maps; any rotation of ZCA's answer."""
        with torch.autocast(maps.device.type, enabled=False):
            exact = maps.to(torch.promote_types(maps.dtype, torch.float32))
            if self.training:
                self._track(exact.detach())
            mean = self.mean.to(exact.dtype)
            matrix = _whitener(self.moment.to(exact.dtype) - torch.outer(mean, mean), self.ridge)
            white = F.conv2d(exact, matrix[:, :, None, None], -(matrix @ mean))
        return white.to(maps.dtype)

    @torch.no_grad()
    def _track(self, maps: Tensor) -> None:
        cells = maps.permute(0, 2, 3, 1).flatten(0, 2)
        count = cells.new_full((1,), len(cells))
        sums = torch.cat([count, cells.sum(0), (cells.T @ cells).flatten()])
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(sums)
        mean, moment = (sums[1:] / sums[0]).split([len(self.mean), self.moment.numel()])
        self.num_batches_tracked.add_(1)
        # the first batches by their mean, and none of the start
        share = (1 / self.num_batches_tracked.to(self.mean.dtype)).clamp(min=_MOMENTUM)
        self.mean.lerp_(mean.to(self.mean.dtype), share)
        self.moment.lerp_(moment.view_as(self.moment).to(self.moment.dtype), share)


def _whitener(covariance: Tensor, ridge: float) -> Tensor:
    """W with `W^T W` the inverse of the covariance: cosines of whitened maps are the same for every such W."""
    variance = covariance.diagonal().mean()
    identity = torch.eye(len(covariance), device=covariance.device, dtype=covariance.dtype)
    # no check of errors: it would make a GPU wait, and the ridge keeps the matrix positive
    factor, _ = torch.linalg.cholesky_ex(covariance + ridge * variance * identity)
    return torch.linalg.solve_triangular(factor, identity, upper=False)
