"""How modules tell Lightning what they are optimised with."""

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.optim import Optimizer

from components.errors import InputError

STEPS_PER_EPOCH = "steps_per_epoch"


def configured(
    parameters: Iterable[nn.Parameter] | list[dict[str, Any]],
    optimizer: Callable[[Any], Optimizer],
    scheduler: Callable[..., Any] | None,
    interval: str,
    steps_per_epoch: Callable[[], int] | None = None,
) -> Any:
    """The optimizer over the parameters (or groups of them), with the scheduler where there is one.

    Args:
        parameters: what is trained.
        optimizer: called with them.
        scheduler: called with the optimizer. One that needs `steps_per_epoch` is told that number and advances
            per step, whatever `interval` says.
        interval: of the other schedulers, `epoch` or `step`.
        steps_per_epoch: tells the number, e.g. `lambda: count_steps_per_epoch(self.trainer)`.

    Raises:
        InputError: the scheduler wants to know the steps of an epoch and nobody can tell.
    """
    made = optimizer(parameters)
    if scheduler is None:
        return made
    if not needs_steps_per_epoch(scheduler):
        return {"optimizer": made, "lr_scheduler": {"scheduler": scheduler(made), "interval": interval}}
    if steps_per_epoch is None:
        raise InputError(
            "scheduler: this one goes by steps of an epoch, which this system does not count.\n"
            "Use scheduler=warmup_cosine, or set +scheduler.steps_per_epoch=<steps> and model.scheduler_interval=step"
        )
    made_scheduler = scheduler(made, steps_per_epoch=steps_per_epoch())
    return {"optimizer": made, "lr_scheduler": {"scheduler": made_scheduler, "interval": "step"}}


def needs_steps_per_epoch(scheduler: Callable[..., Any]) -> bool:
    """Whether a scheduler goes by the steps of an epoch and has not been told how many there are."""
    parameter = inspect.signature(scheduler).parameters.get(STEPS_PER_EPOCH)
    # A number that the config has filled in is the default of the `partial`.
    return parameter is not None and parameter.default is inspect.Parameter.empty


def count_steps_per_epoch(trainer: Any) -> int:
    """Optimizer steps of one epoch: batches over `accumulate_grad_batches`, rounded up.

    Args:
        trainer: a Lightning trainer that is about to fit; makes its training loader.

    Raises:
        InputError: the training data have no end.
    """
    steps = trainer.estimated_stepping_batches  # makes the loader
    if not math.isfinite(steps) or not math.isfinite(trainer.num_training_batches):
        raise InputError(
            "scheduler: neither the training data nor the training have an end, so an epoch has no number of steps.\n"
            "Set trainer.max_epochs, and trainer.limit_train_batches where the data go on for ever"
        )
    return max(1, math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches))
