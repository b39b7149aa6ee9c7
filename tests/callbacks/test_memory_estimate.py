import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from callbacks.memory_estimate import TrainingMemory, first_batch, free_bytes, warn_if_short
from components.synthetic.actions import write_humanact12
from entrypoints.runs import build_datamodule, build_module
from lightning_modules.actor.memory import estimate_training_memory
from tests.callbacks.tiny import fit, trainer
from tests.entrypoints.actor_run import actor_config


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "humanact12"
    folder.mkdir()
    write_humanact12(folder, clips_per_action=2)
    return folder


def test_estimate_in_the_run_card_and_the_same_training(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config, weights = actor_config(str(data)), []
    for callbacks in ([TrainingMemory(str(tmp_path))], []):
        torch.manual_seed(0)
        module = build_module(config)
        with caplog.at_level(logging.INFO, "callbacks.memory_estimate"):
            trainer(tmp_path, callbacks, max_steps=2).fit(module, datamodule=build_datamodule(config))
        weights.append(torch.cat([parameter.detach().flatten() for parameter in module.net.parameters()]))
    assert torch.equal(*weights)
    (message,) = (record.message for record in caplog.records if record.name == "callbacks.memory_estimate")
    assert message.startswith("memory: a step of 8 motions of 20 frames needs about")
    fields = json.loads((tmp_path / "run.json").read_text())["memory_estimate"]
    assert fields["total"] > fields["activations"] > 0
    assert fields["free"] == pytest.approx(free_bytes(torch.device("cpu")), rel=0.5)


def test_other_modules_and_trial_runs_are_left_alone(data: Path, tmp_path: Path) -> None:
    fit(tmp_path, [TrainingMemory(str(tmp_path))], max_steps=1)
    config = actor_config(str(data))
    runner = trainer(tmp_path, [TrainingMemory(str(tmp_path))], fast_dev_run=True)
    runner.fit(build_module(config), datamodule=build_datamodule(config))
    assert not (tmp_path / "run.json").exists()


def test_too_little_memory_is_said(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = actor_config(str(data))
    datamodule = build_datamodule(config)
    datamodule.setup("fit")
    estimate = estimate_training_memory(build_module(config), first_batch(datamodule))
    warn_if_short(estimate, estimate.total)
    assert not caplog.records
    warn_if_short(replace(estimate, activations=3 << 30), 1 << 30)
    assert "memory: about 3.0 GiB are needed and 1.0 GiB are free; lower data.batch_size" in caplog.text
