import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.errors import InputError, MissingPackageError
from entrypoints.trainer_parts import build_callbacks, build_loggers, build_trainer, check_optimizer, close_loggers


def settings(**trainer: Any) -> dict[str, Any]:
    base = {"_target_": "lightning.pytorch.Trainer", "accelerator": "cpu", "devices": 1, "strategy": "auto",
            "precision": "32-true", "enable_progress_bar": True, "enable_model_summary": True}  # fmt: skip
    return {
        "trainer": base | trainer,
        "callbacks": {
            "progress_bar": {"_target_": "callbacks.progress_bar.TerminalProgressBar"},
            "summary": {"_target_": "lightning.pytorch.callbacks.RichModelSummary"},
            "dropped": None,
        },
        "logger": None,
    }


def test_bar_and_summary_follow_the_switches_of_the_trainer(tmp_path: Path) -> None:
    assert len(build_callbacks(settings())) == 2
    quiet = settings(enable_progress_bar=False, enable_model_summary=False)
    assert build_callbacks(quiet) == []
    trainer = build_trainer(quiet, build_callbacks(quiet), [], tmp_path)
    assert trainer.progress_bar_callback is None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"precision": "float8"}, "Precision 'float8' is invalid"),
        ({"accelerator": "tpux"}, "invalid accelerator name"),
        ({"devices": 0}, "devices=0"),
    ],
)
def test_what_lightning_refuses_is_bad_input(options: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=text) as caught:
        build_trainer(settings(**options), [], [], tmp_path)
    assert "precision=" in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


@pytest.mark.parametrize("key", ["accumulate_grad_batches", "check_val_every_n_epoch"])
def test_numbers_that_lightning_would_divide_by(key: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"trainer.{key}=0 must be at least 1"):
        build_trainer(settings(**{key: 0}), [], [], tmp_path)


@pytest.mark.parametrize("options", [{}, {"devices": 2, "strategy": "ddp"}])
def test_batchnorm_is_not_synchronised_on_a_cpu(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"trainer\.sync_batchnorm=true on cpu"):
        build_trainer(settings(sync_batchnorm=True, **options), [], [], tmp_path)


def test_logger_whose_package_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings() | {
        "logger": {
            "tensorboard": {"_target_": "lightning.pytorch.loggers.TensorBoardLogger", "save_dir": str(tmp_path)}
        }
    }
    assert len(build_loggers(config)) == 1
    monkeypatch.setattr("lightning.fabric.loggers.tensorboard._TENSORBOARD_AVAILABLE", False)
    monkeypatch.setattr("lightning.fabric.loggers.tensorboard._TENSORBOARDX_AVAILABLE", False)
    with pytest.raises(MissingPackageError, match=r"pip install -e '\.\[tensorboard\]'"):
        build_loggers(config)


def test_a_wandb_run_is_closed_with_arguments_that_wandb_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import inspect

    import wandb

    signature = inspect.signature(wandb.finish)
    calls: list[inspect.BoundArguments] = []
    stand_in = SimpleNamespace(run=object(), finish=lambda *a, **k: calls.append(signature.bind(*a, **k)))
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    close_loggers()
    assert len(calls) == 1
    stand_in.run = None
    close_loggers()
    assert len(calls) == 1


def test_optimizer_settings_are_tried_before_the_fit() -> None:
    node = {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 0.1}
    check_optimizer(node)
    with pytest.raises(InputError, match=r"optimizer: .*learning rate.*set optimizer"):
        check_optimizer({**node, "lr": -1.0})
