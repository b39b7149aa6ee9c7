import copy

import pytest
import torch

from components.errors import InputError
from components.keypoints.channels import heatmap_channels
from lightning_modules.skeletonclip.alignment import Alignment
from tests.lightning_modules.skeletonclip.tiny import tiny_batch, tiny_module


def test_parameters_have_the_published_names() -> None:
    linear, residual = (tiny_module(embedder=kind).net for kind in ("linear", "residual_mlp"))
    shared = {"temp", "text_proj.weight", "text_proj.bias"}
    heads = [
        {name for name in net.state_dict() if not name.startswith(("video_encoder.", "text_encoder."))}
        for net in (linear, residual)
    ]
    assert heads[0] == shared | {"vision_proj.weight", "vision_proj.bias"}
    assert heads[1] == shared | {
        f"{layer}.{kind}"
        for layer in ("video_embed_linear.0", "video_embed_linear.2", "video_embed_res")
        for kind in ("weight", "bias")
    }


def test_a_copy_embeds_with_layers_of_its_own() -> None:
    net = tiny_module().net
    twin = copy.deepcopy(net)
    frames = torch.randn(2, 4, 8)
    before = net.pool(frames)
    with torch.no_grad():
        twin.vision_proj.weight.zero_()  # type: ignore[union-attr, operator]
    assert torch.equal(net.pool(frames), before)
    assert not torch.equal(twin.pool(frames), before)


def test_a_mean_and_a_linear_layer_commute_and_a_residual_one_does_not() -> None:
    frames = torch.randn(3, 4, 8)
    for kind, same in (("linear", True), ("residual_mlp", False)):
        net = tiny_module(embedder=kind).net
        first = net.pool(frames)
        net.pooling = "embed_then_mean"
        assert torch.allclose(net.pool(frames), first, atol=1e-6) is same


def test_a_text_sees_its_own_clip_alike_among_all_texts() -> None:
    for renormalise in (True, False):
        module = tiny_module(pooling="text_weighted", alignment=Alignment(renormalise=renormalise))
        frames = module.net.video_encoder(tiny_batch([0, 3])["imgs"][:, 0])
        texts = module.class_features()
        videos = module.net.pool(frames, texts[[0, 3]])
        cosines = module.net.class_cosines(frames, texts)
        torch.testing.assert_close((videos * texts[[0, 3]]).sum(1), cosines[[0, 1], [0, 3]])
        is_unit = torch.allclose(videos.norm(dim=1), torch.ones(2))
        assert is_unit is renormalise


def test_channels_of_heatmaps() -> None:
    assert heatmap_channels("coco17") == 17
    assert heatmap_channels("jhmdb15", "limb") == 14
    with pytest.raises(InputError, match=r"data\.heatmap\.kind='limbs'"):
        heatmap_channels("coco17", "limbs")  # type: ignore[arg-type]
