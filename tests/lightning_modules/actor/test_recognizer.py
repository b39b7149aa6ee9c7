from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from components.body.pose_format import PoseFormat
from components.errors import InputError
from components.synthetic.actions import write_humanact12
from datamodules.actor import ActorDataModule
from datamodules.actor.batch import MotionBatch
from lightning_modules.actor.networks.gru_recognizer import GRURecognizer
from lightning_modules.actor.networks.stgcn import STGCNRecognizer
from lightning_modules.actor.recognizer import RecognizerModule
from lightning_modules.actor.rotation2xyz import Rotation2XYZ
from tests.lightning_modules.actor.test_module import trainer

ADAM = partial(torch.optim.AdamW, lr=3e-3)


def make_module(kind: str = "gru", translation: bool = False, **settings: Any) -> RecognizerModule:
    torch.manual_seed(0)
    settings = {"num_classes": 5, "translation": translation} | settings
    classes = settings["num_classes"]
    if kind == "stgcn":
        net = STGCNRecognizer(num_classes=classes, channels=[8, 12], **settings.pop("net", {}))
        return RecognizerModule(net, ADAM, positions=None, **settings)
    gru = GRURecognizer(**{"hidden_size": 32, "num_classes": classes, **settings.pop("net", {})})
    positions = settings.pop("positions", {})
    body = Rotation2XYZ(**{"translation": translation, "jointstype": "smpl", **positions})
    return RecognizerModule(gru, ADAM, positions=body, **settings)


def make_batch(count: int, seed: int = 0, rows: int = 24) -> MotionBatch:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, 7, (count,), generator=generator)
    mask = torch.arange(6) < lengths[:, None]
    labels = torch.randint(5, (count,), generator=generator)
    return {
        "motion": torch.randn(count, rows, 6, 6, generator=generator) * mask[:, None, None],
        "mask": mask,
        "lengths": lengths,
        "action": labels,
        "second_action": labels,
        "mix_alpha": torch.ones(count),
    }


@pytest.mark.parametrize("kind", ["gru", "stgcn"])
def test_padding_and_neighbours_in_the_batch_change_nothing(kind: str) -> None:
    module = make_module(kind).eval()
    batch = make_batch(3)
    whole = module(batch)
    length = int(batch["lengths"][1])
    alone = module.recognize(batch["motion"][1:2, ..., :length], batch["mask"][1:2, :length])
    torch.testing.assert_close(alone.logits, whole.logits[1:2])
    torch.testing.assert_close(alone.features, whole.features[1:2])


def test_what_each_network_reads() -> None:
    batch = make_batch(2, rows=25)
    stgcn = make_module("stgcn", translation=True).eval()
    assert stgcn.pose_format == PoseFormat("rot6d", True)
    expected = stgcn.net(batch["motion"][:, :-1], batch["lengths"])
    torch.testing.assert_close(stgcn(batch).logits, expected.logits)
    still = make_module(translation=True).eval()
    moving = make_module(translation=True, positions={"vertstrans": True}).eval()
    moved = {**batch, "motion": batch["motion"].clone()}
    moved["motion"][:, -1, :3, 1:] += 5.0
    assert torch.equal(still(batch).logits, still(moved).logits)  # type: ignore[arg-type]
    assert not torch.allclose(moving(batch).logits, moving(moved).logits)  # type: ignore[arg-type]


def test_the_loss_of_a_mixture_asks_for_both_labels() -> None:
    module, batch = make_module(), make_batch(4)
    logits = torch.randn(4, 5)
    plain = torch.nn.functional.cross_entropy(logits, batch["action"])
    torch.testing.assert_close(module.compute_loss(logits, batch), plain)
    batch["second_action"] = (batch["action"] + 1) % 5
    log_p = logits.log_softmax(dim=1)
    rows = torch.arange(4)
    both = -(log_p[rows, batch["action"]] + log_p[rows, batch["second_action"]]).mean() / 2
    torch.testing.assert_close(module.compute_loss(logits, batch), both)


def test_fit_logs_and_evaluation_repeats_itself(tmp_path: Path) -> None:
    module = make_module(label_smoothing=0.1, shortest=0.5, net={"dropout": 0.5, "start_std": 1.0})
    loader = DataLoader([make_batch(4), make_batch(3, 1)], batch_size=None)
    run = trainer(tmp_path)
    run.fit(module, loader, loader)
    names = {f"{stage}/{name}" for stage in ("train", "val") for name in ("loss", "accuracy")}
    assert names <= set(run.callback_metrics)
    (first,) = run.test(module, loader, verbose=False)
    assert run.test(module, loader, verbose=False)[0] == first
    batches = [make_batch(4), make_batch(3, 1)]
    with torch.no_grad():
        right = [int((module.eval()(batch).logits.argmax(1) == batch["action"]).sum()) for batch in batches]
    assert first["test/accuracy"] == pytest.approx(sum(right) / 7)
    assert all(name.startswith("net.") for name in module.state_dict())


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"shortest": 0.0}, "shortest"),
        ({"num_classes": 1}, "at least 2 classes"),
        ({"scheduler_interval": "day"}, "scheduler_interval"),
        ({"positions": {"jointstype": "a2m"}}, "model.net.input_size=54"),
        ({"positions": {"jointstype": "vertices"}}, "reads joints"),
        ({"positions": {"translation": True}}, "set both through"),
        ({"kind": "stgcn", "glob": False}, "needs all 24"),
        ({"kind": "stgcn", "net": {"in_channels": 3}}, "model.net.in_channels=6"),
    ],
)
def test_what_does_not_fit(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        make_module(**settings)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ActorDataModule:
    folder = tmp_path_factory.mktemp("data") / "humanact12"
    folder.mkdir()
    write_humanact12(folder, clips_per_action=8)
    return ActorDataModule(str(folder), translation=False, val_fraction=0.2, batch_size=16, num_frames=30)


@pytest.mark.slow
def test_the_gru_learns_and_its_start_state_hardly_matters(data: ActorDataModule, tmp_path: Path) -> None:
    module = make_module(num_classes=12, label_smoothing=0.1, net={"start_std": 1.0})
    run = trainer(tmp_path, max_epochs=30, limit_val_batches=0, gradient_clip_val=1.0)
    run.fit(module, datamodule=data)
    (metrics,) = run.test(module, datamodule=data, verbose=False)
    assert metrics["test/accuracy"] > 0.8  # chance: 1 / 12
    module.eval()
    generator = torch.Generator().manual_seed(0)
    said = []
    for _ in range(2):
        right = total = 0
        for batch in data.test_dataloader():
            hidden = torch.randn(2, len(batch["motion"]), 32, generator=generator)
            logits = module.recognize(batch["motion"], batch["mask"], hidden).logits
            right += int((logits.argmax(dim=1) == batch["action"]).sum())
            total += len(logits)
        said.append(right / total)
    # At most one of the 24 clips apart, from each other and from the zero state.
    assert abs(said[0] - said[1]) <= 0.05
    assert abs(said[0] - metrics["test/accuracy"]) <= 0.05


@pytest.mark.slow
def test_the_stgcn_learns(data: ActorDataModule, tmp_path: Path) -> None:
    module = make_module("stgcn", num_classes=12)
    run = trainer(tmp_path, max_epochs=25, limit_val_batches=0, gradient_clip_val=1.0)
    run.fit(module, datamodule=data)
    (metrics,) = run.test(module, datamodule=data, verbose=False)
    assert metrics["test/accuracy"] > 0.6
