"""What a model says of every clip of a sample, with the features behind it: one pass through the video encoder."""

from typing import NamedTuple

import torch
from torch import Tensor

from lightning_modules.skeletonclip.classifier_module import SkeletonClassifierModule
from lightning_modules.skeletonclip.evaluation import in_chunks
from lightning_modules.skeletonclip.module import SkeletonClipModule
from lightning_modules.skeletonclip.recognizer import normalised


class ClipAnswers(NamedTuple):
    """Of B samples of N clips."""

    answers: Tensor
    """`[B, N, L]` float32: cosines with the class texts, or the logits of a classifier."""
    features: Tensor
    """`[B, E]` float32, normalised mean over the clips; see `video_features` of the modules."""


def clip_answers(
    module: SkeletonClipModule | SkeletonClassifierModule, imgs: Tensor, clip_chunk: int | None = None
) -> ClipAnswers:
    """`clip_cosines` (of a classifier the logits) and `video_features` at the cost of one of them.

    Args:
        module: in eval mode.
        imgs: `[B, N, V, T, H, W]`.
        clip_chunk: clips encoded at a time; None = all.
    """
    if isinstance(module, SkeletonClassifierModule):
        head = module.net

        def of(clips: Tensor) -> Tensor:
            features = head.features(clips)
            return torch.cat([head.cls_head(features).float(), features.float()], dim=1)

        classes = head.cls_head.fc_cls.out_features
    else:
        net, texts = module.net, module.class_features()

        def of(clips: Tensor) -> Tensor:
            frames = net.video_encoder(clips)
            cosines = net.class_cosines(frames, texts)
            own = texts[cosines.argmax(dim=1)] if net.pooling == "text_weighted" else None
            return torch.cat([cosines.float(), net.pool(frames, own).float()], dim=1)

        classes = len(texts)
    found = in_chunks(of, imgs, clip_chunk).unflatten(0, imgs.shape[:2])
    return ClipAnswers(found[:, :, :classes], normalised(found[:, :, classes:].mean(dim=1)))
