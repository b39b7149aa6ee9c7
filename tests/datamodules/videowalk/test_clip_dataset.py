"""Clips as items, and what happens where one cannot be read."""

import numpy as np
import pytest
import torch

from components.errors import InputError
from datamodules.loading import make_loader
from datamodules.samplers import Draw, rank_info
from datamodules.videowalk.clip_dataset import ClipDataset, collate_items, spread_clips
from datamodules.videowalk.clip_sampler import ClipSampler
from datamodules.videowalk.clip_source import check_source, listing
from tests.datamodules.videowalk.toy_clips import ToyClips


def shown(item) -> tuple[int, int]:
    """(video, clip) that an item's frames are of."""
    return int(item["clip"][0, 0, 0, 0]), int(item["clip"][0, 1, 0, 0])


def test_samples_are_clips_of_the_videos_in_order():
    data = ClipDataset(ToyClips([2, 0, 3]))
    assert [shown(data[Draw(i, 0)]) for i in range(len(data))] == [(0, 0), (0, 1), (2, 0), (2, 1), (2, 2)]


def test_a_dataset_of_some_videos_and_chosen_clips():
    data = ClipDataset(ToyClips([2, 4, 3]), videos=[2, 0], chosen=[4, 0])
    assert [shown(data[Draw(i, 0)]) for i in range(len(data))] == [(0, 1), (2, 0)]


def test_transform_gets_frames_and_seed():
    data = ClipDataset(ToyClips([2]), transform=lambda frames, seed: frames.float() + seed)
    assert float(data[Draw(1, 7)]["clip"][1, 1, 0, 0]) == 9.0


def test_another_clip_of_the_same_video_is_tried_first():
    data = ClipDataset(ToyClips([5, 5], broken_clips=[(0, 3)]))
    for seed in range(20):
        item = data[Draw(3, seed)]
        assert shown(item)[0] == 0
        assert shown(item)[1] != 3
        assert item["failed"] == [("class/video0.mp4", "clip 3 is torn")]
    assert len({shown(data[Draw(3, seed)])[1] for seed in range(40)}) == 4


def test_then_other_videos():
    data = ClipDataset(ToyClips([5, 1, 5, 0], broken_videos=[0]))
    items = [data[Draw(2, seed)] for seed in range(40)]
    assert {shown(item)[0] for item in items} == {1, 2}
    assert all([path for path, _ in item["failed"]] == ["class/video0.mp4"] * 2 for item in items)


def test_replacements_follow_the_seed_alone():
    source = ToyClips([5, 5, 5, 5], broken_videos=[0, 2])
    first, second = ClipDataset(source), ClipDataset(source)
    for seed in range(5):
        second[Draw(0, seed + 100)]  # what failed before does not matter
        one, two = first[Draw(11, seed)], second[Draw(11, seed)]
        assert (shown(one), one["failed"]) == (shown(two), two["failed"])


def test_tries_are_bounded():
    data = ClipDataset(ToyClips([5, 5], broken_videos=[0, 1]), max_tries=4)
    with pytest.raises(InputError, match=r"class/video0.mp4: no clip could be read in data.max_tries=4 tries"):
        data[Draw(0, 0)]


def test_the_only_video_is_tried_again():
    data = ClipDataset(ToyClips([3], broken_clips=[(0, 1)]))
    assert all(shown(data[Draw(1, seed)])[1] in (0, 2) for seed in range(10))


def test_raise_names_the_file_and_the_way_out():
    data = ClipDataset(ToyClips([2], broken_clips=[(0, 1)]), on_error="raise")
    with pytest.raises(InputError, match=r"class/video0\.mp4: clip 1 cannot be read \(clip 1 is torn\)") as caught:
        data[Draw(1, 0)]
    assert "data.on_error=skip" in str(caught.value)


@pytest.mark.parametrize("options", [{"max_tries": 0}, {"chosen": []}])
def test_faulty_arguments(options):
    with pytest.raises(InputError):
        ClipDataset(ToyClips([2]), **options)


def loader(workers, source):
    data = ClipDataset(source)
    batches = ClipSampler(rank_info(0, 1), data.counts, clips_per_video=3, batch_size=4, seed=5)
    return make_loader(data, batches, collate_items, workers)


def test_batches_do_not_depend_on_the_number_of_workers():
    source = ToyClips([6, 2, 5, 5], broken_clips=[(0, 2), (2, 1), (2, 4)], broken_videos=[3])
    epochs = [list(loader(workers, source)) for workers in (0, 2)]
    assert len(epochs[0]) == 3
    for one, two in zip(*epochs, strict=True):
        torch.testing.assert_close(one["clips"], two["clips"])
        assert (one["seeds"], one["failed"]) == (two["seeds"], two["failed"])
    assert any(failed for batch in epochs[0] for failed in batch["failed"])


def test_an_error_in_a_worker_reads_as_it_would_here():
    source = ToyClips([2, 2], broken_videos=[0, 1])
    messages = []
    for workers in (0, 1):
        with pytest.raises(InputError) as caught:
            list(loader(workers, source))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_spread_clips_are_even_and_fixed():
    assert spread_clips([10, 0, 3, 1], 2).tolist() == [2, 7, 10, 12, 13]
    assert spread_clips([3, 2], None).tolist() == list(range(5))
    assert spread_clips([], 2).tolist() == []


def test_source_without_faults_passes():
    check_source(ToyClips([1, 2]), "data.root", "x", "raise", 0.0, "4 frames")


@pytest.mark.parametrize(
    ("source", "on_error", "message"),
    [
        (ToyClips([3], skipped={"a.mp4": "empty"}), "raise", r"1 of 2 videos cannot be used \(a.mp4: empty\)"),
        (ToyClips([3], skipped={"a.mp4": "empty"}), "skip", "more than data.max_fail_ratio=0.05 admits"),
        (ToyClips([], skipped={"x/a.mp4": "empty"}), "skip", r"data.root=x: not one of 1 videos can be used \(a.mp4: "),
        (ToyClips([0, 0]), "skip", "none of 2 videos is long enough; a clip takes 4 frames"),
        (ToyClips([]), "skip", "there are no videos"),
    ],
)
def test_unusable_sources(source, on_error, message):
    with pytest.raises(InputError, match=message):
        check_source(source, "data.root", "x", on_error, 0.05, "4 frames")


def test_few_broken_videos_pass_with_skip():
    check_source(ToyClips(np.ones(39), skipped={"a.mp4": "empty"}), "data.root", "x", "skip", 0.05, "4 frames")


def test_listing_is_short():
    assert listing(list("abcde")) == "a; b; c; and 2 more"
