import copy
import io

import pytest
import torch
from torch import nn

from components.errors import InputError
from components.optimizers import MuonAdam


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Embedding(12, 40), nn.Linear(40, 48), nn.LayerNorm(48), nn.Linear(48, 33))


def train(net: nn.Module, optimizer: torch.optim.Optimizer, steps: int, start: int = 0) -> float:
    loss = torch.zeros(())
    for step in range(start, start + steps):
        generator = torch.Generator().manual_seed(step)
        labels = torch.randint(12, (32,), generator=generator)
        loss = (net(labels) - torch.sin(labels[:, None] * torch.arange(33))).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss)


def test_each_parameter_has_one_owner() -> None:
    net = network()
    matrices, others = MuonAdam(net.parameters()).param_groups
    assert [tuple(each.shape) for each in matrices["params"]] == [(48, 40), (33, 48)]
    assert len(matrices["params"]) + len(others["params"]) == len(list(net.parameters()))


def test_equals_its_two_parts() -> None:
    ours, theirs = network(), network()
    matrices = [each for name, each in theirs.named_parameters() if name in ("1.weight", "3.weight")]
    others = [each for name, each in theirs.named_parameters() if name not in ("1.weight", "3.weight")]
    muon = torch.optim.Muon(matrices, lr=1e-2, weight_decay=0.1, momentum=0.9, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.Adam(others, lr=1e-2, betas=(0.9, 0.99))
    optimizer = MuonAdam(ours.parameters(), lr=1e-2, momentum=0.9, weight_decay=0.1)

    class Both:
        def zero_grad(self) -> None:
            theirs.zero_grad()

        def step(self) -> None:
            muon.step()
            adam.step()

    train(ours, optimizer, 5)
    train(theirs, Both(), 5)  # type: ignore[arg-type]
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)


def test_learns_and_a_scheduler_reaches_both() -> None:
    net = network()
    optimizer = MuonAdam(net.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 if step < 150 else 0.1)
    first = train(net, optimizer, 1)
    for step in range(1, 200):
        last = train(net, optimizer, 1, step)
        scheduler.step()
    assert last < 0.05 * first
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([1e-3, 1e-3])


def test_resumed_equals_uninterrupted() -> None:
    net = network()
    optimizer = MuonAdam(net.parameters(), lr=1e-2)
    train(net, optimizer, 4)
    stream = io.BytesIO()
    torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, stream)
    resumed = network()
    resumed_optimizer = MuonAdam(resumed.parameters(), lr=1e-2)
    stream.seek(0)
    saved = torch.load(stream, weights_only=True)
    resumed.load_state_dict(saved["net"])
    resumed_optimizer.load_state_dict(copy.deepcopy(saved["optimizer"]))
    assert train(net, optimizer, 4, 4) == train(resumed, resumed_optimizer, 4, 4)
    for one, two in zip(net.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)


@pytest.mark.parametrize("settings", [{"lr": 0.0}, {"momentum": 1.0}, {"betas": (0.9, 1.0)}, {"weight_decay": -0.1}])
def test_values_out_of_range(settings: dict) -> None:
    with pytest.raises(InputError, match="optimizer"):
        MuonAdam(network().parameters(), **settings)


def test_groups_are_refused_with_what_to_use_instead() -> None:
    with pytest.raises(InputError, match="optimizer=adamw"):
        MuonAdam([{"params": [torch.nn.Parameter(torch.zeros(32, 32))], "lr": 0.1}])  # type: ignore[list-item]
