"""Losses of ACTOR (section 3.3 of the paper): reconstruction, positions, velocities, divergences to the prior."""

from typing import Literal

import torch
from torch import Tensor, nn

from components.errors import InputError


def masked_mse(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over the real frames of a batch; each frame weighs the same whatever motion it belongs to.

    Args:
        prediction, target: `[B, J, F, T]`.
        mask: bool `[B, T]`, True = real frame. Sums and weights, no boolean indexing: nothing waits for the device.

    Returns:
        A scalar; 0 where no frame is real.
    """
    weight = mask.to(prediction.dtype)
    squared = ((prediction - target) ** 2).sum(dim=(1, 2))  # batch frames
    per_frame = prediction.shape[1] * prediction.shape[2]
    return (squared * weight).sum() / (weight.sum() * per_frame).clamp(min=1.0)


def velocity_mse(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """`masked_mse` of the differences between neighbouring frames; a difference is real where its later frame is."""
    return masked_mse(prediction.diff(dim=-1), target.diff(dim=-1), mask[:, 1:])


def kl_by_dim(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL divergence from N(mu, exp(logvar)) to N(0, 1) of each dimension, all `[B, D]`, nats."""
    return -0.5 * (1.0 + logvar - mu**2 - logvar.exp())


def gaussian_kl(mu: Tensor, logvar: Tensor, reduction: Literal["sum", "batchmean"] = "sum") -> Tensor:
    """`kl_by_dim` summed over D, summed or averaged over B."""
    total = kl_by_dim(mu, logvar).sum()
    return total / len(mu) if reduction == "batchmean" else total


def gaussian_mmd(z: Tensor, prior: Tensor) -> Tensor:
    """Maximum mean discrepancy of latents and prior samples, `[B, D]` each, kernel exp(-mean((a - b)^2) / D)."""

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return torch.exp(-((a[:, None] - b[None]) ** 2).mean(dim=-1) / a.shape[-1]).mean()

    return kernel(prior, prior) + kernel(z, z) - 2.0 * kernel(prior, z)


class ActorLosses(nn.Module):
    """Weighted sum of the terms; a term of weight 0 is not computed.

    Args:
        lambda_rc: weight of the pose features' error.
        lambda_rcxyz: weight of the positions' error (metres squared).
        lambda_kl: weight of the KL divergence.
        lambda_vel: weight of the pose features' velocity error.
        lambda_velxyz: weight of the positions' velocity error.
        kl_reduction: `sum` over the batch as published (the pull grows with the batch) or `batchmean`.
        kl_warmup_epochs: the KL weight grows linearly over so many epochs; 0 = full weight at once.

    Raises:
        InputError: a weight below 0, all weights 0, or an unknown reduction.
    """

    # False where latents have no distribution.
    has_prior = True

    def __init__(
        self,
        lambda_rc: float = 1.0,
        lambda_rcxyz: float = 1.0,
        lambda_kl: float = 1e-5,
        lambda_vel: float = 0.0,
        lambda_velxyz: float = 0.0,
        kl_reduction: Literal["sum", "batchmean"] = "sum",
        kl_warmup_epochs: int = 0,
    ) -> None:
        super().__init__()
        self.weights = {
            "rc": lambda_rc,
            "rcxyz": lambda_rcxyz,
            "vel": lambda_vel,
            "velxyz": lambda_velxyz,
            "kl": lambda_kl if self.has_prior else 0.0,
        }
        for name, weight in self.weights.items():
            if not weight >= 0.0:
                raise InputError(f"model.losses.lambda_{name}={weight} must be at least 0")
        if not any(self.weights.values()):
            raise InputError("model.losses: every lambda is 0, so there is nothing to train")
        if kl_reduction not in ("sum", "batchmean"):
            raise InputError(f"model.losses.kl_reduction='{kl_reduction}' is not one of sum, batchmean")
        if kl_warmup_epochs < 0:
            raise InputError(f"model.losses.kl_warmup_epochs={kl_warmup_epochs} must be at least 0")
        self.kl_reduction: Literal["sum", "batchmean"] = kl_reduction
        self.kl_warmup_epochs = kl_warmup_epochs

    @property
    def active_terms(self) -> tuple[str, ...]:
        """Names of the terms that are computed."""
        return tuple(name for name, weight in self.weights.items() if weight)

    @property
    def needs_positions(self) -> bool:
        """Whether a term reads positions."""
        return self.weights["rcxyz"] > 0 or self.weights["velxyz"] > 0

    def kl_factor(self, epoch: int) -> float:
        """Share of the KL weight in an epoch (from 0): 1/n in the first of n warm-up epochs, 1 from the n-th on."""
        return min(1.0, (epoch + 1) / self.kl_warmup_epochs) if self.kl_warmup_epochs else 1.0

    def forward(
        self,
        prediction: Tensor,
        target: Tensor,
        mask: Tensor,
        mu: Tensor,
        logvar: Tensor,
        predicted_xyz: Tensor | None = None,
        target_xyz: Tensor | None = None,
        epoch: int = 0,
    ) -> dict[str, Tensor]:
        """All terms, unweighted, by name, and their weighted sum as `loss`. Computed in float32.

        Args:
            prediction, target: `[B, J, F, T]` pose features.
            mask: bool `[B, T]`.
            mu, logvar: `[B, D]`.
            predicted_xyz, target_xyz: `[B, N, 3, T]`, needed where `needs_positions`.
            epoch: for the KL warm-up.
        """
        prediction, target = prediction.float(), target.float()
        terms: dict[str, Tensor] = {}
        if self.weights["rc"]:
            terms["rc"] = masked_mse(prediction, target, mask)
        if self.weights["vel"]:
            terms["vel"] = velocity_mse(prediction, target, mask)
        if self.needs_positions:
            if predicted_xyz is None or target_xyz is None:
                raise ValueError("lambda_rcxyz and lambda_velxyz need positions")
            if self.weights["rcxyz"]:
                terms["rcxyz"] = masked_mse(predicted_xyz, target_xyz, mask)
            if self.weights["velxyz"]:
                terms["velxyz"] = velocity_mse(predicted_xyz, target_xyz, mask)
        if self.weights["kl"]:
            terms["kl"] = gaussian_kl(mu.float(), logvar.float(), self.kl_reduction)
        factors = {name: self.weights[name] for name in terms}
        if "kl" in factors:
            factors["kl"] *= self.kl_factor(epoch)
        total = torch.stack([factors[name] * value for name, value in terms.items()]).sum()
        return {**terms, "loss": total}


class AutoencoderLosses(ActorLosses):
    """`ActorLosses` without the KL term, whatever its weight says: the latents of an autoencoder are points."""

    has_prior = False
