import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra.utils import instantiate
from torch import Tensor

from components.errors import InputError
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.networks.transformer import TransformerDecoder, TransformerEncoder
from lightning_modules.actor.upstream import convert_actor, import_checkpoint
from lightning_modules.actor.upstream_names import from_upstream, to_upstream


def network(**settings: Any) -> ActorCVAE:
    sizes = {"num_classes": 12, "latent_dim": 32, "ff_size": 48, "num_layers": 2} | settings
    return ActorCVAE(TransformerEncoder, TransformerDecoder, **sizes)


def published(net: ActorCVAE) -> dict[str, Tensor]:
    """The state dict that the published code would have written."""
    return {
        f"{part}.{key}": value
        for part in ("encoder", "decoder")
        for key, value in to_upstream(net.get_submodule(part).state_dict(), part).items()
    }


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    torch.save(published(network()), tmp_path / "checkpoint_0300.pth.tar")
    return tmp_path / "checkpoint_0300.pth.tar"


def test_names_map_both_ways() -> None:
    net = network(conditioning="pair")
    for part in ("encoder", "decoder"):
        state = net.get_submodule(part).state_dict()
        theirs = to_upstream(state, part)
        assert theirs["sequence_pos_encoder.pe"].shape == (5000, 1, 32)
        back = from_upstream(theirs, part)
        assert list(back) == list(state)
        assert all(torch.equal(back[name], state[name]) for name in state)
    with pytest.raises(InputError, match=r"encoder\.gru"):
        from_upstream({"gru.weight": torch.zeros(1)}, "encoder")


def test_sizes_come_from_shapes_and_options(checkpoint: Path) -> None:
    sizes, state = import_checkpoint(checkpoint)
    assert (sizes["latent_dim"], sizes["ff_size"]) == (32, 48)
    assert (sizes["num_layers"], sizes["num_heads"], sizes["conditioning"]) == (2, 4, "single")
    assert (sizes["pose_rep"], sizes["translation"], sizes["glob"]) == ("rot6d", True, True)
    network(**sizes).load_state_dict(state)
    options = "num_heads: 8\nnum_frames: 70\npose_rep: rot6d\ndevice: !!python/object/apply:torch.device [cuda]\n"
    (checkpoint.parent / "opt.yaml").write_text(options)
    sizes, _ = import_checkpoint(checkpoint)
    assert (sizes["num_heads"], sizes["num_frames"]) == (8, 70)


def test_converted_checkpoint_rebuilds_and_generates(tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = network(conditioning="pair", translation=False).eval()
    torch.save(published(net), tmp_path / "checkpoint_5000.pth.tar")
    options = {"dataset": "humanact12", "lambdas": {"rc": 1.0, "kl": 1e-5}, "translation": False, "pose_rep": "rot6d"}
    (tmp_path / "opt.yaml").write_text(yaml.safe_dump(options))
    converted = convert_actor(tmp_path / "checkpoint_5000.pth.tar")
    torch.save(converted, tmp_path / "ours.ckpt")
    loaded = torch.load(tmp_path / "ours.ckpt", weights_only=True)
    card = loaded["troupe"]
    assert (card["system"], card["experiment"], card["facts"]["action_names"][4]) == ("actor", "actor_mix", "drink")
    assert loaded["epoch"] == 5000
    module = instantiate(card["config"]["model"], _convert_="object")
    module.load_state_dict(loaded["state_dict"])
    assert not module.losses.needs_positions
    mask, labels = torch.ones(2, 6, dtype=torch.bool), torch.tensor([1, 4])
    z = torch.randn(2, 32)
    with torch.no_grad():
        torch.testing.assert_close(
            module.eval().net.decode(z, mask, labels, labels), net.decode(z, mask, labels, labels)
        )


def test_foreign_and_broken_files_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint_0001.pth.tar"
    with pytest.raises(InputError, match="does not exist"):
        import_checkpoint(path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="is refused"):
        import_checkpoint(path)
    torch.save({"state_dict": {}, "epoch": 3}, path)
    with pytest.raises(InputError, match="not a bare state dict"):
        import_checkpoint(path)
    torch.save({"backbone.conv.weight": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"no encoder\.muQuery"):
        import_checkpoint(path)


def test_a_hostile_pickle_is_not_run(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "owned",))

    torch.save({"encoder.muQuery": Hostile()}, tmp_path / "checkpoint_0001.pth.tar")
    (tmp_path / "checkpoint_0002.pth.tar").write_bytes(pickle.dumps(Hostile()))
    for name in ("checkpoint_0001.pth.tar", "checkpoint_0002.pth.tar"):
        with pytest.raises(InputError, match="is refused: it holds more than tensors") as caught:
            import_checkpoint(tmp_path / name)
        assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "owned").exists()


def test_contradictions_are_explained(checkpoint: Path) -> None:
    options = checkpoint.parent / "opt.yaml"
    options.write_text("pose_rep: rotvec\n")
    with pytest.raises(InputError, match="150 numbers"):
        import_checkpoint(checkpoint)
    options.write_text("num_heads: 5\n")
    with pytest.raises(InputError, match="num_heads=5"):
        import_checkpoint(checkpoint)
    options.write_text("[1, 2")
    with pytest.raises(InputError, match="not readable as yaml"):
        import_checkpoint(checkpoint)
    options.unlink()
    state = torch.load(checkpoint, weights_only=True)
    del state["decoder.seqTransDecoder.layers.1.norm3.weight"]
    torch.save(state, checkpoint)
    with pytest.raises(InputError, match=r"decoder\.layers\.1\.feed_forward_norm\.weight"):
        import_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ("classes", "data_set", "fps", "reader"),
    [(12, None, 20.0, None), (13, None, 30.0, "open_ntu13"), (40, "uestc", 30.0, "open_uestc"), (7, None, 20.0, None)],
)
def test_the_data_set_is_known_by_name_or_classes(
    tmp_path: Path, classes: int, data_set: str | None, fps: float, reader: str | None
) -> None:
    file = tmp_path / "checkpoint_0001.pth.tar"
    torch.save(published(network(num_classes=classes)), file)
    if data_set:
        (tmp_path / "opt.yaml").write_text(f"dataset: {data_set}\n")
    entry = convert_actor(file)["troupe"]
    assert entry["facts"]["fps"] == fps
    data = entry["config"]["data"]
    assert ("dataset" in data) == (reader is not None)
    if reader is not None:
        assert instantiate(data["dataset"]).func.__name__ == reader
    assert data.get("min_share") == (0.75 if classes == 40 else None)
