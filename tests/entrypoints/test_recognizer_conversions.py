import json
import logging
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from components.errors import InputError
from components.synthetic.actions import write_humanact12
from entrypoints import convert
from entrypoints.config_check import check
from entrypoints.evaluate import evaluate_run
from entrypoints.predict import run_task
from entrypoints.recognizer_conversions import import_recognizer
from entrypoints.runs import load_module, load_run
from tests.lightning_modules.actor.test_recognizer_upstream import published_gru, published_stgcn


def gru_file(folder: Path) -> Path:
    torch.save({"model": published_gru(), "optimizer": {}, "iteration": 12}, folder / "humanact12_gru.tar")
    return folder / "humanact12_gru.tar"


def test_an_import_makes_a_run_folder(tmp_path: Path) -> None:
    done = import_recognizer(str(gru_file(tmp_path)), output_dir=str(tmp_path / "outputs"))
    assert done.folder == tmp_path / "outputs" / "converted" / "recognizer_humanact12_gru"
    assert f"recognizer={done.folder}" in done.next_step
    module = load_module(load_run(done.folder, "actor"))
    weights = module.net.state_dict()
    assert torch.equal(weights["class_head.weight"], published_gru()["linear2.weight"])
    card = json.loads((done.folder / "run.json").read_text())
    assert card["imported"]["iteration"] == 12
    assert len(card["imported"]["used_keys"]) == len(published_gru())
    with pytest.raises(InputError, match="force=true"):
        import_recognizer(str(tmp_path / "humanact12_gru.tar"), output_dir=str(tmp_path / "outputs"))

    torch.save(published_stgcn(), tmp_path / "uestc_rot6d_stgcn.tar")
    done = import_recognizer(str(tmp_path / "uestc_rot6d_stgcn.tar"), output_dir=str(tmp_path / "outputs"))
    assert done.ignored == ["A"]
    assert load_module(load_run(done.folder)).num_classes == 40


def test_nothing_is_written_for_a_body_that_is_not_there(tmp_path: Path) -> None:
    file = gru_file(tmp_path)
    with pytest.raises(InputError, match=r"none\.npz"):
        import_recognizer(str(file), output=str(tmp_path / "run"), body=str(tmp_path / "none.npz"))
    with pytest.raises(InputError, match="is no file"):
        import_recognizer(str(tmp_path / "none.tar"))
    assert not (tmp_path / "run").exists()


def test_the_command_converts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = gru_file(tmp_path)
    config = check("convert", ["source=actor_recognizer", f"checkpoint={file}", f"output={tmp_path / 'run'}"])
    with caplog.at_level(logging.INFO):
        convert.job(OmegaConf.create({"source": OmegaConf.to_container(config.source, resolve=True)}))
    assert "gru, 12 classes, reads joints (smpl)" in caplog.text
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file()


def test_an_imported_recogniser_is_evaluated_but_makes_no_motions(tmp_path: Path) -> None:
    run = import_recognizer(str(gru_file(tmp_path)), output=str(tmp_path / "run")).folder
    data = tmp_path / "data"
    data.mkdir()
    write_humanact12(data, clips_per_action=2)
    options = OmegaConf.to_container(
        check("evaluate", [f"run={run}", f"data.root={data}", "data.num_workers=0", "device=cpu"]), resolve=True
    )
    report, folder = evaluate_run(options)  # type: ignore[arg-type]
    assert report.metrics["eval/motions"] == 24
    assert report.metrics["eval/accuracy"] == pytest.approx(report.metrics["test/accuracy"])
    assert (folder / "confusion.csv").is_file()
    with pytest.raises(InputError, match=r"is a recogniser, which judges them:\n.*recognizer="):
        run_task("generate", str(run), {})
