import json
import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file

from components.errors import InputError
from entrypoints import convert
from entrypoints.conversions import export_weights, import_actor, sha256_of
from entrypoints.runs import load_module, load_run
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.networks.transformer import TransformerDecoder, TransformerEncoder
from lightning_modules.actor.upstream_names import to_upstream
from tests.process.command_line import run as run_command


def published(folder: Path, seed: int = 0) -> Path:
    """A checkpoint as ACTOR's mixing fork leaves it, tiny."""
    torch.manual_seed(seed)
    sizes = {"latent_dim": 16, "ff_size": 24, "num_layers": 2, "num_heads": 4, "num_classes": 12}
    net = ActorCVAE(TransformerEncoder, TransformerDecoder, conditioning="pair", **sizes)
    theirs = {}
    for part in ("encoder", "decoder"):
        own = {k.removeprefix(f"{part}."): v for k, v in net.state_dict().items() if k.startswith(f"{part}.")}
        theirs |= {f"{part}.{name}": value for name, value in to_upstream(own, part).items()}
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(theirs, folder / "checkpoint_0042.pth.tar")
    return folder / "checkpoint_0042.pth.tar"


def test_an_import_makes_a_run_folder(tmp_path: Path) -> None:
    source = published(tmp_path / "theirs")
    done = import_actor(str(source), output_dir=str(tmp_path / "outputs"))
    assert done.folder == tmp_path / "outputs" / "converted" / "actor_checkpoint_0042"
    assert done.ignored == ["encoder.sequence_pos_encoder.pe", "decoder.sequence_pos_encoder.pe"]
    run = load_run(done.folder, "actor")
    assert run.checkpoint_path.name == "best.ckpt"
    module = load_module(run)
    theirs = torch.load(source, weights_only=True)
    weights = module.state_dict()
    torch.testing.assert_close(weights["net.encoder.mu_token.table"], theirs["encoder.muQuery"], rtol=0, atol=0)
    card = json.loads((done.folder / "run.json").read_text())
    assert card["imported"]["sha256"] == sha256_of(source)
    assert card["imported"]["epoch"] == 42
    assert "decoder.seqTransDecoder.layers.0.multihead_attn.in_proj_weight" in card["imported"]["partly_used_keys"]
    parts = ("used_keys", "partly_used_keys", "ignored_keys")
    assert sorted(key for part in parts for key in card["imported"][part]) == sorted(theirs)


@contextmanager
def small_disk() -> Iterator[None]:
    """No file of this process grows beyond 8 KiB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    source = published(tmp_path)
    with small_disk(), pytest.raises(InputError, match="is the disk full"):
        import_actor(str(source), output=str(tmp_path / "run"))
    import_actor(str(source), output=str(tmp_path / "run"))
    with small_disk(), pytest.raises(InputError, match="is the disk full"):
        export_weights(str(tmp_path / "run"))
    assert not list((tmp_path / "run" / "export").iterdir())


def test_an_import_does_not_replace_silently(tmp_path: Path) -> None:
    source = published(tmp_path)
    import_actor(str(source), output=str(tmp_path / "run"))
    with pytest.raises(InputError, match="force=true"):
        import_actor(str(source), output=str(tmp_path / "run"))
    import_actor(str(published(tmp_path, seed=1)), output=str(tmp_path / "run"), force=True)
    (tmp_path / "run" / "checkpoints" / "last.ckpt").write_text("a training of the user")
    with pytest.raises(InputError, match="trained run"):
        import_actor(str(source), output=str(tmp_path / "run"), force=True)


def test_what_cannot_be_imported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no file"):
        import_actor(str(tmp_path / "none.pth.tar"))
    garbage = tmp_path / "garbage.pth.tar"
    garbage.write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="is refused"):
        import_actor(str(garbage), output=str(tmp_path / "out"))
    torch.save({"backbone.conv.weight": torch.zeros(2)}, tmp_path / "other.pth.tar")
    with pytest.raises(InputError, match="no checkpoint of ACTOR"):
        import_actor(str(tmp_path / "other.pth.tar"), output=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_an_export_has_the_same_numbers_and_a_card(tmp_path: Path) -> None:
    run = import_actor(str(published(tmp_path)), output=str(tmp_path / "run")).folder
    (run / "metrics.json").write_text('{"test/rc": 0.5}')
    done = export_weights(str(run))
    weights = load_file(done.folder / "weights.safetensors")
    stored = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert weights.keys() == stored.keys()
    for name, value in stored.items():
        torch.testing.assert_close(weights[name], value, rtol=0, atol=0)
    card = json.loads((done.folder / "card.json").read_text())
    assert card["system"] == "actor"
    assert card["sha256"] == sha256_of(done.folder / "weights.safetensors")
    assert card["metrics"] == {"test/rc": 0.5}
    assert card["facts"]["num_classes"] == 12
    assert card["config"]["model"]["net"]["latent_dim"] == 16
    with pytest.raises(InputError, match="force=true"):
        export_weights(str(run))
    export_weights(str(run), force=True)


def test_only_our_checkpoints_are_exported(tmp_path: Path) -> None:
    source = published(tmp_path)
    with pytest.raises(InputError, match="not written by this project"):
        export_weights(str(source), output=str(tmp_path / "out"))
    with pytest.raises(InputError, match="does not exist"):
        export_weights(str(tmp_path / "nowhere"))


def test_shared_and_strided_tensors_are_exported(tmp_path: Path) -> None:
    table = torch.arange(6.0).view(2, 3)
    entry = {"format": 1, "system": "actor", "experiment": "actor", "config": {}, "facts": {}}
    torch.save({"state_dict": {"a": table, "b": table, "c": table.T}, "troupe": entry}, tmp_path / "x.ckpt")
    done = export_weights(str(tmp_path / "x.ckpt"), output=str(tmp_path / "out"))
    weights = load_file(done.folder / "weights.safetensors")
    assert torch.equal(weights["c"], table.T)
    assert torch.equal(weights["b"], table)


def test_the_job_reports(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    node = {
        "_target_": "entrypoints.conversions.import_actor",
        "checkpoint": str(published(tmp_path)),
        "output": str(tmp_path / "run"),
    }
    with caplog.at_level(logging.INFO):
        convert.job(OmegaConf.create({"source": node}))
    keys = len(torch.load(node["checkpoint"], weights_only=True))
    assert f"{keys - 2} keys taken over, 2 constants not needed, none missing" in caplog.text
    assert f"predict run={tmp_path / 'run'} task=generate" in caplog.text
    with pytest.raises(InputError, match="is no file"):
        convert.job(OmegaConf.create({"source": node | {"checkpoint": str(tmp_path / "none")}}))


@pytest.mark.slow
def test_command_line(tmp_path: Path) -> None:
    place = f"paths.output_dir={tmp_path}"
    text = run_command("convert", "source=actor", f"checkpoint={tmp_path / 'none.pth.tar'}", place, code=2)
    assert "is no file" in text
    assert "Traceback" not in text
    assert "did you mean 'actor'" in run_command("convert", "source=acto", "checkpoint=x", place, code=2)
    run_command("convert", "source=actor", f"checkpoint={published(tmp_path)}", place)
    folder = tmp_path / "converted" / "actor_checkpoint_0042"
    run_command("convert", "source=troupe", f"checkpoint={folder}", place)
    assert (folder / "export" / "weights.safetensors").is_file()
