import pytest
import torch

from components.errors import InputError
from lightning_modules.actor import decoder_tests as ask
from lightning_modules.actor.decoder_tests import DecoderTest
from lightning_modules.actor.generation import ActionPair, decode
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.networks.transformer import TransformerDecoder, TransformerEncoder

NAMES = ["warm_up", "walk", "drink"]
SINGLES = [ActionPair(label, label) for label in range(3)]


def cells(test: DecoderTest) -> tuple[int, int]:
    rows, columns = len(test.rows), len(test.columns)
    assert len(test.z) == len(test.action) == len(test.second_action) == len(test.lengths) == rows * columns
    return rows, columns


def test_different_actions_share_the_latent_of_their_row() -> None:
    test = ask.different_actions(SINGLES, NAMES, 8, frames=20, latents=2)
    assert cells(test) == (2, 3)
    assert test.columns == ("warm up", "walk", "drink")
    z = test.z.view(2, 3, 8)
    assert torch.equal(z[:, 0], z[:, 2])
    assert not torch.equal(z[0], z[1])
    assert test.action.tolist() == [0, 1, 2, 0, 1, 2]
    assert set(test.lengths.tolist()) == {20}


def test_different_durations_have_one_latent_and_rows_of_one_action() -> None:
    test = ask.different_durations(SINGLES[:2], NAMES, 8, [4, 7, 9])
    assert cells(test) == (2, 3)
    assert test.lengths.tolist() == [4, 7, 9, 4, 7, 9]
    assert test.action.tolist() == [0, 0, 0, 1, 1, 1]
    assert len(test.z.unique(dim=0)) == 1
    assert test.columns == ("4 frames", "7 frames", "9 frames")
    for durations in ([], [5, 0]):
        with pytest.raises(InputError, match="at least 1 frame"):
            ask.different_durations(SINGLES, NAMES, 8, durations)


def test_a_way_between_latents_begins_and_ends_at_them_in_every_row() -> None:
    test = ask.between_latents(SINGLES[:2], NAMES, 8, frames=5, steps=4, seed=3)
    assert cells(test) == (2, 4)
    ends = torch.randn(2, 8, generator=torch.Generator().manual_seed(3))
    z = test.z.view(2, 4, 8)
    torch.testing.assert_close(z[0, [0, -1]], ends)
    assert torch.equal(z[0], z[1])
    assert test.columns == ("0 %", "33 %", "67 %", "100 %")


def test_a_way_between_actions_mixes_their_labels() -> None:
    test = ask.between_actions([ActionPair(0, 0), ActionPair(1, 2)], NAMES, 8, frames=5, steps=3)
    assert cells(test) == (1, 3)
    assert test.rows == ("warm up to walk + drink",)
    torch.testing.assert_close(test.action, torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0], [0, 1, 0]]))
    torch.testing.assert_close(test.second_action, torch.tensor([[1.0, 0, 0], [0.5, 0, 0.5], [0, 0, 1]]))
    assert len(test.z.unique(dim=0)) == 1
    with pytest.raises(InputError, match="at least two"):
        ask.between_actions(SINGLES[:1], NAMES, 8, frames=5)


def test_pairs_stand_beside_the_first_action_alone() -> None:
    test = ask.pair_table([1], [0, 2], NAMES, 8, frames=5)
    assert cells(test) == (1, 3)
    assert test.columns == ("alone", "+ warm up", "+ drink")
    assert list(zip(test.action.tolist(), test.second_action.tolist())) == [(1, 1), (1, 0), (1, 2)]


def test_the_transformer_decodes_every_test() -> None:
    torch.manual_seed(0)
    net = ActorCVAE(
        TransformerEncoder, TransformerDecoder, num_classes=3, latent_dim=8, ff_size=8, num_layers=1, num_heads=2,
        conditioning="pair",
    )  # fmt: skip
    durations = ask.different_durations(SINGLES, NAMES, 8, [3, 6])
    motions = list(ask.decode_rows(net, durations.z, durations.lengths, durations.action, durations.second_action))
    assert [motion.shape[-1] for motion in motions] == [3, 6] * 3
    way = ask.between_actions(SINGLES, NAMES, 8, frames=4, steps=3)
    soft = list(ask.decode_rows(net, way.z, way.lengths, way.action, way.second_action))
    hard = decode(net, way.z[:1], way.lengths[:1], torch.tensor([0]), torch.tensor([0]))
    torch.testing.assert_close(soft[0], hard.motion[0])
    assert not torch.allclose(soft[0], soft[1])


def test_the_same_seed_asks_the_same() -> None:
    first, again, other = (ask.different_actions(SINGLES, NAMES, 8, 5, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.z, again.z)
    assert not torch.equal(first.z, other.z)
