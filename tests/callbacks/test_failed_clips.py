"""What the failed clips of a data module become in log, metrics and run card."""

import json
import logging
from pathlib import Path

from lightning.pytorch import LightningDataModule

from callbacks.failed_clips import FailedClips
from callbacks.run_report import RunReport
from datamodules.videowalk.read_failures import ReadFailures
from tests.callbacks.tiny import TinyModule, fit, loader, trainer


class TornData(LightningDataModule):
    """Loses one clip more in every epoch but the last."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.failures = ReadFailures(1.0)

    def train_dataloader(self):
        return loader()

    def on_before_batch_transfer(self, batch, dataloader_idx):
        torn = self.trainer.current_epoch < 2 and self.failures.asked % 3 == 0
        self.failures.record([[("a.mp4", "torn")] if torn else []])
        return batch

    def gather_failures(self):
        return self.failures

    def write_failures(self):
        return self.failures.write(self.folder)

    def facts(self):
        return {"failed_clips": self.failures.facts()}


def test_failures_reach_log_metrics_list_and_run_card(tmp_path: Path, caplog) -> None:
    (tmp_path / "run.json").write_text("{}")
    runner = trainer(tmp_path, [RunReport(str(tmp_path)), FailedClips()], max_epochs=3)
    with caplog.at_level(logging.WARNING, "callbacks.failed_clips"):
        runner.fit(TinyModule(), datamodule=TornData(tmp_path))
    told = [record.message for record in caplog.records if record.name == "callbacks.failed_clips"]
    assert [message.split(",")[0] for message in told] == [
        "epoch 0: 1 of 3 clips could not be read so far", "epoch 1: 2 of 6 clips could not be read so far",
    ]  # fmt: skip
    assert "a.mp4 (2x): torn" in told[1]
    assert float(runner.callback_metrics["data/failed_clips"]) == 2.0
    assert json.loads((tmp_path / "failed_clips.json").read_text())["videos"][0]["count"] == 2
    facts = json.loads((tmp_path / "run.json").read_text())["facts"]
    assert (facts["failed_clips"]["count"], facts["failed_clips"]["asked"]) == (2, 9)


def test_other_data_log_nothing(tmp_path: Path) -> None:
    _, runner = fit(tmp_path, [FailedClips()])
    assert "data/failed_clips" not in runner.callback_metrics
