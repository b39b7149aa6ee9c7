"""Training of the walk: what is logged, frozen batch normalisation, several processes."""

import csv
import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader

from components.errors import InputError
from components.schedules import warmup_cosine_steps
from lightning_modules.videowalk.module import VideoWalkModule
from lightning_modules.videowalk.networks.resnet import ResNet
from lightning_modules.videowalk.walk import Walk
from tests.lightning_modules.videowalk.ddp_gradient import batch_of, step

ROOT = Path(__file__).resolve().parents[3]


def make(**settings) -> VideoWalkModule:
    torch.manual_seed(0)
    optimizer = functools.partial(torch.optim.Adam, lr=1e-3)
    return VideoWalkModule(ResNet(18, "reflect", width=4), Walk(0.05, edge_dropout=0.1), optimizer, **settings)


def loader(count: int = 3, frames: int = 4) -> DataLoader:
    return DataLoader(list(torch.randn(count, frames, 3 * 4, 24, 24)), 2, collate_fn=batch_of)


def trainer(**settings) -> Trainer:
    return Trainer(
        accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, **settings,
    )  # fmt: skip


def test_every_stage_logs_each_cycle() -> None:
    module, fit = make(), trainer(max_epochs=2)
    data = loader()
    fit.fit(module, data, data)
    names = ("loss", "xent_r1", "xent_r2", "acc_r1", "acc_r2", "cycle_acc")
    for stage in ("train", "val"):
        assert {f"{stage}/{name}" for name in names} <= set(fit.callback_metrics)
    logged = dict(fit.callback_metrics)
    assert logged["val/cycle_acc"] == pytest.approx(float(logged["val/acc_r1"] + logged["val/acc_r2"]) / 2)
    # Means over clips, not over batches of unequal size.
    module.eval()
    with torch.no_grad():
        whole = module(batch_of(data.dataset))
    assert float(logged["val/loss"]) == pytest.approx(float(whole.loss), rel=1e-4)
    assert float(fit.test(module, data, verbose=False)[0]["test/xent_r2"]) == pytest.approx(
        float(whole.xent["r2"]), rel=1e-4
    )
    assert set(module.state_dict()) == set(make().state_dict())


def test_loss_and_learning_rate_are_logged_inside_of_epochs(tmp_path: Path) -> None:
    module = make(scheduler=functools.partial(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.1),
                  scheduler_interval="step")  # fmt: skip
    logger = CSVLogger(str(tmp_path))
    fit = Trainer(
        accelerator="cpu", devices=1, logger=logger, max_epochs=1, log_every_n_steps=2, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    fit.fit(module, loader(count=8))
    with Path(logger.log_dir, "metrics.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["lr"]]
    assert [int(row["step"]) for row in rows] == [1, 3]
    assert [float(row["lr"]) for row in rows] == pytest.approx([1e-3, 1e-4])
    assert all(float(row["train/loss_step"]) > 0 for row in rows)


def test_gradient_reaches_every_parameter() -> None:
    module = make(head_depth=1)
    module(next(iter(loader()))).loss.backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in module.parameters())


def test_frozen_batch_normalisation_stays() -> None:
    module = make(freeze_batchnorm=True)
    before = [each.clone() for each in module.buffers()]
    trainer(max_epochs=1).fit(module, loader())
    module.train()
    assert all(torch.equal(*pair) for pair in zip(before, module.buffers(), strict=True))
    assert module.walk.training
    assert module.net.training
    assert not any(each.training for each in module.modules() if isinstance(each, nn.BatchNorm2d))


def test_two_frames_end_the_training_with_a_message() -> None:
    with pytest.raises(InputError, match=r"data\.clip_len=2"):
        trainer(max_epochs=1).fit(make(), loader(frames=2))


def test_synchronised_batch_normalisation_needs_gpus() -> None:
    module = make()
    module.net = nn.SyncBatchNorm.convert_sync_batchnorm(module.net)
    with pytest.raises(InputError, match=r"trainer\.sync_batchnorm=true needs GPUs"):
        trainer(max_epochs=1).fit(module, loader())


def test_unknown_interval_is_named() -> None:
    with pytest.raises(InputError, match=r"model\.scheduler_interval='batch'"):
        make(scheduler_interval="batch")


@pytest.mark.parametrize("head_depth", [0, -1])
def test_the_head_has_a_learning_rate_of_its_own_and_the_scheduler_goes_by_steps(head_depth: int) -> None:
    schedule = functools.partial(warmup_cosine_steps, epochs=2, warmup_epochs=0)
    module = make(head_lr_factor=5.0, scheduler=schedule, head_depth=head_depth)
    fit = trainer(max_epochs=2)
    fit.fit(module, loader(), loader())
    encoder, head = fit.optimizers[0].param_groups
    assert [encoder["initial_lr"], head["initial_lr"]] == pytest.approx([1e-3, 5e-3])
    assert len(encoder["params"]) + len(head["params"]) == len(list(module.net.parameters()))
    assert len(head["params"]) == (2 if head_depth == 0 else 0)
    assert fit.global_step == 4
    assert [encoder["lr"], head["lr"]] == pytest.approx([0.0, 0.0], abs=1e-9)


@pytest.mark.parametrize("factor", [0, -1.0, float("inf"), "5"])
def test_head_lr_factors_out_of_range(factor: Any) -> None:
    with pytest.raises(InputError, match=r"model\.head_lr_factor=.*positive"):
        make(head_lr_factor=factor)


def test_whitening_is_for_the_maps_that_propagation_reads() -> None:
    with pytest.raises(InputError, match=r"Set model\.encoder\.remove_layers=\[layer4\]"):
        make(whitening=True)


def test_weights_without_whitening_begin_a_training_with_it(caplog: pytest.LogCaptureFixture) -> None:
    def without_layer4(whitening: bool) -> VideoWalkModule:
        encoder = ResNet(18, "reflect", width=4, remove_layers=["layer4"])
        return VideoWalkModule(encoder, Walk(0.05), torch.optim.SGD, whitening=whitening)

    plain, white = without_layer4(False), without_layer4(True)
    white.load_state_dict(plain.state_dict(), strict=True)
    assert "statistics begin anew" in caplog.text
    torch.testing.assert_close(white.net.encoder.conv1.weight, plain.net.encoder.conv1.weight)
    with pytest.raises(InputError, match=r"Set model\.whitening=true"):
        plain.load_state_dict(white.state_dict(), strict=True)


def test_a_whole_network_in_float64_trains() -> None:
    module, fit = make(), trainer(max_epochs=1, precision="64-true")
    fit.fit(module, loader())
    assert module.net.encoder.conv1.weight.dtype == torch.float64


@pytest.mark.slow
def test_two_processes_step_as_one_with_the_joint_batch(tmp_path: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for name in ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_PORT", "MASTER_ADDR"):
        environment.pop(name, None)
    path = tmp_path / "weights.pt"
    command = [sys.executable, "-m", "tests.lightning_modules.videowalk.ddp_gradient", str(path)]
    done = subprocess.run(command, env=environment, cwd=ROOT, timeout=240, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    two, one = torch.load(path, weights_only=True), step(1)
    torch.manual_seed(0)
    start = ResNet(18, "reflect", width=4, remove_layers=["layer4"]).state_dict()
    for key, value in one.items():
        if key.removeprefix("net.encoder.") in start:
            # With a learning rate of 1 the difference to the first weights is the gradient.
            first = start[key.removeprefix("net.encoder.")]
            if value.is_floating_point() and "running" not in key:
                size = float((value - first).abs().max())
                assert size > 0
                torch.testing.assert_close(two[key] - first, value - first, rtol=1e-3, atol=1e-4 * size)
            else:
                assert torch.equal(value, first)
        if key.startswith("net.whitening."):
            torch.testing.assert_close(two[key], value, rtol=1e-4, atol=1e-6)
