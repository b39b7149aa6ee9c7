"""task=generate: motions from action labels, as SMPL parameters, films, pictures, a viewer page and 3D files."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from components.files.atomic import write_json
from entrypoints.config_check import Fault
from entrypoints.run_data import action_names
from entrypoints.tasks.options import choose_device, raise_faults, result_folder, stamped_folder, wanted_actions
from entrypoints.tasks.progress import progress

if TYPE_CHECKING:
    from components.body.model import BodyModel
    from entrypoints.runs import LoadedRun
    from lightning_modules.actor.sampling import SampledMotion

log = logging.getLogger(__name__)

_LONGEST_SEGMENT = 10_000
_FORMATS = ("npz", "mp4", "gif", "stick", "strip", "html", "gltf", "bvh", "obj")
_PICTURES = ("mp4", "gif", "stick", "strip")
# Where a chain decides, these options say nothing; values as in the dataclass.
_NOT_IN_A_CHAIN = ("actions", "duration", "interpolate", "noise_same_action", "noise_diff_action", "alpha")
# And these elsewhere.
_IN_A_CHAIN = ("overlap", "window", "candidates", "align")


@dataclass(frozen=True)
class Options:
    """Keys of `conf/task/generate.yaml`, which explains them.

    Raises:
        ConfigError: values out of range, all of them together.
    """

    actions: list[str] | str | None = None
    duration: int | list[int] | None = None
    samples: int = 3
    seed: int = 0
    noise_same_action: Literal["random", "same", "interpolate"] = "random"
    noise_diff_action: Literal["random", "same"] = "random"
    fact: float = 1.0
    interpolate: Literal["latents", "actions"] | None = None
    alpha: float | None = None
    chain: list[str] | str | None = None
    overlap: int = 8
    window: int | None = None
    candidates: int = 8
    align: bool = True
    body: str | None = None
    betas: list[float] | None = None
    fps: float | None = None
    formats: list[Literal["npz", "mp4", "gif", "stick", "strip", "html", "gltf", "bvh", "obj"]] | str = (  # type: ignore[assignment]
        "npz", "mp4", "gif", "stick", "strip", "html",
    )  # fmt: skip
    size: int = 256
    view: Literal["front", "side", "three_quarter", "back"] = "three_quarter"
    device: str = "auto"
    output: str | None = None
    force: bool = False

    def __post_init__(self) -> None:
        rules = {
            "actions": (self.actions != [], "asks for nothing; name some, or leave the key out for all"),
            "duration": (all(frames >= 1 for frames in self.durations or [1]), "every motion needs at least 1 frame"),
            "samples": (1 <= self.samples <= 1000, "must lie in 1..1000"),
            "seed": (0 <= self.seed < 2**63, "must be a whole number from 0 on"),
            "fact": (self.fact >= 0, "must be at least 0"),
            "alpha": (self.alpha is None or 0 <= self.alpha <= 1, "must lie in 0..1 (share of the first action)"),
            "fps": (self.fps is None or 0 < self.fps <= 1000, "must lie above 0 and be at most 1000"),
            "size": (32 <= self.size <= 2048, "must lie in 32..2048 pixels"),
            "overlap": (0 <= self.overlap <= 200, "must lie in 0..200 frames"),
            "window": (self.window is None or 1 <= self.window <= 1000, "must lie in 1..1000 frames"),
            "candidates": (1 <= self.candidates <= 256, "must lie in 1..256"),
            "betas": (self.betas is None or len(self.betas) <= 10, "has more than 10 coefficients"),
            "formats": (set(self.format_list) <= set(_FORMATS), f"expected some of {', '.join(_FORMATS)}"),
        }
        faults = [Fault(f"{key}={getattr(self, key)}", rule) for key, (fine, rule) in rules.items() if not fine]
        if self.duration == []:
            faults.append(Fault("duration=[]", "expected a number of frames, or several"))
        if self.chain is not None:
            faults += self._chain_faults()
        else:
            faults += self._idle(_IN_A_CHAIN, "belongs to chain=[...]; leave it out")
        if self.interpolate is not None:
            faults += self._idle(("noise_same_action",), f"interpolate={self.interpolate} decides; leave it out")
        raise_faults(faults, "task=generate")

    def _idle(self, keys: Sequence[str], reason: str) -> list[Fault]:
        """Keys that were set and would have no effect."""
        defaults = {field.name: field.default for field in fields(self)}
        return [Fault(key, reason) for key in keys if getattr(self, key) != defaults[key]]

    def _chain_faults(self) -> list[Fault]:
        faults = self._idle(_NOT_IN_A_CHAIN, "says nothing about a chain; leave it out")
        if not self.segments:
            faults.append(Fault("chain=[]", "asks for nothing; expected e.g. chain=[walk:60,sit:40]"))
        for text, (action, frames) in zip(self._chain_texts, self.segments):
            if not action or (frames is not None and not 1 <= frames <= _LONGEST_SEGMENT):
                faults.append(
                    Fault(f"chain: '{text}'", f"expected action:frames such as walk:60, 1 to {_LONGEST_SEGMENT} frames")
                )
        return faults

    @property
    def _chain_texts(self) -> list[str]:
        return [self.chain] if isinstance(self.chain, str) else list(self.chain or [])

    @property
    def segments(self) -> list[tuple[str, int | None]]:
        """Action and frames of each part of the chain: None where the text has no frames, 0 where it has nonsense."""
        parts: list[tuple[str, int | None]] = []
        for text in self._chain_texts:
            action, colon, frames = str(text).strip().rpartition(":")
            if not colon:
                parts.append((frames, None))
            else:
                parts.append((action.strip(), int(frames) if frames.strip().isdecimal() else 0))
        return parts

    @property
    def durations(self) -> list[int] | None:
        """Frames as a list."""
        return [self.duration] if isinstance(self.duration, int) else self.duration

    @property
    def format_list(self) -> list[str]:
        """Formats as a list."""
        return [self.formats] if isinstance(self.formats, str) else list(self.formats)


def perform(run: "LoadedRun", options: Options) -> Path:
    """Generate and write.

    Returns:
        The folder with the results.

    Raises:
        InputError: unknown actions, pairs for a model of single actions, a bad body file, an unwritable folder.
    """
    from components.body.loader import load_body
    from components.rendering.motion_gallery import GalleryItem, gallery_frames, write_gallery
    from components.rendering.viewer.builder import write_viewer

    target = Path(options.output).expanduser() if options.output else stamped_folder(run.run_dir / "generated")
    with result_folder(target, options.force) as folder:
        device = choose_device(options.device)
        body = load_body(options.body).to(device)
        motions = generate(run, options, device, body)
        if "npz" in options.format_list:
            _write_arrays(folder, motions, body)
        _write_table(folder / "motions.csv", motions, run)
        write_json(folder / "settings.json", {"run": str(run.checkpoint_path), **asdict(options)})
        items = [GalleryItem(each.group, each.caption, each.motion) for each in motions]
        kinds: Any = [kind for kind in options.format_list if kind in _PICTURES]
        if kinds:
            with progress("rendering", gallery_frames(items, kinds)) as advance:
                write_gallery(folder, items, body, kinds, options.size, options.view, advance)
        if "html" in options.format_list:
            write_viewer(folder / "viewer.html", items, body, f"Troupe: {run.run_dir.name}")
        _export(folder, motions, body, options.format_list)
    log.info("%d motions of %d requests", len(motions), len({each.group for each in motions}))
    return target


def generate(
    run: "LoadedRun", options: Options, device: Any = "cpu", body: "BodyModel | None" = None
) -> "list[SampledMotion]":
    """Sample what the options ask for; nothing is written.

    Args:
        run: the trained model.
        options: what to generate.
        device: of the network.
        body: tells a chain where the feet are; None loads the options' one.

    Raises:
        InputError: as `perform`.
    """
    import torch

    from components.body.loader import load_body
    from components.body.pose_format import PoseFormat
    from entrypoints.runs import load_module
    from lightning_modules.actor.chaining import ChainRequest, Segment, sample_chain
    from lightning_modules.actor.generation import parse_actions
    from lightning_modules.actor.sampling import MotionRequest, sample_motions

    net_config, data = run.config["model"]["net"], run.config.get("data") or {}
    names = action_names(run)
    actions = [action for action, _ in options.segments] or wanted_actions(options.actions, names)
    parse_actions(actions, names, net_config["conditioning"])  # before anything is built
    net = load_module(run).net.to(device)
    trained = net.sizes.usual_frames
    layout = net.pose_format
    pose_format = PoseFormat(
        layout.pose_rep, layout.translation, layout.glob, tuple(data.get("glob_rot") or PoseFormat().glob_rot)
    )
    betas = None
    if options.betas is not None:
        betas = torch.zeros(10)
        betas[: len(options.betas)] = torch.tensor(options.betas)
    fps = options.fps or float(run.facts.get("fps", 20))
    if options.segments:
        chain = ChainRequest(
            [Segment(action, frames or trained) for action, frames in options.segments], options.window or trained,
            options.overlap, options.candidates, options.samples, options.fact, options.seed, options.align,
        )  # fmt: skip
        return sample_chain(net, chain, names, pose_format, fps, body or load_body(options.body), betas)
    durations = options.durations or [trained]
    if net.sizes.num_frames and any(frames != trained for frames in durations):
        log.info(
            "duration=%s: this run was trained on %d frames; other lengths may look worse (long ones are better made "
            "of pieces: chain=[%s:%d])", durations, trained, actions[0], max(durations),
        )  # fmt: skip
    request = MotionRequest(
        actions, durations, options.samples, options.noise_same_action, options.noise_diff_action, options.fact,
        options.interpolate, options.seed, options.alpha,
    )  # fmt: skip
    return sample_motions(net, request, names, pose_format, fps, betas)


def _export(folder: Path, motions: "Sequence[SampledMotion]", body: "BodyModel", formats: "Sequence[str]") -> None:
    """Files for other 3D programs, one of each kind for a motion, standing on the floor."""
    from components.rendering.exports import export_bvh, export_gltf, export_obj
    from components.rendering.motion_films import settled

    groups = list(dict.fromkeys(each.group for each in motions))
    if not {"gltf", "bvh", "obj"} & set(formats):
        return
    for each in motions:
        motion = settled(each.motion, body)
        if "gltf" in formats:
            path = folder / "gltf" / f"{each.name}.glb"
            export_gltf(path, motion, body, each.name, groups.index(each.group))
        if "bvh" in formats:
            export_bvh(folder / "bvh" / f"{each.name}.bvh", motion, body)
        if "obj" in formats:
            export_obj(folder / "obj" / each.name, motion, body)


def _write_arrays(folder: Path, motions: "Sequence[SampledMotion]", body: "BodyModel") -> None:
    """One npz per motion, and all of them stacked (zero beyond each length) in `generation.npz`."""
    import numpy as np
    import torch
    from torch.nn.utils.rnn import pad_sequence

    from components.body.motion_files import write_motion
    from components.files.atomic import atomic_path

    joints = []
    for each in motions:
        joints.append(each.motion.joints(body).cpu())
        write_motion(folder / "motions" / f"{each.name}.npz", each.motion, joints[-1])
    clips = [each.motion for each in motions]
    frame_actions: dict[str, Any] = {}
    if clips[0].frame_actions:  # the motions of a chain are equally long
        labels = np.array([clip.frame_actions for clip in clips])
        frame_actions = {"frame_action": labels[..., 0], "frame_second_action": labels[..., 1]}
    with atomic_path(folder / "generation.npz") as temporary:
        np.savez(
            temporary,
            poses=pad_sequence([clip.poses for clip in clips], batch_first=True).numpy(),
            trans=pad_sequence([clip.trans for clip in clips], batch_first=True).numpy(),
            joints=pad_sequence(joints, batch_first=True).numpy(),
            lengths=np.array([len(clip.poses) for clip in clips]),
            betas=np.stack([torch.zeros(10) if clip.betas is None else clip.betas for clip in clips]),
            gender=np.array([clip.gender for clip in clips]),
            action=np.array([clip.action for clip in clips]),
            second_action=np.array([clip.second_action for clip in clips]),
            names=np.array([each.name for each in motions]),
            sample=np.array([each.sample for each in motions]),
            z=torch.stack([each.z for each in motions]).numpy(),
            mocap_framerate=np.array(clips[0].fps),
            fps=np.array(clips[0].fps),
            **frame_actions,
        )


def _write_table(path: Path, motions: "Sequence[SampledMotion]", run: "LoadedRun") -> None:
    import csv

    from components.files.atomic import atomic_path

    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["name", "action", "second_action", "sample", "frames", "fps", "seconds", "checkpoint"])
        for each in motions:
            clip, frames = each.motion, len(each.motion.poses)
            place = [each.name, clip.action, clip.second_action, each.sample]
            writer.writerow([*place, frames, clip.fps, round(frames / clip.fps, 3), run.checkpoint_path])
