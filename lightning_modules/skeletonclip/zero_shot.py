"""A trained model on clips of users: class probabilities among any texts, and what the frames counted for."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, cast

import torch
from torch import Tensor

from components.keypoints.heatmaps import HeatmapVolume
from lightning_modules.skeletonclip.alignment import frame_weights, full_precision
from lightning_modules.skeletonclip.classifier_module import SkeletonClassifierModule
from lightning_modules.skeletonclip.module import SkeletonClipModule
from lightning_modules.skeletonclip.recognizer import class_scores

Timed = Callable[[str], AbstractContextManager[None]]


class ZeroShotAnswers(NamedTuple):
    """Of B samples of K clips.

    `probabilities` `[B, L]` float32, rows sum to 1. `similarities` `[B, L]` float32: mean cosines with the texts, of a
    classifier the mean logits. `attention` `[B, K, T']` float32: weights of the frame features for the best text, mean
    over plain and mirrored clips; None where the model does not weigh frames.
    """

    probabilities: Tensor
    similarities: Tensor
    attention: Tensor | None


class ZeroShotClassifier:
    """Heatmaps, both encoders and scores, a limited number of clips at a time.

    Args:
        module: trained, in eval mode, with the texts that matter.
        volume: draws heatmaps; with `double` every clip is seen mirrored too.
        side: of the heatmaps, pixels.
        clip_chunk: clips drawn and encoded at a time.
        calibrated: cosines are divided by the learned temperature, as in training; without, probabilities are nearly
            uniform, as published.
        timed: gets the name of each stage (`heatmaps`, `video encoder`, `text encoder`, `scores`).
    """

    def __init__(
        self,
        module: SkeletonClipModule | SkeletonClassifierModule,
        volume: HeatmapVolume,
        side: int,
        clip_chunk: int = 20,
        calibrated: bool = True,
        timed: Timed | None = None,
    ) -> None:
        self.module, self.volume, self.side = module, volume, side
        self.clip_chunk = max(1, clip_chunk // (2 if volume.double else 1))
        self.calibrated = calibrated
        self.timed: Timed = timed or (lambda stage: nullcontext())

    @property
    def weighs_frames(self) -> bool:
        """Whether there is attention to look at."""
        return isinstance(self.module, SkeletonClipModule) and self.module.net.pooling == "text_weighted"

    @torch.no_grad()
    def __call__(self, keypoint: Tensor, score: Tensor, attention: bool = True) -> ZeroShotAnswers:
        """Classify samples.

        Args:
            keypoint: `[B, K, M, T, V, 2]`, pixels of the canvas.
            score: `[B, K, M, T, V]`.
            attention: whether weights of frames are wanted.
        """
        samples, clips = keypoint.shape[:2]
        views = 1 + self.volume.double
        texts = None
        if isinstance(self.module, SkeletonClipModule):
            with self.timed("text encoder"):
                texts = self.module.class_features()
        answers, encoded = [], []
        points, scores = keypoint.flatten(0, 1)[:, None], score.flatten(0, 1)[:, None]
        for first in range(0, samples * clips, self.clip_chunk):
            part = slice(first, first + self.clip_chunk)
            with self.timed("heatmaps"):
                imgs = self.volume(points[part], scores[part], (self.side, self.side)).flatten(0, 1)
            with self.timed("video encoder"):
                frames = self._encode(imgs)
            with self.timed("scores"):
                answers.append(self._answer(frames, texts))
            if attention and self.weighs_frames:
                encoded.append(frames)
        with self.timed("scores"):
            found = torch.cat(answers).view(samples, clips * views, -1).float()
            probabilities = class_scores(found, self._temperature())
        weights = None
        if encoded:
            with self.timed("scores"):
                best = cast(Tensor, texts)[probabilities.argmax(dim=1)].repeat_interleave(clips * views, dim=0)
                net = cast(SkeletonClipModule, self.module).net
                weights = frame_weights(net.embed(torch.cat(encoded)), best, net.alignment, own=True)
                weights = full_precision(weights).view(samples, clips, views, -1).mean(dim=2)
        return ZeroShotAnswers(probabilities, found.mean(dim=1), weights)

    def _encode(self, imgs: Tensor) -> Tensor:
        if isinstance(self.module, SkeletonClassifierModule):
            return cast(Tensor, self.module.net(imgs))
        return cast(Tensor, self.module.net.video_encoder(imgs))

    def _answer(self, encoded: Tensor, texts: Tensor | None) -> Tensor:
        if isinstance(self.module, SkeletonClassifierModule):
            return encoded
        return self.module.net.class_cosines(encoded, cast(Tensor, texts))

    def _temperature(self) -> Tensor | None:
        if isinstance(self.module, SkeletonClassifierModule) or not self.calibrated:
            return None
        return self.module.net.bounded_temperature()
