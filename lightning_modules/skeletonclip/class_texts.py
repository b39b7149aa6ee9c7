"""The texts of the classes, as tokens on the model's device and as words in its checkpoints."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from components.errors import InputError


class Tokens(Protocol):
    """What a tokenizer makes of L texts: int64 `[L, n]` both."""

    input_ids: Tensor
    attention_mask: Tensor


class Tokenizer(Protocol):
    """Words to numbers."""

    enc_token_id: int

    def encode(self, texts: list[str]) -> Tokens:
        """Tokens of texts."""


class TextTokens(NamedTuple):
    """Tokens of the texts of some classes, K to each: int64 `[U * K, n]`, class after class."""

    input_ids: Tensor
    attention_mask: Tensor


class TokenizedTexts(nn.Module):
    """One or several texts per class. Where classes differ in number, the shorter lists are repeated in the tokens.

    The words travel in the state dict (as bytes of json), so that a checkpoint knows its classes.

    Args:
        tokenizer: its special token [ENC] begins the texts that are read together with a clip.
        texts: per class a text, or several; None = they come later.
    """

    input_ids: Tensor
    attention_mask: Tensor
    shares: Tensor

    def __init__(self, tokenizer: Any, texts: Sequence[str | Sequence[str]] | None = None) -> None:
        super().__init__()
        self.tokenizer: Tokenizer = tokenizer
        self.texts: list[list[str]] = []
        for name in ("input_ids", "attention_mask"):
            self.register_buffer(name, torch.zeros(0, 1, 1, dtype=torch.int64), persistent=False)
        self.register_buffer("shares", torch.zeros(0, 1), persistent=False)
        if texts is not None:
            self.replace(texts)

    def __len__(self) -> int:
        """L."""
        return len(self.texts)

    @property
    def names(self) -> list[str]:
        """The first text of every class."""
        return [own[0] for own in self.texts]

    def replace(self, texts: Sequence[str | Sequence[str]]) -> bool:
        """Take other texts; returns whether they differ from those before.

        Raises:
            InputError: no class, a class without text, or a text that is too long.
        """
        wanted = [[each] if isinstance(each, str) else [str(text) for text in each] for each in texts]
        if not wanted:
            raise InputError("texts: no class; expected at least one text")
        for label, own in enumerate(wanted):
            if not own or not all(text.strip() for text in own):
                raise InputError(f"texts: class {label} has an empty text; expected words like 'drink water'")
        if wanted == self.texts:
            return False
        most = max(map(len, wanted))
        rows = [own[k % len(own)] for own in wanted for k in range(most)]
        tokens = self.tokenizer.encode(rows)
        device = self.input_ids.device
        self.input_ids = tokens.input_ids.view(len(wanted), most, -1).to(device)
        self.attention_mask = tokens.attention_mask.view(len(wanted), most, -1).to(device)
        # Each text of a class counts once, however often it is repeated.
        shares = [[float(k < len(own)) / len(own) for k in range(most)] for own in wanted]
        self.shares = torch.tensor(shares, device=device)
        self.texts = wanted
        return True

    def tokens(self, classes: Tensor | None = None) -> TextTokens:
        """Tokens of the texts of `classes` `[U]`; None = of all."""
        ids, mask = self.input_ids, self.attention_mask
        if classes is not None:
            ids, mask = ids[classes], mask[classes]
        return TextTokens(ids.flatten(0, 1), mask.flatten(0, 1))

    def pair_tokens(self, labels: Tensor) -> TextTokens:
        """Tokens of each label's first text `[B, n]`, beginning with [ENC] instead of [CLS]."""
        ids = self.input_ids[labels, 0].clone()
        ids[:, 0] = self.tokenizer.enc_token_id
        return TextTokens(ids, self.attention_mask[labels, 0])

    def merge(self, features: Tensor, classes: Tensor | None = None) -> Tensor:
        """Class features `[U, E]`: mean of the normalised features `[U * K, E]` of its texts, normalised again."""
        shares = self.shares if classes is None else self.shares[classes]
        if shares.shape[1] == 1:
            return features
        by_class = features.view(*shares.shape, -1)
        return nn.functional.normalize((by_class * shares.unsqueeze(-1)).sum(dim=1), dim=-1)

    def get_extra_state(self) -> Tensor:
        """The texts as a uint8 tensor, so that a state dict holds tensors alone."""
        return torch.tensor(list(json.dumps(self.texts).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the texts of a checkpoint.

        Raises:
            InputError: the entry is damaged.
        """
        try:
            texts = json.loads(bytes(state.tolist()))
            sound = isinstance(texts, list) and all(
                isinstance(own, list) and own and all(isinstance(text, str) for text in own) for own in texts
            )
        except (AttributeError, ValueError, TypeError, RecursionError):
            sound = False
        if not sound:
            raise InputError("the checkpoint's class texts are damaged: expected lists of words")
        if texts:
            self.replace(texts)
