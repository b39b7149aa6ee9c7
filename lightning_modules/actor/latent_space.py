"""Where motions lie in the latent space: posterior means, their spread, and what each dimension carries."""

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
