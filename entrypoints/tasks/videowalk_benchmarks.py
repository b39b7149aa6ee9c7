"""DAVIS, JHMDB and VIP as `evaluate` sees them: how a sequence is read, carried through and told in plain numbers."""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from components.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from components.media.mask_sequences import MaskSequence
    from datamodules.videowalk.jhmdb import JointSequence
    from lightning_modules.videowalk.propagation.settings import PropagationSettings

log = logging.getLogger(__name__)

# A result of one sequence: json, from which all scores follow.
Content = dict[str, Any]


class Benchmark(Protocol):
    """What the three have in common; `context` and `size` are the published settings."""

    name: ClassVar[str]
    context: ClassVar[int]
    size: ClassVar[tuple[int, int] | None]

    def read(self, root: str, names: Sequence[str] | None) -> list[Any]:
        """The sequences of the official evaluation list."""

    def files(self, sequence: Any) -> Iterable[Path | None]:
        """Every file that a result depends on."""

    def carry(
        self, extractor: Any, sequence: Any, settings: "PropagationSettings", device: Any, folder: Path | None
    ) -> Content:
        """Carry the labels of the first frame on; `folder` gets the masks as pictures, where there are masks."""

    def copy(self, sequence: Any) -> Content:
        """The first frame's labels in every frame."""

    def fits(self, content: Any, sequence: Any) -> bool:
        """Whether a stored result has the form that `carry` gives."""


class _Masks(ABC):
    """What the two with masks have in common."""

    def files(self, sequence: "MaskSequence") -> Iterable[Path | None]:
        return (*sequence.frames.frames, *sequence.masks)

    def carry(
        self,
        extractor: Any,
        sequence: "MaskSequence",
        settings: "PropagationSettings",
        device: Any,
        folder: Path | None,
    ) -> Content:
        from lightning_modules.videowalk.mask_scoring import carried_masks

        carried = carried_masks(extractor, sequence, settings, device)
        _write_masks(folder, sequence, carried)
        return self._scored(sequence, carried)

    def copy(self, sequence: "MaskSequence") -> Content:
        from lightning_modules.videowalk.mask_scoring import copied_masks

        return self._scored(sequence, copied_masks(sequence))

    @staticmethod
    @abstractmethod
    def _scored(sequence: "MaskSequence", carried: "np.ndarray") -> Content:
        """The result of ids `[F, H, W]`."""


class Davis(_Masks):
    """Object masks; J and F of every object and scored frame."""

    name: ClassVar[str] = "davis"
    context: ClassVar[int] = 20
    size: ClassVar[tuple[int, int] | None] = None

    def read(self, root: str, names: Sequence[str] | None) -> list["MaskSequence"]:
        from components.media.mask_sequences import late_objects
        from components.metrics.davis import count_objects
        from datamodules.videowalk.davis import read_davis

        sequences = read_davis(root, sequences=names)
        for sequence in sequences:  # every mask is read: better now than after hours
            count_objects(sequence.name, sequence.first_ids(), len(sequence))
            later = [path for path in sequence.masks[1:] if path is not None]
            late = late_objects(sequence.ids(0), later, sequence.frames.size)
            if late:
                log.warning("%s: ids that the first mask does not have are not followed: %s", sequence.name, late)
        return sequences

    def fits(self, content: Any, sequence: "MaskSequence") -> bool:
        objects = content.get("objects") if isinstance(content, dict) else None
        scored = len(sequence) - 2
        return (
            objects is not None
            and len(objects) > 0
            and all(len(each["j"]) == len(each["f"]) == scored for each in objects)
        )

    @staticmethod
    def _scored(sequence: "MaskSequence", carried: "np.ndarray") -> Content:
        from components.metrics.davis import score_sequence
        from lightning_modules.videowalk.mask_scoring import true_masks

        scores = score_sequence(sequence.name, true_masks(sequence), carried)
        return {"objects": [{"id": each.object_id, "j": each.j.tolist(), "f": each.f.tolist()} for each in scores]}


class Vip(_Masks):
    """Body parts; the confusion of every annotated frame but the first."""

    name: ClassVar[str] = "vip"
    context: ClassVar[int] = 4
    size: ClassVar[tuple[int, int] | None] = (560, 560)

    def read(self, root: str, names: Sequence[str] | None) -> list["MaskSequence"]:
        from datamodules.videowalk.vip import read_vip

        return read_vip(root, sequences=names)

    def fits(self, content: Any, sequence: "MaskSequence") -> bool:
        from datamodules.videowalk.vip import VIP_CLASSES

        rows = content.get("confusion") if isinstance(content, dict) else None
        return isinstance(rows, list) and [len(row) for row in rows] == [len(VIP_CLASSES)] * len(VIP_CLASSES)

    @staticmethod
    def _scored(sequence: "MaskSequence", carried: "np.ndarray") -> Content:
        from components.metrics.part_iou import confusion_matrix
        from datamodules.videowalk.vip import VIP_CLASSES

        frames = [frame for frame in sequence.annotated() if frame > 0]
        confusion = sum(confusion_matrix(sequence.ids(frame), carried[frame], len(VIP_CLASSES)) for frame in frames)
        return {"confusion": confusion.tolist()}  # type: ignore[union-attr]


class Jhmdb:
    """Joints; where each one is in every frame, pixels, (-1, -1) where it was not found."""

    name: ClassVar[str] = "jhmdb"
    context: ClassVar[int] = 7
    size: ClassVar[tuple[int, int] | None] = (320, 320)

    def read(self, root: str, names: Sequence[str] | None) -> list["JointSequence"]:
        from datamodules.videowalk.jhmdb import read_jhmdb

        return read_jhmdb(root, sequences=names)

    def files(self, sequence: "JointSequence") -> Iterable[Path | None]:
        return (*sequence.frames.frames, sequence.file)

    def carry(
        self,
        extractor: Any,
        sequence: "JointSequence",
        settings: "PropagationSettings",
        device: Any,
        folder: Path | None,
    ) -> Content:
        import numpy as np
        import torch

        from lightning_modules.videowalk.propagation.joints import propagate_joints

        first = torch.from_numpy(sequence.joints[:, :, 0]).float()
        carried = propagate_joints(extractor, sequence.frames, first, settings, device, outside=True)
        joints = np.stack([np.asarray(each, dtype=np.float64) for each in carried], axis=2)
        return {"joints": joints.round(4).tolist()}

    def copy(self, sequence: "JointSequence") -> Content:
        return {"joints": sequence.joints[:, :, :1].repeat(len(sequence), axis=2).tolist()}

    def fits(self, content: Any, sequence: "JointSequence") -> bool:
        joints = content.get("joints") if isinstance(content, dict) else None
        shape = sequence.joints.shape
        return (
            isinstance(joints, list)
            and len(joints) == shape[0]
            and all(len(axis) == shape[1] and all(len(row) == shape[2] for row in axis) for axis in joints)
            and all(math.isfinite(value) for axis in joints for row in axis for value in row)
        )


BENCHMARKS: dict[str, Benchmark] = {each.name: each for each in (Davis(), Jhmdb(), Vip())}


def benchmark_of(root: str) -> str:
    """The name of the benchmark in whose layout a folder is.

    Raises:
        InputError: no such folder, or another layout.
    """
    from datamodules.videowalk.davis import is_davis
    from datamodules.videowalk.jhmdb import is_jhmdb
    from datamodules.videowalk.vip import is_vip

    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise InputError(f"data.root={root}: no such folder; give the root of DAVIS, JHMDB or VIP")
    for name, fits in (("davis", is_davis), ("jhmdb", is_jhmdb), ("vip", is_vip)):
        if fits(folder):
            return name
    raise InputError(
        f"data.root={root}: in the layout of none of the benchmarks. Expected JPEGImages, Annotations, ImageSets "
        "(davis);\nRename_Images, joint_positions, splits (jhmdb); Images, Annotations/Category_ids, lists (vip)"
    )


def _write_masks(folder: Path | None, sequence: "MaskSequence", carried: "np.ndarray") -> None:
    """Ids as indexed pictures under the names of the frames, with the palette of the annotation."""
    from components.media.masks import read_mask, write_mask

    if folder is None or sequence.masks[0] is None:
        return
    palette = read_mask(sequence.masks[0]).palette
    for path, ids in zip(sequence.frames.frames, carried, strict=True):
        write_mask(folder / f"{path.stem}.png", ids, palette)
