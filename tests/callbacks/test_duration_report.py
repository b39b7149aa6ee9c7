import csv
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from callbacks.duration_report import DurationReport
from components.errors import InputError
from datamodules.actor.frames import FrameSampling
from entrypoints.runs import build_module
from tests.entrypoints.actor_run import actor_config


class Clips:
    """Still poses; as many frames as the sampling says."""

    sampling = FrameSampling(-2, min_len=5, max_len=9)

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> dict[str, object]:
        frames = self.sampling.choose(100, lambda low, high: low)
        return {"motion": torch.full((24, 6, len(frames)), float(index)), "action": index, "seed": 0}


DATA = SimpleNamespace(val_set=Clips(), batch_size=2)


def test_it_measures_each_length_before_and_after(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = build_module(actor_config()).train()
    trainer = SimpleNamespace(is_global_zero=True, fast_dev_run=False, datamodule=DATA)
    report = DurationReport(str(tmp_path), [7, 4])
    report.on_train_start(trainer, module)  # type: ignore[arg-type]
    resumed = DurationReport(str(tmp_path), [4, 7])
    resumed.load_state_dict(report.state_dict())
    with torch.no_grad():
        module.net.decoder.pose_head.weight.zero_()
        module.net.decoder.pose_head.bias.zero_()
    resumed.on_train_start(trainer, module)  # type: ignore[arg-type]
    resumed.on_fit_end(trainer, module)  # type: ignore[arg-type]
    rows = list(csv.DictReader((tmp_path / "durations.csv").open()))
    assert [row["frames"] for row in rows] == ["4", "7"]
    # Zeros for poses of all 0, 1 and 2.
    assert [float(row["rc_after"]) for row in rows] == pytest.approx([5 / 3, 5 / 3], rel=1e-4)
    assert all(float(row["rc_before"]) != pytest.approx(5 / 3, rel=1e-4) for row in rows)
    assert module.net.training
    assert DATA.val_set.sampling.num_frames == -2


def test_lengths_are_checked(tmp_path: Path) -> None:
    for frames in ([], [0]):
        with pytest.raises(InputError, match=r"callbacks\.durations\.frames"):
            DurationReport(str(tmp_path), frames)
