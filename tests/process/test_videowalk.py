"""videowalk from the command line: a kill inside an epoch, two processes."""

import json
from pathlib import Path

import pytest
import torch

from tests.datamodules.videowalk.video_folder import write_folder
from tests.lightning_modules.videowalk.networks.released_files import resnet, torchvision_content
from tests.process.command_line import curve, only_run, run, start

pytestmark = pytest.mark.slow

SMALL = ("model.encoder.width=4", "model.encoder.remove_layers=[layer4]", "data.img_size=32", "data.patch_size=16",
         "data.clip_len=3", "data.batch_size=2", "data.num_workers=0", "callbacks=videowalk")  # fmt: skip


def test_a_run_killed_inside_an_epoch_goes_on_with_the_same_curve(tmp_path: Path) -> None:
    videos = write_folder(tmp_path / "videos", videos=4)
    arguments = ("experiment=videowalk", *SMALL[:-2], "callbacks=[videowalk,last_average]", "data.num_workers=1",
                 f"data.root={videos}", f"data.cache_dir={tmp_path / 'cache'}", "trainer=cpu", "trainer.max_epochs=3",
                 "trainer.check_val_every_n_epoch=1", "scheduler=multistep", "scheduler.milestones=[2]",
                 "~scheduler.warmup_epochs", "monitor.name=val/cycle_acc",
                 "callbacks.last_average.epochs=2", "test=false",
                 # only inside epochs, which have ten steps
                 "callbacks.checkpoint.every_n_epochs=100", "callbacks.checkpoint.every_n_steps=3")  # fmt: skip
    # A kill in the second epoch would leave the copy; the run itself goes on to the end, to be compared with.
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = start("train", *arguments, f"paths.output_dir={whole}",
                    dies="lightning_modules.videowalk.module:VideoWalkModule.training_step@14",
                    COPY_INSTEAD=f"{whole}:{killed}")  # fmt: skip
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    output = run("train", *arguments, f"paths.output_dir={killed}", "resume=auto")
    assert "last.ckpt in epoch" in output
    losses = _losses(only_run(whole))
    assert _losses(only_run(killed)) == losses
    assert [sum(name in row for row in losses) for name in ("train/loss", "val/loss")] == [3, 3]
    card = json.loads((only_run(killed) / "run.json").read_text())
    assert (card["resumed"], card["steps"]) == (1, 30)


def _losses(folder: Path) -> list[dict[str, str]]:
    """What was logged, but for the speed."""
    rows = [{name: value for name, value in row.items() if name != "data/clips_per_s"} for row in curve(folder)]
    return [row for row in rows if row.keys() - {"epoch", "step"}]


def test_two_processes_share_the_clips(tmp_path: Path) -> None:
    weights = tmp_path / "resnet18.pth"
    torch.save(torchvision_content(resnet()), weights)
    run("train", "experiment=videowalk", "model=videowalk_imagenet18", f"model.encoder.weights={weights}", *SMALL[:-1],
        "callbacks=[videowalk,last_average]", "monitor.name=val/cycle_acc",
        f"data.root={write_folder(tmp_path / 'videos', videos=4)}",
        f"data.cache_dir={tmp_path / 'cache'}", "trainer=ddp_cpu", "trainer.max_epochs=2",
        f"paths.output_dir={tmp_path / 'out'}")  # fmt: skip
    folder = only_run(tmp_path / "out")
    card = json.loads((folder / "run.json").read_text())
    # Five clips of each of four videos, two a step of each process.
    assert (card["world_size"], card["effective_batch"], card["steps"]) == (2, 4, 10)
    assert 0 <= json.loads((folder / "metrics.json").read_text())["test/cycle_acc"] <= 1
    assert any("data/clips_per_s" in row for row in curve(folder))
