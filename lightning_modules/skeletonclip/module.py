"""Training of skeleton clips with class texts: what is contrasted with what, what is logged, class scores."""

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self, cast

import torch
from lightning import LightningModule
from torch import Tensor, nn

from components.errors import InputError
from datamodules.skeletonclip.batch import SkeletonBatch
from lightning_modules import gradient_clipping
from lightning_modules.skeletonclip import objectives
from lightning_modules.skeletonclip.alignment import Alignment
from lightning_modules.skeletonclip.class_texts import TokenizedTexts
from lightning_modules.skeletonclip.embedders import EmbedderKind
from lightning_modules.skeletonclip.evaluation import EvaluationScores, in_chunks
from lightning_modules.skeletonclip.matching import Matching
from lightning_modules.skeletonclip.module_checks import (
    check_settings,
    check_training,
    check_vocabulary,
    width_of_pairs,
)
from lightning_modules.skeletonclip.momentum import Momentum
from lightning_modules.skeletonclip.parameter_groups import ENCODER_DECAY, configured_groups, encoder_rules
from lightning_modules.skeletonclip.recognizer import Pooling, SkeletonClip, Temperature, class_scores, normalised
from lightning_modules.skeletonclip.text_features import TextFeatures
from lightning_modules.skeletonclip.training_terms import all_class_terms, in_batch_terms

log = logging.getLogger(__name__)


class SkeletonClipModule(LightningModule):
    """SkeletonCLIP++ in all its variants.

    | variant | settings |
    |---|---|
    | Visece | `objective=in_batch`, `pooling=mean_then_embed` or `embed_then_mean` |
    | ITM | Visece with `matching` |
    | Momentum | Visece with `momentum` |
    | PACL in batch | `objective=in_batch`, `pooling=text_weighted` |
    | PACL, Plus | `objective=all_class`, `pooling=text_weighted` |

    In training each text of the batch is read once, however many samples have it. Evaluation reads the class texts once
    per epoch, and a frozen text encoder reads them once per fit.

    Logs per epoch `train/loss`, `loss_cls`, `loss_itm` (with matching) and `top1` (among the texts that the loss
    compares with), `val/` and `test/loss` (cross entropy over all classes, of the mean cosines over a sample's clips
    and the temperature), `top1`, `top5`, `mean_class_acc`.

    Args:
        video_encoder, text_encoder: see `SkeletonClip`.
        tokenizer: see `TokenizedTexts`.
        optimizer: called with parameter groups.
        embed_dim, embedder, pooling, alignment, temperature: see `SkeletonClip`.
        objective: `in_batch` (clips and texts of the batch) or `all_class` (clips and all class texts).
        gather: `in_batch` has the samples of all ranks as candidates.
        matching: called with the encoders' width, see `Matching`.
        momentum: called with the model, see `Momentum`.
        lr: learning rates of `video_encoder` and `text_encoder`, see `encoder_rules`.
        encoder_decay: weight decay of the encoders over that of all else.
        clip_chunk: clips that evaluation encodes at a time; None = all of a batch.
        texts: one or several per class; None takes those of the data.
        scheduler: called with the optimizer; None = constant learning rates.

    Raises:
        InputError: a value is out of range, or settings that exclude each other.
    """

    matching: Matching | None
    momentum: Momentum | None

    def __init__(
        self,
        video_encoder: nn.Module,
        text_encoder: nn.Module,
        tokenizer: Any,
        optimizer: Callable[[Any], torch.optim.Optimizer],
        embed_dim: int = 256,
        embedder: EmbedderKind = "linear",
        pooling: Pooling = "mean_then_embed",
        alignment: Alignment | None = None,
        temperature: Temperature | None = None,
        objective: Literal["in_batch", "all_class"] = "in_batch",
        gather: bool = False,
        matching: Callable[[int], Matching] | None = None,
        momentum: Callable[[SkeletonClip], Momentum] | None = None,
        lr: Mapping[str, float | None] | None = None,
        encoder_decay: float = ENCODER_DECAY,
        clip_chunk: int | None = 20,
        texts: Sequence[str] | None = None,
        scheduler: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__()
        check_settings(objective, gather, matching, momentum, clip_chunk)
        check_vocabulary(tokenizer, text_encoder)
        encoder_rules(lr, encoder_decay)
        self.net = SkeletonClip(video_encoder, text_encoder, embed_dim, embedder, pooling, alignment, temperature)
        self.texts = TokenizedTexts(tokenizer)
        self.objective = objective
        self.gather = gather
        self.matching = None if matching is None else matching(width_of_pairs(self.net))
        self.momentum = None if momentum is None else momentum(self.net)
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.lr = None if lr is None else dict(lr)
        self.encoder_decay = encoder_decay
        self.clip_chunk = clip_chunk
        self.scores = EvaluationScores()
        self._said_one_class = False
        self.text_features = TextFeatures(self.net, self.texts)
        if texts is not None:
            self.set_texts(texts)
        self.register_load_state_dict_post_hook(_forget)

    # --- class texts -------------------------------------------------------------------------------------------------

    def set_texts(self, texts: Sequence[str | Sequence[str]]) -> None:
        """Take the texts of the classes, one or several each.

        Raises:
            InputError: no text, or one that is too long.
        """
        if self.texts.replace(texts):
            self.text_features.forget_states()
        self.scores.num_classes = len(self.texts)

    def setup(self, stage: str) -> None:
        """Ask the data for the class texts."""
        data = getattr(self.trainer, "datamodule", None)
        found = getattr(data, "label_texts", None)
        if found is not None:
            self.set_texts(found)
        if not len(self.texts):
            raise InputError(
                "model.texts=null, and the data name no classes; give data.label_file or model.texts=[wave, run, ...]"
            )
        self.scores.num_classes = len(self.texts)
        if stage == "fit":
            over_ranks = self.gather and self.trainer.world_size > 1
            check_training(data, self.objective, over_ranks or self.momentum is not None)

    def with_texts(self, texts: Sequence[str | Sequence[str]]) -> Self:
        """This module with other class texts; weights are shared, this module keeps its own texts (zero-shot)."""
        other = copy.copy(self)
        other._modules = dict(self._modules)
        other.texts = TokenizedTexts(self.texts.tokenizer).to(self.net.temp.device)
        other.scores = EvaluationScores()
        other.text_features = TextFeatures(self.net, other.texts)
        other.set_texts(texts)
        return other

    def train(self, mode: bool = True) -> Self:
        if mode and "text_features" in self.__dict__:
            self.text_features.forget()
        return super().train(mode)

    def on_validation_epoch_start(self) -> None:
        self.text_features.forget()  # averaged weights may have come in

    def on_test_start(self) -> None:
        # Behind the checkpoint, which brings the texts of the training: a test of unseen classes has others.
        found = getattr(getattr(self.trainer, "datamodule", None), "test_label_texts", None)
        if found is not None:
            self.set_texts(found)

    def on_test_epoch_start(self) -> None:
        self.text_features.forget()

    def class_features(self) -> Tensor:
        """Normalised features of all class texts `[L, E]`, without gradient.

        In eval mode they are kept until weights or texts change, or the next evaluation begins.
        """
        return self.text_features.of_all(keep=not self.training)

    # --- training ----------------------------------------------------------------------------------------------------

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Find the classes of a batch while its labels are on the host; on the device that would halt it."""
        if self.training and isinstance(batch, dict) and "label" in batch:
            classes, slot = batch["label"].unique(return_inverse=True)
            batch = {**batch, "classes": classes, "slot": slot}
            if self.matching is not None and len(classes) == 1 and not self._said_one_class:
                self._said_one_class = True
                log.warning(
                    "a batch of %d clips is of class %d alone: without unfitting pairs its loss_itm is 0 (said once).\n"
                    "A larger data.batch_size makes that rare",
                    len(slot), int(classes[0]),
                )  # fmt: skip
        return batch

    def compute_loss(self, batch: SkeletonBatch, epoch: float = 0.0, moved: bool = True) -> dict[str, Tensor]:
        """Loss terms of a training batch by name, unweighted, their sum `loss`, and `top1` without gradient.

        Args:
            batch: `imgs` `[B, N, V, T, H, W]` (all clips of a sample count as samples) and `label` `[B]`.
            epoch: epochs so far, parts of them included.
            moved: an optimizer's step lies between this batch and the one before.
        """
        self.net.clamp_temperature()
        imgs, label = batch["imgs"], batch["label"]
        clips = imgs.shape[1]
        clips_of_all, labels = imgs.flatten(0, 1), label.repeat_interleave(clips) if clips > 1 else label
        if self.objective == "all_class":
            return all_class_terms(self.text_features, clips_of_all, labels)
        if "slot" in batch:
            classes, slot = cast(Any, batch)["classes"], cast(Any, batch)["slot"]
        else:
            classes, slot = label.unique(return_inverse=True)
        slot = slot.repeat_interleave(clips) if clips > 1 else slot
        return in_batch_terms(
            self.text_features, clips_of_all, labels, classes, slot,
            self.gather, self.matching, self.momentum, epoch, moved,
        )  # fmt: skip

    def training_step(self, batch: SkeletonBatch, batch_idx: int) -> Tensor:
        batches = self.trainer.num_training_batches
        terms = self.compute_loss(
            batch,
            self.current_epoch + batch_idx / max(1.0, float(batches)),
            moved=batch_idx % self.trainer.accumulate_grad_batches == 0,
        )
        named = {f"train/{name}": value.detach() for name, value in terms.items()}
        self.log_dict(named, on_step=False, on_epoch=True, batch_size=len(batch["label"]), sync_dist=True)
        return terms["loss"]

    # --- evaluation --------------------------------------------------------------------------------------------------

    def validation_step(self, batch: SkeletonBatch, batch_idx: int) -> None:
        self._evaluate(batch, "val")

    def test_step(self, batch: SkeletonBatch, batch_idx: int) -> None:
        self._evaluate(batch, "test")

    def on_validation_epoch_end(self) -> None:
        self.log_dict(self.scores.end("val", self.device), sync_dist=True)

    def on_test_epoch_end(self) -> None:
        self.log_dict(self.scores.end("test", self.device), sync_dist=True)

    def _evaluate(self, batch: SkeletonBatch, stage: str) -> None:
        cosines = self.clip_cosines(batch["imgs"], self.clip_chunk)
        loss = objectives.all_class(cosines.mean(dim=1), batch["label"], self.net.bounded_temperature())
        scores = class_scores(cosines, self._test_temperature())
        self.scores.add(stage, loss, scores, batch["label"], batch.get("index"))

    def _test_temperature(self) -> Tensor | None:
        return self.net.bounded_temperature() if self.net.temperature.use_at_test else None

    def clip_cosines(self, imgs: Tensor, clip_chunk: int | None = None) -> Tensor:
        """Cosines of every clip with every class text.

        Args:
            imgs: `[B, N, V, T, H, W]`.
            clip_chunk: clips encoded at a time; None = all.

        Returns:
            `[B, N, L]`, float32.
        """
        features = self.class_features()
        found = in_chunks(
            lambda clips: self.net.class_cosines(self.net.video_encoder(clips), features), imgs, clip_chunk
        )
        return found.unflatten(0, imgs.shape[:2])

    def clip_scores(self, imgs: Tensor, clip_chunk: int | None = None) -> Tensor:
        """Class scores: softmax of cosines over classes per clip, mean over clips. Arguments as `clip_cosines`.

        Cosines lie in [-1, 1], so that scores are nearly uniform: their order counts. With `temperature.use_at_test`
        they are probabilities.

        Returns:
            `[B, L]`, rows sum to 1.
        """
        return class_scores(self.clip_cosines(imgs, clip_chunk), self._test_temperature())

    def video_features(self, imgs: Tensor, clip_chunk: int | None = None) -> Tensor:
        """One normalised feature per sample `[B, E]`: the mean over its clips.

        With text-weighted frames a clip's feature depends on the text; it is that of the best text then.
        """
        features = self.class_features()

        def of(clips: Tensor) -> Tensor:
            frames = self.net.video_encoder(clips)
            if self.net.pooling != "text_weighted":
                return self.net.pool(frames)
            best = self.net.class_cosines(frames, features).argmax(dim=1)
            return self.net.pool(frames, features[best])

        return normalised(in_chunks(of, imgs, clip_chunk).unflatten(0, imgs.shape[:2]).mean(dim=1))

    # --- optimisation ------------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> Any:
        """The optimizer over encoders and the rest, each with its rate, and the scheduler where there is one."""
        return configured_groups(
            self, self.optimizer, self.scheduler, self.lr, self.encoder_decay, trainer=self._trainer
        )

    configure_gradient_clipping = gradient_clipping.configure_gradient_clipping


def _forget(module: nn.Module, _: Any) -> None:
    cast(SkeletonClipModule, module).text_features.forget_states()
