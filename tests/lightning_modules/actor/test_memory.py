from functools import partial
from typing import Any

import pytest
import torch

from components.sizes import mib
from datamodules.actor.batch import MotionBatch
from lightning_modules.actor.losses import ActorLosses
from lightning_modules.actor.memory import MemoryEstimate, estimate_training_memory, peak_bytes
from lightning_modules.actor.module import ActorModule
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.networks.transformer import TransformerDecoder, TransformerEncoder
from lightning_modules.actor.rotation2xyz import Rotation2XYZ

CPU = torch.device("cpu")
ADAM = partial(torch.optim.AdamW, lr=1e-3)


def module(optimizer: Any = ADAM, layers: int = 2, **body: Any) -> ActorModule:
    torch.manual_seed(0)
    net = ActorCVAE(
        TransformerEncoder, TransformerDecoder, num_classes=3, latent_dim=32, ff_size=64, num_layers=layers, num_heads=2
    )
    losses = ActorLosses(lambda_rcxyz=1.0 if body else 0.0)
    return ActorModule(net, losses, optimizer, Rotation2XYZ(**body) if body else None)


def batch(motions: int = 12, frames: int = 20) -> MotionBatch:
    labels = torch.zeros(motions, dtype=torch.int64)
    return {
        "motion": torch.randn(motions, 25, 6, frames, generator=torch.Generator().manual_seed(0)),
        "mask": torch.ones(motions, frames, dtype=torch.bool),
        "lengths": torch.full((motions,), frames),
        "action": labels, "second_action": labels, "mix_alpha": torch.ones(motions),
    }  # fmt: skip


def test_peak_of_tensors_that_come_and_go() -> None:
    def work() -> None:
        first = torch.ones(1000)  # 4000 bytes
        second = first * 2
        view = second[:10]
        del first, second
        torch.ones(500).add_(1)
        del view

    assert peak_bytes(work, CPU) == 8000
    known = torch.ones(1000)
    assert peak_bytes(lambda: known.add_(1).view(10, 100).sum().item(), CPU, [known]) == 4


@pytest.mark.parametrize("body", [{}, {"jointstype": "smpl"}, {"jointstype": "vertices", "vertex_count": 300}])
def test_the_estimate_is_what_a_whole_step_takes(body: dict[str, Any]) -> None:
    model, whole = module(**body), batch()
    estimate = estimate_training_memory(model, whole)
    parameters = list(model.net.parameters())
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    known = [*model.parameters(), *model.buffers(), *(p.grad for p in parameters), *whole.values()]
    measured = peak_bytes(lambda: model.train().compute_loss(whole)["loss"].backward(), CPU, known)  # type: ignore[arg-type]
    # At real sizes within 2 %; in so small a network the gradients' own work weighs more.
    assert estimate.activations == pytest.approx(measured, rel=0.15)
    assert estimate.gradients == 4 * sum(p.numel() for p in parameters)
    assert estimate.optimizer == 2 * estimate.gradients
    assert estimate.total == estimate.weights + 3 * estimate.gradients + estimate.activations
    assert (estimate.positions > 0) == bool(body)
    assert (estimate.motions, estimate.frames) == (12, 20)


def test_what_costs_memory() -> None:
    of_joints = estimate_training_memory(module(jointstype="smpl"), batch())
    of_vertices = estimate_training_memory(module(jointstype="vertices"), batch())
    compact = estimate_training_memory(module(jointstype="vertices", compact=True), batch())
    assert of_vertices.positions > 10 * max(compact.positions, of_joints.positions)
    assert (
        estimate_training_memory(module(layers=4), batch()).activations
        > 1.5 * estimate_training_memory(module(layers=2), batch()).activations
    )
    assert estimate_training_memory(module(torch.optim.SGD), batch()).optimizer == 0


def test_nothing_is_left_behind() -> None:
    model = module(jointstype="smpl").eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    stream = torch.get_rng_state()
    estimate_training_memory(model, batch())
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.training


def test_a_batch_of_one() -> None:
    assert estimate_training_memory(module(), batch(motions=1)).activations > 0


def test_for_people() -> None:
    estimate = MemoryEstimate(20, 60, 42 << 20, 26 << 20, 52 << 20, 5 << 30, 1 << 30)
    assert estimate.line() == (
        "a step of 20 motions of 60 frames needs about 5.1 GiB: weights 42 MiB, gradients 26 MiB, optimizer 52 MiB, "
        "activations 5.0 GiB, of it 1.0 GiB for the points of the body"
    )
    assert mib(100) == "1 MiB"
    assert estimate.as_fields()["total"] == estimate.total
