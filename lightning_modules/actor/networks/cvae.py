"""The conditional VAE of ACTOR: an encoder and a decoder of equal sizes."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from components.body.pose_format import PoseFormat
from components.errors import InputError
from lightning_modules.actor.networks.alpha import AlphaFilm, share_of_labels
from lightning_modules.actor.networks.sizes import NetworkSizes


class CVAEOutput(NamedTuple):
    """What one pass through the CVAE gives."""

    motion: Tensor  # [B, J, F, T] reconstruction
    mu: Tensor  # [B, D]
    logvar: Tensor  # [B, D]
    z: Tensor  # [B, D]


def sample_gaussian(
    mu: Tensor, logvar: Tensor, noise: Tensor | None = None, generator: torch.Generator | None = None
) -> Tensor:
    """z = mu + noise * exp(logvar / 2), in float32, all `[B, D]`; noise is drawn from N(0, 1) where none is given."""
    mu, logvar = mu.float(), logvar.float()
    if noise is None:
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
    return mu + noise * torch.exp(0.5 * logvar)


class ActorCVAE(nn.Module):
    """Encoder, reparameterisation, decoder.

    Args:
        encoder: called with the sizes; gives `(motion, mask, action, second_action) -> (mu, logvar)`.
        decoder: called with the sizes; gives `(z, mask, action, second_action) -> motion`. One with an attribute
            `teacher_forcing` that is true also takes the true motion, in training.
        num_classes: actions of the data.
        pose_rep, translation, glob: pose format of the data; they fix joints and features.
        num_frames: frames of a clip; below 1 the length varies.
        latent_dim, ff_size, num_layers, num_heads, dropout, activation, conditioning, alpha_embedding: see
            `NetworkSizes`. With `alpha_embedding` both networks take one more argument `alpha` `[B]`.

    Raises:
        InputError: sizes that do not fit each other.
    """

    # False where log-variances are never read.
    samples = True

    def __init__(
        self,
        encoder: Callable[[NetworkSizes], nn.Module],
        decoder: Callable[[NetworkSizes], nn.Module],
        num_classes: int,
        pose_rep: str = "rot6d",
        translation: bool = True,
        glob: bool = True,
        num_frames: int = 60,
        latent_dim: int = 256,
        ff_size: int = 1024,
        num_layers: int = 4,
        num_heads: int = 4,
        dropout: float = 0.1,
        activation: Literal["gelu", "relu"] = "gelu",
        conditioning: Literal["single", "pair"] = "single",
        alpha_embedding: bool = False,
    ) -> None:
        super().__init__()
        self.pose_format = PoseFormat(pose_rep, translation, glob)
        self.sizes = NetworkSizes(
            num_joints=self.pose_format.num_joints,
            num_feats=self.pose_format.num_feats,
            num_classes=num_classes,
            num_frames=max(num_frames, 0),
            latent_dim=latent_dim,
            ff_size=ff_size,
            num_layers=num_layers,
            num_heads=num_heads,
            dropout=dropout,
            activation=activation,
            conditioning=conditioning,
            alpha_embedding=alpha_embedding,
        )
        self.encoder = encoder(self.sizes)
        self.decoder = decoder(self.sizes)
        if alpha_embedding:
            for name, network in (("encoder", self.encoder), ("decoder", self.decoder)):
                if not any(isinstance(part, AlphaFilm) for part in network.modules()):
                    raise InputError(
                        f"model.net.alpha_embedding=true: {type(network).__name__} (model.net.{name}) takes no alpha; "
                        "only the transformer does"
                    )
        logvar_head = getattr(self.encoder, "logvar_head", None)
        if logvar_head is not None and not self.samples:
            logvar_head.requires_grad_(False)  # distributed training insists on gradients of what asks for them

    def encode(
        self, motion: Tensor, mask: Tensor, action: Tensor, second_action: Tensor, alpha: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Motion `[B, J, F, T]` to mu and logvar `[B, D]`."""
        return self.encoder(motion, mask, action, second_action, **self._alpha(action, second_action, alpha))

    @property
    def fixed_frames(self) -> int | None:
        """The only number of frames that the networks take; None where any will do."""
        return getattr(self.decoder, "fixed_frames", None) or getattr(self.encoder, "fixed_frames", None)

    def sample(self, mu: Tensor, logvar: Tensor, noise: Tensor | None = None) -> Tensor:
        """The latent that is decoded, `[B, D]`; see `sample_gaussian`."""
        return sample_gaussian(mu, logvar, noise)

    def decode(
        self, z: Tensor, mask: Tensor, action: Tensor, second_action: Tensor, alpha: Tensor | None = None
    ) -> Tensor:
        """Latents `[B, D]` to motion `[B, J, F, T]`."""
        return self.decoder(z, mask, action, second_action, **self._alpha(action, second_action, alpha))

    def _alpha(self, action: Tensor, second_action: Tensor, alpha: Tensor | None) -> dict[str, Tensor]:
        if not self.sizes.alpha_embedding:
            return {}
        return {"alpha": share_of_labels(action, second_action) if alpha is None else alpha}

    def forward(
        self,
        motion: Tensor,
        mask: Tensor,
        action: Tensor,
        second_action: Tensor,
        noise: Tensor | None = None,
        alpha: Tensor | None = None,
    ) -> CVAEOutput:
        """Encode, sample, decode.

        Args:
            motion: `[B, J, F, T]`.
            mask: bool `[B, T]`, True = real frame.
            action, second_action: `[B]` int64 labels.
            noise: `[B, D]`; drawn where None. Zeros give the reconstruction from the posterior mean.
            alpha: `[B]` share of the first motion, read with `alpha_embedding` only; None: 1 for one action, else 0.5.
        """
        mu, logvar = self.encode(motion, mask, action, second_action, alpha)
        z = self.sample(mu, logvar, noise)
        if self.training and getattr(self.decoder, "teacher_forcing", False):
            return CVAEOutput(self.decoder(z, mask, action, second_action, motion), mu, logvar, z)
        return CVAEOutput(self.decode(z, mask, action, second_action, alpha), mu, logvar, z)


class ActorCAE(ActorCVAE):
    """The autoencoder without sampling: z = mu, whatever noise is given.

    Nothing pulls its latents to a known distribution (train with `AutoencoderLosses`): motions drawn from Gaussian
    noise say how well that goes without.
    """

    samples = False

    def sample(self, mu: Tensor, logvar: Tensor, noise: Tensor | None = None) -> Tensor:
        return mu.float()
