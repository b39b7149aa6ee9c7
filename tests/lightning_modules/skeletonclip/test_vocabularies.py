"""Tokenizer and text encoder must know the same words."""

from pathlib import Path

import pytest
import torch

from components.errors import InputError
from lightning_modules.skeletonclip.module import SkeletonClipModule
from lightning_modules.skeletonclip.networks.text_encoder import TextEncoder
from lightning_modules.skeletonclip.networks.tokenizer import ClassTokenizer
from tests.lightning_modules.skeletonclip.networks.test_text_encoder import SIZES, released_folder
from tests.lightning_modules.skeletonclip.tiny import TinyVideo


def module(text_encoder: TextEncoder, tokenizer: ClassTokenizer) -> SkeletonClipModule:
    return SkeletonClipModule(TinyVideo(6), text_encoder, tokenizer, torch.optim.SGD)


def test_words_without_embedding() -> None:
    with pytest.raises(InputError, match=r"has 2024 tokens.*are for 20\.\n.*text_encoder\.vocab_size=2024"):
        module(TextEncoder("random", **SIZES), ClassTokenizer())


def test_a_vocabulary_of_another_source(tmp_path: Path) -> None:
    released_folder(tmp_path)
    encoder = TextEncoder(str(tmp_path))
    with pytest.raises(InputError, match=r"Set model\.tokenizer\.source="):
        module(encoder, ClassTokenizer())
    made = module(encoder, ClassTokenizer(str(tmp_path), 8))
    made.set_texts(["run", "kick a ball"])
    assert made.class_features().shape == (2, 256)
