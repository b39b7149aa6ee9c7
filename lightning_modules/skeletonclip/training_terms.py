"""Loss terms of a training batch, by objective."""

import torch
from torch import Tensor

from lightning_modules.skeletonclip import objectives
from lightning_modules.skeletonclip.matching import Matching
from lightning_modules.skeletonclip.momentum import Momentum
from lightning_modules.skeletonclip.text_features import TextFeatures

Terms = dict[str, Tensor]
"""Unweighted losses by name, their weighted sum `loss`, and `top1` among the texts that they compare with."""


def encode(text_features: TextFeatures, clips: Tensor, classes: Tensor | None) -> tuple[Tensor, Tensor]:
    """Frames `[B, T', D]` of clips `[B, V, T, H, W]`, and features of some classes `[U, E]`; None = of all."""
    net = text_features.net
    if text_features.frozen:
        return net.video_encoder(clips), text_features.of(classes)
    # Through `forward`, which torch.compile has compiled if asked to.
    frames, states = net(clips, *text_features.texts.tokens(classes))
    return frames, text_features.project(states, classes)


def all_class_terms(text_features: TextFeatures, clips: Tensor, labels: Tensor) -> Terms:
    """Clips `[B, V, T, H, W]` with labels `[B]` against the texts of all classes, which are read once."""
    net = text_features.net
    frames, features = encode(text_features, clips, None)
    cosines = net.class_cosines(frames, features)
    loss = objectives.all_class(cosines, labels, net.temp)
    top1 = (cosines.detach().argmax(dim=1) == labels).float().mean()
    return {"loss": loss, "loss_cls": loss, "top1": top1}


def in_batch_terms(
    text_features: TextFeatures,
    clips: Tensor,
    labels: Tensor,
    classes: Tensor,
    slot: Tensor,
    over_ranks: bool = False,
    matching: Matching | None = None,
    momentum: Momentum | None = None,
    epoch: float = 0.0,
    moved: bool = True,
) -> Terms:
    """Clips and texts of a batch against each other.

    Args:
        text_features: the model and its texts.
        clips: `[B, V, T, H, W]`.
        labels: `[B]`.
        classes: the distinct ones of `labels`, `[U]`; each text is read once.
        slot: where in `classes` each label is, `[B]`.
        over_ranks: candidates are the samples of all ranks.
        matching, momentum: what comes on top.
        epoch: epochs so far, for the growth of momentum's alpha.
        moved: the model is another one than in the last batch; not so within batches that are accumulated.
    """
    net = text_features.net
    frames, features = encode(text_features, clips, classes)
    texts = features[slot]
    videos = net.pool(frames, texts)
    if momentum is None:
        loss_cls = objectives.in_batch(videos, texts, labels, net.temp, over_ranks)
    else:
        if moved:
            momentum.follow(net)
        with torch.no_grad():
            twin = momentum.twin
            twin_frames, states = twin(clips, *text_features.texts.tokens(classes))
            twin_texts = text_features.texts.merge(twin.project_texts(states), classes)[slot]
            twin_videos = twin.pool(twin_frames, twin_texts)
        loss_cls = momentum(videos, texts, twin_videos, twin_texts, labels, net.temp, epoch, over_ranks)
    with torch.no_grad():
        similarities = objectives.similarity(videos, texts, net.temp)
        top1 = (labels[similarities.argmax(dim=1)] == labels).float().mean()
    terms = {"loss": loss_cls, "loss_cls": loss_cls, "top1": top1}
    if matching is not None:
        negatives = matching.choose(similarities, labels)
        tokens = text_features.texts.pair_tokens(labels)
        loss_itm = matching(net.text_encoder, *tokens, frames, labels, negatives)
        terms |= {"loss": loss_cls + matching.weight * loss_itm, "loss_itm": loss_itm}
    return terms
