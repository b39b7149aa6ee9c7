import copy
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from components.errors import InputError
from components.media.normalization import IMAGENET
from lightning_modules.videowalk.adaptation import AdaptationSettings, adapt, clip_frames
from lightning_modules.videowalk.networks.encoders import Encoder
from lightning_modules.videowalk.networks.resnet import ResNet
from lightning_modules.videowalk.networks.walk_network import WalkNetwork
from lightning_modules.videowalk.walk import Walk

SMALL = AdaptationSettings(steps=2, lr=1e-3, clips=1, clip_len=3, frame_gap=2, img_size=48, patch_size=32)


@dataclass
class Film:
    """A pattern that moves to the right."""

    length: int = 9
    name: str = "film"
    size: tuple[int, int] = (40, 56)

    def __len__(self) -> int:
        return self.length

    def read(self, index: int) -> np.ndarray:
        noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8))
        return np.roll(np.asarray(noise.resize(self.size[::-1], Image.Resampling.BILINEAR)), index, axis=1)


class OneLayer(Encoder):
    """Learns fast."""

    channels, stride, normalization = 16, 8, IMAGENET

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 16, 8, 8)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layer(images)


def network() -> WalkNetwork:
    torch.manual_seed(1)
    return WalkNetwork(ResNet(18, "reflect", width=4), featdrop=0.2)


def state(net: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in net.state_dict().items()}


@pytest.mark.parametrize("nodes", ["patches", "cells"])
def test_a_copy_learns_and_the_network_stays(nodes: str) -> None:
    net, walk = network().train(), Walk(0.07, edge_dropout=0.1)
    before, stream = state(net), torch.random.get_rng_state()
    settings = AdaptationSettings(**{**vars(SMALL), "nodes": nodes})
    first, losses = adapt(net, walk, Film(), settings)
    again, same_losses = adapt(net, walk, Film(), settings)
    assert torch.equal(stream, torch.random.get_rng_state())
    assert net.training
    assert not first.training
    assert losses == same_losses
    assert len(losses) == 2
    after = state(first)
    for key, value in before.items():
        torch.testing.assert_close(net.state_dict()[key], value, rtol=0, atol=0)
        torch.testing.assert_close(again.state_dict()[key], after[key], rtol=0, atol=0)
        if "running" in key or "tracked" in key:  # frozen statistics
            assert torch.equal(after[key], value)
    assert any(not torch.equal(after[key], before[key]) for key in before if key.endswith("weight"))
    other, _ = adapt(net, walk, Film(), AdaptationSettings(**{**vars(settings), "seed": 1}))
    assert any(not torch.equal(value, after[key]) for key, value in other.state_dict().items())


def test_steps_lower_the_loss_on_the_film() -> None:
    torch.manual_seed(1)
    settings = AdaptationSettings(**{**vars(SMALL), "steps": 20, "nodes": "cells"})
    _, losses = adapt(WalkNetwork(OneLayer()), Walk(0.07), Film(), settings)
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])


def test_no_steps_give_an_equal_copy() -> None:
    net = network()
    adapted, losses = adapt(net, Walk(), Film(1), AdaptationSettings(steps=0))
    assert losses == []
    assert adapted is not net
    for key, value in adapted.state_dict().items():
        assert torch.equal(value, net.state_dict()[key])


@given(
    st.integers(3, 60), st.integers(0, 59), st.integers(1, 12), st.integers(3, 8), st.integers(1, 9), st.integers(0, 9)
)
def test_clips_lie_in_the_window(length: int, moment: int, window: int, clip_len: int, gap: int, seed: int) -> None:
    moment = min(moment, length - 1)
    settings = AdaptationSettings(window=window, clip_len=clip_len, frame_gap=gap)
    frames = clip_frames(length, moment, settings, torch.Generator().manual_seed(seed))
    assert 3 <= len(frames) <= clip_len
    assert len(frames) == min(clip_len, length, 2 * window + 1)
    steps = np.diff(frames)
    assert (steps == steps[0]).all()
    assert 1 <= steps[0] <= gap
    assert frames[0] >= 0
    assert frames[-1] < length
    # At the ends of the film the window moves inwards.
    assert frames[0] >= min(moment - window, length - 2 * window - 1)
    assert frames[-1] <= max(moment + window, 2 * window)


def test_too_few_frames_and_bad_values() -> None:
    with pytest.raises(InputError, match="film: 2 frames are too few"):
        adapt(network(), Walk(), Film(2), SMALL)
    with pytest.raises(InputError, match="all weights of this network are frozen"):
        adapt(network().requires_grad_(False), Walk(), Film(), SMALL)
    with pytest.raises(InputError, match=r"adapt_steps=-1.*\nadapt_lr=0.*\nadapt_clip_len=2"):
        AdaptationSettings(steps=-1, lr=0.0, clip_len=2)
    with pytest.raises(InputError, match="adapt_img_size=32: must be at least patch_size=64"):
        AdaptationSettings(img_size=32)


def test_nodes_are_those_of_the_training() -> None:
    patches = AdaptationSettings.like_training(
        {"img_size": 128, "patch_size": 32, "frame_aug": ["grid", "cj"]}, steps=3
    )
    assert (patches.nodes, patches.img_size, patches.patch_size, patches.steps) == ("patches", 128, 32, 3)
    cells = AdaptationSettings.like_training({"img_size": 48, "patch_size": 64, "frame_aug": "none"}, img_size=40)
    assert (cells.nodes, cells.img_size) == ("cells", 40)
    assert AdaptationSettings.like_training({}) == AdaptationSettings()


def test_a_loss_that_explodes_is_reported() -> None:
    net = copy.deepcopy(network())
    with torch.no_grad():
        next(net.parameters()).fill_(float("nan"))
    with pytest.raises(InputError, match="not finite; lower adapt_lr"):
        adapt(net, Walk(), Film(), SMALL)
