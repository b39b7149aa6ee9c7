"""Started by a test: fits the toy on two gloo processes and writes what each saw into the folder it is given."""

import os
import sys
from pathlib import Path

from lightning.pytorch import Trainer

from tests.datamodules.toy import ToyData, ToyModule


def main() -> None:
    trainer = Trainer(
        accelerator="cpu", devices=2, strategy="ddp", max_epochs=3, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(ToyModule(Path(sys.argv[1])), datamodule=ToyData())


if __name__ == "__main__":
    main()
    # Threads of gloo that meet a dying interpreter abort the process at times.
    os._exit(0)
