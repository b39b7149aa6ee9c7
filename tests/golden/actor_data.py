"""Golden cases of ACTOR's data side: rotations, features, frames and mixing."""

from collections.abc import Callable

import numpy as np
import torch

from components.body.pose_format import PoseFormat, motion_features
from components.geometry import rotations
from datamodules.actor.blending import blend_motions
from datamodules.actor.collate import collate_motions
from datamodules.actor.frames import FrameSampling
from datamodules.actor.humanact12 import HUMANACT12_ACTIONS
from datamodules.actor.masks import blend_weights
from datamodules.actor.mixing import MixingCollate
from tests.golden.harness import Case

PLAIN_ROT6D = PoseFormat("rot6d", translation=False)


def check_rotations(case: Case) -> None:
    """Every conversion of the case."""
    axis_angle, raw_quaternion = case.tensor("in/axis_angle"), case.tensor("in/raw_quaternion")
    points = case.tensor("in/points")
    quaternion = rotations.axis_angle_to_quaternion(axis_angle)
    matrix = rotations.axis_angle_to_matrix(axis_angle)
    half = len(case.arrays["out/quaternion_multiply"])
    unit = quaternion[: len(points)]
    results = {
        "aa_to_quaternion": quaternion,
        "aa_to_matrix": matrix,
        "matrix_to_6d": rotations.matrix_to_rot6d(matrix),
        "matrix_to_quaternion": rotations.matrix_to_quaternion(matrix),
        "matrix_to_axis_angle": rotations.matrix_to_axis_angle(matrix),
        "quaternion_to_axis_angle": rotations.quaternion_to_axis_angle(quaternion),
        "raw_6d_to_matrix": rotations.rot6d_to_matrix(case.tensor("in/raw_6d")),
        "raw_quaternion_to_matrix": rotations.quaternion_to_matrix(raw_quaternion),
        "standardize_quaternion": rotations.standardize_quaternion(raw_quaternion),
        "quaternion_multiply": rotations.quaternion_multiply(raw_quaternion[:half], raw_quaternion[half : 2 * half]),
        "quaternion_raw_multiply": rotations.quaternion_raw_multiply(
            raw_quaternion[:half], raw_quaternion[half : 2 * half]
        ),
        "quaternion_invert": rotations.quaternion_invert(raw_quaternion),
        "quaternion_apply": rotations.quaternion_apply(unit, points),
    }
    for name in case.names("out/euler_to_matrix_"):
        convention = name.rsplit("_", 1)[1]
        kind = "euler_proper" if convention[0] == convention[2] else "euler_tait_bryan"
        euler = rotations.euler_to_matrix(case.tensor(f"in/{kind}"), convention)
        results[f"euler_to_matrix_{convention}"] = euler
        results[f"matrix_to_euler_{convention}"] = rotations.matrix_to_euler(euler, convention)
    assert {f"out/{name}" for name in results} == set(case.names("out/"))
    for name, value in results.items():
        case.check(f"out/{name}", value)


def check_pose_features(case: Case) -> None:
    """Every representation, the root from joints or from a translation of its own."""
    frames = case.tensor("in/frame_ix")
    poses, joints = case.tensor("in/poses")[frames], case.tensor("in/joints3D")[frames]
    for name in case.names("out/"):
        parts = name.removeprefix("out/").split("_")
        pose_format = PoseFormat(parts[0], translation=parts[1] == "tr", glob=parts[2] == "glob")
        root = case.tensor("in/translation")[frames] if name.endswith("from_translation") else joints[:, 0]
        case.check(name, motion_features(poses, root, joints, pose_format))


def check_frame_sampling(case: Case) -> None:
    """Chosen frames with the recorded draws injected; each draw must ask for the recorded bounds."""
    for config in case.meta["config"]:
        index = config["index"]
        recorded = case.arrays[f"in/draws_{index}"].tolist()

        def draw(low: int, high: int, recorded: list = recorded) -> int:
            expected_low, expected_high, value = recorded.pop(0)
            assert (low, high) == (expected_low, expected_high)
            return value

        settings = {key: config[key] for key in ("num_frames", "sampling", "sampling_step", "min_len", "max_len")}
        frames = FrameSampling(**settings).choose(config["nframes"], draw)
        assert not recorded, f"frame_sampling {index}: draws left over"
        case.check(f"out/frame_ix_{index}", frames)


def check_collate_plain(case: Case) -> None:
    """Padding to the longest."""
    names = sorted(case.names("in/x"), key=lambda name: int(name.removeprefix("in/x")))
    motions = [case.tensor(name) for name in names]
    labels = case.arrays["in/labels"].tolist()
    batch = collate_motions([{"motion": m, "action": y, "seed": 0} for m, y in zip(motions, labels)])
    case.check("out/x", batch["motion"])
    case.check("out/y", batch["action"])
    case.check("out/mask", batch["mask"].long())
    case.check("out/lengths", batch["lengths"])


def check_video_combine(case: Case) -> None:
    """Pairs with their own alphas and the recorded mask table."""
    motions = case.tensor("in/videos").permute(0, 2, 3, 1)
    table = case.tensor("in/mask_table")
    first, second = case.tensor("in/index1"), case.tensor("in/index2")
    weight = blend_weights(table[case.tensor("in/action1")], table[case.tensor("in/action2")], case.tensor("in/alpha"))
    mixed = blend_motions(motions[first], motions[second], weight, PLAIN_ROT6D, "linear6d")
    case.check("out/video", mixed.permute(0, 3, 1, 2))


def check_collate_mix(case: Case) -> None:
    """A whole batch with the recorded partners."""
    motions = case.tensor("in/videos").permute(0, 2, 3, 1)
    labels = case.arrays["in/labels"].tolist()
    partners = case.tensor("in/partner_index")

    class Recorded(MixingCollate):
        def draw_pairs(self, action, generator):
            return torch.arange(len(action)), partners

    collate = Recorded(HUMANACT12_ACTIONS, PLAIN_ROT6D, masks="table")
    batch = collate([{"motion": m, "action": y, "seed": 0} for m, y in zip(motions, labels)])
    count = len(partners)
    case.check("out/x_mixed", batch["motion"][:count])
    np.testing.assert_array_equal(batch["motion"][count:].numpy(), motions.numpy())
    case.check("out/y1", batch["action"])
    case.check("out/y2", batch["second_action"])
    case.check("out/mask", batch["mask"].long())
    case.check("out/lengths", batch["lengths"])
    case.check("out/alphas", batch["mix_alpha"][:count])


HANDLERS: dict[str, Callable[[Case], None]] = {
    "rotations": check_rotations,
    "pose_features": check_pose_features,
    "frame_sampling": check_frame_sampling,
    "collate_plain": check_collate_plain,
    "video_combine": check_video_combine,
    "collate_mix": check_collate_mix,
}
