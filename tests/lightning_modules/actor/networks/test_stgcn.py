import math

import pytest
import torch
from torch import Tensor

from components.body.skeleton import SMPL_PARENTS
from components.errors import InputError
from lightning_modules.actor.networks.stgcn import STGCNRecognizer, spatial_partitions


def slow_partitions(parents: tuple[int, ...]) -> Tensor:
    """The published construction step by step: hop distances up to one step, then a case per pair of joints."""
    count = len(parents)
    hop = [[math.inf] * count for _ in range(count)]
    for joint, parent in enumerate(parents):
        hop[joint][joint] = 0
        if parent >= 0:
            hop[joint][parent] = hop[parent][joint] = 1
    degree = [sum(hop[i][j] <= 1 for i in range(count)) for j in range(count)]
    result = torch.zeros(3, count, count)
    for i in range(count):
        for j in range(count):
            if hop[j][i] > 1:
                continue
            if hop[j][i] == 0:
                part = 0
            else:
                part = 2 if hop[j][0] < hop[i][0] else 1
            result[part, j, i] = 1 / degree[i]
    return result


def test_the_graph_of_the_published_code() -> None:
    partitions = spatial_partitions()
    torch.testing.assert_close(partitions, slow_partitions(SMPL_PARENTS))
    torch.testing.assert_close(partitions.sum(dim=(0, 1)), torch.ones(24))
    chain = (-1, 0, 1, 2)
    torch.testing.assert_close(spatial_partitions(chain), slow_partitions(chain))


def network(**settings: object) -> STGCNRecognizer:
    """A small one whose batch normalisation has seen data."""
    torch.manual_seed(0)
    net = STGCNRecognizer(**{"num_classes": 5, "channels": [8, 12, 12, 16], **settings})  # type: ignore[arg-type]
    for _ in range(3):
        net(torch.randn(6, 24, 6, 20))
    return net.eval()


@pytest.mark.parametrize("length", [1, 2, 7, 19])
def test_padding_has_no_influence(length: int) -> None:
    net = network()
    motion = torch.randn(2, 24, 6, 20)
    alone = net(motion[1:, ..., :length], torch.tensor([length]))
    motion[1, ..., length:] = 7.0
    padded = net(motion, torch.tensor([20, length]))
    torch.testing.assert_close(padded.features[1:], alone.features)
    torch.testing.assert_close(padded.logits[1:], alone.logits)
    # Without the mask, as published, it has.
    net.masked = False
    assert not torch.allclose(net(motion, torch.tensor([20, length])).features[1:], alone.features, atol=1e-3)


def test_full_length_needs_no_mask() -> None:
    net = network()
    motion = torch.randn(3, 24, 6, 15)
    masked = net(motion, torch.full((3,), 15))
    net.masked = False
    torch.testing.assert_close(masked.features, net(motion).features)


def test_a_batch_of_one_is_a_row_of_the_batch() -> None:
    net = network()
    motion = torch.randn(3, 24, 6, 20)
    batch = net(motion)
    alone = net(motion[:1])
    assert alone.features.shape == (1, 16)
    torch.testing.assert_close(alone.logits, batch.logits[:1])


def test_edges_carry_weights_that_learn() -> None:
    net = network()
    assert net.edge_importance is not None
    net(torch.randn(2, 24, 6, 12)).logits.square().sum().backward()
    gradient = net.edge_importance[0].grad
    assert gradient is not None
    assert (gradient != 0).any()
    # Joints that are no neighbours exchange nothing.
    assert (gradient[net.adjacency == 0] == 0).all()
    assert network(edge_importance=False).edge_importance is None


def test_a_joint_is_heard_one_edge_per_block_away() -> None:
    net = network(channels=[4, 4])
    motion = torch.zeros(1, 24, 6, 9)
    x = net.input_norm(motion.flatten(1, 2)).unflatten(1, (24, -1)).permute(0, 2, 3, 1)
    changed = x.clone()
    changed[..., 22] += 1.0  # left hand
    for block in net.blocks:
        x, _ = block(x, net.adjacency, None)
        changed, _ = block(changed, net.adjacency, None)
    heard = (x != changed).any(dim=1).any(dim=1)[0].nonzero().squeeze(1).tolist()
    assert set(heard) <= {22, 20, 18}
    assert 22 in heard


@pytest.mark.parametrize(
    "settings", [{"num_classes": 0}, {"channels": []}, {"temporal_kernel": 4}, {"dropout": 1.0}, {"in_channels": 0}]
)
def test_sizes_out_of_range(settings: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        network(**settings)


def test_the_translation_row_is_no_joint() -> None:
    with pytest.raises(ValueError, match="expected 24 rows"):
        network()(torch.zeros(1, 25, 6, 8))
