"""How modules tell Lightning what they are optimised with."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.optim import Optimizer


def configured(
    parameters: Iterable[nn.Parameter],
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
    scheduler: Callable[[Optimizer], Any] | None,
    interval: str,
) -> Any:
    """The optimizer over the parameters, with the scheduler where there is one, advanced per `epoch` or `step`."""
    made = optimizer(parameters)
    if scheduler is None:
        return made
    return {"optimizer": made, "lr_scheduler": {"scheduler": scheduler(made), "interval": interval}}
