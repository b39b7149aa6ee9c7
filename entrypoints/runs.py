"""Run folders and checkpoints: finding, reading and rebuilding them."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from components.errors import InputError
from components.files.checkpoint_entry import CHECKPOINT_FORMAT, CHECKPOINT_KEY

# Which weights of a run trained with callbacks=ema or last_average: their average over time, or those of the last step.
Weights = Literal["average", "raw"]
# Where Lightning's weight averaging keeps the latter; `state_dict` is the average then.
_RAW_WEIGHTS = "current_model_state"


@dataclass(frozen=True)
class LoadedRun:
    """A checkpoint with what is needed to rebuild its model and data.

    `run_dir` is the folder that results of this run belong to (the checkpoint's own folder for a lone file).
    """

    run_dir: Path
    checkpoint_path: Path
    checkpoint: dict[str, Any]
    config: dict[str, Any]
    facts: dict[str, Any]

    @property
    def system(self) -> str:
        """The paper, e.g. `actor`."""
        return str(self.checkpoint[CHECKPOINT_KEY]["system"])

    @property
    def experiment(self) -> str:
        """Name of the experiment, e.g. `actor_mix`."""
        return str(self.checkpoint[CHECKPOINT_KEY]["experiment"])

    @property
    def is_recognizer(self) -> bool:
        """Whether the run tells motions apart rather than making them."""
        return str(self.config["model"]["_target_"]).endswith(".RecognizerModule")

    @property
    def has_average(self) -> bool:
        """Whether the run kept an average of its weights (`callbacks=ema`)."""
        return _RAW_WEIGHTS in self.checkpoint

    def state(self, weights: Weights = "average") -> dict[str, Any]:
        """The weights of the model, `weights` as in `load_module`."""
        state: dict[str, Any] = self.checkpoint[_RAW_WEIGHTS if weights == "raw" and self.has_average else "state_dict"]
        return state


def find_checkpoint(run: str | Path) -> Path:
    """The checkpoint of a run folder (best, else last) or the file itself.

    Raises:
        InputError: no such path, or a folder without a checkpoint.
    """
    path = Path(run).expanduser()
    if path.is_file():
        return path
    if not path.exists():
        raise InputError(
            f"run={path} does not exist; give a run folder (outputs/<experiment>/<date>_<time>) or a .ckpt file"
        )
    for candidate in (path / "checkpoints" / "best.ckpt", path / "checkpoints" / "last.ckpt"):
        if candidate.is_file():
            return candidate
    newest = sorted(path.glob("*/checkpoints/*.ckpt"), key=lambda file: file.stat().st_mtime)
    hint = f"; its newest run is {newest[-1].parents[1]}" if newest else ""
    raise InputError(f"run={path} holds no checkpoints/best.ckpt or last.ckpt{hint}")


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read one of our checkpoints, tensors on the CPU.

    Raises:
        InputError: not a checkpoint, holds more than plain data, or was not written by this project.
    """
    import torch

    path = Path(path)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"checkpoint {path} does not exist") from error
    except pickle.UnpicklingError as error:
        raise InputError(
            f"checkpoint {path} is refused: it holds more than tensors and plain data, or is no checkpoint.\n"
            "Published checkpoints are imported with: python -m entrypoints.convert source=<paper> checkpoint=<file>"
        ) from error
    except Exception as error:  # damage makes torch's unpickler fail in any way there is
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(
            f"checkpoint {path} cannot be read, it is truncated, damaged or no checkpoint ({reason})"
        ) from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get(CHECKPOINT_KEY), dict):
        raise InputError(
            f"checkpoint {path} was not written by this project (no '{CHECKPOINT_KEY}' entry).\n"
            "Published checkpoints are imported with: python -m entrypoints.convert source=<paper> checkpoint=<file>"
        )
    found = checkpoint[CHECKPOINT_KEY].get("format")
    if found != CHECKPOINT_FORMAT:
        raise InputError(f"checkpoint {path} has format {found}; this version reads format {CHECKPOINT_FORMAT}")
    return checkpoint


def load_run(run: str | Path, system: str | None = None) -> LoadedRun:
    """Read a run folder or checkpoint.

    Args:
        run: run folder or checkpoint file.
        system: the paper that is expected, if only one will do.

    Raises:
        InputError: as `find_checkpoint` and `load_checkpoint`, or the checkpoint is of another system.
    """
    path = find_checkpoint(run)
    checkpoint = load_checkpoint(path)
    entry = checkpoint[CHECKPOINT_KEY]
    if system is not None and entry["system"] != system:
        raise InputError(f"{path} is a checkpoint of '{entry['system']}', expected '{system}'")
    return LoadedRun(folder_of(path), path, checkpoint, entry["config"], entry["facts"])


def folder_of(checkpoint: Path) -> Path:
    """The run folder that a checkpoint file lies in; for a lone file its own folder."""
    return checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else checkpoint.parent


def build(node: dict[str, Any], **arguments: Any) -> Any:
    """The object of a `_target_` node.

    Raises:
        InputError: the class refuses its arguments; Hydra would wrap the message in a traceback of its own.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(node, _convert_="object", **arguments)
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, InputError):
            cause = cause.__cause__
        if isinstance(cause, InputError):
            raise cause from error
        raise


def build_module(config: dict[str, Any]) -> Any:
    """The LightningModule of a resolved config."""
    return build(config["model"])


def build_datamodule(config: dict[str, Any]) -> Any:
    """The LightningDataModule of a resolved config."""
    return build(config["data"])


def load_module(run: LoadedRun, weights: Weights = "average") -> Any:
    """The trained LightningModule in eval mode.

    Args:
        run: the run.
        weights: `average` takes averaged weights where the run kept them (`run.has_average`), `raw` those of the last
            step; a run without an average has only the latter.

    Raises:
        InputError: weights and config do not belong together.
    """
    # The run has weights of its own.
    module = build(without_start(run.config["model"]))
    load_weights(module, run, "the stored config", weights)
    return module.eval()


def without_start(model: dict[str, Any]) -> dict[str, Any]:
    """The model without the weights that its encoder started from, of a file or folder: all its weights are random."""
    encoder = model.get("encoder") or {}
    start = {"weights": None, "layout": "auto", "pretrained": False}
    taken = {key: start[key] for key in start if key in encoder}
    if str(encoder.get("_target_")).endswith(".HuggingFaceEncoder"):
        taken["pretrained"] = False  # by default it is true
    return _without_files(model | {"encoder": encoder | taken} if encoder else model)


def _without_files(node: dict[str, Any]) -> dict[str, Any]:
    """A node of the model without the `checkpoint` of a network in it, and without the weights of a text encoder."""
    kept = {key: _without_files(value) if isinstance(value, dict) else value for key, value in node.items()}
    if isinstance(kept.get("checkpoint"), str):
        kept["checkpoint"] = None
    if str(kept.get("_target_")).endswith(".TextEncoder"):
        kept["pretrained"] = False  # by default it is true
    return kept


def load_weights(module: Any, run: LoadedRun, what: str, weights: Weights = "average") -> None:
    """Put a run's weights into a module; `what` tells the user what they must fit, `weights` as in `load_module`.

    Raises:
        InputError: names or shapes differ.
    """
    try:
        module.load_state_dict(run.state(weights), strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"{run.checkpoint_path}: the weights of '{run.system}' do not fit {what}.\n{reason}"
        ) from error
