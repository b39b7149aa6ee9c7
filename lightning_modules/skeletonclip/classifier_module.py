"""Training of the classification baseline."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from lightning import LightningModule
from torch import Tensor, nn

from components.errors import InputError
from datamodules.skeletonclip.batch import SkeletonBatch
from lightning_modules import gradient_clipping
from lightning_modules.skeletonclip.classifier import SkeletonClassifier
from lightning_modules.skeletonclip.evaluation import EvaluationScores, in_chunks
from lightning_modules.skeletonclip.module_checks import check_training
from lightning_modules.skeletonclip.parameter_groups import configured_groups
from lightning_modules.skeletonclip.recognizer import class_scores, normalised

_HEAD = "net.cls_head.fc_cls.weight"


class SkeletonClassifierModule(LightningModule):
    """PoseConv3D's classifier of skeleton clips, without texts.

    Logs `train/loss`, `train/top1`, and of `val/` and `test/` `loss`, `top1`, `top5`, `mean_class_acc`.

    Args:
        backbone: see `SkeletonClassifier`.
        optimizer: called with parameter groups.
        num_classes: L; None = as many as the data (or the checkpoint that is loaded) have.
        dropout: before the classifier.
        clip_chunk: clips that evaluation looks at at a time; None = all of a batch.
        scheduler: called with the optimizer; None = constant learning rate.

    Raises:
        InputError: a value is out of range.
    """

    net: SkeletonClassifier

    def __init__(
        self,
        backbone: nn.Module,
        optimizer: Callable[[Any], torch.optim.Optimizer],
        num_classes: int | None = None,
        dropout: float = 0.5,
        clip_chunk: int | None = 20,
        scheduler: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__()
        if clip_chunk is not None and clip_chunk < 1:
            raise InputError(f"model.clip_chunk={clip_chunk} must be at least 1, or null for all clips of a batch")
        self.fixed_classes = num_classes
        self.dropout = dropout
        self.net = SkeletonClassifier(backbone, 1 if num_classes is None else num_classes, dropout)
        self.num_classes = num_classes
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.clip_chunk = clip_chunk
        self.scores = EvaluationScores()
        self.register_load_state_dict_pre_hook(_fit_head)

    def set_num_classes(self, num_classes: int) -> None:
        """Make a new classifier where the number of classes is another one."""
        if num_classes != self.num_classes:
            device = self.net.cls_head.fc_cls.weight.device
            self.net = SkeletonClassifier(self.net.backbone, num_classes, self.dropout).to(device)
        self.num_classes = num_classes
        self.scores.num_classes = num_classes

    def setup(self, stage: str) -> None:
        """Ask the data how many classes there are."""
        data = getattr(self.trainer, "datamodule", None)
        unseen = getattr(data, "unseen_classes", None)
        if unseen:
            raise InputError(
                f"data.unseen_classes={unseen}: a classifier knows no texts, so nothing of the classes that it has not "
                "seen.\nChoose a model with texts, e.g. model=skeletonclip_pacl, or data.unseen_classes=null"
            )
        found = getattr(data, "num_classes", None)
        if self.fixed_classes is not None:
            if found is not None and found > self.fixed_classes:
                raise InputError(
                    f"model.num_classes={self.fixed_classes}, but the data have {found}; set model.num_classes={found}"
                )
            self.set_num_classes(self.fixed_classes)
        elif found is not None:
            self.set_num_classes(int(found))
        if self.num_classes is None:
            raise InputError("model.num_classes=null, and the data do not say; set model.num_classes=<classes>")
        self.scores.num_classes = self.num_classes
        if stage == "fit":
            check_training(data)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits `[B, L]` of clips `[B, V, T, H, W]`."""
        return cast(Tensor, self.net(clips))

    def training_step(self, batch: SkeletonBatch, batch_idx: int) -> Tensor:
        imgs = batch["imgs"]
        labels = batch["label"].repeat_interleave(imgs.shape[1])
        logits = self.net(imgs.flatten(0, 1))
        loss = F.cross_entropy(logits, labels)
        top1 = (logits.detach().argmax(dim=1) == labels).float().mean()
        named = {"train/loss": loss.detach(), "train/loss_cls": loss.detach(), "train/top1": top1}
        self.log_dict(named, on_step=False, on_epoch=True, batch_size=len(imgs), sync_dist=True)
        return cast(Tensor, loss)

    def validation_step(self, batch: SkeletonBatch, batch_idx: int) -> None:
        self._evaluate(batch, "val")

    def test_step(self, batch: SkeletonBatch, batch_idx: int) -> None:
        self._evaluate(batch, "test")

    def on_validation_epoch_end(self) -> None:
        self.log_dict(self.scores.end("val", self.device), sync_dist=True)

    def on_test_epoch_end(self) -> None:
        self.log_dict(self.scores.end("test", self.device), sync_dist=True)

    def _evaluate(self, batch: SkeletonBatch, stage: str) -> None:
        scores = self.clip_scores(batch["imgs"], self.clip_chunk)
        loss = F.nll_loss(scores.clamp_min(torch.finfo(scores.dtype).tiny).log(), batch["label"])
        self.scores.add(stage, loss, scores, batch["label"], batch.get("index"))

    def clip_scores(self, imgs: Tensor, clip_chunk: int | None = None) -> Tensor:
        """Class probabilities `[B, L]` of `[B, N, V, T, H, W]`: softmax per clip, mean over clips.

        At most `clip_chunk` clips are in the network at a time; None = all.
        """
        return class_scores(in_chunks(self.net, imgs, clip_chunk).unflatten(0, imgs.shape[:2]))

    def video_features(self, imgs: Tensor, clip_chunk: int | None = None) -> Tensor:
        """Normalised features before the classifier `[B, C]`, the mean over a sample's clips."""
        return normalised(in_chunks(self.net.features, imgs, clip_chunk).unflatten(0, imgs.shape[:2]).mean(dim=1))

    def configure_optimizers(self) -> Any:
        """The optimizer over all parameters, with the scheduler where there is one."""
        return configured_groups(self, self.optimizer, self.scheduler, trainer=self._trainer)

    configure_gradient_clipping = gradient_clipping.configure_gradient_clipping


def _fit_head(module: nn.Module, state: Mapping[str, Any], prefix: str, *_: Any) -> None:
    """A checkpoint knows its number of classes."""
    owner = cast(SkeletonClassifierModule, module)
    weight = state.get(prefix + _HEAD)
    if owner.fixed_classes is None and isinstance(weight, Tensor) and weight.ndim == 2:
        owner.set_num_classes(len(weight))
