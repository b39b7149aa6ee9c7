"""`convert source=videowalk`: published files become runs, and what was not taken over is told."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from components.errors import InputError
from components.media.normalization import GrayLab
from entrypoints import convert
from entrypoints.runs import load_module, load_run
from entrypoints.videowalk_conversions import import_videowalk
from lightning_modules.videowalk.networks.resnet import ResNet
from tests.lightning_modules.videowalk.networks.released_files import (
    moco_content,
    resnet,
    timecycle_content,
    torchvision_content,
    uvc_content,
    videowalk_content,
    write,
)

HEAD = [(32, 128)]
DEEP_HEAD = [(32, 32), (32, 32), (32, 128)]


def test_the_released_file_becomes_a_run(tmp_path: Path) -> None:
    net = resnet()
    source = write(tmp_path / "pretrained.pth", videowalk_content(net, HEAD, temp=0.06, featdrop=0.1))
    done = import_videowalk(str(source), output_dir=str(tmp_path / "outputs"))
    assert done.folder == tmp_path / "outputs" / "converted" / "videowalk_pretrained"
    run = load_run(done.folder, "videowalk")
    module = load_module(run)
    assert (module.walk.temperature, module.walk.edge_dropout, module.net.featdrop.p) == (0.06, 0.1, 0.1)
    picture = torch.rand(1, 3, 40, 48)
    extractor = module.features()
    expected = net.eval().without(["layer4"])(extractor.encoder.normalization.apply(picture))
    torch.testing.assert_close(extractor(picture), expected)
    theirs = torch.load(done.folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert "net.selfsim_fc.0.weight" in theirs
    card = json.loads((done.folder / "run.json").read_text())
    assert len(card["imported"]["used_keys"]) == 122
    assert (card["imported"]["epoch"], card["imported"]["missing"]) == (24, [])
    assert "122 keys taken over, 0 ignored, none missing" in done.lines[0]
    with pytest.raises(InputError, match="force=true"):
        import_videowalk(str(source), output_dir=str(tmp_path / "outputs"))


@pytest.mark.parametrize(
    ("content", "padding", "layers", "depth", "missing"),
    [
        (lambda: videowalk_content(resnet(), DEEP_HEAD, older=True), "reflect", 512, 2, []),
        (lambda: videowalk_content(resnet(), [], model_type="scratch_zeropad"), "zeros", 512, -1, ["the head"]),
        (lambda: videowalk_content(resnet(remove_layers=["layer4"]), []), "reflect", 256, -1, ["layer4", "the head"]),
        (lambda: {k: v for k, v in videowalk_content(resnet(), HEAD).items() if k == "model"}, "reflect", 512, 0, []),
        (lambda: torchvision_content(resnet(50)), "zeros", 2048, -1, ["the head"]),
        (lambda: moco_content(resnet(50)), "zeros", 2048, -1, ["the head"]),
        (lambda: timecycle_content(resnet(50)), "zeros", 1024, -1, ["layer4", "the head"]),
        (lambda: uvc_content(resnet()), "zeros", 512, -1, ["the head"]),
    ],
)
def test_every_layout_becomes_a_run(
    content: Callable[[], Any], padding: str, layers: int, depth: int, missing: list[str], tmp_path: Path
) -> None:
    done = import_videowalk(str(write(tmp_path / "theirs.pth.tar", content())), output=str(tmp_path / "run"))
    run = load_run(done.folder)
    module = load_module(run)
    assert isinstance(module.net.encoder, ResNet)
    assert module.net.encoder.channels == layers // 16  # a 16th of the published width
    model = run.config["model"]
    assert (model["encoder"]["padding_mode"], model["head_depth"]) == (padding, depth)
    assert (module.net.encoder.normalization.__class__ is GrayLab) == (run.facts["layout"] == "uvc")
    assert json.loads((done.folder / "run.json").read_text())["imported"]["missing"] == missing
    assert module.features()(torch.rand(1, 3, 32, 32)).shape[-2:] == (4, 4)


def test_what_cannot_be_imported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no file"):
        import_videowalk(str(tmp_path / "none.pth"))
    lacking = videowalk_content(resnet(), HEAD)
    del lacking["model"]["encoder.model.layer1.1.bn2.running_mean"]
    with pytest.raises(InputError, match=r"missing: layer1\.1\.bn2\.running_mean"):
        import_videowalk(str(write(tmp_path / "a.pth", lacking)), output=str(tmp_path / "run"))
    with pytest.raises(InputError, match=r"\(128, 7\) for 'selfsim_fc\.0\.weight'; expected \(128, 32\)"):
        import_videowalk(str(write(tmp_path / "b.pth", videowalk_content(resnet(), [(7, 128)]))),
                         output=str(tmp_path / "run"))  # fmt: skip
    with pytest.raises(InputError, match="layout=vit"):
        import_videowalk(str(tmp_path / "a.pth"), layout="vit")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_the_job_reports(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    node = OmegaConf.load("conf/source/videowalk.yaml")
    source = write(tmp_path / "resnet18.pth", torchvision_content(resnet()))
    place = {"checkpoint": str(source), "output": None, "force": False, "paths": {"output_dir": str(tmp_path)}}
    with caplog.at_level(logging.INFO):
        convert.job(OmegaConf.create(place | {"source": node}))
    assert "120 keys taken over, 2 ignored, not in the file: the head" in caplog.text
    assert "not needed: fc.weight, fc.bias" in caplog.text
    assert f"evaluate run={tmp_path}" in caplog.text
