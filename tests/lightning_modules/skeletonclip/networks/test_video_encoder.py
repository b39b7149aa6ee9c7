"""Frame features, and trainings that start from published weights."""

from pathlib import Path
from typing import Any

import pytest
import torch

from components.errors import InputError
from lightning_modules.skeletonclip.networks.slowonly import ResNet3dSlowOnly
from lightning_modules.skeletonclip.networks.video_encoder import VideoEncoder
from tests.lightning_modules.skeletonclip.released_files import (
    BACKBONE,
    backbone,
    pyskl_content,
    skeletonclip_content,
    text_encoder,
    write,
)


def fresh(bottleneck_dim: int | None = None, checkpoint: Path | None = None, **settings: Any) -> VideoEncoder:
    return VideoEncoder(
        ResNet3dSlowOnly(**BACKBONE | settings), bottleneck_dim, None if checkpoint is None else str(checkpoint)
    )


def test_features_are_means_over_space() -> None:
    x = torch.rand(2, 17, 6, 16, 16)
    net = fresh().eval()
    assert net.width == 64
    torch.testing.assert_close(net(x), net.resnet(x).mean(dim=(3, 4)).permute(0, 2, 1))
    wide = fresh(20).eval()
    assert (wide.width, wide(x).shape) == (20, (2, 3, 20))
    assert {name for name in wide.state_dict() if not name.startswith("resnet.")} == {"linear.weight", "linear.bias"}
    with pytest.raises(InputError, match="bottleneck_dim=0"):
        fresh(0)


def test_a_training_starts_from_published_weights(tmp_path: Path) -> None:
    net = backbone()
    files = [
        write(tmp_path / "pyskl.pth", pyskl_content(net)),
        write(tmp_path / "bare.pth", net.state_dict()),
        write(tmp_path / "clip.pth", skeletonclip_content("visece", net, text_encoder())),
        write(tmp_path / "run.ckpt", {"state_dict": {f"net.backbone.{k}": v for k, v in net.state_dict().items()}}),
    ]
    for file in files:
        loaded = fresh(16, file).resnet.state_dict()
        assert all(torch.equal(value, loaded[name]) for name, value in net.state_dict().items()), file.name
        assert torch.equal(ResNet3dSlowOnly(**BACKBONE, checkpoint=str(file)).conv1.conv.weight, net.conv1.conv.weight)
    theirs = torch.load(files[2], weights_only=True)["state_dict"]
    assert torch.equal(fresh(16, files[2]).linear.weight, theirs["video_encoder.linear.weight"])  # type: ignore[union-attr]
    assert fresh(20, files[2]).width == 20  # of another width: at random


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    file = write(tmp_path / "pyskl.pth", pyskl_content(backbone()))
    with pytest.raises(InputError, match=r"conv1\.conv\.weight is \(4, 17, 1, 7, 7\), expected \(4, 15, 1, 7, 7\)"):
        fresh(None, file, in_channels=15)
    with pytest.raises(InputError, match=r"in_channels=17 base_channels=4 stage_blocks=\[1,2,1\] inflate=\[0,1,1\]"):
        fresh(None, file, stage_blocks=(1, 1, 1))
    with pytest.raises(InputError, match=r"layer1\.1\.conv1\.conv\.weight is missing in the file"):
        fresh(None, file, stage_blocks=(2, 2, 1))
    with pytest.raises(InputError, match=r"^checkpoint=.*does not fit the backbone"):
        ResNet3dSlowOnly(**BACKBONE | {"base_channels": 8}, checkpoint=str(file))
    with pytest.raises(InputError, match="holds no video backbone"):
        fresh(None, write(tmp_path / "other.pth", {"fc.weight": torch.zeros(2)}))
    with pytest.raises(InputError, match="does not exist"):
        fresh(None, tmp_path / "none.pth")
    broken = pyskl_content(backbone())
    broken["state_dict"]["backbone.conv1.conv.weight"][0] = float("nan")
    with pytest.raises(InputError, match="not finite"):
        fresh(None, write(tmp_path / "nan.pth", broken))
