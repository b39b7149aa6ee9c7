"""Golden cases of SkeletonCLIP++'s optimisation: parameter groups and learning-rate schedules of mmcv."""

import functools
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, MultiStepLR

from components.schedules import warmup_cosine_steps
from lightning_modules.skeletonclip.parameter_groups import GroupRule, param_groups
from tests.golden.harness import Case


def groups(case: Case) -> None:
    """Learning rate and weight decay of every parameter by its name."""
    settings = case.meta["optimizer"]
    rules = {key: GroupRule(**rule) for key, rule in settings["paramwise_cfg"]["custom_keys"].items()}
    parameters = {name: nn.Parameter(torch.zeros(1)) for name in case.meta["names"]}
    made = param_groups(parameters.items(), settings["lr"], settings["weight_decay"], rules)
    names = {id(parameter): name for name, parameter in parameters.items()}
    found = {names[id(parameter)]: group for group in made for parameter in group["params"]}
    for key in ("lr", "weight_decay"):
        case.check(f"out/{key}", np.array([found[name][key] for name in case.meta["names"]]))
    defaults = torch.optim.AdamW(made).defaults
    assert list(defaults["betas"]) == case.meta["betas"]
    assert defaults["eps"] == case.meta["eps"]


def schedules(case: Case) -> None:
    """The rate of every iteration and group, for the cosine by iterations and the steps by epochs."""
    cosine = case.meta["cosine"]
    for name, config in case.meta["config"].items():
        epochs, steps = config["epochs"], config["iters_per_epoch"]
        by_step = functools.partial(
            warmup_cosine_steps,
            epochs=epochs,
            steps_per_epoch=steps,
            warmup_epochs=cosine["warmup_epochs"],
            warmup_ratio=cosine["warmup_ratio"],
            final=cosine["min_lr"],
        )
        by_epoch = functools.partial(MultiStepLR, milestones=config["step_milestones"], gamma=config["step_gamma"])
        case.check(f"out/cosine_{name}", rates(by_step, config["base_lrs"], epochs * steps, every=1))
        case.check(f"out/step_{name}", rates(by_epoch, config["base_lrs"], epochs * steps, every=steps))


def rates(scheduler: Any, base_lrs: list[float], total: int, every: int) -> np.ndarray:
    """Learning rates `[iterations, groups]` of a scheduler that is advanced every so many iterations."""
    optimizer = torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in base_lrs], lr=1.0)
    schedule: LRScheduler = scheduler(optimizer)
    rows = []
    for iteration in range(total):
        rows.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        if (iteration + 1) % every == 0:
            schedule.step()
    return np.array(rows)


HANDLERS = {"param_groups": groups, "lr_schedule": schedules}
