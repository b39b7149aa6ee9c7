"""Motions of known SMPL poses come back from BVH files, whatever the files call and order things."""

import pytest
import torch
import torch.nn.functional as F

from components.body import load_body
from components.body.bvh import read_bvh
from components.body.joint_names import match_joints, read_joint_map
from components.body.retargeting import retarget
from components.body.skeleton import SMPL_JOINTS, SMPL_PARENTS, forward_kinematics
from components.errors import InputError
from components.geometry.rotations import axis_rotation
from tests.components.body.bvh_files import A_POSE, MIXAMO, smooth_motion, write_smpl_bvh

REST = load_body().rest_joints.double()
QUARTER = torch.tensor(torch.pi / 2, dtype=torch.float64)
BONES = [joint for joint in range(1, 24) if SMPL_JOINTS[joint] not in ("left_hand", "right_hand")]


def directions(rotations):
    joints, _ = forward_kinematics(rotations, REST)
    return F.normalize(joints[..., BONES, :] - joints[..., [SMPL_PARENTS[joint] for joint in BONES], :], dim=-1)


def worst_angle(found, wanted):
    """Degrees, over all bones and frames."""
    cosine = (directions(found) * directions(wanted)).sum(-1)
    return float(torch.rad2deg(torch.acos(cosine.clamp(-1, 1))).max())


@pytest.mark.parametrize("order", ["ZXY", "XYZ", "ZYX", "YZX"])
@pytest.mark.parametrize("options", [
    {}, {"scale": 1.0, "positions_last": True}, {"all_positions": True}, {"extra": ("LeftEye", "Jaw")},
    {"axes": axis_rotation("X", QUARTER)}, {"axes": axis_rotation("Y", QUARTER)},
])  # fmt: skip
def test_round_trip(tmp_path, order, options):
    rotations, root = smooth_motion()
    motion = read_bvh(write_smpl_bvh(tmp_path / "m.bvh", rotations, root, REST, order=order, **options))
    assert motion.fps == pytest.approx(30, rel=1e-4)
    back = retarget(motion, REST)
    assert back.scale == pytest.approx(1 / options.get("scale", 100.0), rel=1e-4)
    axes = options.get("axes", torch.eye(3, dtype=torch.float64))
    turned = torch.cat([axes @ rotations[:, :1], rotations[:, 1:]], dim=1)
    assert worst_angle(back.rotations, turned) < 0.01
    torch.testing.assert_close(back.root, root @ axes.T, rtol=0, atol=1e-4)
    torch.testing.assert_close(back.rotations[:, :22], turned[:, :22], rtol=0, atol=1e-4)


def test_a_pose_at_rest(tmp_path):
    """Files whose zero pose lets the arms hang: angles are relative to that."""
    rotations, root = smooth_motion()
    motion = read_bvh(write_smpl_bvh(tmp_path / "m.bvh", rotations, root, REST, zero_pose=A_POSE))
    back = retarget(motion, REST)
    assert back.reference == -1
    assert worst_angle(back.rotations, rotations) < 0.01


def test_zero_pose_that_is_no_pose(tmp_path):
    """Some programs lay all bones along one axis: a frame of the motion is the reference then."""
    rotations, root = smooth_motion()
    rotations[7] = torch.eye(3, dtype=torch.float64)
    turns = {"hip": 2, "knee": 2, "shoulder": 1, "elbow": 1, "wrist": 1}
    straight = {
        f"{side}_{part}": axis_rotation("Z", sign * QUARTER * turn)
        for side, sign in (("left", 1), ("right", -1))
        for part, turn in turns.items()
    }
    motion = read_bvh(write_smpl_bvh(tmp_path / "m.bvh", rotations, root, REST, zero_pose=straight))
    back = retarget(motion, REST)
    assert back.reference == 7
    assert worst_angle(back.rotations, rotations) < 0.5


def test_fewer_joints(tmp_path):
    """One joint in the trunk, no collars, no neck: limbs still point where they did."""
    absent = ("spine2", "spine3", "neck", "left_collar", "right_collar", "left_hand", "right_hand")
    names = {joint: name for joint, name in MIXAMO.items() if joint not in absent}
    rotations, root = smooth_motion(size=0.2)
    motion = read_bvh(write_smpl_bvh(tmp_path / "m.bvh", rotations, root, REST, names=names))
    back = retarget(motion, REST)
    assert {"spine2", "neck", "left_collar"}.isdisjoint(back.matched)
    _, found = forward_kinematics(back.rotations, REST)
    _, wanted = forward_kinematics(rotations, REST)
    limbs = [SMPL_JOINTS.index(f"{side}_{part}") for side in ("left", "right")
             for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")]  # fmt: skip
    torch.testing.assert_close(found[:, limbs], wanted[:, limbs], rtol=0, atol=1e-3)


def test_other_proportions(tmp_path):
    """A performer with longer arms and shorter legs: directions stay, the way of the root shrinks with the legs."""
    performer = REST.clone()
    for side in (0, 1):
        for joint in (18 + side, 20 + side, 22 + side):
            performer[joint] += torch.tensor([0.1 - 0.2 * side, 0, 0]) * (1 + (joint > 19))
    performer[:, 1] = torch.where(performer[:, 1] < -0.06, performer[:, 1] * 0.8, performer[:, 1])
    rotations, root = smooth_motion()
    back = retarget(read_bvh(write_smpl_bvh(tmp_path / "m.bvh", rotations, root, performer)), REST)
    assert worst_angle(back.rotations, rotations) < 6
    assert back.scale > 0.011


SKELETONS = {
    "bandai": {"hip": "UpperLeg_L", "knee": "LowerLeg_L", "ankle": "Foot_L", "foot": "Toes_L", "collar": "Shoulder_L",
               "shoulder": "UpperArm_L", "elbow": "LowerArm_L", "wrist": "Hand_L"},
    "cmu": {"hip": "lfemur", "knee": "ltibia", "ankle": "lfoot", "foot": "ltoes", "collar": "lclavicle",
            "shoulder": "lhumerus", "elbow": "lradius", "wrist": "lwrist"},
    "motionbuilder": {"hip": "LeftHip", "knee": "LeftKnee", "ankle": "LeftAnkle", "foot": "LeftToe",
                      "collar": "LeftCollar", "shoulder": "LeftShoulder", "elbow": "LeftElbow", "wrist": "LeftWrist"},
    "biped": {"hip": "Bip01 L Thigh", "knee": "Bip01 L Calf", "ankle": "Bip01 L Foot", "foot": "Bip01 L Toe0",
              "collar": "Bip01 L Clavicle", "shoulder": "Bip01 L UpperArm", "elbow": "Bip01 L Forearm",
              "wrist": "Bip01 L Hand"},
    "mixamo": {"hip": "mixamorig:LeftUpLeg", "knee": "mixamorig:LeftLeg", "ankle": "mixamorig:LeftFoot",
               "foot": "mixamorig:LeftToeBase", "collar": "mixamorig:LeftShoulder", "shoulder": "mixamorig:LeftArm",
               "elbow": "mixamorig:LeftForeArm", "wrist": "mixamorig:LeftHand"},
    "smpl": {"hip": "L_Hip", "knee": "L_Knee", "ankle": "L_Ankle", "foot": "L_Foot", "collar": "L_Collar",
             "shoulder": "L_Shoulder", "elbow": "L_Elbow", "wrist": "L_Wrist"},
}  # fmt: skip


def other_side(name):
    swaps = {"Left": "Right", " L ": " R ", "_L": "_R", "L_": "R_"}
    for left, right in swaps.items():
        if left in name:
            return name.replace(left, right)
    return "r" + name[1:]


@pytest.mark.parametrize("kind", SKELETONS)
def test_names_of_common_skeletons(kind):
    head = "mixamorig:" if kind == "mixamo" else ""
    wanted = {"pelvis": head + "Hips", "spine1": head + "Spine", "spine3": head + "Chest", "neck": head + "Neck",
              "head": head + "Head"}  # fmt: skip
    for part, name in SKELETONS[kind].items():
        wanted |= {f"left_{part}": name, f"right_{part}": other_side(name)}
    joints = [joint for joint in SMPL_JOINTS if joint in wanted]

    def parent(joint):
        number = SMPL_PARENTS[SMPL_JOINTS.index(joint)]
        while number >= 0 and SMPL_JOINTS[number] not in joints:
            number = SMPL_PARENTS[number]
        return -1 if number < 0 else joints.index(SMPL_JOINTS[number])

    names = [wanted[joint] for joint in joints]
    found = match_joints(names, [parent(joint) for joint in joints])
    assert {joint: names[number] for joint, number in found.items()} == wanted


def test_unknown_names_and_a_map_of_the_users(tmp_path):
    names = {joint: f"bone_{number}x" for number, joint in enumerate(MIXAMO)}
    rotations, root = smooth_motion(20)
    motion = read_bvh(write_smpl_bvh(tmp_path / "m.bvh", rotations, root, REST, names=names))
    with pytest.raises(InputError, match=r"(?s)no pelvis, left_hip.*bone_0x.*dataset\.joint_map"):
        retarget(motion, REST)
    table = tmp_path / "map.yaml"
    table.write_text("".join(f"{joint}: {name}\n" for joint, name in names.items()))
    back = retarget(motion, REST, read_joint_map(table, motion.names))
    assert worst_angle(back.rotations, rotations) < 0.01
    for text, message in (("[1]", "expected lines"), ("left_nee: bone_1x", "did you mean 'left_knee'"),
                          ("left_knee: absent", "no joint 'absent'"), ("left_knee: bone_1x", "no pelvis")):  # fmt: skip
        table.write_text(text)
        with pytest.raises(InputError, match=message):
            read_joint_map(table, motion.names)


def test_skeleton_without_size(tmp_path):
    rotations, root = smooth_motion(5)
    path = write_smpl_bvh(tmp_path / "m.bvh", rotations, root, torch.zeros_like(REST))
    with pytest.raises(InputError, match="no length"):
        retarget(read_bvh(path), REST)
    with pytest.raises(InputError, match=r"dataset\.reference"):
        retarget(read_bvh(path), REST, reference="last")
