"""Published weights: every layout gives the same encoder; what does not fit, or is hostile, is refused."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from components.errors import InputError
from lightning_modules.videowalk.networks.resnet import ResNet
from lightning_modules.videowalk.networks.weight_files import load_weights, read_weights
from tests.lightning_modules.videowalk.networks.released_files import (
    WIDTH,
    moco_content,
    resnet,
    timecycle_content,
    torchvision_content,
    uvc_content,
    videowalk_content,
    write,
)

HEAD = [(32, 128)]


@pytest.mark.parametrize(
    ("layout", "depth", "content", "ignored"),
    [
        ("videowalk", 18, lambda net: videowalk_content(net, HEAD), 0),
        ("videowalk", 18, lambda net: videowalk_content(net, HEAD, older=True), 0),
        ("torchvision", 18, torchvision_content, 2),
        ("torchvision", 50, torchvision_content, 2),
        ("moco", 50, moco_content, 320),
        ("timecycle", 50, timecycle_content, 1),
        ("uvc", 18, uvc_content, 1),
    ],
)
def test_every_layout_is_recognised_and_loaded_whole(
    layout: str, depth: Any, content: Callable[[ResNet], Any], ignored: int, tmp_path: Path
) -> None:
    theirs = resnet(depth)
    file = write(tmp_path / "weights.pth", content(theirs))
    remove = ["layer4"] if layout == "timecycle" else []
    ours = ResNet(depth, width=WIDTH, remove_layers=remove)
    report = load_weights(ours, file)
    assert (report.layout, report.depth, report.width, report.absent_layers) == (layout, depth, WIDTH, remove)
    assert len(report.ignored) == ignored
    picture = torch.randn(1, 3, 32, 32)
    expected = theirs.eval().without(remove)(picture)
    torch.testing.assert_close(ours.eval()(picture), expected, rtol=0, atol=0)
    torch.testing.assert_close(ResNet(depth, width=WIDTH, remove_layers=remove, weights=str(file)).eval()(picture),
                               expected, rtol=0, atol=0)  # fmt: skip


@pytest.mark.parametrize(("remove", "head", "keys"), [((), HEAD, 122), ((), [], 120), (("layer4",), [], 90)])
def test_the_three_sizes_of_released_files(
    remove: tuple[str, ...], head: list[tuple[int, int]], keys: int, tmp_path: Path
) -> None:
    content = videowalk_content(resnet(remove_layers=remove), head)
    assert len(content["model"]) == keys
    weights = read_weights(write(tmp_path / "pretrained.pth", content))
    assert len(weights.encoder) + len(weights.head) == keys
    assert (weights.epoch, weights.options["temp"], weights.absent_layers) == (24, 0.07, list(remove))
    without = ResNet(width=WIDTH, remove_layers=["layer4"])
    load_weights(without, tmp_path / "pretrained.pth")
    if remove:
        with pytest.raises(InputError, match=r"25 parameter\(s\) missing: layer4.*\nmodel\.encoder\.remove_layers"):
            load_weights(ResNet(width=WIDTH), tmp_path / "pretrained.pth")


def test_surplus_is_reported(tmp_path: Path) -> None:
    file = write(tmp_path / "pretrained.pth", videowalk_content(resnet(), HEAD))
    report = load_weights(ResNet(width=WIDTH, remove_layers=["layer4"]), file)
    assert len(report.ignored) == 30
    assert all(name.startswith("layer4.") for name in report.ignored)


class Hostile:
    def __reduce__(self) -> Any:
        return os.system, ("touch owned",)


def test_what_does_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net = resnet()
    file = write(tmp_path / "a.pth", torchvision_content(net))
    with pytest.raises(InputError, match=r"of another shape.*\n.*model\.encoder\.width=4"):
        load_weights(ResNet(width=8), file)
    with pytest.raises(InputError, match=r"missing.*\n.*ResNet-18"):
        load_weights(ResNet(50, width=WIDTH), file)
    with pytest.raises(InputError, match="layout=moco"):
        load_weights(ResNet(width=WIDTH), file, "moco")
    damaged = torchvision_content(net)
    del damaged["layer2.0.conv1.weight"]
    with pytest.raises(InputError, match=r"1 parameter\(s\) missing: layer2\.0\.conv1\.weight"):
        load_weights(ResNet(width=WIDTH), write(tmp_path / "b.pth", damaged))
    with pytest.raises(InputError, match="no ResNet encoder"):
        read_weights(write(tmp_path / "c.pth", {"backbone.weight": torch.zeros(2)}))
    with pytest.raises(InputError, match="one of our own runs"):
        read_weights(write(tmp_path / "d.pth", {"troupe": {}, "state_dict": {}}))
    for content in ({"model": {}}, [1, 2]):
        with pytest.raises(InputError, match="expected weights"):
            read_weights(write(tmp_path / "e.pth", content))
    with pytest.raises(InputError, match="does not exist"):
        read_weights(tmp_path / "none.pth")
    hostile = {**videowalk_content(net, HEAD), "args": Hostile()}
    with pytest.raises(InputError, match="is refused"):
        read_weights(write(tmp_path / "f.pth", hostile))
    options = videowalk_content(net, HEAD, device=Hostile())
    with pytest.raises(InputError, match="is refused"):
        read_weights(write(tmp_path / "g.pth", options))
    (tmp_path / "h.pth").write_bytes((tmp_path / "a.pth").read_bytes()[:5000])
    with pytest.raises(InputError, match="cannot be read"):
        read_weights(tmp_path / "h.pth")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("conv1.weight", torch.tensor(1.0), r"conv1\.weight is \(\); expected \(width, 3, 7, 7\)"),
        ("conv1.weight", torch.zeros(1).expand(3_000_000, 3, 7, 7), r"conv1\.weight is \(3000000, 3, 7, 7\)"),
        ("layer1.0.bn1.bias", torch.full((WIDTH,), torch.nan), r"'layer1\.0\.bn1\.bias' holds numbers that are not"),
    ],
)
def test_values_that_no_training_makes(tmp_path: Path, name: str, value: torch.Tensor, message: str) -> None:
    content = videowalk_content(resnet(), HEAD)
    content["model"][f"encoder.model.{name}"] = value
    with pytest.raises(InputError, match=message):
        read_weights(write(tmp_path / "a.pth", content))


def test_heads_have_numbered_layers_and_weights_are_plain(tmp_path: Path) -> None:
    content = videowalk_content(resnet(), HEAD)
    content["model"]["selfsim_fc.0x.weight"] = torch.zeros(2)
    content["model"]["encoder.model.layer4.0.bn1.bias"] = torch.zeros(4).to_sparse()
    weights = read_weights(write(tmp_path / "a.pth", content))
    assert weights.ignored == ["selfsim_fc.0x.weight"]
    assert "layer4.0.bn1.bias" not in weights.encoder
    assert "0.weight" in weights.head
