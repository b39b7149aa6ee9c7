"""Where motions lie in the latent space: posterior means, principal axes, and what each dimension carries."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from components.errors import InputError
from datamodules.actor.batch import MotionBatch
from lightning_modules.actor.losses import kl_by_dim
from lightning_modules.actor.networks.cvae import ActorCVAE


@dataclass(frozen=True)
class EncodedClips:
    """Posteriors of N clips."""

    mu: Tensor  # [N, D]
    logvar: Tensor  # [N, D]
    action: Tensor  # [N] int64

    @property
    def kl_by_dim(self) -> Tensor:
        """Mean KL divergence to the prior of each dimension, `[D]`, nats per clip."""
        return kl_by_dim(self.mu, self.logvar).mean(0)


@torch.no_grad()
def encode_clips(net: ActorCVAE, batches: Iterable[MotionBatch]) -> EncodedClips:
    """Encode batches; results on the CPU.

    Args:
        net: in evaluation mode.
        batches: unmixed motions.

    Raises:
        InputError: there is no motion.
    """
    device = next(net.parameters()).device
    means, logvars, labels = [], [], []
    for batch in batches:
        keys = ("motion", "mask", "action", "second_action", "mix_alpha")
        mu, logvar = net.encode(*(batch[key].to(device) for key in keys))  # type: ignore[literal-required]
        means.append(mu.float().cpu())
        logvars.append(logvar.float().cpu())
        labels.append(batch["action"].cpu())
    if not means:
        raise InputError("data: there is no motion to encode; choose another data.root or data.val_fraction")
    return EncodedClips(torch.cat(means), torch.cat(logvars), torch.cat(labels))


@dataclass(frozen=True)
class PrincipalAxes:
    """The plane in which points differ most."""

    centre: Tensor  # [D]
    axes: Tensor  # [2, D] orthonormal
    share: tuple[float, float]
    """Share of the total variance along each axis."""

    def project(self, points: Tensor) -> Tensor:
        """`[N, D]` to coordinates `[N, 2]`."""
        return (points - self.centre) @ self.axes.T


def principal_axes(points: Tensor) -> PrincipalAxes:
    """First two principal axes of points `[N, D]`; each points to where its largest entry is positive.

    Raises:
        InputError: fewer than two dimensions.
    """
    if points.shape[1] < 2:
        raise InputError(f"a latent space of {points.shape[1]} dimension has no plane to look at")
    centre = points.mean(0)
    # Of the D x D scatter: there may be fewer points than dimensions, even a single one.
    values, vectors = torch.linalg.eigh((points - centre).double().T @ (points - centre).double())
    axes = vectors[:, [-1, -2]].T
    signs = axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
    total = float(values.clamp(min=0).sum())
    share = [float(value.clamp(min=0)) / total if total > 0 else 0.0 for value in values[[-1, -2]]]
    return PrincipalAxes(centre, (axes * signs).to(points.dtype), (share[0], share[1]))


@dataclass(frozen=True)
class Ellipse:
    """Where most points of a class lie in a plane: two standard deviations round the mean."""

    centre: tuple[float, float]
    width: float
    height: float
    degrees: float


def spread_ellipse(points: Tensor) -> Ellipse | None:
    """Ellipse of points `[N, 2]`; None for fewer than three."""
    if len(points) < 3:
        return None
    values, vectors = torch.linalg.eigh(torch.cov(points.double().T))
    sizes = 4 * values.clamp(min=0).sqrt()
    degrees = torch.rad2deg(torch.atan2(vectors[1, 1], vectors[0, 1]))
    x, y = points.double().mean(0).tolist()
    return Ellipse((x, y), float(sizes[1]), float(sizes[0]), float(degrees))
