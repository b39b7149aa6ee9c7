"""How much memory a training step will take, found out with a few motions of the batch before training starts.

Weights, gradients and optimizer states are counted. What a step keeps between its forward and its backward pass is
measured on a small and on a larger part of a batch: it grows by the same amount with every motion, whatever the
network, the points of the body or the precision.
"""

import weakref
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from components.sizes import mib
from datamodules.actor.batch import MotionBatch
from lightning_modules.actor.module import ActorModule

_ADVICE = "lower data.batch_size or model.net.num_layers, or use model.body.jointstype=smpl or model.body.compact=true"
# Motions of the two measured steps.
_FEW, _MORE = 1, 3
# Elements of the parameter on which an optimizer shows what it remembers.
_PROBE_SIZE = 64


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that one process needs at the peak of a training step."""

    motions: int
    """Batch, B."""
    frames: int
    """T."""
    weights: int
    """Parameters and buffers, those of the body included."""
    gradients: int
    optimizer: int
    activations: int
    """What the step adds to these: results kept for the backward pass, and its own work."""
    positions: int
    """The part of `activations` that the points of the body take; 0 where no loss reads them."""

    @property
    def advice(self) -> str:
        """What to change where there is too little."""
        return _ADVICE

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.activations

    def as_fields(self) -> dict[str, int]:
        """Plain numbers for a json file."""
        return {**asdict(self), "total": self.total}

    def line(self) -> str:
        """One line for people."""
        parts = f"weights {mib(self.weights)}, gradients {mib(self.gradients)}, optimizer {mib(self.optimizer)}"
        body = f", of it {mib(self.positions)} for the points of the body" if self.positions else ""
        return (
            f"a step of {self.motions} motions of {self.frames} frames needs about {mib(self.total)}: {parts}, "
            f"activations {mib(self.activations)}{body}"
        )


def estimate_training_memory(
    module: ActorModule, batch: MotionBatch, context: Callable[[], AbstractContextManager[Any]] = nullcontext
) -> MemoryEstimate:
    """Estimate the peak of a training step with this batch.

    Runs four short steps on the module's device without changing weights, gradients or torch's random streams.

    Args:
        module: where it will train.
        batch: a whole batch as training gives it; three of its motions are used.
        context: of the forward pass (mixed precision).
    """
    device = next(module.net.parameters()).device
    motions, frames = batch["mask"].shape
    few, more = min(_FEW, motions), min(_MORE, motions)

    def step(rows: int) -> Callable[[], None]:
        part = _rows(batch, rows, device)

        def run() -> None:
            with context():
                loss = module.compute_loss(part)["loss"]
            loss.backward()

        return run

    trained = [parameter for parameter in module.net.parameters() if parameter.requires_grad]
    gradients = _bytes(trained)
    whole = _at(motions, few, more, lambda rows: _peak_in_training(module, trained, step(rows), device))
    positions = 0
    if module.body is not None:
        positions = _at(motions, few, more, lambda rows: _points_peak(module, _rows(batch, rows, device), device))
    return MemoryEstimate(
        motions, frames, _bytes([*module.parameters(), *module.buffers()]), gradients,
        round(gradients * _states_per_weight(module.optimizer)), whole, min(positions, whole),
    )  # fmt: skip


def _at(motions: int, few: int, more: int, peak: Callable[[int], int]) -> int:
    """Peak of a whole batch on the line through two measured ones."""
    low = peak(few)
    if more == few:
        return low
    return round(low + (peak(more) - low) / (more - few) * (motions - few))


def _rows(batch: MotionBatch, count: int, device: torch.device) -> MotionBatch:
    part: Any = {key: value[:count].to(device) for key, value in batch.items() if isinstance(value, Tensor)}
    return part


def _peak_in_training(
    module: ActorModule, trained: list[nn.Parameter], step: Callable[[], None], device: torch.device
) -> int:
    """Peak of a step above weights and gradients, which exist as they do from the second step of a training on."""
    kept = [parameter.grad for parameter in trained]
    was_training = module.training
    try:
        for parameter in trained:
            parameter.grad = torch.zeros_like(parameter)
        module.train()
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            return peak_bytes(step, device, [*module.parameters(), *module.buffers(), *(p.grad for p in trained)])
    finally:
        module.train(was_training)
        for parameter, gradient in zip(trained, kept, strict=True):
            parameter.grad = gradient


def _points_peak(module: ActorModule, batch: MotionBatch, device: torch.device) -> int:
    """Peak of making points of two motions and comparing them, one of them with a backward pass."""
    body = module.body
    assert body is not None

    def run() -> None:
        motion = batch["motion"].clone().requires_grad_()
        with torch.no_grad():
            target = body(batch["motion"], batch["mask"])
        (body(motion, batch["mask"]) - target).square().mean().backward()

    return peak_bytes(run, device, [*body.parameters(), *body.buffers(), batch["motion"], batch["mask"]])


def peak_bytes(work: Callable[[], None], device: torch.device, known: Iterable[Tensor | None] = ()) -> int:
    """Most bytes that tensors made by `work` take at one time.

    Asked of the allocator on CUDA. Elsewhere results of operations are followed from birth to death; `known` are the
    tensors that exist already. What a kernel needs only inside itself is not seen there.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with _LiveTensors(known) as live:
        work()
    return live.peak


class _LiveTensors(TorchDispatchMode):
    """Follows the storages of all results."""

    def __init__(self, known: Iterable[Tensor | None]) -> None:
        super().__init__()
        self.seen = {tensor.untyped_storage()._cdata for tensor in known if tensor is not None}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._born(tensor.untyped_storage())
        return result

    def _born(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self.seen:
            return
        self.seen.add(key)
        size = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._died, key, size)

    def _died(self, key: int, size: int) -> None:
        self.seen.discard(key)
        self.now -= size


def _states_per_weight(optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]) -> float:
    """Numbers that an optimizer remembers for each weight: 2 of Adam, 0 of plain SGD."""
    parameter = nn.Parameter(torch.zeros(_PROBE_SIZE))
    parameter.grad = torch.ones_like(parameter)
    made = optimizer([parameter])
    made.step()
    states = [state for state in made.state[parameter].values() if isinstance(state, Tensor) and state.dim() > 0]
    return sum(state.numel() * state.element_size() for state in states) / (_PROBE_SIZE * parameter.element_size())


def _bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors; shared storages count once."""
    storages = {tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())
