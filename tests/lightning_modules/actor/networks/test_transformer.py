import math

import pytest
import torch
from torch import Tensor, nn

from components.errors import InputError
from lightning_modules.actor.networks.actions import ActionEmbedding
from lightning_modules.actor.networks.attention import SelfAttention, SingleTokenAttention
from lightning_modules.actor.networks.positions import MAX_POSITIONS, PositionalEncoding, sinusoidal_positions
from lightning_modules.actor.networks.sizes import NetworkSizes
from lightning_modules.actor.networks.transformer import TransformerDecoder, TransformerEncoder
from lightning_modules.actor.upstream_names import to_upstream

SIZES = NetworkSizes(3, 4, num_classes=5, latent_dim=24, ff_size=40, num_layers=3, num_heads=3, dropout=0.1)


def lengths_mask(lengths: list[int]) -> Tensor:
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def stock_layers(state: dict[str, Tensor], stack: str, layer: nn.Module, count: int) -> list[nn.Module]:
    """torch's own layers with our weights: their parameter names are the published ones."""
    layers = []
    for i in range(count):
        prefix = f"{stack}.layers.{i}."
        own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        copy = type(layer)(24, 3, 40, 0.1, "gelu", batch_first=True)
        copy.load_state_dict(own)
        layers.append(copy.eval())
    return layers


def test_encoder_equals_stock_torch_layers() -> None:
    torch.manual_seed(0)
    net = TransformerEncoder(SIZES).eval()
    motion, mask = torch.randn(2, 3, 4, 7), lengths_mask([7, 4])
    action = torch.tensor([1, 4])
    with torch.no_grad():
        mu, logvar = net(motion, mask, action, action)
        frames = net.pose_embedding(motion.permute(0, 3, 1, 2).reshape(2, 7, 12))
        x = torch.cat([net.mu_token.table[action][:, None], net.logvar_token.table[action][:, None], frames], dim=1)
        x = x + sinusoidal_positions(9, 24)
        padding = torch.cat([torch.zeros(2, 2, dtype=torch.bool), ~mask], dim=1)
        stock = nn.TransformerEncoderLayer(24, 3, 40, 0.1, "gelu", batch_first=True)
        for layer in stock_layers(to_upstream(net.state_dict(), "encoder"), "seqTransEncoder", stock, 3):
            x = layer(x, src_key_padding_mask=padding)
    torch.testing.assert_close(mu, x[:, 0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logvar, x[:, 1], rtol=1e-4, atol=1e-5)


def test_decoder_equals_stock_torch_layers_with_full_cross_attention() -> None:
    torch.manual_seed(1)
    net = TransformerDecoder(SIZES).eval()
    z, mask, action = torch.randn(2, 24), lengths_mask([5, 8]), torch.tensor([0, 3])
    with torch.no_grad():
        motion = net(z, mask, action, action)
        x, memory = sinusoidal_positions(8, 24).expand(2, -1, -1), (z + net.action_bias.table[action])[:, None]
        stock = nn.TransformerDecoderLayer(24, 3, 40, 0.1, "gelu", batch_first=True)
        state = to_upstream(net.state_dict(), "decoder")
        for key in state:
            if key.endswith("multihead_attn.in_proj_weight"):
                state[key][:48] = torch.randn(48, 24)  # queries and keys do not matter
        for layer in stock_layers(state, "seqTransDecoder", stock, 3):
            x = layer(x, memory, tgt_key_padding_mask=~mask)
        expected = net.pose_head(x).reshape(2, 8, 3, 4).permute(0, 2, 3, 1) * mask[:, None, None]
    torch.testing.assert_close(motion, expected, rtol=1e-4, atol=1e-5)
    assert not motion[0, :, :, 5:].any()


def test_motions_of_equal_length_share_the_first_attention() -> None:
    torch.manual_seed(3)
    decoder = TransformerDecoder(SIZES).eval()
    z, action = torch.randn(3, 24), torch.tensor([0, 1, 4])
    attended: list[torch.Size] = []
    decoder.layers[0].attention.register_forward_hook(lambda _, inputs, __: attended.append(inputs[0].shape))
    with torch.no_grad():
        together = decoder(z, torch.ones(3, 6, dtype=torch.bool), action, action)
        # One row more that is shorter: every row attends for itself.
        mask = torch.cat([torch.ones(3, 6, dtype=torch.bool), lengths_mask([2, 6])[:1]])
        mixed = decoder(torch.cat([z, z[:1]]), mask, torch.cat([action, action[:1]]), torch.cat([action, action[:1]]))
    assert attended == [(1, 6, 24), (4, 6, 24)]
    torch.testing.assert_close(together, mixed[:3], rtol=1e-5, atol=1e-6)


def test_a_motion_does_not_depend_on_the_padding_beside_it() -> None:
    torch.manual_seed(2)
    encoder, decoder = TransformerEncoder(SIZES).eval(), TransformerDecoder(SIZES).eval()
    motion, action = torch.randn(1, 3, 4, 5), torch.tensor([2])
    padded = torch.cat([motion, torch.full((1, 3, 4, 3), 7.0)], dim=-1)
    mask, longer = torch.ones(1, 5, dtype=torch.bool), lengths_mask([5, 8])[:1]
    mu, _ = encoder(motion, mask, action, action)
    torch.testing.assert_close(encoder(padded, longer, action, action)[0], mu)
    decoded = decoder(mu, mask, action, action)
    torch.testing.assert_close(decoder(mu, longer, action, action)[..., :5], decoded)


def test_pair_order_matters_and_soft_labels_reach_both_ends() -> None:
    sizes = NetworkSizes(3, 4, num_classes=5, latent_dim=24, ff_size=40, num_layers=1, num_heads=3, conditioning="pair")
    embedding = ActionEmbedding(sizes)
    a, b = torch.tensor([1]), torch.tensor([4])
    assert embedding.table.shape == (5, 12)
    assert torch.equal(embedding(a, b), torch.cat([embedding.table[1], embedding.table[4]])[None])
    assert not torch.equal(embedding(a, b), embedding(b, a))
    soft = nn.functional.one_hot(a, 5).float()
    torch.testing.assert_close(embedding(soft, b), embedding(a, b))
    middle = embedding(0.5 * soft + 0.5 * nn.functional.one_hot(b, 5).float(), b)
    torch.testing.assert_close(middle[0, :12], (embedding.table[1] + embedding.table[4]) / 2)


def test_positions_alternate_sine_and_cosine() -> None:
    positions = sinusoidal_positions(20, 6)
    assert positions[7, 2] == pytest.approx(math.sin(7 * 10000 ** (-2 / 6)), abs=1e-6)
    assert positions[7, 3] == pytest.approx(math.cos(7 * 10000 ** (-2 / 6)), abs=1e-6)
    with pytest.raises(InputError, match=str(MAX_POSITIONS)):
        PositionalEncoding(2, 0.0)(torch.zeros(1, MAX_POSITIONS + 1, 2))


def test_single_token_attention_equals_full_attention() -> None:
    torch.manual_seed(3)
    attention = SingleTokenAttention(24, 3, 0.2).eval()
    full = nn.MultiheadAttention(24, 3, batch_first=True)
    with torch.no_grad():
        full.in_proj_weight[48:] = attention.value_proj.weight
        full.in_proj_bias[48:] = attention.value_proj.bias
    full.out_proj.load_state_dict(attention.out_proj.state_dict())
    memory = torch.randn(2, 24)
    frames = torch.randn(2, 6, 24)
    expected, _ = full(frames, memory[:, None], memory[:, None])
    torch.testing.assert_close(attention(frames, memory[:, None]).expand(2, 6, 24), expected)


def test_single_token_attention_drops_whole_heads_per_frame() -> None:
    torch.manual_seed(4)
    attention, memory = SingleTokenAttention(24, 3, 0.25), torch.randn(2, 24)
    values = attention.value_proj(memory)
    per_head = [values[:, 8 * h : 8 * h + 8] @ attention.out_proj.weight[:, 8 * h : 8 * h + 8].T for h in range(3)]
    frames = torch.zeros(2, 4000, 24)
    received = attention.train()(frames, memory[:, None]) - attention.out_proj.bias
    # Each frame holds a subset of the heads' messages, scaled by 1 / 0.75.
    solution = torch.linalg.lstsq(torch.stack(per_head, dim=-1), received.transpose(1, 2)).solution  # batch head frame
    torch.testing.assert_close(solution, (solution > 0.5) / 0.75, rtol=1e-3, atol=1e-3)
    assert (solution > 0.5).float().mean() == pytest.approx(0.75, abs=0.02)
    with torch.no_grad():
        assert attention.eval()(frames, memory[:, None]).shape == (2, 1, 24)


@pytest.mark.parametrize("num_queries", [None, 2])
def test_self_attention_with_dropout_averages_to_the_one_without(num_queries: int | None) -> None:
    torch.manual_seed(5)
    attention = SelfAttention(24, 3, 0.3)
    x, mask = torch.randn(1, 6, 24), lengths_mask([6, 4])[1:]
    x = x.expand(6000, -1, -1)
    with torch.no_grad():
        mean = attention.train()(x, mask.expand(6000, -1), num_queries).mean(dim=0)
        expected = attention.eval()(x[:1], mask, num_queries)[0]
    torch.testing.assert_close(mean, expected, rtol=0.0, atol=0.02)


def test_sizes_name_what_is_wrong() -> None:
    for change, key in [
        ({"latent_dim": 25}, "latent_dim"),
        ({"num_heads": 5}, "num_heads"),
        ({"num_layers": 0}, "num_layers"),
        ({"dropout": 1.0}, "dropout"),
        ({"activation": "selu"}, "activation"),
        ({"conditioning": "triple"}, "conditioning"),
    ]:
        with pytest.raises(InputError, match=key):
            NetworkSizes(3, 4, **({"num_classes": 5, "latent_dim": 24} | change))
