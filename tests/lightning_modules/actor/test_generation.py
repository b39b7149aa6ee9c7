from functools import partial
from typing import Any

import pytest
import torch

from components.body.pose_format import PoseFormat, motion_features
from components.errors import InputError
from components.geometry.rotations import axis_angle_to_matrix
from lightning_modules.actor import generation
from lightning_modules.actor.generation import ActionPair
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.networks.transformer import TransformerDecoder, TransformerEncoder

NAMES = ["warm_up", "walk", "run", "jump", "drink", "turn steering wheel"]
SIZES = {"num_classes": 6, "latent_dim": 16, "ff_size": 16, "num_layers": 1}


def tiny(**settings: Any) -> ActorCVAE:
    return ActorCVAE(TransformerEncoder, TransformerDecoder, **SIZES | settings)


def test_actions_are_read_by_name() -> None:
    parsed = generation.parse_actions(["walk+drink", "run", " Walk + walk ", "turn_steering_wheel"], NAMES)
    assert parsed == [(1, 4), (2, 2), (1, 1), (5, 5)]
    # Pairs that are classes of their own.
    names = ["jumping jack", "wrist circling", "jumping jack+wrist circling"]
    for text in (names[2], "jumping_jack + Wrist_circling"):
        assert generation.parse_actions([text], names, "single") == [(2, 2)]


def test_the_share_follows_from_labels_where_pairs_are_classes_too() -> None:
    names = ["walk", "drink", "walk+drink"]
    requests = [generation.ActionPair(0, 0), generation.ActionPair(0, 1), generation.ActionPair(2, 2)]
    shares = generation.request_alpha(requests, names)
    assert shares.tolist() == [1.0, 0.5, 0.5]
    first, second = torch.tensor(requests).T
    assert torch.equal(generation.label_alpha(first, second, names), shares)
    way = generation.interpolate_labels(0, 2, 3, 3)
    assert generation.label_alpha(way, way, names).tolist() == [1.0, 0.75, 0.5]


@pytest.mark.parametrize(
    ("actions", "conditioning", "message"),
    [
        (["wlak"], "pair", "did you mean 'walk'"),
        (["walk+zzzz"], "pair", "Known actions: warm_up, walk"),
        (["walk+run+drink"], "pair", "at most two"),
        (["walk+run"], "single", "experiment=actor_mix"),
        ([], "pair", "asks for nothing"),
    ],
)
def test_bad_actions_are_explained(actions: list[str], conditioning: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        generation.parse_actions(actions, NAMES, conditioning)  # type: ignore[arg-type]


def test_noise_modes() -> None:
    draw = partial(generation.latent_noise, 4, 3, 8, generator=torch.Generator().manual_seed(0))
    grid = draw("random", "same").view(4, 3, 8)
    assert torch.equal(grid[:, 0], grid[:, 2])
    assert not torch.equal(grid[0], grid[1])
    grid = draw("same", "random", fact=2.0).view(4, 3, 8)
    assert torch.equal(grid[0], grid[3])
    assert not torch.equal(grid[:, 0], grid[:, 1])
    grid = draw("interpolate", "same").view(4, 3, 8)
    torch.testing.assert_close(grid[0], -grid[3])
    torch.testing.assert_close(grid[1] * 3, grid[0])
    with pytest.raises(InputError, match="noise_same_action"):
        draw("sometimes")
    with pytest.raises(InputError, match="noise_diff_action"):
        draw("same", "interpolate")


def test_generation_is_repeatable_sample_major_and_respects_durations() -> None:
    torch.manual_seed(0)
    net = tiny(conditioning="pair").train()
    requests = [ActionPair(1, 4), ActionPair(2, 2)]
    generate = partial(generation.generate, net, requests, [5, 9], num_samples=3)
    motions = generate(generator=torch.Generator().manual_seed(7))
    assert net.training
    assert motions.motion.shape == (6, 25, 6, 9)
    assert motions.lengths.tolist() == [5, 9] * 3
    assert motions.action.tolist() == [1, 2] * 3
    assert motions.second_action.tolist() == [4, 2] * 3
    assert not motions.motion[0, :, :, 5:].any()
    again = generate(generator=torch.Generator().manual_seed(7))
    assert torch.equal(motions.motion, again.motion)
    assert not torch.equal(motions.motion, generate(generator=torch.Generator().manual_seed(8)).motion)


def test_many_motions_are_decoded_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net = tiny(conditioning="pair")
    z, labels, lengths = torch.randn(7, 16), torch.arange(7) % 6, torch.tensor([3, 8, 5, 8, 2, 8, 8])
    whole = generation.decode(net, z, lengths, labels, labels)
    seen: list[int] = []
    net.decoder.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    monkeypatch.setattr(generation, "ROWS_AT_ONCE", 3)
    parts = generation.decode(net, z, lengths, labels, labels)
    assert seen == [3, 3, 1]
    torch.testing.assert_close(parts.motion, whole.motion, rtol=1e-5, atol=1e-6)


def test_bad_durations_are_explained() -> None:
    with pytest.raises(InputError, match="durations has shape"):
        generation.lay_out([ActionPair(0, 0)], [3, 4], 1)
    with pytest.raises(InputError, match="at least one frame"):
        generation.lay_out([ActionPair(0, 0)], [0], 1)
    with pytest.raises(InputError, match="num_samples"):
        generation.lay_out([ActionPair(0, 0)], [5], 0)


def test_latents_and_labels_interpolate_from_end_to_end() -> None:
    torch.manual_seed(1)
    start, end = torch.randn(64), torch.randn(64)
    for mode in ("slerp", "linear"):
        path = generation.interpolate_latents(start, end, 5, mode)  # type: ignore[arg-type]
        torch.testing.assert_close(path[[0, -1]], torch.stack([start, end]))
    path = generation.interpolate_latents(start, end, 5)
    assert path[2].norm() == pytest.approx(float(start.norm() + end.norm()) / 2, rel=1e-4)
    torch.testing.assert_close(generation.interpolate_latents(start, start, 3), start.expand(3, -1))
    labels = generation.interpolate_labels(1, 4, 5, 6)
    assert labels[1].tolist() == [0, 0.75, 0, 0, 0.25, 0]
    net = tiny(latent_dim=64).eval()
    motions = generation.decode(net, path, torch.full((5,), 4), labels, labels)
    hard = generation.decode(net, path[:1], torch.tensor([4]), torch.tensor([1]), torch.tensor([1]))
    torch.testing.assert_close(motions.motion[:1], hard.motion)


@pytest.mark.parametrize("pose_format", [PoseFormat(), PoseFormat("rotvec", translation=False)])
def test_smpl_parameters_give_back_the_poses(pose_format: PoseFormat) -> None:
    torch.manual_seed(2)
    poses, root = 0.4 * torch.randn(4, 72), torch.randn(4, 3)
    motion = motion_features(poses, root, None, pose_format)[None]
    mask = torch.tensor([[True, True, True, False]])
    camera, shift = generation.smpl_parameters(motion, mask, pose_format, world="camera")
    torch.testing.assert_close(camera[0, :3], poses[:3], rtol=1e-3, atol=1e-4)
    assert not camera[0, 3].any()
    world, world_shift = generation.smpl_parameters(motion, mask, pose_format)
    half_turn = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    torch.testing.assert_close(
        axis_angle_to_matrix(world[0, :3, :3]), half_turn @ axis_angle_to_matrix(poses[:3, :3]), rtol=1e-3, atol=1e-4
    )
    torch.testing.assert_close(world[0, :3, 3:], camera[0, :3, 3:])
    expected = (root - root[0])[:3] if pose_format.has_translation_row else torch.zeros(3, 3)
    torch.testing.assert_close(shift[0, :3], expected)
    torch.testing.assert_close(world_shift[0, :3], expected * torch.tensor([1.0, -1.0, -1.0]))


def test_a_fixed_global_rotation_becomes_the_first_joint() -> None:
    pose_format = PoseFormat("rotvec", translation=False, glob=False)
    poses, _ = generation.smpl_parameters(torch.zeros(1, 23, 3, 2), torch.ones(1, 2, dtype=torch.bool), pose_format)
    # The default is half a turn about x, which y_up undoes.
    torch.testing.assert_close(poses, torch.zeros(1, 2, 72), rtol=0.0, atol=1e-5)
    with pytest.raises(InputError, match="world"):
        generation.smpl_parameters(torch.zeros(1, 23, 3, 2), torch.ones(1, 2, dtype=torch.bool), pose_format, "z_up")  # type: ignore[arg-type]
