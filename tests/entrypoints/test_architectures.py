"""Every architecture of ACTOR fits, is evaluated and generates from its config alone."""

from pathlib import Path

import pytest
import torch
from lightning import Trainer
from omegaconf import OmegaConf

from components.synthetic.actions import write_humanact12
from entrypoints.config_check import available, check
from entrypoints.runs import build_datamodule, build_module
from lightning_modules.actor.sampling import MotionRequest, sample_motions

MODELS = [name for name in available("model") if name.startswith("actor") and "recognizer" not in name]


@pytest.fixture(scope="module")
def motions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("motions")
    write_humanact12(folder, clips_per_action=2)
    return folder


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", MODELS)
def test_one_batch_of_everything(model: str, motions: Path, tmp_path: Path) -> None:
    experiment = "actor_mix" if model == "actor_mix" else "actor"
    config = OmegaConf.to_container(
        check("train", [f"experiment={experiment}", f"model={model}", f"data.root={motions}", "data.num_frames=8",
                        "data.val_fraction=0.5", "model.net.latent_dim=16", "model.net.ff_size=16",
                        "model.losses.lambda_rcxyz=0", "model.body=null",
                        f"data.cache_dir={tmp_path}"]),
        resolve=True,
    )  # fmt: skip
    module, datamodule = build_module(config), build_datamodule(config)
    trainer = Trainer(fast_dev_run=True, accelerator="cpu", logger=False, enable_progress_bar=False,
                      enable_model_summary=False)  # fmt: skip
    trainer.fit(module, datamodule)
    (figures,) = trainer.test(module, datamodule, verbose=False)
    assert figures["test/rc"] > 0
    request = MotionRequest(["walk", "sit"], [8], num_samples=2)
    made = sample_motions(module.net, request, datamodule.facts()["action_names"], module.net.pose_format, 20.0)
    assert len(made) == 4
    assert all(torch.isfinite(each.motion.poses).all() and len(each.motion.poses) == 8 for each in made)


def test_the_sweep_holds_every_architecture() -> None:
    swept = check("train", ["sweep=actor_architectures"]).hydra.sweeper.params.model
    # pairs of actions are another task
    assert sorted(name.strip() for name in swept.split(",")) == sorted(set(MODELS) - {"actor_mix"})
