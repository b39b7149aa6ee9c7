"""One line per event, on the terminal and in `train.log`: Lightning's own handlers would print each line twice."""

import logging
import warnings
from pathlib import Path

_FORMAT = logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
# Advertising and notes about things that are meant to be so.
_NOISE = (
    "💡 Tip",
    "TPU available",
    "Trainer already configured with model summary",
    "distributed_backend=",
    "All distributed processes registered",
    "---------",
)


class _WithoutNoise(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().strip().startswith(_NOISE)


def quiet_lightning() -> None:
    """Send Lightning's lines through the root logger once, without its tips and known-harmless warnings."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning", "lightning.pytorch.utilities.rank_zero"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for handler in logging.getLogger().handlers:
        handler.addFilter(_WithoutNoise())
    for message in (
        r".*isinstance\(treespec, LeafSpec\).*",
        r".*does not have many workers.*",
        r".*The number of training batches .* is smaller than the logging interval.*",
        # Ours are written inside an epoch where the loader can start there, which Lightning cannot know.
        r".*resuming from a checkpoint that ended before the epoch ended.*",
        # Numbers about the data are those of all processes already.
        r".*recommended to use `self.log\('data/.*sync_dist=True.*",
        # A module may look at a batch before it is transferred.
        r".*overridden `on_before_batch_transfer` in `LightningModule` but have passed.*",
        # Frozen parts of a module are meant to be.
        r".*Found .* module\(s\) in eval mode at the start of training.*",
        r".*Checkpoint directory .* exists and is not empty.*",
        r".*Experiment logs directory .* exists and is not empty.*",
    ):
        warnings.filterwarnings("ignore", message=message)


def log_to_run_folder(run_dir: Path, *, first_rank: bool) -> None:
    """Logging of a rank, which has no Hydra to set it up: rank 0 to terminal and `train.log`, the others to stderr."""
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if first_rank:
        handlers.append(logging.FileHandler(run_dir / "train.log"))
    for handler in handlers:
        handler.setFormatter(_FORMAT)
        root.addHandler(handler)
