import pytest
import torch

from components.errors import InputError
from lightning_modules.skeletonclip.matching import Matching, draw_negatives, matching_loss, negative_weights
from tests.lightning_modules.skeletonclip.tiny import WIDTH, TinyText, tiny_batch, tiny_module


def test_negatives_are_of_other_classes_and_hard_ones_are_frequent() -> None:
    labels = torch.tensor([0, 0, 1, 2])
    similarities = torch.tensor([[9.0, 9.0, 3.0, 0.0]]).expand(4, 4)
    weights = negative_weights(similarities, labels)
    drawn = torch.stack([draw_negatives(weights, labels) for _ in range(200)])
    assert bool((labels[drawn] != labels).all())
    assert int((drawn[:, 0] == 2).sum()) > 150  # 95 % of its weight


def test_a_floor_makes_easy_negatives_likely() -> None:
    labels = torch.arange(3)
    similarities = torch.tensor([[50.0, 20.0, 0.0]] * 3)
    bare, floored = (negative_weights(similarities, labels, floor) for floor in (0.0, 1e-4))
    assert float(bare[0, 2] / bare[0, 1]) < 1e-8
    torch.testing.assert_close(floored[0, 1:], torch.full((2,), 1e-4))


def test_weights_that_vanish_still_give_negatives() -> None:
    labels = torch.tensor([0, 1, 1])
    similarities = torch.eye(3) * 1000
    weights = negative_weights(similarities, labels)
    assert float(weights.sum()) == 0
    assert bool((labels[draw_negatives(weights, labels)] != labels).all())


def test_a_batch_of_one_class_has_a_loss_of_zero_with_the_same_graph() -> None:
    module = tiny_module(matching=Matching)
    terms = module.compute_loss(tiny_batch([2, 2, 2]))  # type: ignore[arg-type]
    assert float(terms["loss_itm"].detach()) == 0
    terms["loss"].backward()
    assert module.matching is not None
    gradients = [each.grad for each in module.parameters()]
    assert all(each is not None for each in gradients)
    assert float(module.matching.itm_head.weight.grad.abs().sum()) == 0  # type: ignore[union-attr]
    assert torch.isfinite(torch.cat([each.flatten() for each in gradients if each is not None])).all()


def test_pairs_are_the_fitting_ones_then_other_clips_then_other_texts() -> None:
    labels = torch.tensor([0, 1, 2])
    matching, encoder = Matching(WIDTH), TinyText()
    ids, frames = torch.randint(0, 30, (3, 5)), torch.randn(3, 4, WIDTH)
    negatives = matching.choose(torch.randn(3, 3), labels)
    found = matching.pairs(encoder, ids, torch.ones_like(ids), frames, negatives)
    ones = torch.ones(1, 5)
    for b in range(3):
        clip, text = int(negatives.video_of_text[b]), int(negatives.text_of_video[b])
        for row, (words, video) in enumerate(((b, b), (b, clip), (text, b))):
            expected = encoder.match(ids[words : words + 1], ones, frames[video : video + 1])[0]
            torch.testing.assert_close(found[3 * row + b], expected)


def test_loss_by_hand() -> None:
    logits = torch.randn(6, 2)
    log_probabilities = logits.log_softmax(1)
    expected = -(log_probabilities[:2, 1].sum() + log_probabilities[2:, 0].sum()) / 6
    torch.testing.assert_close(matching_loss(logits, torch.tensor([0, 1])), expected)


def test_values_out_of_range_and_encoders_of_different_width() -> None:
    with pytest.raises(InputError, match="negative_floor=-1"):
        Matching(4, negative_floor=-1)
    from lightning_modules.skeletonclip.module import SkeletonClipModule
    from tests.lightning_modules.skeletonclip.tiny import TinyTokenizer, TinyVideo

    with pytest.raises(InputError, match=r"model\.video_encoder\.bottleneck_dim=8"):
        SkeletonClipModule(TinyVideo(6), TinyText(), TinyTokenizer(), torch.optim.SGD, matching=Matching)
