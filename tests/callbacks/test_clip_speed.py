from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from callbacks.clip_speed import ClipSpeed
from callbacks.metrics_csv import MetricsCSVLogger, read_metrics
from components.errors import InputError
from tests.callbacks.tiny import TinyModule, trainer


class Clips(TinyModule):
    """Takes batches with an entry `clips`, of 4 clips each; a batch takes half a second of a clock of its own."""

    now = 0.0

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        Clips.now += 0.5
        return super().training_step(batch["clips"], batch_idx)


def run(folder: Path, every: int, entry: str = "clips") -> list[float]:
    rows = [{"clips": torch.randn(3)} for _ in range(24)]
    logger = MetricsCSVLogger(str(folder))
    runner = trainer(folder, [ClipSpeed(entry)], logger, log_every_n_steps=every)
    runner.fit(Clips(), DataLoader(rows, batch_size=4))
    return [row["data/clips_per_s"] for row in read_metrics(folder / "metrics.csv") if "data/clips_per_s" in row]


@pytest.mark.parametrize(("every", "lines"), [(3, 4), (5, 2), (50, 2)])
def test_the_speed_is_logged_in_every_epoch(
    every: int, lines: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callbacks.clip_speed.time.monotonic", lambda: Clips.now)
    assert run(tmp_path, every) == [8.0] * lines


def test_batches_without_clips_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"callbacks\.clip_speed\.entry=frames"):
        run(tmp_path, 1, "frames")
