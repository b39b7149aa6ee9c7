import functools
from typing import Any

import pytest
import torch
from torch import nn

from components.errors import InputError
from components.schedules import warmup_cosine_steps
from lightning_modules.skeletonclip.parameter_groups import (
    GroupRule,
    configured_groups,
    encoder_rules,
    matching_key,
    param_groups,
)


class Model(nn.Module):
    """The parts of a recogniser by their names."""

    def __init__(self) -> None:
        super().__init__()
        self.video_encoder = nn.Linear(2, 2)
        self.text_encoder = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
        self.text_encoder_m = nn.Linear(2, 2).requires_grad_(False)
        self.text_proj = nn.Linear(2, 2)
        self.temp = nn.Parameter(torch.tensor(0.07))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return (self.text_proj(self.text_encoder(self.video_encoder(inputs))) * self.temp).square().sum()


def adamw(lr: float = 1e-3, weight_decay: float = 0.01) -> Any:
    return functools.partial(torch.optim.AdamW, lr=lr, weight_decay=weight_decay)


def test_keys_are_tried_longest_first() -> None:
    keys = ["encoder", "text_encoder", "video_encoder", "abcd", "bcde"]
    assert matching_key("video_encoder.linear.weight", keys) == "video_encoder"
    assert matching_key("text_encoder_m.linear.weight", keys) == "text_encoder"
    assert matching_key("abcde", keys) == "abcd"
    assert matching_key("text_proj.weight", keys) is None


def test_encoders_have_rates_and_decay_of_their_own() -> None:
    optimizer = configured_groups(Model(), adamw(), lr={"video_encoder": None, "text_encoder": 1e-5})
    found = {group["name"]: (group["lr"], group["weight_decay"]) for group in optimizer.param_groups}
    assert found["base"] == (1e-3, 0.01)
    assert found["video_encoder"] == pytest.approx((1e-3, 0.009))
    assert found["text_encoder"] == pytest.approx((1e-5, 0.009))
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 9, "what needs no gradient has no group"


def test_rate_zero_leaves_a_part_as_it_is() -> None:
    torch.manual_seed(0)
    model = Model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = configured_groups(model, adamw(0.1, 0.5), lr={"text_encoder": 0})
    for _ in range(2):
        model(torch.ones(1, 2)).backward()
        assert model.text_encoder[0].weight.grad is not None
        optimizer.step()
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("text_encoder"), name
    assert all(p.requires_grad for p in model.text_encoder.parameters())
    assert all(p.grad is None for p in model.text_encoder.parameters()), "else they would add up for the whole fit"


def test_schedules_by_steps_learn_their_number_from_the_trainer() -> None:
    class Trainer:
        estimated_stepping_batches = 12
        num_training_batches = 7
        accumulate_grad_batches = 2

    schedule = functools.partial(warmup_cosine_steps, epochs=3)
    result = configured_groups(Model(), adamw(), schedule, trainer=Trainer())
    assert result["lr_scheduler"]["interval"] == "step"
    scheduler = result["lr_scheduler"]["scheduler"]
    for _ in range(12):
        result["optimizer"].step()
        scheduler.step()
    assert scheduler.get_last_lr() == pytest.approx([0.0, 0.0, 0.0], abs=1e-12), "4 steps an epoch, 3 epochs"
    with pytest.raises(InputError, match="scheduler"):
        configured_groups(Model(), adamw(), schedule)


def test_schedules_by_epochs_keep_to_them() -> None:
    steps = functools.partial(torch.optim.lr_scheduler.MultiStepLR, milestones=[9, 11], gamma=0.1)
    assert configured_groups(Model(), adamw(), steps)["lr_scheduler"]["interval"] == "epoch"


@pytest.mark.parametrize(
    ("base", "lr", "message"),
    [
        (0.0, {"video_encoder": 0.0, "text_encoder": 0}, "nothing would be trained"),
        (1e-3, {"video_encoder": -1.0}, "model.lr.video_encoder=-1.0"),
        (1e-3, {"text_encoder": "fast"}, "model.lr.text_encoder=fast"),
        (1e-3, {"tokenizer": 1e-5}, "model.lr.tokenizer"),
    ],
)
def test_wrong_rates(base: float, lr: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        configured_groups(Model(), functools.partial(torch.optim.SGD, lr=base), lr=lr)


def test_multipliers_as_in_the_published_configs() -> None:
    rules = {"video": GroupRule(lr_mult=100.0, decay_mult=0.9), "video_encoder": GroupRule(lr_mult=10.0)}
    named = [("video_encoder.w", nn.Parameter(torch.zeros(1))), ("video_m.w", nn.Parameter(torch.zeros(1)))]
    found = {group["name"]: (group["lr"], group["weight_decay"]) for group in param_groups(named, 1e-3, 0.01, rules)}
    assert found["video_encoder"] == pytest.approx((1e-2, 0.01))
    assert found["video"] == pytest.approx((1e-1, 0.009))


def test_rules_are_those_of_the_two_encoders() -> None:
    assert encoder_rules(None) == {
        "video_encoder": GroupRule(decay_mult=0.9),
        "text_encoder": GroupRule(decay_mult=0.9),
    }
