"""Pairs of actions as classes of their own: labels, laziness, determinism."""

from typing import Any

import numpy as np
import pytest
import torch

from components.body.pose_format import PoseFormat
from components.errors import InputError
from components.synthetic.actions import ACTIONS
from datamodules.actor import ActorDataModule
from datamodules.actor.compositional import HUMANACT12_PAIRS, CompositionalClasses, leg_arm_pairs, pair_names
from datamodules.actor.masks import ARM_MASK, LEG_MASK
from datamodules.samplers import Draw
from entrypoints.config_check import check, compose_unchecked
from tests.datamodules.actor.humanact12_folder import samples, write_folder

NAMES = ("walk", "run", "drink", "flap")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("data") / "d", samples(counts=(4, 3, 5, 3)), NAMES)


def module(folder, mix: Any = None, **options: Any) -> ActorDataModule:
    mix = {"num_pairs": 2, "pairs": [["walk", "drink"], ["run", "flap"]], "clips_per_class": 3} | (mix or {})
    settings = {"num_classes": 4 + mix["num_pairs"], "num_frames": 10, "batch_size": 8, "translation": False} | options
    data = ActorDataModule(str(folder), mix=CompositionalClasses(**mix), **settings)
    data.prepare_data()
    data.setup("fit")
    return data


def test_labels_names_and_counts(folder):
    data = module(folder)
    assert data.action_names == (*NAMES, "walk+drink", "run+flap")
    assert data.pairs == [(0, 2), (1, 3)]
    counts = np.bincount(data.train_set.labels)
    assert counts.tolist() == [4, 3, 5, 3, 3 * 3 * 2, 3 * 3 * 2]
    assert len(data.train_set) == counts.sum()
    assert [data.train_set[index]["action"] for index in range(len(data.train_set))] == data.train_set.labels.tolist()
    facts = data.facts()
    assert facts["action_names"] == list(data.action_names)
    assert facts["num_classes"] == 6
    assert facts["clips_per_class"] == dict(zip(NAMES, (4, 3, 5, 3)))
    assert facts["mixtures_per_class"] == {"walk+drink": 18, "run+flap": 18}
    # Published: mixtures train, originals are evaluated.
    assert data.val_set.labels.max() == 3


def test_batches_carry_one_label_and_the_share(folder):
    batches = list(module(folder).train_dataloader())
    action = torch.cat([batch["action"] for batch in batches])
    alpha = torch.cat([batch["mix_alpha"] for batch in batches])
    assert all(torch.equal(batch["action"], batch["second_action"]) for batch in batches)
    assert torch.bincount(action).tolist() == [4, 3, 5, 3, 18, 18]
    assert (alpha[action < 4] == 1).all()
    mixed = alpha[action >= 4]
    assert len(mixed.unique()) == 36
    assert 0.4 < mixed.mean() < 0.6
    assert 0.05 < mixed.std() < 0.15


def test_a_mixture_is_what_blending_its_sources_at_once_gives(folder):
    """Lazy equals eager: all mixtures of a pair made in one call of the mixing collate."""
    data = module(folder, {"blend": "renormalised6d", "align_heading": True})
    dataset, mixer = data.train_set, data.mixer
    made = [dataset.mixture(number) for number in range(18)]
    items = [dataset[15 + number] for number in range(18)]
    sources = sorted({clip for each in made for clip in (each.first, each.second)})
    assert len(sources) == 6
    assert {dataset.clips.labels[each.first] for each in made} == {0}
    assert {dataset.clips.labels[each.second] for each in made} == {2}
    assert len({(each.first, each.second) for each in made}) == 9
    from datamodules.actor.collate import collate_motions
    from datamodules.samplers import fold_seed

    originals = collate_motions([dataset.clips[Draw(clip, fold_seed(1000, clip))] for clip in sources])
    first = torch.tensor([sources.index(each.first) for each in made])
    second = torch.tensor([sources.index(each.second) for each in made])
    alpha = torch.tensor([item["mix_alpha"] for item in items])
    eager = mixer.mix(originals, first, second, alpha)["motion"]
    torch.testing.assert_close(torch.stack([item["motion"] for item in items]), eager, rtol=0, atol=1e-5)


def test_a_mixture_depends_on_its_number_alone(folder):
    one, two = module(folder, seed=1).train_set, module(folder, seed=2).train_set
    order = torch.randperm(len(one), generator=torch.Generator().manual_seed(0)).tolist()
    later = {index: two[Draw(index, 99)] for index in order if index >= 15}
    torch.manual_seed(5)
    for index, item in later.items():
        again = one[Draw(index, 7)]
        assert torch.equal(again["motion"], item["motion"])
        assert again["mix_alpha"] == item["mix_alpha"]
        assert again["seed"] == 7
    other = module(folder, {"seed": 1001}).train_set
    assert not torch.equal(other[20]["motion"], one[20]["motion"])


@pytest.mark.slow
def test_workers_and_ranks_see_the_same_mixtures(folder):
    def mixtures(**options: Any) -> dict[float, torch.Tensor]:
        found = {}
        for batch in module(folder, **options).train_dataloader():
            found |= {float(a): m for a, m, y in zip(batch["mix_alpha"], batch["motion"], batch["action"]) if y >= 4}
        return found

    one, two = mixtures(num_workers=0), mixtures(num_workers=2, seed=3)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[share], two[share]) for share in one)


def test_lengths_follow_the_shorter_clip(folder):
    data = module(folder, num_frames=-1)
    dataset = data.train_set
    for number in (0, 7, 20):
        made, item = dataset.mixture(number), dataset[15 + number]
        lengths = [dataset.clips[clip]["motion"].shape[-1] for clip in (made.first, made.second)]
        assert item["motion"].shape[-1] == min(lengths)


def test_some_classes_alone(folder):
    mix = {"num_pairs": 1, "pairs": [[0, 2]], "classes": ["walk", 2]}
    data = module(folder, mix)
    assert np.bincount(data.train_set.labels).tolist() == [4, 0, 5, 0, 18]
    assert set(data.val_set.labels) == {0, 2}
    with pytest.raises(InputError, match="leaves out"):
        module(folder, mix | {"pairs": [[0, 1]]})


def test_mixtures_of_held_out_clips(folder):
    data = module(folder, {"validation": True}, val_fraction=0.4)
    assert set(data.val_set.labels) == set(range(6))
    train = {int(clip) for clip in data.splits.train}
    held = {int(data.val_set.clips.indices[made.first]) for made in map(data.val_set.mixture, range(4))}
    assert not held & train


def test_pairs_of_the_data():
    motion = torch.tensor([0.9, 0.8, 0.01, 0.7, 0.02, 0.03])
    everything = [(leg, arm) for leg in (0, 1, 3) for arm in (2, 4, 5)]
    pairs = leg_arm_pairs(motion, range(6))
    assert set(pairs) <= set(everything)
    # All of them where legs and arms are as many, too.
    assert pairs == everything
    few = leg_arm_pairs(motion, range(6), limit=3)
    assert {leg for leg, _ in few} == {0, 1, 3}
    assert {arm for _, arm in few} == {2, 4, 5}
    assert len(leg_arm_pairs(torch.cat([motion, torch.tensor([0.04])]), range(7))) == 12
    assert leg_arm_pairs(motion, range(6), leg_classes=1, limit=9) == [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]
    assert leg_arm_pairs(motion, [0, 2]) == [(0, 2)]
    assert leg_arm_pairs(motion, [0]) == []


def test_published_pairs_where_the_names_are_there():
    names = list(ACTIONS)
    pairs = CompositionalClasses().choose_pairs(names, torch.ones(12))
    assert pairs == [(1, 4), (1, 5), (1, 9), (1, 11), (2, 9), (2, 11), (6, 9), (6, 7), (6, 4)]
    assert pair_names(names, pairs)[0] == "walk+drink"
    assert len(HUMANACT12_PAIRS) == 9
    # Other names: legs with arms.
    others = [f"dance_{label}" for label in range(12)]
    found = CompositionalClasses(leg_classes=5).choose_pairs(others, torch.arange(12.0, 0.0, -1.0))
    assert len(set(found)) == 9
    assert all(first < 5 <= second for first, second in found)


def test_legs_are_those_of_the_classes_that_are_mixed():
    """Others may move their legs more: of ten actions of UESTC the five that do so most are leg actions."""
    names, motion = ["a", "b", "c", "d", "e"], torch.tensor([0.9, 0.3, 0.8, 0.1, 0.7])
    settings = CompositionalClasses(num_pairs=1, classes=["b", "d"], masks="data", leg_classes=1)
    assert settings.choose_pairs(names, motion) == [(1, 3)]
    masks = settings.mixer(names, PoseFormat("rot6d", False, True), motion).masks
    assert masks[1].tolist() == pytest.approx(LEG_MASK)
    assert masks[3].tolist() == pytest.approx(ARM_MASK)


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ({"num_pairs": 3}, "num_pairs=3"), ({"clips_per_class": 0}, "clips_per_class"), ({"seed": -1}, "seed"),
        ({"alpha_value": 2.0}, "alpha_value"), ({"pairs": [["walk", "walk"], [0, 1]]}, "twice"),
        ({"pairs": [["walk", "run"], [0, 1]]}, "named twice"), ({"pairs": [["walk", "flab"], [0, 1]]}, "did you mean"),
        ({"classes": ["walg"]}, r"mix\.classes: unknown"), ({"pairs": None, "num_pairs": 5}, "num_pairs=5"),
        ({"blend": "linear"}, "blend"),
    ],
)  # fmt: skip
def test_faults_name_the_key(folder, mix, message):
    with pytest.raises(InputError, match=message):
        module(folder, mix)


def test_number_of_classes(folder):
    with pytest.raises(InputError, match=r"data.num_classes=4 counts 2 pairs .*leaves 2 actions"):
        module(folder, num_classes=4)
    with pytest.raises(InputError) as caught:
        module(folder, num_classes=8)
    assert "names 4 actions" in str(caught.value)
    assert str(caught.value).endswith("Set data.num_classes=<actions of the data + 2>")
    with pytest.raises(InputError, match="set it to their sum"):
        module(folder, num_classes=3)


def test_mix_from_the_command_line():
    def composed(*overrides: str) -> Any:
        # Signatures are checked with the experiments; composing alone is several times as fast.
        return compose_unchecked("train", list(overrides))

    collate = composed("experiment=actor_mix").data.mix
    assert collate.enabled
    assert collate.align_heading
    assert collate.blend == "renormalised6d"
    none = composed("experiment=actor_mix", "mix=none")
    assert {key: none.data.mix[key] for key in collate} == {**collate, "enabled": False}
    assert none.model.net.conditioning == "pair"
    assert composed("experiment=actor", "mix=collate").model.net.conditioning == "pair"
    assert composed("experiment=actor_mix", "model=actor_gru").model.net.conditioning == "pair"
    assert composed("experiment=actor_recognizer_gru", "mix=mixtures").data.mix.enabled
    pairs = composed("experiment=actor_mix", "mix=compositional")
    assert pairs.data.mix._target_.endswith("CompositionalClasses")
    assert pairs.data.mix.align_heading
    assert (pairs.data.num_classes, pairs.model.net.num_classes, pairs.model.net.conditioning) == (21, 21, "single")
    assert composed("experiment=actor", "mix=compositional", "data.mix.alpha_clip=false").model.net.num_classes == 21
    assert composed("experiment=actor", "mix=compositional_uestc").model.net.num_classes == 65
    judge = composed("experiment=actor_recognizer_stgcn_uestc", "mix=pair_classes_uestc", "data.root=x")
    assert (judge.model.net.num_classes, judge.data.mix.num_pairs, judge.data.min_share) == (65, 25, 0.75)
    assert composed("experiment=actor").data.mix is None
    published = composed("experiment=actor_mix_humanact12", "data.root=x").data.mix
    assert (published.blend, published.align_heading) == ("linear6d", False)
    with pytest.raises(InputError, match="did you mean 'collate'"):
        check("train", ["experiment=actor_mix", "mix=colate"])
    check("train", ["experiment=actor_mix", "mix=none"])
