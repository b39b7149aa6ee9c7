from pathlib import Path
from typing import Any

import pytest

from components.errors import InputError
from entrypoints import launch
from entrypoints.launch import check_slurm, count_processes, launched_externally, refusal_file


@pytest.fixture
def srun(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of one task of `srun` on one node with four tasks."""
    for name, value in {"PROCID": "0", "NTASKS": "4", "NTASKS_PER_NODE": "4", "JOB_NUM_NODES": "1"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    return monkeypatch


@pytest.mark.parametrize("devices", [4, [0, 1, 2, 3]])
def test_as_many_tasks_as_devices_pass(srun: pytest.MonkeyPatch, devices: Any) -> None:
    assert launched_externally()
    check_slurm({"devices": devices, "num_nodes": 1})


def test_tasks_and_devices_that_differ_name_both_remedies(srun: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"4 tasks per node, but trainer.devices=2") as caught:
        check_slurm({"devices": 2, "num_nodes": 1})
    assert "--ntasks-per-node=2 or trainer.devices=4" in str(caught.value)


def test_tasks_per_node_are_inferred_where_slurm_does_not_state_them(srun: pytest.MonkeyPatch) -> None:
    srun.delenv("SLURM_NTASKS_PER_NODE")
    srun.setenv("SLURM_NTASKS", "8")
    srun.setenv("SLURM_JOB_NUM_NODES", "2")
    check_slurm({"devices": 4, "num_nodes": 2})
    with pytest.raises(InputError, match="4 tasks per node"):
        check_slurm({"devices": 8, "num_nodes": 2})


def test_node_counts_that_differ(srun: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"1 nodes, but trainer.num_nodes=2"):
        check_slurm({"devices": 4, "num_nodes": 2})


def test_nothing_is_checked_outside_of_srun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_PROCID", raising=False)
    check_slurm({"devices": 2, "num_nodes": 1})


@pytest.mark.parametrize(
    ("trainer", "processes"),
    [({"accelerator": "cpu", "devices": 2}, 2), ({"accelerator": "cpu", "devices": "2"}, 2),
     ({"accelerator": "cpu", "devices": "auto"}, 1), ({"accelerator": "gpu", "devices": [0, 2]}, 2),
     ({"accelerator": "gpu", "devices": "0,1,3"}, 3)],
)  # fmt: skip
def test_processes_of_a_trainer(trainer: dict[str, Any], processes: int) -> None:
    assert count_processes(trainer) == processes


def test_several_nodes_need_a_launcher() -> None:
    with pytest.raises(InputError, match=r"srun python -m entrypoints.train trainer=slurm"):
        count_processes({"accelerator": "gpu", "devices": 4, "num_nodes": 2})


def test_a_rank_that_ends_before_the_first_one_tells_why_it_refused(tmp_path: Path) -> None:
    refusal_file(tmp_path, 1).parent.mkdir()
    with pytest.raises(InputError, match="rank 1 refused its input; see"):
        launch._raise_failure(tmp_path, 1, 2)
    refusal_file(tmp_path, 1).write_text("data.root=/no/such/folder does not exist")
    with pytest.raises(InputError, match=r"^data\.root=/no/such/folder does not exist$"):
        launch._raise_failure(tmp_path, 1, 2)
