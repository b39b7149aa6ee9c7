import math

import numpy as np
import pytest
import torch
from torch import Tensor

from components.errors import InputError
from components.metrics.classification import (
    ClassificationScore,
    ConfusionAccuracy,
    accuracy,
    class_scores,
    confusion_matrix,
    fuse_scores,
    label_ranks,
    macro_mean,
    mean_class_accuracy,
    share_as_good_permuted,
    top_k_hits,
    wilson_interval,
)


def test_confusion_has_the_true_class_in_its_rows() -> None:
    confusion = confusion_matrix(torch.tensor([0, 0, 2]), torch.tensor([0, 1, 1]), 3)
    assert confusion.tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]
    assert float(accuracy(confusion)) == pytest.approx(1 / 3)
    assert math.isnan(accuracy(torch.zeros(2, 2)))


def test_top_k_hits_need_all_labels_of_a_sample() -> None:
    logits = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    assert top_k_hits(logits, torch.tensor([1, 1]), 1).tolist() == [False, False]
    assert top_k_hits(logits, torch.tensor([1, 1]), 2).tolist() == [True, True]
    assert top_k_hits(logits, torch.tensor([[0, 1], [0, 1]]), 2).tolist() == [True, False]
    assert top_k_hits(logits, torch.tensor([[0, 0], [0, 1]]), 5).tolist() == [True, True]


def test_equal_scores_are_no_success() -> None:
    ranks, predictions = label_ranks(torch.ones(4, 3), torch.tensor([0, 1, 2, 2]))
    assert ranks.tolist() == [0, 1, 2, 2]
    assert predictions.tolist() == [0, 0, 0, 0]


def test_scores_of_classes_by_hand() -> None:
    counts = torch.tensor([[3, 1, 0, 0], [0, 2, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0]])
    scores = class_scores(counts)
    assert scores.precision[:2].tolist() == pytest.approx([3 / 5, 2 / 3])
    assert scores.recall[:3].tolist() == [3 / 4, 1.0, 0.0]
    assert scores.f1[:3].tolist() == pytest.approx([2 * 3 / 9, 4 / 5, 0.0])
    assert scores.precision[2:].isnan().all()  # never predicted
    assert scores.recall[3].isnan()
    # A class that is never predicted drags the means down; one that never occurs does not.
    assert macro_mean(scores.precision, counts) == pytest.approx((3 / 5 + 2 / 3 + 0) / 3)
    assert macro_mean(scores.recall, counts) == pytest.approx((3 / 4 + 1 + 0) / 3)


def test_classes_that_are_only_predicted_count_in_mean_class_accuracy() -> None:
    confusion = confusion_matrix(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 2, 1, 1]), 5)
    assert float(mean_class_accuracy(confusion)) == pytest.approx((0.5 + 1 + 0) / 3)
    assert math.isnan(mean_class_accuracy(torch.zeros(3, 3)))


def test_wilson_interval() -> None:
    low, high = wilson_interval(0.8, 50)
    assert (low, high) == pytest.approx((0.6696, 0.8876), abs=1e-4)  # Wilson (1927), z = 1.96
    assert wilson_interval(1.0, 10)[1] == 1.0
    assert 0 < wilson_interval(1.0, 10)[0] < 1
    assert all(map(math.isnan, wilson_interval(math.nan, 0)))


def test_classes_with_exchanged_names() -> None:
    # Two names exchanged: of the six namings one is better than the true one, and three are as good.
    exchanged = torch.tensor([[9, 0, 0], [0, 0, 9], [0, 9, 0]])
    assert share_as_good_permuted(exchanged) == pytest.approx((1 + 1 + 2) / 6)
    assert share_as_good_permuted(torch.eye(3) * 9) == pytest.approx(1 / 6)
    assert share_as_good_permuted(torch.zeros(3, 3)) == 1
    assert share_as_good_permuted(torch.eye(9), draws=999) == pytest.approx(1 / 1000)


def batches() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    scores = torch.randn(23, 6, generator=generator)
    return scores, torch.randint(0, 6, (23,), generator=generator), torch.randperm(23, generator=generator)


def test_padding_of_ranks_changes_nothing() -> None:
    scores, labels, index = batches()
    whole = ClassificationScore(6, (1, 3, 9))
    whole.update(scores[:10], labels[:10], index[:10])
    whole.update(scores[10:], labels[10:], index[10:])
    expected = whole.compute()
    assert float(expected["top1"]) == pytest.approx(float((scores.argmax(1) == labels).float().mean()))
    assert float(expected["top3"]) == pytest.approx(float(top_k_hits(scores, labels, 3).float().mean()))
    assert float(expected["top9"]) == 1
    confusion = confusion_matrix(labels, scores.argmax(1), 6)
    assert float(expected["mean_class_acc"]) == pytest.approx(float(mean_class_accuracy(confusion)))
    # The last sample comes a second time, as a sampler pads.
    ranks = [ClassificationScore(6, (1, 3, 9)) for _ in range(2)]
    ranks[0].update(scores[:12], labels[:12], index[:12])
    ranks[1].update(scores[12:], labels[12:], index[12:])
    ranks[1].update(scores[:1], labels[:1], index[:1])

    def gather(own: Tensor, group: object = None) -> list[Tensor]:
        return [own, torch.cat(ranks[1].rows)]

    ranks[0].dist_sync_fn, ranks[0].distributed_available_fn = gather, lambda: True
    assert ranks[0].compute() == expected
    assert len(ranks[0].samples()[0]) == 12


@pytest.mark.filterwarnings("ignore:.*before the ``update``")
def test_a_rank_may_have_no_sample() -> None:
    scores, labels, index = batches()
    full, empty = ClassificationScore(6), ClassificationScore(6)
    full.update(scores, labels, index)
    seen: list[Tensor] = []

    def gather(own: Tensor, group: object = None) -> list[Tensor]:
        seen.append(own)
        return [own, torch.cat(full.rows)]

    empty.dist_sync_fn, empty.distributed_available_fn = gather, lambda: True
    assert empty.compute() == full.compute()
    assert seen[0].shape == (0, 4)
    assert seen[0].dtype == torch.int64
    assert math.isnan(ClassificationScore(6).compute()["top1"])


def test_samples_without_numbers_all_count() -> None:
    score = ClassificationScore(2)
    score.update(torch.tensor([[1.0, 0.0]] * 3), torch.tensor([0, 0, 1]))
    assert float(score.compute()["top1"]) == pytest.approx(2 / 3)
    assert float(score.compute()["top5"]) == 1


def test_counted_accuracy_over_ranks() -> None:
    scores, labels, _ = batches()
    count, ranks = ConfusionAccuracy(6), [ConfusionAccuracy(6), ConfusionAccuracy(6)]
    count.update(scores, labels)
    for rank, rows in enumerate((slice(0, 11), slice(11, 23))):
        ranks[rank].update(scores[rows], labels[rows])
    ranks[0].merge_state(ranks[1])
    assert torch.equal(ranks[0].confusion, count.confusion)
    assert float(ranks[0].compute()) == pytest.approx(float((scores.argmax(1) == labels).float().mean()))


def test_fusion_matches_samples_by_name() -> None:
    first = (["a", "b"], np.array([[1.0, 0.0], [0.2, 0.4]]))
    second = (["b", "a"], np.array([[0.5, 0.1], [0.0, 3.0]]))
    names, fused = fuse_scores([first, second], [2, 1])
    assert names == ["a", "b"]
    np.testing.assert_allclose(fused, [[2.0, 3.0], [0.9, 0.9]])


def test_fusion_refuses_what_does_not_belong_together() -> None:
    first = (["a", "b"], np.zeros((2, 3)))
    with pytest.raises(InputError, match="model 2 tells 2 classes apart, the first one 3"):
        fuse_scores([first, (["a", "b"], np.zeros((2, 2)))], [1, 1])
    with pytest.raises(InputError, match="'b' is missing"):
        fuse_scores([first, (["a", "c"], np.zeros((2, 3)))], [1, 1])
    with pytest.raises(InputError, match="'c' is new"):
        fuse_scores([first, (["a", "b", "c"], np.zeros((3, 3)))], [1, 1])
    with pytest.raises(InputError, match="'a' occurs twice"):
        fuse_scores([first, (["a", "b", "a"], np.zeros((3, 3)))], [1, 1])
    with pytest.raises(InputError, match="fuse_weights has 3 values for 2 models"):
        fuse_scores([first, first], [1, 1, 1])
