"""The batch samplers in real fits: two gloo processes under Lightning's injection, and a resumed run with workers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.datamodules import toy


@pytest.mark.slow
def test_two_processes_share_the_batches(tmp_path):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for name in ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_PORT", "MASTER_ADDR"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "tests.datamodules.ddp_fit", str(tmp_path)]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, env=environment, cwd=root, timeout=120, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2)]
    seen = [entry for rank in ranks for entry in rank["seen"]]

    # Lightning did put a sampler of its own into ours, and ours is still in charge.
    assert {entry["class"] for entry in seen} == {"GroupedBatchSampler"}
    assert {entry["sampler"] for entry in seen} == {"torch.utils.data.distributed"}

    train = [entry for entry in seen if entry["stage"] == "train"]
    orders = []
    for epoch in range(3):
        counts, samples = [], []
        for rank in range(2):
            batches = [e["draws"] for e in train if (e["epoch"], e["rank"]) == (epoch, rank)]
            counts.append(len(batches))
            for draws in batches:
                labels = [toy.LABELS[sample] for sample, _ in draws]
                blocks = [set(labels[:4]), set(labels[4:])]
                assert all(len(block) == 1 for block in blocks)
                assert blocks[0] != blocks[1]
            samples.append([sample for draws in batches for sample, _ in draws if toy.LABELS[sample] != 3])
        assert counts[0] == counts[1] > 0
        assert not set(samples[0]) & set(samples[1])
        assert all(len(set(rank)) == len(rank) for rank in samples)
        orders.append(samples)
    assert orders[0] != orders[1] != orders[2]

    for epoch in range(3):
        val = [e for e in seen if (e["stage"], e["epoch"]) == ("val", epoch)]
        assert sorted(sample for e in val for sample, _ in e["draws"]) == list(range(toy.VAL_SAMPLES))
    expected = sum(range(toy.VAL_SAMPLES)) / toy.VAL_SAMPLES
    assert all(rank["mean"] == pytest.approx(expected) for rank in ranks)


@pytest.mark.slow
@pytest.mark.parametrize("at_train_end", [True, False], ids=["after the epoch", "by the validation"])
def test_resumed_run_sees_the_same_batches(tmp_path, at_train_end):
    from lightning.pytorch import Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint

    def fit(folder: Path, epochs: int, checkpoint: Path | None = None) -> list:
        folder.mkdir()
        callback = ModelCheckpoint(
            folder, filename="{epoch}", save_top_k=-1, save_on_train_epoch_end=at_train_end, every_n_epochs=1
        )
        trainer = Trainer(
            accelerator="cpu", devices=1, max_epochs=epochs, logger=False, callbacks=[callback],
            enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        )  # fmt: skip
        module = toy.ToyModule(folder)
        trainer.fit(module, datamodule=toy.ToyData(num_workers=1), ckpt_path=checkpoint)
        return [entry["draws"] for entry in module.seen if entry["stage"] == "train"]

    whole = fit(tmp_path / "whole", 3)
    begun = fit(tmp_path / "begun", 2)
    resumed = fit(tmp_path / "resumed", 3, tmp_path / "begun" / "epoch=1.ckpt")
    assert begun + resumed == whole
