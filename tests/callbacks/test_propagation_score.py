from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule

from callbacks.ema import WeightEMA
from callbacks.epoch_seed import EpochSeed
from callbacks.propagation_score import PropagationScore
from components.errors import InputError
from components.metrics.davis import DavisScore
from datamodules.videowalk.davis import read_davis
from entrypoints.runs import build_module
from lightning_modules.videowalk.mask_scoring import score_masks
from lightning_modules.videowalk.propagation.settings import PropagationSettings
from tests.callbacks.tiny import TinyModule, trainer
from tests.entrypoints.videowalk_run import walk_config, write_davis_set

FIGURES = ("val/jf", "val/j", "val/f")


class Curve(Callback):
    """What each validation logs, the weights that are trained and numbers drawn along."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.scored: list[float] = []
        self.drawn: list[float] = []
        self.root: Path | None = None

    def on_validation_end(self, trainer: Any, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self.rows.append({name: float(value) for name, value in trainer.callback_metrics.items() if "val" in name})

    def on_validation_batch_end(self, trainer: Any, pl_module: Any, *rest: Any) -> None:
        self.drawn.append(float(torch.rand(())))
        if self.root is not None and not trainer.sanity_checking:
            score = score_masks(pl_module.features(), read_davis(self.root), PropagationSettings(context=2, size=32))
            self.scored.append(float(score.compute()["J&F-Mean"]))


def fit(folder: Path, callbacks: list[Callback], epochs: int = 2, root: Path | None = None) -> Curve:
    torch.manual_seed(3)
    module, curve = build_module(walk_config()), Curve()
    curve.root = root
    clips = torch.rand(2, 3, 12, 16, 16, generator=torch.Generator().manual_seed(0))
    batches = torch.utils.data.DataLoader([{"clips": clip} for clip in clips], batch_size=2)
    trainer(folder, [EpochSeed(0), *callbacks, curve], max_epochs=epochs).fit(module, batches, batches)
    return curve


def watch(root: Path | str | None, **options: Any) -> PropagationScore:
    return PropagationScore(None if root is None else str(root), **{"size": 32, "context": 2, **options})


def test_scores_are_those_of_the_validated_weights_and_training_stays(tmp_path: Path) -> None:
    root = write_davis_set(tmp_path / "davis", frames=4)
    with_it = fit(tmp_path, [watch(root), WeightEMA(0.5)], root=root)
    without = fit(tmp_path, [WeightEMA(0.5)])
    assert with_it.drawn == without.drawn
    assert [row["val/loss"] for row in with_it.rows] == [row["val/loss"] for row in without.rows]
    assert [row["val/jf"] for row in with_it.rows] == pytest.approx(with_it.scored, abs=1e-6)
    for row in with_it.rows:
        assert row["val/jf"] == pytest.approx((row["val/j"] + row["val/f"]) / 2, abs=1e-6)
        assert 0 < row["val/j"] < 1


def test_it_looks_every_so_many_epochs_at_so_much(tmp_path: Path) -> None:
    root = write_davis_set(tmp_path / "davis", ("bear", "cow", "dog"), frames=5)
    seldom = watch(root, every_n_epochs=2, max_sequences=2, max_frames=3)
    curve = fit(tmp_path, [seldom], epochs=3)
    # The value of epoch 2 stays until the next look.
    first, second, third = curve.rows
    assert "val/jf" not in first
    assert second["val/jf"] == third["val/jf"]
    assert second["val/loss"] != third["val/loss"]
    assert [(film.name, len(film), len(film.masks)) for film in seldom._films] == [("bear", 3, 3), ("cow", 3, 3)]


def test_without_films_some_are_painted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "callbacks.propagation_score._PAINTED", dict(sequences=1, frames=3, height=48, width=64, seed=1)
    )
    curve = fit(tmp_path, [watch(None, synthetic=str(tmp_path / "made"))], epochs=1)
    assert set(FIGURES) <= set(curve.rows[0])
    assert (tmp_path / "made" / "ImageSets" / "2017" / "val.txt").is_file()


def test_faults_are_found_before_the_training(tmp_path: Path) -> None:
    module = TinyModule()
    with pytest.raises(InputError, match="carries labels by features of pictures, and TinyModule has none"):
        watch(tmp_path).setup(trainer(tmp_path, []), module, "fit")
    walk = build_module(walk_config())
    with pytest.raises(InputError, match="not in the layout of DAVIS"):
        watch(tmp_path).setup(trainer(tmp_path, []), walk, "fit")
    short = write_davis_set(tmp_path / "short", ("bear",), frames=2)
    with pytest.raises(InputError, match="bear has 2 frames"):
        watch(short).setup(trainer(tmp_path, []), walk, "fit")
    with pytest.raises(InputError, match="JPEGImages/1080p is missing"):
        watch(short, resolution="1080p").setup(trainer(tmp_path, []), walk, "fit")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_frames": 2}, "max_frames=2"),
        ({"max_sequences": -1}, "max_sequences=-1"),
        ({"every_n_epochs": -1}, r"callbacks\.propagation_score\.every_n_epochs=-1"),
        ({"radius": 0.0}, r"callbacks\.propagation_score\.radius=0\.0"),
    ],
)
def test_values_out_of_range(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        watch("nowhere", **values)


@pytest.mark.parametrize("broken", [False, True])
def test_processes_agree_and_a_bad_file_ends_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bool) -> None:
    root = write_davis_set(tmp_path / "davis", ("bear",), frames=4)
    if broken:
        (root / "Annotations" / "480p" / "bear" / "00002.png").write_bytes(b"no picture")

    def wait_for_all(metric: DavisScore) -> None:
        raise AssertionError("the first process waits for the others in a metric")

    monkeypatch.setattr(DavisScore, "compute", wait_for_all)
    told: list[Any] = []

    def broadcast(value: Any) -> Any:
        if not told:  # the first process speaks first
            told.append(value)
        return told[0]

    module: Any = build_module(walk_config())
    logged: list[dict[str, float]] = []
    module.log_dict = lambda named, **_: logged.append(named)
    for rank in range(2):
        runner: Any = SimpleNamespace(
            is_global_zero=rank == 0, world_size=2, sanity_checking=False, current_epoch=0, check_val_every_n_epoch=1,
            checkpoint_callbacks=[], strategy=SimpleNamespace(broadcast=broadcast),
        )  # fmt: skip
        callback = watch(root)
        callback.setup(runner, module, "fit")
        callback.on_validation_batch_start(runner, module, None, 0)
        if broken:
            with pytest.raises(InputError, match=r"00002\.png"):
                callback.on_validation_epoch_end(runner, module)
        else:
            callback.on_validation_epoch_end(runner, module)
    assert len(logged) == (0 if broken else 2)
    assert all(row == logged[0] and set(row) == set(FIGURES) for row in logged)
