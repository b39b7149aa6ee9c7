import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from components.errors import InputError
from lightning_modules.actor.losses import ActorLosses, gaussian_kl, gaussian_mmd, masked_mse, velocity_mse


def frame_loop(prediction: Tensor, target: Tensor, lengths: list[int]) -> Tensor:
    frames = [
        (prediction[b, :, :, t] - target[b, :, :, t]) ** 2 for b, length in enumerate(lengths) for t in range(length)
    ]
    return torch.stack(frames).mean()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 1000))
def test_masked_mse_is_the_mean_over_real_frames(lengths: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    shape = (len(lengths), 3, 2, max(lengths) + 1)
    prediction, target = torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)
    mask = torch.arange(shape[-1]) < torch.tensor(lengths)[:, None]
    torch.testing.assert_close(masked_mse(prediction, target, mask), frame_loop(prediction, target, lengths))


def test_velocity_counts_a_step_where_its_later_frame_is_real() -> None:
    prediction, target = torch.randn(2, 3, 2, 5), torch.randn(2, 3, 2, 5)
    mask = torch.arange(5) < torch.tensor([[5], [3]])
    expected = frame_loop(prediction.diff(dim=-1), target.diff(dim=-1), [4, 2])
    torch.testing.assert_close(velocity_mse(prediction, target, mask), expected)
    assert velocity_mse(prediction[..., :1], target[..., :1], mask[:, :1]) == 0


def test_kl_equals_torchs_and_its_reductions_differ_by_the_batch_size() -> None:
    mu, logvar = torch.randn(6, 4), torch.randn(6, 4)
    posterior = torch.distributions.Normal(mu, torch.exp(0.5 * logvar))
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum()
    torch.testing.assert_close(gaussian_kl(mu, logvar), expected)
    torch.testing.assert_close(gaussian_kl(mu, logvar, "batchmean") * 6, expected)


def test_mmd_is_zero_for_equal_samples_and_grows_with_distance() -> None:
    torch.manual_seed(0)
    prior = torch.randn(50, 4)
    assert gaussian_mmd(prior, prior).abs() < 1e-6
    assert gaussian_mmd(prior + 3, prior) > gaussian_mmd(prior + 1, prior) > 0


def test_terms_sum_with_their_weights_and_kl_warms_up() -> None:
    motion, xyz = torch.randn(2, 2, 3, 4, 6).unbind(0), torch.randn(2, 2, 3, 3, 6).unbind(0)
    mask, mu, logvar = torch.ones(2, 6, dtype=torch.bool), torch.randn(2, 5), torch.randn(2, 5)
    losses = ActorLosses(2.0, 3.0, 0.5, lambda_vel=0.25, lambda_velxyz=4.0, kl_warmup_epochs=4)
    terms = losses(*motion, mask, mu, logvar, *xyz, epoch=1)
    assert set(terms) == {"rc", "rcxyz", "vel", "velxyz", "kl", "loss"} == {*losses.active_terms, "loss"}
    expected = 2 * terms["rc"] + 3 * terms["rcxyz"] + 0.25 * terms["vel"] + 4 * terms["velxyz"] + 0.25 * terms["kl"]
    torch.testing.assert_close(terms["loss"], expected)
    assert [losses.kl_factor(epoch) for epoch in (0, 3, 9)] == [0.25, 1.0, 1.0]


def test_terms_of_weight_zero_are_not_computed() -> None:
    losses = ActorLosses(lambda_rcxyz=0.0)
    assert not losses.needs_positions
    motion = torch.randn(1, 2, 3, 4)
    terms = losses(motion, motion, torch.ones(1, 4, dtype=torch.bool), torch.zeros(1, 2), torch.zeros(1, 2))
    assert set(terms) == {"rc", "kl", "loss"}
    assert terms["loss"] == 0


def test_bad_settings_are_named() -> None:
    with pytest.raises(InputError, match="lambda_kl"):
        ActorLosses(lambda_kl=-1.0)
    with pytest.raises(InputError, match="lambda_rc="):
        ActorLosses(lambda_rc=float("nan"))
    with pytest.raises(InputError, match="every lambda is 0"):
        ActorLosses(0.0, 0.0, 0.0)
    with pytest.raises(InputError, match="kl_reduction"):
        ActorLosses(kl_reduction="mean")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="kl_warmup_epochs"):
        ActorLosses(kl_warmup_epochs=-1)
