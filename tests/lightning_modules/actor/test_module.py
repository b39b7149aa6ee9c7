import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch.utils.data import DataLoader

from components.errors import InputError
from datamodules.actor.batch import MotionBatch
from lightning_modules.actor.losses import ActorLosses
from lightning_modules.actor.module import ActorModule
from lightning_modules.actor.networks.cvae import ActorCVAE, sample_gaussian
from lightning_modules.actor.networks.transformer import TransformerDecoder, TransformerEncoder
from lightning_modules.actor.rotation2xyz import Rotation2XYZ


def make_module(conditioning: str = "pair", **settings: Any) -> ActorModule:
    net = ActorCVAE(
        TransformerEncoder, TransformerDecoder, 5, translation=False, latent_dim=16, ff_size=16, num_layers=1,
        conditioning=conditioning,  # type: ignore[arg-type]
    )  # fmt: skip
    losses = settings.pop("losses", ActorLosses())
    body = settings.pop("body", Rotation2XYZ(translation=False, jointstype="smpl"))
    return ActorModule(net, losses, partial(torch.optim.AdamW, lr=1e-3, fused=True), body, **settings)


def make_batch(count: int, seed: int = 0) -> MotionBatch:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, 7, (count,), generator=generator)
    return {
        "motion": torch.randn(count, 24, 6, 6, generator=generator),
        "mask": torch.arange(6) < lengths[:, None],
        "lengths": lengths,
        "action": torch.randint(5, (count,), generator=generator),
        "second_action": torch.randint(5, (count,), generator=generator),
        "mix_alpha": torch.ones(count),
    }


def trainer(folder: Path, **settings: Any) -> Trainer:
    defaults: dict[str, Any] = {
        "default_root_dir": folder, "max_epochs": 2, "logger": False, "enable_checkpointing": False,
        "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu",
    }  # fmt: skip
    return Trainer(**defaults | settings)


def loader(*sizes: int) -> DataLoader:
    return DataLoader([make_batch(size, seed) for seed, size in enumerate(sizes)], batch_size=None)


@pytest.mark.parametrize("conditioning", ["single", "pair"])
def test_loss_has_named_terms_and_reaches_every_parameter(conditioning: str) -> None:
    module = make_module(conditioning)
    terms = module.compute_loss(make_batch(4))
    assert set(terms) == {"rc", "rcxyz", "kl", "loss"}
    terms["loss"].backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_checkpoints_hold_the_network_only() -> None:
    assert all(name.startswith("net.") for name in make_module().state_dict())


def test_fit_logs_under_one_name_per_quantity_and_validation_has_no_noise(tmp_path: Path) -> None:
    module = make_module(scheduler=partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.1))
    run = trainer(tmp_path)
    run.fit(module, loader(4, 4), loader(4, 2))
    names = {"rc", "rcxyz", "kl", "loss"}
    assert {f"{stage}/{name}" for stage in ("train", "val") for name in names} <= set(run.callback_metrics)
    assert run.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-5)
    first = run.validate(module, loader(4, 2), verbose=False)[0]
    assert run.validate(module, loader(4, 2), verbose=False)[0] == first
    test = run.test(module, loader(4, 2), verbose=False)[0]
    assert test["test/rc"] == pytest.approx(first["val/rc"])
    module.eval()
    with torch.no_grad():
        each = [module.compute_loss(make_batch(size, seed), torch.zeros(size, 16)) for seed, size in enumerate((4, 2))]
    assert first["val/rc"] == pytest.approx(float(4 * each[0]["rc"] + 2 * each[1]["rc"]) / 6, rel=1e-4)


def test_kl_warms_up_in_training_and_has_full_weight_in_validation() -> None:
    module = make_module(losses=ActorLosses(lambda_rcxyz=0.0, lambda_kl=1.0, kl_warmup_epochs=10))
    batch, noise = make_batch(3), torch.zeros(3, 16)
    terms = module.train().compute_loss(batch, noise)
    torch.testing.assert_close(terms["loss"], terms["rc"] + 0.1 * terms["kl"])
    terms = module.eval().compute_loss(batch, noise)
    torch.testing.assert_close(terms["loss"], terms["rc"] + terms["kl"])


def test_moving_average_of_the_weights_works_with_the_module(tmp_path: Path) -> None:
    module = make_module()
    before = module.net.decoder.pose_head.weight.detach().clone()
    run = trainer(tmp_path, callbacks=[EMAWeightAveraging(decay=0.5, use_buffers=False)])
    run.fit(module, loader(4, 4), loader(2))
    after = module.net.decoder.pose_head.weight
    assert not torch.equal(after, before)
    assert math.isfinite(run.callback_metrics["val/loss"])


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_are_clipped_with_the_fused_optimizer(tmp_path: Path, precision: str) -> None:
    norms: list[float] = []

    class Watched(ActorModule):
        def on_before_zero_grad(self, optimizer: torch.optim.Optimizer) -> None:
            grads = [parameter.grad.norm() for parameter in self.net.parameters() if parameter.grad is not None]
            if grads:
                norms.append(float(torch.stack(grads).norm()))

    module = make_module()
    module.__class__ = Watched
    trainer(tmp_path, gradient_clip_val=1e-3, precision=precision).fit(module, loader(4, 4, 4))
    assert norms
    assert max(norms) < 1.01e-3


def test_positions_are_needed_only_by_losses_that_read_them() -> None:
    with pytest.raises(InputError, match=r"model\.body=null"):
        make_module(body=None)
    assert make_module(body=None, losses=ActorLosses(lambda_rcxyz=0.0)).body is None
    with pytest.raises(InputError, match="scheduler_interval"):
        make_module(scheduler_interval="batch")


def test_reparameterisation_is_mean_plus_scaled_noise() -> None:
    mu, logvar = torch.randn(50_000, 2) * 0 + 3.0, torch.full((50_000, 2), math.log(4.0))
    z = sample_gaussian(mu, logvar, generator=torch.Generator().manual_seed(0))
    assert z.mean() == pytest.approx(3.0, abs=0.03)
    assert z.std() == pytest.approx(2.0, abs=0.03)
    assert torch.equal(sample_gaussian(mu, logvar, noise=torch.zeros(50_000, 2)), mu)
    again = sample_gaussian(mu, logvar, generator=torch.Generator().manual_seed(0))
    assert torch.equal(z, again)
