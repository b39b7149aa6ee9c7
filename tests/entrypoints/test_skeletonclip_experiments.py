"""Experiments and sweeps of SkeletonCLIP++: each row of the notes is an experiment with the switches of its row."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_module
from omegaconf import DictConfig, OmegaConf

from entrypoints.config_check import CONF, available, check, check_tree
from entrypoints.sweep_results import expected_jobs
from entrypoints.table_columns import read_columns

# objective, embedder, pooling, weighting, applied to, re-normalised (None: does not apply), matching, momentum
_VISECE = ("in_batch", "linear", "mean_then_embed", None, None, None, False, False)
_ITM = (*_VISECE[:6], True, False)
_MOMENTUM = (*_VISECE[:6], False, True)


def _pacl(
    objective: str, weighting: str, applied: str, renormalise: bool = True, embedder: str = "residual_mlp"
) -> Any:
    return (objective, embedder, "text_weighted", weighting, applied, renormalise, False, False)


def _embedding(embedder: str, pooling: str) -> Any:
    return ("in_batch", embedder, pooling, *_VISECE[3:])


# The notes' tables: switches, repeats, learning rates (base, video, text), top-1 in percent, epoch, global batch.
ROWS: dict[str, Any] = {
    "debug1": (_VISECE, 10, (1e-4, 1e-4, 1e-4), 90.85, 24, None),
    "debug2": (_VISECE, 10, (1e-2, 1e-2, 1e-4), 91.89, 24, None),
    "debug3": (_VISECE, 10, (1e-3, 1e-3, 1e-5), 92.32, 24, None),
    "debug4": (_VISECE, 10, (1e-4, 1e-4, 1e-5), 91.11, 23, None),
    "debug5": (_VISECE, 10, (1e-3, 1e-3, 1e-4), 89.93, 9, None),
    "debug6": (_VISECE, 10, (1e-2, 1e-2, 1e-5), 91.73, 23, None),
    "debug7": (_VISECE, 10, (1e-3, 1e-3, 0.0), 91.83, 23, None),
    "debug8": (_VISECE, 10, (1e-5, 1e-3, 1e-5), 92.63, 21, None),
    "debug9": (_VISECE, 10, (1e-4, 1e-3, 1e-5), 92.48, 23, None),
    "itmdebug1": (_ITM, 10, (1e-3, 1e-3, 1e-5), 93.05, 23, 64),
    "itmdebug2": (_ITM, 10, (1e-5, 1e-3, 1e-5), 92.79, 23, 128),
    "itmdebug3": (_ITM, 10, (1e-3, 1e-3, 1e-5), 92.52, 23, 128),
    "itmdebug4": (_ITM, 10, (1e-3, 1e-3, 0.0), 91.91, 24, 64),
    "modebug1": (_MOMENTUM, 10, (1e-3, 1e-3, 1e-5), 92.36, 24, 64),
    "modebug2": (_MOMENTUM, 10, (1e-3, 1e-3, 1e-5), 92.32, 20, 128),
    "modebug3": (_MOMENTUM, 10, (1e-3, 1e-2, 1e-5), 92.66, 23, 128),
    "modebug4": (_MOMENTUM, 10, (1e-5, 1e-3, 1e-5), 92.37, 24, 64),
    "modebug5": (_MOMENTUM, 10, (1e-5, 1e-3, 1e-5), 89.03, 23, 64),
    "pacldebug1": (_pacl("in_batch", "sigmoid", "raw"), 10, (1e-3, 1e-3, 1e-5), None, None, None),
    "pacldebug2": (_pacl("in_batch", "softmax", "normalised", False), 10, (1e-3, 1e-3, 1e-5), None, None, None),
    "pacldebug3": (_pacl("in_batch", "softmax", "raw"), 10, (1e-3, 1e-3, 1e-5), None, None, None),
    "pacldebug4": (_pacl("in_batch", "softmax", "normalised"), 10, (1e-3, 1e-3, 1e-5), None, None, None),
    "paclmod1": (_pacl("all_class", "softmax", "normalised"), 1, (1e-3, 1e-3, 1e-5), 89.62, None, None),
    "paclmod2": (_pacl("all_class", "sigmoid", "normalised"), 1, (1e-3, 1e-3, 1e-5), 88.82, None, None),
    "paclmod3": (_pacl("all_class", "softmax", "raw"), 1, (1e-3, 1e-3, 1e-5), 89.73, None, None),
    "paclmod4": (_pacl("all_class", "sigmoid", "raw"), 1, (1e-3, 1e-3, 1e-5), 88.84, None, None),
    "paclmod5": (_pacl("all_class", "softmax", "raw", True, "linear"), 1, (1e-3, 1e-3, 1e-5), 90.06, None, None),
    "paclmod5_repeat10": (
        _pacl("all_class", "softmax", "raw", True, "linear"), 10, (1e-3, 1e-3, 1e-5), 92.64, None, None,
    ),
    "visecemod1": (_embedding("residual_mlp", "embed_then_mean"), 1, (1e-3, 1e-3, 1e-5), 88.22, None, None),
    "visecemod2": (_embedding("residual_mlp", "mean_then_embed"), 1, (1e-3, 1e-3, 1e-5), 88.06, None, None),
    "visecemod3": (_embedding("linear", "mean_then_embed"), 1, (1e-3, 1e-3, 1e-5), 88.39, None, None),
    "visecemod4": (_embedding("linear", "embed_then_mean"), 1, (1e-3, 1e-3, 1e-5), 88.21, None, None),
}  # fmt: skip
SWEEPS = {
    "visece": [f"debug{i}" for i in range(1, 10)],
    "itm": [f"itmdebug{i}" for i in range(1, 5)],
    "momentum": [f"modebug{i}" for i in range(1, 6)],
    "pacl": [f"pacldebug{i}" for i in range(1, 5)],
    "paclmod": [*(f"paclmod{i}" for i in range(1, 6)), "paclmod5_repeat10"],
    "visecemod": [f"visecemod{i}" for i in range(1, 5)],
}
SMALL = ("visece", "itm", "momentum", "pacl", "slowonly")


def name_of(row: str) -> str:
    return f"skeletonclip_{row}_ntu60"


@pytest.fixture(scope="module")
def composed() -> dict[str, DictConfig]:
    """All experiments of SkeletonCLIP++, composed in one go: quicker than a command line each."""
    with initialize_config_module("conf", version_base="1.3"):
        return {name: _compose(name) for name in available("experiment") if name.startswith("skeletonclip_")}


def _compose(experiment: str) -> DictConfig:
    config = compose("train", [f"experiment={experiment}", "data.root=somewhere"], return_hydra_config=True)
    OmegaConf.set_readonly(config, False)
    OmegaConf.set_struct(config, False)
    config.hydra.runtime.output_dir = "<run folder>"
    return config


@pytest.fixture
def sound(composed: dict[str, DictConfig]) -> Callable[[str], DictConfig]:
    """The config of an experiment, after its check."""

    def read(experiment: str) -> DictConfig:
        config = composed[experiment]
        assert check_tree(config) == []
        return config

    return read


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_the_notes(sound: Callable[[str], DictConfig], row: str) -> None:
    config = sound(name_of(row))
    switches, repeat, rates, top1, epoch, batch = ROWS[row]
    model = config.model
    weighted = model.pooling == "text_weighted"
    assert switches == (
        model.objective,
        model.embedder,
        model.pooling,
        model.alignment.weighting if weighted else None,
        model.alignment.apply_to if weighted else None,
        model.alignment.renormalise if weighted else None,
        model.matching is not None,
        model.momentum is not None,
    )
    if weighted:
        assert model.alignment.scale == {"softmax": 1.0, "sigmoid": 10.0}[model.alignment.weighting]
    # The encoder's own linear layer belongs to the first tables alone.
    assert (model.video_encoder.bottleneck_dim == 768) == ("debug" in row and not weighted)
    assert model.text_encoder.source == "random"
    assert model.text_encoder.frozen == (row == "itmdebug4")
    assert (config.optimizer.lr, model.lr.video_encoder, model.lr.text_encoder) == rates
    assert config.optimizer._target_ == f"torch.optim.{'SGD' if row == 'modebug5' else 'AdamW'}"
    assert (config.optimizer.weight_decay, model.encoder_decay) == (0.01, 0.9)
    assert config.scheduler._target_.endswith("warmup_cosine_steps")
    assert (config.data.repeat, config.trainer.max_epochs, config.trainer.gradient_clip_val) == (repeat, 24, 40.0)
    assert (config.data.batch_size, config.data.clip_len, config.seed) == (16, 48, 42)
    reported = config.reported
    assert (reported.top1, reported.epoch, reported.effective_batch) == (top1, epoch, batch)
    assert reported.repeat in (repeat, None)
    assert reported.epochs == 24
    if batch is not None:
        assert config.data.batch_size * config.trainer.accumulate_grad_batches == batch


def test_the_baseline_of_the_notes(sound: Callable[[str], DictConfig]) -> None:
    config = sound("skeletonclip_slowonly_ntu60")
    assert list(config.model.backbone.stage_blocks) == [3, 4, 6]
    assert (config.optimizer._target_, config.optimizer.lr, config.optimizer.momentum) == ("torch.optim.SGD", 1e-2, 0.9)
    assert (list(config.scheduler.milestones), config.scheduler.gamma) == ([9, 11], 0.1)
    assert (config.data.size.train, config.data.size.eval, config.data.clips.val) == (48, 56, 1)
    assert (config.reported.top1, config.reported.epoch) == (93.12, 24)


def test_every_row_is_there_and_says_what_to_expect() -> None:
    names = {name for name in available("experiment") if name.startswith("skeletonclip_") and name.endswith("_ntu60")}
    assert names == {name_of(row) for row in (*ROWS, "slowonly")}
    for row, (*_, top1, epoch, _batch) in ROWS.items():
        head = (CONF / "experiment" / f"{name_of(row)}.yaml").read_text().split("defaults:")[0]
        assert f"experiment={name_of(row)}" in head
        assert (f"top-1 {top1:.2f} %" if top1 else "neither accuracy nor epoch") in head
        assert ("not given" if not epoch and top1 else f"epoch {epoch}" if epoch else "given") in head


@pytest.mark.parametrize("name", [*SMALL, "pacl_jhmdb", "slowonly_jhmdb"])
def test_runs_for_a_cpu(sound: Callable[[str], DictConfig], name: str) -> None:
    config = sound(f"skeletonclip_{name}")
    assert config.data.clip_len <= 24
    assert config.data.size.train <= 40
    net = config.model.backbone if "slowonly" in name else config.model.video_encoder.resnet
    assert net.base_channels == 16
    if "text_encoder" in config.model:
        assert (config.model.text_encoder.num_layers, config.model.tokenizer.source) == (2, "builtin")
    assert (config.monitor.name, config.monitor.mode) == ("val/top1", "max")
    assert config.reported is None


@pytest.mark.parametrize("sweep", SWEEPS)
def test_a_sweep_is_the_rows_of_its_table(tmp_path: Path, sweep: str) -> None:
    whole = yaml.safe_load((CONF / "sweep" / f"skeletonclip_{sweep}.yaml").read_text())
    # What Hydra composes before the jobs must have the keys that the command line gives.
    assert whole["defaults"] == [{"override /experiment": name_of(SWEEPS[sweep][0])}]
    content = whole["hydra"]
    assert content["mode"] == "MULTIRUN"
    sweeper = {
        "_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
        "params": content["sweeper"]["params"],
    }
    overrides = {"task": [f"sweep=skeletonclip_{sweep}", "data.root=somewhere", "seed=42,43"]}
    (tmp_path / "multirun.yaml").write_text(json.dumps({"hydra": {"sweeper": sweeper, "overrides": overrides}}))
    jobs = [(job["experiment"], job["seed"]) for job in expected_jobs(tmp_path)]
    assert jobs == [(name_of(row), seed) for row in SWEEPS[sweep] for seed in ("42", "43")]


def test_a_sweep_of_rows_takes_keys_of_the_command_line() -> None:
    config = check("train", ["sweep=skeletonclip_itm", "data.root=somewhere", "trainer.max_epochs=2"])
    assert (config.trainer.max_epochs, config.model.lr.video_encoder) == (2, 1e-3)
    assert config.hydra.sweep.dir.startswith(f"{config.paths.output_dir}/sweeps/skeletonclip_itm/")


def test_tables_have_the_columns_of_the_notes(sound: Callable[[str], DictConfig]) -> None:
    for experiment in (name_of("debug1"), "skeletonclip_pacl"):
        table = OmegaConf.to_container(sound(experiment).table)
        assert isinstance(table, dict)
        headings = [column.heading for column in read_columns(table["columns"])]
        assert headings[:7] == [
            "base_lr", "video_encoder", "text_encoder", "tokenizer", "accuracy", "exp_pth", "epoch",
        ]  # fmt: skip
        assert ("reported" in headings) == ("difference" in headings) == (experiment != "skeletonclip_pacl")
