from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from callbacks.checkpoints import BestCheckpoint, LastCheckpoint
from callbacks.epoch_seed import EpochSeed
from callbacks.last_average import LastEpochsAverage
from components.errors import InputError
from tests.callbacks.tiny import TinyModule, fit, loader, trainer


class Watched(TinyModule):
    """With BatchNorm; remembers its state at the end of each epoch and in each validation."""

    def __init__(self) -> None:
        super().__init__(lr=0.05)
        self.net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        self.ends: list[dict[str, torch.Tensor]] = []
        self.validated: list[torch.Tensor] = []

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 2:
            self.ends.append({name: value.detach().clone() for name, value in self.state_dict().items()})

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        if batch_idx == 0:
            self.validated.append(self.net[0].weight.detach().clone())


def mean(states: list[dict[str, torch.Tensor]], name: str) -> torch.Tensor:
    return torch.stack([state[name] for state in states]).mean(0)


def run(folder: Path, epochs: int = 3, **options: Any) -> Watched:
    torch.manual_seed(1)
    callbacks = [EpochSeed(0), LastEpochsAverage(epochs), LastCheckpoint(str(folder), keep_every=True)]
    module, _ = fit(folder, callbacks, module=Watched(), **({"max_epochs": 5, "num_sanity_val_steps": 0} | options))
    return module  # type: ignore[return-value]


def test_the_mean_of_the_last_epochs_stands_in(tmp_path: Path) -> None:
    module = run(tmp_path)
    last = module.ends[2:]
    for name in ("net.0.weight", "net.1.weight", "net.1.running_var"):
        torch.testing.assert_close(module.state_dict()[name], mean(last, name))
    assert int(module.net[1].num_batches_tracked) == 15
    # Until epoch 2 (of 0 to 4) validation sees the weights themselves, then the mean with the epoch that just ended.
    for epoch, seen in enumerate(module.validated):
        torch.testing.assert_close(seen, mean(module.ends[min(epoch, 2) : epoch + 1], "net.0.weight"))
    stored = torch.load(tmp_path / "last.ckpt", weights_only=True)
    torch.testing.assert_close(stored["state_dict"]["net.0.weight"], mean(last, "net.0.weight"))
    torch.testing.assert_close(stored["current_model_state"]["net.0.weight"], last[-1]["net.0.weight"])
    assert "current_model_state" not in torch.load(tmp_path / "epoch_2.ckpt", weights_only=True)


@pytest.mark.parametrize("epochs", [2, 4])
def test_resumed_equals_uninterrupted(epochs: int, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    file = tmp_path / "whole" / f"epoch_{epochs}.ckpt"  # before the mean begins, and with two epochs in it
    rest = run(tmp_path / "rest", ckpt_path=str(file))
    assert rest.losses == whole.losses[3 * epochs :]
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(rest.state_dict()[name], value, rtol=0, atol=0)


def test_best_ckpt_scores_what_validation_saw(tmp_path: Path) -> None:
    callbacks = [LastEpochsAverage(2), BestCheckpoint(str(tmp_path), monitor="val/loss")]
    module, runner = fit(tmp_path, callbacks, module=Watched(), max_epochs=4)
    best = float(runner.checkpoint_callback.best_model_score)  # type: ignore[union-attr]
    scored = runner.test(module, loader(8, 1), ckpt_path="best", weights_only=True, verbose=False)
    alone = trainer(tmp_path, []).test(
        Watched(), loader(8, 1), ckpt_path=str(tmp_path / "best.ckpt"), weights_only=True, verbose=False
    )
    assert scored[0]["test/loss"] == pytest.approx(best, rel=1e-6)
    assert alone[0]["test/loss"] == pytest.approx(best, rel=1e-6)


def test_a_training_that_ends_before_the_mean_begins_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(tmp_path / "short", max_steps=4)
    assert "nothing was averaged" in caplog.text
    assert "begins with epoch 3 of 5" in caplog.text
    caplog.clear()
    run(tmp_path / "whole")
    assert "nothing was averaged" not in caplog.text


def test_settings_are_checked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"callbacks\.last_average\.epochs=0"):
        LastEpochsAverage(0)
    with pytest.raises(InputError, match="last epoch"):
        run(tmp_path, max_epochs=-1, max_steps=4)
