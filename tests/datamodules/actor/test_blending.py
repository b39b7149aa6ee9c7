"""Blends and heading alignment, against slow second implementations."""

import math

import pytest
import torch

from components.body.pose_format import PoseFormat, decode_rotations, encode_rotations
from components.errors import InputError
from components.geometry import rotations
from datamodules.actor.blending import align_heading, blend_motions, check_blend

ROTATION_REPS = ["rotvec", "rotmat", "rotquat", "rot6d"]


def motions(pose_format, count=3, frames=5, seed=0, scale=0.5):
    """Random motions `[S, J, F, T]` of moderate angles."""
    generator = torch.Generator().manual_seed(seed)
    rows = pose_format.num_joints - int(pose_format.has_translation_row)
    if pose_format.pose_rep == "xyz":
        return torch.randn(count, 24, 3, frames, generator=generator)
    vectors = scale * torch.randn(count, rows, frames, 3, generator=generator)
    features = encode_rotations(vectors, pose_format.pose_rep).transpose(2, 3)
    if pose_format.has_translation_row:
        way = torch.randn(count, 1, features.shape[2], frames, generator=generator)
        way[:, :, 3:] = 0
        features = torch.cat([features, way], dim=1)
    return features


def published_loop(first, second, weight):
    """The mixing loop as published: first frames interpolated, weighted differences added, joint by joint."""
    result = torch.empty_like(first)
    for row in range(len(first)):
        for joint in range(first.shape[1]):
            w = weight[row, joint]
            start = w * first[row, joint, :, 0] + (1 - w) * second[row, joint, :, 0]
            for frame in range(first.shape[3]):
                one = first[row, joint, :, frame] - first[row, joint, :, 0]
                two = second[row, joint, :, frame] - second[row, joint, :, 0]
                result[row, joint, :, frame] = w * one + (1 - w) * two + start
    return result


@pytest.mark.parametrize("translation", [True, False])
@pytest.mark.parametrize("glob", [True, False])
def test_closed_form_equals_the_published_loop(translation, glob):
    pose_format = PoseFormat("rot6d", translation, glob)
    first, second = motions(pose_format), motions(pose_format, seed=1)
    weight = torch.rand(3, pose_format.num_joints, generator=torch.Generator().manual_seed(2))
    mixed = blend_motions(first, second, weight, pose_format, "linear6d")
    torch.testing.assert_close(mixed, published_loop(first, second, weight), rtol=0, atol=1e-6)


@pytest.mark.parametrize("pose_rep", ROTATION_REPS)
@pytest.mark.parametrize("blend", ["renormalised6d", "slerp"])
def test_results_are_rotations_with_the_sources_at_the_ends(pose_rep, blend):
    pose_format = PoseFormat(pose_rep)
    first, second = motions(pose_format), motions(pose_format, seed=1)
    weight = torch.full((3, 25), 0.5)
    weight[0], weight[1] = 1.0, 0.0
    mixed = blend_motions(first, second, weight, pose_format, blend)
    matrices = decode_rotations(mixed[:, :24].transpose(2, 3), pose_rep)
    eye = torch.eye(3).expand_as(matrices)
    torch.testing.assert_close(matrices @ matrices.transpose(-1, -2), eye, rtol=0, atol=1e-5)
    for row, source in ((0, first), (1, second)):
        expected = decode_rotations(source[row, :24].transpose(1, 2), pose_rep)
        torch.testing.assert_close(matrices[row], expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(mixed[:, 24], blend_motions(first, second, weight, pose_format, "slerp")[:, 24])
    torch.testing.assert_close(mixed[2, 24], (first[2, 24] + second[2, 24]) / 2)


@pytest.mark.parametrize("pose_rep", ROTATION_REPS)
def test_slerp_takes_its_share_of_the_angle(pose_rep):
    pose_format = PoseFormat(pose_rep, translation=False)
    vectors = torch.zeros(2, 24, 1, 3)
    vectors[1, :, :, 1] = 1.2
    first, second = (encode_rotations(v[None], pose_rep).transpose(2, 3) for v in vectors)
    mixed = blend_motions(first, second, torch.full((1, 24), 0.75), pose_format, "slerp")
    angle = rotations.matrix_to_axis_angle(decode_rotations(mixed.transpose(2, 3), pose_rep))[..., 1]
    torch.testing.assert_close(angle, torch.full_like(angle, 0.3), rtol=0, atol=1e-4)


@pytest.mark.parametrize("blend", ["renormalised6d", "slerp"])
@pytest.mark.parametrize("pose_rep", ["rotvec", "rotquat", "rot6d"])
def test_pi_boundary(pose_rep, blend):
    # The same pose written with opposite signs, as real clips do from frame to frame: mixing must not move it.
    pose_format = PoseFormat(pose_rep, translation=False)
    angle = math.pi - 1e-3
    vectors = torch.zeros(1, 24, 4, 3)
    vectors[..., 0] = angle
    flipped = vectors * (angle - 2 * math.pi) / angle
    one = encode_rotations(vectors, pose_rep).transpose(2, 3)
    two = encode_rotations(flipped, pose_rep).transpose(2, 3)
    mixed = blend_motions(one, two, torch.full((1, 24), 0.5), pose_format, blend)
    expected = rotations.axis_angle_to_matrix(vectors)
    torch.testing.assert_close(decode_rotations(mixed.transpose(2, 3), pose_rep), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("blend", "pose_rep"),
    [("linear6d", "rotvec"), ("linear6d", "rotquat"), ("slerp", "xyz"), ("renormalised6d", "xyz"), ("mean", "rot6d")],
)
def test_impossible_blends(blend, pose_rep):
    with pytest.raises(InputError, match=r"data\.mix\.blend"):
        check_blend(blend, PoseFormat(pose_rep))


def facing(features, pose_format):
    """Angle of the body's forward axis about y, `[S, T]`."""
    forward = decode_rotations(features[:, 0].transpose(1, 2), pose_format.pose_rep)[..., 2]
    return torch.atan2(forward[..., 0], forward[..., 2])


@pytest.mark.parametrize("pose_rep", ROTATION_REPS)
def test_alignment_turns_the_first_frame(pose_rep):
    pose_format = PoseFormat(pose_rep)
    reference, motion = motions(pose_format, scale=0.8), motions(pose_format, seed=1, scale=0.8)
    turned = align_heading(reference, motion, pose_format)
    wanted, got = facing(reference, pose_format)[:, 0], facing(turned, pose_format)[:, 0]
    torch.testing.assert_close(torch.cos(got - wanted), torch.ones(3), rtol=0, atol=1e-4)
    torch.testing.assert_close(turned[:, 1:24], motion[:, 1:24])
    # One turn for the whole clip: all frames turn by the same angle, translation too.
    turns = facing(turned, pose_format) - facing(motion, pose_format)
    torch.testing.assert_close(torch.cos(turns - turns[:, :1]), torch.ones_like(turns), rtol=0, atol=1e-4)
    turn = rotations.axis_rotation("Y", turns[:, 0])
    torch.testing.assert_close(turned[:, -1, :3], turn @ motion[:, -1, :3], rtol=0, atol=1e-3)
    # The vertical axis stays where it is.
    before = decode_rotations(motion[:, 0].transpose(1, 2), pose_rep)[..., 1, :]
    after = decode_rotations(turned[:, 0].transpose(1, 2), pose_rep)[..., 1, :]
    torch.testing.assert_close(before, after, rtol=0, atol=1e-4)


def test_alignment_of_positions():
    pose_format = PoseFormat("xyz")
    reference = motions(pose_format)
    turn = rotations.axis_rotation("Y", torch.tensor([0.5, -2.0, 3.0]))
    turned = torch.einsum("sab,sjbt->sjat", turn, reference)
    torch.testing.assert_close(align_heading(reference, turned, pose_format), reference, rtol=0, atol=1e-5)


def test_opposite_headings_collapse_without_alignment():
    pose_format = PoseFormat("rot6d", translation=False)
    vectors = torch.zeros(2, 24, 3, 3)
    vectors[1, 0, :, 1] = math.pi
    first, second = (encode_rotations(v[None], "rot6d").transpose(2, 3) for v in vectors)
    weight = torch.full((1, 24), 0.5)
    assert blend_motions(first, second, weight, pose_format, "linear6d")[0, 0, :3].abs().max() < 1e-6
    aligned = align_heading(first, second, pose_format)
    torch.testing.assert_close(blend_motions(first, aligned, weight, pose_format, "linear6d"), first, rtol=0, atol=1e-5)


def test_without_orientation_nothing_turns():
    pose_format = PoseFormat("rot6d", glob=False)
    motion = motions(pose_format, seed=1)
    assert align_heading(motions(pose_format), motion, pose_format) is motion


def test_lying_body_has_no_heading():
    pose_format = PoseFormat("rot6d", translation=False)
    vectors = torch.zeros(1, 24, 2, 3)
    vectors[:, 0, :, 0] = math.pi / 2
    lying = encode_rotations(vectors, "rot6d").transpose(2, 3)
    torch.testing.assert_close(align_heading(motions(pose_format, 1, 2), lying, pose_format), lying)


def test_slerp_stays_on_its_side():
    # Two people turn apart by almost a full circle: half-way between them the direction stays the same all the time.
    pose_format = PoseFormat("rot6d", translation=False)
    turn = torch.linspace(0, 0.95 * math.pi, 30)
    vectors = torch.zeros(2, 24, 30, 3)
    vectors[0, 0, :, 1], vectors[1, 0, :, 1] = turn, -turn
    first, second = (encode_rotations(v[None], "rot6d").transpose(2, 3) for v in vectors)
    mixed = blend_motions(first, second, torch.full((1, 24), 0.5), pose_format, "slerp")
    torch.testing.assert_close(mixed, mixed[..., :1].expand_as(mixed), rtol=0, atol=1e-4)
