"""`python -m entrypoints.train experiment=<name>`: fit, test, write the run folder, return the monitored value."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callbacks.run_card import Status, end_run_card, read_run_card, start_run_card
from components.errors import InputError
from components.files.checkpoint_entry import INSIDE_EPOCH_KEY
from entrypoints import cli, inherit, launch, resume
from entrypoints.run_logging import quiet_lightning
from entrypoints.trainer_parts import build_callbacks, build_loggers, build_trainer, check_optimizer, close_loggers

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer
    from omegaconf import DictConfig

log = logging.getLogger(__name__)

# Where networks have their sizes, and what in there changes no weight's shape.
_SIZES = (
    "model.net", "model.encoder", "model.head_depth",
    "model.video_encoder", "model.text_encoder", "model.backbone", "model.embed_dim", "model.embedder",
)  # fmt: skip
_NO_SIZES = (
    "model.net.num_frames",
    *(f"model.encoder.{key}" for key in ("weights", "layout", "normalization")),
    *(f"model.video_encoder.{key}" for key in ("checkpoint", "resnet.frozen_stages")),
    *(f"model.backbone.{key}" for key in ("checkpoint", "frozen_stages")),
    *(f"model.text_encoder.{key}" for key in ("pooling", "dropout", "frozen", "frozen_dropout")),
)


def main() -> None:
    """Command line."""
    cli.run("train", train, needs=("experiment|sweep",), complete=inherit.inherited, redirect=resume.redirect)


def train(cfg: "DictConfig") -> float | None:
    """One job under Hydra: in this process, or as several ranks when the trainer asks for several devices."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    hydra_config = HydraConfig.get()
    run_dir = Path(hydra_config.runtime.output_dir)
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    config["experiment"] = hydra_config.runtime.choices.get("experiment")
    config["overrides"] = list(hydra_config.overrides.task)
    done = _finished_value(config, run_dir)
    if done is not None:
        log.info("resume=auto: %s is finished already", run_dir)
        return done
    if launch.launched_externally():
        launch.check_slurm(config["trainer"])
        return fit(config, run_dir)
    processes = launch.count_processes(config["trainer"])
    if processes == 1:
        return fit(config, run_dir)
    launch.run_ranks(config, run_dir, processes)
    return (read_run_card(run_dir) or {}).get("monitor", {}).get("value")


def fit(config: dict[str, Any], run_dir: Path) -> float | None:
    """Train with a resolved config and write everything into `run_dir`; one call per rank.

    Returns:
        The best value of the monitored quantity, None when nothing was monitored (`fast_dev_run`).

    Raises:
        InputError: bad input.
    """

    def end(status: Status, error: BaseException | str | None = None, **fields: Any) -> None:
        if launch.is_first_rank():
            end_run_card(run_dir, status, error, **fields)

    if launch.is_first_rank():
        start_run_card(run_dir, **_card(config))
    try:
        value = _fit(config, run_dir)
    except KeyboardInterrupt:
        end("interrupted", "stopped by the user")
        raise
    except SystemExit as error:  # Lightning ends an interrupted fit this way
        end("interrupted", f"stopped with code {error.code}")
        raise
    except InputError as error:
        end("failed", str(error))
        raise
    except Exception as error:
        end("failed", error)
        log.exception("training failed; the run folder is %s", run_dir)
        raise
    finally:
        close_loggers()
    end("finished", monitor={**config["monitor"], "value": value})
    return value


def system_of(config: dict[str, Any]) -> str:
    """Which paper a config trains, from its module's address: `lightning_modules.actor.ActorModule` -> `actor`."""
    return str(config["model"]["_target_"]).split(".")[1]


def _card(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "experiment": config["experiment"],
        "command": " ".join(["python -m entrypoints.train", *config["overrides"]]),
        "overrides": config["overrides"],
        "seed": config["seed"],
        "monitor": {**config["monitor"], "value": None},
    }


def _fit(config: dict[str, Any], run_dir: Path) -> float | None:
    import torch
    from lightning.pytorch import seed_everything

    from callbacks.checkpoint_contents import ConfigInCheckpoint
    from components.files.atomic import write_json
    from entrypoints.runs import build_datamodule, build_module, load_run, load_weights

    quiet_lightning()
    if not 0 <= config["seed"] < 2**32:
        raise InputError(f"seed={config['seed']}: expected a whole number in 0..{2**32 - 1}")
    check_optimizer(config["optimizer"])
    seed_everything(config["seed"], workers=True, verbose=False)
    torch.set_float32_matmul_precision("high")
    checkpoint = resume.checkpoint_to_resume(config["resume"], run_dir)
    datamodule, module = build_datamodule(config), build_module(config)
    if config["ckpt"] is not None:
        _start_from(module, config)
    callbacks, loggers = build_callbacks(config), build_loggers(config)
    callbacks.append(ConfigInCheckpoint(system_of(config), str(config["experiment"]), config))
    if checkpoint is not None:
        run = load_run(checkpoint, system_of(config))
        # Lightning loads the weights itself, but would end with a traceback where they do not fit.
        load_weights(module, run, f"this model (resume={config['resume']})")
        _continue_logs(loggers, run.checkpoint, checkpoint)
    trainer = build_trainer(config, callbacks, loggers, run_dir)
    if config["compile"]:
        _compile(module)
    trainer.fit(module, datamodule=datamodule, ckpt_path=checkpoint, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    metrics = _plain(trainer.callback_metrics)
    value = _monitored(trainer, config, metrics)
    if config["test"]:
        best = getattr(trainer.checkpoint_callback, "best_model_path", "")
        trainer.test(module, datamodule=datamodule, ckpt_path=best or None, weights_only=True)
    if trainer.is_global_zero and not config["trainer"]["fast_dev_run"]:
        write_json(run_dir / "metrics.json", {**metrics, **_plain(trainer.callback_metrics)})
    return value


def _continue_logs(loggers: list[Any], checkpoint: dict[str, Any], path: Path) -> None:
    """Cut off what the killed run logged after its checkpoint."""
    epoch, steps = int(checkpoint["epoch"]), int(checkpoint["global_step"])
    inside = checkpoint.get(INSIDE_EPOCH_KEY)
    if inside is None:
        log.info("continuing from %s after epoch %d", path, epoch)
    else:
        log.info("continuing from %s in epoch %d after batch %d", path, epoch, inside["batches"])
    for logger in loggers:
        if inside is not None and hasattr(logger, "keep_steps"):
            logger.keep_steps(epoch, steps)
        elif inside is None and hasattr(logger, "keep_epochs"):
            logger.keep_epochs(epoch)


def _start_from(module: "LightningModule", config: dict[str, Any]) -> None:
    from entrypoints.runs import load_run, load_weights

    try:
        run = load_run(config["ckpt"])
    except InputError as error:
        raise InputError(str(error).replace("run=", "ckpt=", 1)) from error
    try:
        load_weights(module, run, f"this model (ckpt={config['ckpt']})")
    except InputError as error:
        keys = [each for key in _SIZES for each in inherit.differing_keys(config, run.config, key)]
        differing = [each for each in keys if each[0] not in _NO_SIZES][:6]
        if not differing:
            raise
        found = ", ".join(f"{key} was {was} and not {now}" for key, was, now in differing)
        wanted = " ".join(f"{key}={was}".replace("'", "").replace(", ", ",") for key, was, _ in differing)
        raise InputError(
            f"{run.checkpoint_path}: the weights of '{run.system}' do not fit this model; in that run {found}.\n"
            f"Set {wanted}, or what these depend on in data"
        ) from error
    log.info("weights of %s loaded; optimiser and epoch start afresh", run.checkpoint_path)


def _compile(module: "LightningModule") -> None:
    # In place, so that checkpoint keys stay as they are.
    for child in module.children():
        if any(True for _ in child.parameters()):
            child.compile()


def _monitored(trainer: "Trainer", config: dict[str, Any], metrics: dict[str, float]) -> float | None:
    best = getattr(trainer.checkpoint_callback, "best_model_score", None)
    if best is not None:
        return float(best)
    return metrics.get(config["monitor"]["name"])


def _finished_value(config: dict[str, Any], run_dir: Path) -> float | None:
    """Under `resume=auto` a finished job of a repeated sweep is not trained again."""
    card = read_run_card(run_dir) or {}
    finished = config["resume"] == "auto" and card.get("status") == "finished"
    return card["monitor"]["value"] if finished else None


def _plain(metrics: Any) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}


if __name__ == "__main__":
    main()
