from pathlib import Path

import pytest

from components.errors import InputError
from entrypoints.config_check import CONF, available, check

TINY = str(Path(__file__).parent / "tiny" / "conf")


def _sweeps_experiments(sweep: str) -> bool:
    """Whether a sweep's jobs are experiments, which have tests of their own and need the user's data."""
    return "\n      experiment:" in (CONF / "sweep" / f"{sweep}.yaml").read_text()


def faults(*overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        check("train", list(overrides), TINY)
    return str(caught.value)


def test_a_sound_config_passes_and_comes_back_composed() -> None:
    config = check("train", ["experiment=tiny", "trainer.max_epochs=7"], TINY)
    assert config.trainer.max_epochs == 7
    assert config.model.width == 4


def test_several_faults_are_reported_at_once_with_the_nearest_names() -> None:
    text = faults("experiment=tiny", "trainer.max_epoch=3", "optimizer.lrr=1", "model.fail=maybe")
    assert text.startswith("ConfigError: 3 faults in experiment=tiny")
    assert "trainer.max_epoch: unknown key in trainer (did you mean 'trainer.max_epochs'?)" in text
    assert "did you mean 'optimizer.lr'?" in text
    assert "model.fail: 'maybe' is not of type bool" in text


def test_unknown_choice_names_the_nearest_file_and_is_one_fault() -> None:
    text = faults("experiment=tinny", "data.width=3")
    assert text.splitlines()[0] == "ConfigError: 1 fault in experiment=tinny"
    assert "did you mean 'tiny'?" in text


def test_unknown_choice_without_a_near_name_lists_all() -> None:
    text = faults("experiment=tiny", "trainer=quantum_computer")
    assert "choose one of: cpu, ddp, ddp_cpu, default, gpu, slurm" in text


def test_unknown_top_level_key() -> None:
    assert "did you mean 'seed'?" in faults("experiment=tiny", "sead=3")


def test_known_argument_that_the_config_does_not_list_is_explained() -> None:
    assert "write +optimizer.foreach=" in faults("experiment=tiny", "optimizer.foreach=true")
    check("train", ["experiment=tiny", "+optimizer.foreach=true"], TINY)


def test_added_key_that_the_class_does_not_take() -> None:
    text = faults("experiment=tiny", "+model.widht=3")
    assert "unexpected 'widht' (did you mean 'width'?) for tests.entrypoints.tiny.system.TinyModule" in text


def test_removed_argument_is_missed() -> None:
    assert "model: missing 'width'" in faults("experiment=tiny", "~model.width")


def test_mandatory_value_is_named_with_what_to_write() -> None:
    assert "data.root: no value" in faults("experiment=tiny_user")
    check("train", ["experiment=tiny_user", "data.root=somewhere"], TINY)


def test_target_that_leads_nowhere() -> None:
    text = faults("experiment=tiny", "model._target_=tests.entrypoints.tiny.system.TinyModul")
    assert "has no 'TinyModul' (did you mean 'TinyModule'?)" in text


def test_every_value_of_a_sweep_is_checked() -> None:
    assert "'three' is not of type" in faults("experiment=tiny", "trainer.max_epochs=1,2,three")
    check("train", ["experiment=tiny", "optimizer.lr=0.1,0.2", "seed=range(3)"], TINY)


def test_a_sweep_file_is_checked_with_its_values() -> None:
    config = check("train", ["sweep=tiny_lr"], TINY)
    assert config.model._target_.endswith("TinyModule")
    assert "model.fail" in faults("sweep=tiny_lr", "model.fail=perhaps")


@pytest.mark.parametrize("sweep", [name for name in available("sweep") if not _sweeps_experiments(name)])
def test_sweeps_that_are_shipped_have_no_faults(sweep: str) -> None:
    check("train", [f"sweep={sweep}"])


def test_syntax_fault_shows_the_text() -> None:
    assert "cannot read 'data.root=[1'" in faults("experiment=tiny", "data.root=[1")


def test_missing_config_dir() -> None:
    with pytest.raises(InputError, match="no such folder"):
        check("train", ["experiment=tiny"], "no/such/folder")


def test_emptied_group_that_others_need_is_a_fault() -> None:
    assert "debug=null: a group is not emptied by null" in faults("experiment=tiny", "debug=null")
