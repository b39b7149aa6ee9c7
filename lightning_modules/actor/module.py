"""Training of ACTOR and of its mixing variant: which tensors feed which loss, what is logged, how it is optimised."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torchmetrics import MeanMetric

from components.errors import InputError
from components.optimization import configured
from datamodules.actor.batch import MotionBatch
from lightning_modules import gradient_clipping
from lightning_modules.actor.losses import ActorLosses
from lightning_modules.actor.networks.cvae import ActorCVAE, CVAEOutput
from lightning_modules.actor.rotation2xyz import Rotation2XYZ

if TYPE_CHECKING:
    from lightning_modules.actor.memory import MemoryEstimate


class ActorModule(LightningModule):
    """ACTOR, for single actions or pairs of them: that is a matter of the network's `conditioning`.

    Training samples the latent vector; validation and test reconstruct from its mean, so their figures have no noise.

    Args:
        net: the CVAE.
        losses: named terms and their weighted sum.
        optimizer: called with the parameters.
        body: positions for `rcxyz` and `velxyz`; may be None where their weights are 0.
        scheduler: called with the optimizer; None = constant learning rate.
        scheduler_interval: whether the scheduler advances per `epoch` or per optimizer `step`.

    Raises:
        InputError: a loss needs positions and there is no body, or a distribution of latents and there is none.
    """

    net: ActorCVAE
    losses: ActorLosses
    body: Rotation2XYZ | None

    def __init__(
        self,
        net: ActorCVAE,
        losses: ActorLosses,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        body: Rotation2XYZ | None = None,
        scheduler: Callable[[torch.optim.Optimizer], Any] | None = None,
        scheduler_interval: Literal["epoch", "step"] = "epoch",
    ) -> None:
        super().__init__()
        if losses.needs_positions and body is None:
            raise InputError("model.body=null, but model.losses.lambda_rcxyz or lambda_velxyz is above 0")
        if not net.samples and losses.weights["kl"]:
            raise InputError(
                "model.losses.lambda_kl is above 0, and latents of an autoencoder (model.net is an ActorCAE) have no "
                "distribution.\nExpected model.losses.lambda_kl=0, or AutoencoderLosses as in model=actor_cae"
            )
        if scheduler_interval not in ("epoch", "step"):
            raise InputError(f"model.scheduler_interval='{scheduler_interval}' is not one of epoch, step")
        self.net = net
        self.losses = losses
        self.body = body if losses.needs_positions else None
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.scheduler_interval = scheduler_interval
        # Means over clips, also over ranks with unequal numbers of them.
        self.names = (*losses.active_terms, "loss")
        self.means = nn.ModuleDict(
            {f"{stage}_{name}": MeanMetric() for stage in ("val", "test") for name in self.names}
        )

    def forward(self, batch: MotionBatch, noise: Tensor | None = None) -> CVAEOutput:
        """Encode and decode a batch; `noise` `[B, D]` replaces the random draw."""
        alpha = batch["mix_alpha"] if self.net.sizes.alpha_embedding else None
        return self.net(batch["motion"], batch["mask"], batch["action"], batch["second_action"], noise, alpha)

    def compute_loss(self, batch: MotionBatch, noise: Tensor | None = None) -> dict[str, Tensor]:
        """The loss terms of a batch by name, unweighted, and their weighted sum `loss`."""
        motion, mask = batch["motion"], batch["mask"]
        out = self(batch, noise)
        predicted_xyz, target_xyz = None, None
        if self.body is not None:
            with torch.no_grad():
                target_xyz = self.body(motion, mask)
            predicted_xyz = self.body(out.motion, mask)
        epoch = self.current_epoch if self.training else self.losses.kl_warmup_epochs
        return self.losses(out.motion, motion, mask, out.mu, out.logvar, predicted_xyz, target_xyz, epoch)

    def training_step(self, batch: MotionBatch, batch_idx: int) -> Tensor:
        return self._shared_step(batch, "train")

    def validation_step(self, batch: MotionBatch, batch_idx: int) -> None:
        self._shared_step(batch, "val")

    def test_step(self, batch: MotionBatch, batch_idx: int) -> None:
        self._shared_step(batch, "test")

    def _shared_step(self, batch: MotionBatch, stage: Literal["train", "val", "test"]) -> Tensor:
        size = len(batch["motion"])
        if stage == "train":
            terms = self.compute_loss(batch)
            named = {f"train/{name}": value.detach() for name, value in terms.items()}
            self.log_dict(named, on_step=False, on_epoch=True, batch_size=size, sync_dist=True)
            return terms["loss"]
        terms = self.compute_loss(batch, noise=batch["motion"].new_zeros(size, self.net.sizes.latent_dim))
        for name in self.names:
            metric = cast(MeanMetric, self.means[f"{stage}_{name}"])
            metric.update(terms[name], weight=size)
            self.log(f"{stage}/{name}", metric, on_step=False, on_epoch=True, batch_size=size)
        return terms["loss"]

    configure_gradient_clipping = gradient_clipping.configure_gradient_clipping

    def estimate_memory(
        self, batch: MotionBatch, context: Callable[[], AbstractContextManager[Any]] = nullcontext
    ) -> "MemoryEstimate":
        """What a training step with such a batch needs, see `estimate_training_memory`."""
        from lightning_modules.actor.memory import estimate_training_memory

        return estimate_training_memory(self, batch, context)

    def configure_optimizers(self) -> Any:
        """The optimizer over the network, with the scheduler where there is one."""
        return configured(self.net.parameters(), self.optimizer, self.scheduler, self.scheduler_interval)
