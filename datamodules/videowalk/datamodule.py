"""Clips to train walks on: random ones of every video, nodes cut on the worker or on the device."""

import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import BatchSampler, DataLoader

from components.errors import InputError
from components.synthetic.video_sets import CARD as SYNTHETIC_CARD
from datamodules.loading import batch_to_load, epoch_to_load, make_loader
from datamodules.samplers import EvaluationBatchSampler, rank_info
from datamodules.videowalk.augmentation import FrameTransform
from datamodules.videowalk.batch import ClipBatch
from datamodules.videowalk.clip_dataset import ClipDataset, ItemBatch, collate_items, spread_clips
from datamodules.videowalk.clip_index import check_clips
from datamodules.videowalk.clip_sampler import ClipSampler, ShardSampler
from datamodules.videowalk.clip_source import listing
from datamodules.videowalk.clip_transforms import ClipTransforms
from datamodules.videowalk.patches import node_transform
from datamodules.videowalk.read_failures import ReadFailures
from datamodules.videowalk.shard_clips import ShardClips
from datamodules.videowalk.sides import Side, Sides, open_sides
from datamodules.videowalk.sources import ClipSettings, Kind, check_kind

log = logging.getLogger(__name__)

# A walk there and back that is more than one step: 0-1-2-1-0.
_FEWEST_FRAMES = 3


class VideoClipsDataModule(LightningDataModule):
    """Loaders of clips as nodes of a walk.

    Args:
        root: the data: a folder of videos with `train_256` and `val_256` (or without splits), a folder or list of frame
            folders, or a folder of shards.
        kind: what is there: `videos`, `frames` or `shards`.
        train_split, val_split: folders of the sides in `root`; `auto` takes `train_256`, else the only one whose name
            begins with `train`, else the whole root.
        val_root: another place of the validation videos.
        val_fraction: share of the training videos that is held out where there are no validation videos; 0 then
            validates on the training videos.
        clip_len: frames of a clip, at least 3.
        clips_per_video: clips of each video and epoch; None takes all.
        val_clips_per_video: clips of each validation video, evenly spread and always the same.
        frame_rate: videos and shards: frames per second of a clip; None keeps that of each video.
        step: videos and shards: distance of the starts of neighbouring clips, in frames at that rate.
        frame_gap: frames: distance of a clip's frames; lowered for videos that are too short.
        allow_repeated_frames: frames: videos with fewer frames than a clip give clips of identical pictures.
        batch_size: clips of a batch, per process.
        drop_last: leave a shorter last batch out; None does so with several processes.
        num_workers: loader processes.
        shuffle_buffer: shards: how far clips wander in the order of the shards.
        img_size: side of a frame after cropping, pixels.
        frame_transforms: of `crop`, `cj` (colours) and `flip`, see `FrameTransform`.
        consistent: draw those once per clip instead of once per frame.
        frame_aug: `grid` (patches) or `none` (whole frames), and of `cj` and `flip` for each node.
        patch_size: side of a patch, pixels.
        patch_stride: distance of patches as share of their side.
        normalization: statistics of the network's input, see `named_normalization`.
        augment_on: where nodes are cut: `worker`, or `device`, which gets frames as bytes.
        on_error: broken videos: `skip` has others take their place, `raise` stops.
        max_tries: clips that are tried for one that cannot be read.
        max_fail_ratio: largest share of broken videos, and of clips that cannot be read.
        cache_dir: where indexes and lists of broken videos go; None puts them beside the data.
        index_workers: processes that index videos; None is one per core.
        seed: of order and augmentation; each epoch and batch gets its own stream.
        synthetic: partial writer of synthetic videos, called when `root` is `synthetic_root`.
        synthetic_root: where synthetic videos belong.

    Raises:
        InputError: a value is out of range.
    """

    def __init__(
        self,
        root: str,
        kind: Literal["videos", "frames", "shards"] = "videos",
        train_split: str = "auto",
        val_split: str = "auto",
        val_root: str | None = None,
        val_fraction: float = 0.1,
        clip_len: int = 4,
        clips_per_video: int | None = 5,
        val_clips_per_video: int | None = 5,
        frame_rate: float | None = 8.0,
        step: int = 1,
        frame_gap: int = 8,
        allow_repeated_frames: bool = False,
        batch_size: int = 20,
        drop_last: bool | None = None,
        num_workers: int = 0,
        shuffle_buffer: int = 5000,
        img_size: int = 256,
        frame_transforms: Sequence[str] = ("crop",),
        consistent: bool = False,
        frame_aug: Sequence[str] = ("grid",),
        patch_size: int = 64,
        patch_stride: float = 0.5,
        normalization: Literal["crw_training", "imagenet", "gray_lab"] = "crw_training",
        augment_on: Literal["worker", "device"] = "worker",
        on_error: Literal["skip", "raise"] = "skip",
        max_tries: int = 10,
        max_fail_ratio: float = 0.05,
        cache_dir: str | None = None,
        index_workers: int | None = None,
        seed: int = 0,
        synthetic: Callable[..., Any] | None = None,
        synthetic_root: str | None = None,
    ) -> None:
        super().__init__()
        check_kind(kind)
        if clip_len < _FEWEST_FRAMES:
            raise InputError(
                f"data.clip_len={clip_len}: expected at least {_FEWEST_FRAMES}. A clip of two frames has no cycle that "
                "is trained on: its loss is 0 and has no gradient"
            )
        check_clips(clip_len, step, frame_rate)
        if frame_gap < 1:
            raise InputError(f"data.frame_gap={frame_gap}: expected at least 1 frame; 0 would repeat the same picture")
        if shuffle_buffer < 0:
            raise InputError(f"data.shuffle_buffer={shuffle_buffer}: expected 0 or more clips")
        if batch_size < 1 or num_workers < 0 or max_tries < 1:
            raise InputError(
                f"data.batch_size={batch_size} and max_tries={max_tries} must be at least 1, "
                f"num_workers={num_workers} at least 0"
            )
        for name, number in (("clips_per_video", clips_per_video), ("val_clips_per_video", val_clips_per_video)):
            if number is not None and number < 1:
                raise InputError(f"data.{name}={number}: expected at least 1, or null for all clips")
        if index_workers is not None and index_workers < 1:
            raise InputError(f"data.index_workers={index_workers}: expected at least 1, or null for one per core")
        if not 0 <= val_fraction < 1:
            raise InputError(f"data.val_fraction={val_fraction}: expected at least 0 and below 1")
        if not 0 <= max_fail_ratio <= 1:
            raise InputError(f"data.max_fail_ratio={max_fail_ratio}: expected 0..1 (share of the videos and clips)")
        if on_error not in ("skip", "raise"):
            raise InputError(f"data.on_error='{on_error}' is not one of skip, raise")
        if augment_on not in ("worker", "device"):
            raise InputError(f"data.augment_on='{augment_on}' is not one of worker, device")
        self.root = Path(root).expanduser()
        self.val_root = None if val_root is None else Path(val_root).expanduser()
        self.kind: Kind = kind
        self.train_split, self.val_split, self.val_fraction = train_split, val_split, val_fraction
        self.clips = ClipSettings(
            clip_len, frame_rate, step, frame_gap, allow_repeated_frames, on_error, max_fail_ratio, cache_dir,
            index_workers,
        )  # fmt: skip
        self.clips_per_video, self.val_clips_per_video = clips_per_video, val_clips_per_video
        self.batch_size, self.drop_last, self.num_workers = batch_size, drop_last, num_workers
        self.shuffle_buffer, self.max_tries, self.seed = shuffle_buffer, max_tries, seed
        frames = FrameTransform(img_size, frame_transforms, consistent)
        nodes = node_transform(frame_aug, patch_size, patch_stride, normalization)
        self.num_nodes = nodes.num_nodes(img_size, img_size)
        self.transform = ClipTransforms(frames, nodes, augment_on == "device")
        self.synthetic, self.synthetic_root = synthetic, synthetic_root
        self.failures = ReadFailures(max_fail_ratio)
        # Those of all processes, when last gathered.
        self._all_failures: ReadFailures | None = None
        self._announced = False

    def prepare_data(self) -> None:
        """Write synthetic videos where asked for and missing, index videos that are not, say what was found."""
        wanted = None if self.synthetic_root is None else Path(self.synthetic_root).expanduser().resolve()
        if self.synthetic is not None and self.root.resolve() == wanted:
            self.synthetic(self.root)
        self._announce()

    def _announce(self) -> None:
        """What the owner of the data should know; once per run."""
        if self._announced or not (self.trainer is None or self.trainer.is_global_zero):
            return
        self._announced = True
        if self.is_synthetic:
            log.info("data.root=%s: SYNTHETIC videos. Use your own with data.root=<folder of videos>", self.root)
        for name, side in (("training", self.sides.train), ("validation", self.sides.val)):
            broken = side.source.skipped
            short = sum(side.source.name(int(video)) not in broken for video in side.videos[side.counts == 0])
            if broken:
                examples = listing([f"{path}: {reason}" for path, reason in broken.items()])
                log.warning("%s videos: %d cannot be used and are left out (%s)", name, len(broken), examples)
            if short:
                log.warning("%s videos: %d are too short for a clip and are left out", name, short)

    @property
    def is_synthetic(self) -> bool:
        """Whether Troupe made the data itself."""
        return (self.root / SYNTHETIC_CARD).is_file()

    @cached_property
    def sides(self) -> Sides:
        """Training and validation videos; indexes those that are not indexed yet."""
        return open_sides(
            self.kind, self.root, self.clips, self.train_split, self.val_split, self.val_root, self.val_fraction
        )

    def setup(self, stage: str | None = None) -> None:
        """Build the datasets of both sides."""
        train, val, _ = self.sides
        self.train_set = self._dataset(train)
        self.val_set = self._dataset(val, spread_clips(val.counts, self.val_clips_per_video))
        share = -(-self._samples_per_epoch() // self._world()[1])
        self.failures.expected = share if stage in (None, "fit") else len(self.val_set)

    def _dataset(self, side: Side, chosen: np.ndarray | None = None) -> ClipDataset:
        return ClipDataset(side.source, side.videos, self.transform, chosen, self.clips.on_error, self.max_tries)

    def _samples_per_epoch(self) -> int:
        counts = self.sides.train.counts
        return int((counts if self.clips_per_video is None else counts.clip(max=self.clips_per_video)).sum())

    def train_dataloader(self) -> DataLoader:
        """Random clips of the epoch that comes next, from the batch on where a resumed run goes on."""
        rank, world = self._world()
        options: dict[str, Any] = {
            "sampler": rank_info(rank, world),
            "counts": self.train_set.counts,
            "clips_per_video": self.clips_per_video,
            "batch_size": self.batch_size,
            "seed": self.seed,
            "epoch": epoch_to_load(self.trainer),
            "start_batch": batch_to_load(self.trainer),
            "reshuffle": not getattr(self.trainer, "overfit_batches", 0),
            "drop_last": world > 1 if self.drop_last is None else self.drop_last,
        }
        source = self.sides.train.source
        if isinstance(source, ShardClips):
            shards = source.shards[self.train_set.videos]
            return self._loader(self.train_set, ShardSampler(shards=shards, buffer=self.shuffle_buffer, **options))
        return self._loader(self.train_set, ClipSampler(**options))

    def val_dataloader(self) -> DataLoader:
        """The same clips with the same augmentation every time, each once over all ranks."""
        rank, world = self._world()
        batches = EvaluationBatchSampler(rank_info(rank, world), len(self.val_set), self.batch_size, self.seed)
        return self._loader(self.val_set, batches)

    def test_dataloader(self) -> DataLoader:
        """The validation clips: walks are tested by propagating labels, which is another data set's part."""
        return self.val_dataloader()

    def _loader(self, dataset: ClipDataset, batches: BatchSampler) -> DataLoader:
        return make_loader(dataset, batches, collate_items, self.num_workers)

    def _world(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def on_before_batch_transfer(self, batch: ItemBatch, dataloader_idx: int) -> dict[str, Any]:
        """Count what could not be read; what the device needs stays.

        Raises:
            InputError: more has failed than `max_fail_ratio` admits.
        """
        self.failures.record(batch["failed"])
        kept: dict[str, Any] = {"clips": batch["clips"]}
        return {**kept, "seeds": batch["seeds"]} if self.transform.on_device else kept

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> ClipBatch:
        """Cut the nodes where workers have not."""
        if "seeds" not in batch:
            return {"clips": batch["clips"]}
        return {"clips": self.transform.nodes_of_batch(batch["clips"], batch["seeds"])}

    def finish(self, batch: ItemBatch, device: torch.device | str = "cpu") -> ClipBatch:
        """What a trainer does with a batch of a loader, for use without one."""
        kept = self.on_before_batch_transfer(batch, 0)
        return self.on_after_batch_transfer({**kept, "clips": kept["clips"].to(device)}, 0)

    def gather_failures(self) -> ReadFailures:
        """What all processes could not read so far; all of them must ask."""
        parts = [self.failures]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            parts = [self.failures] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(parts, self.failures)
        self._all_failures = ReadFailures.together(parts)
        return self._all_failures

    def write_failures(self) -> Path:
        """Write the list of what could not be read beside the index of the training videos.

        Raises:
            InputError: it cannot be written.
        """
        return (self._all_failures or self.failures).write(self.sides.train.place)

    def facts(self) -> dict[str, Any]:
        """What the data are, in plain containers, for `run.json` and checkpoints."""
        train, val, origin = self.sides
        skipped = {**train.source.skipped, **val.source.skipped}
        return {
            "root": str(self.root),
            "kind": self.kind,
            "synthetic": self.is_synthetic,
            "clip_len": self.clips.clip_len,
            "nodes": self.num_nodes,
            "train": {**_size(train), "clips_per_epoch": self._samples_per_epoch()},
            "val": {
                **_size(val),
                "clips_used": len(spread_clips(val.counts, self.val_clips_per_video)),
                "origin": origin,
            },
            "skipped": {
                "count": len(skipped),
                "samples": [{"sample": path, "reason": reason} for path, reason in list(skipped.items())[:20]],
            },
            "failed_clips": (self._all_failures or self.failures).facts(),
        }


def _size(side: Side) -> dict[str, Any]:
    usable = int((side.counts > 0).sum())
    return {"root": str(side.root), "videos": usable, "clips": int(side.counts.sum())}
