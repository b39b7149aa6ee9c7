import random
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from callbacks.checkpoint_contents import ConfigInCheckpoint
from callbacks.checkpoints import LastCheckpoint
from callbacks.ema import WeightEMA
from components.errors import InputError
from entrypoints.runs import LoadedRun, build_module, load_checkpoint, load_module, load_run, without_start
from tests.callbacks.tiny import trainer
from tests.entrypoints.actor_run import actor_config, write_run


def trained(folder: Path, averaged: bool) -> tuple[LoadedRun, dict[str, torch.Tensor]]:
    """Four steps of a tiny ACTOR; the run, and the weights of the last step."""
    config = actor_config()
    torch.manual_seed(0)
    module = build_module(config)
    motion = torch.randn(4, 24, 6, 20)
    batch = {"motion": motion, "mask": torch.ones(4, 20, dtype=torch.bool), "lengths": torch.full((4,), 20),
             "action": torch.arange(4), "second_action": torch.arange(4), "mix_alpha": torch.ones(4)}  # fmt: skip
    last: dict[str, torch.Tensor] = {}

    class Watch(LastCheckpoint):
        def on_train_epoch_end(self, runner, pl_module) -> None:  # type: ignore[no-untyped-def]
            last.update({name: value.detach().clone() for name, value in pl_module.state_dict().items()})
            super().on_train_epoch_end(runner, pl_module)

    callbacks = [Watch(str(folder / "checkpoints")), ConfigInCheckpoint("actor", "actor_mix", config, {})]
    runner = trainer(folder, [*callbacks, *([WeightEMA(0.9)] if averaged else [])], max_epochs=1)
    runner.fit(module, DataLoader([batch] * 4, batch_size=None))  # type: ignore[arg-type]
    return load_run(folder), last


def test_a_run_with_an_average_gives_either_weights(tmp_path: Path) -> None:
    run, last = trained(tmp_path, averaged=True)
    assert run.has_average
    raw = load_module(run, "raw").state_dict()
    average = load_module(run).state_dict()
    name = "net.decoder.pose_head.weight"
    assert torch.equal(raw[name], last[name])
    assert not torch.equal(average[name], last[name])
    assert torch.equal(average[name], run.checkpoint["state_dict"][name])


@pytest.mark.parametrize("weights", ["average", "raw"])
def test_a_run_without_an_average_has_one_set_of_weights(weights: str, tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path))
    assert not run.has_average
    module = load_module(run, weights)  # type: ignore[arg-type]
    assert not module.training
    for name, value in module.state_dict().items():
        assert torch.equal(value, run.checkpoint["state_dict"][name])


def test_files_that_are_no_runs(tmp_path: Path) -> None:
    """Whatever torch raises for damaged files, it is the file's fault."""
    path = tmp_path / "file.ckpt"
    torch.save({"troupe": ["no entry"]}, path)
    with pytest.raises(InputError, match="was not written by this project"):
        load_checkpoint(path)
    torch.save({"weight": torch.ones(3)}, path, _use_new_zipfile_serialization=False)
    whole, chance, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        with pytest.raises(InputError) as caught:
            load_checkpoint(path)
        refused += "cannot be read" in str(caught.value)
    assert refused > 20


def test_a_run_is_rebuilt_without_the_files_that_a_training_started_from() -> None:
    text = {"_target_": "lightning_modules.skeletonclip.networks.text_encoder.TextEncoder", "source": "package"}
    model = {"video_encoder": {"resnet": {"checkpoint": "gone.pth"}, "checkpoint": "gone.pth"}, "text_encoder": text}
    assert without_start(model) == {
        "video_encoder": {"resnet": {"checkpoint": None}, "checkpoint": None},
        "text_encoder": text | {"pretrained": False},
    }
    assert without_start({"net": {"checkpoint": False}}) == {"net": {"checkpoint": False}}  # saves memory, no file
