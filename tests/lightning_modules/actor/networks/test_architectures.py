"""What every architecture of ACTOR must do, whichever encoder and decoder a config chooses."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra.utils import instantiate
from torch import Tensor

from components.errors import InputError
from lightning_modules.actor.generation import ActionPair, generate
from lightning_modules.actor.losses import ActorLosses
from lightning_modules.actor.module import ActorModule
from lightning_modules.actor.networks.autoregressive import AutoregressiveDecoder, AutoregressiveLayer
from lightning_modules.actor.networks.average_encoder import AverageEncoder
from lightning_modules.actor.networks.cvae import ActorCAE, ActorCVAE
from lightning_modules.actor.networks.fully_connected import FCDecoder, FCEncoder
from lightning_modules.actor.networks.positions import relative_time
from lightning_modules.actor.networks.sizes import NetworkSizes
from lightning_modules.actor.networks.transformer import TransformerDecoder, TransformerEncoder

MODELS = Path(__file__).resolve().parents[4] / "conf" / "model"
# Architectures of any length; the fully connected one has tests of its own.
NAMES = ("actor", "actor_gru", "actor_grutrans", "actor_transgru", "actor_autotrans", "actor_average_encoder",
         "actor_zandtime", "actor_concat_bias", "actor_time_encoding")  # fmt: skip
FRAMES = 7


def network(name: str, **settings: Any) -> ActorCVAE:
    """A small network of a model config."""
    node = yaml.safe_load((MODELS / "actor.yaml").read_text())["net"]
    own = yaml.safe_load((MODELS / f"{name}.yaml").read_text()).get("net", {}) if name != "actor" else {}
    for key, value in own.items():
        node[key] = node[key] | value if isinstance(value, dict) else value
    sizes = {"num_classes": 4, "num_frames": FRAMES, "latent_dim": 16, "ff_size": 24, "num_layers": 2, "num_heads": 2,
             "pose_rep": "rot6d", "translation": False, "glob": True}  # fmt: skip
    return instantiate(node | sizes | settings, _convert_="object")


def clips(lengths: list[int], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Motions with rubbish in their padding, and their mask."""
    motion = torch.randn(len(lengths), 24, 6, FRAMES, generator=torch.Generator().manual_seed(seed))
    return motion, torch.arange(FRAMES) < torch.tensor(lengths)[:, None]


@pytest.mark.parametrize("conditioning", ["single", "pair"])
@pytest.mark.parametrize("name", [*NAMES, "actor_fc", "actor_cae"])
def test_it_trains_every_parameter_and_reads_soft_labels(name: str, conditioning: str) -> None:
    net = network(name, conditioning=conditioning)
    motion, mask = clips([FRAMES, FRAMES])
    action, second = torch.tensor([0, 3]), torch.tensor([1, 3])
    out = net(motion, mask, action, second)
    assert out.motion.shape == motion.shape
    (out.motion.square().sum() + out.mu.sum() + out.logvar.sum()).backward()
    dead = [key for key, parameter in net.named_parameters() if parameter.requires_grad and parameter.grad is None]
    assert not dead
    net.eval()
    soft = [torch.nn.functional.one_hot(label, 4).float() for label in (action, second)]
    with torch.no_grad():
        hard_out, soft_out = (net(motion, mask, *labels, noise=out.mu * 0) for labels in ((action, second), soft))
        other = net(motion, mask, action, (second + 1) % 4, noise=out.mu * 0)
    torch.testing.assert_close(soft_out.motion, hard_out.motion)
    assert torch.equal(other.motion, hard_out.motion) == (conditioning == "single")


@pytest.mark.parametrize("name", NAMES)
def test_padding_and_neighbours_have_no_influence(name: str) -> None:
    motion, mask = clips([3, FRAMES, 1])
    labels, noise = torch.tensor([1, 2, 0]), torch.zeros(3, 16)
    for mode in (False, True):  # teacher forcing, too: the true motion ends where the mask does
        net = network(name, dropout=0.0).train(mode)
        with torch.no_grad():
            together = net(motion, mask, labels, labels, noise)
            for row, length in enumerate([3, FRAMES, 1]):
                one = slice(row, row + 1)
                alone = net(motion[one, ..., :length], mask[one, :length], labels[one], labels[one], noise[one])
                torch.testing.assert_close(together.mu[one], alone.mu, rtol=1e-4, atol=1e-5)
                torch.testing.assert_close(together.motion[one, ..., :length], alone.motion, rtol=1e-4, atol=1e-5)
                assert not together.motion[row, ..., length:].any()


@pytest.mark.parametrize("name", [*NAMES, "actor_fc"])
def test_bfloat16_stays_near_float32(name: str) -> None:
    net = network(name, dropout=0.0).eval()
    motion, mask = clips([FRAMES, FRAMES])
    labels, noise = torch.tensor([1, 2]), torch.zeros(2, 16)
    with torch.no_grad():
        exact = net(motion, mask, labels, labels, noise)
    for mode in (False, True):
        net.train(mode)
        with torch.autocast("cpu", torch.bfloat16):
            rough = net(motion, mask, labels, labels, noise)
        assert rough.motion.isfinite().all()
        rough.motion.float().square().sum().backward()
        if not mode:
            scale = exact.motion.abs().max()
            torch.testing.assert_close(rough.motion.float(), exact.motion, rtol=0.0, atol=0.15 * scale.item())


@pytest.mark.parametrize("name", NAMES)
def test_it_generates_any_length(name: str) -> None:
    made = generate(network(name), [ActionPair(0, 0), ActionPair(3, 3)], [1, 2 * FRAMES])
    assert made.motion.shape == (2, 24, 6, 2 * FRAMES)
    assert made.motion.isfinite().all()


def test_relative_time_of_short_and_padded_motions() -> None:
    _, mask = clips([FRAMES, 3, 1])
    times = relative_time(mask)
    torch.testing.assert_close(times[0], torch.linspace(0, 1, FRAMES))
    assert times[1].tolist() == [0.0, 0.5, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert not times[2].any()


def test_fully_connected_networks_have_one_length() -> None:
    net = network("actor_fc")
    assert net.fixed_frames == FRAMES
    assert generate(net, [ActionPair(1, 1)], [FRAMES]).motion.shape == (1, 24, 6, FRAMES)
    with pytest.raises(InputError, match=f"motion of 5 frames is asked for.*\n.*duration={FRAMES}"):
        generate(net, [ActionPair(1, 1)] * 2, [FRAMES, 5])
    motion, mask = clips([5])
    with pytest.raises(InputError, match=f"motions of 6 frames; .* the {FRAMES} "):
        net.encode(motion[..., :6], mask[:, :6], torch.tensor([1]), torch.tensor([1]))
    # Rubbish beyond the mask is not read.
    changed = torch.where(mask[:, None, None], motion, 9.0)
    latents = [net.eval().encode(each, mask, torch.tensor([1]), torch.tensor([1]))[0] for each in (motion, changed)]
    assert torch.equal(*latents)
    with pytest.raises(InputError, match=r"data\.num_frames"):
        FCEncoder(NetworkSizes(24, 6, num_classes=4))


def test_the_published_last_gelu_bounds_the_outputs() -> None:
    sizes = NetworkSizes(4, 6, num_classes=4, num_frames=FRAMES, latent_dim=16)
    labels, mask = torch.zeros(64, dtype=torch.int64), torch.ones(64, FRAMES, dtype=torch.bool)
    z = 30 * torch.randn(64, 16)
    lowest = {kind: FCDecoder(sizes, kind)(z, mask, labels, labels).min() for kind in ("gelu", "none")}
    assert lowest["none"] < -0.2 < -0.17 < lowest["gelu"] + 1e-3
    with pytest.raises(InputError, match="final_activation='tanh'"):
        FCDecoder(sizes, "tanh")


def test_averaging_padding_is_an_option() -> None:
    motion, mask = clips([3, FRAMES])
    labels = torch.tensor([1, 2])
    torch.manual_seed(0)
    sizes = NetworkSizes(24, 6, num_classes=4, latent_dim=16, ff_size=24, num_layers=1, num_heads=2)
    ours, published = AverageEncoder(sizes).eval(), AverageEncoder(sizes, average_padding=True).eval()
    published.load_state_dict(ours.state_dict())
    a, b = (net(motion, mask, labels, labels)[0] for net in (ours, published))
    torch.testing.assert_close(a[1], b[1])
    assert (a[0] - b[0]).abs().max() > 1e-3


def test_free_running_costs_one_pass_per_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = NetworkSizes(4, 6, num_classes=4, latent_dim=16, ff_size=24, num_layers=2, num_heads=2, dropout=0.0)
    net = AutoregressiveDecoder(sizes).eval()
    seen = []
    layer_forward = AutoregressiveLayer.forward
    monkeypatch.setattr(
        AutoregressiveLayer, "forward", lambda self, x, *rest: seen.append(x.shape[1]) or layer_forward(self, x, *rest)
    )
    labels, mask, z = torch.tensor([1, 2]), torch.ones(2, 9, dtype=torch.bool), torch.randn(2, 16)
    free = net(z, mask, labels, labels)
    assert seen == [1] * 9 * 2
    # Given its own output as the truth, all at once is the same.
    torch.testing.assert_close(net(z, mask, labels, labels, free), free, rtol=1e-4, atol=1e-5)


def test_teacher_forcing_reads_the_true_motion_in_training_alone() -> None:
    net = network("actor_autotrans", dropout=0.0)
    motion, mask = clips([FRAMES])
    changed = motion.clone()
    changed[..., 2] += 1.0
    labels, z = torch.tensor([1]), torch.randn(1, 16)
    first, second = (net.decoder(z, mask, labels, labels, each) for each in (motion, changed))
    assert torch.equal(first[..., :3], second[..., :3])
    assert not torch.equal(first[..., 3:], second[..., 3:])
    calls = []
    net.decoder.register_forward_hook(lambda module, inputs, output: calls.append(len(inputs)))
    for mode in (True, False):
        net.train(mode)(motion, mask, labels, labels)
    assert calls == [5, 4]


def test_an_autoencoder_decodes_the_mean_and_has_no_kl() -> None:
    net = network("actor_cae")
    assert isinstance(net, ActorCAE)
    motion, mask = clips([FRAMES, 4])
    labels = torch.tensor([1, 2])
    out = net(motion, mask, labels, labels, noise=torch.randn(2, 16))
    assert torch.equal(out.z, out.mu)
    losses = instantiate(yaml.safe_load((MODELS / "actor_cae.yaml").read_text())["losses"], lambda_rcxyz=0.0)
    assert losses.active_terms == ("rc",)
    with pytest.raises(InputError, match="lambda_kl is above 0"):
        ActorModule(net, ActorLosses(lambda_rcxyz=0.0), partial(torch.optim.AdamW, lr=1e-3))
    ActorModule(net, losses, partial(torch.optim.AdamW, lr=1e-3))


@pytest.mark.parametrize(("width", "encoder", "decoder"), [(256, 6362880, 8469142), (512, 16911872, 25318550)])
def test_parameters_are_as_many_as_published(width: int, encoder: int, decoder: int) -> None:
    sizes = NetworkSizes(25, 6, num_classes=12, latent_dim=width, num_layers=8)
    with torch.device("meta"):
        counts = [sum(p.numel() for p in net(sizes).parameters()) for net in (TransformerEncoder, TransformerDecoder)]
    # The published cross-attentions have queries and keys without effect.
    without_effect = 8 * 2 * (width * width + width)
    assert counts == [encoder, decoder - without_effect]


def test_fully_connected_parts_fit_each_other() -> None:
    sizes = NetworkSizes(24, 6, num_classes=4, num_frames=FRAMES, latent_dim=16, conditioning="pair")
    net = ActorCVAE(lambda _: FCEncoder(sizes), lambda _: FCDecoder(sizes), 4)
    motion, mask = clips([FRAMES])
    assert net(motion, mask, torch.tensor([1]), torch.tensor([2])).motion.shape == motion.shape
