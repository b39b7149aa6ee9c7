"""Training of the contrastive random walk: what is logged, how it is optimised."""

import functools
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Self, cast

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torchmetrics import MeanMetric

from components.errors import InputError
from components.optimization import configured, count_steps_per_epoch
from datamodules.videowalk.batch import ClipBatch
from lightning_modules import gradient_clipping
from lightning_modules.videowalk.networks.encoders import Encoder
from lightning_modules.videowalk.networks.feature_extractor import FeatureExtractor
from lightning_modules.videowalk.networks.walk_network import WalkNetwork, keep_statistics
from lightning_modules.videowalk.walk import Walk, WalkResult

log = logging.getLogger(__name__)
_WHITENING = "net.whitening."


class VideoWalkModule(LightningModule):
    """Contrastive random walk.

    Logs for each stage the `loss`, per cycle `xent_r{i}` and `acc_r{i}`, and `cycle_acc`, the mean of the latter;
    inside of training epochs, every `trainer.log_every_n_steps`, `train/loss_step` and `lr`.

    Args:
        encoder: maps of pictures.
        walk: the loss.
        optimizer: called with the parameters.
        head_depth: hidden layers of the head; 0 = one linear layer, -1 = no head.
        featdrop: share of the map's entries that training sets to zero.
        scheduler: called with the optimizer; None = constant learning rate.
        scheduler_interval: whether the scheduler advances per `epoch` or per optimizer `step`.
        freeze_batchnorm: batch normalisation keeps to its running statistics in training too. Gradients are then sums
            over clips, whatever the batch (but for `whitening`) or the number of devices.
        head_lr_factor: learning rate of the head over that of the encoder.
        whitening: decorrelate the encoder's channels, by statistics that training gathers.

    Raises:
        InputError: a value is out of range.
    """

    def __init__(
        self,
        encoder: Encoder,
        walk: Walk,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        head_depth: int = 0,
        featdrop: float = 0.0,
        scheduler: Callable[[torch.optim.Optimizer], Any] | None = None,
        scheduler_interval: Literal["epoch", "step"] = "epoch",
        freeze_batchnorm: bool = False,
        head_lr_factor: float = 1.0,
        whitening: bool = False,
    ) -> None:
        super().__init__()
        if scheduler_interval not in ("epoch", "step"):
            raise InputError(f"model.scheduler_interval='{scheduler_interval}' is not one of epoch, step")
        if not (isinstance(head_lr_factor, (int, float)) and 0 < head_lr_factor < math.inf):
            raise InputError(f"model.head_lr_factor={head_lr_factor}: expected a positive number")
        if whitening and encoder.without(["layer4"]).channels != encoder.channels:
            raise InputError(
                "model.whitening=true: whitened maps are for label propagation, which reads those before layer4.\n"
                "Set model.encoder.remove_layers=[layer4]"
            )
        self.net = WalkNetwork(encoder, head_depth, featdrop, whitening)
        self.head_lr_factor = head_lr_factor
        self.walk = walk
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.scheduler_interval = scheduler_interval
        self.freeze_batchnorm = freeze_batchnorm
        # Means over clips, also over ranks with unequal numbers of them. The length of the clips names the cycles, so
        # the metrics are made at the first batch.
        self.means = nn.ModuleDict()
        self.register_load_state_dict_pre_hook(_start_whitening)
        # Lightning starts a fit in the modes that it finds.
        self.train()

    def forward(self, batch: ClipBatch) -> WalkResult:
        """Walks over a batch of clips."""
        return self.walk(self.net(batch["clips"]).q)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if mode and self.freeze_batchnorm:
            keep_statistics(self.net)
        return self

    def on_fit_start(self) -> None:
        if self.device.type == "cpu" and any(isinstance(each, nn.SyncBatchNorm) for each in self.modules()):
            raise InputError(
                "trainer.sync_batchnorm=true needs GPUs: torch has no synchronised batch normalisation for a CPU.\n"
                "Set trainer.sync_batchnorm=false; model.freeze_batchnorm=true makes processes agree as well"
            )

    def training_step(self, batch: ClipBatch, batch_idx: int) -> Tensor:
        result = self(batch)
        named = {f"train/{name}": value.detach() for name, value in _figures(result).items()}
        self.log_dict(named, on_step=False, on_epoch=True, batch_size=len(batch["clips"]), sync_dist=True)
        self._log_step(result.loss.detach())
        return result.loss

    def _log_step(self, loss: Tensor) -> None:
        """Epochs of a large set take hours: loss (of the first process) and learning rate every few steps too."""
        trainer: Any = self.trainer
        if (trainer.global_step + 1) % trainer.log_every_n_steps == 0:
            self.log("train/loss_step", loss, on_step=True, on_epoch=False)
            self.log("lr", trainer.optimizers[0].param_groups[0]["lr"], on_step=True, on_epoch=False)

    def validation_step(self, batch: ClipBatch, batch_idx: int) -> None:
        self._gather(batch, "val")

    def test_step(self, batch: ClipBatch, batch_idx: int) -> None:
        self._gather(batch, "test")

    def on_validation_epoch_end(self) -> None:
        self._log_means("val")

    def on_test_epoch_end(self) -> None:
        self._log_means("test")

    def _gather(self, batch: ClipBatch, stage: str) -> None:
        for name, value in _figures(self(batch)).items():
            key = f"{stage}_{name}"
            if key not in self.means:
                self.means[key] = MeanMetric().to(self.device)
            cast(MeanMetric, self.means[key]).update(value, weight=len(batch["clips"]))

    def _log_means(self, stage: str) -> None:
        for key, metric in self.means.items():
            if key.startswith(f"{stage}_"):
                mean = cast(MeanMetric, metric)
                # The metric has gone over all ranks already: a mean of equal values.
                self.log(f"{stage}/{key.removeprefix(f'{stage}_')}", mean.compute(), sync_dist=True)
                mean.reset()

    def features(self, use_head: bool = False, remove_layers: Sequence[str] = ("layer4",)) -> FeatureExtractor:
        """Features of frames for label propagation; weights are shared with this module.

        Args:
            use_head: project the maps by the head; it reads all layers, so none may be removed.
            remove_layers: layers left out, where the encoder has them; published: layer4.

        Raises:
            InputError: the head or the whitening stands behind fewer layers than it was trained on.
        """
        return FeatureExtractor.of(self.net, use_head, remove_layers)

    def configure_optimizers(self) -> Any:
        """The optimizer over the network, with the scheduler where there is one."""
        groups = [{"params": part.parameters()} for part in (self.net.encoder, self.net.selfsim_fc)]
        trainer = self._trainer
        steps = None if trainer is None else functools.partial(count_steps_per_epoch, trainer)
        return configured(
            groups if self.head_lr_factor != 1 else self.net.parameters(),
            self._optimizer_with_faster_head,
            self.scheduler,
            self.scheduler_interval,
            steps,
        )

    def _optimizer_with_faster_head(self, parameters: Any) -> torch.optim.Optimizer:
        made = self.optimizer(parameters)
        if self.head_lr_factor != 1:
            made.param_groups[1]["lr"] *= self.head_lr_factor
        return made

    configure_gradient_clipping = gradient_clipping.configure_gradient_clipping


def _start_whitening(module: nn.Module, state: dict[str, Tensor], *_: Any) -> None:
    """Weights of a training without whitening begin one with it: statistics are gathered from the first step on."""
    net = cast(VideoWalkModule, module).net
    stored = [key for key in state if key.startswith(_WHITENING)]
    if net.whitening is None and stored:
        raise InputError("the weights were trained with whitening.\nSet model.whitening=true")
    if net.whitening is not None and not stored:
        log.warning("the weights were trained without whitening, whose statistics begin anew (model.whitening)")
        state.update({_WHITENING + key: value for key, value in net.whitening.state_dict().items()})


def _figures(result: WalkResult) -> dict[str, Tensor]:
    named = {"loss": result.loss}
    named |= {f"xent_{name}": value for name, value in result.xent.items()}
    named |= {f"acc_{name}": value for name, value in result.acc.items()}
    return named | {"cycle_acc": torch.stack(list(result.acc.values())).mean()}
