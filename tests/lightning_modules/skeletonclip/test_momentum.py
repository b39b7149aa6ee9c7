import copy
import functools
from typing import Any

import pytest
import torch
from torch import Tensor

from components.errors import InputError
from lightning_modules.skeletonclip.momentum import EMPTY, Momentum
from tests.lightning_modules.skeletonclip.tiny import EMBED, tiny_batch, tiny_module


def momentum_of(**settings: Any) -> Momentum:
    return Momentum(tiny_module().net, **settings)


@pytest.mark.parametrize("sizes", [[4, 4], [3, 5, 2], [6], [13, 1], [5, 5, 5]])
def test_queue_holds_the_newest_samples_whatever_the_batches(sizes: list[int]) -> None:
    momentum = momentum_of(queue_size=5)
    rows: list[Tensor] = []
    for size in sizes:
        batch = torch.randn(size, EMBED)
        momentum.enqueue(batch, -batch, torch.arange(len(rows), len(rows) + size))
        rows += list(batch)
    newest = range(max(0, len(rows) - 5), len(rows))
    for number in newest:
        place = number % 5
        torch.testing.assert_close(momentum.video_queue[:, place], rows[number])
        torch.testing.assert_close(momentum.text_queue[:, place], -rows[number])
        assert int(momentum.idx_queue[0, place]) == number
    assert int((momentum.idx_queue == EMPTY).sum()) == 5 - len(newest)
    assert int(momentum.ptr_queue) == sum(sizes) % 5


def test_copies_follow_parameters_and_running_statistics_and_nothing_else_moves_them() -> None:
    module = tiny_module(norm=True, momentum=functools.partial(Momentum, queue_size=4, decay=0.75))
    momentum = module.momentum
    assert momentum is not None
    before = copy.deepcopy(momentum.state_dict())
    with torch.no_grad():
        for each in module.net.parameters():
            each.add_(1.0)
        module.net.video_encoder.bn.running_mean.add_(4.0)
    momentum.follow(module.net)
    after = momentum.state_dict()
    torch.testing.assert_close(after["video_encoder_m.layer.weight"], before["video_encoder_m.layer.weight"] + 0.25)
    torch.testing.assert_close(after["video_encoder_m.bn.running_mean"], torch.full((8,), 1.0))
    momentum.twin(torch.rand(3, 3, 4, 5, 5), torch.zeros(1, 5, dtype=torch.int64), torch.ones(1, 5))
    torch.testing.assert_close(momentum.state_dict()["video_encoder_m.bn.running_mean"], torch.full((8,), 1.0))
    assert not any(each.requires_grad for each in momentum.parameters())


def test_full_alpha_asks_for_the_copies_opinion_and_none_for_the_labels() -> None:
    batch = tiny_batch([0, 1, 1, 2])
    losses = {}
    for alpha in (0.0, 0.5, 1.0):
        torch.manual_seed(1)
        module = tiny_module(momentum=functools.partial(Momentum, queue_size=3, decay=1.0, alpha=alpha))
        losses[alpha] = module.compute_loss(batch)["loss"].detach()  # type: ignore[arg-type]
    torch.testing.assert_close(losses[0.5], (losses[0.0] + losses[1.0]) / 2)
    # The copies are equal to the model: their opinion is its own, and the cross entropy its entropy.
    assert float(losses[1.0]) < float(losses[0.0])


def test_alpha_grows_over_its_epochs() -> None:
    momentum = momentum_of(alpha=0.4, alpha_ramp_epochs=2)
    assert [momentum.alpha_at(epoch) for epoch in (0.0, 1.0, 2.0, 7.0)] == [0.0, 0.2, 0.4, 0.4]
    assert momentum_of(alpha=0.4).alpha_at(0.0) == 0.4


def test_backward_works_after_the_queue_was_written() -> None:
    module = tiny_module(momentum=functools.partial(Momentum, queue_size=4))
    module.compute_loss(tiny_batch([0, 1, 2]))["loss"].backward()  # type: ignore[arg-type]
    assert module.net.temp.grad is not None
    assert module.momentum is not None
    assert int(module.momentum.ptr_queue) == 3


def test_copies_stay_where_they_are_within_accumulated_batches() -> None:
    module = tiny_module(momentum=functools.partial(Momentum, queue_size=4, decay=0.5))
    assert module.momentum is not None
    with torch.no_grad():
        module.net.vision_proj.weight.add_(1.0)  # type: ignore[union-attr, operator]
    before = module.momentum.state_dict()["vision_proj_m.weight"].clone()
    for moved in (False, True):
        module.compute_loss(tiny_batch([0, 1]), moved=moved)  # type: ignore[arg-type]
        assert torch.equal(module.momentum.state_dict()["vision_proj_m.weight"], before) is not moved
    assert int(module.momentum.ptr_queue) == 0  # four samples went round the queue


def test_values_out_of_range() -> None:
    with pytest.raises(InputError, match="queue_size=0 must be at least 1"):
        momentum_of(queue_size=0)
    with pytest.raises(InputError, match=r"decay=1\.5"):
        momentum_of(decay=1.5)
