from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from callbacks.motion_pictures import MotionPictures
from components.body.pose_format import PoseFormat
from components.errors import InputError
from components.media import read_video
from entrypoints.runs import build_module
from tests.entrypoints.actor_run import NAMES, actor_config

DATA = SimpleNamespace(action_names=tuple(NAMES), pose_format=PoseFormat(translation=False), fps=20)


def test_pictures_leave_training_as_it_was(tmp_path: Path) -> None:
    module = build_module(actor_config()).train()
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    file = MotionPictures(str(tmp_path), ["walk", "walk+drink"], size=32).draw(module, DATA)
    assert torch.equal(before, torch.random.get_rng_state())
    assert module.training
    assert module.net.training
    assert all(parameter.grad is None for parameter in module.parameters())
    assert file == tmp_path / "figures" / "samples.png"
    film = read_video(tmp_path / "videos" / "samples.mp4")
    assert len(film.frames) == module.net.sizes.num_frames
    assert film.fps == pytest.approx(20)
    with Image.open(file) as picture:
        assert picture.width >= 150


def test_it_draws_every_so_many_epochs_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    pictures = MotionPictures(str(tmp_path), every_n_epochs=2)
    trainer = SimpleNamespace(current_epoch=0, is_global_zero=True, fast_dev_run=False, datamodule=DATA)
    monkeypatch.setattr(pictures, "draw", lambda module, data: drawn.append(trainer.current_epoch))
    for epoch in range(5):
        trainer.current_epoch = epoch
        pictures.on_train_epoch_start(trainer, None)  # type: ignore[arg-type]
    pictures.on_fit_end(trainer, None)  # type: ignore[arg-type]
    assert drawn == [2, 4, 4]
    trainer.fast_dev_run = True
    pictures.on_fit_end(trainer, None)  # type: ignore[arg-type]
    trainer.fast_dev_run, trainer.is_global_zero = False, False
    pictures.on_fit_end(trainer, None)  # type: ignore[arg-type]
    assert len(drawn) == 3


def test_a_bad_action_does_not_stop_the_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trainer = SimpleNamespace(current_epoch=0, is_global_zero=True, fast_dev_run=False, datamodule=DATA)
    MotionPictures(str(tmp_path), ["wlak"]).on_fit_end(trainer, build_module(actor_config()))  # type: ignore[arg-type]
    assert "unknown action 'wlak'" in caplog.text
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize("values", [{"every_n_epochs": -1}, {"max_actions": 0}, {"size": 3}])
def test_values_out_of_range(tmp_path: Path, values: dict[str, int]) -> None:
    with pytest.raises(InputError, match=next(iter(values))):
        MotionPictures(str(tmp_path), **values)  # type: ignore[arg-type]
