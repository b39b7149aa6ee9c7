"""The mixing collate: layout, pairs, alphas, lengths, reproducibility."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.body.pose_format import PoseFormat
from components.errors import InputError
from datamodules.actor.collate import collate_motions
from datamodules.actor.mixing import MixingCollate
from tests.datamodules.actor.test_blending import motions, published_loop

NAMES = ("walk", "drink", "throw", "sit")
ROT6D = PoseFormat("rot6d", translation=False)


def items(labels, lengths=None, pose_format=ROT6D, seed=0):
    lengths = [6] * len(labels) if lengths is None else lengths
    longest = motions(pose_format, len(labels), max(lengths), seed)
    return [
        {"motion": longest[row, ..., :length].contiguous(), "action": label, "seed": seed + row}
        for row, (label, length) in enumerate(zip(labels, lengths))
    ]


def collate(**options):
    return MixingCollate(NAMES, options.pop("pose_format", ROT6D), **options)


def test_layout():
    labels = [0] * 4 + [3] * 4 + [2] * 4
    batch = collate()(items(labels))
    assert batch["motion"].shape == (24, 24, 6, 6)
    assert batch["action"].tolist() == labels * 2
    assert batch["second_action"][12:].tolist() == labels
    assert (batch["second_action"][:12] != batch["action"][:12]).all()
    assert batch["mix_alpha"].tolist() == [0.5] * 12 + [1.0] * 12
    assert batch["mask"].all()
    assert batch["lengths"].tolist() == [6] * 24
    torch.testing.assert_close(batch["motion"][12:], collate_motions(items(labels))["motion"], rtol=0, atol=0)


def test_mixtures_equal_the_published_loop():
    mixer = collate(alpha="uniform")
    originals = collate_motions(items([0, 0, 1, 1, 2, 2]))
    generator = torch.Generator().manual_seed(0)
    first, partner = mixer.draw_pairs(originals["action"], generator)
    alpha = mixer.draw_alpha(6, generator)
    mixed = mixer.mix(originals, first, partner, alpha)
    masks = mixer.masks[originals["action"]]
    one, two = alpha[:, None] * masks[first], (1 - alpha[:, None]) * masks[partner]
    motion = originals["motion"]
    expected = published_loop(motion[first], motion[partner], one / (one + two))
    torch.testing.assert_close(mixed["motion"], expected, rtol=0, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=14), st.floats(0, 3), st.integers(0, 100))
def test_pairs_of_any_batch(labels, ratio, seed):
    action = torch.tensor(labels)
    first, partner = collate(ratio=ratio).draw_pairs(action, torch.Generator().manual_seed(seed))
    eligible = len(labels) if len(set(labels)) > 1 else 0
    assert len(first) == len(partner) == round(ratio * eligible)
    assert (action[first] != action[partner]).all()
    times = torch.bincount(first, minlength=len(labels))
    assert times.max() - times.min() <= 1


def test_partners_are_uniform_over_classes_then_clips():
    action = torch.tensor([0, 1, 2, 2, 2])
    first, partner = collate(ratio=4000.0).draw_pairs(action, torch.Generator().manual_seed(0))
    shares = torch.bincount(partner[first == 0], minlength=5) / 4000
    torch.testing.assert_close(shares, torch.tensor([0, 1 / 2, 1 / 6, 1 / 6, 1 / 6]), rtol=0, atol=0.03)


def test_one_class_gives_originals_alone():
    for keep in (True, False):
        batch = collate(keep_originals=keep)(items([1, 1, 1]))
        assert batch["second_action"].tolist() == [1, 1, 1]
        assert batch["mix_alpha"].tolist() == [1.0] * 3


def test_allowed_pairs():
    labels = [0, 0, 1, 1, 2, 2, 3, 3]
    seen = set()
    mixer = collate(pairs=[["walk", "drink"], [0, "throw"]])
    for seed in range(30):
        batch = mixer(items(labels, seed=seed))
        assert len(batch["action"]) == 6 + 8  # sit has no allowed partner
        seen |= set(zip(batch["action"][:6].tolist(), batch["second_action"][:6].tolist()))
    assert seen == {(0, 1), (1, 0), (0, 2), (2, 0)}
    batch = collate(pairs=[["walk", "drink"]], ordered_pairs=True)(items(labels))
    assert batch["action"][:2].tolist() == [0, 0]
    assert batch["second_action"][:2].tolist() == [1, 1]
    assert len(batch["action"]) == 2 + 8


def test_legs_with_arms():
    motion = torch.tensor([0.9, 0.01, 0.02, 0.8])
    allowed = collate(pairs="leg_arm", leg_motion=motion).allowed
    pairs = {tuple(pair) for pair in allowed.nonzero().tolist()}
    assert pairs == {(0, 1), (0, 2), (3, 1), (3, 2), (1, 0), (2, 0), (1, 3), (2, 3)}
    ordered = collate(pairs="leg_arm", ordered_pairs=True, leg_motion=motion, leg_classes=1).allowed
    assert ordered.nonzero().tolist() == [[0, 1], [0, 2], [0, 3]]


def test_unclipped_shares():
    shares = collate(alpha="normal", alpha_std=1.0, alpha_clip=False).draw_alpha(500, torch.Generator().manual_seed(0))
    assert shares.min() < 0
    assert shares.max() > 1


def test_ratio_and_originals():
    labels = [0, 0, 1, 1]
    assert len(collate(ratio=2.0)(items(labels))["action"]) == 12
    assert len(collate(ratio=0.5)(items(labels))["action"]) == 6
    assert len(collate(ratio=0.0)(items(labels))["action"]) == 4
    assert len(collate(keep_originals=False)(items(labels))["action"]) == 4
    control = collate(enabled=False)(items(labels))
    assert torch.equal(control["action"], control["second_action"])
    assert len(control["action"]) == 4


def test_alphas():
    generator = torch.Generator().manual_seed(0)
    assert collate(alpha_value=0.3).draw_alpha(3, generator).tolist() == pytest.approx([0.3] * 3)
    uniform = collate(alpha="uniform", alpha_low=0.2, alpha_high=0.6).draw_alpha(4000, generator)
    assert uniform.min() >= 0.2
    assert uniform.max() <= 0.6
    assert uniform.mean().item() == pytest.approx(0.4, abs=0.01)
    normal = collate(alpha="normal", alpha_std=0.5).draw_alpha(4000, generator)
    assert normal.min() == 0
    assert normal.max() == 1
    narrow = collate(alpha="normal", alpha_std=0.1).draw_alpha(4000, generator)
    assert narrow.std().item() == pytest.approx(0.1, abs=0.01)


def test_lengths():
    labels, lengths = [0, 1], [4, 7]
    short = collate()(items(labels, lengths))
    assert short["lengths"].tolist() == [4, 4, 4, 7]
    assert short["mask"].sum(1).tolist() == [4, 4, 4, 7]
    assert short["motion"][1, ..., 4:].abs().max() == 0
    long = collate(length="first")(items(labels, lengths))
    assert long["lengths"].tolist() == [4, 7, 4, 7]
    torch.testing.assert_close(long["motion"][0, ..., :4], short["motion"][0, ..., :4])
    # Beyond its end the partner holds its last frame.
    source = collate_motions(items(labels, lengths))["motion"]
    weight = collate().weights(torch.tensor([1]), torch.tensor([0]), torch.tensor([0.5]))[0, :, None, None]
    held = source[0, ..., 3:4].expand(-1, -1, 3)
    torch.testing.assert_close(long["motion"][1, ..., 4:], weight * source[1, ..., 4:] + (1 - weight) * held)


@pytest.mark.parametrize("glob", [True, False])
@pytest.mark.parametrize("translation_weight", ["alpha", "pelvis"])
def test_translation_row(glob, translation_weight):
    pose_format = PoseFormat("rot6d", translation=True, glob=glob)
    mixer = collate(pose_format=pose_format, translation_weight=translation_weight, alpha_value=0.3)
    weights = mixer.weights(torch.tensor([0]), torch.tensor([3]), torch.tensor([0.3]))
    assert weights.shape == (1, pose_format.num_joints)
    pelvis = 0.3 * 0.1 / (0.3 * 0.1 + 0.7 * 0.1)
    assert weights[0, -1].item() == pytest.approx(0.3 if translation_weight == "alpha" else pelvis)
    batch = mixer(items([0, 3], pose_format=pose_format))
    assert batch["motion"].shape == (4, pose_format.num_joints, 6, 6)


@pytest.mark.parametrize("pose_rep", ["xyz", "rotvec", "rotmat", "rotquat"])
def test_other_representations(pose_rep):
    pose_format = PoseFormat(pose_rep, translation=False)
    mixer = collate(pose_format=pose_format, blend="linear6d" if pose_rep in ("xyz", "rotmat") else "slerp",
                    align_heading=True)  # fmt: skip
    batch = mixer(items([0, 1, 2], pose_format=pose_format))
    assert batch["motion"].isfinite().all()
    assert len(batch["motion"]) == 6


def test_chance_comes_from_the_items_alone():
    mixer = collate(alpha="uniform")
    torch.manual_seed(0)
    first = mixer(items([0, 0, 1, 1, 2, 2]))
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 (to show that it does not matter)
    second = mixer(items([0, 0, 1, 1, 2, 2]))
    for key in first:
        assert torch.equal(first[key], second[key])
    other = items([0, 0, 1, 1, 2, 2])
    other[3]["seed"] = 77
    assert not torch.equal(mixer(other)["mix_alpha"], first["mix_alpha"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blend": "linear"}, "blend"), ({"alpha": "beta"}, "alpha"), ({"alpha_value": 2.0}, "alpha_value"),
        ({"alpha_low": 0.8, "alpha_high": 0.2}, "alpha_low"), ({"alpha_std": -1.0}, "alpha_std"),
        ({"ratio": -1.0}, "ratio"), ({"length": "max"}, "length"), ({"masks": "guess"}, "masks"),
        ({"translation_weight": "half"}, "translation_weight"),
        ({"pairs": [["walk", "drinc"]]}, "unknown action 'drinc' .did you mean 'drink'"),
        ({"pairs": [["walk", 4]]}, "unknown action '4'"), ({"pairs": [["walk"]]}, "pairs like"),
        ({"pairs": ["walk"]}, "pairs like"), ({"pairs": "legs"}, "leg_arm"), ({"pairs": [["walk", "walk"]]}, "twice"),
        ({"pairs": []}, "allows no pair"),
    ],
)  # fmt: skip
def test_faults_name_the_key(options, message):
    with pytest.raises(InputError, match=rf"data\.mix.*{message}"):
        collate(**options)
