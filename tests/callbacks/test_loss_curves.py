from pathlib import Path

import numpy as np
from PIL import Image

from callbacks.loss_curves import LossCurves, draw_grid, draw_run, read_curves, wants_log_axis
from callbacks.metrics_csv import MetricsCSVLogger
from tests.callbacks.tiny import fit


def test_pictures_of_a_fit(tmp_path: Path) -> None:
    curves = LossCurves(str(tmp_path), monitor="val/loss", every_n_epochs=2)
    fit(tmp_path, [curves], logger=MetricsCSVLogger(str(tmp_path)), max_epochs=5)
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["curves.png", "loss.png"]
    with Image.open(tmp_path / "figures" / "loss.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    blue, orange = np.array([43, 108, 176]), np.array([221, 107, 32])
    for colour in (blue, orange):  # both curves are there
        assert (np.abs(pixels - colour).sum(-1) < 30).sum() > 100


def test_drawn_during_training(tmp_path: Path) -> None:
    stamps = []

    class Watch(LossCurves):
        def on_train_epoch_end(self, trainer: object, pl_module: object) -> None:
            file = tmp_path / "figures" / "loss.png"
            stamps.append(file.stat().st_mtime_ns if file.exists() else 0)

    fit(tmp_path, [Watch(str(tmp_path), every_n_epochs=2)], logger=MetricsCSVLogger(str(tmp_path)), max_epochs=5)
    assert stamps[:2] == [0, 0]
    assert 0 < stamps[2] == stamps[3] < stamps[4]


def test_without_a_csv_there_is_nothing_to_draw(tmp_path: Path) -> None:
    fit(tmp_path, [LossCurves(str(tmp_path))])
    fit(tmp_path, [LossCurves(str(tmp_path))], fast_dev_run=True)
    assert not (tmp_path / "figures").exists()


def test_curves_are_epoch_means(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    rows = ["epoch,step,train/loss_step,train/loss_epoch,val/loss,test/loss,lr-Adam"]
    rows += [f"{e},{2 * e + s},{e + s},,,," for e in range(3) for s in range(2)]
    rows += ["0,1,,,0.5,,0.1", "1,3,,,nan,,0.1", "2,5,,,0.3,7,"]
    file.write_text("\n".join(rows) + "\n")
    quantities, axis = read_curves(file)
    assert axis == "epoch"
    assert quantities["loss"]["train"] == [(1, 0.5), (2, 1.5), (3, 2.5)]
    assert [x for x, _ in quantities["loss"]["val"]] == [1, 2, 3]
    assert quantities["lr-Adam"] == {"": [(1, 0.1), (2, 0.1)]}
    assert "test" not in quantities["loss"]
    assert len(draw_run(tmp_path, "val/loss")) == 2  # the nan is a gap, not an error


def test_a_short_run_is_shown_by_step(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("epoch,step,train/loss\n0,0,3\n0,1,2\n")
    assert read_curves(tmp_path / "metrics.csv") == ({"loss": {"train": [(1, 3), (2, 2)]}}, "step")


def test_log_axis_only_where_it_helps() -> None:
    assert wants_log_axis([100.0, 1.0])
    assert not wants_log_axis([2.0, 1.0])
    assert not wants_log_axis([100.0, -1.0])
    assert not wants_log_axis([])


def test_unused_panels_are_blank() -> None:
    curves = {"train": [(1.0, 1.0), (2.0, 0.5)]}
    figure = draw_grid({name: curves for name in ("a", "b", "loss", "z")}, "epoch", None, "min")
    assert [axes.get_visible() for axes in figure.axes] == [True] * 4 + [False] * 2
    assert figure.axes[0].get_title(loc="left") == "loss"
