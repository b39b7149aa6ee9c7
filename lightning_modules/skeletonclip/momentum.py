"""Momentum encoders and a queue of their features (ALBEF, BLIP; the Momentum variant of SkeletonCLIP)."""

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn

from components.errors import InputError
from lightning_modules.skeletonclip.contrastive import gather, soft_cross_entropy, soft_targets
from lightning_modules.skeletonclip.objectives import similarity
from lightning_modules.skeletonclip.recognizer import SkeletonClip

# Label of a place in the queue that nothing has filled yet; no class has it.
EMPTY = -100


class Candidates(NamedTuple):
    """What the samples of a batch are compared with: the batch itself, then the queue."""

    videos: Tensor
    """`[C, E]`"""
    texts: Tensor
    """`[C, E]`"""
    labels: Tensor
    """`[C]`"""


class Momentum(nn.Module):
    """Slowly moving copies of a model's parts, a queue of their features, and the loss against both.

    Parts are named as published: `video_encoder_m.*`, `text_encoder_m.*`, `text_proj_m.*`, `vision_proj_m.*` (or the
    residual embedder's), buffers `video_queue`, `text_queue` `[E, K]`, `idx_queue` `[1, K]`, `ptr_queue` `[1]`.
    Running statistics of the copies follow the model's like parameters do; their own forward passes leave them alone
    (published: the other way round; they are only used in eval mode).

    Args:
        net: the model; it is copied.
        queue_size: K, samples that are remembered.
        decay: share of themselves that the copies keep in a step.
        alpha: share of the copies' own opinion in the targets.
        alpha_ramp_epochs: epochs over which alpha grows linearly from 0.

    Raises:
        InputError: a value is out of range.
    """

    video_queue: Tensor
    text_queue: Tensor
    idx_queue: Tensor
    ptr_queue: Tensor
    twin: SkeletonClip

    def __init__(
        self,
        net: SkeletonClip,
        queue_size: int = 4096,
        decay: float = 0.995,
        alpha: float = 0.4,
        alpha_ramp_epochs: float = 0.0,
    ) -> None:
        super().__init__()
        if queue_size < 1 or not 0 <= decay <= 1 or not 0 <= alpha <= 1 or alpha_ramp_epochs < 0:
            raise InputError(
                f"model.momentum: queue_size={queue_size} must be at least 1, decay={decay} and alpha={alpha} in "
                f"[0, 1], alpha_ramp_epochs={alpha_ramp_epochs} at least 0"
            )
        self.queue_size = queue_size
        self.decay = decay
        self.alpha = alpha
        self.alpha_ramp_epochs = alpha_ramp_epochs
        twin = copy.deepcopy(net).requires_grad_(False)
        for layer in twin.modules():
            if isinstance(layer, _BatchNorm):
                layer.momentum = 0.0
        for name, part in twin.named_children():
            self.add_module(f"{name}_m", part)
        # Its parts are registered under the published names; as a whole it only lends them its methods.
        object.__setattr__(self, "twin", twin)
        for name in ("video_queue", "text_queue"):
            queue = nn.functional.normalize(torch.randn(net.embed_dim, queue_size), dim=0)
            self.register_buffer(name, queue)
        self.register_buffer("idx_queue", torch.full((1, queue_size), EMPTY))
        self.register_buffer("ptr_queue", torch.zeros(1, dtype=torch.int64))

    def alpha_at(self, epoch: float) -> float:
        """Alpha after so many epochs, parts of them included."""
        return self.alpha * (min(1.0, epoch / self.alpha_ramp_epochs) if self.alpha_ramp_epochs else 1.0)

    @torch.no_grad()
    def follow(self, net: SkeletonClip) -> None:
        """Move the copies towards the model: `m <- decay * m + (1 - decay) * model`."""
        # Of `net` and not of this module: DDP and Lightning see each parameter once, and the order is the same.
        pairs: list[tuple[Any, Any]] = []
        for (_, own), (_, part) in zip(self.twin.named_children(), net.named_children(), strict=True):
            pairs += zip(own.parameters(), part.parameters(), strict=True)
            buffers = zip(own.buffers(), part.buffers(), strict=True)
            pairs += [(ours, theirs) for ours, theirs in buffers if ours.is_floating_point()]
        ours, theirs = ([pair[side] for pair in pairs] for side in (0, 1))
        get_ema_multi_avg_fn(self.decay)(ours, theirs, None)

    def candidates(self, videos: Tensor, texts: Tensor, labels: Tensor) -> Candidates:
        """A batch of momentum features `[B, E]` with labels `[B]`, and the queue behind it; copies."""
        return Candidates(
            torch.cat([videos, self.video_queue.T.to(videos.dtype)]),
            torch.cat([texts, self.text_queue.T.to(texts.dtype)]),
            torch.cat([labels, self.idx_queue[0]]),
        )

    @torch.no_grad()
    def enqueue(self, videos: Tensor, texts: Tensor, labels: Tensor) -> None:
        """Write the features of all ranks `[B, E]` over the oldest ones; any B, also one beyond the queue's size.

        Every rank writes the same, in the order of ranks.
        """
        videos, texts, labels = gather(videos), gather(texts), gather(labels)
        total = len(labels)
        kept = min(total, self.queue_size)
        places = (self.ptr_queue + torch.arange(total - kept, total, device=labels.device)) % self.queue_size
        self.video_queue.index_copy_(1, places, videos[total - kept :].T.to(self.video_queue.dtype))
        self.text_queue.index_copy_(1, places, texts[total - kept :].T.to(self.text_queue.dtype))
        self.idx_queue.index_copy_(1, places, labels[total - kept :].unsqueeze(0))
        self.ptr_queue.add_(total).remainder_(self.queue_size)

    def forward(
        self,
        videos: Tensor,
        texts: Tensor,
        momentum_videos: Tensor,
        momentum_texts: Tensor,
        labels: Tensor,
        temperature: Tensor,
        epoch: float = 0.0,
        over_ranks: bool = False,
    ) -> Tensor:
        """The loss of a batch, the mean of both directions; the batch then joins the queue.

        Args:
            videos, texts: features `[B, E]` of the model.
            momentum_videos, momentum_texts: those of the copies, without gradient.
            labels: `[B]`.
            temperature: scalar; of the copies' similarities too.
            epoch: for the growth of alpha.
            over_ranks: candidates are also the batches of the other ranks.
        """
        own = (momentum_videos, momentum_texts, labels)
        found = self.candidates(*(map(gather, own) if over_ranks else own))
        alpha = self.alpha_at(epoch)
        directions = ((videos, momentum_videos, found.texts), (texts, momentum_texts, found.videos))
        hard = soft_targets(labels, found.labels)
        losses = []
        for features, momentum_features, others in directions:
            with torch.no_grad():
                soft = similarity(momentum_features, others, temperature).softmax(dim=1)
                targets = alpha * soft + (1 - alpha) * hard
            losses.append(soft_cross_entropy(similarity(features, others, temperature), targets))
        self.enqueue(*own)
        return (losses[0] + losses[1]) / 2
