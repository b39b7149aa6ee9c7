import json
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import OmegaConf

from callbacks.checkpoint_contents import ConfigInCheckpoint
from callbacks.checkpoints import BestCheckpoint, LastCheckpoint, WholeFileCheckpointIO
from components.errors import InputError
from tests.callbacks.tiny import TinyModule, fit, loader, trainer


def read(path: Path) -> dict:
    return torch.load(path, weights_only=True)


def both(folder: Path, **options: object) -> list:
    return [BestCheckpoint(str(folder), monitor="val/loss", **options), LastCheckpoint(str(folder))]


def test_names_are_stable_and_no_other_file_appears(tmp_path: Path) -> None:
    fit(tmp_path, both(tmp_path / "checkpoints"), max_epochs=4)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]


def test_last_is_written_in_epochs_that_are_not_the_best(tmp_path: Path) -> None:
    fit(tmp_path, both(tmp_path, mode="max"), max_epochs=4)  # the loss falls: the first epoch is the largest
    assert read(tmp_path / "last.ckpt")["epoch"] == 3
    assert read(tmp_path / "best.ckpt")["epoch"] == 0


def test_the_best_epoch_is_counted_from_one_and_carried_on(tmp_path: Path) -> None:
    _, runner = fit(
        tmp_path, both(tmp_path, mode="max"), max_epochs=4
    )  # the loss falls: the first epoch is the largest
    assert runner.checkpoint_callback.best_epoch == 1
    continued = both(tmp_path, mode="max")
    trainer(tmp_path, continued, max_epochs=5).fit(
        TinyModule(), loader(), loader(8, 1), ckpt_path=str(tmp_path / "last.ckpt"), weights_only=True
    )
    assert continued[0].best_epoch == 1
    assert BestCheckpoint(str(tmp_path), monitor="val/loss").best_epoch is None


def test_last_is_written_without_validation(tmp_path: Path) -> None:
    fit(tmp_path, both(tmp_path), max_epochs=3, check_val_every_n_epoch=2)
    assert read(tmp_path / "last.ckpt")["epoch"] == 2
    assert read(tmp_path / "best.ckpt")["epoch"] == 1


def test_the_last_epoch_is_written_whatever_the_interval(tmp_path: Path) -> None:
    last = LastCheckpoint(str(tmp_path), every_n_epochs=2, keep_every=True)
    fit(tmp_path, [last], max_epochs=5)
    assert read(tmp_path / "last.ckpt")["epoch"] == 4
    assert sorted(path.name for path in tmp_path.glob("epoch_*.ckpt")) == ["epoch_2.ckpt", "epoch_4.ckpt"]
    assert read(tmp_path / "epoch_2.ckpt")["epoch"] == 1


def test_best_holds_the_weights_of_its_score(tmp_path: Path) -> None:
    module, runner = fit(tmp_path, both(tmp_path), max_epochs=4)
    best = runner.checkpoint_callback.best_model_score
    scored = trainer(tmp_path, []).validate(module, loader(8, 1), ckpt_path=str(tmp_path / "best.ckpt"), verbose=False)
    assert scored[0]["val/loss"] == pytest.approx(float(best), rel=1e-6)


def test_writer_leaves_the_old_file_when_writing_fails(tmp_path: Path) -> None:
    target = tmp_path / "last.ckpt"
    writer = WholeFileCheckpointIO()
    writer.save_checkpoint({"epoch": 1}, target)
    with pytest.raises((AttributeError, TypeError)):
        writer.save_checkpoint({"epoch": 2, "broken": lambda: None}, target)
    assert read(target) == {"epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_unwritable_folder_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write"):
        WholeFileCheckpointIO().save_checkpoint({"epoch": 1}, tmp_path / "file" / "last.ckpt")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda folder: LastCheckpoint(folder, every_n_epochs=0), "every_n_epochs=0"),
        (lambda folder: BestCheckpoint(folder, monitor="val/loss", mode="least"), "monitor.mode=least"),
    ],
)
def test_bad_settings_name_their_key(tmp_path: Path, build: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(str(tmp_path))


def test_a_monitor_nobody_logs_stops_before_training(tmp_path: Path) -> None:
    module = TinyModule()
    with pytest.raises(InputError, match=r"did you mean 'val/loss'"):
        fit(tmp_path, [BestCheckpoint(str(tmp_path), monitor="val/los")], module=module)
    assert not module.losses


def test_fast_dev_run_writes_nothing(tmp_path: Path) -> None:
    fit(tmp_path, [*both(tmp_path / "checkpoints"), ConfigInCheckpoint("actor", "actor", {})], fast_dev_run=True)
    assert not (tmp_path / "checkpoints").exists()


def test_checkpoints_carry_the_config_as_plain_data(tmp_path: Path) -> None:
    config = {"model": {"sizes": (1, 2)}, "root": Path("data"), "lr": torch.tensor(0.5)}
    contents = ConfigInCheckpoint("actor", "actor_mix", config, facts={"fps": 20})
    fit(tmp_path, [*both(tmp_path), contents])
    stored = read(tmp_path / "best.ckpt")["troupe"]
    assert stored == {
        "format": 1,
        "system": "actor",
        "experiment": "actor_mix",
        "config": {"model": {"sizes": [1, 2]}, "root": "data", "lr": 0.5},
        "facts": {"fps": 20},
    }
    assert json.loads(json.dumps(stored)) == stored


def test_resuming_another_systems_checkpoint_is_refused(tmp_path: Path) -> None:
    fit(tmp_path, [LastCheckpoint(str(tmp_path)), ConfigInCheckpoint("videowalk", "videowalk", {})])
    with pytest.raises(InputError, match=r"'videowalk'.*'actor'"):
        fit(tmp_path, [ConfigInCheckpoint("actor", "actor", {})], ckpt_path=str(tmp_path / "last.ckpt"))


def test_weights_only_checkpoints_are_refused(tmp_path: Path) -> None:
    bare = ModelCheckpoint(dirpath=tmp_path, save_weights_only=True)
    with pytest.raises(InputError, match="save_weights_only"):
        fit(tmp_path, [bare, ConfigInCheckpoint("actor", "actor", {})])


def test_the_packaged_config_takes_best_as_the_checkpoint_callback(tmp_path: Path) -> None:
    """`ckpt_path="best"` and the returned score come from the first checkpoint callback of the list."""
    config = OmegaConf.create(
        {
            "callbacks": OmegaConf.load(files("conf") / "standard" / "callbacks.yaml"),
            "monitor": {"name": "val/loss", "mode": "min"},
            "paths": {"run_dir": str(tmp_path)},
            "seed": 3,
        }
    )
    callbacks = [instantiate(node) for node in config.callbacks.values()]
    _, runner = fit(tmp_path, callbacks, enable_progress_bar=True, enable_model_summary=True)
    assert isinstance(runner.checkpoint_callback, BestCheckpoint)
    assert {"checkpoints", "run.json"} <= {path.name for path in tmp_path.iterdir()}
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


def test_averaging_is_one_config_away() -> None:
    node = OmegaConf.load(files("conf") / "callbacks" / "ema.yaml").ema
    assert instantiate(node).decay == 0.999
