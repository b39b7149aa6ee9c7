import json
import logging
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from components.body.pose_format import PoseFormat
from datamodules.actor.batch import MotionBatch, MotionItem
from lightning_modules.actor.networks.recognition import Recognition
from lightning_modules.actor.protocol import (
    METRICS,
    LabelledFeatures,
    ProtocolOptions,
    RealSplit,
    evaluate_features,
    motions_per_seed,
    recognize_motions,
    run_protocol,
    stream_seed,
)
from lightning_modules.actor.seed_store import SeedFiles, checksum

CLASSES, JOINTS = 3, 24
FORMAT = PoseFormat("rot6d", translation=False)


class Motions:
    """Motions that hold their label, their number and the first frame that was drawn."""

    labels = np.arange(17) % CLASSES

    def __init__(self) -> None:
        self.offset = np.zeros(17)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, draw: tuple[int, int]) -> MotionItem:
        index, seed = draw
        generator = torch.Generator().manual_seed(seed)
        length = 4 + int(torch.randint(0, 3, (), generator=generator))
        motion = torch.randn(JOINTS, 6, length, generator=generator) + float(self.labels[index] + self.offset[index])
        motion[0, 0] = index
        return {"motion": motion, "action": int(self.labels[index]), "seed": seed}


def collate(items: Any) -> MotionBatch:
    from datamodules.actor.collate import collate_motions

    return collate_motions(items)


class Generator(nn.Module):
    """A decoder with something to learn."""

    fixed_frames = None

    def __init__(self) -> None:
        super().__init__()
        self.sizes = SimpleNamespace(latent_dim=4)
        self.scale = nn.Parameter(torch.ones(4))
        self.asked: list[tuple[list[int], list[int], list[int]]] = []

    def decode(self, z: Tensor, mask: Tensor, action: Tensor, second_action: Tensor) -> Tensor:
        self.asked.append((action.tolist(), second_action.tolist(), mask.sum(1).tolist()))
        pose = (z * self.scale).mean(1)[:, None, None, None] + action[:, None, None, None]
        return pose.expand(-1, JOINTS, 6, mask.shape[1]) * mask[:, None, None]


class Judge(nn.Module):
    """Sees the mean of every joint."""

    pose_format = FORMAT

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(JOINTS - 1, CLASSES)
        self.seen: list[int] = []

    def recognize(self, motion: Tensor, mask: Tensor) -> Recognition:
        self.seen += motion[:, 0, 0, 0].tolist()
        features = (motion[:, 1:] * mask[:, None, None]).sum((2, 3)) / mask.sum(1, keepdim=True)
        return Recognition(features, self.linear(features))


def run(net: Generator, judge: Judge, seeds: range = range(2), store: Any = None, **options: int) -> Any:
    splits = [RealSplit(Motions(), "train"), RealSplit(Motions(), "test")]
    return run_protocol(
        net, judge, splits, FORMAT, collate, CLASSES, seeds, ProtocolOptions(**options), torch.device("cpu"), store
    )


def test_real_labels_and_lengths_drive_the_generator() -> None:
    net, judge = Generator(), Judge()
    result = run(net, judge, range(1), batch_size=5)
    first, second, lengths = ([each for part in column for each in part] for column in zip(*net.asked))
    assert first == second
    assert sorted(first[:17]) == sorted(Motions.labels.tolist())
    assert set(lengths) == {4, 5, 6}
    # Every pass sees each motion once, in an order of its own.
    passes = [judge.seen[place : place + 17] for place in range(0, len(judge.seen), 17)]
    assert len(passes) == 6
    real = [row for row in judge.seen if row == int(row)]
    assert {name: real.count(name) for name in set(real) if name >= 3} == {float(name): 4 for name in range(3, 17)}
    names = {f"{metric}_{which}_{split}" for metric in METRICS for which in ("gen", "gt", "gt2")
             for split in ("train", "test")}  # fmt: skip
    assert set(result.seeds[0].metrics) == names
    assert all(math.isfinite(value) for value in result.seeds[0].metrics.values())
    assert result.seeds[0].metrics["fid_gt_train"] == result.seeds[0].metrics["kid_gt_train"] == 0
    assert int(result.confusion("gen_train").sum()) == 17
    assert result.confusion("gt_test").sum(1).tolist() == [6, 6, 5]


def test_all_chance_comes_from_the_seeds() -> None:
    net, judge = Generator(), Judge()
    torch.manual_seed(1)
    one = run(net, judge, range(2), batch_size=5)
    torch.manual_seed(2)
    two = run(net, judge, range(2), batch_size=5)
    assert one == two
    other_batches = run(net, judge, range(2), batch_size=16)
    for name, value in one.seeds[1].metrics.items():
        assert other_batches.seeds[1].metrics[name] == pytest.approx(value, rel=1e-3, abs=1e-3)
        if name.split("_")[0] in ("fid", "kid", "diversity") and "id_gt_" not in name:
            assert one.seeds[0].metrics[name] != value
    # A seed does not depend on those before it.
    assert run(net, judge, range(1, 2), batch_size=5).seeds[0] == one.seeds[1]
    assert stream_seed(1, "gt") != stream_seed(1, "gt2") != stream_seed(2, "gt")


def test_a_pass_takes_no_more_than_it_may() -> None:
    net, judge, splits = Generator(), Judge(), [RealSplit(Motions()), RealSplit(Motions(), "test")]
    assert motions_per_seed(splits, ProtocolOptions(num_seq_max=6)) == 36
    assert int(run(net, judge, range(1), num_seq_max=6).confusion("gt_train").sum()) == 6


def test_mixed_precision_around_changes_nothing() -> None:
    net, judge = Generator(), Judge()
    plain = run(net, judge, range(1))
    motion, mask = torch.randn(3, JOINTS, 6, 5), torch.ones(3, 5, dtype=torch.bool)
    alone = recognize_motions(judge, motion, mask, FORMAT)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = recognize_motions(judge, motion, mask, FORMAT)
        assert run(net, judge, range(1)) == plain
    assert torch.equal(alone.logits, inside.logits)
    assert not alone.logits.requires_grad


def test_finished_seeds_are_kept_as_long_as_nothing_changes(tmp_path: Path) -> None:
    net, judge = Generator(), Judge()
    splits = [RealSplit(Motions(), "train")]

    def key(**settings: int) -> str:
        return checksum([net, judge], splits, settings)

    store = SeedFiles(tmp_path / "seeds", key())
    result = run(net, judge, range(2), store)
    net.asked.clear()
    assert run(net, judge, range(2), store) == result
    assert net.asked == []
    (tmp_path / "seeds" / "seed_001.json").write_text("cut sho")
    assert run(net, judge, range(2), store) == result
    assert len(net.asked) == 2  # one batch of each split, of seed 1 alone
    assert json.loads((tmp_path / "seeds" / "seed_001.json").read_text())["key"] == key()

    assert key() == store.key
    assert key(num_seq_max=3) != store.key
    assert checksum([net, judge], [RealSplit(Motions(), "test")], {}) != store.key
    with torch.no_grad():
        net.scale[0] += 1
    assert key() != store.key
    changed = Motions()
    changed.offset[11] = 1e-3  # of one motion alone
    assert checksum([net, judge], [RealSplit(changed, "train")], {}) != key()
    assert SeedFiles(tmp_path / "seeds", key()).load(0) is None


def test_metrics_of_features_for_a_validation(caplog: pytest.LogCaptureFixture) -> None:
    def features(count: int, shift: float) -> LabelledFeatures:
        return LabelledFeatures(
            torch.randn(count, 4) + shift, nn.functional.one_hot(torch.arange(count) % 3, 3).float(),
            torch.arange(count) % 3,
        )  # fmt: skip

    sets = {"gt": features(60, 0.0), "gen": features(50, 1.0)}
    figures = evaluate_features(sets, 3)
    assert figures["accuracy_gen"] == 1
    assert figures["fid_gen"] > 1 > figures["fid_gt"]
    assert figures["kid_gen"] > 0
    assert figures == evaluate_features(sets, 3)
    assert figures["diversity_gt"] != evaluate_features(sets, 3, seed=1)["diversity_gt"]
    # Tiny sets: finite, and classes without motions are named once.
    tiny = {name: LabelledFeatures(*(part[:2] for part in each[:3])) for name, each in sets.items()}
    with caplog.at_level(logging.WARNING):
        figures = evaluate_features(tiny, 3, class_names=["walk", "run", "sit"])
    assert "walk, run, sit" in caplog.text
    assert len(caplog.records) == 1
    assert {name for name, value in figures.items() if not math.isfinite(value)} == {
        "multimodality_gt", "multimodality_gen"
    }  # fmt: skip


def test_generated_motions_of_the_real_labels_have_no_kernel_distance() -> None:
    """A perfect generator that is asked for the very labels of the real set: KID is 0 on average."""
    count, classes = 30, 6
    found: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(100):
        chance = torch.Generator().manual_seed(seed)
        labels = torch.randint(0, classes, (count,), generator=chance)
        sets = {}
        for name in ("gen", "gt"):
            features = nn.functional.one_hot(labels, classes) + 0.1 * torch.randn(count, classes, generator=chance)
            sets[name] = LabelledFeatures(features, features, labels)
        for known in found:
            own = {name: each._replace(clips=torch.arange(count) if known else None) for name, each in sets.items()}
            found[known].append(evaluate_features(own, classes, warn=False)["kid_gen"])
    means = {known: np.mean(values) / (np.std(values) / 10) for known, values in found.items()}
    assert abs(means[True]) < 4
    assert abs(means[False]) < 4  # these are independent of the real ones but for the label
