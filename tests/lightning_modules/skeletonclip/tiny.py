"""Encoders of a few numbers with the shape of the real ones, and modules and batches of them."""

import functools
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lightning_modules.skeletonclip.module import SkeletonClipModule

TEXTS = ["jump", "run", "sit", "wave"]
JOINTS, TIME, SIDE, WIDTH, EMBED = 3, 4, 5, 8, 6


class Tokens(NamedTuple):
    input_ids: Tensor
    attention_mask: Tensor


class TinyTokenizer:
    """Letters to numbers, five to a text."""

    enc_token_id = 31

    def encode(self, texts: list[str]) -> Tokens:
        ids = torch.tensor([[30, *(ord(letter) % 29 for letter in f"{text:<4}"[:4])] for text in texts])
        return Tokens(ids, torch.ones_like(ids))


class TinyVideo(nn.Module):
    """Frames of clips through one layer; `norm` puts batch normalisation behind it."""

    def __init__(self, width: int = WIDTH, norm: bool = False) -> None:
        super().__init__()
        self.width = width
        self.layer = nn.Linear(JOINTS * SIDE * SIDE, width)
        self.bn = nn.BatchNorm1d(width) if norm else None
        self.calls: list[int] = []

    def forward(self, clips: Tensor) -> Tensor:
        self.calls.append(len(clips))
        frames: Tensor = self.layer(clips.transpose(1, 2).flatten(2))
        return frames if self.bn is None else self.bn(frames.transpose(1, 2)).transpose(1, 2)


class TinyText(nn.Module):
    """Mean of embeddings; counts the texts it reads."""

    def __init__(self, frozen: bool = False, width: int = WIDTH, cross_attention: bool = True) -> None:
        super().__init__()
        self.width = width
        self.cross_attention = cross_attention
        self.embedding = nn.Embedding(32, width)
        if cross_attention:
            self.pair = nn.Linear(2 * width, width)
        self.frozen = frozen
        self.requires_grad_(not frozen)
        self.calls: list[int] = []

    def encode(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        self.calls.append(len(input_ids))
        return (self.embedding(input_ids) * attention_mask.unsqueeze(-1)).mean(dim=1)

    def match(self, input_ids: Tensor, attention_mask: Tensor, video: Tensor) -> Tensor:
        read = (self.embedding(input_ids) * attention_mask.unsqueeze(-1)).mean(dim=1)
        return torch.tanh(self.pair(torch.cat([read, video.mean(dim=1)], dim=1)))


def tiny_module(frozen: bool = False, norm: bool = False, **settings: Any) -> SkeletonClipModule:
    optimizer = settings.pop("optimizer", functools.partial(torch.optim.SGD, lr=0.1))
    texts = settings.pop("texts", TEXTS)
    text = TinyText(frozen, cross_attention="matching" in settings)
    return SkeletonClipModule(
        TinyVideo(norm=norm), text, TinyTokenizer(), optimizer, embed_dim=EMBED, texts=texts, **settings
    )


def tiny_batch(labels: list[int], clips: int = 1, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    imgs = torch.rand(len(labels), clips, JOINTS, TIME, SIDE, SIDE, generator=generator)
    label = torch.tensor(labels)
    # A class shows in the first joint.
    imgs[:, :, 0] += label.view(-1, 1, 1, 1, 1) * torch.linspace(-1, 1, SIDE)
    return {"imgs": imgs, "label": label, "index": torch.arange(len(labels))}
