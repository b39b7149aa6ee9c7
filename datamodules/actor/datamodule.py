"""ACTOR's data: motions of any of its data sets, plain or P x K batches, originals only in evaluation."""

import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader

from components.body.pose_format import PoseFormat
from components.errors import InputError
from components.files.atomic import staging_folder, write_json
from components.files.json_files import read_json_object
from components.files.places import CACHE_FOLDER
from datamodules.actor.clips import ClipReader, MotionClips
from datamodules.actor.collate import collate_motions
from datamodules.actor.compositional import CompositionalClasses, CompositionalDataset, pair_names
from datamodules.actor.datasets import MotionDataset
from datamodules.actor.frames import FrameSampling
from datamodules.actor.humanact12 import PICKLE, open_humanact12
from datamodules.actor.masks import leg_motion
from datamodules.actor.mixing import MixingCollate
from datamodules.actor.splits import Split, make_split
from datamodules.loading import batch_to_load, epoch_to_load, make_loader
from datamodules.samplers import EvaluationBatchSampler, ShuffledBatchSampler, rank_info

log = logging.getLogger(__name__)

# Lies beside data that Troupe made itself; holds the writer's settings.
SYNTHETIC_CARD = "synthetic.json"


class ActorDataModule(LightningDataModule):
    """Loaders of motions in a representation, with labels.

    Args:
        root: folder of the data set; with the default reader one with `humanact12poses.pkl` (and `actions.json` for
            other classes than the published ones).
        dataset: reader of the data set, called with root, num_classes, on_error and cache_dir; None reads
            HumanAct12Poses.
        pose_rep, translation, glob, glob_rot: the representation, see `PoseFormat`.
        num_frames, sampling, sampling_step, min_len, max_len: frames of a training sample, see `FrameSampling`.
        num_classes: labels lie in 0..num_classes-1; with compositional classes the pairs are among them.
        val_fraction: share of every class's training clips that is held out; with 0 (published) the split is the data
            set's own, and where it has none all clips train and are evaluated.
        split_seed: seed of the split; a constant of its own, so that runs with other seeds share the split.
        split_file: csv or json that names the clips of each side, see `read_split_file`.
        mask_padding: a clip shorter than the sample gives the frames that it has, the rest of the batch is masked;
            false (published) repeats its last frame and counts that as motion.
        min_share: training clips need this share of `num_frames` (UESTC: 0.75).
        batch_size: clips of a batch, per process. Training with `sampler` takes the size from there.
        sampler: partial batch sampler (`GroupedBatchSampler`); None gives plain shuffled batches.
        mix: partial `MixingCollate`, or `CompositionalClasses`; None gives plain batches.
        num_workers: loader processes.
        seed: seed of order, frames and mixing; each epoch, rank and batch gets its own stream.
        on_error: broken samples: `raise`, or `skip` with a warning.
        synthetic: partial writer of synthetic data, used only when `root` is `synthetic_root` and holds none.
        synthetic_root: where synthetic data belong.
        cache_dir: where the converted arrays go if the data folder cannot be written.

    Raises:
        InputError: a value is out of range.
    """

    def __init__(
        self,
        root: str,
        pose_rep: Literal["xyz", "rotvec", "rotmat", "rotquat", "rot6d"] = "rot6d",
        translation: bool = True,
        glob: bool = True,
        glob_rot: Sequence[float] = (np.pi, 0.0, 0.0),
        num_frames: int = 60,
        sampling: Literal["conseq", "random_conseq", "random"] = "conseq",
        sampling_step: int = 1,
        min_len: int = -1,
        max_len: int = -1,
        num_classes: int = 12,
        val_fraction: float = 0.0,
        split_seed: int = 0,
        batch_size: int = 20,
        sampler: Callable[..., BatchSampler] | None = None,
        mix: Callable[..., Any] | CompositionalClasses | None = None,
        num_workers: int = 0,
        seed: int = 0,
        on_error: Literal["skip", "raise"] = "raise",
        synthetic: Callable[..., None] | None = None,
        synthetic_root: str | None = None,
        cache_dir: str | None = None,
        dataset: Callable[..., Any] | None = None,
        split_file: str | None = None,
        mask_padding: bool = False,
        min_share: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= val_fraction < 1:
            raise InputError(f"data.val_fraction={val_fraction}: expected at least 0 and below 1")
        if not 0 <= min_share <= 1:
            raise InputError(f"data.min_share={min_share}: expected 0..1 (share of num_frames)")
        if split_file is not None and val_fraction > 0:
            raise InputError(
                f"data.split_file={split_file} and data.val_fraction={val_fraction} both choose the evaluation clips; "
                "set data.val_fraction=0"
            )
        if batch_size < 1 or num_workers < 0 or num_classes < 1:
            raise InputError(
                f"data.batch_size={batch_size} and num_classes={num_classes} must be at least 1, "
                f"num_workers={num_workers} at least 0"
            )
        if on_error not in ("skip", "raise"):
            raise InputError(f"data.on_error='{on_error}' is not one of skip, raise")
        self.root = Path(root).expanduser()
        self.pose_format = PoseFormat(pose_rep, translation, glob, tuple(glob_rot))
        self.sampling = FrameSampling(num_frames, sampling, sampling_step, min_len, max_len, not mask_padding)
        self.num_classes = num_classes
        self.compositional = mix if isinstance(mix, CompositionalClasses) else None
        self.num_single = num_classes if self.compositional is None else self.compositional.num_single(num_classes)
        self.val_fraction, self.split_seed, self.split_file = val_fraction, split_seed, split_file
        self.min_share = min_share
        self.dataset: ClipReader = open_humanact12 if dataset is None else dataset
        self.batch_size, self.num_workers = batch_size, num_workers
        self.sampler, self.mix = sampler, mix
        self.seed = seed
        self.on_error: Literal["skip", "raise"] = on_error
        self.synthetic, self.synthetic_root = synthetic, synthetic_root
        self.cache_dir = cache_dir
        self._announced = False

    def prepare_data(self) -> None:
        """Write synthetic data where asked for and missing, say so where data are synthetic, convert the pickle."""
        wanted = None if self.synthetic_root is None else Path(self.synthetic_root).expanduser().resolve()
        if self.synthetic is not None and self.root.resolve() == wanted:
            write_synthetic(self.root, self.synthetic)
        self._announce()

    def _announce(self) -> None:
        """What the owner of the data should know; once per run, however many stages and nodes prepare the data."""
        if self._announced or not (self.trainer is None or self.trainer.is_global_zero):
            return
        self._announced = True
        if self.is_synthetic:
            log.info("data.root=%s: SYNTHETIC data. Use your own with data.root=<folder with %s>", self.root, PICKLE)
        counts = np.bincount(self.clips.labels, minlength=self.num_single).tolist()
        small = [f"{name}: {count}" for name, count in zip(self.clips.action_names, counts) if count < 2]
        if small:
            log.warning(
                "data.root=%s: classes with fewer than two clips (%s). One clip is repeated in training and never "
                "held out for evaluation; give such classes more clips",
                self.root, ", ".join(small),
            )  # fmt: skip

    @property
    def is_synthetic(self) -> bool:
        """Whether Troupe made the data itself."""
        return (self.root / SYNTHETIC_CARD).is_file()

    @cached_property
    def clips(self) -> MotionClips:
        """All usable clips; converts the data set if nobody has."""
        try:
            clips = self.dataset(
                root=self.root, num_classes=self.num_single, on_error=self.on_error, cache_dir=self.cache_dir
            )
        except InputError as error:
            if self.compositional is None or not any(word in str(error) for word in ("num_classes", "its label")):
                raise
            raise InputError(
                f"data.num_classes={self.num_classes} counts {self.compositional.num_pairs} pairs "
                f"(data.mix.num_pairs), which leaves {self.num_single} actions.\n{str(error).splitlines()[0]}\n"
                f"Set data.num_classes=<actions of the data + {self.compositional.num_pairs}>"
            ) from error
        if self.pose_format.pose_rep == "xyz" and clips.num_joints != self.pose_format.num_joints:
            raise InputError(
                f"data.pose_rep=xyz needs the {self.pose_format.num_joints} SMPL joints, but the positions of this "
                f"data set have {clips.num_joints}; use rot6d, rotvec, rotmat or rotquat"
            )
        return clips

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names by label; those of pairs, `walk+drink`, come last."""
        return (*self.clips.action_names, *pair_names(self.clips.action_names, self.pairs))

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Labels of the pairs that are classes of their own."""
        if self.compositional is None:
            return []
        return self.compositional.choose_pairs(self.clips.action_names, self.leg_motion)

    @cached_property
    def leg_motion(self) -> Tensor:
        """How much the legs move in training, per single action `[C]`."""
        return leg_motion(self.clips, self.splits.train, self.num_single)

    @cached_property
    def mixer(self) -> MixingCollate | None:
        """What blends two clips; None where nothing is mixed."""
        if self.mix is None:
            return None
        names = self.clips.action_names
        if self.compositional is not None:
            return self.compositional.mixer(names, self.pose_format, self.leg_motion)
        if not callable(self.mix):
            raise InputError("data.mix has settings and no kind; choose mix=collate, mix=compositional or mix=none")
        return self.mix(action_names=names, pose_format=self.pose_format, leg_motion=self.leg_motion)

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self.clips.fps

    @cached_property
    def splits(self) -> Split:
        """Clips of each side; training clips that are too short (`min_share`) are left out."""
        split = make_split(self.clips, self.val_fraction, self.split_seed, self.split_file)
        long_enough = self.clips.lengths[split.train] >= self.min_share * max(self.sampling.num_frames, 0)
        if not long_enough.any():
            raise InputError(
                f"data.min_share={self.min_share}: no training clip has {self.min_share:g} of "
                f"data.num_frames={self.sampling.num_frames} frames; lower one of them"
            )
        return split._replace(train=split.train[long_enough])

    @property
    def split(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices of training and validation clips."""
        return self.splits.train, self.splits.val

    def held_out_clips_in(self, data: Mapping[str, Any]) -> int | None:
        """How many of the evaluation clips that are held out here another run trained on; 0 where its data are others.

        Args:
            data: the other run's data config.

        Returns:
            None where that cannot be told: its split file is gone or names other clips.
        """
        root = data.get("root")
        if root is None or not self.splits.held_out or Path(root).expanduser().resolve() != self.root.resolve():
            return 0
        reader = getattr(self.dataset, "func", self.dataset)
        own = {"_target_": f"{reader.__module__}.{reader.__qualname__}", **getattr(self.dataset, "keywords", {})}
        other = data.get("dataset") or {"_target_": f"{open_humanact12.__module__}.{open_humanact12.__qualname__}"}
        if own != {key: value for key, value in other.items() if key != "_partial_"}:
            return 0  # clips have other numbers there
        settings = (data.get("val_fraction") or 0.0, data.get("split_seed") or 0, data.get("split_file"))
        try:
            split = make_split(self.clips, *settings)
        except InputError:
            return None
        held_out = np.union1d(self.splits.val, self.splits.test)
        return int(np.isin(held_out, split.train).sum())

    def facts(self) -> dict[str, Any]:
        """What the data are, in plain containers, for `run.json` and checkpoints."""
        counts = np.bincount(self.clips.labels, minlength=self.num_single).tolist()
        lengths = self.clips.lengths
        split = self.splits
        mixtures = {}
        if self.compositional is not None:
            labels = self._training_set().labels
            mixtures = {"mixtures_per_class": {
                name: int((labels == label).sum()) for label, name in enumerate(self.action_names) if "+" in name
            }}  # fmt: skip
        return {
            "root": str(self.root),
            "synthetic": self.is_synthetic,
            "action_names": list(self.action_names),
            "num_classes": self.num_classes,
            "fps": self.fps,
            "clips": len(self.clips),
            "clips_per_class": dict(zip(self.clips.action_names, counts)),
            **mixtures,
            "frames": int(lengths.sum()),
            "frames_per_clip": {
                "min": int(lengths.min()),
                "median": float(np.median(lengths)),
                "max": int(lengths.max()),
            },
            "splits": {
                "train": len(split.train),
                "val": len(split.val),
                "test": len(split.test),
                "held_out": split.held_out,
                "kind": split.kind,
            },
            "skipped": {"count": len(self.clips.skipped), "samples": self.clips.skipped[:20]},
        }

    def setup(self, stage: str | None = None) -> None:
        """Build the datasets of both splits."""
        _, val, test, _ = self.splits
        self.train_set = self._training_set()
        self.val_set = self._evaluation_set(val)
        self.test_set = self.val_set if test is val else self._evaluation_set(test)
        if stage in (None, "fit"):
            _ = self.train_collate  # faults of the mixing settings show before training starts

    def _training_set(self) -> MotionDataset | CompositionalDataset:
        return self._with_pairs(MotionDataset(self.clips, self.splits.train, self.pose_format, self.sampling), True)

    def _evaluation_set(self, indices: np.ndarray) -> MotionDataset | CompositionalDataset:
        clips = MotionDataset(self.clips, indices, self.pose_format, self.sampling, centred=True)
        return self._with_pairs(clips, self.compositional is not None and self.compositional.validation)

    def _with_pairs(self, clips: MotionDataset, mixtures: bool) -> MotionDataset | CompositionalDataset:
        if self.compositional is None or self.mixer is None:
            return clips
        names = self.clips.action_names
        return CompositionalDataset(clips, self.compositional, self.mixer, self.pairs if mixtures else [], names)

    def train_dataloader(self) -> DataLoader:
        """Batches of the epoch that comes next; P x K with `sampler`, mixed with `mix`."""
        chance: dict[str, Any] = {
            "seed": self.seed,
            "epoch": epoch_to_load(self.trainer),
            "start_batch": batch_to_load(self.trainer),
            "reshuffle": not getattr(self.trainer, "overfit_batches", 0),
        }
        process = self._process()
        if self.sampler is not None:
            batches = self.sampler(sampler=process, labels=self.train_set.labels.tolist(), **chance)
        else:
            batches = ShuffledBatchSampler(process, len(self.train_set), self.batch_size, **chance)
        return make_loader(self.train_set, batches, self.train_collate, self.num_workers)

    def val_dataloader(self) -> DataLoader:
        """Unmixed motions, the same frames every time, every clip once over all ranks."""
        return self._evaluation_loader(self.val_set)

    def test_dataloader(self) -> DataLoader:
        """The test clips, in the same way; without a test list of their own the validation clips."""
        return self._evaluation_loader(self.test_set)

    def _evaluation_loader(self, dataset: MotionDataset | CompositionalDataset) -> DataLoader:
        batches = EvaluationBatchSampler(self._process(), len(dataset), self.batch_size, self.seed)
        return make_loader(dataset, batches, collate_motions, self.num_workers)

    @cached_property
    def train_collate(self) -> Callable[..., Any]:
        """Collate of the training batches."""
        return collate_motions if self.compositional is not None else self.mixer or collate_motions

    def _process(self) -> Any:
        if self.trainer is None:
            return rank_info(0, 1)
        return rank_info(self.trainer.global_rank, self.trainer.world_size)


def write_synthetic(root: Path, writer: Callable[..., None]) -> None:
    """Write synthetic files whole: into a folder beside, then one by one into place, the pickle last.

    Nothing happens where the folder holds data that this writer made with the same settings, or the user's own.

    Args:
        root: where the files belong.
        writer: called with a folder; of a `functools.partial` the keywords are its settings.

    Raises:
        InputError: the folder cannot be written.
    """
    settings = dict(getattr(writer, "keywords", {}))
    card = root / SYNTHETIC_CARD
    if (root / PICKLE).is_file() and (not card.is_file() or read_json_object(card) == settings):
        return
    shown = ", ".join(f"{key}={value}" for key, value in settings.items()) or "default settings"
    log.info("writing synthetic motions (%s) to %s", shown, root)
    try:
        with staging_folder(root) as staging:
            writer(staging)
            write_json(staging / SYNTHETIC_CARD, settings)
            root.mkdir(parents=True, exist_ok=True)
            for file in sorted(staging.iterdir(), key=lambda path: path.name == PICKLE):
                os.replace(file, root / file.name)
        shutil.rmtree(root / CACHE_FOLDER, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"cannot write synthetic data to {root}: {error.strerror or error}.\n"
            "Choose another place with paths.data=<folder> or free some space"
        ) from error
