"""What a recogniser says about a batch of motions: the features that metrics compare, and the scores of the classes."""

from typing import NamedTuple

from torch import Tensor


class Recognition(NamedTuple):
    """Answer of a recogniser.

    Attributes:
        features: `[B, D]`, the last layer before the classes; FID, KID, diversity and multimodality are taken on them.
        logits: `[B, C]`, unnormalised log-probabilities.
    """

    features: Tensor
    logits: Tensor
