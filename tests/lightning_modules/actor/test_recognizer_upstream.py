from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from components.errors import InputError
from lightning_modules.actor.networks.gru_recognizer import GRURecognizer
from lightning_modules.actor.networks.stgcn import STGCNRecognizer, spatial_partitions
from lightning_modules.actor.recognizer_upstream import (
    convert_recognizer,
    gru_from_upstream,
    read_recognizer,
    stgcn_from_upstream,
)

GRU_NAMES = {"gru": "recurrent", "feature_head": "linear1", "class_head": "linear2"}
BLOCK_NAMES = {
    "gather": "gcn.conv", "gather_norm": "tcn.0", "temporal": "tcn.2", "temporal_norm": "tcn.3",
    "shortcut": "residual.0", "shortcut_norm": "residual.1",
}  # fmt: skip


def published_gru(**sizes: int) -> dict[str, Tensor]:
    """A tiny GRU under the published names."""
    torch.manual_seed(0)
    net = GRURecognizer(**{"hidden_size": 8, "feature_size": 6, **sizes})
    return {f"{GRU_NAMES[name.split('.')[0]]}.{name.split('.')[1]}": v for name, v in net.state_dict().items()}


def published_stgcn(**sizes: Any) -> dict[str, Tensor]:
    """A tiny ST-GCN under the published names."""
    torch.manual_seed(0)
    result = {"A": spatial_partitions()}
    for name, value in STGCNRecognizer(**{"channels": [4, 4, 8], **sizes}).state_dict().items():
        head, _, rest = name.partition(".")
        if head == "blocks":
            index, part, rest = rest.split(".")
            head = f"st_gcn_networks.{index}.{BLOCK_NAMES[part]}"
        elif head == "input_norm":
            head = "data_bn"
        elif head == "class_head":
            head, value = "fcn", value[:, :, None, None] if value.dim() == 2 else value
        result[f"{head}.{rest}"] = value
    return result


def test_names_of_both_networks() -> None:
    GRURecognizer(hidden_size=8, feature_size=6).load_state_dict(gru_from_upstream(published_gru()))
    theirs = published_stgcn()
    STGCNRecognizer(channels=[4, 4, 8]).load_state_dict(stgcn_from_upstream(theirs))
    with pytest.raises(InputError, match=r"'encoder\.x' is no parameter of the GRU"):
        gru_from_upstream({"encoder.x": torch.zeros(1)})
    with pytest.raises(InputError, match=r"'st_gcn_networks\.0\.tcn\.9\.weight' is no parameter of the ST-GCN"):
        stgcn_from_upstream({"st_gcn_networks.0.tcn.9.weight": torch.zeros(1)})


def test_layouts_of_the_files(tmp_path: Path) -> None:
    state = published_gru()
    layouts = {
        "whole": {"model": state, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}, "iteration": 7},
        "plain": state,
        "parallel": {f"module.{name}": value for name, value in state.items()},
    }
    for name, content in layouts.items():
        torch.save(content, tmp_path / name)
        kind, found, iteration = read_recognizer(tmp_path / name)
        assert kind == "gru"
        assert found.keys() == state.keys()
        assert iteration == (7 if name == "whole" else 0)


def net_and_data(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    config = convert_recognizer(path)["troupe"]["config"]
    return config["model"], config["data"]


def test_what_each_published_file_reads(tmp_path: Path) -> None:
    file = tmp_path / "x.tar"
    torch.save({"model": published_gru()}, file)
    model, data = net_and_data(file)
    assert (model["positions"]["jointstype"], model["positions"]["vertstrans"]) == ("smpl", True)
    assert model["net"]["hidden_size"] == 8
    assert model["net"]["feature_size"] == 6
    assert model["translation"] is data["translation"] is True
    entry = convert_recognizer(file)["troupe"]
    assert entry["experiment"] == "actor_recognizer_gru_humanact12"
    assert entry["facts"]["action_names"][1] == "walk"

    torch.save({"model": published_gru(input_size=54, num_classes=13)}, file)
    model, data = net_and_data(file)
    assert (model["positions"]["jointstype"], model["positions"]["vertstrans"]) == ("a2m", False)
    assert data["dataset"]["_target_"] == "datamodules.actor.ntu13.open_ntu13"
    assert data["translation"] is False
    assert convert_recognizer(file)["troupe"]["facts"]["action_names"][12] == "side_kick"

    torch.save(published_stgcn(), file)
    model, data = net_and_data(file)
    assert model["positions"] is None
    assert model["net"]["channels"] == [4, 4, 8]
    assert model["net"]["num_classes"] == 40
    assert data["dataset"]["_target_"] == "datamodules.actor.uestc.open_uestc"
    torch.save(published_stgcn(edge_importance=False, num_classes=5, temporal_kernel=3), file)
    model, data = net_and_data(file)
    assert model["net"]["edge_importance"] is False
    assert model["net"]["temporal_kernel"] == 3
    assert "dataset" not in data
    assert convert_recognizer(file)["troupe"]["facts"]["action_names"][4] == "action_04"


def test_files_that_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.tar"

    def refused(content: object, match: str) -> None:
        torch.save(content, file)
        with pytest.raises(InputError, match=match):
            convert_recognizer(file)

    with pytest.raises(InputError, match="does not exist"):
        convert_recognizer(file)
    file.write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match=r"is refused|cannot be read"):
        convert_recognizer(file)
    refused({"model": {"a": file}}, "is refused")
    refused([1, 2], "holds no state dict")
    refused({"encoder.muQuery": torch.zeros(2)}, "source=actor")
    state = published_gru()
    refused({**state, "linear3.weight": torch.zeros(2)}, "'linear3.weight' is no parameter")
    refused({name: value for name, value in state.items() if name != "linear1.bias"}, "nothing for 'feature_head.bias'")
    refused({name: value for name, value in state.items() if name != "linear2.weight"}, "nothing for 'linear2.weight'")
    refused(published_gru(input_size=60), "60 numbers per frame; expected 72")
    refused({**published_stgcn(), "A": torch.ones(3, 24, 24)}, "another graph")
    refused(published_stgcn(in_channels=3), "3 features per joint")
    refused({**state, "linear1.weight": torch.zeros(6, 9)}, r"\(6, 9\) for 'feature_head.weight'")
