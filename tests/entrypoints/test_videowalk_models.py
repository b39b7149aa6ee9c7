"""Every model of the walk is built from its config alone and learns from a batch."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from components.errors import InputError
from entrypoints.config_check import CONF
from entrypoints.runs import build_module, load_module, load_run
from tests.entrypoints.videowalk_run import write_walk_run

MODELS = [f"videowalk{name}" for name in
          ("", "_scratch_zeropad", "_imagenet18", "_imagenet50", "_moco50", "_timecycle", "_uvc")]  # fmt: skip


def composed(model: str) -> DictConfig:
    """A model's config alone; composing all of `train` for each would take a second per model."""
    with initialize_config_dir(str(CONF), version_base=None):
        config = compose(f"model/{model}").model
    config.encoder.width = 4
    config.scheduler, config.optimizer = None, OmegaConf.load(CONF / "optimizer" / "adam.yaml")
    return config


@pytest.mark.parametrize("model", MODELS)
def test_one_batch(model: str) -> None:
    config = composed(model)
    config.encoder.layout = "auto"
    module = build_module({"model": OmegaConf.to_container(config, resolve=True)})
    deep = model.removeprefix("videowalk_") in ("imagenet50", "moco50", "timecycle")
    assert module.net.encoder.channels == (128 if deep else 32)
    assert module.net.encoder.conv1.border == ("reflect" if model == "videowalk" else "zeros")
    module({"clips": torch.randn(1, 3, 3 * 4, 24, 24)}).loss.backward()
    assert all(each.grad is not None for each in module.parameters())
    assert module.features()(torch.rand(1, 3, 24, 24)).shape[1] == module.net.encoder.channels // 2


def test_ready_made_encoders_ask_for_their_file() -> None:
    for model in MODELS[2:]:
        with pytest.raises(InputError, match=r"needs the file: model\.encoder\.weights"):
            build_module({"model": OmegaConf.to_container(composed(model), resolve=True)})


def test_run_is_loaded_without_the_file_that_it_started_from(tmp_path: Path) -> None:
    path = write_walk_run(tmp_path) / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["troupe"]["config"]["model"]["encoder"] |= {"weights": str(tmp_path / "gone.pth"), "layout": "uvc"}
    torch.save(checkpoint, path)
    weights = load_module(load_run(tmp_path)).state_dict()
    assert torch.equal(weights["net.encoder.conv1.weight"], checkpoint["state_dict"]["net.encoder.conv1.weight"])
