from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback

from callbacks.checkpoints import BestCheckpoint, LastCheckpoint
from callbacks.duration_report import DurationReport
from callbacks.ema import WeightEMA
from callbacks.epoch_seed import EpochSeed
from callbacks.recognition_metrics import FIGURES, RecognitionMetrics
from components.errors import InputError
from components.synthetic.actions import write_humanact12
from entrypoints.runs import build_datamodule, build_module
from entrypoints.tasks.evaluate_recognition import load_recognizer
from tests.callbacks.tiny import trainer
from tests.entrypoints.actor_run import NAMES, actor_config
from tests.entrypoints.recognizer_run import recognizer_config, write_recognizer


@pytest.fixture(scope="module")
def motions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("motions")
    write_humanact12(folder, clips_per_action=2)
    return folder


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_recognizer(tmp_path_factory.mktemp("recognizer")))


class Curve(Callback):
    """What is logged in each validation, and the weights that are trained."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.weights: list[float] = []

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if not trainer.sanity_checking:
            logged = trainer.callback_metrics.items()
            self.rows.append({name: float(value) for name, value in logged if name.startswith("val/")})

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.weights.append(float(pl_module.net.decoder.pose_head.weight.detach().sum()))


def fit(folder: Path, motions: Path, callbacks: list[Callback], ckpt_path: str | None = None, epochs: int = 2) -> Curve:
    config = actor_config(str(motions))
    torch.manual_seed(3)
    module, data, curve = build_module(config), build_datamodule(config), Curve()
    runner = trainer(folder, [EpochSeed(0), *callbacks, curve], max_epochs=epochs)
    runner.fit(module, datamodule=data, ckpt_path=ckpt_path, weights_only=True)
    return curve


def test_figures_are_logged_and_the_training_stays_as_it_was(motions: Path, recognizer: str, tmp_path: Path) -> None:
    def watched() -> RecognitionMetrics:
        return RecognitionMetrics(recognizer, load_recognizer, samples=30)

    with_it = fit(tmp_path, motions, [watched(), BestCheckpoint(str(tmp_path / "best"), monitor="val/fid")], epochs=3)
    without = fit(tmp_path, motions, [], epochs=3)
    assert with_it.weights == without.weights
    assert [row["val/rc"] for row in with_it.rows] == [row["val/rc"] for row in without.rows]
    for name in FIGURES:
        values = [row[f"val/{name}"] for row in with_it.rows]
        assert torch.tensor(values).isfinite().all()
        if name in ("fid", "kid"):  # weights change, everything else is the same each time
            assert len(set(values)) == 3
    assert (tmp_path / "best" / "best.ckpt").is_file()
    # A resumed fit gives the same figures.
    fit(tmp_path, motions, [watched(), LastCheckpoint(str(tmp_path / "half"))], epochs=2)
    rest = fit(tmp_path, motions, [watched()], str(tmp_path / "half" / "last.ckpt"), epochs=3)
    assert rest.rows == with_it.rows[2:]


def test_it_looks_at_the_averaged_weights_wherever_it_stands(motions: Path, recognizer: str, tmp_path: Path) -> None:
    seen: list[dict[str, float]] = []
    for order in (1, -1):
        callbacks = [RecognitionMetrics(recognizer, load_recognizer, samples=12), WeightEMA(0.9)][::order]
        seen.append(fit(tmp_path, motions, callbacks, epochs=1).rows[0])
    raw = fit(tmp_path, motions, [RecognitionMetrics(recognizer, load_recognizer, samples=12)], epochs=1).rows[0]
    assert seen[0] == seen[1]
    assert seen[0]["val/fid"] != raw["val/fid"]


def test_equal_motions_have_distance_zero(motions: Path, recognizer: str) -> None:
    config = actor_config(str(motions))
    module, data = build_module(config), build_datamodule(config)
    data.prepare_data()
    data.setup("fit")
    callback = RecognitionMetrics(recognizer, load_recognizer, samples=12)
    callback.setup(SimpleNamespace(checkpoint_callbacks=[], check_val_every_n_epoch=1, datamodule=data), module, "fit")  # type: ignore[arg-type]
    first = callback.measure(module, data)
    assert first == callback.measure(module, data)
    assert first["fid"] > 1e-6
    assert callback._real is not None
    assert set(callback._real.labels.tolist()) <= set(range(len(NAMES)))
    # A generator that gives back the real motions.
    rows = callback._choice(len(data.val_set), 12)
    data.val_set.centred = False
    clips = [data.val_set[row]["motion"] for row in rows]
    module.net.decode = lambda z, *_: torch.stack(clips)
    real = callback.measure(module, data)
    assert real["fid"] == pytest.approx(0, abs=1e-8)


def test_settings_are_checked_before_the_training(motions: Path, recognizer: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="samples=1"):
        RecognitionMetrics(recognizer, load_recognizer, samples=1)
    seldom = RecognitionMetrics(recognizer, load_recognizer, every_n_epochs=2)
    best = BestCheckpoint(str(tmp_path), monitor="val/fid")
    with pytest.raises(InputError, match="every_n_epochs=0"):
        fit(tmp_path, motions, [seldom, best])
    with pytest.raises(InputError, match="/nowhere does not exist"):
        fit(tmp_path, motions, [RecognitionMetrics("/nowhere", load_recognizer)])


def test_recognisers_have_nothing_to_be_judged(motions: Path, recognizer: str) -> None:
    module, data = build_module(recognizer_config()), build_datamodule(actor_config(str(motions)))
    callback = RecognitionMetrics(recognizer, load_recognizer)
    with pytest.raises(InputError, match="RecognizerModule makes none"):
        callback.setup(SimpleNamespace(checkpoint_callbacks=[], check_val_every_n_epoch=1, datamodule=data), module, "fit")  # type: ignore[arg-type]  # noqa: E501  # fmt: skip


def test_mixtures_among_the_evaluation_clips_are_left_out(motions: Path, recognizer: str) -> None:
    mix = {"_target_": "datamodules.actor.compositional.CompositionalClasses", "num_pairs": 1, "clips_per_class": 1,
           "pairs": [["walk", "drink"]], "validation": True}  # fmt: skip
    config = actor_config(str(motions), "single", mix=mix, num_classes=13, val_fraction=0.5)
    config["model"]["net"]["num_classes"] = 13
    module, data = build_module(config), build_datamodule(config)
    data.prepare_data()
    data.setup("fit")
    assert 12 in data.val_set.labels
    callback = RecognitionMetrics(recognizer, load_recognizer, samples=13)
    callback.setup(SimpleNamespace(checkpoint_callbacks=[], check_val_every_n_epoch=1, datamodule=data), module, "fit")  # type: ignore[arg-type]  # fmt: skip
    assert callback.measure(module, data)["fid"] >= 0
    assert callback._real is not None
    assert callback._real.labels.max() < 12
    assert DurationReport(str(motions), [5]).measure(module, data)[5] > 0
