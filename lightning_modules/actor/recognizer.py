"""Training of the recognisers that ACTOR's motions are judged with (Petrovich et al. 2021, section 4)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import MeanMetric

from components.body.pose_format import PoseFormat
from components.errors import InputError
from components.metrics.classification import ConfusionAccuracy
from components.optimization import configured
from datamodules.actor.batch import MotionBatch, frame_mask
from lightning_modules.actor.networks.recognition import Recognition
from lightning_modules.actor.rotation2xyz import JOINT_ROWS, Rotation2XYZ


class RecognizerModule(LightningModule):
    """A recogniser of actions: which form of a motion the network sees, and how it learns.

    A network that reads positions (the GRU) gets those of `positions`, one that reads rotations (the ST-GCN) the pose
    features without the translation row. Evaluation has no chance in it.

    Args:
        net: called with `[B, J, F, T]` and lengths `[B]`, returns a `Recognition`.
        optimizer: called with the network's parameters.
        num_classes: C.
        positions: makes the positions; None gives the network rotations.
        pose_rep, translation, glob, glob_rot: the pose format of its motions, see `PoseFormat`.
        shortest: while training a motion is cut off after a random share of its frames, between this and 1, so that a
            few frames are enough later on; 1 (published) cuts nothing.
        label_smoothing: share of the target that is spread over all classes while training, in [0, 1). Keeps the
            classes that come second in order; 0 as published.
        scheduler: called with the optimizer; None = constant learning rate.
        scheduler_interval: whether the scheduler advances per `epoch` or per optimizer `step`.

    Raises:
        InputError: a value out of range, or a network that does not fit the motions.
    """

    positions: Rotation2XYZ | None

    def __init__(
        self,
        net: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        num_classes: int = 12,
        positions: Rotation2XYZ | None = None,
        pose_rep: Literal["xyz", "rotvec", "rotmat", "rotquat", "rot6d"] = "rot6d",
        translation: bool = False,
        glob: bool = True,
        glob_rot: Sequence[float] = (3.141592653589793, 0.0, 0.0),
        shortest: float = 1.0,
        label_smoothing: float = 0.0,
        scheduler: Callable[[Optimizer], Any] | None = None,
        scheduler_interval: Literal["epoch", "step"] = "epoch",
    ) -> None:
        super().__init__()
        if num_classes < 2:
            raise InputError(f"data.num_classes={num_classes}: a recogniser needs at least 2 classes to tell apart")
        if not 0.0 <= label_smoothing < 1.0:
            raise InputError(f"model.label_smoothing={label_smoothing} must lie in [0, 1)")
        if not 0.0 < shortest <= 1.0:
            raise InputError(f"model.shortest={shortest} must lie above 0 and be at most 1")
        if scheduler_interval not in ("epoch", "step"):
            raise InputError(f"model.scheduler_interval='{scheduler_interval}' is not one of epoch, step")
        self.pose_format = PoseFormat(pose_rep, translation, glob, tuple(glob_rot))
        self.net = net
        self.positions = positions
        self.num_classes = num_classes
        self.shortest = shortest
        self.label_smoothing = label_smoothing
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.scheduler_interval = scheduler_interval
        self._check_input()
        # Shares of clips, also over ranks with unequal numbers of them.
        self.accuracy = nn.ModuleDict({stage: ConfusionAccuracy(num_classes) for stage in ("val", "test")})
        self.losses = nn.ModuleDict({stage: MeanMetric() for stage in ("val", "test")})

    def _check_input(self) -> None:
        """Whether the network reads as many numbers as a frame of these motions has."""
        pose_format = self.pose_format
        if self.positions is None:
            found, wanted, key = pose_format.num_feats, getattr(self.net, "in_channels", None), "in_channels"
            if pose_format.joint_rows != 24:
                raise InputError("data.glob=false leaves 23 rotations; a recogniser of rotations needs all 24")
        else:
            if self.positions.pose_format != pose_format:
                raise InputError(
                    f"model.positions has {self.positions.pose_format},\n"
                    f"and the recogniser {pose_format}; set both through data.*"
                )
            points = JOINT_ROWS.get(self.positions.jointstype)
            if points is None:
                raise InputError(
                    f"model.positions.jointstype={self.positions.jointstype}: a recogniser reads joints, "
                    f"one of {', '.join(JOINT_ROWS)}"
                )
            found, wanted, key = 3 * len(points), getattr(self.net, "input_size", None), "input_size"
        if wanted is not None and wanted != found:
            raise InputError(f"model.net.{key}={wanted}, but its motions have {found}; set model.net.{key}={found}")

    def recognize(self, motion: Tensor, mask: Tensor, hidden: Tensor | None = None) -> Recognition:
        """Features and scores of motions in `self.pose_format`.

        Args:
            motion: `[B, J, F, T]`.
            mask: bool `[B, T]`, True = real frame.
            hidden: first hidden state of a GRU, `[L, B, H]`; None = zero.

        Returns:
            Features `[B, D]` and logits `[B, C]`.
        """
        if self.positions is not None:
            seen = self.positions(motion, mask)
        else:
            seen = motion[:, : self.pose_format.joint_rows]
        lengths = mask.sum(dim=1)
        return self.net(seen, lengths) if hidden is None else self.net(seen, lengths, hidden)

    def forward(self, batch: MotionBatch) -> Recognition:
        """Recognise the motions of a batch."""
        return self.recognize(batch["motion"], batch["mask"])

    def compute_loss(self, logits: Tensor, batch: MotionBatch, label_smoothing: float = 0.0) -> Tensor:
        """Cross entropy; of a mixture the mean of that to either label, so that both come out on top."""
        first = F.cross_entropy(logits, batch["action"], label_smoothing=label_smoothing)
        second = F.cross_entropy(logits, batch["second_action"], label_smoothing=label_smoothing)
        return (first + second) / 2

    def training_step(self, batch: MotionBatch, batch_idx: int) -> Tensor:
        mask = batch["mask"]
        if self.shortest < 1.0:
            share = self.shortest + (1.0 - self.shortest) * torch.rand(len(mask), device=mask.device)
            kept = (share * mask.sum(dim=1)).ceil()
            mask = mask & frame_mask(kept, mask.shape[1])
        logits = self.recognize(batch["motion"], mask).logits
        loss = self.compute_loss(logits, batch, self.label_smoothing)
        accuracy = (logits.argmax(dim=1) == batch["action"]).float().mean()
        named = {"train/loss": loss.detach(), "train/accuracy": accuracy}
        self.log_dict(named, on_step=False, on_epoch=True, batch_size=len(logits), sync_dist=True)
        return loss

    def validation_step(self, batch: MotionBatch, batch_idx: int) -> None:
        self._evaluation_step(batch, "val")

    def test_step(self, batch: MotionBatch, batch_idx: int) -> None:
        self._evaluation_step(batch, "test")

    def _evaluation_step(self, batch: MotionBatch, stage: Literal["val", "test"]) -> None:
        logits, label = self(batch).logits.float(), batch["action"]
        accuracy = cast(ConfusionAccuracy, self.accuracy[stage])
        mean = cast(MeanMetric, self.losses[stage])
        accuracy.update(logits, label)
        # Without smoothing: how well the probabilities are calibrated.
        mean.update(self.compute_loss(logits, batch), weight=len(logits))
        named = {f"{stage}/accuracy": accuracy, f"{stage}/loss": mean}
        self.log_dict(named, on_step=False, on_epoch=True, batch_size=len(logits))

    def configure_optimizers(self) -> Any:
        """The optimizer over the network, with the scheduler where there is one."""
        return configured(self.net.parameters(), self.optimizer, self.scheduler, self.scheduler_interval)
