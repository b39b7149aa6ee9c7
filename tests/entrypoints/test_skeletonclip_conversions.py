"""`convert source=skeletonclip`: published files become runs that give the published layers' numbers."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf

from components.errors import InputError
from entrypoints import convert
from entrypoints.runs import build_datamodule, load_module, load_run
from entrypoints.skeletonclip_conversions import import_skeletonclip
from entrypoints.tasks import classify
from tests.lightning_modules.skeletonclip.released_files import (
    backbone,
    pyskl_content,
    skeletonclip_content,
    text_encoder,
    write,
)

CLIPS = torch.rand(2, 1, 17, 6, 16, 16, generator=torch.Generator().manual_seed(0))


def imported(source: Path, tmp_path: Path, **settings: Any) -> Any:
    return import_skeletonclip(
        str(source), output=str(tmp_path / "run"), **{"tokenizer": "builtin", "text_heads": 4} | settings
    )


@pytest.mark.parametrize("variant", ["visece", "itm", "momentum", "pacl", "plus"])
def test_recognisers_with_texts(variant: str, tmp_path: Path) -> None:
    net, texts = backbone(), text_encoder()
    content = skeletonclip_content(variant, net, texts)
    labels = tmp_path / "labels.csv"
    labels.write_text("id,name\n0,kick ball\n1,wave hand\n2,run\n")
    done = imported(write(tmp_path / "epoch_23.pth", content), tmp_path, label_file=str(labels))
    run = load_run(done.folder, "skeletonclip")
    assert run.experiment == f"skeletonclip_{variant}"
    module = load_module(run)
    state = content["state_dict"]
    assert module.net.temp.item() == pytest.approx(0.05)
    assert module.texts.names == ["kick ball", "wave hand", "run"]
    with torch.no_grad():
        feature = net.eval()(CLIPS[:, 0]).mean(dim=(3, 4)).transpose(1, 2)
        if "video_encoder.linear.weight" in state:
            feature = F.linear(feature, state["video_encoder.linear.weight"], state["video_encoder.linear.bias"])
        torch.testing.assert_close(module.net.video_encoder(CLIPS[:, 0]), feature)
        tokens = module.texts.tokens()
        words = F.linear(texts.eval().encode(*tokens), state["text_proj.weight"], state["text_proj.bias"])
        torch.testing.assert_close(module.class_features(), F.normalize(words, dim=-1))
        assert module.clip_scores(CLIPS).shape == (2, 3)
    card = json.loads((done.folder / "run.json").read_text())["imported"]
    assert (card["epoch"], card["variant"], card["missing"]) == (23, variant, [])
    assert set(card["used_keys"]).isdisjoint(card["ignored_keys"])
    assert set(card["used_keys"]) | set(card["ignored_keys"]) == set(state)
    assert "text_encoder.embeddings.position_ids" in done.ignored
    unused = [name for name in state if "crossattention" in name]
    assert unused
    assert set(unused) <= set(card["used_keys"] if variant == "itm" else done.ignored)
    assert ("itm_head.weight" in card["used_keys"]) == (variant == "itm")
    if variant == "momentum":
        assert torch.equal(module.momentum.video_queue, state["video_queue"])
        twin = module.momentum.video_encoder_m.resnet.conv1.conv.weight
        assert torch.equal(twin, state["video_encoder_m.resnet.conv1.conv.weight"])
    if variant == "itm":
        assert torch.equal(module.matching.itm_head.weight, state["itm_head.weight"])


def test_the_classifier_of_pyskl(tmp_path: Path) -> None:
    net = backbone()
    content = pyskl_content(net)
    done = imported(write(tmp_path / "best.pth", content), tmp_path, data="ntu60_skeletons")
    run = load_run(done.folder, "skeletonclip")
    module = load_module(run)
    state = content["state_dict"]
    pooled = net.eval()(CLIPS[:, 0]).mean(dim=(2, 3, 4))
    expected = F.linear(pooled, state["cls_head.fc_cls.weight"], state["cls_head.fc_cls.bias"])
    torch.testing.assert_close(module.net(CLIPS[:, 0]), expected)
    assert (run.experiment, done.ignored) == ("skeletonclip_slowonly", [])
    assert f"{len(state)} keys taken over, 0 ignored, none missing" in done.lines[0]
    data = run.config["data"]
    assert (data["label_file"], data["test_split"], data["root"]) == ("ntu60", "xsub_val", None)
    # Neither the place of the data nor their class is known, and clips of the user's own need neither.
    data = classify._data(run, classify.Options("clips.pkl"))
    assert build_datamodule({**run.config, "data": data}).pipelines["test"]


def test_momentum_without_its_queue_starts_afresh(tmp_path: Path) -> None:
    content = skeletonclip_content("momentum", backbone(), text_encoder())
    for name in ("video_queue", "text_queue", "idx_queue", "ptr_queue"):
        del content["state_dict"][name]
    done = imported(write(tmp_path / "a.pth", content), tmp_path)
    assert "not in the file: video_queue, text_queue, idx_queue, ..." in done.lines[0]
    assert "class texts unknown" in done.lines[-1]
    as_visece = imported(tmp_path / "a.pth", tmp_path, variant="visece", force=True)
    assert any("video_encoder_m." in name for name in as_visece.ignored)


def test_what_cannot_be_imported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no file"):
        imported(tmp_path / "none.pth", tmp_path)
    net = backbone()
    lacking = skeletonclip_content("visece", net, text_encoder())
    del lacking["state_dict"]["text_encoder.encoder.layer.0.output.dense.bias"]
    with pytest.raises(InputError, match=r"lacks 1 parameter\(s\): text_encoder\.encoder\.layer\.0\.output\.dense"):
        imported(write(tmp_path / "a.pth", lacking), tmp_path)
    whole = write(tmp_path / "b.pth", skeletonclip_content("visece", net, text_encoder()))
    with pytest.raises(InputError, match=r"16 channels are no multiple of 64.\nSay them: source\.text_heads"):
        imported(whole, tmp_path, text_heads=None)
    with pytest.raises(InputError, match=r"lacks 2 parameter.*itm_head"):
        imported(whole, tmp_path, variant="itm")
    with pytest.raises(InputError, match=r"has no 'cls_head\.fc_cls\.weight', which variant=slowonly needs"):
        imported(whole, tmp_path, variant="slowonly")
    with pytest.raises(InputError, match=r"model\.video_encoder\.checkpoint="):
        imported(write(tmp_path / "c.pth", net.state_dict()), tmp_path)
    with pytest.raises(InputError, match=r"source\.data=ntu6_skeletons.*ntu60_skeletons"):
        imported(whole, tmp_path, data="ntu6_skeletons")
    with pytest.raises(InputError, match="variant=clip"):
        imported(whole, tmp_path, variant="clip")
    hostile = {"state_dict": {"backbone.conv1.conv.weight": torch.zeros(4, 17, 3, 7, 7)}}
    hostile["state_dict"]["cls_head.fc_cls.weight"] = torch.zeros(5, 64)
    with pytest.raises(InputError, match="expected a SlowOnly of PoseConv3D"):
        imported(write(tmp_path / "d.pth", hostile), tmp_path)
    assert not (tmp_path / "run").exists()


def test_the_job_reports(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    node = OmegaConf.load("conf/source/skeletonclip.yaml")
    source = write(tmp_path / "pacl.pth", skeletonclip_content("pacl", backbone(), text_encoder()))
    place = {"checkpoint": str(source), "output": None, "force": False, "paths": {"output_dir": str(tmp_path)}}
    chosen = OmegaConf.merge({"source": node}, {"source": {"tokenizer": "builtin", "text_heads": 4}})
    with caplog.at_level(logging.INFO):
        convert.job(OmegaConf.merge(place, chosen))
    assert "variant pacl" in caplog.text
    assert "not needed: text_encoder.encoder.layer.0.crossattention" in caplog.text
    assert f"evaluate run={tmp_path}" in caplog.text
