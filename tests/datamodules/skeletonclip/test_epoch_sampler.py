import numpy as np
import pytest

from components.errors import InputError
from datamodules.samplers import rank_info
from datamodules.skeletonclip.epoch_sampler import RepeatedBatchSampler

LABELS = [0, 0, 0, 1, 1, 2, 2]


def draws(rank: int = 0, world: int = 1, epoch: int = 0, **options: object) -> list[list[tuple[int, int]]]:
    settings = {"batch_size": 4, "repeat": 3, "seed": 5, **options}
    sampler = RepeatedBatchSampler(rank_info(rank, world), LABELS, epoch=epoch, **settings)  # type: ignore[arg-type]
    batches = [[(draw.sample, draw.seed) for draw in batch] for batch in sampler]
    assert len(batches) == len(sampler) - int(options.get("start_batch", 0))  # type: ignore[call-overload]
    return batches


def test_every_clip_comes_as_often_as_it_should_with_seeds_of_its_own() -> None:
    flat = [draw for batch in draws() for draw in batch]
    assert np.bincount([sample for sample, _ in flat]).tolist() == [3] * 7
    assert len({seed for _, seed in flat}) == 21
    assert draws() == draws()
    other = [draw for batch in draws(epoch=1) for draw in batch]
    assert not {seed for _, seed in flat} & {seed for _, seed in other}
    assert draws(epoch=1, reshuffle=False) == draws()


def test_what_is_drawn_for_a_copy_depends_on_neither_batches_nor_ranks() -> None:
    alone = {draw for batch in draws() for draw in batch}
    assert {draw for batch in draws(batch_size=5) for draw in batch} == alone
    ranks = [draws(rank, 2) for rank in range(2)]
    assert {draw for batches in ranks for batch in batches for draw in batch} == alone


def test_ranks_share_the_batches_of_one_process() -> None:
    whole = draws(batch_size=8)
    ranks = [draws(rank, 2) for rank in range(2)]
    assert [len(batch) for batch in ranks[0]] == [len(batch) for batch in ranks[1]] == [4, 4, 3]
    for step in range(2):
        assert sorted(ranks[0][step] + ranks[1][step]) == sorted(whole[step])
    # 21 samples on two ranks: the first one fills up the last step.
    assert sorted(ranks[0][2] + ranks[1][2]) == sorted([*whole[2], whole[0][0]])
    assert [len(batch) for batch in draws(0, 2, drop_last=True)] == [4, 4]


def test_a_resumed_epoch_goes_on_where_it_stopped() -> None:
    assert draws(start_batch=2) == draws()[2:]


def test_classes_are_resampled() -> None:
    for epoch in (0, 1):
        flat = [sample for batch in draws(epoch=epoch, repeat=2, weights=[0.5, 1.25, 0.0]) for sample, _ in batch]
        counts = np.bincount(flat, minlength=7)
        assert counts[:3].tolist() == [1, 1, 1]
        assert sorted(counts[3:5].tolist()) == [2, 3]
        assert not counts[5:].any()


def test_nothing_to_train_on() -> None:
    with pytest.raises(InputError, match=r"data\.drop_last=true leaves no batch"):
        draws(batch_size=22, drop_last=True)
