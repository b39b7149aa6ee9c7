from pathlib import Path

import pytest
import torch

from callbacks.checkpoints import BestCheckpoint, LastCheckpoint
from callbacks.ema import WeightEMA
from callbacks.epoch_seed import EpochSeed
from components.errors import InputError
from tests.callbacks.tiny import TinyModule, fit, loader, trainer


def test_the_average_is_an_exponential_mean_with_warm_up(tmp_path: Path) -> None:
    class Watched(TinyModule):
        def on_train_batch_end(self, outputs: object, batch: object, batch_idx: int) -> None:
            seen.append(self.net[0].weight.detach().clone())

    seen: list[torch.Tensor] = []
    module, _ = fit(tmp_path, [WeightEMA(decay=0.4)], module=Watched())
    expected = seen[0]
    for step, weight in enumerate(seen[1:], start=1):
        decay = min(0.4, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight
    torch.testing.assert_close(module.net[0].weight.detach(), expected)


def test_index_buffers_stay_whole(tmp_path: Path) -> None:
    module, _ = fit(tmp_path, [WeightEMA(0.9)], max_epochs=5)
    assert module.index.tolist() == list(range(7))


def test_best_ckpt_scores_what_validation_saw(tmp_path: Path) -> None:
    callbacks = [WeightEMA(0.9), BestCheckpoint(str(tmp_path), monitor="val/loss")]
    module, runner = fit(tmp_path, callbacks, max_epochs=4)
    best = float(runner.checkpoint_callback.best_model_score)
    with_callback = runner.test(module, loader(8, 1), ckpt_path="best", weights_only=True, verbose=False)
    alone = trainer(tmp_path, []).test(
        TinyModule(), loader(8, 1), ckpt_path=str(tmp_path / "best.ckpt"), weights_only=True, verbose=False
    )
    assert with_callback[0]["test/loss"] == pytest.approx(best, rel=1e-6)
    assert alone[0]["test/loss"] == pytest.approx(best, rel=1e-6)


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    whole, _ = fit(tmp_path, [EpochSeed(0), WeightEMA(0.9)], max_epochs=4)
    fit(tmp_path, [EpochSeed(0), WeightEMA(0.9), LastCheckpoint(str(tmp_path))], max_epochs=2)
    rest, _ = fit(tmp_path, [EpochSeed(0), WeightEMA(0.9)], max_epochs=4, ckpt_path=str(tmp_path / "last.ckpt"))
    assert rest.losses == whole.losses[6:]
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(rest.state_dict()[name], value, rtol=0, atol=0)


def test_fast_dev_run(tmp_path: Path) -> None:
    module, _ = fit(tmp_path, [WeightEMA()], fast_dev_run=True)
    assert module.losses


@pytest.mark.parametrize("decay", [0.0, 1.0, 2.0])
def test_settings_are_checked(decay: float) -> None:
    with pytest.raises(InputError, match=r"callbacks\.ema\.decay"):
        WeightEMA(decay)
