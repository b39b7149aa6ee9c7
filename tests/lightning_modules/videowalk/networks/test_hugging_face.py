"""Backbones of transformers, tiny and random, saved to a folder and read back as encoders."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from components.errors import InputError
from components.media.normalization import IMAGENET
from lightning_modules.videowalk.networks.hugging_face import HuggingFaceEncoder
from lightning_modules.videowalk.networks.walk_network import WalkNetwork

transformers = pytest.importorskip("transformers")

VIT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
STAGES = {"hidden_sizes": [4, 8, 8, 16], "depths": [1, 1, 1, 1]}
# Class of the config, its settings, then channels, stride and tokens that are no patches.
NETWORKS: dict[str, tuple[str, dict[str, Any], tuple[int, int, int]]] = {
    "vit": ("ViTConfig", VIT | {"image_size": 32, "patch_size": 8}, (16, 8, 1)),
    "deit": ("DeiTConfig", VIT | {"image_size": 32, "patch_size": 16}, (16, 16, 2)),
    "dinov2": ("Dinov2Config", VIT | {"image_size": 28, "patch_size": 14}, (16, 14, 1)),
    "registers": ("Dinov2WithRegistersConfig",
                  VIT | {"image_size": 28, "patch_size": 14, "num_register_tokens": 3}, (16, 14, 4)),
    "mae": ("ViTMAEConfig", VIT | {"image_size": 32, "patch_size": 8}, (16, 8, 1)),
    "clip": ("CLIPVisionConfig", VIT | {"image_size": 32, "patch_size": 8}, (16, 8, 1)),
    "swin": ("SwinConfig", {"embed_dim": 4, "depths": [1, 1], "num_heads": [1, 1], "image_size": 32, "patch_size": 4,
                            "window_size": 4}, (8, 8, 0)),
    "convnext": ("ConvNextConfig", STAGES, (16, 32, 0)),
    "resnet": ("ResNetConfig", STAGES | {"embedding_size": 4, "layer_type": "basic"}, (16, 32, 0)),
}  # fmt: skip


def save(folder: Path, kind: str, mean: float = 0.5, **more: Any) -> Any:
    """Write a folder as `save_pretrained` does; returns the network."""
    name, settings, _ = NETWORKS[kind]
    torch.manual_seed(0)
    network = transformers.AutoModel.from_config(getattr(transformers, name)(**(settings | more)))
    network.save_pretrained(folder)
    processor = {"do_normalize": True, "image_mean": [mean] * 3, "image_std": [0.25] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return network.eval()


@pytest.mark.parametrize("kind", list(NETWORKS))
def test_every_kind_gives_maps(kind: str, tmp_path: Path) -> None:
    save(tmp_path, kind)
    encoder = HuggingFaceEncoder(str(tmp_path)).eval()
    channels, stride, extra = NETWORKS[kind][2]
    assert (encoder.channels, encoder.stride, encoder.extra_tokens) == (channels, stride, extra)
    assert encoder.normalization == ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    torch.testing.assert_close(encoder.normalization.apply(torch.ones(3, 1, 1)), torch.full((3, 1, 1), 2.0))
    picture = torch.randn(1, 3, 5 * stride, 6 * stride)
    maps = encoder(picture)
    assert maps.shape == (1, channels, 5, 6)
    # A size that does not divide: as if the picture went on with its last row and column.
    cut = picture[..., : 5 * stride - 3, : 4 * stride + 1]
    filled = torch.nn.functional.pad(cut, (0, stride - 1, 0, 3), mode="replicate")
    torch.testing.assert_close(encoder(cut), encoder(filled))


def test_patch_tokens_are_where_their_patches_are(tmp_path: Path) -> None:
    network = save(tmp_path, "registers")
    encoder = HuggingFaceEncoder(str(tmp_path)).eval()
    picture = torch.randn(1, 3, 28, 42)
    with torch.no_grad():
        tokens = network(picture).last_hidden_state
    for row in range(2):
        for column in range(3):
            torch.testing.assert_close(encoder(picture)[0, :, row, column], tokens[0, 4 + 3 * row + column])


def test_hidden_states_have_strides_of_their_own(tmp_path: Path) -> None:
    network = save(tmp_path, "resnet")
    encoder = HuggingFaceEncoder(str(tmp_path), layer=2).eval()
    assert (encoder.channels, encoder.stride) == (8, 8)
    picture = torch.randn(1, 3, 32, 64)
    with torch.no_grad():
        torch.testing.assert_close(encoder(picture), network(picture, output_hidden_states=True).hidden_states[2])
    # What lies behind takes no part in training.
    trained = {name for name, parameter in encoder.network.named_parameters() if parameter.requires_grad}
    assert any("stages.1" in name for name in trained)
    assert not any("stages.2" in name for name in trained)
    with pytest.raises(InputError, match="layer=9"):
        HuggingFaceEncoder(str(tmp_path), layer=9)


def test_it_trains_in_a_walk(tmp_path: Path) -> None:
    save(tmp_path, "vit")
    net = WalkNetwork(HuggingFaceEncoder(str(tmp_path)))
    q = net(torch.randn(1, 3, 3 * 2, 16, 16)).q
    assert q.shape == (1, 128, 3, 2)
    q.square().sum().sub(q[0, 0].sum()).backward()
    for name, parameter in net.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    assert not any(parameter.requires_grad for parameter in
                   HuggingFaceEncoder(str(tmp_path), freeze=True).parameters())  # fmt: skip


def test_random_weights_need_no_file_of_weights(tmp_path: Path) -> None:
    save(tmp_path, "vit")
    (tmp_path / "model.safetensors").unlink()
    assert HuggingFaceEncoder(str(tmp_path), pretrained=False).channels == 16
    with pytest.raises(InputError, match="cannot be loaded"):
        HuggingFaceEncoder(str(tmp_path))


def test_bad_folders_are_explained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no config\.json.*not downloaded"):
        HuggingFaceEncoder("facebook/dinov2-small")
    save(tmp_path, "vit")
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(InputError, match="normalization=imagenet"):
        HuggingFaceEncoder(str(tmp_path))
    assert HuggingFaceEncoder(str(tmp_path), normalization="imagenet").normalization == IMAGENET
    text = transformers.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
                                   vocab_size=9, max_position_embeddings=8)  # fmt: skip
    transformers.AutoModel.from_config(text).save_pretrained(tmp_path / "text")
    with pytest.raises(InputError, match="expected a vision backbone"):
        HuggingFaceEncoder(str(tmp_path / "text"), normalization="imagenet")
