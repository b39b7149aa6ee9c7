"""Clip samplers: which clips an epoch shows, to whom and in which order."""

import numpy as np
import pytest
import torch

from components.errors import InputError
from datamodules.samplers import rank_info
from datamodules.videowalk.clip_sampler import ClipSampler, ShardSampler, draw_clips

NOTE = [77] * 6  # the reading note's table: six videos of ten seconds


def samples(sampler) -> list[list[int]]:
    return [[draw.sample for draw in batch] for batch in sampler]


def flat(batches: list[list[int]]) -> list[int]:
    return [sample for batch in batches for sample in batch]


def sampler(counts, rank=0, world=1, **options):
    return ClipSampler(rank_info(rank, world), counts, **options)


def test_note_table_gives_30_samples_and_15_batches():
    batches = samples(sampler(NOTE, clips_per_video=5, batch_size=2))
    assert (len(batches), len(flat(batches)), sampler(NOTE, batch_size=2).num_samples) == (15, 30, 30)
    videos = np.asarray(flat(batches)) // 77
    assert np.bincount(videos).tolist() == [5] * 6
    assert sorted(videos) != videos.tolist()  # one shuffle over all videos


def test_draws_are_distinct_and_in_range():
    counts = torch.tensor([0, 3, 5, 1, 40, 6, 0])
    for seed in range(20):
        drawn = draw_clips(counts, 5, torch.Generator().manual_seed(seed))
        assert len(drawn.unique()) == len(drawn)
        ends = counts.cumsum(0)
        videos = torch.searchsorted(ends, drawn, right=True)
        assert torch.bincount(videos, minlength=7).tolist() == [0, 3, 5, 1, 5, 5, 0]


def test_every_clip_is_equally_likely():
    counts = torch.full((20000,), 7)
    drawn = draw_clips(counts, 3, torch.Generator().manual_seed(0)) % 7
    share = torch.bincount(drawn, minlength=7) / 60000
    assert (share - 1 / 7).abs().max() < 0.006  # four standard deviations


def test_null_takes_all_clips():
    assert sorted(flat(samples(sampler([3, 4], clips_per_video=None, batch_size=3)))) == list(range(7))


def test_ranks_are_disjoint_and_together_the_single_process_epoch():
    one = samples(sampler(NOTE, batch_size=2, seed=3, epoch=4))
    two = [samples(sampler(NOTE, rank, 2, batch_size=2, seed=3, epoch=4, drop_last=True)) for rank in range(2)]
    assert not set(flat(two[0])) & set(flat(two[1]))
    assert len(two[0]) == len(two[1]) == 7
    assert [batch for pair in zip(*two) for batch in pair] == one[:14]


def test_epochs_and_seeds_differ_and_repeat():
    def of(seed, epoch):
        return list(sampler(NOTE, batch_size=2, seed=seed, epoch=epoch))

    assert of(1, 2) == of(1, 2)
    assert of(1, 2) != of(1, 3)
    assert of(1, 2) != of(2, 2)
    assert set(flat(samples(sampler(NOTE, epoch=0)))) != set(flat(samples(sampler(NOTE, epoch=1))))


def test_set_epoch_is_heard():
    moving = sampler(NOTE, batch_size=2, epoch=0)
    moving.set_epoch(5)
    assert list(moving) == list(sampler(NOTE, batch_size=2, epoch=5))


def test_resumed_epoch_goes_on_with_the_next_batch():
    whole = list(sampler(NOTE, 1, 2, batch_size=2, epoch=3))
    resumed = sampler(NOTE, 1, 2, batch_size=2, epoch=3, start_batch=4)
    assert list(resumed) == whole[4:]
    resumed.set_epoch(4)
    assert list(resumed) == list(sampler(NOTE, 1, 2, batch_size=2, epoch=4))


def test_last_batch_is_kept_unless_dropped():
    assert [len(batch) for batch in samples(sampler([9], clips_per_video=5, batch_size=2))] == [2, 2, 1]
    assert [len(batch) for batch in samples(sampler([9], clips_per_video=5, batch_size=2, drop_last=True))] == [2, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clips_per_video": 0}, "data.clips_per_video=0: expected at least 1, or null"),
        ({"batch_size": 31, "drop_last": True}, r"30 clips per epoch give 0 batch\(es\) of 31 for 1 process"),
        ({"batch_size": 20, "world": 3}, r"give 2 batch\(es\) of 20 for 3 process\(es\)"),
    ],
)
def test_faults_are_named(options, message):
    with pytest.raises(InputError, match=message):
        sampler(NOTE, **options)


def test_no_clips():
    with pytest.raises(InputError, match="0 clips per epoch"):
        sampler([])


SHARDS = np.repeat(np.arange(8), 10)  # 8 shards of 10 videos


def shard_sampler(rank=0, world=1, **options):
    options = {"buffer": 20, "clips_per_video": 2, "batch_size": 4} | options
    return ShardSampler(rank_info(rank, world), [6] * 80, SHARDS, **options)


def test_shards_are_read_one_after_the_other():
    order = np.asarray(flat(samples(shard_sampler(buffer=0)))) // 6 // 10
    changes = np.flatnonzero(np.diff(order))
    assert (len(order), len(changes)) == (160, 7)
    assert order[::20].tolist() != sorted(order[::20].tolist())


def test_buffer_mixes_neighbouring_shards_only():
    epoch = flat(samples(shard_sampler()))
    assert len(set(epoch)) == 160
    unmixed = flat(samples(shard_sampler(buffer=0)))
    moved = [abs(unmixed.index(sample) - place) for place, sample in enumerate(epoch)]
    assert 0 < max(moved) <= 20


def test_processes_open_their_own_shards():
    ranks = [samples(shard_sampler(rank, 2, drop_last=True)) for rank in range(2)]
    shards = [set(np.asarray(flat(rank)) // 60) for rank in ranks]
    assert not shards[0] & shards[1]
    assert len(shards[0]) == len(shards[1]) == 4
    assert len(set(flat(ranks[0])) | set(flat(ranks[1]))) == 160


def test_shard_epochs_differ_and_resume():
    whole = list(shard_sampler(1, 2, epoch=2))
    assert list(shard_sampler(1, 2, epoch=2, start_batch=7)) == whole[7:]
    assert samples(shard_sampler(epoch=2)) != samples(shard_sampler(epoch=3))


def test_processes_make_equally_many_batches_without_dropping():
    ranks = [
        list(ShardSampler(rank_info(r, 2), [3, 2, 4], [0, 0, 1], clips_per_video=None, batch_size=4)) for r in (0, 1)
    ]
    assert [len(rank) for rank in ranks] == [1, 1]
    assert all(batch for rank in ranks for batch in rank)


def test_buffer_below_zero():
    with pytest.raises(InputError, match=r"data\.shuffle_buffer=-1: expected 0 or more"):
        shard_sampler(buffer=-1)
