"""A sweep is finished when its table is: written when the last job has ended, failed jobs included."""

import atexit
import logging
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

log = logging.getLogger(__name__)


class SweepTable(Callback):
    """Hydra callback that collects a multirun's results into `table.{csv,md,tex}` in the sweep folder."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        # Hydra leaves out on_multirun_end when a job has failed, and then the table matters most.
        atexit.register(_collect, Path(config.hydra.sweep.dir).absolute())


def _collect(folder: Path) -> None:
    from entrypoints.collect import collect_folder

    if folder.is_dir() and any(folder.glob("*/run.json")):
        collect_folder(folder)
