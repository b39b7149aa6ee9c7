"""Learning rate and weight decay per part of the model, by the rule of mmcv's optimizer constructor."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from components.errors import InputError
from components.optimization import configured, count_steps_per_epoch

# Of the base weight decay; the published configs give it to the encoders and to nothing else.
ENCODER_DECAY = 0.9
# What `model.lr` may set: a part of the parameters' names, and the key of the notes' tables.
ENCODERS = ("video_encoder", "text_encoder")


@dataclass(frozen=True)
class GroupRule:
    """How parameters of one key differ from the others.

    Attributes:
        lr: learning rate; None = `lr_mult` times the base rate.
        lr_mult: of the base rate (mmcv: `lr_mult`).
        decay_mult: of the base weight decay (mmcv: `decay_mult`).
    """

    lr: float | None = None
    lr_mult: float = 1.0
    decay_mult: float = 1.0


def matching_key(name: str, keys: Iterable[str]) -> str | None:
    """The key that a parameter's name contains: the longest one, of equally long ones the first in the alphabet."""
    ordered = sorted(sorted(keys), key=len, reverse=True)
    return next((key for key in ordered if key in name), None)


def param_groups(
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    base_lr: float,
    weight_decay: float,
    custom_keys: Mapping[str, GroupRule],
) -> list[dict[str, Any]]:
    """Groups for a torch optimizer, one per key and one for the rest; biases and norms are decayed like all else.

    A group whose learning rate is 0 is left out: its parameters are neither updated nor decayed. Their `requires_grad`
    stays as it is (the published runs with rate 0 computed those gradients too). Parameters that need no gradient
    belong to no group.

    Args:
        named_parameters: of the model.
        base_lr, weight_decay: of parameters that no key matches.
        custom_keys: rules by part of a parameter's name, see `matching_key`. `text_encoder` matches `text_encoder_m`
            as well.

    Returns:
        `{"name", "params", "lr", "weight_decay"}` each, in the order in which the parameters come.

    Raises:
        InputError: a rate or a weight decay is negative or no number, or nothing is left to train.
    """
    groups: dict[str, dict[str, Any]] = {}
    for name, parameter in named_parameters:
        if not parameter.requires_grad:
            continue
        key = matching_key(name, custom_keys)
        group_name = key or "base"
        if group_name not in groups:
            rule = custom_keys[key] if key is not None else GroupRule()
            lr = base_lr * rule.lr_mult if rule.lr is None else rule.lr
            groups[group_name] = {
                "name": group_name,
                "params": [],
                "lr": _checked("optimizer.lr" if key is None else f"model.lr.{key}", lr),
                "weight_decay": _checked("optimizer.weight_decay", weight_decay * rule.decay_mult),
            }
        groups[group_name]["params"].append(parameter)
    trained = [group for group in groups.values() if group["lr"] > 0]
    if not trained:
        raise InputError(
            f"optimizer.lr={base_lr}: every learning rate is 0 or every parameter is frozen, so nothing would be "
            "trained.\nSet optimizer.lr or one of model.lr.* above 0"
        )
    return trained


def encoder_rules(lr: Mapping[str, float | None] | None, decay_mult: float = ENCODER_DECAY) -> dict[str, GroupRule]:
    """Rules of the two encoders with absolute learning rates, as the notes give them.

    Args:
        lr: `{video_encoder, text_encoder}`; None = the base rate, 0 = left as it is.
        decay_mult: the encoders' weight decay over the base one.

    Raises:
        InputError: an unknown key, or a negative rate.
    """
    given = dict(lr or {})
    unknown = [key for key in given if key not in ENCODERS]
    if unknown:
        raise InputError(f"model.lr.{unknown[0]}: expected one of {', '.join(ENCODERS)}; the others have optimizer.lr")
    for key, value in given.items():
        if value is not None:
            _checked(f"model.lr.{key}", value)
    return {
        key: GroupRule(lr=given.get(key), decay_mult=_checked("model.encoder_decay", decay_mult)) for key in ENCODERS
    }


def configured_groups(
    model: nn.Module,
    optimizer: Callable[[Any], Optimizer],
    scheduler: Callable[..., Any] | None = None,
    lr: Mapping[str, float | None] | None = None,
    decay_mult: float = ENCODER_DECAY,
    trainer: Any = None,
) -> Any:
    """What `configure_optimizers` returns: the optimizer over the groups of a model, with its scheduler.

    Args:
        model: parameters of `video_encoder.*` and `text_encoder.*` make groups of their own.
        optimizer: called with the groups; its own learning rate and weight decay are the base.
        scheduler: called with the optimizer, advanced per epoch; one by steps (`scheduler=warmup_cosine_steps`) per
            step.
        lr: see `encoder_rules`.
        decay_mult: see `encoder_rules`.
        trainer: a Lightning trainer, which knows the steps of an epoch.

    Raises:
        InputError: as `param_groups` and `encoder_rules`.
    """
    base = optimizer([nn.Parameter(torch.zeros(1))]).defaults
    rules = encoder_rules(lr, decay_mult)
    groups = param_groups(model.named_parameters(), base["lr"], base.get("weight_decay", 0.0), rules)
    result = configured(
        groups, optimizer, scheduler, "epoch", None if trainer is None else lambda: count_steps_per_epoch(trainer)
    )
    made: Optimizer = result["optimizer"] if isinstance(result, dict) else result
    _drop_other_gradients(model, made)
    return result


def _drop_other_gradients(model: nn.Module, optimizer: Optimizer) -> None:
    """Gradients of parameters that belong to no group would add up for the whole fit: no optimizer clears them."""
    trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    others = [each for each in model.parameters() if each.requires_grad and id(each) not in trained]
    if not others:
        return

    def drop(*_: Any) -> None:
        for parameter in others:
            parameter.grad = None

    optimizer.register_step_post_hook(drop)


def _checked(key: str, value: Any) -> float:
    # Values of a mapping in the config: their types are checked nowhere else.
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise InputError(f"{key}={value}: expected a number of at least 0")
    return value
