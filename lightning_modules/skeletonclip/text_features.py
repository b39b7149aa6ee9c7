"""Features of class texts, read no more often than weights change."""

from typing import cast

import torch
from torch import Tensor

from lightning_modules.skeletonclip.class_texts import TokenizedTexts
from lightning_modules.skeletonclip.recognizer import SkeletonClip


class TextFeatures:
    """What a model says of the class texts.

    A text encoder that is frozen (`frozen` is true) reads the texts once, until `forget_states`. Features of all
    classes for evaluation are kept until `forget`.

    Args:
        net: the model.
        texts: the texts.
    """

    def __init__(self, net: SkeletonClip, texts: TokenizedTexts) -> None:
        self.net = net
        self.texts = texts
        self._kept: Tensor | None = None
        self._states: Tensor | None = None

    @property
    def frozen(self) -> bool:
        """Whether the text encoder never changes."""
        return bool(getattr(self.net.text_encoder, "frozen", False))

    def forget(self) -> None:
        """Weights have changed."""
        self._kept = None

    def forget_states(self) -> None:
        """Texts, or the weights of a frozen encoder, have changed."""
        self._kept = self._states = None

    def of_all(self, keep: bool) -> Tensor:
        """Normalised features of all classes `[L, E]`, without gradient.

        Args:
            keep: whether the next call may have the same ones; else they are read afresh, now and then.
        """
        if keep and self._kept is not None and self._on_device(self._kept):
            return self._kept
        # A training that follows may use what is kept, and autograd has no use for what inference mode made.
        with torch.inference_mode(False), torch.no_grad():
            features = self.of(None)
        self._kept = features if keep else None
        return features

    def of(self, classes: Tensor | None) -> Tensor:
        """Normalised features `[U, E]` of some classes' texts, with gradient; None = of all."""
        return self.project(self._read(classes), classes)

    def project(self, states: Tensor, classes: Tensor | None) -> Tensor:
        """Class features `[U, E]` of what the text encoder said of their texts `[U * K, width]`."""
        return self.texts.merge(self.net.project_texts(states), classes)

    def _read(self, classes: Tensor | None) -> Tensor:
        if not self.frozen:
            return cast(Tensor, self.net.text_encoder.encode(*self.texts.tokens(classes)))
        states = self._frozen_states()
        return states if classes is None else states.view(*self.texts.shares.shape, -1)[classes].flatten(0, 1)

    def _frozen_states(self) -> Tensor:
        if self._states is None or not self._on_device(self._states):
            with torch.inference_mode(False), torch.no_grad():
                self._states = cast(Tensor, self.net.text_encoder.encode(*self.texts.tokens()))
        return self._states

    def _on_device(self, kept: Tensor) -> bool:
        return kept.device == self.net.temp.device
