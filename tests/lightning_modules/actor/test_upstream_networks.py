"""Checkpoints of every published architecture, as the published code would have written them."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra.utils import instantiate
from torch import Tensor

from components.errors import InputError
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.upstream import convert_actor, import_checkpoint, key_report
from lightning_modules.actor.upstream_names import to_upstream
from lightning_modules.actor.upstream_networks import DECODERS, ENCODERS

# Published name: encoder, decoder.
ARCHITECTURES = {
    "transformer": ("transformer", "transformer"),
    "average_encoder": ("average_encoder", "transformer"),
    "zandtime": ("transformer", "zandtime"),
    "concat_bias": ("transformer", "concat_bias"),
    "time_encoding": ("transformer", "time_encoding"),
    "gru": ("gru", "gru"),
    "fc": ("fc", "fc"),
    "grutrans": ("gru", "transformer"),
    "transgru": ("transformer", "gru"),
    "autotrans": ("transformer", "autotrans"),
}
SIZES: dict[str, Any] = {"num_classes": 5, "num_frames": 6, "latent_dim": 16, "ff_size": 24, "num_layers": 2,
                         "num_heads": 2, "dropout": 0.1}  # fmt: skip
OPTIONS: dict[str, Any] = {"num_frames": 6, "num_heads": 2, "ff_size": 24, "num_layers": 2, "lambdas": {"rc": 1.0}}


def published(folder: Path, title: str, options: dict[str, Any] | None = None) -> tuple[Path, ActorCVAE]:
    """A checkpoint with its opt.yaml, and the network of ours that it was made of."""
    names = dict(zip(("encoder", "decoder"), ARCHITECTURES[title], strict=True))
    torch.manual_seed(0)
    net = ActorCVAE(ENCODERS[names["encoder"]].make, DECODERS[names["decoder"]].make, **SIZES).eval()
    with torch.no_grad():  # biases start at 0; a trained file has none of those
        for parameter in net.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    state: dict[str, Tensor] = {}
    for part, name in names.items():
        theirs = to_upstream(net.get_submodule(part).state_dict(), part, name)
        state |= {f"{part}.{key}": value for key, value in theirs.items()}
    torch.save(state, folder / "checkpoint_0100.pth.tar")
    if options is not None:
        (folder / "opt.yaml").write_text(yaml.safe_dump(options))
    return folder / "checkpoint_0100.pth.tar", net


@pytest.mark.parametrize("title", list(ARCHITECTURES))
def test_a_converted_checkpoint_gives_the_same_motions(title: str, tmp_path: Path) -> None:
    ablation = {"ablation": "concat_bias"} if title == "concat_bias" else {}
    path, net = published(tmp_path, title, OPTIONS | ablation)
    converted = convert_actor(path)
    card = converted["troupe"]
    assert card["facts"]["architecture"] == title
    module = instantiate(card["config"]["model"], _convert_="object").eval()
    module.load_state_dict(converted["state_dict"])
    motion, labels = torch.randn(2, 25, 6, 6), torch.tensor([1, 4])
    mask = torch.ones(2, 6, dtype=torch.bool)
    with torch.no_grad():
        expected, actual = (each(motion, mask, labels, labels, torch.ones(2, 16)) for each in (net, module.net))
    torch.testing.assert_close(actual.motion, expected.motion)
    torch.testing.assert_close(actual.mu, expected.mu)
    used, partly, ignored = key_report(path)
    assert sorted([*used, *partly, *ignored]) == sorted(torch.load(path, weights_only=True))
    assert all(key.endswith(".pe") for key in ignored)


def test_the_published_quirks_come_along(tmp_path: Path) -> None:
    for title, part, option, value in (
        ("fc", "decoder", "final_activation", "gelu"),
        ("average_encoder", "encoder", "average_padding", True),
    ):
        path, _ = published(tmp_path, title, OPTIONS)
        assert convert_actor(path)["troupe"]["config"]["model"]["net"][part][option] == value


def test_sizes_without_options(tmp_path: Path) -> None:
    path, _ = published(tmp_path, "autotrans")
    sizes, _ = import_checkpoint(path)
    assert {key: sizes[key] for key in ("num_classes", "latent_dim", "ff_size", "num_layers", "conditioning")} == {
        "num_classes": 5, "latent_dim": 16, "ff_size": 24, "num_layers": 2, "conditioning": "single",
    }  # fmt: skip


def test_what_the_file_does_not_say_is_asked_for(tmp_path: Path) -> None:
    path, _ = published(tmp_path, "fc")
    with pytest.raises(InputError, match=r"poses have 15 numbers.*need num_frames in the opt\.yaml"):
        import_checkpoint(path)
    (tmp_path / "opt.yaml").write_text("num_frames: 7\n")
    with pytest.raises(InputError, match="900 numbers, no multiple of 7 frames"):
        import_checkpoint(path)
    (tmp_path / "opt.yaml").unlink()
    path, _ = published(tmp_path, "concat_bias")
    with pytest.warns(UserWarning, match="may be of the ablation concat_bias"):
        import_checkpoint(path)


def test_damaged_files_name_the_part(tmp_path: Path) -> None:
    path, _ = published(tmp_path, "gru", OPTIONS)
    state = torch.load(path, weights_only=True)
    torch.save({key: value for key, value in state.items() if "final_layer" not in key}, path)
    with pytest.raises(InputError, match=r"decoder of the checkpoint is not complete: .*final_layer\.weight"):
        import_checkpoint(path)
    torch.save(state | {"encoder.extra.weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match=r"'encoder\.extra\.weight' is no parameter"):
        import_checkpoint(path)
    torch.save({key: value for key, value in state.items() if key.startswith("encoder.")}, path)
    with pytest.raises(InputError, match=r"it has no decoder\.actionBiases"):
        import_checkpoint(path)
    path, _ = published(tmp_path, "autotrans", OPTIONS)
    state = torch.load(path, weights_only=True)
    torch.save({key: value for key, value in state.items() if "layers.1.src_trg_att.k_layer.bias" not in key}, path)
    with pytest.raises(InputError, match="only 2 of queries, keys and values"):
        import_checkpoint(path)
