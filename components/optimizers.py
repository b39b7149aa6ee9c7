"""An optimizer for transformers trained on few cores: Muon for the matrices, Adam for everything else."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from components.errors import InputError


class MuonAdam(Optimizer):
    """Muon (Jordan et al. 2024) for weight matrices, Adam for biases, norms, and tables of few rows.

    Muon makes the momentum of a matrix orthogonal before it steps, so directions with small gradients move as far as
    those with large ones. A motion decoder has many of the former: whatever swings is learned late by Adam, after the
    still pose in the middle.

    Updates of matrices are scaled to the size that Adam's have, so that one learning rate serves both. Learning rate
    schedulers and checkpoints see one optimizer.

    Args:
        params: parameters; those with two dimensions of at least `smallest` are matrices.
        lr: learning rate of both.
        momentum: of the matrices' momentum.
        betas: of Adam.
        weight_decay: decoupled, of the matrices alone.
        smallest: rows and columns from which on a parameter counts as a matrix.

    Raises:
        InputError: a value is out of range, or this torch has no Muon (it came with 2.9).
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        smallest: int = 32,
    ) -> None:
        if not hasattr(torch.optim, "Muon"):
            raise InputError(
                f"optimizer=muon needs torch 2.9 or newer, this is {torch.__version__}; use optimizer=adam"
            )
        if lr <= 0 or weight_decay < 0 or not 0 <= momentum < 1 or not all(0 <= beta < 1 for beta in betas):
            raise InputError(
                f"optimizer: lr={lr} must be above 0, weight_decay={weight_decay} at least 0, "
                f"momentum={momentum} and betas={list(betas)} in [0, 1)"
            )
        parameters = list(params)
        if any(isinstance(each, dict) for each in parameters):
            raise InputError(
                "optimizer=muon makes its own groups and takes none, and this model has parts with rates of their own "
                "(model.lr, model.head_lr_factor).\nUse optimizer=adamw or optimizer=sgd, or one rate for all parts"
            )
        matrices = [each for each in parameters if each.dim() == 2 and min(each.shape) >= smallest]
        chosen = {id(each) for each in matrices}
        others = [each for each in parameters if id(each) not in chosen]
        settings: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum}
        parts: list[Optimizer] = []
        if matrices:
            parts.append(torch.optim.Muon(matrices, **settings, adjust_lr_fn="match_rms_adamw"))
        if others:
            parts.append(Adam(others, lr=lr, betas=(betas[0], betas[1])))
        super().__init__([group for part in parts for group in part.param_groups], {"lr": lr})
        self._parts = parts
        self._share()

    def _share(self) -> None:
        """Let the two optimizers work on the groups and the state of this one."""
        for part, group in zip(self._parts, self.param_groups, strict=True):
            part.param_groups = [group]
            part.state = self.state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._share()

    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts:
            part.step()
        return loss
