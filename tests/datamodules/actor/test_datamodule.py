"""ActorDataModule from folder to batches, on small files and on real motion capture."""

import json
import logging
import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from components.errors import InputError
from datamodules.actor import ActorDataModule
from datamodules.actor.mixing import MixingCollate
from datamodules.samplers import GroupedBatchSampler
from tests.datamodules.actor.humanact12_folder import samples, write_folder

REAL = (
    Path(os.environ.get("TROUPE_DATA", Path(__file__).resolve().parents[4] / "shared" / "data")) / "humanact12_format"
)
GROUPED = partial(GroupedBatchSampler, num_actions=2, num_instances=2)


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "d")


def module(folder, **options) -> ActorDataModule:
    settings = {"num_classes": 3, "num_frames": 10, "batch_size": 3, "translation": False} | options
    data = ActorDataModule(str(folder), **settings)
    data.prepare_data()
    data.setup("fit")
    return data


def epoch(data, number=0):
    """All training batches of an epoch."""
    loader = data.train_dataloader()
    loader.batch_sampler.set_epoch(number)
    return list(loader)


def test_plain_batches(folder):
    data = module(folder)
    batches = epoch(data)
    assert [len(batch["action"]) for batch in batches] == [3, 3, 2]
    assert sorted(torch.cat([batch["action"] for batch in batches]).tolist()) == [0, 0, 0, 1, 1, 2, 2, 2]
    assert batches[0]["motion"].shape == (3, 24, 6, 10)


def test_mixed_batches_and_unmixed_evaluation(folder):
    data = module(folder, sampler=GROUPED, mix=MixingCollate)
    batches = epoch(data)
    assert len(batches) == 1
    assert batches[0]["motion"].shape == (8, 24, 6, 10)
    assert (batches[0]["mix_alpha"] == 1).tolist() == [False] * 4 + [True] * 4
    for loader in (data.val_dataloader(), data.test_dataloader()):
        evaluated = list(loader)
        assert sum(len(batch["action"]) for batch in evaluated) == 8
        assert all((batch["mix_alpha"] == 1).all() for batch in evaluated)
        assert all(torch.equal(batch["action"], batch["second_action"]) for batch in evaluated)


@pytest.mark.slow
def test_batches_do_not_depend_on_workers(folder):
    def motions(workers, number):
        options = {"sampler": GROUPED, "mix": partial(MixingCollate, alpha="uniform")}
        batches = epoch(module(folder, num_workers=workers, **options), number)
        return torch.cat([batch["motion"] for batch in batches])

    for number in (0, 3):
        assert torch.equal(motions(0, number), motions(2, number))
    assert not torch.equal(motions(0, 0), motions(0, 3))


def test_loading_leaves_the_global_stream_alone(folder):
    data = module(folder, sampler=GROUPED, mix=MixingCollate)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    epoch(data)
    list(data.val_dataloader())
    assert torch.equal(torch.get_rng_state(), before)


def test_evaluation_is_the_same_every_time(folder):
    data = module(folder)
    first, second = list(data.val_dataloader()), list(data.val_dataloader())
    assert all(torch.equal(a["motion"], b["motion"]) for a, b in zip(first, second))


def test_seeds_change_the_order(folder):
    orders = [torch.cat([b["motion"] for b in epoch(module(folder, seed=seed))]) for seed in (0, 1)]
    assert not torch.equal(*orders)


def test_facts(folder):
    facts = module(folder, val_fraction=0.3).facts()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["action_names"] == ["walk", "drink", "flap"]
    assert facts["clips_per_class"] == {"walk": 3, "drink": 2, "flap": 3}
    kind = "0.3 of each class's clips, seed 0"
    assert facts["splits"] == {"train": 5, "val": 3, "test": 3, "held_out": True, "kind": kind}
    assert facts["frames"] == sum(len(poses) for poses in samples()["poses"])
    assert facts["fps"] == 20
    assert not facts["synthetic"]
    assert facts["skipped"]["count"] == 0


def test_skipped_samples_are_facts(tmp_path):
    content = samples()
    content["poses"][0][2] = np.nan
    with pytest.raises(InputError, match="sample 0"):
        module(write_folder(tmp_path / "d", content))
    facts = module(tmp_path / "d", on_error="skip").facts()
    assert facts["skipped"]["count"] == 1
    assert "NaN" in facts["skipped"]["samples"][0]["reason"]


def test_class_with_one_clip_trains_and_is_named(tmp_path, caplog):
    folder = write_folder(tmp_path / "d", samples((4, 1, 4)))
    data = module(folder, sampler=partial(GroupedBatchSampler, num_actions=3, num_instances=4), mix=MixingCollate,
                  val_fraction=0.25)  # fmt: skip
    data.prepare_data()  # as Lightning does before each stage
    (warning,) = (record.message for record in caplog.records if record.levelname == "WARNING")
    assert f"fewer than two clips ({data.action_names[1]}: 1)" in warning
    (batch,) = epoch(data)
    assert sorted(set(batch["action"].tolist())) == [0, 1, 2]


def test_masked_padding(folder):
    lengths = np.array([len(poses) for poses in samples()["poses"]])
    (batch,) = module(folder, num_frames=25, batch_size=8, mask_padding=True).val_dataloader()
    assert batch["lengths"].tolist() == np.minimum(lengths, 25).tolist()
    assert batch["mask"].sum(1).tolist() == batch["lengths"].tolist()
    (published,) = module(folder, num_frames=25, batch_size=8).val_dataloader()
    assert published["mask"].all()
    shared = batch["mask"][:, None, None, :].expand_as(batch["motion"])
    assert torch.equal(batch["motion"][shared], published["motion"][shared])


@pytest.mark.parametrize("sampling", ["conseq", "random_conseq", "random"])
@pytest.mark.parametrize("options", [{"num_frames": 1}, {"num_frames": -1}, {"num_frames": -2, "min_len": 4},
                                     {"num_frames": -2, "min_len": 25, "max_len": 28}])  # fmt: skip
def test_every_number_of_frames(folder, sampling, options):
    for masked in (False, True):
        data = module(folder, sampling=sampling, mask_padding=masked, batch_size=8, **options)
        for batch in [*epoch(data), *data.val_dataloader()]:
            assert batch["motion"].shape[-1] == batch["mask"].shape[1] == batch["lengths"].max()
            assert batch["mask"].sum(1).tolist() == batch["lengths"].tolist()


def test_too_short_clips_do_not_train(folder):
    lengths = np.array([len(poses) for poses in samples()["poses"]])
    data = module(folder, num_frames=40, min_share=0.6)
    assert len(data.train_set) == (lengths >= 24).sum() < 8
    assert len(data.val_set) == 8


def write_toy(folder, clips_per_action, seed=0):
    write_folder(Path(folder), samples([clips_per_action] * 3, seed=seed))


def test_synthetic_data_are_written_once(tmp_path):
    root = tmp_path / "synthetic" / "humanact12"
    options = {"synthetic": partial(write_toy, clips_per_action=2), "synthetic_root": str(root)}
    data = module(root, **options)
    assert data.facts()["synthetic"]
    assert len(data.clips) == 6
    stamp = (root / "humanact12poses.pkl").stat().st_mtime_ns
    module(root, **options)
    assert (root / "humanact12poses.pkl").stat().st_mtime_ns == stamp
    changed = module(root, **(options | {"synthetic": partial(write_toy, clips_per_action=3)}))
    assert len(changed.clips) == 9
    assert not [path for path in root.parent.iterdir() if path.name.startswith(".")]


def announcements(caplog):
    return [record.getMessage() for record in caplog.records if "SYNTHETIC" in record.getMessage()]


def test_every_run_on_synthetic_data_says_so_in_one_line(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    root = tmp_path / "synthetic"
    options = {"synthetic": partial(write_toy, clips_per_action=2), "synthetic_root": str(root)}
    for _ in range(2):  # the files are written by the first run only
        caplog.clear()
        data = module(root, **options)
        data.prepare_data()  # Lightning prepares again before the test
        (line,) = announcements(caplog)
        assert str(root) in line
        assert "data.root=<folder" in line
    caplog.clear()
    module(root)  # named as if it were one's own
    assert len(announcements(caplog)) == 1


def test_only_the_first_process_says_so(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    write_folder(tmp_path / "d")
    (tmp_path / "d" / "synthetic.json").write_text("{}")
    data = ActorDataModule(str(tmp_path / "d"), num_classes=3)
    data.trainer = SimpleNamespace(is_global_zero=False)
    data.prepare_data()
    assert announcements(caplog) == []
    data.trainer.is_global_zero = True
    data.prepare_data()
    assert len(announcements(caplog)) == 1


def test_own_data_are_not_called_synthetic(folder, caplog):
    caplog.set_level(logging.INFO)
    module(folder)
    assert announcements(caplog) == []


def test_wrong_root_never_makes_data(tmp_path):
    options = {"synthetic": partial(write_toy, clips_per_action=2), "synthetic_root": str(tmp_path / "synthetic")}
    with pytest.raises(InputError, match=r"has no 'humanact12poses\.pkl'"):
        module(tmp_path / "typo", **options)
    assert not list(tmp_path.iterdir())


def test_own_data_in_the_synthetic_place_stay(tmp_path):
    folder = write_folder(tmp_path / "d")
    data = module(folder, synthetic=partial(write_toy, clips_per_action=2), synthetic_root=str(folder))
    assert len(data.clips) == 8
    assert not data.facts()["synthetic"]


def test_unwritable_synthetic_folder(tmp_path):
    (tmp_path / "file").write_text("")
    root = tmp_path / "file" / "d"
    with pytest.raises(InputError, match=r"paths\.data"):
        module(root, synthetic=partial(write_toy, clips_per_action=2), synthetic_root=str(root))


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"val_fraction": 1.0}, "val_fraction"), ({"batch_size": 0}, "batch_size"), ({"num_classes": 4}, "num_classes"),
        ({"on_error": "ignore"}, "on_error"), ({"num_frames": 0}, "num_frames"), ({"num_workers": -1}, "num_workers"),
        ({"split_file": "absent.csv"}, "split_file"), ({"split_file": "a.csv", "val_fraction": 0.1}, "split_file"),
        ({"min_share": 2.0}, "min_share"), ({"min_share": 1.0, "num_frames": 99}, "min_share"),
        ({"mix": partial(MixingCollate, pairs=[["walk", "swim"]])}, "mix.pairs"),
    ],
)  # fmt: skip
def test_faults_name_the_key(folder, options, key):
    with pytest.raises(InputError, match=rf"data\.{key}|{key}="):
        module(folder, **options)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is absent: set TROUPE_DATA to the folder of real data")
def test_real_motion_capture_trains(tmp_path):
    data = ActorDataModule(
        str(REAL), translation=False, val_fraction=0.1, batch_size=12, cache_dir=str(tmp_path),
        sampler=partial(GroupedBatchSampler, num_actions=3, num_instances=4),
        mix=partial(MixingCollate, align_heading=True, blend="slerp"),
    )  # fmt: skip
    data.prepare_data()
    data.setup("fit")
    facts = data.facts()
    assert list(facts["action_names"]) == list(json.loads((REAL / "actions.json").read_text()).values())
    assert facts["splits"]["train"] + facts["splits"]["val"] == facts["clips"]
    assert facts["skipped"]["count"] == 0
    batches = epoch(data)
    assert len(batches) == len(data.train_dataloader())
    for batch in batches:
        assert batch["motion"].shape == (24, 24, 6, 60)
        assert batch["motion"].isfinite().all()
        norms = batch["motion"].unflatten(2, (2, 3)).norm(dim=3)
        torch.testing.assert_close(norms, torch.ones_like(norms), rtol=0, atol=1e-4)
        # Mixtures are as continuous as their sources, although rotation vectors of the root jump in sign.
        assert (batch["motion"][..., 1:] - batch["motion"][..., :-1]).abs().max() < 1.0
