"""Skeleton clips with class texts: heatmap volumes for training, validation and test."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from components.errors import InputError
from components.keypoints.annotations import SkeletonSet, read_skeleton_set
from components.keypoints.camera import JointCamera
from components.keypoints.heatmaps import HeatmapVolume
from components.keypoints.projection import in_pixels
from components.keypoints.skeletons import load_skeleton
from components.synthetic.video_sets import CARD as SYNTHETIC_CARD
from datamodules.loading import batch_to_load, epoch_to_load, make_loader
from datamodules.samplers import EvaluationBatchSampler, rank_info
from datamodules.skeletonclip.annotation_file import annotation_file
from datamodules.skeletonclip.batch import KeypointBatch, SkeletonBatch, Stage
from datamodules.skeletonclip.dataset import Pipeline, SkeletonCollate, SkeletonDataset
from datamodules.skeletonclip.epoch_sampler import RepeatedBatchSampler
from datamodules.skeletonclip.notices import warn_of_faults
from datamodules.skeletonclip.pipeline import EvalPipeline, TrainPipeline
from datamodules.skeletonclip.pose_transforms import Compact, RandomCrop
from datamodules.skeletonclip.settings import CanvasSizes, ClipCounts, DoubleFlip, Heatmap
from datamodules.skeletonclip.sides import Among, Side, make_sides
from datamodules.skeletonclip.splits import add_folds, class_weights
from datamodules.skeletonclip.texts import ClassTexts, Wording, load_class_texts

log = logging.getLogger(__name__)
_LABELS = "labels.csv"


class SkeletonDataModule(LightningDataModule):
    """Loaders of heatmap volumes with labels.

    Args:
        root: the annotation pickle, or the folder that holds it.
        ann_file: name of the pickle in a folder `root`; None takes the only one there.
        label_file: texts of the classes: `ntu60`, `ntu120`, `hmdb51`, `ucf101`, or a csv; None takes `labels.csv`
            beside the pickle.
        wording: of a known data set's texts: `corrected`, `published` or `infinitive`.
        templates: sentences that every text is put into, like `a person is {}`.
        train_split, val_split, test_split: names of splits of the pickle; None takes all clips.
        fold: number that stands for `{fold}` in those names.
        folds: make that many folds, which bring the splits `train1`, `test1`, ...
        split_seed: of the folds.
        unseen_classes: names or numbers of classes that only the test has, see `make_sides`.
        unseen_among: what a clip of theirs may be taken for: `unseen` or `all` classes.
        skeleton: `coco17`, `jhmdb15`, `ntu25` or a json file.
        camera: projects 3D keypoints.
        img_shape: (height, width) of 2D clips that state none.
        clip_len: frames of a clip.
        clips: clips of a sample in each stage.
        sample_seed: of the frames of evaluation clips.
        double_flip: whether evaluation sees every clip mirrored too.
        size: sides of the pictures.
        crop: cut-out in training; None does not crop.
        flip_prob: chance of a mirrored sample in training.
        compact: cut pictures down to the persons; None leaves them.
        heatmap: how keypoints are drawn, and where.
        repeat: how often an epoch takes each training clip.
        class_prob: how often that is for each class, see `class_weights`; None: all alike.
        batch_size: training samples of a batch, per process.
        eval_batch_size: evaluation samples of a batch, per process; each has clips x 2 (double flip) volumes.
        drop_last: leave a shorter last batch of an epoch out.
        num_workers: loader processes.
        on_error: broken clips: `raise`, or `skip` with a warning.
        seed: of order and augmentation; every epoch and sample gets its own stream.
        synthetic: partial writer of synthetic skeletons, called when `root` is `synthetic_root`.
        synthetic_root: where synthetic skeletons belong.

    Raises:
        InputError: a value is out of range.
    """

    def __init__(
        self,
        root: str,
        ann_file: str | None = None,
        label_file: str | None = None,
        wording: Wording = "corrected",
        templates: Sequence[str] = (),
        train_split: str | None = "train",
        val_split: str | None = "val",
        test_split: str | None = "val",
        fold: int = 1,
        folds: int | None = None,
        split_seed: int = 0,
        unseen_classes: Sequence[str | int] | None = None,
        unseen_among: Among = "unseen",
        skeleton: str = "coco17",
        camera: JointCamera | None = None,
        img_shape: Sequence[int] | None = None,
        clip_len: int = 48,
        clips: ClipCounts | None = None,
        sample_seed: int = 255,
        double_flip: DoubleFlip | None = None,
        size: CanvasSizes | None = None,
        crop: RandomCrop | None = None,
        flip_prob: float = 0.5,
        compact: Compact | None = None,
        heatmap: Heatmap | None = None,
        repeat: int = 1,
        class_prob: Mapping[str | int, float] | Sequence[float] | None = None,
        batch_size: int = 16,
        eval_batch_size: int = 4,
        drop_last: bool = False,
        num_workers: int = 0,
        on_error: Literal["skip", "raise"] = "raise",
        seed: int = 0,
        synthetic: Callable[..., Any] | None = None,
        synthetic_root: str | None = None,
    ) -> None:
        super().__init__()
        if min(batch_size, eval_batch_size, repeat) < 1 or num_workers < 0:
            raise InputError(
                f"data.batch_size={batch_size}, eval_batch_size={eval_batch_size} and repeat={repeat} must be at "
                f"least 1, num_workers={num_workers} at least 0"
            )
        if on_error not in ("skip", "raise"):
            raise InputError(f"data.on_error='{on_error}' is not one of skip, raise")
        if img_shape is not None and (len(img_shape) != 2 or min(img_shape) < 1):
            raise InputError(f"data.img_shape={list(img_shape)}: expected [height, width] in pixels")
        if camera is not None and not callable(camera):
            raise InputError(
                f"data.camera={camera}: expected null, or "
                "{_target_:components.keypoints.camera.JointCamera,kind:drop_z}"
            )
        self.root = Path(root).expanduser()
        self.ann_file, self.label_file = ann_file, label_file
        self.wording: Wording = wording
        self.templates = list(templates)
        splits: dict[Stage, str | None] = {"train": train_split, "val": val_split, "test": test_split}
        self._splits: dict[Stage, str | None] = {
            stage: None if split is None else split.replace("{fold}", str(fold)) for stage, split in splits.items()
        }
        self.folds, self.split_seed = folds, split_seed
        self.unseen_classes = list(unseen_classes or ())
        self.unseen_among: Among = unseen_among
        self.skeleton = load_skeleton(skeleton)
        self.camera = camera
        self.img_shape = None if img_shape is None else (int(img_shape[0]), int(img_shape[1]))
        self.clip_len = clip_len
        self.clips, self.double_flip, self.size = (
            clips or ClipCounts(),
            double_flip or DoubleFlip(),
            size or CanvasSizes(),
        )
        self.heatmap = heatmap or Heatmap()
        self.class_prob = class_prob
        self.repeat, self.batch_size, self.eval_batch_size = repeat, batch_size, eval_batch_size
        self.drop_last, self.num_workers, self.seed = drop_last, num_workers, seed
        self.on_error: Literal["skip", "raise"] = on_error
        self.synthetic, self.synthetic_root = synthetic, synthetic_root
        flips: dict[Stage, bool] = {"train": False, "val": self.double_flip.val, "test": self.double_flip.test}
        self.volumes = {
            stage: HeatmapVolume(self.heatmap.kind, self.skeleton, self.heatmap.sigma, self.heatmap.use_score, double)
            for stage, double in flips.items()
        }
        self.pipelines: dict[Stage, Pipeline] = {
            "train": TrainPipeline(
                self.skeleton, clip_len, self.clips.train, self.size.short_side, self.size.train, crop, flip_prob,
                compact,
            ),
            "val": EvalPipeline(clip_len, self.clips.val, self.size.eval, sample_seed, compact),
            "test": EvalPipeline(clip_len, self.clips.test, self.size.eval, sample_seed, compact),
        }  # fmt: skip
        self._datasets: dict[Stage, SkeletonDataset] = {}
        self._announced = False

    def prepare_data(self) -> None:
        """Write synthetic skeletons where asked for and missing, say what was found."""
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
            log.info("data.root=%s: SYNTHETIC skeletons. Use your own with data.root=<annotation pickle>", self.root)
        warn_of_faults(self.skeletons, self.ann_path, self._splits, separate=bool(self.unseen_classes))

    @cached_property
    def ann_path(self) -> Path:
        """The annotation pickle.

        Raises:
            InputError: it is not there, or `root` has several.
        """
        return annotation_file(self.root, self.ann_file)

    @property
    def is_synthetic(self) -> bool:
        """Whether Troupe made the data itself."""
        return (self.root / SYNTHETIC_CARD).is_file()

    @cached_property
    def skeletons(self) -> SkeletonSet:
        """All clips of the pickle in pixels, with folds where they are asked for."""
        read = read_skeleton_set(self.ann_path, self.skeleton, on_error=self.on_error, img_shape=self.img_shape)
        skeletons = in_pixels(read, self.camera, self.on_error)
        return skeletons if self.folds is None else add_folds(skeletons, self.folds, self.split_seed)

    @cached_property
    def all_texts(self) -> ClassTexts:
        """Texts of all classes, held-out ones included."""
        source: str | Path | None = self.label_file
        if source is None:
            source = self.ann_path.parent / _LABELS
            if not source.is_file():
                raise InputError(
                    f"data.label_file=null, and there is no {_LABELS} beside {self.ann_path}.\n"
                    "Give the texts of the classes: data.label_file=<csv with id,name> or ntu60, hmdb51, ucf101, ..."
                )
        return load_class_texts(source, self.wording, self.templates)

    @cached_property
    def sides(self) -> dict[Stage, Side]:
        """Clips, labels and texts of each stage."""
        return make_sides(self.skeletons, self.all_texts, self._splits, self.unseen_classes, self.unseen_among)

    def texts(self, stage: Stage = "train") -> ClassTexts:
        """Texts that clips of a stage are matched with: fewer than all where classes are held out."""
        return self.sides[stage].texts

    @property
    def label_texts(self) -> list[str | list[str]]:
        """Per class of the training its text, or its texts where there are several."""
        return self.texts("train").plain

    @property
    def test_label_texts(self) -> list[str | list[str]]:
        """Those that clips of the test are matched with: others where classes are held out."""
        return self.texts("test").plain

    @property
    def class_names(self) -> list[str]:
        """One text per class of the training."""
        return self.texts("train").names

    @property
    def num_classes(self) -> int:
        """Classes of the training."""
        return len(self.texts("train"))

    @property
    def in_channels(self) -> int:
        """Heatmaps per frame."""
        return self.volumes["train"].channels

    def sample_names(self, split: Stage) -> list[str]:
        """Names of the clips of a stage; `index` of a batch counts them."""
        return self.sides[split].names

    def labels(self, split: Stage) -> np.ndarray:
        """`[N]` int64 classes of the clips of a stage, places in `texts(split)`."""
        return self.sides[split].labels

    def setup(self, stage: str | None = None) -> None:
        """Build the datasets."""
        for each in self._splits:
            self.dataset(each)

    def dataset(self, stage: Stage) -> SkeletonDataset:
        """The samples of a stage."""
        if stage not in self._datasets:
            side = self.sides[stage]
            self._datasets[stage] = SkeletonDataset(
                side.clips, side.labels, self.pipelines[stage], trim=self.heatmap.use_score
            )
        return self._datasets[stage]

    def train_dataloader(self) -> DataLoader:
        """Shuffled samples of the epoch that comes next, from the batch on where a resumed run goes on."""
        dataset = self.dataset("train")
        weights = None if self.class_prob is None else class_weights(self.class_prob, self.texts("train"))
        batches = RepeatedBatchSampler(
            self._process(),
            dataset.labels.tolist(),
            self.batch_size,
            self.repeat,
            None if weights is None else weights.tolist(),
            self.seed,
            epoch_to_load(self.trainer),
            not getattr(self.trainer, "overfit_batches", 0),
            self.drop_last,
            batch_to_load(self.trainer),
        )
        return make_loader(dataset, batches, self.collate("train"), self.num_workers)

    def val_dataloader(self) -> DataLoader:
        """The same clips every time, each sample once over all ranks."""
        return self._evaluation_loader("val")

    def test_dataloader(self) -> DataLoader:
        """The test samples, in the same way."""
        return self._evaluation_loader("test")

    def _evaluation_loader(self, stage: Stage) -> DataLoader:
        dataset = self.dataset(stage)
        batches = EvaluationBatchSampler(self._process(), len(dataset), self.eval_batch_size, self.seed)
        return make_loader(dataset, batches, self.collate(stage), self.num_workers)

    def collate(self, stage: Stage) -> SkeletonCollate:
        """What puts the batches of a stage together."""
        drawn_here = self.heatmap.device == "worker"
        return SkeletonCollate(stage, self.pipelines[stage].size, self.volumes[stage] if drawn_here else None)

    def _process(self) -> Any:
        return rank_info(0, 1) if self.trainer is None else rank_info(self.trainer.global_rank, self.trainer.world_size)

    def on_after_batch_transfer(self, batch: SkeletonBatch | KeypointBatch, dataloader_idx: int) -> SkeletonBatch:
        """Draw the volumes where workers have not."""
        if "imgs" in batch:
            return cast(SkeletonBatch, batch)
        given = cast(KeypointBatch, batch)
        side = self.pipelines[given["stage"]].size
        imgs = self.volumes[given["stage"]](given["keypoint"], given["score"], (side, side))
        # A module may have added keys of its own before the transfer.
        kept = {key: value for key, value in batch.items() if key not in ("keypoint", "score", "stage")}
        return cast(SkeletonBatch, {**kept, "imgs": imgs})

    def finish(self, batch: SkeletonBatch | KeypointBatch, device: torch.device | str = "cpu") -> SkeletonBatch:
        """What a trainer does with a batch of a loader, for use without one."""
        moved: Any = {
            key: value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
            for key, value in batch.items()
        }
        return self.on_after_batch_transfer(moved, 0)

    def facts(self) -> dict[str, Any]:
        """What the data are, in plain containers, for `run.json` and checkpoints."""
        skipped, texts = self.skeletons.skipped, self.all_texts
        return {
            "root": str(self.root),
            "annotations": str(self.ann_path),
            "synthetic": self.is_synthetic,
            "skeleton": self.skeleton.name,
            "heatmap": self.heatmap.kind,
            "in_channels": self.in_channels,
            "clip_len": self.clip_len,
            "class_names": self.class_names,
            "label_texts": self.label_texts,
            "num_classes": self.num_classes,
            "unseen_classes": [texts.names[texts.label(name)] for name in self.unseen_classes],
            "repeat": self.repeat,
            "splits": {stage: side.described() for stage, side in self.sides.items()},
            "skipped": {
                "count": len(skipped),
                "samples": [{"sample": name, "reason": reason} for name, reason in list(skipped.items())[:20]],
            },
        }
