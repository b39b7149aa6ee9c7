import math
from typing import Any, cast

import pytest
import torch

from components.errors import InputError
from lightning_modules.actor.latent_space import EncodedClips, encode_clips, spread_ellipse
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.networks.transformer import TransformerDecoder, TransformerEncoder


def test_ellipse_of_a_rotated_cloud() -> None:
    cloud = torch.randn(20000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([3.0, 1.0])
    angle = math.radians(30)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    ellipse = spread_ellipse(cloud @ turn.T + torch.tensor([5.0, -1.0]))
    assert ellipse is not None
    assert ellipse.centre == pytest.approx((5.0, -1.0), abs=0.1)
    assert (ellipse.width, ellipse.height) == pytest.approx((12.0, 4.0), rel=0.03)
    assert ellipse.degrees % 180 == pytest.approx(30, abs=1)
    assert spread_ellipse(cloud[:2]) is None


def test_a_dimension_like_the_prior_carries_nothing() -> None:
    mu, logvar = torch.tensor([[0.0, 1.0], [0.0, 3.0]]), torch.zeros(2, 2)
    clips = EncodedClips(mu, logvar, torch.zeros(2, dtype=torch.int64))
    assert clips.kl_by_dim.tolist() == pytest.approx([0.0, 2.5])


def test_clips_are_encoded_batch_by_batch() -> None:
    torch.manual_seed(0)
    net = ActorCVAE(TransformerEncoder, TransformerDecoder, num_classes=3, latent_dim=8, ff_size=8, num_layers=1).eval()

    def batch(labels: list[int]) -> dict[str, Any]:
        count, action = len(labels), torch.tensor(labels)
        motion = torch.randn(count, 25, 6, 5, generator=torch.Generator().manual_seed(count))
        return {
            "motion": motion,
            "mask": torch.ones(count, 5, dtype=torch.bool),
            "action": action,
            "second_action": action,
            "mix_alpha": torch.ones(count),
        }

    batches = [batch([0, 1]), batch([2])]
    clips = encode_clips(net, cast(Any, batches))
    assert clips.mu.shape == clips.logvar.shape == (3, 8)
    assert clips.action.tolist() == [0, 1, 2]
    last = net.encode(*(batches[1][key] for key in ("motion", "mask", "action", "second_action")))[0]
    torch.testing.assert_close(clips.mu[2:], last.detach())
    with pytest.raises(InputError, match="no motion to encode"):
        encode_clips(net, [])
