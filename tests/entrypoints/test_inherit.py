from pathlib import Path

import pytest

from components.errors import InputError
from entrypoints.config_check import check, compose_unchecked
from entrypoints.inherit import differing_keys, inherited
from tests.entrypoints.actor_run import write_run
from tests.entrypoints.recognizer_run import write_recognizer


def added(*overrides: str) -> list[str]:
    config = compose_unchecked("train", list(overrides))
    assert config is not None
    return inherited(list(overrides), config)


def test_network_format_and_data_of_the_run_stand_in(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", str(tmp_path / "it's here"), val_fraction=0.25)
    command = ["experiment=actor_finetune", f"ckpt={run}"]
    command += added(*command)
    config = check("train", command)
    net = config.model.net
    assert (net.latent_dim, net.num_layers, net.num_heads, net.conditioning) == (16, 1, 2, "pair")
    assert (config.data.root, config.data.val_fraction) == (str(tmp_path / "it's here"), 0.25)
    assert config.data.translation is False
    assert net.translation is False
    # The experiment's own.
    assert (config.data.num_frames, config.data.min_len, config.data.max_len) == (-2, 60, 100)
    assert net.num_frames == -2
    assert config.optimizer.lr == 1e-4


def test_the_command_line_wins(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    texts = added("experiment=actor_finetune", f"ckpt={run}", "model.net.latent_dim=64", "data.root=elsewhere")
    keys = {text.split("=")[0] for text in texts}
    assert not keys & {"model.net.latent_dim", "data.root"}
    assert "model.net.ff_size" in keys
    # Another data set altogether.
    texts = added("experiment=actor_finetune", f"ckpt={run}", "data=humanact12")
    assert not any(text.startswith("data.") for text in texts)


def test_batches_of_the_mixing_variant_are_plain_unless_asked_for(tmp_path: Path) -> None:
    mix = {"_target_": "datamodules.actor.mixing.MixingCollate", "_partial_": True, "alpha_value": 0.3}
    run = write_run(tmp_path, mix=mix)
    plain = ["experiment=actor_finetune", f"ckpt={run}"]
    config = compose_unchecked("train", [*plain, *added(*plain)])
    assert config is not None
    assert config.data.mix is None
    mixed = ["experiment=actor_mix_finetune", f"ckpt={run}"]
    config = compose_unchecked("train", [*mixed, *added(*mixed)])
    assert config is not None
    assert config.data.mix.alpha_value == 0.3


def test_a_key_that_nobody_knows_any_more_is_a_fault(tmp_path: Path) -> None:
    run = write_run(tmp_path, retired=3)
    command = ["experiment=actor_finetune", f"ckpt={run}"]
    with pytest.raises(InputError, match="unexpected 'retired'"):
        check("train", [*command, *added(*command)])


def test_a_run_to_go_on_from_is_needed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"experiment=actor_finetune .*\n?.*ckpt names none"):
        added("experiment=actor_finetune")
    with pytest.raises(InputError, match="ckpt=/nowhere does not exist"):
        added("experiment=actor_finetune", "ckpt=/nowhere")
    assert added("experiment=actor", f"ckpt={tmp_path}") == []
    with pytest.raises(InputError, match=r"RecognizerModule.*goes on from one of ActorModule"):
        added("experiment=actor_finetune", f"ckpt={write_recognizer(tmp_path / 'recognizer')}")


def test_pairs_that_are_classes_stay_with_their_mixtures(tmp_path: Path) -> None:
    mix = {"_target_": "datamodules.actor.compositional.CompositionalClasses", "num_pairs": 2}
    run = write_run(tmp_path, conditioning="single", mix=mix, num_classes=14)
    command = ["experiment=actor_mix_finetune", f"ckpt={run}"]
    config = check("train", [*command, *added(*command)])
    assert (config.data.num_classes, config.model.net.conditioning) == (14, "single")
    assert config.data.mix == mix


def test_differing_keys_name_stored_and_present_values() -> None:
    now = {"net": {"width": 8, "depth": 2, "part": {"p": 1}}}
    was = {"net": {"width": 4, "depth": 2, "part": {"p": 2}, "gone": 1}}
    assert differing_keys(now, was, "net") == [("net.part.p", 2, 1), ("net.width", 4, 8)]
