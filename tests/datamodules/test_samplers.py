"""Batch samplers: exact lengths, whole P x K batches, disjoint shards, new orders, reproducible seeds."""

from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.utils.data import DistributedSampler, SequentialSampler

from components.errors import InputError
from datamodules.samplers import (
    Draw,
    EvaluationBatchSampler,
    GroupedBatchSampler,
    ShuffledBatchSampler,
    fold_seed,
    rank_info,
)


def grouped(counts, num_actions=2, num_instances=2, rank=0, world=1, **options):
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    sampler = GroupedBatchSampler(rank_info(rank, world), labels, num_actions, num_instances, **options)
    return labels, sampler


counts = st.lists(st.integers(1, 30), min_size=2, max_size=8)


@settings(max_examples=150, deadline=None)
@given(counts, st.integers(1, 4), st.integers(1, 6), st.integers(0, 3), st.integers(1, 3))
def test_grouped_batches(counts, num_actions, num_instances, epoch, world):
    assume(num_actions <= len(counts))
    blocks = [max(count // num_instances, 1) for count in counts]
    most = max(b for b in range(sum(blocks) + 1) if sum(min(x, b) for x in blocks) >= num_actions * b)
    assume(most >= world)
    drawn: Counter[int] = Counter()
    for rank in range(world):
        labels, sampler = grouped(counts, num_actions, num_instances, rank, world, seed=5, epoch=epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler) == most // world
        for batch in batches:
            classes = [{labels[draw.sample] for draw in batch[i : i + num_instances]} for i in
                       range(0, len(batch), num_instances)]  # fmt: skip
            assert len(classes) == num_actions
            assert all(len(block) == 1 for block in classes)
            assert len(set().union(*classes)) == num_actions
            drawn.update(draw.sample for draw in batch)
    for sample, times in drawn.items():
        # Only a class with fewer than K clips repeats them, and only within one block.
        assert times == 1 or counts[labels[sample]] < num_instances
    for label, count in enumerate(counts):
        if count < num_instances:
            assert sum(drawn[s] for s in range(len(labels)) if labels[s] == label) in (0, num_instances)


@settings(max_examples=40, deadline=None)
@given(counts, st.integers(0, 3))
def test_shards_together_are_the_whole_epoch(counts, epoch):
    _, whole = grouped(counts, epoch=epoch)
    assume(len(whole) >= 2)
    shards = [list(grouped(counts, rank=rank, world=2, epoch=epoch)[1]) for rank in range(2)]
    merged = [batch for pair in zip(*shards) for batch in pair]
    assert merged == list(whole)[: len(merged)]


def test_balanced_classes_use_every_clip():
    _, sampler = grouped([40] * 12, num_actions=3, num_instances=4)
    assert len(sampler) == 40
    assert sorted(draw.sample for batch in sampler for draw in batch) == list(range(480))


def test_classes_meet_in_all_pairs():
    labels, sampler = grouped([40] * 6, num_actions=2, num_instances=4)
    pairs = set()
    for epoch in range(6):
        sampler.set_epoch(epoch)
        pairs |= {frozenset(labels[draw.sample] for draw in batch) for batch in sampler}
    assert len(pairs) == 15


def test_epochs_differ_and_repeat():
    _, sampler = grouped([9, 9, 9])
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert orders[0] == orders[2] != orders[1]
    assert list(grouped([9, 9, 9], seed=1)[1]) != orders[0]


def test_overfitting_repeats_epoch_zero():
    _, sampler = grouped([9, 9, 9], reshuffle=False)
    first = list(sampler)
    sampler.set_epoch(4)
    assert list(sampler) == first


def test_class_with_one_clip():
    labels, sampler = grouped([8, 1, 8], num_actions=3, num_instances=4)
    (batch,) = list(sampler)
    seeds = [draw.seed for draw in batch if labels[draw.sample] == 1]
    assert len(seeds) == len(set(seeds)) == 4  # the same clip four times, each with its own frames


def test_faults():
    with pytest.raises(InputError, match="num_actions=3, but the training clips have 2"):
        grouped([5, 5], num_actions=3)
    with pytest.raises(InputError, match="at least 1"):
        grouped([5, 5], num_instances=0)
    with pytest.raises(InputError, match="for 4 processes"):
        grouped([2, 2], world=4)
    with pytest.raises(InputError, match="for 4 processes"):
        ShuffledBatchSampler(rank_info(0, 4), num_samples=10, batch_size=5)
    with pytest.raises(InputError, match="to evaluate on 4 processes"):
        EvaluationBatchSampler(rank_info(0, 4), num_samples=3, batch_size=5)


def test_epoch_and_rank_come_from_an_injected_sampler():
    # What Lightning does under DDP: the same class again, with a sampler of its own, seeded and shuffled its way.
    labels, ours = grouped([9] * 4, rank=1, world=2, epoch=2)
    injected = DistributedSampler(labels, num_replicas=2, rank=1, shuffle=True, seed=99)
    rebuilt = GroupedBatchSampler(injected, labels, 2, 2, epoch=2)
    assert list(rebuilt) == list(ours)
    injected.set_epoch(3)
    ours.set_epoch(3)
    assert list(rebuilt) == list(ours)


def test_plain_sampler_means_one_process():
    labels, ours = grouped([9] * 4, epoch=2)
    assert list(GroupedBatchSampler(SequentialSampler(labels), labels, 2, 2, epoch=2)) == list(ours)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 3), st.booleans())
def test_shuffled_batches(num_samples, batch_size, world, drop_last):
    total = num_samples // batch_size if drop_last else -(-num_samples // batch_size)
    assume(total >= world)
    drawn = []
    for rank in range(world):
        sampler = ShuffledBatchSampler(rank_info(rank, world), num_samples, batch_size, drop_last=drop_last)
        batches = list(sampler)
        assert len(batches) == len(sampler) == total // world
        drawn += [draw.sample for batch in batches for draw in batch]
    assert len(drawn) == len(set(drawn))
    assert set(drawn) <= set(range(num_samples))
    if world == 1 and not drop_last:
        assert len(drawn) == num_samples


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 80), st.integers(1, 9), st.integers(1, 5))
def test_evaluation_sees_every_clip_once(num_samples, batch_size, world):
    assume(num_samples >= world)
    samplers = [EvaluationBatchSampler(rank_info(rank, world), num_samples, batch_size) for rank in range(world)]
    batches = [list(sampler) for sampler in samplers]
    assert {len(rank) for rank in batches} == {len(samplers[0])}
    assert all(1 <= len(batch) <= max(batch_size, 2) for rank in batches for batch in rank)
    assert sorted(draw.sample for rank in batches for batch in rank for draw in batch) == list(range(num_samples))


def test_draws_are_pairs():
    draw = next(iter(ShuffledBatchSampler(rank_info(0, 1), 3, 2)))[0]
    assert isinstance(draw, Draw)
    assert draw == (draw.sample, draw.seed)


parts = st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=4)


@given(parts)
def test_folded_seeds_are_in_range_and_repeatable(values):
    assert fold_seed(*values) == fold_seed(*values)
    assert 0 <= fold_seed(*values) < 2**63


def test_folded_neighbours_differ():
    seeds = {fold_seed(seed, epoch, batch) for seed in range(8) for epoch in range(8) for batch in range(8)}
    assert len(seeds) == 512


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("reshuffle", [True, False])
def test_a_run_that_goes_on_inside_an_epoch_leaves_out_what_it_has_seen(rank, reshuffle):
    def sampler(**start):
        return ShuffledBatchSampler(rank_info(rank, 2), 41, 3, seed=2, reshuffle=reshuffle, **start)

    whole, rest = sampler(epoch=4), sampler(epoch=4, start_batch=5)
    assert list(rest) == list(whole)[5:]
    assert len(rest) == len(whole)
    for each in (whole, rest):
        each.set_epoch(5)
    assert list(rest) == list(whole)
    assert len(list(rest)) == len(rest)
