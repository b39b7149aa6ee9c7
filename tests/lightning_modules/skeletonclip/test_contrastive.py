import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from lightning_modules.skeletonclip.contrastive import gather_with_gradient, soft_cross_entropy, soft_targets
from lightning_modules.skeletonclip.objectives import in_batch
from tests.lightning_modules.skeletonclip import ddp_steps
from tests.lightning_modules.skeletonclip.tiny import tiny_batch


def test_repeated_classes_share_the_target() -> None:
    labels = torch.tensor([4, 7, 4])
    half = [0.5, 0.0, 0.5]
    torch.testing.assert_close(soft_targets(labels, labels), torch.tensor([half, [0.0, 1.0, 0.0], half]))


def test_with_one_sample_per_class_it_is_the_usual_cross_entropy() -> None:
    logits, labels = torch.randn(4, 4), torch.arange(4)
    torch.testing.assert_close(
        soft_cross_entropy(logits, soft_targets(labels, labels)), F.cross_entropy(logits, labels)
    )
    videos, texts = F.normalize(torch.randn(4, 6), dim=1), F.normalize(torch.randn(4, 6), dim=1)
    scaled = videos @ texts.T / 0.1
    expected = (F.cross_entropy(scaled, labels) + F.cross_entropy(scaled.T, labels)) / 2
    torch.testing.assert_close(in_batch(videos, texts, labels, torch.tensor(0.1)), expected)


def test_a_batch_of_one_sample_or_class_has_a_loss() -> None:
    one = F.normalize(torch.randn(1, 6), dim=1)
    assert float(in_batch(one, -one, torch.tensor([2]), torch.tensor(0.07))) == 0
    same = F.normalize(torch.randn(3, 6), dim=1)
    assert torch.isfinite(in_batch(same, same, torch.tensor([2, 2, 2]), torch.tensor(0.001)))


def test_one_process_gathers_nothing() -> None:
    x = torch.randn(2, 3, requires_grad=True)
    assert gather_with_gradient(x) is x


@pytest.mark.slow
def test_two_processes(tmp_path: Path) -> None:
    """Gathered losses and gradients are those of the joint batch; queues agree; a rank with one class keeps up;
    synchronised batch norm sees the joint batch."""
    meeting_place = str(tmp_path / "store")
    command = [sys.executable, "-m", "tests.lightning_modules.skeletonclip.ddp_steps", meeting_place]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], stderr=subprocess.PIPE, text=True) as other:
        try:
            seen = ddp_steps.steps(0, meeting_place)
            torch.distributed.destroy_process_group()
            _, errors = other.communicate(timeout=100)
        finally:
            other.kill()
    assert other.returncode == 0, errors

    joint = ddp_steps.seeded(pooling="text_weighted")
    loss = joint.compute_loss(tiny_batch(ddp_steps.LABELS))["loss"]  # type: ignore[arg-type]
    loss.backward()
    torch.testing.assert_close(torch.stack(seen["gathered_losses"]).mean(), loss.detach())
    for name, parameter in joint.named_parameters():
        torch.testing.assert_close(seen["gathered_gradients"][name], parameter.grad, msg=name)

    backbone = ddp_steps.small_backbone()
    (backbone(ddp_steps.VOLUMES) * ddp_steps.WEIGHTS).square().mean().backward()
    for name, parameter in backbone.named_parameters():
        torch.testing.assert_close(seen["synchronised"][name], parameter.grad, rtol=1e-3, atol=1e-5, msg=name)
    for name, buffer in backbone.named_buffers():
        torch.testing.assert_close(seen["statistics"][name], buffer, rtol=1e-4, atol=1e-5, msg=name)

    for name, (first, second) in seen["queues"].items():
        assert torch.equal(first, second), name
    # Two joint batches of six: eight places, the newest samples, the second batch over the first one.
    assert seen["queues"]["idx_queue"][0][0].tolist() == [1, 2, 0, 3, 0, 3, 0, 1]
    assert seen["queues"]["ptr_queue"][0].tolist() == [4]

    assert seen["itm"][:, 0].tolist() == [0.0, 0.0]
    assert bool((seen["itm"][:, 1] > 0.1).all())
    assert torch.equal(*seen["itm_gradients"])
    assert float(seen["itm_gradients"][0].abs().sum()) > 0
