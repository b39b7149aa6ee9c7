"""Golden cases of ACTOR's data sets: the geometry of UESTC."""

from collections.abc import Callable

import numpy as np
import torch

from components.geometry import rotations
from datamodules.actor.uestc import camera_translation, front_rotation, turn_to_front
from tests.golden.harness import Case


def check_uestc_geometry(case: Case) -> None:
    """Translation from the camera, and every view of the case turned to the front."""
    camera, joints, poses = (case.arrays[f"in/{name}"] for name in ("orig_cam", "joints3d", "pose"))
    translation = camera_translation(joints, camera)
    case.check("out/translation", translation)
    case.check("out/translation_noz", camera_translation(joints, camera, use_depth=False))
    checked = {"out/translation", "out/translation_noz"}
    for name in case.names("out/rotation_view"):
        view = int(name.removeprefix("out/rotation_view"))
        case.check(name, front_rotation(view))
        turned_poses, turned_joints, turned_translation = turn_to_front(poses, joints, translation, view)
        np.testing.assert_array_equal(turned_poses[:, 3:], poses[:, 3:])
        case.check(f"out/joints_view{view}", turned_joints + turned_translation[:, None])
        # Rotation vectors near pi may have either sign: the rotations are compared.
        key = f"out/global_orient_view{view}"
        actual, expected = (
            rotations.axis_angle_to_matrix(torch.from_numpy(np.array(vectors)))
            for vectors in (turned_poses[:, :3], case.arrays[key])
        )
        np.testing.assert_allclose(actual.numpy(), expected.numpy(), **case.tolerance(key))
        checked |= {name, f"out/joints_view{view}", key}
    assert checked == set(case.names("out/"))


HANDLERS: dict[str, Callable[[Case], None]] = {"uestc_geometry": check_uestc_geometry}
