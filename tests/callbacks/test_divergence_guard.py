from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor

from callbacks.checkpoints import LastCheckpoint
from callbacks.divergence_guard import DivergenceGuard, TrainingDiverged
from components.errors import InputError
from tests.callbacks.tiny import TinyModule, fit


def test_names_step_and_term(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged) as caught:
        fit(tmp_path, [DivergenceGuard(every_n_steps=1)], module=TinyModule(bad_step=1))
    lines = str(caught.value).splitlines()
    assert lines[0] == "the loss is not finite since step 2 (epoch 0): kl"
    assert "optimizer.lr" in lines[1]


def test_a_module_that_returns_the_loss_alone(tmp_path: Path) -> None:
    class Bare(TinyModule):
        def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:  # type: ignore[override]
            terms = super().training_step(batch, batch_idx)
            named = {f"train/{name}": value for name, value in terms.items() if name in ("rc", "kl")}
            self.log_dict({"train/kl": named["train/kl"], "train/vel": named["train/rc"]}, on_step=False, on_epoch=True)
            return terms["loss"]

    with pytest.raises(TrainingDiverged, match=r"since step 2 \(epoch 0\): train/kl\n"):
        fit(tmp_path, [DivergenceGuard(1)], module=Bare(bad_step=1))


def test_between_looks_the_first_bad_step_is_remembered(tmp_path: Path) -> None:
    module = TinyModule(bad_step=1)
    with pytest.raises(TrainingDiverged, match="since step 2"):
        fit(tmp_path, [DivergenceGuard(every_n_steps=100)], module=module)
    assert len(module.losses) == 3  # the end of the epoch


def test_a_diverged_epoch_does_not_reach_last_ckpt(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged):
        fit(tmp_path, [LastCheckpoint(str(tmp_path)), DivergenceGuard()], module=TinyModule(bad_step=4), max_epochs=3)
    weights = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())


@pytest.mark.parametrize("options", [{}, {"fast_dev_run": True}, {"precision": "bf16-mixed"}])
def test_a_healthy_run_is_left_alone(tmp_path: Path, options: dict) -> None:
    module, _ = fit(tmp_path, [DivergenceGuard(2)], **options)
    assert module.losses


def test_no_look_between_intervals(tmp_path: Path) -> None:
    """A look waits for the device, so it must not happen in every step."""

    class Count(Callback):
        looks = 0

    guard = DivergenceGuard(every_n_steps=3)
    look = guard._look

    def counted(trainer: object) -> None:
        Count.looks += 1
        look(trainer)

    guard._look = counted  # type: ignore[method-assign]
    module, _ = fit(tmp_path, [guard])
    assert (len(module.losses), Count.looks) == (6, 4)  # once in three batches, once at the end of an epoch


def test_settings_are_checked() -> None:
    with pytest.raises(InputError, match="every_n_steps=0"):
        DivergenceGuard(0)
