import pytest
import torch
import torch.nn.functional as F

from components.errors import InputError
from lightning_modules.skeletonclip.class_texts import TokenizedTexts
from tests.lightning_modules.skeletonclip.tiny import TEXTS, TinyTokenizer, tiny_module


def test_several_texts_of_a_class_count_once_each() -> None:
    module = tiny_module(texts=[["run", "jog", "race"], "sit", ["wave", "hail"]]).eval()
    net = module.net

    def feature(text: str) -> torch.Tensor:
        tokens = TinyTokenizer().encode([text])
        return F.normalize(net.text_proj(net.text_encoder.encode(*tokens)), dim=-1)[0]

    expected = [[feature(text) for text in own] for own in module.texts.texts]
    means = torch.stack([F.normalize(torch.stack(own).mean(0), dim=0) for own in expected])
    torch.testing.assert_close(module.class_features(), means.detach())
    some = module.text_features.of(torch.tensor([2, 0]))
    torch.testing.assert_close(some, means[[2, 0]])


def test_words_travel_in_the_state_dict_as_a_tensor() -> None:
    texts = TokenizedTexts(TinyTokenizer(), ["é", "sit"])
    other = TokenizedTexts(TinyTokenizer(), TEXTS)
    state = texts.state_dict()
    assert [value.dtype for value in state.values()] == [torch.uint8]
    other.load_state_dict(state)
    assert other.names == ["é", "sit"]
    assert torch.equal(other.input_ids, texts.input_ids)
    with pytest.raises(InputError, match="class texts are damaged"):
        other.load_state_dict({"_extra_state": torch.tensor([1, 2, 255], dtype=torch.uint8)})


def test_pairs_begin_with_enc() -> None:
    texts = TokenizedTexts(TinyTokenizer(), TEXTS)
    ids, mask = texts.pair_tokens(torch.tensor([1, 1, 3]))
    assert ids[:, 0].tolist() == [TinyTokenizer.enc_token_id] * 3
    assert torch.equal(ids[:, 1:], texts.input_ids[[1, 1, 3], 0, 1:])
    assert mask.shape == (3, 5)
    assert int(texts.input_ids[0, 0, 0]) != TinyTokenizer.enc_token_id


@pytest.mark.parametrize("texts", [[], ["run", " "], ["run", []]])
def test_missing_texts(texts: list[str]) -> None:
    with pytest.raises(InputError, match="texts: "):
        TokenizedTexts(TinyTokenizer(), texts)
