"""task=propagate: objects or joints of a film's first frame, found again in all others."""

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from components.errors import InputError
from components.files.atomic import check_writable, staging_folder, write_json, write_text
from entrypoints.config_check import Fault
from entrypoints.tasks.options import choose_device, raise_faults
from entrypoints.tasks.progress import progress

if TYPE_CHECKING:
    import numpy as np

    from entrypoints.runs import LoadedRun
    from entrypoints.tasks.propagation_inputs import Film
    from lightning_modules.videowalk.propagation.features import Extractor
    from lightning_modules.videowalk.propagation.propagator import LabelPropagator
    from lightning_modules.videowalk.propagation.settings import PropagationSettings

log = logging.getLogger(__name__)

# Written last into a film's folder: the settings and inputs that its results belong to.
RECORD = "propagation.json"
# Options that change what is written; the others say where to, or which films.
_NOT_RECORDED = ("device", "output", "force", "sequences", "video")
_SHEET_COLUMNS = 4
# Joints of these names (JHMDB's) are joined by lines.
_LIMBS = (
    ("face", "neck"), ("neck", "belly"),
    *((f"{side}-{first}", f"{side}-{second}") for side in ("left", "right") for first, second in (
        ("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))),
    *((middle, f"{side}-{joint}") for side in ("left", "right") for middle, joint in (
        ("neck", "shoulder"), ("belly", "hip"))),
)  # fmt: skip
_SHEET_WIDTH = 360


@dataclass(frozen=True)
class Options:
    """Keys of `conf/task/propagate.yaml`, which explains them.

    Raises:
        ConfigError: values out of range, all of them together.
    """

    video: str | None = None
    mask: str | None = None
    joints: str | None = None
    sequences: list[str] | None = None
    split: str = "val"
    resolution: str = "480p"
    context: int = 20
    topk: int = 10
    radius: float | None = 12.0
    temperature: float = 0.05
    long_memory: list[int] = (0,)  # type: ignore[assignment]
    published_long_memory: bool = False
    normalize: bool = True
    norm_mask: bool = False
    size: int | list[int] | None = None
    use_head: bool = False
    remove_layers: list[str] = ("layer4",)  # type: ignore[assignment]
    storage: Literal["float32", "float16", "bfloat16"] = "float32"
    adapt_steps: int = 0
    adapt_lr: float = 1e-5
    fps: float | None = None
    opacity: float = 0.5
    sheet_frames: int = 12
    device: str = "auto"
    output: str | None = None
    force: bool = False

    def __post_init__(self) -> None:
        rules = {
            "video": (self.video is not None, "missing; give a folder of frames, a video file or a data set"),
            "sequences": (self.sequences != [], "asks for nothing; name some, or leave the key out for all"),
            "split": (_is_name(self.split), "expected the name of a list"),
            "resolution": (_is_name(self.resolution), "expected the name of a folder"),
            "adapt_steps": (self.adapt_steps >= 0, "must not be negative"),
            "adapt_lr": (self.adapt_lr > 0, "must be above 0"),
            "fps": (self.fps is None or 0 < self.fps <= 1000, "must lie above 0 and be at most 1000"),
            "opacity": (0 <= self.opacity <= 1, "must lie in 0..1"),
            "sheet_frames": (1 <= self.sheet_frames <= 100, "must lie in 1..100"),
        }
        faults = [Fault(f"{key}={getattr(self, key)}", rule) for key, (fine, rule) in rules.items() if not fine]
        try:
            self.settings()
        except InputError as error:
            faults += [Fault(*line.split(": ", 1)) for line in str(error).splitlines()]
        raise_faults(faults, "task=propagate")

    def settings(self) -> "PropagationSettings":
        """Settings of the propagation.

        Raises:
            InputError: a value out of range.
        """
        from lightning_modules.videowalk.propagation.settings import PropagationSettings

        size = tuple(self.size) if isinstance(self.size, list) else self.size
        return PropagationSettings(
            self.context, self.topk, self.radius, self.temperature, tuple(self.long_memory),
            self.published_long_memory, self.norm_mask, self.normalize,
            size=size,  # type: ignore[arg-type]
        )  # fmt: skip


def perform(run: "LoadedRun", options: Options) -> Path:
    """Follow what the options ask for through each film; films that are finished already are left as they are.

    Returns:
        The folder with a folder of results for each film.

    Raises:
        InputError: bad input, or a folder that holds results of other settings.
    """
    from entrypoints.runs import load_module
    from entrypoints.tasks.propagation_inputs import read_films
    from lightning_modules.videowalk.propagation.propagator import LabelPropagator

    films = read_films(
        str(options.video), options.mask, options.joints, options.fps, options.sequences, options.split,
        options.resolution,
    )  # fmt: skip
    records = [_record(run, options, film) for film in films]
    target = _target(run, options, records)
    folders = [target / film.sequence.name for film in films]
    waiting = [index for index, folder in enumerate(folders) if not _finished(folder, records[index], options.force)]
    if len(waiting) < len(films):
        log.info("%d of %d films are finished already in %s", len(films) - len(waiting), len(films), target)
    if not waiting:
        return target
    check_writable(target, "output")
    device = choose_device(options.device)
    module = load_module(run).to(device)
    extractor = module.features(options.use_head, options.remove_layers)
    propagator = LabelPropagator(options.settings(), options.storage)
    with progress("propagating", sum(len(films[index].sequence) for index in waiting)) as advance:
        for number, index in enumerate(waiting, start=1):
            film, folder = films[index], folders[index]
            film.report_late_objects()
            _report_small_objects(film, extractor.stride, propagator.settings)
            _clear_leftovers(folder)
            with staging_folder(folder) as staging:
                if options.adapt_steps:
                    extractor = _adapted(module, run, film, options, device)
                follow(film, staging, extractor, propagator, options, device, advance)
                write_json(staging / RECORD, records[index])
                if folder.exists():  # force=true
                    shutil.rmtree(folder)
                staging.replace(folder)
            log.info("%s: %d frames (film %d of %d)", folder.name, len(film.sequence), number, len(waiting))
    return target


def follow(
    film: "Film",
    folder: Path,
    extractor: "Extractor",
    propagator: "LabelPropagator",
    options: Options,
    device: Any = "cpu",
    advance: Callable[[int], None] | None = None,
) -> None:
    """Write masks or joints, overlay and contact sheet of one film; one frame after the other is in memory."""
    from components.media.frame_sequences import RecentFrames
    from components.media.frames import evenly_spaced
    from components.media.pictures import image_grid, write_png
    from components.media.video import write_mp4

    sequence = RecentFrames(film.sequence)
    moments = set(evenly_spaced(len(sequence), options.sheet_frames).tolist())
    sheet: list[tuple[Any, str]] = []

    def pictures() -> "Iterator[np.ndarray]":
        draw = _follow_masks if film.joints is None else _follow_joints
        for frame, picture in enumerate(draw(film, sequence, folder, extractor, propagator, options, device, advance)):
            if frame in moments:
                told = f"frame {frame}, given" if frame == 0 else f"frame {frame}, {frame / film.fps:.1f} s"
                sheet.append((_reduced(picture, _SHEET_WIDTH), told))
            yield picture

    write_mp4(folder / "overlay.mp4", pictures(), film.fps)
    images, captions = zip(*sheet, strict=True)
    title = f"{sequence.name}: {_followed(film)}, {len(sequence)} frames"
    write_png(
        folder / "contact_sheet.png", image_grid(images, min(_SHEET_COLUMNS, len(images)), captions, title, gap=8)
    )


def _report_small_objects(film: "Film", stride: int, settings: "PropagationSettings") -> None:
    """Say which objects lie in the middle of no cell: features know nothing of them."""
    import math

    import torch

    from lightning_modules.videowalk.propagation.labels import one_hot, to_cells

    if film.ids is None:
        return
    height, width = settings.frame_size(*film.sequence.size)
    grid = (math.ceil(height / stride), math.ceil(width / stride))
    cells = to_cells(one_hot(torch.from_numpy(film.ids), film.objects), grid)
    lost = [index for index, cell in zip(film.objects, cells.amax((1, 2)).tolist(), strict=True) if cell == 0]
    if lost:
        log.warning(
            "%s: objects %s are smaller than a cell of the features (%d pixels at %d x %d) and will be lost; "
            "enlarge the frames, e.g. size=%d",
            film.sequence.name, lost, stride, width, height, 2 * min(height, width),
        )  # fmt: skip


def _adapted(module: Any, run: "LoadedRun", film: "Film", options: Options, device: Any) -> "Extractor":
    """Features of a copy of the network that has trained on the film."""
    from lightning_modules.videowalk.adaptation import AdaptationSettings, adapted_features

    log.info("%s: adapting the network, %d steps", film.sequence.name, options.adapt_steps)
    trained_on = run.config.get("data") or {}
    settings = AdaptationSettings.like_training(trained_on, steps=options.adapt_steps, lr=options.adapt_lr)
    return adapted_features(module, film.sequence, settings, options.use_head, options.remove_layers, device)


def _follow_masks(
    film: "Film", sequence: Any, folder: Path, extractor: Any, propagator: Any, options: Options, device: Any,
    advance: Callable[[int], None] | None,
) -> "Iterator[np.ndarray]":  # fmt: skip
    from components.media.masks import write_mask
    from components.media.overlays import overlay_mask
    from lightning_modules.videowalk.propagation.masks import propagate_masks

    assert film.ids is not None
    masks = propagate_masks(extractor, sequence, film.ids, device=device, progress=advance, propagator=propagator)
    for frame, ids in enumerate(masks):
        write_mask(folder / "masks" / f"{frame:05d}.png", ids, film.palette)
        yield overlay_mask(sequence.read(frame), ids, options.opacity)


def _follow_joints(
    film: "Film", sequence: Any, folder: Path, extractor: Any, propagator: Any, options: Options, device: Any,
    advance: Callable[[int], None] | None,
) -> "Iterator[np.ndarray]":  # fmt: skip
    import numpy as np
    import torch

    from components.files.atomic import atomic_path
    from components.media.overlays import overlay_joints
    from lightning_modules.videowalk.propagation.joints import propagate_joints

    places = {name: index for index, name in enumerate(film.joint_names)}
    limbs = [(places[first], places[second]) for first, second in _LIMBS if first in places and second in places]
    found = []
    points = propagate_joints(
        extractor, sequence, torch.from_numpy(film.joints), device=device, progress=advance, propagator=propagator
    )
    for frame, joints in enumerate(points):
        found.append(joints.numpy())
        yield overlay_joints(sequence.read(frame), found[-1], limbs)
    with atomic_path(folder / "joints.npz") as temporary:
        np.savez(temporary, joints=np.stack(found), names=np.array(film.joint_names), fps=np.array(film.fps))
    rows = ["frame,name,x,y"]
    for frame, where in enumerate(found):
        rows += [
            f'{frame},"{name.replace(chr(34), chr(34) * 2)}",{x:.2f},{y:.2f}'
            for name, (x, y) in zip(film.joint_names, where.T.tolist(), strict=True)
        ]
    write_text(folder / "joints.csv", "\n".join(rows) + "\n")


def _target(run: "LoadedRun", options: Options, records: Sequence[dict[str, Any]]) -> Path:
    """The folder for all films; without `output=...` the same for the same input and settings, so that they go on."""
    if options.output is not None:
        target = Path(options.output).expanduser()
        if target.exists() and not target.is_dir():
            raise InputError(f"output={target} is a file; expected a folder")
        return target
    known = [{key: value for key, value in record.items() if key != "inputs"} for record in records[:1]]
    digest = hashlib.sha256(json.dumps([known, str(Path(str(options.video)).resolve())]).encode()).hexdigest()[:8]
    return run.run_dir / "propagated" / f"{Path(str(options.video)).expanduser().resolve().stem}_{digest}"


def _record(run: "LoadedRun", options: Options, film: "Film") -> dict[str, Any]:
    """What the results of a film depend on."""
    from components.media.mask_sequences import fingerprint

    kept = {key: value for key, value in asdict(options).items() if key not in _NOT_RECORDED}
    for key in ("mask", "joints"):
        kept[key] = kept[key] and str(Path(kept[key]).expanduser().resolve())
    return json.loads(
        json.dumps(
            {
                "run": str(run.checkpoint_path.resolve()),
                "checkpoint": fingerprint([run.checkpoint_path]),
                "options": kept,
                "frames": len(film.sequence),
                "fps": film.fps,
                "inputs": fingerprint(film.files),
            }
        )
    )


def _finished(folder: Path, record: dict[str, Any], force: bool) -> bool:
    """Whether a film's results are there.

    Raises:
        InputError: the folder holds something else, and `force` is false.
    """
    if not folder.exists() or force:
        return False
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if found == record:
        return True
    kind = "results of other settings or inputs" if isinstance(found, dict) else "files of something else"
    raise InputError(f"{folder} holds {kind}.\nChoose another folder with output=..., or replace it with force=true")


def _clear_leftovers(folder: Path) -> None:
    """Remove what a killed job left half-written beside the folder."""
    leftover = re.compile(rf"\.{re.escape(folder.name)}\.[0-9a-f]{{8}}")
    for path in folder.parent.iterdir() if folder.parent.is_dir() else ():
        if leftover.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def _followed(film: "Film") -> str:
    if film.joints is not None:
        return f"{film.joints.shape[1]} joints"
    count = len(film.objects)
    return "1 object" if count == 1 else f"{count} objects"


def _reduced(picture: "np.ndarray", width: int) -> "np.ndarray":
    import numpy as np
    from PIL import Image

    if picture.shape[1] <= width:
        return picture
    size = (width, max(1, round(picture.shape[0] * width / picture.shape[1])))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def _is_name(text: str) -> bool:
    return re.fullmatch(r"[\w][\w.-]*", text) is not None
